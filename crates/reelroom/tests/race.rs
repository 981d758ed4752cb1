//! Starts and stops that race, from two programs, while rooms come and go.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::Program;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

const SEED: u64 = 20_261_123;
const ROOMS: [&str; 3] = ["one", "two", "räume / 3"];
const ROUNDS: usize = 12;
/// How many act at once.
const HANDS: usize = 6;

/// What a hand does in a round.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Start,
    Stop,
    Recreate,
}

async fn delete_room(program: &Program, room: &str) {
    let token = common::admin_token("devkey", "secret");
    let request = program.post("/twirp/livekit.RoomService/DeleteRoom", &json!({ "room": room }));
    let (status, _) = program.answer(request.bearer_auth(token)).await;
    assert!(status == StatusCode::OK || status == StatusCode::NOT_FOUND, "{status}");
}

async fn egresses(program: &Program) -> Vec<Value> {
    let answer = program.twirp("Egress/ListEgress", json!({})).await;
    answer["items"].as_array().cloned().unwrap_or_default()
}

/// Proto3 JSON leaves out a zero.
fn status(info: &Value) -> &str {
    info["status"].as_str().unwrap_or("EGRESS_STARTING")
}

fn is_recording(info: &Value) -> bool {
    matches!(status(info), "EGRESS_STARTING" | "EGRESS_ACTIVE")
}

/// No session of a room has two recorders.
fn check_at_most_one(infos: &[Value]) {
    let mut recorders: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for info in infos.iter().filter(|info| is_recording(info)) {
        recorders.entry(info["room_id"].as_str().unwrap()).or_default().push(info);
    }
    for (room, infos) in recorders {
        assert_eq!(infos.len(), 1, "{room} is recorded twice: {infos:?}");
    }
}

#[tokio::test]
async fn however_starts_and_stops_race_a_room_has_one_recording_and_none_is_stuck() {
    let (data, other_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = Program::start(&[], data.path(), &[]);
    let url = program.url.replace("http://", "ws://");
    let other = Program::start(&[], other_data.path(), &[("LIVEKIT_URL", &url)]);
    let mut rng = StdRng::seed_from_u64(SEED);
    for room in ROOMS {
        program.make_room(room).await;
    }
    let mut started = Vec::new();
    for round in 0..ROUNDS {
        let deeds: Vec<_> = (0..HANDS)
            .map(|_| {
                let deed = match rng.random_range(0..10) {
                    0..=4 => Deed::Start,
                    5..=8 => Deed::Stop,
                    _ => Deed::Recreate,
                };
                let room = ROOMS[rng.random_range(0..ROOMS.len())];
                let through = if rng.random_bool(0.5) { &program } else { &other };
                (deed, room, through, Duration::from_millis(rng.random_range(0..30)))
            })
            .collect();
        let hands = deeds.into_iter().map(async |(deed, room, through, after)| {
            tokio::time::sleep(after).await;
            let path = match deed {
                Deed::Start => "/recordings/start",
                Deed::Stop => "/recordings/stop",
                Deed::Recreate => {
                    delete_room(&program, room).await;
                    program.make_room(room).await;
                    return None;
                }
            };
            let (status, body) = through.answer(through.post(path, &json!({ "roomName": room }))).await;
            match (deed, status) {
                (Deed::Start, StatusCode::OK) => Some(body["recording"]["id"].as_str().unwrap().to_owned()),
                // A room that is just being made again is not there for a moment.
                (Deed::Start, StatusCode::CONFLICT | StatusCode::NOT_FOUND)
                | (Deed::Stop, StatusCode::OK | StatusCode::CONFLICT) => None,
                _ => panic!("round {round}: {deed:?} of {room:?} was answered {status}: {body}"),
            }
        });
        started.extend(futures::future::join_all(hands).await.into_iter().flatten());
        check_at_most_one(&egresses(&program).await);
        // Sometimes long enough for a recording to become one.
        tokio::time::sleep(Duration::from_millis(if round % 4 == 3 { 700 } else { 20 })).await;
    }
    assert!(started.len() >= 5, "the seed begins recordings: {started:?}");
    for room in ROOMS {
        let (status, body) = other.answer(other.post("/recordings/stop", &json!({ "roomName": room }))).await;
        assert!(matches!(status, StatusCode::OK | StatusCode::CONFLICT), "{body}");
    }

    let began = Instant::now();
    let over = loop {
        let infos = egresses(&program).await;
        if infos.iter().all(|info| matches!(status(info), "EGRESS_COMPLETE" | "EGRESS_ABORTED")) {
            break infos;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "stuck: {infos:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let mut ids: Vec<_> = over.iter().map(|info| info["egress_id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    started.sort_unstable();
    assert_eq!(
        ids, started,
        "each start that was answered with 200 began one recording, and nothing else did"
    );

    let complete: Vec<_> = over.iter().filter(|info| status(info) == "EGRESS_COMPLETE").collect();
    assert!(!complete.is_empty(), "the seed makes files");
    let listed = loop {
        let listed = program.list(&[]).await;
        if listed.len() == complete.len() && listed.iter().all(|recording| recording["status"] == "complete")
        {
            break listed;
        }
        assert!(began.elapsed() < Duration::from_secs(130), "not listed: {complete:?} but {listed:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for info in complete {
        let same = |recording: &&Value| recording["id"] == info["egress_id"];
        assert_eq!(listed.iter().filter(same).count(), 1, "{info}");
    }

    // Nobody is stuck: no room shows a recording, and each can be recorded again.
    let rooms = program.twirp("RoomService/ListRooms", json!({})).await;
    let shown = rooms["rooms"].as_array().unwrap().iter().any(|room| room["active_recording"] == true);
    assert!(!shown, "{rooms}");
    for (room, through) in ROOMS.into_iter().zip([&program, &other, &program]) {
        through.start_recording(room).await;
        through.stop_recording(room).await;
    }
    other.stop();
    program.stop();
}
