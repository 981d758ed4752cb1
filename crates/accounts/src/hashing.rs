//! How many passwords are hashed at once. Nobody waits here: waiting would hold a thread, and strangers could hold all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use reelroom_limits::accounts::HASHES_AT_ONCE;

/// The places.
#[derive(Default)]
pub(crate) struct Hashing {
    taken: AtomicUsize,
}

/// One of them, free again when it goes.
pub(crate) struct Place<'a> {
    of: &'a Hashing,
}

impl Hashing {
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        let one_more = |taken| (taken < HASHES_AT_ONCE).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Place { of: self })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(1, Ordering::AcqRel);
    }
}
