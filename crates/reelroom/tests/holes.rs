//! What comparable servers have let happen, tried on this one.
//!
//! | what | tried here, or in |
//! |---|---|
//! | somebody promotes themselves by what they say of themselves | here; `sfu/src/room/tests/rights.rs` |
//! | a right that only the page knows | `access`: every route and method without a page; `tests/sdk/test_rights.py` |
//! | a right that is revoked goes on, or comes back | here; `rooms`; `sfu/src/standing/tests.rs` |
//! | a token is used twice, changed, or of another time | here; `rooms`; `access/livekit.rs` |
//! | links that are guessed or revoked | `access`; `app/src/rooms/tests.rs`, `app/src/shares/tests.rs` |
//! | another page asks in somebody's name | `access`: "a foreign page in the owner's browser"; `front` |
//! | a link to play gives the whole file | `app/src/shares/tests.rs` |
//! | what nobody has set lets in anybody | here; `owner` |
//! | which recordings there are can be guessed | here |
//! | names that are a page's code | here; `api` |

#![allow(clippy::unwrap_used)]

mod common;

use common::house::{House, fresh, secret};
use common::library::plant;
use common::signal::KEY;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    AddTrackRequest, DisconnectReason, LeaveRequest, TrackSource, TrackType, UpdateParticipantMetadata,
    request_response, signal_request,
};
use reelroom_protocol::token::{Claims, VideoGrants, mint, verify};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// `{"alg":"none","typ":"JWT"}`.
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'`${7*7}{{7*7}}</script>";

fn keys() -> ApiKeys {
    ApiKeys::new(KEY.0, KEY.1)
}

fn camera() -> signal_request::Message {
    signal_request::Message::AddTrack(AddTrackRequest {
        cid: "a".into(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn nobody_promotes_themselves_by_what_they_say_of_themselves() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own", "guests": ["publish-camera"] })).await;
    let link = secret(&room, "guest");
    let said = json!({
        "roomName": "own",
        "participantName": "Ada",
        "identity": "EG_1",
        "kind": "egress",
        "metadata": r#"{"role":"host"}"#,
        "attributes": { "reelroom.role": "host" },
        "role": "host",
        "rights": ["record"],
        "video": { "roomAdmin": true, "roomRecord": true, "recorder": true, "hidden": true },
    });
    let asked = house.program.post("/token", &said).header("x-reelroom-link", &link);
    let token = house.program.answer(asked).await.1["token"].as_str().unwrap().to_owned();
    let claims = verify(&keys(), &token, common::now_s()).unwrap();
    assert_eq!(claims.sub, "Ada");
    assert!(claims.kind.is_empty() && claims.metadata.is_empty());
    let attributes: Vec<_> = claims.attributes.into_iter().collect();
    assert_eq!(
        attributes,
        [("reelroom.role".to_owned(), "guest".to_owned())],
        "what the server says of them"
    );
    let granted = claims.video.unwrap();
    assert!(!granted.room_admin && !granted.room_record && !granted.recorder && !granted.hidden);

    let mut guest = house.come(&token).await.unwrap();
    let not_allowed = Some(i32::from(request_response::Reason::NotAllowed));
    for said in [
        UpdateParticipantMetadata { metadata: r#"{"role":"host"}"#.into(), ..Default::default() },
        UpdateParticipantMetadata { name: "the host".into(), ..Default::default() },
        UpdateParticipantMetadata {
            attributes: [("reelroom.role".to_owned(), "host".to_owned())].into(),
            ..Default::default()
        },
    ] {
        guest.send(signal_request::Message::UpdateMetadata(said)).await;
        assert_eq!(guest.refusal().await.map(|refusal| refusal.reason), not_allowed);
    }
    let admin = VideoGrants { room_admin: true, room: "own".into(), ..VideoGrants::default() };
    let admin =
        Claims { sub: "app".into(), exp: common::now_s() + 600, video: Some(admin), ..Claims::default() };
    let asked = house.program.post("/twirp/livekit.RoomService/ListParticipants", &json!({ "room": "own" }));
    let (_, told) = house.program.answer(asked.bearer_auth(mint(&keys(), admin))).await;
    let [seen] = told["participants"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&seen["identity"], &seen["name"]), (&json!("Ada"), &json!("Ada")));
    assert!(seen["metadata"].as_str().is_none_or(str::is_empty), "{seen}");
    assert_eq!(seen["attributes"], json!({ "reelroom.role": "guest" }), "{seen}");
    house.program.stop();
}

#[tokio::test]
async fn a_right_that_is_revoked_does_not_go_on_and_does_not_come_back() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own", "guests": ["publish-camera", "chat"] })).await;
    let link = secret(&room, "guest");
    let first = house.token(&link, "own").await;
    let unused = house.token(&link, "own").await;
    let (mut guest, joined) = house.joined(&first).await.unwrap();
    let granted = joined.participant.unwrap().permission.unwrap();
    assert!(granted.can_publish && granted.can_publish_data);
    let next = fresh(&mut guest).await;
    // Announced, and not live yet.
    guest.send(camera()).await;

    house.own(Method::PATCH, "/rooms/own", &json!({ "guests": [] })).await;
    let later = fresh(&mut guest).await;
    guest.send(camera()).await;
    let not_allowed = Some(i32::from(request_response::Reason::NotAllowed));
    assert_eq!(guest.refusal().await.map(|refusal| refusal.reason), not_allowed);
    guest.send(signal_request::Message::Leave(LeaveRequest::default())).await;
    guest.rest().await;
    // No session is taken up again with what it had.
    let resumed = house.come(&format!("{later}&reconnect=1")).await.map(drop);
    assert_eq!(resumed, Err(i32::from(DisconnectReason::StateMismatch) as u16));
    // Neither by the tokens of before, used or not, nor by the one that was given with the change.
    let mut came = 0;
    for token in [&unused, &next, &later, &first] {
        let Ok((mut again, joined)) = house.joined(token).await else { continue };
        came += 1;
        let granted = joined.participant.unwrap().permission.unwrap();
        assert!(!granted.can_publish && !granted.can_publish_data, "{granted:?}");
        again.send(camera()).await;
        assert_eq!(again.refusal().await.map(|refusal| refusal.reason), not_allowed);
        again.send(signal_request::Message::Leave(LeaveRequest::default())).await;
        again.rest().await;
    }
    assert!(came > 0, "somebody comes again");
    // Whoever is given it again has it by a token of then.
    house.own(Method::PATCH, "/rooms/own", &json!({ "guests": ["publish-camera"] })).await;
    let (_, joined) = house.joined(&house.token(&link, "own").await).await.unwrap();
    assert!(joined.participant.unwrap().permission.unwrap().can_publish);
    house.program.stop();
}

#[tokio::test]
async fn a_token_that_somebody_has_changed_is_none() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let token = house.token(&secret(&room, "guest"), "own").await;
    let claims = verify(&keys(), &token, common::now_s()).unwrap();
    let more = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        mint(&ApiKeys::new(KEY.0, "another secret that is long enough"), claims)
    };
    let video = |change: fn(&mut VideoGrants)| more(&move |claims| change(claims.video.as_mut().unwrap()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let mut forged = vec![
        format!("{UNSIGNED}.{body}."),
        format!("{UNSIGNED}.{body}.{signature}"),
        format!("{head}.{body}."),
        signed.to_owned(),
    ];
    for changed in [
        video(|video| video.room_admin = true),
        video(|video| video.room = "other".into()),
        video(|video| video.can_publish_sources.clear()),
        more(&|claims| claims.exp += 3600),
        more(&|claims| claims.serial += 1),
        more(&|claims| claims.ticket = "TK_1.SE_1".into()),
    ] {
        let (changed_signed, _) = changed.rsplit_once('.').unwrap();
        forged.push(format!("{changed_signed}.{signature}"));
        forged.push(changed);
    }
    for token in &forged {
        assert_eq!(house.come(token).await.map(drop), Err(401), "{token}");
        let asked = house.program.post("/twirp/livekit.RoomService/ListRooms", &json!({})).bearer_auth(token);
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{token}");
    }
    house.come(&token).await.unwrap();
    house.program.stop();
}

#[tokio::test]
async fn a_token_of_when_access_was_open_lets_nobody_in_by_invitation() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let said = json!({ "roomName": "own", "participantName": "Ada" });
    let (_, answer) = house.program.answer(house.program.post("/token", &said)).await;
    let token = answer["token"].as_str().unwrap().to_owned();
    house.come(&token).await.unwrap();
    let House { program, cookie, csrf } = house;
    program.stop();
    let house = House { program: House::start(&data), cookie, csrf };
    assert_eq!(house.come(&token).await.map(drop), Err(401));
    let start = json!({ "roomName": "own" });
    house.program.refusal(house.program.post("/recordings/start", &start).bearer_auth(&token), 401).await;
    house.come(&house.token(&secret(&room, "guest"), "own").await).await.unwrap();
    house.program.stop();
}

#[tokio::test]
async fn what_nobody_has_set_gives_nobody_more_than_a_call() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path(), [("own", "own.mp4".to_owned())]).await;
    // No password is a password, before one is set.
    let program = House::start(&data);
    for password in ["", "admin", "secret"] {
        let asked = program.post("/owner/session", &json!({ "password": password }));
        program.refusal(asked, 409).await;
    }
    for path in ["/recordings", "/rooms", "/owner/keys", "/metrics", "/recordings/own.mp4"] {
        program.refusal(program.get(path), 401).await;
    }
    program.stop();

    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let calls = ["publish-camera", "publish-microphone", "publish-screen", "publish-screen-sound", "chat"];
    assert_eq!(room["guests"], json!(calls));
    assert_eq!(room["hosts"], json!([]), "a host deletes nothing unless that is granted");
    let (status, told) = house
        .program
        .answer(house.program.get("/link").header("x-reelroom-link", secret(&room, "guest")))
        .await;
    assert_eq!(status, StatusCode::OK);
    let rights: Vec<&str> =
        told["rights"].as_array().unwrap().iter().map(|right| right.as_str().unwrap()).collect();
    for right in ["record", "list", "play", "download", "report", "share", "delete", "moderate", "manage"] {
        assert!(!rights.contains(&right), "{rights:?}");
    }
    let shared = house.own(Method::POST, "/recordings/own.mp4/shares", &json!({})).await;
    assert_eq!(shared["share"]["download"], false, "a link is to play");
    house.program.stop();
}

#[tokio::test]
async fn whoever_may_not_see_a_recording_learns_from_no_answer_whether_it_is_there() {
    let data = tempfile::tempdir().unwrap();
    let recordings = ["own", "other"].map(|room| (room, format!("{room}.mp4")));
    plant(data.path(), recordings).await;
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own", "guests": ["list", "play", "download"] })).await;
    let (host, guest) = (secret(&room, "host"), secret(&room, "guest"));
    for link in [None, Some(&host), Some(&guest)] {
        for (method, below) in [
            (Method::GET, ""),
            (Method::DELETE, ""),
            (Method::GET, "/url"),
            (Method::GET, "/pass"),
            (Method::GET, "/report"),
            (Method::GET, "/shares"),
            (Method::POST, "/retry"),
        ] {
            let mut answers = Vec::new();
            for name in ["other.mp4", "no.mp4"] {
                let asked = house.program.request(method.clone(), &format!("/recordings/{name}{below}"));
                let asked = asked.header("range", "bytes=0-9");
                let asked = match link {
                    Some(link) => asked.header("x-reelroom-link", link),
                    None => asked,
                };
                answers.push(house.program.answer(asked).await);
            }
            let expected = if link.is_some() { 403 } else { 401 };
            assert_eq!(answers[0].0, expected, "{method} {below}: {answers:?}");
            assert_eq!(answers[0], answers[1], "{method} {below}");
        }
    }
    house.program.stop();
}

#[tokio::test]
async fn names_that_are_a_pages_code_come_back_as_they_were_and_as_no_page() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path(), [(HOSTILE, "own.mp4".to_owned())]).await;
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": HOSTILE })).await;
    assert_eq!(room["name"], HOSTILE);
    let said = json!({ "roomName": HOSTILE, "participantName": HOSTILE });
    let asked = house.program.post("/token", &said).header("x-reelroom-link", secret(&room, "guest"));
    let token = house.program.answer(asked).await.1["token"].as_str().unwrap().to_owned();
    let (_guest, joined) = house.joined(&token).await.unwrap();
    assert_eq!(
        (joined.room.unwrap().name.as_str(), joined.participant.unwrap().name.as_str()),
        (HOSTILE, HOSTILE)
    );
    let key = json!({ "name": HOSTILE, "rights": ["list"] });
    house.own(Method::POST, "/owner/keys", &key).await;
    let share = json!({ "name": HOSTILE });
    house.own(Method::POST, "/recordings/own.mp4/shares", &share).await;
    let found = |answer: &Value, list: &str, field: &str| answer[list][0][field].as_str().unwrap().to_owned();
    for (path, list, field) in [
        ("/rooms", "rooms", "name"),
        ("/owner/keys", "keys", "name"),
        ("/recordings", "recordings", "roomName"),
        ("/recordings/own.mp4/shares", "shares", "name"),
    ] {
        let asked = house.program.get(path).header("cookie", &house.cookie);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(found(&answer, list, field), HOSTILE, "{path}");
    }
    house.program.stop();
}
