//! A restart that is planned: calls and recordings go on in the next run, on the same folder and port.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::Program;
use common::house::{House, fresh, secret};
use common::signal::{Client, Join, SETTINGS};
use reelroom_protocol::proto::{
    DisconnectReason, JoinResponse, LeaveRequest, leave_request, signal_request, signal_response,
};
use serde_json::{Value, json};

/// Calls wait for it, and nobody downloads anything: a second, on a machine that has nothing else to do.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

fn start(data: &Path, port: &str, more: &[(&str, &str)]) -> Program {
    let settings = [SETTINGS.as_slice(), &[("SERVER_PORT", port)], more].concat();
    Program::start(&[], data, &settings)
}

/// The same, with the development key, by which rooms are made without participants.
fn start_empty(data: &Path, more: &[(&str, &str)]) -> Program {
    Program::start(&[], data, more)
}

async fn join(program: &Program, room: &str, identity: &str) -> (Client, JoinResponse) {
    let join = Join { room, identity, ..Join::default() };
    let mut client = Client::try_join(program, join).await.unwrap();
    match client.next().await {
        Some(signal_response::Message::Join(joined)) => (client, joined),
        other => panic!("{other:?}"),
    }
}

/// What a client is told last.
async fn leave_of(client: &mut Client) -> LeaveRequest {
    let wanted = |message: &_| matches!(message, signal_response::Message::Leave(_));
    match client.until(wanted).await {
        Some(signal_response::Message::Leave(leave)) => leave,
        other => panic!("{other:?}"),
    }
}

/// The only recording that is listed.
async fn only(program: &Program) -> Value {
    let all = program.list(&[]).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

fn name_and_status(recording: &Value) -> (String, String) {
    let [name, status] = ["name", "status"].map(|key| recording[key].as_str().unwrap().to_owned());
    (name, status)
}

#[tokio::test]
async fn a_recorded_call_goes_on_after_a_restart_and_is_one_recording() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let program = start(data.path(), &port, &[]);
    let (mut ada, joined) = join(&program, "room", "ada").await;
    let first_session = joined.room.unwrap().sid;
    let started = program.start_recording("room").await;
    let (began, name) = (Instant::now(), started["name"].as_str().unwrap().to_owned());
    program.until_status(&name, "recording").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;

    let stopping = Instant::now();
    program.end_to_start_anew();
    let leave = leave_of(&mut ada).await;
    assert_eq!(leave.reason(), DisconnectReason::ServerShutdown);
    assert_eq!((leave.action(), leave.can_reconnect), (leave_request::Action::Reconnect, true));
    drop(ada);
    let log = program.ended();
    assert!(stopping.elapsed() < ENDS_WITHIN, "{:?}:\n{log}", stopping.elapsed());
    assert!(data.path().join("restart.json").exists());

    let program = start(data.path(), &port, &[]);
    assert!(!data.path().join("restart.json").exists(), "it is used once");
    // From the first moment on.
    let waiting = only(&program).await;
    assert_eq!((&waiting["id"], &waiting["status"]), (&started["id"], &json!("recording")));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (_ada, joined) = join(&program, "room", "ada").await;
    let room = joined.room.unwrap();
    assert!(room.active_recording, "whoever comes back is told so from the first moment on");
    assert_ne!(room.sid, first_session);
    let refused =
        program.refusal(program.post("/recordings/start", &json!({ "roomName": "room" })), 409).await;
    assert!(refused.contains("already"), "{refused}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    program.stop_recording("room").await;
    let took = began.elapsed().as_secs_f64();
    let complete = program.until_status(&name, "complete").await;
    assert_eq!(only(&program).await["id"], started["id"]);
    assert_eq!(
        (&complete["recovered"], &complete["startedAt"], &complete["roomId"]),
        (&json!(false), &started["startedAt"], &started["roomId"])
    );
    let duration = complete["duration"].as_f64().unwrap();
    assert!((duration - took).abs() < 1.0, "{took} s became {duration} s");
    let (_, report) = program.answer(program.get(&format!("/recordings/{name}/report"))).await;
    let pauses = report["suspended"].as_array().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(pauses.len(), 1, "{report}");
    let [from_ns, to_ns] = ["from_ns", "to_ns"].map(|key| pauses[0][key].as_u64().unwrap());
    assert!(from_ns > 1_400_000_000 && to_ns - from_ns > 450_000_000, "{report}");
    program.stop();
}

#[tokio::test]
async fn a_recording_to_which_nobody_comes_back_is_finished_and_so_is_one_that_is_stopped_meanwhile() {
    let data = tempfile::tempdir().unwrap();
    let program = start_empty(data.path(), &[]);
    let began = Instant::now();
    let one = program.record_for("one", Duration::from_millis(800)).await;
    let two = program.record_for("two", Duration::from_millis(800)).await;
    program.hand_over();
    let recorded = began.elapsed().as_secs_f64();
    let program = start_empty(data.path(), &[("RESUME_SECONDS", "6")]);
    let mut waiting: Vec<_> = program.list(&[]).await.iter().map(name_and_status).collect();
    waiting.sort();
    let mut expected = [&one, &two].map(|name| (name.clone(), "recording".to_owned()));
    expected.sort();
    assert_eq!(waiting, expected, "they are listed from the first moment on");
    program.stop_recording("one").await;
    for name in [&one, &two] {
        let complete = program.until_status(name, "complete").await;
        assert_eq!(complete["recovered"], false, "{complete}");
        let duration = complete["duration"].as_f64().unwrap();
        assert!((0.7..recorded + 0.5).contains(&duration), "recorded for {recorded} s: {complete}");
    }
    program.stop();
}

#[tokio::test]
async fn where_recordings_do_not_go_on_they_are_finished_at_the_stop() {
    let data = tempfile::tempdir().unwrap();
    let program = start_empty(data.path(), &[("RESUME_SECONDS", "0")]);
    let name = program.record_for("one", Duration::from_millis(800)).await;
    let log = program.hand_over();
    assert!(!log.contains("suspended"), "{log}");
    let program = start_empty(data.path(), &[]);
    let complete = program.until_status(&name, "complete").await;
    assert_eq!(complete["recovered"], false, "{complete}");
    program.stop();
}

#[tokio::test]
async fn a_program_that_is_killed_before_anybody_is_back_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let program = start_empty(data.path(), &[]);
    let name = program.record_for("one", Duration::from_millis(1200)).await;
    program.hand_over();
    let program = start_empty(data.path(), &[]);
    assert_eq!(name_and_status(&only(&program).await), (name.clone(), "recording".to_owned()));
    // kill -9
    drop(program);
    let program = start_empty(data.path(), &[]);
    assert_eq!(name_and_status(&only(&program).await), (name.clone(), "recording".to_owned()));
    program.stop_recording("one").await;
    let complete = program.until_status(&name, "complete").await;
    assert_eq!(complete["recovered"], false, "{complete}");
    program.stop();
}

#[tokio::test]
async fn what_the_server_knew_of_a_room_holds_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let more = [("SERVER_PORT", port.as_str())];
    let house = House::with(&data, &more).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let guest = secret(&room, "guest");
    let token = house.token(&guest, "own").await;
    let mut client = house.come(&token).await.unwrap();
    let next = fresh(&mut client).await;
    assert!(client.ping().await.is_some());
    let other = house.token(&guest, "own").await;
    let (mut removed, joined) = house.joined(&other).await.unwrap();
    let later = fresh(&mut removed).await;
    let identity = joined.participant.unwrap().identity;
    let admin = common::room_admin_token(SETTINGS[0].1, SETTINGS[1].1, "own");
    let remove = json!({ "room": "own", "identity": identity, "revokeTokenTs": common::now_s() + 5 });
    let path = "/twirp/livekit.RoomService/RemoveParticipant";
    let (status, answer) = house.program.answer(house.program.post(path, &remove).bearer_auth(&admin)).await;
    assert!(status.is_success(), "{answer}");
    let metadata = json!({ "room": "own", "metadata": "{\"agenda\":1}" });
    let path = "/twirp/livekit.RoomService/UpdateRoomMetadata";
    house.program.answer(house.program.post(path, &metadata).bearer_auth(&admin)).await;

    let House { program, cookie, csrf } = house;
    program.hand_over();
    let settings = [SETTINGS.as_slice(), &[("ACCESS", "invite"), ("LOG", "trace")], more.as_slice()].concat();
    let house = House { program: Program::start(&[], data.path(), &settings), cookie, csrf };
    assert!(house.come(&token).await.is_err(), "it was used before the restart");
    assert!(house.come(&later).await.is_err(), "its bearer was removed");
    let (_client, joined) = house.joined(&next).await.unwrap();
    let metadata: Value = serde_json::from_str(&joined.room.unwrap().metadata).unwrap();
    assert_eq!(metadata["agenda"], 1, "{metadata}");
    house.program.stop();
}

#[tokio::test]
async fn calls_may_end_before_a_restart_and_no_room_opens_meanwhile() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let program = start(data.path(), &port, &[("DRAIN_SECONDS", "60")]);
    let token = common::admin_token(SETTINGS[0].1, SETTINGS[1].1);
    let room = json!({ "name": "room", "emptyTimeout": 1, "departureTimeout": 1 });
    let path = "/twirp/livekit.RoomService/CreateRoom";
    program.answer(program.post(path, &room).bearer_auth(&token)).await;
    let (mut ada, _) = join(&program, "room", "ada").await;
    program.end_to_start_anew();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let other = Join { room: "other", identity: "bob", ..Join::default() };
    assert_eq!(Client::try_join(&program, other).await.err(), Some(503));
    let (mut bob, _) = join(&program, "room", "bob").await;
    assert!(ada.ping().await.is_some() && bob.ping().await.is_some(), "the call goes on");
    for client in [&mut ada, &mut bob] {
        client.send(signal_request::Message::Leave(LeaveRequest::default())).await;
    }
    let began = Instant::now();
    program.ended();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
