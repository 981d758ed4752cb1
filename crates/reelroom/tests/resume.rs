//! Joining by one connection, and coming back after signalling was lost, as clients of LiveKit's do.

#![allow(clippy::unwrap_used)]

mod common;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use common::signal::{Client, Join, KEY, SETTINGS};
use common::{Program, now_s};
use prost::Message as _;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    DisconnectReason, JoinRequest, LeaveRequest, ParticipantInfo, SessionDescription, SimulateScenario,
    SyncState, TrackInfo, TrackPublishedResponse, WrappedJoinRequest, leave_request, participant_info,
    signal_request, signal_response, simulate_scenario,
};
use reelroom_protocol::token::{Claims, VideoGrants, mint};

const ONE: Option<&str> = Some("/rtc/v1");

/// As Chromium makes it, with three sections of each kind to receive on.
fn offer() -> SessionDescription {
    let text = include_str!("../../media/src/session/sdp/offers/chromium.sdp");
    SessionDescription {
        r#type: "offer".into(),
        sdp: text.replace('\n', "\r\n"),
        id: 3,
        ..Default::default()
    }
}

fn join_request(request: JoinRequest) -> String {
    let wrapped = WrappedJoinRequest { join_request: request.encode_to_vec(), ..Default::default() };
    format!("&join_request={}", BASE64_URL_SAFE.encode(wrapped.encode_to_vec()))
}

fn resuming(sid: &str) -> String {
    join_request(JoinRequest { reconnect: true, participant_sid: sid.to_owned(), ..Default::default() })
}

/// A token whose time is over since so many seconds.
fn expired(identity: &str, since_s: u64) -> String {
    let grants = VideoGrants { room_join: true, room: "call".into(), ..VideoGrants::default() };
    let exp = now_s() - since_s;
    let claims = Claims { sub: identity.into(), exp, video: Some(grants), ..Claims::default() };
    mint(&ApiKeys::new(KEY.0, KEY.1), claims)
}

/// Somebody who is in, and their session.
async fn joined(program: &Program, identity: &str, path: Option<&str>, query: &str) -> (Client, String) {
    let join = Join { room: "call", identity, path, query, ..Join::default() };
    let mut client = Client::try_join(program, join).await.unwrap();
    match client.next().await {
        Some(signal_response::Message::Join(joined)) => (client, joined.participant.unwrap().sid),
        other => panic!("{other:?}"),
    }
}

/// What somebody is told first who comes back.
async fn back(program: &Program, join: Join<'_>) -> (Client, signal_response::Message) {
    let mut client = Client::try_join(program, join).await.unwrap();
    let first = client.next().await.unwrap();
    (client, first)
}

fn is_sent_away(message: &signal_response::Message) -> bool {
    let signal_response::Message::Leave(leave) = message else { return false };
    (leave.action(), leave.reason()) == (leave_request::Action::Reconnect, DisconnectReason::StateMismatch)
}

fn about<'a>(messages: &'a [signal_response::Message], identity: &str) -> Vec<&'a ParticipantInfo> {
    let updates = messages.iter().filter_map(|message| match message {
        signal_response::Message::Update(update) => Some(&update.participants),
        _ => None,
    });
    updates.flatten().filter(|info| info.identity == identity).collect()
}

#[tokio::test]
async fn by_one_connection_the_answer_comes_behind_the_welcome() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let request = join_request(JoinRequest { publisher_offer: Some(offer()), ..Default::default() });
    let join = Join { room: "call", identity: "ada", path: ONE, query: &request, ..Join::default() };
    let mut ada = Client::try_join(&program, join).await.unwrap();
    let Some(signal_response::Message::Join(joined)) = ada.next().await else { panic!("no welcome") };
    assert!(!joined.subscriber_primary, "there is one connection, which the client offers");
    let is_answer = |message: &_| matches!(message, signal_response::Message::Answer(_));
    let Some(signal_response::Message::Answer(answer)) = ada.until(is_answer).await else { panic!() };
    assert_eq!((answer.r#type.as_str(), answer.id), ("answer", 3));
    assert_eq!(answer.sdp.matches("a=inactive\r\n").count(), 6, "{}", answer.sdp);
    assert!(answer.sdp.contains("a=candidate:") && answer.mid_to_track_id.is_empty());
    // A later offer is answered by its own number.
    ada.send(signal_request::Message::Offer(SessionDescription { id: 4, ..offer() })).await;
    let Some(signal_response::Message::Answer(answer)) = ada.until(is_answer).await else { panic!() };
    assert_eq!(answer.id, 4);
    // The server offers nothing.
    assert!(ada.ping().await.is_some());
    ada.send(signal_request::Message::Leave(LeaveRequest::default())).await;
    assert_eq!(ada.close_code().await, Some(1000));

    for (query, expected) in [("", 400), ("&join_request=!!", 400), ("&join_request=EgL_", 400)] {
        let join = Join { room: "call", identity: "eve", path: ONE, query, ..Join::default() };
        assert_eq!(Client::try_join(&program, join).await.map(drop), Err(expected), "{query}");
    }
    let describes = JoinRequest { metadata: "about me".into(), ..Default::default() };
    let (_bob, sid) = joined_with(&program, describes).await;
    assert!(sid.starts_with("PA_"));
    program.stop();
}

/// Somebody who may describe themselves, and does.
async fn joined_with(program: &Program, request: JoinRequest) -> (Client, String) {
    let query = join_request(request);
    let join = Join { room: "call", identity: "bob", path: ONE, query: &query, ..Join::default() };
    let mut client = Client::try_join(program, join).await.unwrap();
    let Some(signal_response::Message::Join(joined)) = client.next().await else { panic!("no welcome") };
    let participant = joined.participant.unwrap();
    assert_eq!(participant.metadata, "about me");
    (client, participant.sid)
}

#[tokio::test]
async fn whoever_comes_back_goes_on_and_nobody_else_sees_anything_of_it() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let first = join_request(JoinRequest { publisher_offer: Some(offer()), ..Default::default() });
    for (path, query) in [(None, ""), (ONE, first.as_str())] {
        let (mut bob, _) = joined(&program, "bob", None, "").await;
        let (ada, sid) = joined(&program, "ada", path, query).await;
        let (carol, _) = joined(&program, "carol", None, "").await;
        assert!(bob.ping().await.is_some());
        bob.ready();
        drop(ada);
        let mut carol = carol;
        carol.send(signal_request::Message::Leave(LeaveRequest::default())).await;
        carol.rest().await;
        let query = if path.is_none() { format!("&reconnect=1&sid={sid}") } else { resuming(&sid) };
        let join = Join { room: "call", identity: "ada", path, query: &query, ..Join::default() };
        let (mut ada, told) = back(&program, join).await;
        let signal_response::Message::Reconnect(reconnect) = told else { panic!("{told:?}") };
        assert!(reconnect.server_info.is_some());
        let mut messages = Vec::new();
        while !matches!(messages.last(), Some(signal_response::Message::RoomUpdate(_))) {
            messages.push(ada.next().await.unwrap());
        }
        let gone = about(&messages, "carol");
        assert_eq!(gone.len(), 1, "{messages:?}");
        assert_eq!(gone[0].state(), participant_info::State::Disconnected);
        assert_eq!((about(&messages, "ada").len(), about(&messages, "bob").len()), (1, 1));
        assert_eq!(about(&messages, "ada")[0].sid, sid);
        // It is negotiated anew what had not been answered.
        if path.is_none() {
            let is_offer = |message: &_| matches!(message, signal_response::Message::Offer(_));
            assert!(ada.until(is_offer).await.is_some());
        } else {
            ada.send(signal_request::Message::Offer(offer())).await;
            let is_answer = |message: &_| matches!(message, signal_response::Message::Answer(_));
            assert!(ada.until(is_answer).await.is_some());
        }
        ada.send(signal_request::Message::SyncState(SyncState::default())).await;
        assert!(ada.ping().await.is_some());
        // For longer than it would have been given up without it.
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert!(ada.ping().await.is_some());
        let seen = bob.ready();
        assert!(about(&seen, "ada").is_empty(), "{seen:?}");
        for mut client in [ada, bob] {
            client.send(signal_request::Message::Leave(LeaveRequest::default())).await;
            client.rest().await;
        }
    }
    program.stop();
}

#[tokio::test]
async fn a_session_goes_on_by_the_last_connection_and_the_one_before_ends_in_order() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let (mut last, sid) = joined(&program, "ada", None, "").await;
    let query = format!("&reconnect=1&sid={sid}");
    // The server does not know yet that the one before is of no use, and the client does not wait for an answer.
    for _ in 0..3 {
        let join = Join { room: "call", identity: "ada", query: &query, ..Join::default() };
        let (next, told) = back(&program, join).await;
        assert!(matches!(told, signal_response::Message::Reconnect(_)), "{told:?}");
        assert_eq!(std::mem::replace(&mut last, next).close_code().await, Some(1000));
    }
    assert!(last.ping().await.is_some());
    // What ended before does not end this one.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(last.ping().await.is_some());
    program.stop();
}

#[tokio::test]
async fn who_has_no_session_to_go_on_with_is_told_to_join_anew_and_has_time_to_read_it() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let (mut ada, sid) = joined(&program, "ada", None, "").await;
    let own = format!("&reconnect=1&sid={sid}");
    let by_one = resuming(&sid);
    for (what, room, identity, path, query) in [
        ("nobody's session", "call", "ada", None, "&reconnect=1&sid=PA_nobody"),
        ("no session", "call", "ada", None, "&reconnect=1"),
        ("somebody else's", "call", "eve", None, own.as_str()),
        ("of another room", "elsewhere", "ada", None, own.as_str()),
        ("of two connections", "call", "ada", ONE, by_one.as_str()),
    ] {
        let join = Join { room, identity, path, query, ..Join::default() };
        let (client, told) = back(&program, join).await;
        assert!(is_sent_away(&told), "{what}: {told:?}");
        assert_eq!(client.close_code().await, Some(1000), "{what}");
    }
    assert!(ada.ping().await.is_some(), "and hers goes on");
    // Who publishes what the server does not know joins anew, too.
    let track = TrackInfo { sid: "TR_unknown".into(), ..Default::default() };
    let published = TrackPublishedResponse { track: Some(track), ..Default::default() };
    let state = SyncState { publish_tracks: vec![published], ..Default::default() };
    ada.send(signal_request::Message::SyncState(state)).await;
    assert!(ada.until(is_sent_away).await.is_some());
    assert_eq!(ada.close_code().await, Some(1000));
    program.stop();
}

#[tokio::test]
async fn a_token_that_expired_in_the_call_takes_the_session_up_and_opens_none() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let (_ada, sid) = joined(&program, "ada", None, "").await;
    let own = format!("&reconnect=1&sid={sid}");
    let attempt = |token: String, query: String| {
        let program = &program;
        async move {
            let join = Join { token: Some(&token), query: &query, ..Join::default() };
            let mut client = Client::try_join(program, join).await?;
            Ok::<_, u16>(client.next().await.unwrap())
        }
    };
    assert_eq!(attempt(expired("ada", 600), String::new()).await, Err(401));
    let told = attempt(expired("ada", 600), own.clone()).await;
    assert!(matches!(told, Ok(signal_response::Message::Reconnect(_))), "{told:?}");
    // As long as a fresh one would have been good, and no longer.
    assert_eq!(attempt(expired("ada", 2 * 60 * 60), own.clone()).await, Err(401));
    let told = attempt(expired("eve", 600), own).await;
    assert!(told.as_ref().is_ok_and(is_sent_away), "{told:?}");
    program.stop();
}

#[tokio::test]
async fn whoever_wants_to_try_it_has_the_way_back_break_once() {
    use simulate_scenario::Scenario;
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let (mut ada, sid) = joined(&program, "ada", None, "").await;
    let query = format!("&reconnect=1&sid={sid}");
    let join = || Join { room: "call", identity: "ada", query: &query, ..Join::default() };
    for (scenario, is_answered) in [
        (Scenario::DisconnectSignalOnResume(true), true),
        (Scenario::DisconnectSignalOnResumeNoMessages(true), false),
    ] {
        let scenario = SimulateScenario { scenario: Some(scenario) };
        ada.send(signal_request::Message::Simulate(scenario)).await;
        assert!(ada.ping().await.is_some());
        let mut broken = Client::try_join(&program, join()).await.unwrap();
        let first = broken.next().await;
        assert_eq!(first.is_some(), is_answered, "{first:?}");
        if is_answered {
            assert!(matches!(first, Some(signal_response::Message::Reconnect(_))), "{first:?}");
            assert_eq!(broken.close_code().await, Some(1000));
        }
        let (next, told) = back(&program, join()).await;
        assert!(matches!(told, signal_response::Message::Reconnect(_)), "{told:?}");
        ada = next;
        assert!(ada.ping().await.is_some(), "once");
    }
    program.stop();
}
