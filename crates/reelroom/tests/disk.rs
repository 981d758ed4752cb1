//! What stands on disk: what is kept, and what is left free.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;
use serde_json::json;

#[tokio::test]
async fn with_less_than_the_reserve_left_no_recording_begins_and_it_says_why() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("DISK_RESERVE", "1000000000000000")]);
    program.make_room("a").await;
    // The disk is looked at twice a second.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let start = program.post("/recordings/start", &json!({ "roomName": "a" }));
    let message = program.refusal(start, 503).await;
    assert!(message.contains("disk has") && message.contains("disk_reserve"), "{message}");
    assert!(program.list(&[]).await.is_empty());
    program.stop();
}

#[tokio::test]
async fn takes_are_kept_when_they_are_wanted() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("KEEP_TAKES_DAYS", "1")]);
    program.make_room("a").await;
    let recording = program.start_recording("a").await;
    let name = recording["name"].as_str().unwrap();
    program.until_status(name, "recording").await;
    program.stop_recording("a").await;
    program.until_status(name, "complete").await;
    program.stop();
    let take = data.path().join("kept").join(recording["id"].as_str().unwrap());
    assert!(take.join("take.json").exists());

    let out = data.path().join("again.mp4");
    let composed = std::process::Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .args(["compose".as_ref(), take.as_os_str(), "-o".as_ref(), out.as_os_str()])
        .status()
        .unwrap();
    assert!(composed.success() && out.exists());

    let program = Program::start(&[], data.path(), &[]);
    let began = std::time::Instant::now();
    while take.exists() {
        assert!(began.elapsed() < Duration::from_secs(10), "kept no longer than it is wanted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(program.list(&[]).await.len(), 1);
    program.stop();
}
