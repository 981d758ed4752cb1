//! What those in a room are told of its recording, by the real program and LiveKit's signalling.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;
use common::signal::{Client, Join, SETTINGS};
use reelroom_protocol::proto::signal_response;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Somebody in a room, and what they know of it.
struct Person {
    client: Client,
    metadata: String,
}

impl Person {
    /// Comes with a token as the page gets it.
    async fn come(program: &Program, room: &str) -> Self {
        let asked = program.post("/token", &json!({ "roomName": room, "participantName": "Ada" }));
        let (status, answer) = program.answer(asked).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let join = Join { token: answer["token"].as_str(), ..Join::default() };
        let mut client = Client::try_join(program, join).await.unwrap();
        let Some(signal_response::Message::Join(joined)) = client.next().await else { panic!("no join") };
        client.answer_offer().await;
        Self { client, metadata: joined.room.unwrap().metadata }
    }

    fn knows(&self) -> Value {
        serde_json::from_str(&self.metadata).unwrap()
    }

    /// What they are told until `is_it`; each that was told on the way.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut told = Vec::new();
        while !told.last().is_some_and(&is_it) {
            match self.client.next().await.expect("something is told") {
                signal_response::Message::RoomUpdate(update) => {
                    let metadata = update.room.unwrap().metadata;
                    if metadata != self.metadata {
                        self.metadata = metadata;
                        told.push(self.knows());
                    }
                }
                signal_response::Message::Leave(leave) => panic!("{leave:?}"),
                _ => {}
            }
        }
        told
    }
}

fn says(status: &'static str) -> impl Fn(&Value) -> bool {
    move |told| told["recordingStatus"] == status
}

fn start(data: &tempfile::TempDir, more: &[(&str, &str)]) -> Program {
    Program::start(&[], data.path(), &[SETTINGS.as_slice(), more].concat())
}

/// Calls the media server with the key of the settings.
async fn twirp(program: &Program, method: &str, body: &Value) -> Value {
    let room = body["room"].as_str().unwrap_or_default();
    let token = common::room_admin_token(common::signal::KEY.0, common::signal::KEY.1, room);
    let asked = program.post(&format!("/twirp/livekit.{method}"), body).bearer_auth(token);
    let (status, answer) = program.answer(asked).await;
    assert_eq!(status, StatusCode::OK, "{method}: {answer}");
    answer
}

#[tokio::test]
async fn those_in_a_room_are_told_from_the_start_to_the_file_whoever_starts_it() {
    let data = tempfile::tempdir().unwrap();
    let program = start(&data, &[]);
    let mut ada = Person::come(&program, "told").await;
    assert_eq!(ada.knows(), json!({ "recordingStatus": "STOPPED" }), "before anything is recorded");
    // By this server's own API, and by LiveKit's.
    let recording = program.start_recording("told").await;
    let told = ada.until(says("STARTED")).await;
    let started = told.last().unwrap();
    assert_eq!(
        (&started["recording"]["id"], &started["recording"]["status"]),
        (&recording["id"], &json!("recording"))
    );
    assert!(started["recording"]["startedAt"].as_i64().unwrap() > 1_700_000_000_000, "{started}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    program.stop_recording("told").await;
    let told = ada.until(says("STOPPED")).await;
    assert!(told[0]["recordingStatus"] == "STOPPING" || told.len() == 1, "{told:?}");
    let ended = told.last().unwrap();
    assert_eq!(
        (&ended["recording"]["id"], &ended["recording"]["status"]),
        (&recording["id"], &json!("complete"))
    );
    // Who is told that it is there finds it.
    let name = recording["name"].as_str().unwrap();
    assert!(program.list(&[]).await.iter().any(|one| one["name"] == name && one["status"] == "complete"));

    let elsewhere = json!({ "roomName": "told", "fileOutputs": [{ "filepath": "elsewhere/{time}" }] });
    let other = twirp(&program, "Egress/StartRoomCompositeEgress", &elsewhere).await;
    let told = ada.until(says("STARTED")).await;
    assert_eq!(told.last().unwrap()["recording"]["id"], other["egress_id"], "one that no list has");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    twirp(&program, "Egress/StopEgress", &json!({ "egressId": other["egress_id"] })).await;
    ada.until(|told| told["recordingStatus"] == "STOPPED" || told["recordingStatus"] == "FAILED").await;
    program.stop();
}

#[tokio::test]
async fn what_an_app_has_set_stays_and_text_that_is_no_object_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let program = start(&data, &[]);
    let apps = json!({ "name": "apps", "emptyTimeout": 300, "metadata": r#"{"createdBy":"an app"}"# });
    twirp(&program, "RoomService/CreateRoom", &apps).await;
    let mut ada = Person::come(&program, "apps").await;
    program.start_recording("apps").await;
    let told = ada.until(says("STARTED")).await;
    assert!(told.iter().all(|told| told["createdBy"] == "an app"), "{told:?}");
    // It sets something else meanwhile.
    let agenda = json!({ "room": "apps", "metadata": r#"{"agenda":[1,2]}"# });
    twirp(&program, "RoomService/UpdateRoomMetadata", &agenda).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    program.stop_recording("apps").await;
    ada.until(says("STOPPED")).await;
    assert_eq!(ada.knows()["agenda"], json!([1, 2]));

    let plain = json!({ "name": "plain", "emptyTimeout": 300, "metadata": "agenda" });
    twirp(&program, "RoomService/CreateRoom", &plain).await;
    let recording = program.start_recording("plain").await;
    program.until_status(recording["name"].as_str().unwrap(), "recording").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rooms = twirp(&program, "RoomService/ListRooms", &json!({ "names": ["plain"] })).await;
    assert_eq!(rooms["rooms"][0]["metadata"], "agenda");
    program.stop();
}

#[tokio::test]
async fn a_room_says_nothing_where_that_is_switched_off() {
    let data = tempfile::tempdir().unwrap();
    let program = start(&data, &[("ROOM_STATE", "false")]);
    let ada = Person::come(&program, "silent").await;
    assert_eq!(ada.metadata, "");
    let recording = program.start_recording("silent").await;
    program.until_status(recording["name"].as_str().unwrap(), "recording").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rooms = twirp(&program, "RoomService/ListRooms", &json!({ "names": ["silent"] })).await;
    assert!(rooms["rooms"][0]["metadata"].as_str().unwrap_or_default().is_empty(), "{rooms}");
    program.stop();
}

#[tokio::test]
async fn a_room_of_another_server_that_a_killed_program_left_as_recorded_is_put_right() {
    let (media_data, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let media = Program::start(&["media"], media_data.path(), &[("WEBHOOK_URLS", "")]);
    let url = media.url.replace("http://", "ws://");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    media.make_room("far").await;
    let metadata = async |status: &str| {
        let began = std::time::Instant::now();
        loop {
            let rooms = media.twirp("RoomService/ListRooms", json!({ "names": ["far"] })).await;
            let text = rooms["rooms"][0]["metadata"].as_str().unwrap_or_default().to_owned();
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            if said["recordingStatus"] == status {
                return said;
            }
            assert!(began.elapsed().as_secs() < 20, "{text:?} is not {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let recording = program.start_recording("far").await;
    assert_eq!(metadata("STARTED").await["recording"]["id"], recording["id"]);
    // Dropped programs are killed. It ends while nobody tells of it.
    drop(program);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    media.twirp("Egress/StopEgress", json!({ "egressId": recording["id"] })).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(metadata("STARTED").await["recording"]["id"], recording["id"], "nobody put it right");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    metadata("STOPPED").await;
    program.stop();
    media.stop();
}
