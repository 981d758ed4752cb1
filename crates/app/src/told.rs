//! What strangers can make happen is told once in a while, however often they do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Not told again before so long has passed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// When something was told last.
#[derive(Default)]
pub(crate) struct Told {
    last: Mutex<Option<Instant>>,
}

impl Told {
    /// Whether it is to be told now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|at| now.saturating_duration_since(at) >= AGAIN_AFTER);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_at_once_and_then_once_in_a_while() {
        let (told, start) = (Told::default(), Instant::now());
        let told = (0..180).filter(|second| told.is_due(start + Duration::from_secs(*second))).count();
        assert_eq!(told, 3);
    }
}
