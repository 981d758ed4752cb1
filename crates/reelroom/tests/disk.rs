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

/// A figure of `/metrics`.
async fn figure(program: &Program, name: &str) -> f64 {
    let text = program.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn a_recording_too_many_is_refused_with_how_many_run_and_how_many_fit() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("MAX_RECORDINGS", "1"), ("DISK_RESERVE", "1000000")]);
    for room in ["a", "b"] {
        program.make_room(room).await;
    }
    assert_eq!(figure(&program, "reelroom_recordings_capacity").await, 1.0);
    let first = program.start_recording("a").await;
    assert_eq!(figure(&program, "reelroom_recordings_capacity").await, 0.0);
    let start = program.post("/recordings/start", &json!({ "roomName": "b" }));
    let message = program.refusal(start, 503).await;
    assert!(message.contains("1 recording is running, 0 more fit (max_recordings"), "{message}");
    program.until_status(first["name"].as_str().unwrap(), "recording").await;
    program.stop_recording("a").await;
    // What is only composed takes no room.
    program.start_recording("b").await;
    program.stop_recording("b").await;
    program.stop();
}

#[tokio::test]
#[ignore = "needs an empty file system of 64 MB: SMALL_DISK=/its/mount/point"]
async fn a_disk_too_small_for_a_recording_refuses_it() {
    let disk = std::env::var("SMALL_DISK").expect("the test was asked for");
    let data = std::path::Path::new(&disk).join("data");
    std::fs::create_dir(&data).unwrap();
    let program = Program::start(&[], &data, &[("DISK_RESERVE", "1000000")]);
    program.make_room("a").await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(figure(&program, "reelroom_recordings_capacity").await, 0.0);
    let message = program.refusal(program.post("/recordings/start", &json!({ "roomName": "a" })), 503).await;
    assert!(message.contains("0 recordings are running, 0 more fit") && message.contains("MB"), "{message}");
    program.stop();
    std::fs::remove_dir_all(data).unwrap();
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

/// A file where the store's folder has to be: nothing can be stored until it is gone.
fn obstruct(data: &std::path::Path) -> std::path::PathBuf {
    let obstacle = data.join("recordings");
    std::fs::write(&obstacle, "in the way").unwrap();
    obstacle
}

async fn record(program: &Program) -> String {
    program.make_room("a").await;
    let recording = program.start_recording("a").await;
    let name = recording["name"].as_str().unwrap().to_owned();
    program.until_status(&name, "recording").await;
    program.stop_recording("a").await;
    name
}

async fn until(
    program: &Program,
    name: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let began = std::time::Instant::now();
    loop {
        let all = program.list(&[]).await;
        if let Some(found) = all.iter().find(|recording| recording["name"] == name && wanted(recording)) {
            return found.clone();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{name} does not become what it should: {all:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn plays(program: &Program, name: &str) {
    let answer = program.get(&format!("/recordings/{name}")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap().windows(4).any(|four| four == b"moov"));
}

#[tokio::test]
async fn what_the_disk_refuses_plays_waits_over_a_restart_and_is_stored_when_it_can_be() {
    let data = tempfile::tempdir().unwrap();
    let obstacle = obstruct(data.path());
    let program = Program::start(&[], data.path(), &[]);
    let name = record(&program).await;
    let waiting =
        until(&program, &name, |recording| recording["upload"]["attempts"].as_u64() >= Some(2)).await;
    let upload = &waiting["upload"];
    assert!(upload["lastError"].as_str().is_some_and(|error| error.contains("os error")), "{upload}");
    plays(&program, &name).await;
    assert!(
        program.get("/metrics").send().await.unwrap().text().await.unwrap().contains("recordings_waiting 1")
    );
    program.stop();

    let program = Program::start(&[], data.path(), &[]);
    let waiting = until(&program, &name, |recording| !recording["upload"].is_null()).await;
    assert!(
        waiting["upload"]["attempts"].as_u64() >= upload["attempts"].as_u64(),
        "{waiting} after {upload}"
    );
    plays(&program, &name).await;
    std::fs::remove_file(obstacle).unwrap();
    let retried = program.answer(program.post(&format!("/recordings/{name}/retry"), &json!({}))).await;
    assert_eq!(retried.0, 200, "{}", retried.1);
    program.until_status(&name, "complete").await;
    plays(&program, &name).await;
    program.stop();
    let left = |folder: &str| std::fs::read_dir(data.path().join(folder)).unwrap().count();
    assert_eq!((left("composed"), left("takes"), left("recordings")), (0, 0, 2));
}

#[tokio::test]
async fn what_the_store_refuses_goes_to_the_backup_folder_and_back() {
    let (data, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let obstacle = obstruct(data.path());
    let settings = [("BACKUP_PATH", backup.path().to_str().unwrap()), ("BACKUP_AFTER", "0")];
    let program = Program::start(&[], data.path(), &settings);
    let name = record(&program).await;
    until(&program, &name, |recording| recording["inBackup"] == true && recording["upload"].is_null()).await;
    plays(&program, &name).await;
    assert!(backup.path().join("recordings").join(&name).exists());
    std::fs::remove_file(obstacle).unwrap();
    until(&program, &name, |recording| recording["inBackup"].is_null()).await;
    plays(&program, &name).await;
    assert!(data.path().join("recordings").join(&name).exists());
    assert_eq!(std::fs::read_dir(backup.path().join("recordings")).unwrap().count(), 0);
    program.stop();
}
