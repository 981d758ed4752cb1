//! A recording of itself: known pictures and tones, taken, composed, and looked at in the file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::line::{Check, Line};
use crate::trouble::troubles;

/// Sound and picture of one moment may be so far apart; more than that people notice.
const APART_MS: i64 = 100;

troubles! { Recording:
    NOT_TRIED = Warn "recording-not-tried",
        "No recording was tried, for something that it needs is missing.",
        "Mend what the lines above say of the data folder and of codecs, and run `reelroom doctor` again.";
    NOT_MADE = Bad "recording-not-made",
        "No recording could be made, composed or read.",
        "Look at what the line says; `GST_DEBUG=3 reelroom doctor` says more of GStreamer.";
    WRONG = Bad "recording-wrong",
        "A recording was made, and it does not show or sound as it should.",
        "Compare the versions of GStreamer's packages (`dpkg -l 'gstreamer1.0-*'`), take plugins of other origins out of GST_PLUGIN_PATH, and tell \
         whoever makes Reelroom what the line says.";
    APART = Bad "recording-apart",
        "In a recording, sound and picture of one moment are more than 100 ms apart.",
        "Compare the versions of GStreamer's packages (`dpkg -l 'gstreamer1.0-*'`), and tell whoever makes Reelroom what the line says.";
    SLOW = Warn "recording-slow",
        "This machine composes more slowly than people speak: recordings are whole, and finished some time after the call.",
        "Give the machine more or faster processors, or expect to wait; nothing of a recording is lost by it.";
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordingFacts {
    /// It was not wanted.
    Skipped,
    /// What it needs is missing.
    NotTried,
    /// A step failed.
    Failed {
        /// Which step, in words behind "it".
        step: &'static str,
        /// Why.
        reason: String,
    },
    /// It was made and looked at.
    Made(Made),
}

/// A recording that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// What was seen and heard.
    pub seen: Seen,
    /// From the first picture that was coded to the last that was looked at.
    pub took: Duration,
    /// Seconds of a recording of two people that are composed in a second.
    pub pace: f64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What is to be seen and heard in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its length, seconds.
    pub seconds: f64,
    /// What is not as it should be, a sentence each.
    pub wrong: Vec<String>,
    /// How much later a sound is heard than the picture of the same moment is seen, milliseconds.
    pub sound_later_ms: Option<i64>,
}

/// The verdict.
#[must_use]
pub fn check(facts: &RecordingFacts) -> Vec<Line> {
    let made = match facts {
        RecordingFacts::Skipped => return vec![Line::ok(Check::Recording, "left out (--quick)")],
        RecordingFacts::NotTried => return vec![NOT_TRIED.said("not tried")],
        RecordingFacts::Failed { step, reason } => {
            return vec![NOT_MADE.said(format!("it {step}: {reason}"))];
        }
        RecordingFacts::Made(made) => made,
    };
    let mut lines: Vec<Line> = made.seen.wrong.iter().map(|wrong| WRONG.said(wrong)).collect();
    let later_ms = made.seen.sound_later_ms;
    match later_ms {
        Some(later_ms) if later_ms.abs() > APART_MS => {
            lines.push(APART.said(format!("sound comes {later_ms} ms later than its picture")));
        }
        None if lines.is_empty() => {
            lines.push(WRONG.said("no moment could be found that is both seen and heard"))
        }
        _ => {}
    }
    if lines.is_empty() {
        let said = format!(
            "{:.0} s of two people were recorded, composed and looked at in {:.1} s: pictures, sound and their time are right ({} ms apart)",
            made.seen.seconds,
            made.took.as_secs_f64(),
            later_ms.unwrap_or_default().abs(),
        );
        lines.push(Line::ok(Check::Recording, said));
    }
    lines.push(pace(made.pace));
    lines
}

fn pace(pace: f64) -> Line {
    if pace < 1.0 {
        return SLOW.said(format!("a second of a recording is composed in {:.1} s", 1.0 / pace.max(0.01)));
    }
    let at_once = pace.floor();
    let calls = if at_once < 2.0 { "1 recording".to_owned() } else { format!("{at_once} recordings") };
    let said = format!(
        "this machine composes {pace:.1} times as fast as people speak: {calls} at once while they run, and any number afterwards"
    );
    Line::ok(Check::Recording, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Made {
        Made {
            seen: Seen { seconds: 6.0, wrong: Vec::new(), sound_later_ms: Some(-12) },
            took: Duration::from_millis(4200),
            pace: 3.4,
            bytes: 400_000,
        }
    }

    fn codes(facts: &RecordingFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn a_right_recording_says_how_many_fit() {
        let lines = check(&RecordingFacts::Made(made()));
        assert!(lines[0].said.contains("in 4.2 s") && lines[0].said.contains("(12 ms apart)"), "{lines:?}");
        assert!(
            lines[1].said.contains("3.4 times") && lines[1].said.contains("3 recordings at once"),
            "{lines:?}"
        );
        let one = check(&RecordingFacts::Made(Made { pace: 1.4, ..made() }));
        assert!(one[1].said.contains("1 recording at once"), "{one:?}");
    }

    #[test]
    fn what_is_wrong_is_told_and_not_called_right() {
        let seen = |seen: Seen| codes(&RecordingFacts::Made(Made { seen, ..made() }));
        let wrong = vec!["at 0.5 s the left half is blue and not red".to_owned()];
        assert_eq!(seen(Seen { wrong, ..made().seen }), ["recording-wrong"]);
        assert_eq!(seen(Seen { sound_later_ms: Some(-140), ..made().seen }), ["recording-apart"]);
        assert_eq!(seen(Seen { sound_later_ms: None, ..made().seen }), ["recording-wrong"]);
        assert_eq!(codes(&RecordingFacts::Made(Made { pace: 0.5, ..made() })), ["recording-slow"]);
    }

    #[test]
    fn what_was_not_made_is_not_called_well() {
        assert!(codes(&RecordingFacts::Skipped).is_empty());
        assert_eq!(codes(&RecordingFacts::NotTried), ["recording-not-tried"]);
        let failed =
            RecordingFacts::Failed { step: "could not be composed", reason: "the disk is full".into() };
        assert_eq!(codes(&failed), ["recording-not-made"]);
    }
}
