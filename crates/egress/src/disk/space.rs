//! How much room the disk has, and a look ahead. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back the forecast looks.
const WINDOW: Duration = Duration::from_secs(30);
/// A shorter look says nothing.
const MIN_WINDOW: Duration = Duration::from_secs(5);
/// With less time than this left the disk is low.
const LOW: Duration = Duration::from_secs(15 * 60);

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Plenty,
    /// At the present pace recordings have to end after these minutes.
    Low {
        minutes: u64,
    },
    /// No more than the reserve is left.
    Full {
        free_bytes: u64,
        reserve_bytes: u64,
    },
    /// It takes nothing at present.
    Stuck,
}

impl Space {
    /// Recordings have to end.
    pub(crate) fn is_full(self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Why no recording can begin.
    pub(crate) fn refusal(self) -> Option<String> {
        match self {
            Self::Full { free_bytes, reserve_bytes } => Some(format!(
                "the recorder's disk has {} MB left, and {} MB of it are kept free (disk_reserve): delete something first",
                free_bytes / 1_000_000,
                reserve_bytes / 1_000_000
            )),
            Self::Stuck => {
                Some("the recorder's disk takes nothing at present: look at it, then try again".into())
            }
            Self::Plenty | Self::Low { .. } => None,
        }
    }

    /// What a running recording has to say of it.
    pub(crate) fn warning(self) -> Option<String> {
        match self {
            Self::Low { minutes } => Some(format!("the recorder's disk is full in about {minutes} minutes")),
            Self::Stuck => Some(
                "the recorder's disk takes nothing at present: what comes is kept in memory for a while"
                    .into(),
            ),
            Self::Plenty | Self::Full { .. } => None,
        }
    }
}

/// Looks ahead from how much was free and when. Pure.
#[derive(Default)]
pub(crate) struct Forecast {
    samples: VecDeque<(Instant, u64)>,
}

impl Forecast {
    pub(crate) fn look(&mut self, now: Instant, free_bytes: u64, reserve_bytes: u64) -> Space {
        self.samples.push_back((now, free_bytes));
        while self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
        if free_bytes <= reserve_bytes {
            return Space::Full { free_bytes, reserve_bytes };
        }
        let Some((since, before)) = self.samples.front().copied() else { return Space::Plenty };
        let passed = now.saturating_duration_since(since);
        let used = before.saturating_sub(free_bytes);
        if passed < MIN_WINDOW || used == 0 {
            return Space::Plenty;
        }
        let left_s = (free_bytes - reserve_bytes) as f64 / (used as f64 / passed.as_secs_f64());
        if left_s < LOW.as_secs_f64() {
            Space::Low { minutes: (left_s / 60.0).ceil() as u64 }
        } else {
            Space::Plenty
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn a_disk_that_fills_up_is_low_and_then_full() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut forecast = Forecast::default();
        assert_eq!(forecast.look(at(0), 10 * GB, GB), Space::Plenty);
        assert_eq!(forecast.look(at(1), 9 * GB, GB), Space::Plenty, "a moment says nothing");
        assert_eq!(forecast.look(at(10), 9 * GB, GB), Space::Low { minutes: 2 });
        assert_eq!(forecast.look(at(41), 9 * GB, GB), Space::Plenty, "nothing is written any more");
        let full = forecast.look(at(42), GB, GB);
        assert_eq!(full, Space::Full { free_bytes: GB, reserve_bytes: GB });
        assert!(full.refusal().unwrap().contains("1000 MB"));
        assert_eq!(forecast.look(at(80), 5 * GB, GB), Space::Plenty);
    }

    #[test]
    fn slow_writing_on_a_large_disk_is_no_trouble() {
        let began = Instant::now();
        let mut forecast = Forecast::default();
        for second in 0..100 {
            let free = 100 * GB - second * 1_000_000;
            assert_eq!(forecast.look(began + Duration::from_secs(second), free, GB), Space::Plenty);
        }
    }
}
