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
/// Whoever contradicts what was said twice has to be nearer to the arrivals by this much.
const NEARER_NS: i128 = 200_000_000;

/// What the wall clock of a sender is more than its media time, by the reports of one track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) offset_ns: i128,
    /// It was said twice.
    pub(super) is_confirmed: bool,
}

/// What is said of pictures and their sound at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) pictures: Word,
    pub(super) sound: Word,
    /// What is to be added to the pictures' media time to have the sound's, by the arrivals of both: it is off by how much longer one of them is
    /// under way.
    pub(super) by_arrival_ns: i128,
}

impl Told {
    /// What is to be added to the pictures' media time to have the sound's.
    fn relation_ns(&self) -> i128 {
        self.pictures.offset_ns - self.sound.offset_ns
    }

    /// How much later than by their arrival pictures belong.
    fn correction_ns(&self) -> i128 {
        self.relation_ns() - self.by_arrival_ns
    }

    fn is_confirmed(&self) -> bool {
        self.pictures.is_confirmed && self.sound.is_confirmed
    }
}

/// What is believed.
#[derive(Debug)]
pub(super) struct Relation {
    since_ns: u64,
    first: Told,
    /// What was believed last; a track that says it again confirms its word here.
    last: Told,
}

impl Relation {
    /// What reports say when nothing is known yet, or no more.
    pub(super) fn new(now_ns: u64, told: Told) -> Self {
        Self { since_ns: now_ns, first: told, last: told }
    }

    /// What is to be added to the pictures' media time to have the sound's.
    pub(super) fn ns(&self) -> i128 {
        self.last.relation_ns()
    }

    /// Both tracks said so twice.
    pub(super) fn is_confirmed(&self) -> bool {
        self.last.is_confirmed()
    }

    /// Takes what reports say now; whether it is believed.
    pub(super) fn tell(&mut self, now_ns: u64, told: Told) -> bool {
        let passed_ns = i128::from(now_ns.saturating_sub(self.since_ns));
        let is_near =
            |one_ns: i128, other_ns: i128| (one_ns - other_ns).abs() <= TOLERATED_NS + passed_ns / DRIFT;
        let is_seen = (told.correction_ns() - self.first.correction_ns()).abs() <= ARRIVAL_NS;
        if is_near(told.relation_ns(), self.first.relation_ns()) || is_seen {
            self.last = told;
            return true;
        }
        // A track that says what it said confirms its word of before.
        for (known, word) in [(&mut self.last.pictures, told.pictures), (&mut self.last.sound, told.sound)] {
            known.is_confirmed |= word.is_confirmed && is_near(word.offset_ns, known.offset_ns);
        }
        if !told.is_confirmed() {
            return false;
        }
        let known_ns = (self.ns() - told.by_arrival_ns).abs();
        let told_ns = told.correction_ns().abs();
        let is_better = match self.is_confirmed() {
            true => told_ns + NEARER_NS < known_ns,
            false => told_ns <= known_ns + ARRIVAL_NS,
        };
        if is_better {
            *self = Self::new(now_ns, told);
        }
        is_better
    }
}
