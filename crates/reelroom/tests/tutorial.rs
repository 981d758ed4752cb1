//! What OpenVidu's recording tutorials do with the media server and with tokens. Their own programs run in `scripts/tutorials`.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A participant's token, as the page gets it.
async fn token(program: &Program, room: &str) -> String {
    let request = program.post("/token", &json!({ "roomName": room, "participantName": "Ada" }));
    let (_, answer) = program.answer(request).await;
    answer["token"].as_str().unwrap().to_owned()
}

async fn call(program: &Program, token: &str, method: &str, body: &Value) -> (StatusCode, Value) {
    program.answer(program.post(&format!("/twirp/livekit.Egress/{method}"), body).bearer_auth(token)).await
}

fn composite(room: &str, filepath: &str) -> Value {
    json!({ "roomName": room, "fileOutputs": [{ "filepath": filepath, "disableManifest": true }] })
}

/// Records a second of a room with the token, and gives the file's path when it is stored.
async fn record(program: &Program, token: &str, room: &str, filepath: &str) -> String {
    let (status, started) =
        call(program, token, "StartRoomCompositeEgress", &composite(room, filepath)).await;
    assert_eq!(status, StatusCode::OK, "{started}");
    let id = started["egress_id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (status, stopped) = call(program, token, "StopEgress", &json!({ "egressId": id })).await;
    assert_eq!((status, stopped["status"].as_str()), (StatusCode::OK, Some("EGRESS_ENDING")));
    // The tutorial's page looks for the file when the room is not shown as being recorded any more.
    assert!(is_shown_as_recorded(program, room).await, "its file is not there yet");
    let path = started["file_results"][0]["filename"].as_str().unwrap().to_owned();
    program.until_status(path.strip_prefix("recordings/").unwrap(), "complete").await;
    assert!(!is_shown_as_recorded(program, room).await);
    path
}

async fn is_shown_as_recorded(program: &Program, room: &str) -> bool {
    let rooms = program.twirp("RoomService/ListRooms", json!({ "names": [room] })).await;
    rooms["rooms"][0]["active_recording"] == true
}

fn files(data: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(data.path().join("recordings")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_path_is_cleaned_and_nothing_stands_beside_a_file_that_is_to_stand_alone() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    program.make_room("Test Room").await;
    let own = token(&program, "Test Room").await;
    let path = record(&program, &own, "Test Room", "recordings//{room_name}-{time}-{room_id}").await;
    assert!(path.starts_with("recordings/Test Room-20") && path.ends_with(".mp4"), "{path}");
    let name = path.strip_prefix("recordings/").unwrap();
    assert_eq!(files(&data), [name]);
    let listed = program.list(&[("roomName", "Test Room")]).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0]["id"].as_str().unwrap().starts_with("EG_") && listed[0]["sha256"].is_string());
    // Without the index nothing is forgotten of it, although nothing stands beside it.
    program.stop();
    std::fs::remove_file(data.path().join("index.db")).unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let again = &program.list(&[]).await[0];
    assert_eq!(again, &listed[0]);
    let delete = program.request(Method::DELETE, &format!("/recordings/{}", name.replace(' ', "%20")));
    assert_eq!(program.answer(delete).await.0, StatusCode::OK);
    assert!(files(&data).is_empty());
    program.stop();
}

#[tokio::test]
async fn a_participants_token_records_its_own_room_below_the_folder_and_over_nothing() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    for room in ["a", "b"] {
        program.make_room(room).await;
    }
    let (own, other) = (token(&program, "a").await, token(&program, "b").await);
    let code = async |body: Value| {
        let (status, answer) = call(&program, &own, "StartRoomCompositeEgress", &body).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code(composite("b", "recordings/x")).await, refused(401, "unauthenticated"));
    for outside in ["x", "recordings/../x", "/recordings-2/x", "other/recordings/x"] {
        assert_eq!(code(composite("a", outside)).await, refused(403, "permission_denied"), "{outside}");
    }
    let mut elsewhere = composite("a", "recordings/x");
    elsewhere["fileOutputs"][0]["s3"] = json!({ "bucket": "mine", "accessKey": "a", "secret": "b" });
    assert_eq!(code(elsewhere).await, refused(403, "permission_denied"));
    let mut streamed = composite("a", "recordings/x");
    streamed["streamOutputs"] = json!([{ "protocol": "RTMP", "urls": ["rtmp://x/y"] }]);
    assert_eq!(code(streamed).await, refused(403, "permission_denied"));

    let theirs = composite("b", "recordings/b-{time}");
    let (_, theirs) = call(&program, &other, "StartRoomCompositeEgress", &theirs).await;
    let theirs = json!({ "egressId": theirs["egress_id"] });
    for method in ["StopEgress", "UpdateLayout", "ListEgress"] {
        let (status, answer) = call(&program, &own, method, &theirs).await;
        assert_eq!((status.as_u16(), answer["code"].as_str()), (404, Some("not_found")), "{method}");
    }
    let (_, all) = call(&program, &own, "ListEgress", &json!({})).await;
    assert!(all["items"].as_array().is_none_or(Vec::is_empty), "{all}");
    assert_eq!(call(&program, &other, "StopEgress", &theirs).await.0, StatusCode::OK);

    assert_eq!(record(&program, &own, "a", "recordings/mine.mp4").await, "recordings/mine.mp4");
    let first = std::fs::read(data.path().join("recordings/mine.mp4")).unwrap();
    assert_eq!(record(&program, &own, "a", "recordings/mine.mp4").await, "recordings/mine-2.mp4");
    assert_eq!(std::fs::read(data.path().join("recordings/mine.mp4")).unwrap(), first);
    // No right over rooms comes with it.
    let rooms = program.post("/twirp/livekit.RoomService/ListRooms", &json!({})).bearer_auth(&own);
    assert_eq!(program.answer(rooms).await.0, StatusCode::UNAUTHORIZED);
    program.stop();
}

#[tokio::test]
async fn whatever_is_called_below_twirp_is_refused_in_its_form() {
    let data = tempfile::tempdir().unwrap();
    for role in [&[][..], &["media"]] {
        let program = Program::start(role, data.path(), &[]);
        for (method, path) in [
            (Method::POST, "/twirp/livekit.Ingress"),
            (Method::GET, "/twirp/livekit.SIP/ListSIPTrunk"),
            (Method::POST, "/twirp/livekit.Egress/Nothing"),
            (Method::POST, "/twirp/livekit.RoomService/Nothing"),
            (Method::POST, "/twirp/nothing"),
            (Method::GET, "/twirp/livekit.Egress/ListEgress"),
            (Method::PUT, "/twirp/livekit.RoomService/ListRooms"),
        ] {
            let (status, answer) = program.answer(program.request(method.clone(), path)).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer["code"], "bad_route", "{method} {path}");
            assert!(answer["msg"].is_string() && answer["meta"]["twirp_invalid_route"].is_string());
        }
        // Whether a service is offered is told to whoever has a token.
        let ingress = program.request(Method::POST, "/twirp/livekit.Ingress/ListIngress");
        let (status, answer) = program.answer(ingress).await;
        assert_eq!((status.as_u16(), answer["code"].as_str()), (401, Some("unauthenticated")));
        let (status, answer) = program
            .answer(program.request(Method::POST, "/twirp/livekit.Egress/ListEgress").body("a=b"))
            .await;
        assert_eq!((status.as_u16(), answer["code"].as_str()), (404, Some("bad_route")));
        program.stop();
    }
}
