//! A guest who asks for too much by signalling, and those who notice nothing of it.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::signal::{Client, Join, KEY, SETTINGS};
use common::{Program, admin_token};
use prost::Message as _;
use reelroom_limits::http::TWIRP_BODY_BYTES;
use reelroom_limits::signalling::*;
use reelroom_protocol::proto::{
    AddTrackRequest, CreateRoomRequest, DisconnectReason, RequestResponse, SessionDescription, SignalRequest,
    SimulcastCodec, SubscriptionPermission, SyncState, TrackPermission, TrackPublishedResponse, TrackSource,
    TrackType, TrickleRequest, UpdateParticipantMetadata, UpdateSubscription, VideoLayer, request_response,
    signal_request, signal_response,
};
use reqwest::{Method, StatusCode};

/// Whoever is beside an attack has an answer within this time; builds without optimisation on a busy machine too.
const UNNOTICED: Duration = Duration::from_millis(1500);
/// Memory that the program may have more than before, whatever was sent.
const MEMORY_BYTES: u64 = 100 * 1024 * 1024;

fn is_limit(told: &RequestResponse) -> bool {
    told.reason == i32::from(request_response::Reason::LimitExceeded) && !told.message.is_empty()
}

fn bytes(message: signal_request::Message) -> Vec<u8> {
    SignalRequest { message: Some(message) }.encode_to_vec()
}

fn track(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.to_owned(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        ..Default::default()
    }
}

/// An announcement that multiplies codecs by layers.
fn multiplying(codecs: usize, layers: usize) -> Vec<u8> {
    let codec = SimulcastCodec { codec: "x".into(), ..Default::default() };
    bytes(signal_request::Message::AddTrack(AddTrackRequest {
        layers: vec![VideoLayer::default(); layers],
        simulcast_codecs: vec![codec; codecs],
        ..track("cid")
    }))
}

fn offer(sections: usize) -> Vec<u8> {
    let section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n";
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{}", section.repeat(sections));
    bytes(signal_request::Message::Offer(SessionDescription {
        r#type: "offer".into(),
        sdp,
        ..Default::default()
    }))
}

fn is_leave(message: &signal_response::Message) -> bool {
    matches!(message, signal_response::Message::Leave(_))
}

/// Somebody beside the attack: asks all the time how long an answer takes.
struct Neighbour(tokio::task::JoinHandle<Duration>, tokio::sync::watch::Sender<bool>);

impl Neighbour {
    fn of(mut client: Client) -> Self {
        let (over, mut is_over) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !*is_over.borrow() {
                longest = longest.max(client.ping().await.expect("it is still there"));
                let _ = tokio::time::timeout(Duration::from_millis(150), is_over.changed()).await;
            }
            longest
        });
        Self(task, over)
    }

    async fn longest(self) -> Duration {
        self.1.send(true).unwrap();
        self.0.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_guest_asks_for_it_is_told_and_nobody_else_notices() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let before = program.memory_bytes();
    let beside = Neighbour::of(Client::join(&program, "call", "ada").await);
    let elsewhere = Neighbour::of(Client::join(&program, "another call", "bob").await);

    // Refused, told, and it goes on.
    let mut eve = Client::join(&program, "call", "eve").await;
    let permissions = vec![TrackPermission { all_tracks: true, ..Default::default() }; 60_000];
    let unknown = |count: usize| (0..count).map(|index| format!("TR_{index}")).collect();
    for message in [
        multiplying(2000, 2000),
        multiplying(1000, 1000),
        multiplying(60, 60),
        bytes(signal_request::Message::SubscriptionPermission(SubscriptionPermission {
            track_permissions: permissions,
            ..Default::default()
        })),
        bytes(signal_request::Message::Subscription(UpdateSubscription {
            track_sids: unknown(4000),
            subscribe: true,
            ..Default::default()
        })),
        bytes(signal_request::Message::UpdateMetadata(UpdateParticipantMetadata {
            metadata: "x".repeat(OWN_METADATA_BYTES + 1),
            ..Default::default()
        })),
    ] {
        let size = message.len();
        assert!(eve.send_bytes(message).await, "{size}");
        let told = eve.refusal().await.unwrap_or_else(|| panic!("{size} bytes are not answered"));
        assert!(is_limit(&told), "{told:?}");
    }
    for index in 0..CANDIDATES + 20 {
        let candidate = format!("candidate:{index} 1 udp 2 192.0.2.1 {} typ host", index + 1);
        let candidate_init = serde_json::json!({ "candidate": candidate }).to_string();
        eve.send(signal_request::Message::Trickle(TrickleRequest { candidate_init, ..Default::default() }))
            .await;
    }
    let told = eve.refusal().await.unwrap();
    assert!(is_limit(&told) && told.message.contains("candidates"), "{told:?}");
    // More than anybody publishes is not even decoded.
    let published =
        vec![TrackPublishedResponse { track: Some(Default::default()), ..Default::default() }; 60_000];
    let state = SyncState { publish_tracks: published, ..Default::default() };
    assert!(eve.send_bytes(bytes(signal_request::Message::SyncState(state))).await);
    assert!(eve.ping().await.is_some());
    // As many tracks as may wait, and no more.
    let mut refused = 0;
    for index in 0..80 {
        eve.send(signal_request::Message::AddTrack(track(&format!("cid {index}")))).await;
    }
    for _ in 0..80 {
        let wanted = |message: &_| {
            matches!(
                message,
                signal_response::Message::TrackPublished(_) | signal_response::Message::RequestResponse(_)
            )
        };
        if let Some(signal_response::Message::RequestResponse(told)) = eve.until(wanted).await {
            assert!(is_limit(&told), "{told:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 80 - PENDING_TRACKS);
    drop(eve);

    // Let go, and told why.
    for (index, message) in
        [offer(3000), offer(129), vec![0x12; SIGNAL_ANSWER_BYTES + 1], vec![0x22; SIGNAL_MESSAGE_BYTES + 1]]
            .into_iter()
            .enumerate()
    {
        let mut eve = Client::join(&program, "call", &format!("eve {index}")).await;
        eve.send_bytes(message).await;
        let said = eve.rest().await;
        let told = said.iter().any(|message| match message {
            signal_response::Message::RequestResponse(told) => !told.message.is_empty(),
            _ => false,
        });
        let reasons: Vec<_> = said
            .iter()
            .filter_map(|message| match message {
                signal_response::Message::Leave(leave) => Some(leave.reason),
                _ => None,
            })
            .collect();
        assert!(told, "{index}: {said:?}");
        assert_eq!(reasons, [i32::from(DisconnectReason::ParticipantRemoved)], "{index}");
    }
    let grown = program.memory_bytes().saturating_sub(before);
    assert!(grown < MEMORY_BYTES, "{grown} bytes more than before");
    assert!(beside.longest().await < UNNOTICED, "somebody in the room notices");
    assert!(elsewhere.longest().await < UNNOTICED, "somebody in another room notices");
    program.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_slowed_then_ended_and_cost_no_other_room_its_turn() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let before = program.memory_bytes();
    let beside = Neighbour::of(Client::join(&program, "call", "ada").await);
    let elsewhere = Neighbour::of(Client::join(&program, "another call", "bob").await);
    let mut floods = Vec::new();
    for index in 0..4 {
        let mut eve = Client::join(&program, "call", &format!("eve {index}")).await;
        let message = match index {
            0 => bytes(signal_request::Message::Mute(Default::default())),
            1 => bytes(signal_request::Message::PingReq(Default::default())),
            2 => offer(100),
            _ => bytes(signal_request::Message::UpdateMetadata(UpdateParticipantMetadata {
                metadata: "x".repeat(60_000),
                ..Default::default()
            })),
        };
        floods.push(tokio::spawn(async move {
            let began = std::time::Instant::now();
            let mut said = Vec::new();
            while began.elapsed() < SIGNAL_FLOOD_FOR + Duration::from_secs(20) && !said.iter().any(is_leave) {
                eve.send_bytes(message.clone()).await;
                said = eve.ready();
            }
            said
        }));
    }
    for (index, flood) in floods.into_iter().enumerate() {
        let said = flood.await.unwrap();
        assert!(said.iter().any(is_leave), "{index}: {:?}", said.last());
    }
    let grown = program.memory_bytes().saturating_sub(before);
    assert!(grown < MEMORY_BYTES, "{grown} bytes more than before");
    let (beside, elsewhere) = (beside.longest().await, elsewhere.longest().await);
    println!("longest wait for an answer: {beside:?} beside the floods, {elsewhere:?} in another room");
    assert!(beside < UNNOTICED && elsewhere < UNNOTICED, "{beside:?}, {elsewhere:?}");
    program.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_read_is_let_go_and_costs_nobody_anything() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let before = program.memory_bytes();
    let mut ada = Client::join(&program, "call", "ada").await;
    let slow = Join { room: "call", identity: "slow", is_slow: true, ..Join::default() };
    let slow = Client::try_join(&program, slow).await.unwrap();
    let mut others = Vec::new();
    for index in 0..40 {
        let mut other = Client::join(&program, "call", &format!("other {index}")).await;
        other
            .send(signal_request::Message::UpdateMetadata(UpdateParticipantMetadata {
                metadata: "x".repeat(OWN_METADATA_BYTES),
                ..Default::default()
            }))
            .await;
        others.push(other);
    }
    // Each change of one of them tells everybody all of it.
    let mut readers = Vec::new();
    for mut other in others {
        readers.push(tokio::spawn(async move {
            for round in 0..2 {
                let name = format!("name {round}");
                let request = UpdateParticipantMetadata { name, ..Default::default() };
                other.send(signal_request::Message::UpdateMetadata(request)).await;
            }
            while other.next().await.is_some() {}
        }));
    }
    let gone = ada
        .until(|message| match message {
            signal_response::Message::Update(update) => update.participants.iter().any(|info| {
                info.identity == "slow"
                    && info.state() == reelroom_protocol::proto::participant_info::State::Disconnected
            }),
            _ => false,
        })
        .await;
    assert!(gone.is_some(), "the slow one is not let go");
    let grown = program.memory_bytes().saturating_sub(before);
    assert!(grown < MEMORY_BYTES, "{grown} bytes more than before");
    for reader in &readers {
        reader.abort();
    }
    drop(slow);
    let log = program.stop();
    assert!(log.contains("does not read") || log.contains("has not read"), "the log says why: {log}");
}

#[tokio::test]
async fn one_address_opens_no_more_rooms_than_its_share() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let mut inside = Vec::new();
    let mut open = async |room: &str, from: &str| {
        let join = Join { room, identity: "eve", forwarded_for: Some(from), ..Join::default() };
        let mut client = Client::try_join(&program, join).await.unwrap();
        let is_in = matches!(client.next().await.unwrap(), signal_response::Message::Join(_));
        inside.push(client);
        is_in
    };
    for index in 0..ROOMS_OF_AN_ADDRESS {
        assert!(open(&format!("room {index}"), "203.0.113.9").await, "{index}");
    }
    assert!(!open("one more", "203.0.113.9").await);
    assert!(open("room 0", "203.0.113.9").await, "a room that is open can be joined");
    assert!(open("one more", "203.0.113.8").await, "another address has its own share");
    drop(inside);
    program.stop();
}

#[tokio::test]
async fn a_few_addresses_that_open_all_the_rooms_they_may_leave_some_for_the_next_one() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[&SETTINGS[..], &[("MAX_ROOMS", "8")]].concat());
    let mut inside = Vec::new();
    for address in 1..=3 {
        let from = format!("203.0.113.{address}");
        let before = inside.len();
        for index in 0..8 {
            let room = format!("room {address} {index}");
            let join = Join { room: &room, identity: "eve", forwarded_for: Some(&from), ..Join::default() };
            let mut client = Client::try_join(&program, join).await.unwrap();
            if let signal_response::Message::Join(_) = client.next().await.unwrap() {
                inside.push(client);
            }
        }
        assert!(inside.len() > before, "nothing is left for address {address}");
    }
    // A program of this machine has what is left.
    Client::join(&program, "the last", "host").await;
    drop(inside);
    program.stop();
}

#[tokio::test]
async fn rooms_and_joins_are_so_many_and_whoever_comes_too_often_comes_later() {
    let data = tempfile::tempdir().unwrap();
    let settings = [&SETTINGS[..], &[("MAX_ROOMS", "3"), ("MAX_PARTICIPANTS", "2")]].concat();
    let program = Program::start(&[], data.path(), &settings);
    let create = |name: &str| {
        let body = serde_json::json!({ "name": name });
        program.post("/twirp/livekit.RoomService/CreateRoom", &body).bearer_auth(admin_token(KEY.0, KEY.1))
    };
    for name in ["a", "b", "c", "a"] {
        assert_eq!(program.answer(create(name)).await.0, StatusCode::OK);
    }
    let (status, answer) = program.answer(create("d")).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (StatusCode::TOO_MANY_REQUESTS, Some("resource_exhausted"))
    );
    assert!(answer["msg"].as_str().unwrap().contains("MAX_ROOMS"), "{answer}");
    let refused = async |room: &str, identity: &str| {
        let join = Join { room, identity, ..Join::default() };
        let said = Client::try_join(&program, join).await.unwrap().rest().await;
        matches!(said[..], [signal_response::Message::Leave(_)])
    };
    assert!(refused("d", "ada").await);
    let _both = (Client::join(&program, "a", "ada").await, Client::join(&program, "a", "bob").await);
    assert!(refused("a", "eve").await);

    // One identity, then one address.
    let mut statuses = Vec::new();
    for _ in 0..JOINS_BURST_IDENTITY {
        drop(Client::join(&program, "b", "eve").await);
    }
    let joins =
        (0..20).map(|_| Client::try_join(&program, Join { room: "b", identity: "eve", ..Join::default() }));
    for joined in futures::future::join_all(joins).await {
        statuses.extend(joined.err());
    }
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 429), "{statuses:?}");
    let identities: Vec<_> = (0..JOINS_BURST_ADDRESS + 300).map(|index| format!("bot {index}")).collect();
    let joins = identities.iter().map(|identity| {
        let from = Some("203.0.113.9");
        Client::try_join(&program, Join { room: "c", identity, forwarded_for: from, ..Join::default() })
    });
    let statuses: Vec<_> =
        futures::future::join_all(joins).await.into_iter().filter_map(Result::err).collect();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 429), "{statuses:?}");
    let other = Join { room: "c", identity: "zoe", forwarded_for: Some("203.0.113.8"), ..Join::default() };
    assert!(Client::try_join(&program, other).await.is_ok(), "another address has its own turns");
    program.stop();
}

#[tokio::test]
async fn a_twirp_body_is_not_looked_at_without_a_token_and_not_decoded_when_it_multiplies() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &SETTINGS);
    let agents = CreateRoomRequest { agents: vec![Default::default(); 300_000], ..Default::default() };
    for method in ["RoomService/CreateRoom", "Egress/StartRoomCompositeEgress"] {
        let call = || {
            program
                .request(Method::POST, &format!("/twirp/livekit.{method}"))
                .header("content-type", "application/protobuf")
        };
        let response = call().body(vec![0xff; 1000]).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method}");
        let before = program.memory_bytes();
        let body =
            if method.starts_with("Room") { agents.encode_to_vec() } else { [0x5a, 0x00].repeat(300_000) };
        let response = call().bearer_auth(admin_token(KEY.0, KEY.1)).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{method}");
        assert!(program.memory_bytes().saturating_sub(before) < 20 * 1024 * 1024);
        // Too long, of a length that it says beforehand and of one that it does not.
        let long = vec![0x7f; TWIRP_BODY_BYTES + 1];
        let chunks: Vec<Result<_, std::io::Error>> =
            long.chunks(4096).map(|part| Ok(part.to_vec())).collect();
        let in_chunks = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
        for body in [long.into(), in_chunks] {
            let response = call().bearer_auth(admin_token(KEY.0, KEY.1)).body(body).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{method}");
            let answer: serde_json::Value = response.json().await.unwrap();
            assert_eq!(answer["code"], "resource_exhausted", "{answer}");
        }
    }
    program.stop();
}
