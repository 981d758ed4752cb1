//! How fast somebody may go on: a burst, then so many in a second.
//!
//! ```text
//!   burst ┤▆▆▆▆▃            ▂▄▆▆▆   what is left; it refills at `per_second`
//!         │     ▁▁▁▁▁▁▁▁▁▁▁▁
//!       0 ┤     └ each one waits ┘
//! ```
//!
//! Pure: the time comes in. Whoever asks is told how long to wait, and whether that is too long; the caller waits or refuses.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A burst and a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    burst: u32,
    per_second: f64,
}

impl Rate {
    /// So many at once, so many in a second for good.
    pub const fn per_second(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second: per_second as f64 }
    }

    /// So many at once, one in such a time for good.
    pub fn one_in(burst: u32, time: Duration) -> Self {
        Self { burst, per_second: time.as_secs_f64().recip() }
    }
}

/// What one of them has left.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: Rate,
    /// Below zero, what others wait for.
    left: f64,
    since: Instant,
}

/// It would have to wait for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFast {
    /// How long that would be.
    pub wait: Duration,
}

impl Pace {
    /// Nothing is used up.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, left: rate.burst.into(), since: now }
    }

    /// Takes `amount` and says how long to wait until it is its turn, at most `at_most`.
    ///
    /// # Errors
    /// [`TooFast`], when it would have to wait longer; then nothing is taken.
    pub fn take(&mut self, amount: u32, at_most: Duration, now: Instant) -> Result<Duration, TooFast> {
        self.refill(now);
        let left = self.left - f64::from(amount);
        let wait = Duration::from_secs_f64((-left).max(0.0) / self.rate.per_second);
        if wait > at_most {
            return Err(TooFast { wait });
        }
        self.left = left;
        Ok(wait)
    }

    /// Gives back what was taken and does not count after all.
    pub fn give_back(&mut self, amount: u32) {
        self.left = (self.left + f64::from(amount)).min(self.rate.burst.into());
    }

    /// Whether nothing is used up (any more).
    pub fn is_rested(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left >= f64::from(self.rate.burst)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = self.since.max(now);
        self.left = (self.left + passed * self.rate.per_second).min(self.rate.burst.into());
    }
}

/// Many who go at the same rate, each for itself: addresses, identities.
#[derive(Debug)]
pub struct Paces<K> {
    rate: Rate,
    at_most: usize,
    of: HashMap<K, Pace>,
    /// Shared by whoever finds no place any more.
    others: Option<Pace>,
}

impl<K: Eq + Hash> Paces<K> {
    /// Remembers `at_most` keys at a time.
    pub fn new(rate: Rate, at_most: usize) -> Self {
        Self { rate, at_most, of: HashMap::new(), others: None }
    }

    /// As [`Pace::take`], of one key.
    ///
    /// # Errors
    /// [`TooFast`].
    pub fn take(
        &mut self,
        key: K,
        amount: u32,
        wait_at_most: Duration,
        now: Instant,
    ) -> Result<Duration, TooFast> {
        if !self.of.contains_key(&key) && self.of.len() >= self.at_most {
            self.of.retain(|_, pace| !pace.is_rested(now));
        }
        let rate = self.rate;
        let pace = if self.of.len() < self.at_most || self.of.contains_key(&key) {
            self.of.entry(key).or_insert_with(|| Pace::new(rate, now))
        } else {
            self.others.get_or_insert_with(|| Pace::new(rate, now))
        };
        pace.take(amount, wait_at_most, now)
    }

    /// As [`Pace::give_back`], of one key.
    pub fn give_back(&mut self, key: &K, amount: u32) {
        if let Some(pace) = self.of.get_mut(key).or(self.others.as_mut()) {
            pace.give_back(amount);
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::per_second(10, 2);
    const LONG: Duration = Duration::from_secs(5);

    #[test]
    fn a_burst_goes_at_once_then_each_waits_its_turn_and_too_many_are_refused() {
        let now = Instant::now();
        let mut pace = Pace::new(RATE, now);
        for _ in 0..10 {
            assert_eq!(pace.take(1, LONG, now), Ok(Duration::ZERO));
        }
        assert_eq!(pace.take(1, LONG, now), Ok(Duration::from_millis(500)));
        assert_eq!(pace.take(1, LONG, now), Ok(Duration::from_secs(1)));
        assert_eq!(pace.take(100, LONG, now), Err(TooFast { wait: Duration::from_secs(51) }));
        // What was refused has taken nothing.
        assert_eq!(pace.take(1, LONG, now), Ok(Duration::from_millis(1500)));
        assert!(!pace.is_rested(now + Duration::from_secs(6)));
        assert!(pace.is_rested(now + Duration::from_secs(7)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_nothing_beyond() {
        let now = Instant::now();
        let mut paces = Paces::new(RATE, 1);
        assert_eq!(paces.take("keeps its place", 1, Duration::ZERO, now), Ok(Duration::ZERO));
        for (key, left) in [("keeps its place", 9), ("has no place", 10)] {
            for _ in 0..2 {
                assert_eq!(paces.take(key, left, Duration::ZERO, now), Ok(Duration::ZERO));
                assert!(paces.take(key, 1, Duration::ZERO, now).is_err());
                paces.give_back(&key, left);
            }
            paces.give_back(&key, 100);
            assert!(paces.take(key, 11, Duration::ZERO, now).is_err());
            assert_eq!(paces.take(key, 10, Duration::ZERO, now), Ok(Duration::ZERO));
        }
        paces.give_back(&"nobody", 1);
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::new(RATE, now);
        assert_eq!(pace.take(10, LONG, now), Ok(Duration::ZERO));
        assert_eq!(pace.take(2, LONG, now - Duration::from_secs(30)), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn one_key_costs_no_other_and_keys_without_number_cost_no_memory() {
        let now = Instant::now();
        let mut paces = Paces::new(RATE, 3);
        for _ in 0..10 {
            assert_eq!(paces.take("a", 1, LONG, now), Ok(Duration::ZERO));
        }
        assert!(paces.take("a", 1, Duration::ZERO, now).is_err());
        assert_eq!(paces.take("b", 1, LONG, now), Ok(Duration::ZERO));
        assert_eq!(paces.take("c", 1, LONG, now), Ok(Duration::ZERO));
        for other in ["d", "e"] {
            assert_eq!(paces.take(other, 5, Duration::ZERO, now), Ok(Duration::ZERO));
        }
        assert!(paces.take("f", 1, Duration::ZERO, now).is_err(), "those without a place share one");
        assert_eq!(paces.len(), 3);
        // Who is rested gives its place away; who is not keeps it.
        assert_eq!(paces.take("f", 1, Duration::ZERO, now + Duration::from_secs(1)), Ok(Duration::ZERO));
        assert!(paces.take("a", 9, Duration::ZERO, now + Duration::from_secs(1)).is_err());
    }
}
