//! Open files: as many as the system gives. Every connection is one, and what systems begin with, 1,024, is soon used up.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where the system sets no bound of its own.
const ENOUGH: u64 = 1_048_576;

/// Raises the bound of this process to the highest that it may have. Its children have it too.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the bound of open files cannot be raised");
        }
    }
}

/// How many there may be.
pub(crate) fn most() -> usize {
    let current = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH);
    usize::try_from(current).unwrap_or(usize::MAX)
}
