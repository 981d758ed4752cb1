#![allow(clippy::unwrap_used)]

use super::*;
use crate::request::Encoding;

const START_NS: i64 = 1_700_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn job() -> Job {
    let plan = Plan {
        layout: "grid".into(),
        audio_only: false,
        encoding: Encoding::default(),
        key: "recordings/r.mp4".into(),
        manifest: true,
        storage: None,
    };
    Job::new(Start {
        id: &"EG_1".into(),
        room: &"r".into(),
        room_id: "RM_1",
        request: RoomCompositeEgressRequest { room_name: "r".into(), ..Default::default() },
        plan,
        now_ns: START_NS,
    })
}

fn outcome() -> Outcome {
    Outcome {
        duration_ns: 3_000_000_000,
        size_bytes: 77,
        location: "/data/recordings/r.mp4".into(),
        manifest_location: "/data/recordings/EG_1.json".into(),
        skipped: 0,
        left_out: LeftOut::default(),
    }
}

#[test]
fn what_was_skipped_stands_in_the_details_and_is_no_error() {
    let mut job = job();
    job.activate(START_NS);
    job.end(START_NS, EndReason::StopCalled);
    job.complete(START_NS, Outcome { skipped: 2, ..outcome() });
    assert_eq!(job.info().details, "End reason: StopEgress API; 2 damaged places skipped");
    assert!(job.info().error.is_empty() && job.status() == EgressStatus::EgressComplete);
}

#[test]
fn whose_tracks_are_left_out_by_their_choice_is_counted_in_the_details() {
    let mut job = job();
    job.activate(START_NS);
    job.end(START_NS, EndReason::StopCalled);
    let left_out = LeftOut { by_choice: 2, ..LeftOut::default() };
    job.complete(START_NS, Outcome { left_out, ..outcome() });
    assert_eq!(job.info().details, "End reason: StopEgress API; 2 tracks left out: without consent");
}

#[test]
fn the_start_names_the_file_already_in_both_places() {
    let job = job();
    let info = job.info();
    assert_eq!(info.status(), EgressStatus::EgressStarting);
    assert_eq!(info.file_results[0].filename, "recordings/r.mp4");
    assert!(
        matches!(&info.result, Some(egress_info::Result::File(file)) if file.filename == "recordings/r.mp4")
    );
    assert_eq!((info.room_id.as_str(), info.started_at), ("RM_1", START_NS));
}

#[test]
fn a_recording_goes_from_starting_to_complete() {
    let mut job = job();
    assert_eq!(job.activate(START_NS + 1), Some(Notice::Updated));
    assert_eq!(job.activate(START_NS + 2), None, "once");
    assert_eq!(job.info().file_results[0].started_at, START_NS);
    assert_eq!(job.stop(START_NS + 3 * SECOND_NS), Ok(Some(Notice::Updated)));
    assert_eq!(job.info().details, "End reason: StopEgress API");
    assert_eq!(job.stop(START_NS + 4 * SECOND_NS), Ok(None), "a second stop changes nothing");
    assert_eq!(job.info().updated_at, START_NS + 3 * SECOND_NS);
    assert_eq!(job.complete(START_NS + 5 * SECOND_NS, outcome()), Some(Notice::Ended));
    let file = &job.info().file_results[0];
    assert_eq!((file.duration, file.size), (3 * SECOND_NS, 77));
    assert_eq!(file.ended_at - file.started_at, file.duration);
    assert_eq!(job.info().ended_at, START_NS + 5 * SECOND_NS);
    assert_eq!(
        job.stop(START_NS).unwrap_err().to_string(),
        "egress with status EGRESS_COMPLETE cannot be stopped"
    );
}

#[test]
fn a_stop_before_media_aborts() {
    let mut job = job();
    assert_eq!(job.stop(START_NS + 1), Ok(Some(Notice::Ended)));
    let info = job.info();
    assert_eq!((info.status(), info.error_code), (EgressStatus::EgressAborted, 412));
    assert_eq!(info.error, "Stop called before pipeline could start");
    assert_eq!(job.activate(START_NS + 2), None, "media that comes later changes nothing");
    assert_eq!(job.stop(0), Err(AlreadyOver(EgressStatus::EgressAborted)));
}

#[test]
fn a_failure_keeps_the_reason_the_recording_ended() {
    let mut job = job();
    job.activate(START_NS);
    job.end(START_NS, EndReason::SourceClosed);
    assert_eq!(job.fail(START_NS, "no encoder", 500), Some(Notice::Ended));
    assert_eq!((job.info().details.as_str(), job.info().error_code), ("End reason: Source closed", 500));
    assert_eq!(job.complete(START_NS, outcome()), None);
}

#[test]
fn after_a_restart_a_job_is_ending_whatever_it_was() {
    let mut active = job();
    active.activate(START_NS);
    assert_eq!(active.resume(START_NS + 9), Some(Notice::Updated));
    assert_eq!(active.status(), EgressStatus::EgressEnding);
    assert_eq!(active.info().details, "End reason: Process killed");
    let mut failed = job();
    failed.fail(START_NS, "no encoder", 500);
    failed.resume(START_NS + 9);
    assert_eq!((failed.info().error.as_str(), failed.info().ended_at), ("", 0));
    let mut complete = job();
    complete.activate(START_NS);
    complete.end(START_NS, EndReason::StopCalled);
    complete.complete(START_NS, outcome());
    assert_eq!(complete.resume(START_NS + 9), None);
}

#[test]
fn trouble_is_told_once_and_forgotten_when_it_is_over() {
    let mut job = job();
    job.activate(START_NS);
    assert_eq!(job.trouble(START_NS, "no bucket"), Some(Notice::Updated));
    assert_eq!(job.trouble(START_NS, "no bucket"), None);
    job.trouble_over("no bucket");
    assert_eq!(job.info().error, "");
}

#[test]
fn finished_jobs_are_listed_for_a_day() {
    let mut job = job();
    assert!(!job.is_forgotten(START_NS + 2 * KEPT.as_nanos() as i64), "an active one always");
    job.stop(START_NS).unwrap();
    assert!(!job.is_forgotten(START_NS + (KEPT.as_nanos() as i64)));
    assert!(job.is_forgotten(START_NS + (KEPT.as_nanos() as i64) + 1));
}

#[test]
fn a_job_survives_its_file() {
    let mut job = job();
    job.activate(START_NS);
    job.mark_recovered(5);
    let json = serde_json::to_vec(&job).unwrap();
    assert_eq!(serde_json::from_slice::<Job>(&json).unwrap(), job);
}

#[test]
fn why_a_recording_ended_early_outlives_other_troubles() {
    let mut job = job();
    job.activate(START_NS);
    assert_eq!(job.ended_early(), None);
    job.end(START_NS + SECOND_NS, EndReason::Failure);
    assert_eq!(job.end_early(START_NS + SECOND_NS, "the disk is full"), Some(Notice::Updated));
    assert_eq!(job.trouble(START_NS + 2 * SECOND_NS, "the store is away"), Some(Notice::Updated));
    job.trouble_over("the store is away");
    assert_eq!(job.info().error, "the disk is full");
    job.complete(START_NS + 3 * SECOND_NS, outcome());
    assert_eq!(
        (job.info().error.as_str(), job.ended_early()),
        ("the disk is full", Some("the disk is full"))
    );
}

#[test]
fn the_layout_changes_while_it_is_recorded_and_not_before_or_after() {
    let mut job = job();
    let layout = |job: &Job| match &job.info().request {
        Some(egress_info::Request::RoomComposite(request)) => request.layout.clone(),
        other => panic!("{other:?}"),
    };
    let refused = job.change_layout(START_NS, "speaker").unwrap_err();
    assert_eq!(refused.to_string(), "egress with status EGRESS_STARTING cannot be updated");
    job.activate(START_NS + 1);
    assert_eq!(job.change_layout(START_NS + 2, "speaker"), Ok(Some(Notice::Updated)));
    assert_eq!((layout(&job).as_str(), job.info().updated_at), ("speaker", START_NS + 2));
    assert_eq!(job.change_layout(START_NS + 3, "speaker"), Ok(None), "it is that one");
    assert_eq!(job.plan().layout, "grid", "what the take began with");
    job.stop(START_NS + 4).unwrap();
    assert_eq!(job.change_layout(START_NS + 5, "grid"), Err(NotActive(EgressStatus::EgressEnding)));
}
