//! What a sender's reports say, as far as it can be believed. Pure.
//!
//! ```text
//!  wall clock minus media time   ----------  believed
//!                                     '      disbelieved: it is alone
//!                                  ______    believed from the second one on: the sender's clock was set
//! ```
//!
//! Before two agree, nobody knows which one lies: the first is believed until another contradicts it.

use super::relation::Word;

/// Two reports may differ by so much, ...
const TOLERATED_NS: i128 = 30_000_000;
/// ... and by one part in so many of the time between them.
const DRIFT: i128 = 500;
/// Reports and arrivals may disagree so much about where pictures belong.
const MAX_CORRECTION_NS: i64 = 500_000_000;

/// Whether pictures may belong so much later than by their arrival.
pub(super) fn is_plausible(correction_ns: i64) -> bool {
    correction_ns.abs() <= MAX_CORRECTION_NS
}

/// A segment's sender reports.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// How many there were.
    pub(super) read: u64,
    /// How many of these were not believed.
    pub(super) disbelieved: u64,
    believed: Option<Report>,
    /// Another one agreed with it.
    is_confirmed: bool,
    disputed: Option<Report>,
    /// What was told before may not hold any more.
    doubted_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    at_ns: u64,
    /// The sender's wall clock minus media time.
    offset_ns: i128,
}

impl Report {
    fn agrees(&self, with: &Self) -> bool {
        let passed_ns = i128::from(with.at_ns.abs_diff(self.at_ns));
        (self.offset_ns - with.offset_ns).abs() <= TOLERATED_NS + passed_ns / DRIFT
    }
}

impl Reports {
    /// Takes what a report says; says whether the sender's clock was set.
    pub(super) fn tell(&mut self, at_ns: u64, offset_ns: i128) -> bool {
        let new = Report { at_ns, offset_ns };
        let agrees = |old: Option<Report>| old.is_some_and(|old| old.agrees(&new));
        let is_first = self.believed.is_none() && self.disputed.is_none();
        if is_first || self.doubted_ns.is_some() || agrees(self.believed) {
            self.is_confirmed |= agrees(self.believed);
            (self.believed, self.disputed, self.doubted_ns) = (Some(new), None, None);
            return false;
        }
        if agrees(self.disputed) {
            let was_set = self.believed.is_some();
            (self.believed, self.disputed, self.is_confirmed) = (Some(new), None, true);
            return was_set;
        }
        if !self.is_confirmed {
            self.believed = None;
        }
        self.disputed = Some(new);
        self.disbelieved += 1;
        false
    }

    /// What these reports say was said at least twice.
    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Something happened at `at_ns` that may have changed what reports say: only what comes later counts.
    pub(super) fn doubt(&mut self, at_ns: u64) {
        if self.believed.is_some_and(|report| report.at_ns <= at_ns) {
            self.doubted_ns = Some(at_ns);
        }
    }

    /// The sender's wall clock minus media time, if it is known.
    pub(super) fn offset_ns(&self) -> Option<i128> {
        self.believed.filter(|_| self.doubted_ns.is_none()).map(|report| report.offset_ns)
    }

    /// The same, with whether it was said twice.
    pub(super) fn word(&self) -> Option<Word> {
        Some(Word { offset_ns: self.offset_ns()?, is_confirmed: self.is_confirmed })
    }
}
