//! How often something may be done. Pure.

use std::time::{Duration, Instant};

/// A number of things that may be done at once, and how soon there is one more.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: u32,
    most: u32,
    every: Duration,
    /// Up to when what came back is counted in `left`.
    counted: Instant,
}

impl Budget {
    pub(crate) fn new(most: u32, every: Duration, now: Instant) -> Self {
        Self { left: most, most, every, counted: now }
    }

    /// So many at once, and as many a second.
    pub(crate) fn per_second(most: u32, now: Instant) -> Self {
        Self::new(most, Duration::from_secs(1) / most, now)
    }

    /// Whether one more may be done; counts it.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.take_many(1, now)
    }

    /// Whether so many more may be done; counts them if so.
    pub(crate) fn take_many(&mut self, count: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted);
        let back = passed.as_nanos() / self.every.as_nanos().max(1);
        if back >= u128::from(self.most - self.left) {
            self.left = self.most;
            self.counted = now.max(self.counted);
        } else {
            let back = u32::try_from(back).expect("fewer than the most");
            self.left += back;
            self.counted += self.every * back;
        }
        let may = self.left >= count;
        self.left -= if may { count } else { 0 };
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_one_by_one_and_never_beyond_the_most() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut budget = Budget::new(3, Duration::from_millis(100), start);
        let mut taken = |ms| (0..10).filter(|_| budget.take(at(ms))).count();
        assert_eq!(taken(0), 3);
        assert_eq!(taken(99), 0);
        assert_eq!(taken(100), 1);
        assert_eq!(taken(250), 1, "half a one is kept");
        assert_eq!(taken(300), 1);
        assert_eq!(taken(60_000), 3);
        assert_eq!(taken(0), 0, "time that goes back brings nothing");
    }
}
