use prost::Message as _;
use reelroom_protocol::proto::{
    AddTrackRequest, DisconnectReason, RoomEndReason, RpcAck, SendDataRequest, TrackSource, TrackType,
    signal_request,
};

use super::*;
use crate::room::RoomEnd;
use crate::room::tests::Story;
use crate::track::Section;

fn call(id: &str, to: &str, timeout_ms: u32) -> RpcCall {
    RpcCall { id: id.into(), to: to.into(), method: "greet".into(), payload: "hello".into(), timeout_ms }
}

/// What the calls that are over came to.
fn answers(story: &mut Story) -> Vec<(String, Result<String, RpcError>)> {
    let answer = |output: &Output| match output {
        Output::RpcAnswered { id, answer } => Some((id.clone(), answer.clone())),
        _ => None,
    };
    story.outputs().iter().filter_map(answer).collect()
}

fn failed(code: u32) -> Result<String, RpcError> {
    Err(RpcFailure::built_in(code).into())
}

/// The data packets that a participant gets.
fn told(story: &mut Story, to: &ParticipantSid) -> Vec<DataPacket> {
    let mut told = Vec::new();
    while let Some(bytes) = story.room.next_data(to) {
        told.push(DataPacket::decode(bytes.clone()).unwrap());
        story.room.data_taken(to);
    }
    told
}

fn says(story: &mut Story, from: &ParticipantSid, value: data_packet::Value) {
    let packet =
        DataPacket { value: Some(value), destination_identities: vec!["1".into()], ..Default::default() };
    story.room.data(from, DataKind::Reliable, &packet.encode_to_vec());
}

fn acknowledges(story: &mut Story, from: &ParticipantSid, id: &str) {
    says(story, from, data_packet::Value::RpcAck(RpcAck { request_id: id.into() }));
}

fn responds(story: &mut Story, from: &ParticipantSid, id: &str, value: rpc_response::Value) {
    let response = RpcResponse { request_id: id.into(), value: Some(value) };
    says(story, from, data_packet::Value::RpcResponse(response));
}

#[test]
fn a_participant_answers_a_call_and_nobody_else_hears_of_it() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.room.perform_rpc(call("1", "ada", 5000), story.now);
    assert!(answers(&mut story).is_empty());
    let asked = told(&mut story, &ada);
    let Some(data_packet::Value::RpcRequest(request)) = &asked[0].value else { panic!("{asked:?}") };
    assert_eq!(
        (request.id.as_str(), request.method.as_str(), request.payload.as_str()),
        ("1", "greet", "hello")
    );
    assert_eq!((request.version, request.response_timeout_ms), (1, 3000));
    assert_eq!(asked[0].participant_identity, "1", "somebody to answer");
    acknowledges(&mut story, &ada, "1");
    story.pass(Duration::from_secs(4));
    responds(&mut story, &bob, "1", rpc_response::Value::Payload("forged".into()));
    assert!(answers(&mut story).is_empty(), "it was not asked");
    responds(&mut story, &ada, "1", rpc_response::Value::Payload("hi".into()));
    assert_eq!(answers(&mut story), [("1".to_owned(), Ok("hi".to_owned()))]);
    assert!(told(&mut story, &bob).is_empty());
    responds(&mut story, &ada, "1", rpc_response::Value::Payload("again".into()));
    story.pass(Duration::from_secs(60));
    assert!(answers(&mut story).is_empty(), "once");
}

#[test]
fn a_call_that_is_not_answered_fails_in_the_words_of_livekits_clients() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.room.perform_rpc(call("deaf", "ada", 0), story.now);
    story.pass(Duration::from_millis(2300));
    assert_eq!(answers(&mut story), [("deaf".to_owned(), failed(RpcFailure::CONNECTION_TIMEOUT))]);
    story.room.perform_rpc(call("slow", "ada", 4000), story.now);
    acknowledges(&mut story, &ada, "slow");
    story.pass(Duration::from_millis(3900));
    assert!(answers(&mut story).is_empty());
    story.pass(Duration::from_millis(400));
    assert_eq!(answers(&mut story), [("slow".to_owned(), failed(RpcFailure::RESPONSE_TIMEOUT))]);
    story.room.perform_rpc(call("error", "ada", 0), story.now);
    let error = proto::RpcError { code: 7, message: "no".into(), data: "d".into() };
    responds(&mut story, &ada, "error", rpc_response::Value::Error(error));
    let answer = answers(&mut story).remove(0).1.unwrap_err();
    assert_eq!(answer.to_string(), "RpcError 7: no: d");
    story.room.perform_rpc(call("long", "ada", 0), story.now);
    responds(&mut story, &ada, "long", rpc_response::Value::Payload("x".repeat(RPC_PAYLOAD_BYTES + 1)));
    assert_eq!(answers(&mut story), [("long".to_owned(), failed(RpcFailure::RESPONSE_TOO_LARGE))]);
    story.room.perform_rpc(call("left", "ada", 0), story.now);
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    assert_eq!(answers(&mut story), [("left".to_owned(), failed(RpcFailure::RECIPIENT_DISCONNECTED))]);
    story.room.perform_rpc(call("nobody", "ada", 0), story.now);
    assert_eq!(answers(&mut story), [("nobody".to_owned(), Err(RpcError::NoParticipant))]);
}

#[test]
fn what_is_asked_is_bounded_in_length_number_and_time() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let long = RpcCall { payload: "x".repeat(RPC_PAYLOAD_BYTES + 1), ..call("long", "ada", 0) };
    story.room.perform_rpc(long, story.now);
    assert_eq!(answers(&mut story), [("long".to_owned(), failed(RpcFailure::REQUEST_TOO_LARGE))]);
    for number in 0..RPCS {
        story.room.perform_rpc(call(&number.to_string(), "ada", u32::MAX), story.now);
        acknowledges(&mut story, &ada, &number.to_string());
    }
    assert!(answers(&mut story).is_empty());
    story.room.perform_rpc(call("more", "ada", 0), story.now);
    assert_eq!(answers(&mut story), [("more".to_owned(), Err(RpcError::TooMany { at_most: RPCS }))]);
    story.pass(RPC_ANSWER_WITHIN + Duration::from_secs(1));
    assert_eq!(answers(&mut story).len(), RPCS);
}

#[test]
fn data_with_the_same_nonce_is_told_once() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let data = |nonce: &[u8]| SendDataRequest { data: vec![1], nonce: nonce.to_vec(), ..Default::default() };
    for nonce in [&[1; 16][..], &[1; 16], &[2; 16], &[], &[]] {
        story.room.send_data_once(data(nonce));
    }
    assert_eq!(told(&mut story, &ada).len(), 4);
    for number in 0..NONCES as u64 {
        story.room.send_data_once(data(&number.to_be_bytes()));
    }
    assert_eq!(story.room.nonces.0.len(), NONCES);
}

#[test]
fn who_has_announced_a_track_counts_as_a_publisher_once_it_is_published() {
    let mut story = Story::new();
    let (ada, _bob) = (story.join("ada"), story.join("bob"));
    let request = AddTrackRequest {
        cid: "cid".into(),
        r#type: TrackType::Audio.into(),
        source: TrackSource::Microphone.into(),
        ..Default::default()
    };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
    let counts = |story: &Story| (story.room.info().num_participants, story.room.info().num_publishers);
    assert_eq!(counts(&story), (2, 0));
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Audio,
        track_id: "cid".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    story.room.sections(&ada, &[section]);
    assert_eq!(counts(&story), (2, 1));
}

#[test]
fn the_end_of_a_room_says_why() {
    for (end, why) in [
        (RoomEnd::Deleted, RoomEndReason::RoomEndApiDelete),
        (RoomEnd::Empty, RoomEndReason::RoomEndIdleTimeout),
        (RoomEnd::Shutdown, RoomEndReason::RoomEndServerShutdown),
        (RoomEnd::HandOver, RoomEndReason::RoomEndServerShutdown),
    ] {
        let mut story = Story::new();
        story.room.close(end, story.now);
        let told = story.outputs().iter().find_map(|output| match output {
            Output::Webhook(hook) if hook.event == "room_finished" => Some(hook.room_end_reason()),
            _ => None,
        });
        assert_eq!(told, Some(why));
    }
}
