//! What can go wrong, by what the caller can do.

use reelroom_limits::audit::AUDIT_SEARCH_BYTES;
use reelroom_truth::TruthError;

/// An error of the audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// What is looked for is too long: look for less.
    #[error("what is looked for in the audit log may have {most} bytes: look for less", most = AUDIT_SEARCH_BYTES)]
    LongSearch,
    /// The database fails: look at the data folder's disk.
    #[error(transparent)]
    Truth(#[from] TruthError),
}
