//! Whether the clock is believed, by which the age of recordings is counted. Pure: the time comes in.
//!
//! ```text
//!   looked at: wall clock, and the time that has passed since ─► as far apart as before? ─► believed
//!   the last look of the run before ───────────────────────────┘ more than a day off, or never looked at: not for a day
//! ```
//!
//! # Invariants
//!
//! - A clock that is set on by years makes nothing due within a day of it, in this run or in one after it. Within that day somebody may set
//!   it right, or have recordings kept.
//! - Who deletes for the first time, or for the first time since long, does so a day later at the earliest: what became due where nobody
//!   saw until when it is kept, as while access was open, is seen beforehand.
//! - A program that was just started deletes nothing, whatever the time is said to be: its clock may be set in these minutes.
//! - A clock that goes on evenly is believed in the end, also one that stood for long: the program did not run, or the machine slept.

use std::time::{Duration, Instant};

use reelroom_accounts::Now;
use reelroom_limits::rooms::{RETENTION_AFTER_START, RETENTION_CLOCK_MOVES};
use reelroom_rooms::RetentionClock;

const MOVES_MS: i64 = RETENTION_CLOCK_MOVES.as_millis() as i64;

/// What comes of looking at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is believed.
    Believed,
    /// The program has just been started.
    TooEarly,
    /// It has moved or is a new one, and is not believed before then: Unix milliseconds.
    Doubted { until_ms: i64 },
}

/// What is known of the clock.
pub(super) struct Caution {
    begun: Instant,
    /// The last look of this run.
    last: Option<Now>,
    /// Unix milliseconds: the last look of the run before.
    seen_ms: Option<i64>,
    /// Unix milliseconds: when it was found to have moved, or was looked at for the first time.
    doubted_ms: Option<i64>,
    has_moved: bool,
}

impl Caution {
    /// With what the run before knew.
    pub(super) fn begin(known: Option<RetentionClock>, now: Now) -> Self {
        Self {
            begun: now.at,
            last: None,
            seen_ms: known.map(|known| known.seen_ms),
            doubted_ms: known.map_or(Some(now.unix_ms), |known| known.doubted_ms),
            has_moved: false,
        }
    }

    pub(super) fn look(&mut self, now: Now) -> Verdict {
        // Of the time between two runs nothing is known: that it was none is as good as anything.
        let expected_ms = match self.last {
            Some(last) => Some(last.unix_ms.saturating_add(ms(now.at.saturating_duration_since(last.at)))),
            None => self.seen_ms,
        };
        let is_off = |expected_ms: i64| now.unix_ms.abs_diff(expected_ms) > MOVES_MS.unsigned_abs();
        self.has_moved = expected_ms.is_some_and(is_off);
        if self.has_moved {
            self.doubted_ms = Some(now.unix_ms);
        }
        self.last = Some(now);
        let until_ms = self.doubted_ms.map(|at_ms| at_ms.saturating_add(MOVES_MS));
        match until_ms.filter(|until_ms| now.unix_ms < *until_ms) {
            Some(until_ms) => Verdict::Doubted { until_ms },
            None if now.at.saturating_duration_since(self.begun) < RETENTION_AFTER_START => Verdict::TooEarly,
            None => Verdict::Believed,
        }
    }

    /// Whether it had moved when it was looked at last.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// What the next run has to know.
    pub(super) fn clock(&self) -> Option<RetentionClock> {
        let seen_ms = self.last.map(|last| last.unix_ms).or(self.seen_ms)?;
        Some(RetentionClock { seen_ms, doubted_ms: self.doubted_ms })
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 60 * 60 * 1000;
    const DAY: i64 = 24 * HOUR;
    const YEARS: i64 = 10 * 365 * DAY;

    /// A machine: how long it has run, and what its clock says.
    struct Machine {
        booted: Instant,
        ran_ms: i64,
        clock_ms: i64,
    }

    impl Machine {
        fn new() -> Self {
            Self { booted: Instant::now(), ran_ms: 0, clock_ms: NOW }
        }

        fn run(&mut self, for_ms: i64) -> Now {
            self.ran_ms += for_ms;
            self.clock_ms += for_ms;
            self.now()
        }

        fn now(&self) -> Now {
            let at = self.booted + Duration::from_millis(self.ran_ms.unsigned_abs());
            Now { at, unix_ms: self.clock_ms }
        }
    }

    /// As after the first start, a day later.
    fn begun(machine: &mut Machine) -> Caution {
        let mut caution = Caution::begin(None, machine.now());
        let until_ms = machine.clock_ms + DAY;
        assert_eq!(caution.look(machine.now()), Verdict::Doubted { until_ms });
        assert!(!caution.has_moved());
        assert_eq!(caution.look(machine.run(DAY - 1)), Verdict::Doubted { until_ms });
        assert_eq!(caution.look(machine.run(1)), Verdict::Believed);
        caution
    }

    #[test]
    fn a_start_with_a_clock_that_is_known_waits_for_an_hour() {
        let mut machine = Machine::new();
        let known = begun(&mut machine).clock();
        let mut caution = Caution::begin(known, machine.now());
        assert_eq!(caution.look(machine.now()), Verdict::TooEarly);
        assert_eq!(caution.look(machine.run(HOUR - 1)), Verdict::TooEarly);
        assert_eq!(caution.look(machine.run(1)), Verdict::Believed);
    }

    #[test]
    fn a_clock_that_moves_is_not_believed_for_a_day_whichever_way_it_moved() {
        for moved_ms in [YEARS, -YEARS, DAY + 1, -DAY - 1] {
            let mut machine = Machine::new();
            let mut caution = begun(&mut machine);
            machine.clock_ms += moved_ms;
            let until_ms = machine.clock_ms + DAY;
            assert_eq!(caution.look(machine.now()), Verdict::Doubted { until_ms });
            assert!(caution.has_moved());
            assert_eq!(caution.look(machine.run(DAY - 1)), Verdict::Doubted { until_ms });
            assert!(!caution.has_moved());
            assert_eq!(caution.look(machine.run(1)), Verdict::Believed, "it goes on evenly");
        }
        let mut machine = Machine::new();
        let mut caution = begun(&mut machine);
        for moved_ms in [HOUR, -HOUR, DAY, -DAY] {
            machine.clock_ms += moved_ms;
            assert_eq!(caution.look(machine.now()), Verdict::Believed, "{moved_ms}");
        }
        assert_eq!(caution.look(machine.run(100 * DAY)), Verdict::Believed, "nobody looked for long");
    }

    #[test]
    fn a_clock_that_moved_while_nothing_ran_is_not_believed_for_a_day_of_its_own() {
        let mut machine = Machine::new();
        let mut known = begun(&mut machine).clock();
        // It is on for eight hours a day, and was off for two weeks.
        machine.clock_ms += 14 * DAY;
        let mut verdicts = Vec::new();
        for _ in 0..3 {
            let mut caution = Caution::begin(known, machine.now());
            verdicts.push(caution.look(machine.now()));
            verdicts.push(caution.look(machine.run(8 * HOUR)));
            known = caution.clock();
            machine.clock_ms += 16 * HOUR;
        }
        let until_ms = NOW + 16 * DAY;
        let doubted = Verdict::Doubted { until_ms };
        use Verdict::{Believed, TooEarly};
        assert_eq!(verdicts, [doubted, doubted, TooEarly, Believed, TooEarly, Believed]);
    }

    #[test]
    fn a_start_with_a_clock_that_is_years_on_does_not_believe_it_either_and_starting_again_changes_nothing() {
        let mut machine = Machine::new();
        let mut known = begun(&mut machine).clock();
        machine.clock_ms += YEARS;
        let until_ms = machine.clock_ms + DAY;
        for _ in 0..3 {
            let mut caution = Caution::begin(known, machine.now());
            assert_eq!(caution.look(machine.now()), Verdict::Doubted { until_ms });
            assert_eq!(caution.look(machine.run(2 * HOUR)), Verdict::Doubted { until_ms });
            known = caution.clock();
        }
        // It is set right.
        machine.clock_ms -= YEARS;
        let mut caution = Caution::begin(known, machine.now());
        let until_ms = machine.clock_ms + DAY;
        assert_eq!(caution.look(machine.now()), Verdict::Doubted { until_ms });
        assert_eq!(caution.look(machine.run(DAY)), Verdict::Believed);
    }
}
