//! Those who come by a link into a room: what they may do in a call, and how they are out of it again.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::Program;
use common::house::{House, fresh, secret, why_out};
use common::signal::{KEY, SETTINGS};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    AddTrackRequest, DisconnectReason, LeaveRequest, TrackSource, TrackType, UpdateParticipantMetadata,
    request_response, signal_request, signal_response,
};
use reelroom_protocol::token::{self, Claims};
use reqwest::{Method, StatusCode};
use serde_json::json;

/// From the answer to whoever takes a right away until it is gone.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Links are looked at every five seconds for whether they have expired.
const SOON: Duration = Duration::from_secs(9);

/// Who comes with a token.
fn claims(token: &str) -> Claims {
    token::verify(&ApiKeys::new(KEY.0, KEY.1), token, common::now_s()).unwrap()
}

#[tokio::test]
async fn the_owner_sees_who_is_in_a_room_and_what_was_done_by_whom() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let (host, guest) = (secret(&room, "host"), secret(&room, "guest"));
    let _host = house.come(&house.token(&host, "own").await).await.unwrap();
    let _guest = house.come(&house.token(&guest, "own").await).await.unwrap();
    // What is known of rooms holds for a moment.
    let began = Instant::now();
    let open = loop {
        let told = house.own(Method::GET, "/overview", &json!({})).await;
        assert!(told.get("roomsTrouble").is_none(), "{told}");
        if told["rooms"][0]["count"] == json!(2) {
            break told["rooms"][0].clone();
        }
        assert!(began.elapsed() < SOON, "{told}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!((&open["name"], &open["madeAt"]), (&json!("own"), &room["madeAt"]));
    let mut roles: Vec<_> = open["people"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    roles.sort_by_key(|role| role.to_string());
    assert_eq!(roles, [&json!("guest"), &json!("host")]);

    house.own(Method::DELETE, "/rooms/own/links/guest", &json!({})).await;
    let told = house.own(Method::GET, "/audit?limit=10", &json!({})).await;
    let entries = told["entries"].as_array().unwrap();
    let acts: Vec<_> = entries.iter().map(|entry| entry["act"].as_str().unwrap()).collect();
    let expected =
        ["roomLink.revoked", "room.joined", "room.joined", "room.made", "password.set", "ownerLink.made"];
    assert_eq!(acts, expected);
    assert_eq!((&entries[1]["who"]["kind"], &entries[1]["who"]["name"]), (&json!("guest"), &json!("Ada")));
    assert_eq!((&entries[2]["who"]["kind"], &entries[2]["on"]["name"]), (&json!("host"), &json!("own")));
    assert_eq!((&entries[4]["who"]["kind"], &entries[5]["who"]["kind"]), (&json!("owner"), &json!("server")));
    let settings = house.own(Method::GET, "/overview", &json!({})).await["settings"].clone();
    let access = settings.as_array().unwrap().iter().find(|row| row["name"] == "access").unwrap();
    assert_eq!((&access["value"], &access["from"]), (&json!("invite"), &json!("environment")));
    house.program.stop();
}

#[tokio::test]
async fn whoever_came_by_a_link_that_is_revoked_is_out_at_once_and_does_not_come_back() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let (host, guest) = (secret(&room, "host"), secret(&room, "guest"));
    let mut stays = house.come(&house.token(&host, "own").await).await.unwrap();
    let first = house.token(&guest, "own").await;
    let unused = house.token(&guest, "own").await;
    let mut out = house.come(&first).await.unwrap();
    let next = fresh(&mut out).await;

    house.own(Method::DELETE, "/rooms/own/links/guest", &json!({})).await;
    let revoked = Instant::now();
    assert_eq!(why_out(&mut out).await, Some(DisconnectReason::ParticipantRemoved.into()));
    assert!(revoked.elapsed() < AT_ONCE, "{:?}", revoked.elapsed());
    assert!(out.rest().await.is_empty(), "nothing is told it any more");
    for token in [&first, &unused, &next] {
        assert_eq!(house.come(token).await.map(drop), Err(401));
        let path = format!("/rtc/validate?access_token={token}");
        let refused = house.program.get(&path).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.text().await.unwrap().contains("is over"));
    }
    house.program.refusal(house.token_for(&guest, "own"), 401).await;
    assert!(stays.ping().await.is_some(), "the other link is none of that");

    house.own(Method::DELETE, "/rooms/own", &json!({})).await;
    assert!(why_out(&mut stays).await.is_some());
    house.program.refusal(house.token_for(&host, "own"), 401).await;
    let log = house.program.stop();
    for hidden in [&host, &guest] {
        assert!(!log.contains(hidden.as_str()), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn a_token_is_good_for_one_session_and_whoever_replays_it_throws_nobody_out() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let token = house.token(&secret(&room, "guest"), "own").await;
    let mut ada = house.come(&token).await.unwrap();
    let next = fresh(&mut ada).await;
    let refused = house.come(&token).await.map(drop);
    assert_eq!(refused, Err(i32::from(DisconnectReason::JoinFailure) as u16));
    assert!(ada.ping().await.is_some());
    // Who goes on with the token that only the bearer was given is the bearer.
    let mut again = house.come(&next).await.unwrap();
    let last = fresh(&mut again).await;
    assert_eq!(why_out(&mut ada).await, Some(DisconnectReason::DuplicateIdentity.into()));
    for used in [&token, &next] {
        assert!(house.come(used).await.is_err());
    }
    assert!(again.ping().await.is_some());
    // It is worth nothing either when its bearer has left.
    again.send(signal_request::Message::Leave(LeaveRequest::default())).await;
    again.rest().await;
    for used in [&token, &next] {
        assert!(house.come(used).await.is_err());
    }
    assert!(house.come(&last).await.unwrap().ping().await.is_some(), "nobody has used that one");
    house.program.stop();
}

#[tokio::test]
async fn a_guest_does_in_the_call_what_the_link_grants_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own", "guests": ["publish-microphone"] })).await;
    house.make(&json!({ "name": "other" })).await;
    let link = secret(&room, "guest");
    house.program.refusal(house.token_for(&link, "other"), 403).await;
    house.program.refusal(house.token_for(&link, "of nobody"), 403).await;
    house.program.refusal(house.token_for(&"A".repeat(43), "own"), 401).await;
    let token = house.token(&link, "own").await;
    let mut guest = house.come(&token).await.unwrap();
    let not_allowed = Some(i32::from(request_response::Reason::NotAllowed));
    for (kind, source) in [
        (TrackType::Video, TrackSource::Camera),
        (TrackType::Video, TrackSource::ScreenShare),
        (TrackType::Audio, TrackSource::ScreenShareAudio),
        (TrackType::Audio, TrackSource::Unknown),
    ] {
        let track = AddTrackRequest {
            cid: "a".into(),
            r#type: kind.into(),
            source: source.into(),
            ..Default::default()
        };
        guest.send(signal_request::Message::AddTrack(track)).await;
        assert_eq!(guest.refusal().await.map(|refusal| refusal.reason), not_allowed, "{source:?}");
    }
    let promoted = UpdateParticipantMetadata { metadata: r#"{"role":"host"}"#.into(), ..Default::default() };
    guest.send(signal_request::Message::UpdateMetadata(promoted)).await;
    assert_eq!(guest.refusal().await.map(|refusal| refusal.reason), not_allowed);
    let said = json!({ "room": "own", "identity": "Ada", "name": "Eve" });
    for method in ["RemoveParticipant", "UpdateParticipant", "DeleteRoom", "UpdateRoomMetadata"] {
        let path = format!("/twirp/livekit.RoomService/{method}");
        let refused = house.program.post(&path, &said).bearer_auth(&token).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{method}");
    }
    let start = json!({ "roomName": "own" });
    house.program.refusal(house.program.post("/recordings/start", &start).bearer_auth(&token), 401).await;
    let start = house.program.post("/recordings/start", &start).header("x-reelroom-link", &link);
    house.program.refusal(start, 403).await;
    house.program.stop();
}

#[tokio::test]
async fn a_link_that_expires_ends_the_calls_of_those_who_came_by_it() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    house.make(&json!({ "name": "own" })).await;
    let expires_at = (common::now_s() + 3) * 1000;
    let renewed =
        house.own(Method::POST, "/rooms/own/links/guest", &json!({ "expiresAt": expires_at })).await;
    let link = secret(&renewed, "guest");
    let mut guest = house.come(&house.token(&link, "own").await).await.unwrap();
    let out = tokio::time::timeout(SOON, why_out(&mut guest)).await;
    assert_eq!(out, Ok(Some(DisconnectReason::ParticipantRemoved.into())));
    house.program.refusal(house.token_for(&link, "own"), 401).await;
    house.program.stop();
}

#[tokio::test]
async fn links_and_the_tokens_of_those_who_came_by_them_hold_after_a_start_anew() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let link = secret(&room, "guest");
    let token = house.token(&link, "own").await;
    let House { program, cookie, csrf } = house;
    program.stop();
    let house = House { program: House::start(&data), cookie, csrf };
    assert_eq!(house.own(Method::GET, "/rooms/own", &json!({})).await, room, "they are shown again");
    house.come(&token).await.unwrap();
    house.token(&link, "own").await;
    house.program.stop();
}

#[tokio::test]
async fn a_guest_of_a_room_with_a_lobby_is_in_the_call_once_a_host_lets_them_in_and_not_before() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let (host, guest) = (secret(&room, "host"), secret(&room, "guest"));
    let kept = house.token(&guest, "own").await;
    let mut inside = house.come(&house.token(&guest, "own").await).await.unwrap();
    let next = fresh(&mut inside).await;
    house.own(Method::PATCH, "/rooms/own", &json!({ "lobby": true })).await;
    assert!(inside.ping().await.is_some(), "who is in stays");
    assert!(house.come(&kept).await.is_err(), "a token that was kept is no way around the lobby");
    let mut inside = house.come(&next).await.unwrap();
    assert!(inside.ping().await.is_some(), "whose connection was lost comes back while they are in");

    let knock = house.knock(&guest, "own").await;
    assert_eq!(house.turn(&guest, "own", &knock).await, json!({ "state": "alone" }));
    let list = house.by(&host, Method::GET, "/rooms/own/lobby", &json!({})).await;
    assert_eq!(list["waiting"][0]["id"], json!(knock.id));
    assert_eq!(house.turn(&guest, "own", &knock).await, json!({ "state": "waiting" }));
    house.by(&host, Method::POST, "/rooms/own/lobby/admit", &json!({ "ids": [knock.id] })).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let turn = house.turn(&guest, "own", &knock).await;
        assert_eq!((&turn["state"], &turn["consent"]), (&json!("admitted"), &json!(false)));
        tokens.push(turn["token"].as_str().unwrap().to_owned());
    }
    let (first, second) = (claims(&tokens[0]), claims(&tokens[1]));
    assert_eq!((&first.sub, &first.ticket), (&second.sub, &second.ticket), "they are one person");
    assert_eq!(first.attributes["reelroom.role"], "guest");
    let mut ada = house.come(&tokens[0]).await.unwrap();
    assert!(house.come(&tokens[1]).await.is_err(), "two do not come by one admission");
    let next = fresh(&mut ada).await;
    assert!(ada.ping().await.is_some());
    drop(ada);
    let mut ada = house.come(&next).await.unwrap();
    assert!(ada.ping().await.is_some(), "whose connection is lost does not knock again");
    house.program.stop();
}

#[tokio::test]
async fn whoever_is_removed_comes_back_by_no_token_of_before_and_asks_to_be_let_in_again() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let (host, guest) = (secret(&room, "host"), secret(&room, "guest"));
    let mut stays = house.come(&house.token(&host, "own").await).await.unwrap();
    let token = house.token(&guest, "own").await;
    let mut out = house.come(&token).await.unwrap();
    let next = fresh(&mut out).await;
    let identity = claims(&token).sub;
    let people = house.by(&host, Method::GET, "/rooms/own/participants", &json!({})).await;
    assert_eq!(people["recording"], false);
    let all = people["participants"].as_array().unwrap();
    let mut roles: Vec<&str> = all.iter().filter_map(|person| person["role"].as_str()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["guest", "host"]);
    let person = format!("/rooms/own/participants/{identity}");
    house
        .program
        .refusal(house.program.request(Method::DELETE, &person).header("x-reelroom-link", &guest), 403)
        .await;
    house.by(&host, Method::DELETE, &person, &json!({})).await;
    assert_eq!(why_out(&mut out).await, Some(DisconnectReason::ParticipantRemoved.into()));
    for token in [&token, &next] {
        assert_eq!(house.come(token).await.map(drop), Err(401), "nothing of before lets them in");
    }
    let gone = house.program.request(Method::DELETE, &person).header("x-reelroom-link", &host);
    house.program.refusal(gone, 404).await;
    // By the link they may come again, until it is renewed.
    house.come(&house.token(&guest, "own").await).await.unwrap();
    house.own(Method::PATCH, "/rooms/own", &json!({ "lobby": true })).await;
    let knock = house.knock(&guest, "own").await;
    house.by(&host, Method::POST, "/rooms/own/lobby/admit", &json!({ "ids": [knock.id] })).await;
    let turn = house.turn(&guest, "own", &knock).await;
    let token = turn["token"].as_str().unwrap();
    let mut out = house.come(token).await.unwrap();
    let person = format!("/rooms/own/participants/{}", claims(token).sub);
    house.by(&host, Method::DELETE, &person, &json!({})).await;
    assert_eq!(why_out(&mut out).await, Some(DisconnectReason::ParticipantRemoved.into()));
    let asked = house.program.get(&format!("/rooms/own/lobby/{}", knock.id));
    let asked = asked.header("x-reelroom-link", &guest).header("x-reelroom-knock", &knock.secret);
    house.program.refusal(asked, 404).await;
    assert_eq!(house.come(token).await.map(drop), Err(401), "they knock again");
    assert!(stays.ping().await.is_some());
    house.program.stop();
}

#[tokio::test]
async fn a_room_that_begins_to_ask_for_consent_asks_who_is_in_it_and_takes_their_answer() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let link = secret(&room, "guest");
    let asks = async || {
        let (status, answer) = house.program.answer(house.token_for(&link, "own")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let shown = house.program.get("/link").header("x-reelroom-link", &link);
        assert_eq!(house.program.answer(shown).await.1["consent"], answer["consent"]);
        answer["consent"].as_bool().unwrap()
    };
    assert!(!asks().await);
    let mut guest = house.come(&house.token(&link, "own").await).await.unwrap();
    let answer = |value: &str| {
        let attributes = [("reelroom.consent".to_owned(), value.to_owned())].into();
        let said = UpdateParticipantMetadata { attributes, ..Default::default() };
        signal_request::Message::UpdateMetadata(said)
    };
    guest.send(answer("yes")).await;
    let not_allowed = i32::from(request_response::Reason::NotAllowed);
    assert_eq!(guest.refusal().await.map(|refusal| refusal.reason), Some(not_allowed), "nobody asked");
    house.own(Method::PATCH, "/rooms/own", &json!({ "consent": true })).await;
    guest.until(|message| shows_consent(message, "asked")).await.unwrap();
    guest.send(answer("no")).await;
    guest.until(|message| shows_consent(message, "no")).await.unwrap();
    assert!(asks().await);
    house.program.stop();
}

/// Whether a message tells of somebody's answer to being recorded.
fn shows_consent(message: &signal_response::Message, value: &str) -> bool {
    let signal_response::Message::Update(update) = message else { return false };
    let said = |attributes: &HashMap<String, String>| {
        attributes.get("reelroom.consent").is_some_and(|said| said == value)
    };
    update.participants.iter().any(|participant| said(&participant.attributes))
}

#[tokio::test]
async fn a_room_that_is_made_to_ask_for_consent_while_somebody_is_in_it_asks_them() {
    let data = tempfile::tempdir().unwrap();
    let house = House::new(&data).await;
    let said = json!({ "roomName": "own", "participantName": "Ada" });
    let answer = house.own(Method::POST, "/token", &said).await;
    assert_eq!(answer["consent"], json!(false), "nobody made it yet");
    let mut ada = house.come(answer["token"].as_str().unwrap()).await.unwrap();
    house.make(&json!({ "name": " own ", "consent": true })).await;
    ada.until(|message| shows_consent(message, "asked")).await.unwrap();
    house.program.stop();
}

#[tokio::test]
async fn a_room_that_asks_for_consent_is_not_recorded_by_a_server_outside() {
    let (media_data, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let quiet = [SETTINGS.as_slice(), &[("WEBHOOK_URLS", "")]].concat();
    let media = Program::start(&["media"], media_data.path(), &quiet);
    let url = media.url.replace("http://", "ws://");
    let house = House::with(&data, &[("LIVEKIT_URL", &url)]).await;
    house.make(&json!({ "name": "far" })).await;
    let create = json!({ "name": "far", "emptyTimeout": 300 });
    let create = media.post("/twirp/livekit.RoomService/CreateRoom", &create);
    let (status, answer) = media.answer(create.bearer_auth(common::admin_token(KEY.0, KEY.1))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let far = json!({ "roomName": "far" });
    house.own(Method::POST, "/recordings/start", &far).await;
    house.own(Method::PATCH, "/rooms/far", &json!({ "consent": true })).await;
    house.program.refusal(house.as_owner(Method::POST, "/recordings/stop", &far), 409).await;
    let refusal = house.program.refusal(house.as_owner(Method::POST, "/recordings/start", &far), 409).await;
    assert!(refusal.contains("switch consent off"), "{refusal}");
    house.program.stop();
    media.stop();
}
