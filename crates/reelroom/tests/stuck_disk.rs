//! A disk that takes nothing for a while: the call goes on, everybody is told, and nothing is lost.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::Program;
use serde_json::{Value, json};

/// Whoever writes to the file system waits until this is dropped.
struct Frozen(PathBuf);

impl Frozen {
    fn new(disk: &Path) -> Self {
        assert!(Command::new("fsfreeze").arg("-f").arg(disk).status().unwrap().success());
        Self(disk.to_owned())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).status();
    }
}

async fn error_of(program: &Program, id: &Value) -> String {
    let list = program.twirp("Egress/ListEgress", json!({ "egressId": id })).await;
    list["items"][0]["error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "needs a file system that can be frozen: STUCK_DISK=/its/mount/point"]
async fn while_the_disk_is_stuck_calls_go_on_and_everybody_is_told() {
    let disk = PathBuf::from(std::env::var_os("STUCK_DISK").expect("the test was asked for"));
    let data = disk.join("data");
    std::fs::create_dir(&data).unwrap();
    let program = Program::start(&[], &data, &[("DISK_RESERVE", "1000000")]);
    for room in ["a", "b"] {
        program.make_room(room).await;
    }
    let recording = program.start_recording("a").await;
    let name = recording["name"].as_str().unwrap();
    program.until_status(name, "recording").await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    // Who freezes a file system lets it write out what it has first: nothing new is taken from here on already.
    let began = Instant::now();
    let frozen = Frozen::new(&disk);
    let mut warned = None;
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(8) {
        // The room's own task answers this one.
        let asked = Instant::now();
        let rooms = program.twirp("RoomService/ListRooms", json!({ "names": ["a"] })).await;
        assert_eq!(rooms["rooms"][0]["active_recording"], true, "{rooms}");
        slowest = slowest.max(asked.elapsed());
        if warned.is_none() && error_of(&program, &recording["id"]).await.contains("takes nothing") {
            warned = Some(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let warned = warned.expect("the recording shows it");
    println!("told after {:.1} s; the room answered within {} ms", warned.as_secs_f64(), slowest.as_millis());
    assert!(warned >= Duration::from_secs(3) && warned < Duration::from_secs(6), "{warned:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let not_ready = program.refusal(program.get("/readyz"), 503).await;
    assert!(not_ready.contains("takes nothing"), "{not_ready}");
    let figures = program.get("/metrics").send().await.unwrap().text().await.unwrap();
    let stalled =
        figures.lines().find_map(|line| line.strip_prefix("reelroom_disk_stalled_seconds ")).unwrap();
    assert!(stalled.parse::<f64>().unwrap() > 5.0, "{stalled}");
    let asked = Instant::now();
    let start = program.post("/recordings/start", &json!({ "roomName": "b" }));
    let refused = program.refusal(start, 503).await;
    assert!(refused.contains("takes nothing") && asked.elapsed() < Duration::from_secs(6), "{refused}");

    drop(frozen);
    let thawed = Instant::now();
    while !error_of(&program, &recording["id"]).await.is_empty() {
        assert!(thawed.elapsed() < Duration::from_secs(10), "the warning is over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(program.get("/readyz").send().await.unwrap().status().is_success());
    program.stop_recording("a").await;
    let stopped = began.elapsed().as_secs_f64();
    let complete = program.until_status(name, "complete").await;
    let duration = complete["duration"].as_f64().unwrap();
    assert!(duration > stopped, "{duration} s recorded, {stopped} s since the disk got stuck");

    // A disk that gets stuck when nothing is being written is found by whoever wants to record.
    let frozen = Frozen::new(&disk);
    let asked = Instant::now();
    let start = program.post("/recordings/start", &json!({ "roomName": "b" }));
    let refused = program.refusal(start, 503).await;
    println!("a start on a stuck disk was refused after {:.1} s", asked.elapsed().as_secs_f64());
    assert!(refused.contains("takes nothing") && asked.elapsed() < Duration::from_secs(7), "{refused}");
    drop(frozen);
    let began = Instant::now();
    while std::fs::read_dir(data.join("takes")).unwrap().count() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "what was refused leaves nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = program.stop();
    assert!(log.contains("the disk takes nothing"), "{log}");
    std::fs::remove_dir_all(data).unwrap();
}
