//! The time: tokens, certificates and the signatures of buckets are believed by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::line::{Check, Line};
use crate::trouble::troubles;

const YEAR: u64 = 31_556_952;
/// This program is not older.
const FIRST_YEAR: u64 = 2025;
const LAST_YEAR: u64 = 2100;
/// LiveKit's servers and browsers forgive less than buckets do, which forgive a quarter of an hour.
const SKEW: Duration = Duration::from_secs(60);
const MUCH_SKEW: Duration = Duration::from_secs(300);
/// While doctor runs.
const JUMP: Duration = Duration::from_secs(1);

troubles! { Clock:
    IMPLAUSIBLE = Bad "clock-implausible",
        "The clock says a year that cannot be: certificates, tokens and links are all refused.",
        "Set the clock with `timedatectl set-ntp true`, and see that the machine has a battery or a network when it starts.";
    WRONG = Bad "clock-wrong",
        "The clock is more than five minutes off that of another server: tokens, links and the signatures of buckets are refused.",
        "Set the clock with `timedatectl set-ntp true`; in a container set that of the host.";
    OFF = Warn "clock-off",
        "The clock is more than a minute off that of another server.",
        "Set the clock with `timedatectl set-ntp true`; in a container set that of the host.";
    FREE = Warn "clock-unsynchronised",
        "Nothing keeps the clock right: it drifts until tokens and certificates are refused.",
        "Run `timedatectl set-ntp true`, or install chrony.";
    JUMPS = Warn "clock-jumps",
        "The clock was set while doctor ran.",
        "See that one program alone sets the clock (`timedatectl`, chrony, or the host of a virtual machine).";
}

/// What is known of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockFacts {
    /// What it says.
    pub now: SystemTime,
    /// Whether the system says that it is kept right; none where it does not say.
    pub is_synchronised: Option<bool>,
    /// By how much it moved against one that cannot be set, while doctor ran.
    pub jumped: Duration,
    /// What other servers say, and when that was heard by this clock.
    pub others: Vec<Other>,
}

/// The clock of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Whose.
    pub of: String,
    /// What it says, to the second.
    pub says: SystemTime,
    /// What this machine's said then.
    pub heard: SystemTime,
}

/// The verdict.
#[must_use]
pub fn check(facts: &ClockFacts) -> Vec<Line> {
    let since = facts.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let year = 1970 + since / YEAR;
    if !(FIRST_YEAR..LAST_YEAR).contains(&year) {
        return vec![IMPLAUSIBLE.said(format!("it says the year {year}"))];
    }
    let mut lines = vec![match facts.is_synchronised {
        Some(true) => Line::ok(Check::Clock, "it is kept right by the network"),
        Some(false) => FREE.said("nothing keeps it right"),
        None => Line::ok(Check::Clock, "this machine does not say whether it is kept right"),
    }];
    lines.extend(facts.others.iter().map(compared));
    if facts.jumped > JUMP {
        lines.push(JUMPS.said(format!("it was moved by {} s meanwhile", facts.jumped.as_secs())));
    }
    lines
}

fn compared(other: &Other) -> Line {
    let skew = other.says.duration_since(other.heard).unwrap_or_else(|behind| behind.duration());
    let said = format!("it and that of {} are {} s apart", other.of, skew.as_secs());
    match skew {
        skew if skew > MUCH_SKEW => WRONG.said(said),
        skew if skew > SKEW => OFF.said(said),
        _ => Line::ok(Check::Clock, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(year: u64) -> ClockFacts {
        let now = UNIX_EPOCH + Duration::from_secs((year - 1970) * YEAR + YEAR / 2);
        ClockFacts { now, is_synchronised: Some(true), jumped: Duration::ZERO, others: Vec::new() }
    }

    fn codes(facts: &ClockFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn the_year_has_to_be_one_of_this_programs() {
        assert!(codes(&facts(2030)).is_empty());
        assert_eq!(codes(&facts(1970)), ["clock-implausible"]);
        assert_eq!(codes(&facts(2170)), ["clock-implausible"]);
    }

    #[test]
    fn it_is_compared_in_both_directions() {
        let of = |seconds: i64| {
            let mut facts = facts(2030);
            let by = Duration::from_secs(seconds.unsigned_abs());
            let says = if seconds < 0 { facts.now - by } else { facts.now + by };
            facts.others.push(Other { of: "s3.example.org".into(), says, heard: facts.now });
            codes(&facts)
        };
        assert!(of(0).is_empty() && of(-30).is_empty());
        assert_eq!(of(120), ["clock-off"]);
        assert_eq!(of(-120), ["clock-off"]);
        assert_eq!(of(3600), ["clock-wrong"]);
        assert_eq!(of(-3600), ["clock-wrong"]);
    }

    #[test]
    fn a_clock_that_nobody_keeps_right_or_that_jumps_is_told() {
        assert_eq!(
            codes(&ClockFacts { is_synchronised: Some(false), ..facts(2030) }),
            ["clock-unsynchronised"]
        );
        assert!(codes(&ClockFacts { is_synchronised: None, ..facts(2030) }).is_empty());
        assert_eq!(codes(&ClockFacts { jumped: Duration::from_secs(9), ..facts(2030) }), ["clock-jumps"]);
    }
}
