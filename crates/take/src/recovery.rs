//! Makes an ended take out of one whose writer died.
use std::path::Path;

use crate::error::TakeError;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The take had ended in order; nothing was changed.
    pub was_ended: bool,
    /// The take's length.
    pub duration_ns: u64,
    /// At most so much was lost at the end (0 for a take that had ended).
    pub lost_ns: u64,
    /// Bytes of partial elements cut off, all files.
    pub cut_bytes: u64,
}

/// Cuts every file of the take at its last whole element and writes the end. Idempotent. `NotFound` if `dir` holds no take (a crash during
/// creation leaves a directory without header: it may be deleted). Must not run while the take is being written.
pub fn recover(dir: &Path) -> Result<Recovery, TakeError> {
    todo!("{dir:?}")
}
