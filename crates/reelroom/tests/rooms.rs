//! Those who come by a link into a room: what they may do in a call, and how they are out of it again.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::Program;
use common::signal::{Client, Join, KEY, SETTINGS};
use reelroom_protocol::proto::{
    AddTrackRequest, DisconnectReason, TrackSource, TrackType, UpdateParticipantMetadata, request_response,
    signal_request, signal_response,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// From the answer to whoever takes a right away until it is gone.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Links are looked at every five seconds for whether they have expired.
const SOON: Duration = Duration::from_secs(9);

/// A program that lets in by invitation, and its owner.
struct House {
    program: Program,
    cookie: String,
    csrf: String,
}

impl House {
    async fn new(data: &tempfile::TempDir) -> Self {
        Self::with(data, &[]).await
    }

    /// With more settings.
    async fn with(data: &tempfile::TempDir, settings: &[(&str, &str)]) -> Self {
        let mut program = Self::start(data, settings);
        let line = program.line();
        let link = line.trim().split_once("/owner#setup=").unwrap().1;
        let said = json!({ "link": link, "password": PASSWORD });
        let answer = program.post("/owner/password", &said).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let kept = answer.headers().get_all("set-cookie").iter();
        let cookies: Vec<&str> = kept.map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
        let cookie = cookies.join("; ");
        let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        Self { program, cookie, csrf: said["csrf"].as_str().unwrap().to_owned() }
    }

    fn start(data: &tempfile::TempDir, settings: &[(&str, &str)]) -> Program {
        let settings = [SETTINGS.as_slice(), &[("ACCESS", "invite"), ("LOG", "trace")], settings].concat();
        Program::start(&[], data.path(), &settings)
    }

    fn as_owner(&self, method: Method, path: &str, said: &Value) -> RequestBuilder {
        let asked = self.program.request(method, path).json(said);
        asked.header("cookie", &self.cookie).header("x-csrf-token", &self.csrf)
    }

    /// What its owner asks for.
    async fn own(&self, method: Method, path: &str, said: &Value) -> Value {
        let (status, answer) = self.program.answer(self.as_owner(method, path, said)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn make(&self, said: &Value) -> Value {
        self.own(Method::POST, "/rooms", said).await
    }

    fn token_for(&self, link: &str, room: &str) -> RequestBuilder {
        let said = json!({ "roomName": room, "participantName": "Ada" });
        self.program.post("/token", &said).header("x-reelroom-link", link)
    }

    async fn token(&self, link: &str, room: &str) -> String {
        let (status, answer) = self.program.answer(self.token_for(link, room)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Joins with a token, and has heard so; or what it is told instead.
    async fn come(&self, token: &str) -> Result<Client, u16> {
        let join = Join { token: Some(token), ..Join::default() };
        let mut client = Client::try_join(&self.program, join).await?;
        match client.next().await {
            Some(signal_response::Message::Join(_)) => Ok(client),
            Some(signal_response::Message::Leave(leave)) => Err(leave.reason as u16),
            other => panic!("{other:?}"),
        }
    }
}

/// Of a room as it is told: the secret of its link for a role.
fn secret(room: &Value, role: &str) -> String {
    let links = room["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["role"] == role).unwrap();
    link["path"].as_str().unwrap().strip_prefix("/join#").unwrap().to_owned()
}

/// The fresh token that a client is given.
async fn fresh(client: &mut Client) -> String {
    let wanted = |message: &_| matches!(message, signal_response::Message::RefreshToken(_));
    match client.until(wanted).await {
        Some(signal_response::Message::RefreshToken(token)) => token,
        other => panic!("{other:?}"),
    }
}

/// Why a client has to leave, and that its connection ends with that.
async fn why_out(client: &mut Client) -> Option<i32> {
    let wanted = |message: &_| matches!(message, signal_response::Message::Leave(_));
    match client.until(wanted).await? {
        signal_response::Message::Leave(leave) => Some(leave.reason),
        _ => None,
    }
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
    assert_eq!(why_out(&mut ada).await, Some(DisconnectReason::DuplicateIdentity.into()));
    for used in [&token, &next] {
        assert!(house.come(used).await.is_err());
    }
    assert!(again.ping().await.is_some());
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
    let house = House { program: House::start(&data, &[]), cookie, csrf };
    assert_eq!(house.own(Method::GET, "/rooms/own", &json!({})).await, room, "they are shown again");
    house.come(&token).await.unwrap();
    house.token(&link, "own").await;
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
