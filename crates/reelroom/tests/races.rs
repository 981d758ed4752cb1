//! Many people press Start and Stop at once, at two programs that share a media server.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::Program;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

const SEED: u64 = 20;
const ROOMS: [&str; 2] = ["left", "right"];
const PEOPLE: u64 = 6;
const STEPS: usize = 15;
const WITHIN: Duration = Duration::from_secs(60);

/// Protojson leaves out the first value of an enum.
fn status(egress: &Value) -> &str {
    egress["status"].as_str().unwrap_or("EGRESS_STARTING")
}

async fn egresses(media: &Program, query: Value) -> Vec<Value> {
    media.twirp("Egress/ListEgress", query).await["items"].as_array().cloned().unwrap_or_default()
}

async fn recorded_now(media: &Program, room: &str) -> usize {
    let all = egresses(media, json!({ "roomName": room })).await;
    all.iter().filter(|egress| matches!(status(egress), "EGRESS_STARTING" | "EGRESS_ACTIVE")).count()
}

/// Presses this and that; gives back the ids of what was started.
async fn press(media: &Program, programs: [&Program; 2], person: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED + person);
    let mut started = Vec::new();
    for _ in 0..STEPS {
        let (program, room) = (programs[random.random_range(0..2)], ROOMS[random.random_range(0..2)]);
        let what = if random.random_bool(0.6) { "start" } else { "stop" };
        let body = json!({ "roomName": room, "audioOnly": true });
        let (code, answer) = program.answer(program.post(&format!("/recordings/{what}"), &body)).await;
        match (what, code) {
            ("start", StatusCode::OK) => started.push(answer["recording"]["id"].as_str().unwrap().to_owned()),
            (_, StatusCode::OK | StatusCode::CONFLICT) => {}
            _ => panic!("{what}: {code} {answer}"),
        }
        assert!(recorded_now(media, room).await <= 1, "two recordings of {room}");
        // Some recordings end before they have begun, some are long enough to become files.
        let most_ms = if random.random_bool(0.2) { 900 } else { 60 };
        tokio::time::sleep(Duration::from_millis(random.random_range(0..most_ms))).await;
    }
    started
}

#[tokio::test]
async fn whoever_starts_and_stops_at_once_makes_one_recording_at_a_time_and_each_of_them_ends() {
    let (data, other_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = Program::start(&[], data.path(), &[]);
    let settings = [
        ("LIVEKIT_URL", program.url.as_str()),
        ("LIVEKIT_API_KEY", "devkey"),
        ("LIVEKIT_API_SECRET", "secret"),
    ];
    let other = Program::start(&[], other_data.path(), &settings);
    for room in ROOMS {
        program.make_room(room).await;
    }
    let people = (0..PEOPLE).map(|person| press(&program, [&program, &other], person));
    let started: Vec<String> = futures::future::join_all(people).await.concat();
    let different: BTreeSet<&String> = started.iter().collect();
    assert_eq!(different.len(), started.len(), "one start was told to two people");
    assert!(started.len() > ROOMS.len(), "the seed starts too few: {started:?}");
    for room in ROOMS {
        let _ = program.post("/recordings/stop", &json!({ "roomName": room })).send().await.unwrap();
    }
    let began = Instant::now();
    loop {
        let all = egresses(&program, json!({})).await;
        let over = |egress: &&Value| matches!(status(egress), "EGRESS_COMPLETE" | "EGRESS_ABORTED");
        if all.iter().filter(over).count() == all.len() {
            let known: BTreeSet<&str> = all.iter().filter_map(|egress| egress["egressId"].as_str()).collect();
            assert!(started.iter().all(|id| known.contains(id.as_str())), "{started:?} {known:?}");
            let names: BTreeSet<&str> =
                all.iter().filter_map(|egress| egress["fileResults"][0]["filename"].as_str()).collect();
            let complete = all.iter().filter(|egress| status(egress) == "EGRESS_COMPLETE").count();
            assert!(complete > 0 && complete <= names.len(), "{complete} files share {} names", names.len());
            break;
        }
        assert!(began.elapsed() < WITHIN, "some never end: {all:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rooms = program.twirp("RoomService/ListRooms", json!({})).await;
    assert!(rooms["rooms"].as_array().unwrap().iter().all(|room| room["activeRecording"] != true), "{rooms}");
    other.stop();
    program.stop();
}
