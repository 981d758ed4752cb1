//! The clock.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::printed;
use crate::checks::clock::{ClockFacts, Other};

/// systemd's own keeper of the time leaves this file behind when it has set the clock.
const SET_BY_SYSTEMD: &str = "/run/systemd/timesync/synchronized";

/// When doctor began, by two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    wall: SystemTime,
    steady: Instant,
}

impl Began {
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }
}

/// Looks.
pub(crate) fn probe(began: Began, others: Vec<Other>) -> ClockFacts {
    let now = SystemTime::now();
    let expected = began.wall + began.steady.elapsed();
    let jumped = now.duration_since(expected).unwrap_or_else(|behind| behind.duration());
    ClockFacts { now, is_synchronised: is_synchronised(), jumped: rounded(jumped), others }
}

/// The two are not read at the same moment.
fn rounded(jumped: Duration) -> Duration {
    if jumped < Duration::from_millis(500) { Duration::ZERO } else { jumped }
}

fn is_synchronised() -> Option<bool> {
    if Path::new(SET_BY_SYSTEMD).exists() {
        return Some(true);
    }
    // It asks the kernel, whoever keeps the clock.
    match printed("timedatectl", &["show", "--property=NTPSynchronized", "--value"])?.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
