//! The head of a request: what a connection keeps of it, from its first byte until the request is answered.
//!
//! ```text
//!   GET /rtc?access_token=… HTTP/1.1   ─► the first bytes, which every request has   not counted
//!   …                                  ─► what is beyond                             counted for whoever connects
//!   the body, the frames of a WebSocket                                              not here
//! ```
//!
//! # Invariant
//!
//! - What a connection keeps without its being counted is what each head has free, and one read: what comes behind the end of a request in
//!   the same read belongs to the next one, and is not counted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reelroom_limits::http::HEAD_BYTES_UNCOUNTED;

use crate::front::traffic::{Busy, Slot};

/// So much is read at a time.
pub(super) const READ_BYTES: usize = 8 * 1024;

pub(super) struct Head {
    bytes: AtomicUsize,
    /// Where nobody is bounded there is none.
    beyond: Option<Slot>,
    is_coming: AtomicBool,
}

impl Head {
    /// Counts by `beyond` what is beyond the first bytes.
    pub(super) fn new(beyond: Option<Slot>) -> Self {
        Self { bytes: AtomicUsize::new(0), beyond, is_coming: AtomicBool::new(true) }
    }

    /// What is heard from now on belongs to no head.
    pub(super) fn pause(&self) {
        self.is_coming.store(false, Ordering::Relaxed);
    }

    /// What is heard from now on belongs to a head.
    pub(super) fn go_on(&self) {
        self.is_coming.store(true, Ordering::Relaxed);
    }

    /// Counts what was heard.
    ///
    /// # Errors
    /// [`Busy`].
    pub(super) fn hear(&self, bytes: usize) -> Result<(), Busy> {
        if !self.is_coming.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let beyond = |bytes: usize| bytes.saturating_sub(HEAD_BYTES_UNCOUNTED);
        match (&self.beyond, beyond(before + bytes) - beyond(before)) {
            (None, _) | (_, 0) => Ok(()),
            (Some(slot), more) => slot.grow(more),
        }
    }

    /// The request is answered.
    pub(super) fn forget(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        if let Some(slot) = &self.beyond {
            slot.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::connections::Client;
    use crate::front::traffic::Traffic;

    #[test]
    fn a_head_counts_beyond_its_first_bytes_until_it_is_answered() {
        let traffic = Traffic::new(10, 10);
        let head = || Head::new(Some(traffic.open(Client::ThisMachine)));
        let (first, second) = (head(), head());
        assert_eq!(first.hear(HEAD_BYTES_UNCOUNTED - 1), Ok(()));
        assert_eq!(first.hear(8), Ok(()));
        assert_eq!(second.hear(HEAD_BYTES_UNCOUNTED), Ok(()));
        assert_eq!((second.hear(4), first.hear(3)), (Err(Busy), Ok(())));
        first.pause();
        assert_eq!(first.hear(1_000_000), Ok(()), "a body is counted elsewhere");
        first.forget();
        first.go_on();
        assert_eq!(first.hear(HEAD_BYTES_UNCOUNTED + 10), Ok(()));
        drop(first);
        assert_eq!(head().hear(HEAD_BYTES_UNCOUNTED + 10), Ok(()));
        assert_eq!(Head::new(None).hear(1_000_000), Ok(()));
    }
}
