//! A recording as its room is told of it. Pure.

use reelroom_limits::events::ROOM_STATE_ERROR_BYTES;
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::{EgressInfo, EgressStatus};

use crate::egress;

/// What a room is told of a recording of which the server gives no other reason.
const NOTHING: &str = "nothing was recorded";

/// How far a recording is, in the order in which that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Starting,
    Recording,
    Finishing,
    Complete,
    Failed,
    /// Nothing came of it, and no list has it.
    Nothing,
}

impl Stage {
    fn of(status: EgressStatus) -> Self {
        match status {
            EgressStatus::EgressStarting => Self::Starting,
            EgressStatus::EgressActive => Self::Recording,
            EgressStatus::EgressEnding => Self::Finishing,
            // It ended early, and its file is there.
            EgressStatus::EgressComplete | EgressStatus::EgressLimitReached => Self::Complete,
            EgressStatus::EgressFailed => Self::Failed,
            EgressStatus::EgressAborted => Self::Nothing,
        }
    }

    /// Whether nothing more comes of it.
    pub(super) fn is_over(self) -> bool {
        self >= Self::Complete
    }

    /// Whether a list has it until somebody deletes it.
    pub(super) fn is_listed_for_good(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// In the words of OpenVidu's tutorial.
    pub(super) fn recording_status(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Recording => "STARTED",
            Self::Finishing => "STOPPING",
            Self::Complete => "STOPPED",
            Self::Failed | Self::Nothing => "FAILED",
        }
    }

    /// As the list says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recording => "recording",
            Self::Finishing => "finishing",
            Self::Complete => "complete",
            Self::Failed | Self::Nothing => "failed",
        }
    }
}

/// A recording of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The egress id.
    pub(super) id: String,
    /// Of the session of the room; empty where it is not known.
    pub(super) room_id: String,
    pub(super) stage: Stage,
    /// Unix milliseconds; 0 where it is not known.
    pub(super) started_at_ms: i64,
    /// How much of its file there is, while it is being finished.
    pub(super) percent: Option<u8>,
    /// Why it failed or ended early, or what troubles it.
    pub(super) error: Option<String>,
}

impl Recorded {
    /// What the server says of a recording of a room; `None` for what is of none.
    pub(super) fn of(info: &EgressInfo) -> Option<(RoomName, Self)> {
        if info.room_name.is_empty() || info.egress_id.is_empty() {
            return None;
        }
        let stage = Stage::of(info.status());
        let is_without_reason = stage == Stage::Nothing && info.error.is_empty();
        let error = if is_without_reason { NOTHING } else { info.error.as_str() };
        let percent = egress::finished(info).map(|progress| (progress * 100.0) as u8);
        let recorded = Self {
            id: info.egress_id.clone(),
            room_id: info.room_id.clone(),
            stage,
            started_at_ms: info.started_at / 1_000_000,
            percent,
            error: (!error.is_empty()).then(|| shortened(error).to_owned()),
        };
        Some((RoomName::from(info.room_name.as_str()), recorded))
    }

    /// Whether it is of that session of its room, as far as is known.
    pub(super) fn is_of(&self, room_id: &str) -> bool {
        self.room_id.is_empty() || self.room_id == room_id
    }
}

/// The one of a session's recordings that its room is told of: what is captured goes before what is not, and of those that are over the last
/// counts. `recorded` is in the order in which they got where they are.
pub(super) fn leading<'a>(recorded: &'a [Recorded], room_id: &str) -> Option<&'a Recorded> {
    let at = |stage: Stage| {
        let there = recorded.iter().filter(|one| one.stage == stage && one.is_of(room_id));
        there.min_by_key(|one| one.started_at_ms)
    };
    at(Stage::Recording)
        .or_else(|| at(Stage::Starting))
        .or_else(|| at(Stage::Finishing))
        .or_else(|| recorded.iter().rev().find(|one| one.stage.is_over() && one.is_of(room_id)))
}

/// The one that began in an earlier session of its room and goes on in this one, which is shown as being recorded though nothing of its own is
/// captured: its media server was restarted.
pub(super) fn going_on<'a>(recorded: &'a [Recorded], room_id: &str) -> Option<&'a Recorded> {
    if recorded.iter().any(|one| one.stage <= Stage::Recording && one.is_of(room_id)) {
        return None;
    }
    recorded.iter().filter(|one| one.stage == Stage::Recording).min_by_key(|one| one.started_at_ms)
}

/// The first bytes of a text, in whole characters.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(ROOM_STATE_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::FileInfo;

    use super::*;

    fn info(status: EgressStatus) -> EgressInfo {
        EgressInfo {
            egress_id: "EG_1".into(),
            room_name: "räume".into(),
            room_id: "RM_1".into(),
            status: status as i32,
            started_at: 5_000_000,
            ..EgressInfo::default()
        }
    }

    fn one(id: &str, stage: Stage, started_at_ms: i64) -> Recorded {
        let room_id = "RM_1".to_owned();
        Recorded { id: id.into(), room_id, stage, started_at_ms, percent: None, error: None }
    }

    #[test]
    fn each_state_of_an_egress_has_the_tutorials_word_and_ours() {
        use EgressStatus as S;
        for (status, tutorials, ours) in [
            (S::EgressStarting, "STARTING", "starting"),
            (S::EgressActive, "STARTED", "recording"),
            (S::EgressEnding, "STOPPING", "finishing"),
            (S::EgressComplete, "STOPPED", "complete"),
            (S::EgressLimitReached, "STOPPED", "complete"),
            (S::EgressFailed, "FAILED", "failed"),
            (S::EgressAborted, "FAILED", "failed"),
        ] {
            let (room, recorded) = Recorded::of(&info(status)).unwrap();
            assert_eq!((room.as_str(), recorded.started_at_ms), ("räume", 5));
            assert_eq!((recorded.stage.recording_status(), recorded.stage.word()), (tutorials, ours));
        }
        assert_eq!(Recorded::of(&EgressInfo::default()), None, "it records no room");
    }

    #[test]
    fn what_is_told_of_a_failure_is_one_short_reason() {
        let reason = |error: &str| {
            let failed = EgressInfo { error: error.into(), ..info(EgressStatus::EgressAborted) };
            Recorded::of(&failed).unwrap().1.error.unwrap()
        };
        assert_eq!(reason(""), NOTHING);
        assert_eq!(reason("the disk is full"), "the disk is full");
        let long = reason(&"é".repeat(ROOM_STATE_ERROR_BYTES));
        assert!(long.len() <= ROOM_STATE_ERROR_BYTES && long.starts_with('é'));
    }

    #[test]
    fn what_is_being_finished_says_how_far_it_is() {
        let mut finishing = info(EgressStatus::EgressEnding);
        assert_eq!(Recorded::of(&finishing).unwrap().1.percent, None);
        finishing.file_results =
            vec![FileInfo { started_at: 10, duration: 62, ended_at: 110, ..FileInfo::default() }];
        assert_eq!(Recorded::of(&finishing).unwrap().1.percent, Some(62));
        finishing.status = EgressStatus::EgressActive as i32;
        assert_eq!(Recorded::of(&finishing).unwrap().1.percent, None);
    }

    #[test]
    fn of_several_recordings_the_one_that_is_captured_counts_and_of_those_that_are_over_the_last() {
        let id = |recorded: &[Recorded]| leading(recorded, "RM_1").map(|one| one.id.clone());
        let all = [
            one("finishing", Stage::Finishing, 1),
            one("second", Stage::Recording, 3),
            one("first", Stage::Recording, 2),
            one("starting", Stage::Starting, 0),
            one("failed", Stage::Failed, 1),
        ];
        assert_eq!(id(&all), Some("first".into()));
        assert_eq!(id(&[all[0].clone(), all[3].clone()]), Some("starting".into()));
        assert_eq!(id(&[all[4].clone(), all[0].clone()]), Some("finishing".into()));
        assert_eq!(id(&[all[4].clone(), one("complete", Stage::Complete, 0)]), Some("complete".into()));
        assert_eq!(leading(&all, "RM_2"), None, "they are of another session of the room");
        assert_eq!(going_on(&all, "RM_1"), None, "it is of this session");
        assert_eq!(going_on(&all, "RM_2").map(|one| one.id.as_str()), Some("first"));
        assert_eq!(going_on(&[all[0].clone(), all[4].clone()], "RM_2"), None, "nothing is captured");
        let anew = Recorded { room_id: "RM_2".into(), ..all[3].clone() };
        assert_eq!(going_on(&[all[1].clone(), anew], "RM_2"), None, "somebody records anew");
        let unknown = Recorded { room_id: String::new(), ..all[1].clone() };
        assert_eq!(leading(&[unknown], "RM_2").map(|one| one.stage), Some(Stage::Recording));
    }
}
