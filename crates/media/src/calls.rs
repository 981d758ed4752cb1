//! How many rooms are calls. The rooms' tasks count as it changes, so that no task is asked for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of rooms in which a participant publishes.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    count: Arc<AtomicU64>,
}

impl Calls {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// A new room, in which no participant publishes yet.
    pub(crate) fn room(&self) -> CountedRoom {
        CountedRoom { calls: self.clone(), is_call: false }
    }
}

/// A room among the counted ones. It counts no longer when it is dropped.
pub(crate) struct CountedRoom {
    calls: Calls,
    is_call: bool,
}

impl CountedRoom {
    /// Whether a participant publishes in the room from now on.
    pub(crate) fn set(&mut self, is_call: bool) {
        match (self.is_call, is_call) {
            (false, true) => self.calls.count.fetch_add(1, Relaxed),
            (true, false) => self.calls.count.fetch_sub(1, Relaxed),
            _ => return,
        };
        self.is_call = is_call;
    }
}

impl Drop for CountedRoom {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_counts_once_while_somebody_publishes_and_not_beyond_its_end() {
        let calls = Calls::default();
        let (mut one, mut other) = (calls.room(), calls.room());
        assert_eq!(calls.count(), 0);
        one.set(true);
        one.set(true);
        other.set(true);
        assert_eq!(calls.count(), 2);
        one.set(false);
        assert_eq!(calls.count(), 1);
        drop(other);
        drop(one);
        assert_eq!(calls.count(), 0);
    }
}
