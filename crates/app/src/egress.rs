//! A recording as LiveKit tells of it, and as the library knows it. Pure.

use reelroom_library::{Recording, Status};
use reelroom_protocol::proto::room_composite_egress_request::Output;
use reelroom_protocol::proto::{EgressInfo, EgressStatus, EncodedFileOutput, FileInfo, egress_info};

/// What an `EgressInfo` means for the library.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// It is being made, or has failed: to be listed as it is.
    Note(Box<Recording>),
    /// It is in the store, under this name.
    Complete { id: String, name: String },
    /// Nothing came of it.
    Gone { id: String },
    /// It makes no file below the prefix.
    Foreign,
}

/// Whether a room counts as being recorded: one that is only being finished can be recorded anew.
pub(crate) fn is_recording(info: &EgressInfo) -> bool {
    matches!(info.status(), EgressStatus::EgressStarting | EgressStatus::EgressActive)
}

/// Whether nothing more comes of it.
pub(crate) fn is_over(info: &EgressInfo) -> bool {
    use EgressStatus as S;
    !matches!(info.status(), S::EgressStarting | S::EgressActive | S::EgressEnding)
}

/// Reads what the server says. `prefix` is `RECORDINGS_PATH`.
pub(crate) fn news(info: &EgressInfo, prefix: &str) -> News {
    use EgressStatus as S;
    let id = info.egress_id.clone();
    let Some(name) = name(info, prefix) else { return News::Foreign };
    let status = match info.status() {
        S::EgressStarting => Status::Starting,
        S::EgressActive => Status::Recording,
        S::EgressEnding => Status::Finishing,
        S::EgressFailed => Status::Failed,
        S::EgressComplete | S::EgressLimitReached => return News::Complete { id, name },
        S::EgressAborted => return News::Gone { id },
    };
    News::Note(Box::new(recording(info, name, status)))
}

/// Whether nothing is to stand beside its file (`disableManifest`).
pub(crate) fn stands_alone(info: &EgressInfo) -> bool {
    files(info).any(|file| file.disable_manifest)
}

/// Whether its file goes into a store that its request names: that is somebody else's. What stands in the library's own all the same is listed
/// when the store is.
fn names_storage(info: &EgressInfo) -> bool {
    files(info).any(|file| file.output.is_some())
}

/// The files that are asked for.
fn files(info: &EgressInfo) -> impl Iterator<Item = &EncodedFileOutput> {
    let request = match &info.request {
        Some(egress_info::Request::RoomComposite(request)) => Some(request),
        _ => None,
    };
    request.into_iter().flat_map(|request| {
        let old = match &request.output {
            Some(Output::File(file)) => Some(file),
            _ => None,
        };
        request.file_outputs.iter().chain(old)
    })
}

/// The recording that a call just started or stopped; `None` where it makes no file below the prefix.
pub(crate) fn in_the_making(info: &EgressInfo, prefix: &str) -> Option<Recording> {
    match news(info, prefix) {
        News::Note(recording) => Some(*recording),
        News::Complete { name, .. } => Some(recording(info, name, Status::Complete)),
        News::Gone { .. } => Some(recording(info, name(info, prefix)?, Status::Failed)),
        News::Foreign => None,
    }
}

fn name(info: &EgressInfo, prefix: &str) -> Option<String> {
    if names_storage(info) {
        return None;
    }
    let file = info.file_results.first()?;
    let name = file.filename.trim_start_matches('/').strip_prefix(prefix)?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn recording(info: &EgressInfo, name: String, status: Status) -> Recording {
    let file = info.file_results.first();
    let known = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
    Recording {
        id: info.egress_id.clone(),
        room_name: info.room_name.clone(),
        room_id: info.room_id.clone(),
        started_at_ms: info.started_at / 1_000_000,
        status,
        progress: file.filter(|_| status == Status::Finishing).and_then(progress),
        duration_ms: file
            .filter(|_| !status.is_active())
            .and_then(|file| known(file.duration))
            .map(|duration| duration / 1_000_000),
        size: file.and_then(|file| known(file.size)),
        error: Some(info.error.clone()).filter(|error| !error.is_empty()),
        ..Recording::named(name)
    }
}

/// How much there is of the file of a recording that is being finished: 0 to 1, where the server tells it.
pub(crate) fn finished(info: &EgressInfo) -> Option<f64> {
    info.file_results.first().filter(|_| info.status() == EgressStatus::EgressEnding).and_then(progress)
}

/// How much of the file there is: its length so far against what it will have. Servers that tell neither have none.
fn progress(file: &FileInfo) -> Option<f64> {
    let total =
        file.ended_at.checked_sub(file.started_at).filter(|total| *total > 0 && file.started_at > 0)?;
    Some((file.duration as f64 / total as f64).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{RoomCompositeEgressRequest, S3Upload, encoded_file_output};

    use super::*;

    fn info(status: EgressStatus, filename: &str) -> EgressInfo {
        EgressInfo {
            egress_id: "EG_1".into(),
            room_name: "räume".into(),
            room_id: "RM_1".into(),
            status: status as i32,
            started_at: 5_000_000,
            file_results: vec![FileInfo { filename: filename.into(), ..FileInfo::default() }],
            ..EgressInfo::default()
        }
    }

    #[test]
    fn each_state_of_an_egress_is_one_of_a_recording() {
        use EgressStatus as S;
        for (status, expected) in [
            (S::EgressStarting, Status::Starting),
            (S::EgressActive, Status::Recording),
            (S::EgressEnding, Status::Finishing),
            (S::EgressFailed, Status::Failed),
        ] {
            let News::Note(recording) = news(&info(status, "recordings/a.mp4"), "recordings/") else {
                panic!()
            };
            assert_eq!((recording.status, recording.name.as_str()), (expected, "a.mp4"));
            assert_eq!((recording.started_at_ms, recording.duration_ms), (5, None));
        }
        let complete = News::Complete { id: "EG_1".into(), name: "sub/a.mp4".into() };
        assert_eq!(news(&info(S::EgressComplete, "/recordings/sub/a.mp4"), "recordings/"), complete);
        assert_eq!(news(&info(S::EgressAborted, "a.mp4"), ""), News::Gone { id: "EG_1".into() });
    }

    #[test]
    fn a_file_in_the_making_tells_how_far_it_is() {
        let mut finishing = info(EgressStatus::EgressEnding, "a.mp4");
        let of = |info: &EgressInfo| match news(info, "") {
            News::Note(recording) => (recording.progress, recording.duration_ms),
            other => panic!("{other:?}"),
        };
        assert_eq!(of(&finishing), (None, None));
        finishing.file_results[0] =
            FileInfo { started_at: 10, duration: 62, ended_at: 110, ..finishing.file_results[0].clone() };
        assert_eq!(of(&finishing), (Some(0.62), None));
    }

    #[test]
    fn what_makes_no_file_of_ours_is_foreign() {
        assert_eq!(news(&info(EgressStatus::EgressActive, "other/a.mp4"), "recordings/"), News::Foreign);
        assert_eq!(news(&EgressInfo::default(), ""), News::Foreign);
        let theirs = EncodedFileOutput {
            output: Some(encoded_file_output::Output::S3(S3Upload::default())),
            ..Default::default()
        };
        let request = RoomCompositeEgressRequest { file_outputs: vec![theirs], ..Default::default() };
        let elsewhere = EgressInfo {
            request: Some(egress_info::Request::RoomComposite(request)),
            ..info(EgressStatus::EgressActive, "recordings/a.mp4")
        };
        assert_eq!(news(&elsewhere, "recordings/"), News::Foreign, "it goes into another bucket");
    }
}
