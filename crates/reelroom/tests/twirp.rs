//! LiveKit's server API as other people's programs meet it: JSON as livekit-server writes it, and refusals that say what is not offered.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Program, admin_token, now_s, room_admin_token};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn media(data: &tempfile::TempDir) -> Program {
    Program::start(&["media"], data.path(), &[])
}

async fn call(program: &Program, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
    program.answer(program.post(path, body).bearer_auth(token)).await
}

#[tokio::test]
async fn json_is_written_as_livekits_server_writes_it() {
    let data = tempfile::tempdir().unwrap();
    let program = media(&data);
    let asked = json!({ "name": "r", "empty_timeout": "42", "maxParticipants": 3.0, "metadata": null, "unknown": [null] });
    let room = program.twirp("RoomService/CreateRoom", asked).await;
    assert_eq!((&room["empty_timeout"], &room["max_participants"]), (&json!(42), &json!(3)), "{room}");
    assert_eq!((&room["num_participants"], &room["active_recording"]), (&json!(0), &json!(false)));
    assert_eq!((&room["metadata"], &room["turn_password"]), (&json!(""), &json!("")));
    assert!(room["creation_time"].as_str().is_some_and(|time| time.parse::<u64>().is_ok()), "{room}");
    assert!(room.get("creationTime").is_none());
    let listed = program.twirp("RoomService/ListRooms", json!({ "names": ["r", "other"] })).await;
    assert_eq!(listed["rooms"], json!([room]));
    assert_eq!(program.twirp("Egress/ListEgress", json!({})).await["items"], json!([]));
    let admin = room_admin_token("devkey", "secret", "r");
    let (status, nobody) =
        call(&program, "//twirp/livekit.RoomService/ListParticipants", &admin, &json!({ "room": "r" })).await;
    assert_eq!((status, nobody), (StatusCode::OK, json!({ "participants": [] })));
    program.stop();
}

#[tokio::test]
async fn what_is_not_offered_is_told_so_and_not_taken_for_a_misspelling() {
    let data = tempfile::tempdir().unwrap();
    let program = media(&data);
    let admin = admin_token("devkey", "secret");
    let room_admin = room_admin_token("devkey", "secret", "r");
    for (path, token) in [
        ("livekit.SIP/ListSIPInboundTrunk", &admin),
        ("livekit.SIP/CreateSIPParticipant", &admin),
        ("livekit.Ingress/ListIngress", &admin),
        ("livekit.Connector/ConnectTwilioCall", &admin),
        ("livekit.PhoneNumberService/ListPhoneNumbers", &admin),
        ("livekit.Egress/StartWebEgress", &admin),
        ("livekit.RoomService/MoveParticipant", &room_admin),
        ("livekit.RoomService/ForwardParticipant", &room_admin),
    ] {
        let (status, refused) = call(&program, &format!("/twirp/{path}"), token, &json!({})).await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::NOT_IMPLEMENTED, &json!("unimplemented")),
            "{path}"
        );
    }
    for path in ["livekit.SIP/Nothing", "livekit.Ingress", "livekit.Nothing/ListIngress"] {
        let (status, refused) = call(&program, &format!("/twirp/{path}"), &admin, &json!({})).await;
        assert_eq!((status, &refused["code"]), (StatusCode::NOT_FOUND, &json!("bad_route")), "{path}");
    }
    let joins = VideoGrants { room_join: true, room: "r".into(), ..VideoGrants::default() };
    let claims = Claims { sub: "ada".into(), exp: now_s() + 60, video: Some(joins), ..Claims::default() };
    let participant = mint(&ApiKeys::new("devkey", "secret"), claims);
    let (status, _) =
        call(&program, "/twirp/livekit.SIP/ListSIPInboundTrunk", &participant, &json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    program.stop();
}

#[tokio::test]
async fn rooms_and_data_are_refused_in_the_words_of_livekits_server() {
    let data = tempfile::tempdir().unwrap();
    let program = media(&data);
    program.make_room("r").await;
    let (admin, room_admin) = (admin_token("devkey", "secret"), room_admin_token("devkey", "secret", "r"));
    let preset = json!({ "name": "new", "roomPreset": "large" });
    let tracks = json!({ "name": "new", "egress": { "tracks": { "filepath": "a" } } });
    let long = json!({ "room": "r", "destinationIdentity": "ada", "method": "x".repeat(300) });
    for (method, token, body, expected) in [
        (
            "CreateRoom",
            &admin,
            preset,
            ("invalid_argument", "unknown room configuration in create room request"),
        ),
        ("CreateRoom", &admin, tracks, ("unimplemented", "not supported by this recorder")),
        (
            "SendData",
            &room_admin,
            json!({ "room": "r", "nonce": "AAAA" }),
            ("invalid_argument", "nonce should be 16-bytes"),
        ),
        (
            "PerformRpc",
            &room_admin,
            json!({ "room": "r" }),
            ("invalid_argument", "destination identity is required"),
        ),
        ("PerformRpc", &room_admin, long, ("invalid_argument", "a method has a name")),
        (
            "PerformRpc",
            &room_admin,
            json!({ "room": "r", "destinationIdentity": "ada", "method": "m" }),
            ("not_found", "participant does not exist"),
        ),
        (
            "PerformRpc",
            &admin,
            json!({ "room": "r", "destinationIdentity": "ada" }),
            ("unauthenticated", "permissions denied"),
        ),
    ] {
        let (_, refused) =
            call(&program, &format!("/twirp/livekit.RoomService/{method}"), token, &body).await;
        let (code, text) = expected;
        assert_eq!(refused["code"], code, "{method}: {refused}");
        assert!(refused["msg"].as_str().unwrap().contains(text), "{method}: {refused}");
    }
    let rooms = program.twirp("RoomService/ListRooms", json!({})).await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1, "none of them was opened");
    let nonce = "AAAAAAAAAAAAAAAAAAAAAA==";
    let (status, _) = call(
        &program,
        "/twirp/livekit.RoomService/SendData",
        &room_admin,
        &json!({ "room": "r", "data": "aGk=", "nonce": nonce }),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    program.stop();
}

#[tokio::test]
async fn a_room_that_asks_for_it_is_recorded_from_its_beginning_on() {
    let data = tempfile::tempdir().unwrap();
    let program = media(&data);
    let egress =
        json!({ "room": { "roomName": "another", "fileOutputs": [{ "filepath": "from the beginning" }] } });
    let room =
        program.twirp("RoomService/CreateRoom", json!({ "name": "r", "egress": egress.clone() })).await;
    let recordings = program.twirp("Egress/ListEgress", json!({})).await;
    let items = recordings["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{recordings}");
    assert_eq!(
        (&items[0]["room_name"], &items[0]["room_id"]),
        (&json!("r"), &room["sid"]),
        "of the room itself"
    );
    program.twirp("RoomService/CreateRoom", json!({ "name": "r", "egress": egress.clone() })).await;
    let again = program.twirp("Egress/ListEgress", json!({})).await;
    assert_eq!(again["items"].as_array().unwrap().len(), 1, "it is open already");
    for room_record in [false, true] {
        let grants = VideoGrants {
            room_create: true,
            room_join: true,
            room_record,
            room: "own".into(),
            ..VideoGrants::default()
        };
        let claims =
            Claims { sub: "ada".into(), exp: now_s() + 60, video: Some(grants), ..Claims::default() };
        let participant = mint(&ApiKeys::new("devkey", "secret"), claims);
        let asked = json!({ "name": "p", "egress": egress.clone() });
        let (status, _) = call(&program, "/twirp/livekit.RoomService/CreateRoom", &participant, &asked).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "a participant records its own room alone, by Egress");
    }
    program.twirp("Egress/StopEgress", json!({ "egressId": items[0]["egress_id"] })).await;
    program.stop();
}

#[test]
fn a_developer_is_told_by_what_programs_use_the_server() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(&["media", "--dev"], data.path(), &[]);
    let socket = program.url.replace("http", "ws");
    let lines: Vec<String> = (0..8).map(|_| program.line()).collect();
    for line in ["starting in development mode", "API Key:    devkey", "API Secret: secret"] {
        assert!(lines.iter().any(|said| said.trim() == line), "{line:?} in {lines:?}");
    }
    assert!(lines.iter().any(|said| said.trim() == format!("URL:        {socket}")), "{lines:?}");
    program.stop();
}
