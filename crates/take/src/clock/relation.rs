//! How the media time of pictures stands to that of their sound, as far as reports can be believed. Pure.
//!
//! ```text
//!  what reports say of pictures and sound  ------.   the same, or as far away as sound and pictures came to arrive: followed
//!                                                 '---  away from what arrives, while what arrives is as before: a lie
//! ```
//!
//! A sender's two media clocks stand to each other as they began. When its reports say otherwise, either the media changed, which shows in
//! what arrives, or the reports are wrong: what was known stands, unless what is said now is much nearer to the arrivals.

/// Reports may differ by so much from what was known, ...
const TOLERATED_NS: i128 = 30_000_000;
/// ... and by one part in so many of the time since: clocks drift.
const DRIFT: i128 = 500;
/// Arrivals tell the distance of sound and pictures only as exactly as this.
const ARRIVAL_NS: i128 = 60_000_000;
/// Whoever contradicts what was known has to be nearer to the arrivals by this much.
const NEARER_NS: i128 = 200_000_000;

/// What is said of pictures and their sound at a time, both to be added to the pictures' media time to have the sound's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// By the reports of both.
    pub(super) relation_ns: i128,
    /// By the arrivals of both: off by how much longer the pictures are under way.
    pub(super) by_arrival_ns: i128,
}

impl Told {
    /// How much longer pictures are under way, if the reports are right.
    fn delay_ns(&self) -> i128 {
        self.relation_ns - self.by_arrival_ns
    }
}

/// What is believed.
#[derive(Debug)]
pub(super) struct Relation {
    since_ns: u64,
    first: Told,
    ns: i128,
}

impl Relation {
    /// What reports say when nothing is known yet, or no more.
    pub(super) fn new(now_ns: u64, told: Told) -> Self {
        Self { since_ns: now_ns, first: told, ns: told.relation_ns }
    }

    /// What is to be added to the pictures' media time to have the sound's.
    pub(super) fn ns(&self) -> i128 {
        self.ns
    }

    /// Takes what reports say now; whether it is believed.
    pub(super) fn tell(&mut self, now_ns: u64, told: Told) -> bool {
        let passed_ns = i128::from(now_ns.saturating_sub(self.since_ns));
        let drift_ns = TOLERATED_NS + passed_ns / DRIFT;
        let is_as_before = (told.relation_ns - self.first.relation_ns).abs() <= drift_ns;
        let is_seen = (told.delay_ns() - self.first.delay_ns()).abs() <= ARRIVAL_NS;
        if is_as_before || is_seen {
            self.ns = told.relation_ns;
            return true;
        }
        let known_ns = self.ns - told.by_arrival_ns;
        let is_nearer = told.delay_ns().abs() + NEARER_NS < known_ns.abs();
        if is_nearer {
            *self = Self::new(now_ns, told);
        }
        is_nearer
    }
}
