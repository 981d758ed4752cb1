//! A recording job: what `EgressInfo` says in each phase. Pure: the time comes in.
//!
//! ```text
//!  STARTING ──media, or 500 ms──► ACTIVE ──stop, room over, failure──► ENDING ──published──► COMPLETE
//!     └──stop, room over──► ABORTED                                       └──cannot be composed──► FAILED
//! ```
//!
//! LiveKit's recorder stays STARTING while nobody publishes and then records nothing. This one captures in the server itself, so
//! a job is ACTIVE as soon as a track is published and after half a second in any case: an empty room is recorded as one.

use std::time::Duration;

use reelroom_protocol::ids::{EgressId, RoomName};
use reelroom_protocol::proto::{
    EgressInfo, EgressSourceType, EgressStatus, FileInfo, RoomCompositeEgressRequest, egress_info,
};
use serde::{Deserialize, Serialize};

use crate::compose::{Composed, Skip};
use crate::request::Plan;
use crate::storage::redacted;

/// How long finished jobs are listed.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Stopped before media.
const CODE_ABORTED: i32 = 412;

/// What the world is told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Started,
    Updated,
    Ended,
}

impl Notice {
    /// Name of the webhook event.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Started => "egress_started",
            Self::Updated => "egress_updated",
            Self::Ended => "egress_ended",
        }
    }
}

/// LiveKit's end reasons, as far as they occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    StopCalled,
    SourceClosed,
    ProcessKilled,
    Failure,
    Deleted,
}

impl EndReason {
    fn details(self) -> String {
        let reason = match self {
            Self::StopCalled => "StopEgress API",
            Self::SourceClosed => "Source closed",
            Self::ProcessKilled => "Process killed",
            Self::Failure => "Failure",
            Self::Deleted => "Deleted",
        };
        format!("End reason: {reason}")
    }
}

/// A stop of something that is over; the text names the status as LiveKit does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("egress with status {} cannot be stopped", .0.as_str_name())]
pub(crate) struct AlreadyOver(pub(crate) EgressStatus);

/// A change of something that is not being recorded (any more); the text names the status as LiveKit does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("egress with status {} cannot be updated", .0.as_str_name())]
pub(crate) struct NotActive(pub(crate) EgressStatus);

/// A finished file in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) duration_ns: u64,
    pub(crate) size_bytes: u64,
    pub(crate) location: String,
    /// Empty where none was asked for.
    pub(crate) manifest_location: String,
    /// So many places were damaged, and are left out.
    pub(crate) skipped: usize,
    /// What of the room is not in the file.
    pub(crate) left_out: LeftOut,
}

/// Tracks of which nothing, or not everything, is in a file although it arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// End-to-end encrypted.
    pub(crate) encrypted: usize,
    /// Whose they are did not agree to being recorded.
    pub(crate) by_choice: usize,
    /// No decoder can read them.
    pub(crate) unreadable: usize,
    /// Nothing else arrived.
    pub(crate) everything: bool,
}

impl LeftOut {
    /// For people to read; empty where everything is in the file.
    fn details(self) -> String {
        let count = |number: usize, why: &str| match number {
            0 => String::new(),
            1 => format!("; 1 track left out: {why}"),
            number => format!("; {number} tracks left out: {why}"),
        };
        let everything = if self.everything { "; nothing else was to be recorded" } else { "" };
        let encrypted = count(self.encrypted, "end-to-end encrypted");
        let by_choice = count(self.by_choice, "without consent");
        let unreadable = count(self.unreadable, "cannot be decoded");
        format!("{encrypted}{by_choice}{unreadable}{everything}")
    }
}

/// A job, as it is kept on disk too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    info: EgressInfo,
    plan: Plan,
    /// Why it ended before somebody stopped it.
    #[serde(default)]
    ended_early: Option<String>,
    /// The program died while it recorded.
    #[serde(default)]
    recovered: bool,
    /// At most so much is missing at the end of a recovered recording.
    #[serde(default)]
    lost_ns: u64,
    /// Its file is made and waits for its store.
    #[serde(default)]
    composed: Option<Composed>,
    /// What its composers died of.
    #[serde(default)]
    skips: Vec<Skip>,
}

/// What a job begins with.
pub(crate) struct Start<'a> {
    pub(crate) id: &'a EgressId,
    pub(crate) room: &'a RoomName,
    pub(crate) room_id: &'a str,
    pub(crate) request: RoomCompositeEgressRequest,
    pub(crate) plan: Plan,
    pub(crate) now_ns: i64,
}

impl Job {
    pub(crate) fn new(start: Start<'_>) -> Self {
        let is_sdk = start.plan.audio_only && start.plan.layout.is_empty();
        let source_type = if is_sdk { EgressSourceType::Sdk } else { EgressSourceType::Web };
        let mut job = Self {
            info: EgressInfo {
                egress_id: start.id.to_string(),
                room_id: start.room_id.to_owned(),
                room_name: start.room.to_string(),
                source_type: source_type as i32,
                status: EgressStatus::EgressStarting as i32,
                started_at: start.now_ns,
                updated_at: start.now_ns,
                request: Some(egress_info::Request::RoomComposite(redacted(start.request))),
                ..EgressInfo::default()
            },
            plan: start.plan,
            ended_early: None,
            recovered: false,
            lost_ns: 0,
            composed: None,
            skips: Vec::new(),
        };
        let filename = job.plan.key.clone();
        job.set_file(FileInfo { filename, ..FileInfo::default() });
        job
    }

    pub(crate) fn info(&self) -> &EgressInfo {
        &self.info
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn status(&self) -> EgressStatus {
        self.info.status()
    }

    /// What was asked for.
    pub(crate) fn request(&self) -> Option<&RoomCompositeEgressRequest> {
        match &self.info.request {
            Some(egress_info::Request::RoomComposite(request)) => Some(request),
            _ => None,
        }
    }

    /// Its file gets another name.
    pub(crate) fn rename(&mut self, key: String, now_ns: i64) {
        self.plan.key.clone_from(&key);
        self.change_file(|file| file.filename = key);
        self.info.updated_at = now_ns;
    }

    /// Why it ended before somebody stopped it.
    pub(crate) fn ended_early(&self) -> Option<&str> {
        self.ended_early.as_deref()
    }

    /// Program death during the recording, and what it cost.
    pub(crate) fn recovered(&self) -> (bool, u64) {
        (self.recovered, self.lost_ns)
    }

    /// What is left out of its file.
    pub(crate) fn skips(&self) -> &[Skip] {
        &self.skips
    }

    /// This is left out from now on, also by the next run of the program.
    pub(crate) fn skip(&mut self, skips: Vec<Skip>) {
        self.skips = skips;
    }

    pub(crate) fn is_active(&self) -> bool {
        use EgressStatus as S;
        matches!(self.status(), S::EgressStarting | S::EgressActive | S::EgressEnding)
    }

    /// It captures, or is about to: what is only being finished does not count.
    pub(crate) fn is_recording(&self) -> bool {
        matches!(self.status(), EgressStatus::EgressStarting | EgressStatus::EgressActive)
    }

    /// Over for so long that it is not listed any more.
    pub(crate) fn is_forgotten(&self, now_ns: i64) -> bool {
        !self.is_active() && self.info.ended_at < now_ns.saturating_sub(KEPT.as_nanos() as i64)
    }

    /// Media is being written.
    pub(crate) fn activate(&mut self, now_ns: i64) -> Option<Notice> {
        if self.status() != EgressStatus::EgressStarting {
            return None;
        }
        self.set_status(EgressStatus::EgressActive, now_ns);
        // The take begins with the job, before the first picture.
        let started_at = self.info.started_at;
        self.change_file(|file| file.started_at = started_at);
        Some(Notice::Updated)
    }

    /// StopEgress. `Ok(None)` if it was stopped already.
    pub(crate) fn stop(&mut self, now_ns: i64) -> Result<Option<Notice>, AlreadyOver> {
        match self.status() {
            EgressStatus::EgressStarting => {
                Ok(self.abort(now_ns, EndReason::StopCalled, "Stop called before pipeline could start"))
            }
            EgressStatus::EgressActive => Ok(self.end(now_ns, EndReason::StopCalled)),
            EgressStatus::EgressEnding => Ok(None),
            over => Err(AlreadyOver(over)),
        }
    }

    /// UpdateLayout. `Ok(None)` if it is the layout already. The plan keeps the layout that the take began with.
    pub(crate) fn change_layout(&mut self, now_ns: i64, layout: &str) -> Result<Option<Notice>, NotActive> {
        if self.status() != EgressStatus::EgressActive {
            return Err(NotActive(self.status()));
        }
        let Some(egress_info::Request::RoomComposite(request)) = &mut self.info.request else {
            return Err(NotActive(self.status()));
        };
        if request.layout == layout {
            return Ok(None);
        }
        layout.clone_into(&mut request.layout);
        self.info.updated_at = now_ns;
        Ok(Some(Notice::Updated))
    }

    /// Nothing more is captured; the file is being finished.
    pub(crate) fn end(&mut self, now_ns: i64, reason: EndReason) -> Option<Notice> {
        if self.status() != EgressStatus::EgressActive {
            return None;
        }
        self.set_status(EgressStatus::EgressEnding, now_ns);
        self.info.details = reason.details();
        Some(Notice::Updated)
    }

    /// Nothing was recorded, and nothing is kept.
    pub(crate) fn abort(&mut self, now_ns: i64, reason: EndReason, error: &str) -> Option<Notice> {
        if !self.is_active() {
            return None;
        }
        self.set_status(EgressStatus::EgressAborted, now_ns);
        self.info.ended_at = now_ns;
        self.info.details = reason.details();
        self.info.error = error.to_owned();
        self.info.error_code = CODE_ABORTED;
        Some(Notice::Ended)
    }

    /// The recording ended before somebody stopped it; what there is of it becomes its file.
    pub(crate) fn end_early(&mut self, now_ns: i64, why: &str) -> Option<Notice> {
        let notice = self.trouble(now_ns, why)?;
        self.ended_early = Some(why.to_owned());
        Some(notice)
    }

    /// Something that does not end the job.
    pub(crate) fn trouble(&mut self, now_ns: i64, error: &str) -> Option<Notice> {
        if !self.is_active() || self.info.error == error {
            return None;
        }
        self.info.error = error.to_owned();
        self.info.updated_at = now_ns;
        Some(Notice::Updated)
    }

    /// The trouble is over.
    pub(crate) fn trouble_over(&mut self, error: &str) {
        if self.info.error == error {
            self.info.error = self.ended_early.clone().unwrap_or_default();
        }
    }

    /// The file is being made: so much of it, of so much as is known to come. LiveKit's fields of a file tell it, for
    /// whoever asks.
    pub(crate) fn progress(&mut self, composed_ns: u64, total_ns: u64) {
        if self.status() != EgressStatus::EgressEnding {
            return;
        }
        let started_at = self.info.started_at;
        self.change_file(|file| {
            file.started_at = started_at;
            file.duration = composed_ns.min(total_ns).try_into().unwrap_or(i64::MAX);
            file.ended_at = started_at.saturating_add_unsigned(total_ns);
        });
    }

    /// The file is made, and has to be stored.
    pub(crate) fn composed(&mut self, composed: Composed) {
        self.progress(composed.duration_ns, composed.duration_ns);
        self.composed = Some(composed);
    }

    pub(crate) fn is_composed(&self) -> Option<Composed> {
        self.composed.clone()
    }

    /// The file is in its place.
    pub(crate) fn complete(&mut self, now_ns: i64, outcome: Outcome) -> Option<Notice> {
        if self.status() != EgressStatus::EgressEnding {
            return None;
        }
        self.set_status(EgressStatus::EgressComplete, now_ns);
        self.info.ended_at = now_ns;
        self.info.manifest_location = outcome.manifest_location;
        if outcome.skipped > 0 {
            let places = if outcome.skipped == 1 { "damaged place" } else { "damaged places" };
            self.info.details.push_str(&format!("; {} {places} skipped", outcome.skipped));
        }
        self.info.details.push_str(&outcome.left_out.details());
        let started_at = self.info.started_at;
        self.change_file(|file| {
            file.started_at = started_at;
            file.duration = outcome.duration_ns.try_into().unwrap_or(i64::MAX);
            file.ended_at = started_at.saturating_add(file.duration);
            file.size = outcome.size_bytes.try_into().unwrap_or(i64::MAX);
            file.location = outcome.location;
        });
        Some(Notice::Ended)
    }

    /// No file came out of it. `code` is the HTTP status of the cause.
    pub(crate) fn fail(&mut self, now_ns: i64, error: &str, code: i32) -> Option<Notice> {
        if !self.is_active() {
            return None;
        }
        self.set_status(EgressStatus::EgressFailed, now_ns);
        self.info.ended_at = now_ns;
        self.info.error = error.to_owned();
        self.info.error_code = code;
        if self.info.details.is_empty() {
            self.info.details = EndReason::Failure.details();
        }
        Some(Notice::Ended)
    }

    /// After a restart: its take is there and is being finished, whatever the job was before. A job that had failed is
    /// given another chance.
    pub(crate) fn resume(&mut self, now_ns: i64) -> Option<Notice> {
        match self.status() {
            EgressStatus::EgressComplete | EgressStatus::EgressAborted => None,
            EgressStatus::EgressEnding => Some(Notice::Updated),
            _ => {
                self.set_status(EgressStatus::EgressEnding, now_ns);
                self.info.ended_at = 0;
                self.info.error.clear();
                self.info.error_code = 0;
                if self.info.details.is_empty() {
                    self.info.details = EndReason::ProcessKilled.details();
                }
                Some(Notice::Updated)
            }
        }
    }

    /// The take had no end of its own.
    pub(crate) fn mark_recovered(&mut self, lost_ns: u64) {
        self.recovered = true;
        self.lost_ns = lost_ns;
    }

    fn set_status(&mut self, status: EgressStatus, now_ns: i64) {
        self.info.status = status as i32;
        self.info.updated_at = now_ns;
    }

    fn change_file(&mut self, change: impl FnOnce(&mut FileInfo)) {
        let mut file = self.info.file_results.first().cloned().unwrap_or_default();
        change(&mut file);
        self.set_file(file);
    }

    /// In both places: older clients read the single result.
    fn set_file(&mut self, file: FileInfo) {
        self.info.file_results = vec![file.clone()];
        self.info.result = Some(egress_info::Result::File(file));
    }
}

#[cfg(test)]
mod tests;
