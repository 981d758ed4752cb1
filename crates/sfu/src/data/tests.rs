//! Whom data reaches, in whose name, and what goes again to those who come back.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reelroom_limits::media::{
    DATA_REPLAY_BYTES, DATA_REPLAY_BYTES_OF_ROOM, DATA_REPLAY_FOR, DATA_WAITING_BYTES,
    DATA_WAITING_BYTES_OF_NEWCOMER,
};
use reelroom_protocol::proto::data_packet::Value;
use reelroom_protocol::proto::{
    ChatMessage, DataChannelReceiveState, EncryptedPacket, MetricsBatch, RpcRequest, Transcription,
    participant_info,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::participant::Joining;
use crate::room::tests::Story;

fn word(text: &str) -> DataPacket {
    let user = UserPacket { payload: text.into(), ..Default::default() };
    DataPacket { value: Some(Value::User(user)), ..Default::default() }
}

fn sends(story: &mut Story, from: &ParticipantSid, packet: &DataPacket) {
    story.room.data(from, DataKind::Reliable, &packet.encode_to_vec());
}

/// Everything that waits for somebody.
fn takes(story: &mut Story, to: &ParticipantSid) -> Vec<DataPacket> {
    let mut taken = Vec::new();
    while let Some(bytes) = story.room.next_data(to).cloned() {
        taken.push(DataPacket::decode(bytes).unwrap());
        story.room.data_taken(to);
    }
    story.room.data_wanted(to);
    taken
}

fn texts(packets: &[DataPacket]) -> Vec<String> {
    let text = |packet: &DataPacket| match &packet.value {
        Some(Value::User(user)) => String::from_utf8(user.payload.clone()).unwrap(),
        other => format!("{other:?}"),
    };
    packets.iter().map(text).collect()
}

/// Somebody who is announced, and whose connection does not stand yet.
fn announced(story: &mut Story, name: &str) -> ParticipantSid {
    let sid = ParticipantSid::from(format!("PA_new_{name}"));
    let joining = Story::joining(name, VideoGrants::default(), participant_info::Kind::Standard);
    story.room.join(Joining { sid: sid.clone(), ..joining }, story.now).unwrap();
    sid
}

fn agent(story: &mut Story, name: &str) -> ParticipantSid {
    story.join_as(name, VideoGrants::default(), participant_info::Kind::Agent).unwrap()
}

#[test]
fn whoever_is_announced_gets_what_is_sent_to_it_before_anything_later() {
    let mut story = Story::new();
    let (ada, carol) = (story.join("ada"), story.join("carol"));
    sends(&mut story, &ada, &word("before"));
    let bob = announced(&mut story, "bob");
    story.outputs();
    sends(&mut story, &ada, &word("hello"));
    let call = DataPacket {
        destination_identities: vec!["bob".into()],
        value: Some(Value::RpcRequest(RpcRequest {
            id: "1".into(),
            method: "greet".into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    sends(&mut story, &ada, &call);
    story.room.data(&ada, DataKind::Lossy, &word("lossy").encode_to_vec());
    let is_for_bob = |output: &Output| match output {
        Output::DataWaits(to) => *to == bob,
        Output::Data { to, .. } => *to == bob,
        _ => false,
    };
    assert!(!story.outputs().iter().any(is_for_bob), "it has no connection yet");
    story.room.connected(&bob, story.now);
    assert!(story.outputs().iter().any(|output| matches!(output, Output::DataWaits(to) if *to == bob)));
    sends(&mut story, &ada, &word("later"));
    let got = takes(&mut story, &bob);
    assert_eq!(got.len(), 3);
    assert_eq!((texts(&got[..1]), texts(&got[2..])), (vec!["hello".to_owned()], vec!["later".to_owned()]));
    assert!(matches!(&got[1].value, Some(Value::RpcRequest(call)) if call.method == "greet"));
    assert_eq!(texts(&takes(&mut story, &carol)), ["before", "hello", "later"]);
}

#[test]
fn a_newcomer_that_never_connects_slows_nobody_and_costs_little() {
    let mut story = Story::new();
    let (ada, carol) = (story.join("ada"), story.join("carol"));
    let bob = announced(&mut story, "bob");
    story.outputs();
    for _ in 0..300 {
        let packet = word(&"x".repeat(15_000));
        sends(&mut story, &ada, &packet);
        takes(&mut story, &carol);
        assert!(story.room.data_windows().iter().all(|(_, window)| *window == DATA_WAITING_BYTES));
        assert!(story.room.waiting_data_bytes(&bob) <= DATA_WAITING_BYTES_OF_NEWCOMER);
    }
    let told = |whom: &ParticipantSid, output: &Output| matches!(output, Output::Signal { to, message } if to == whom && matches!(**message, signal_response::Message::RequestResponse(_)));
    let outputs = story.outputs();
    assert_eq!(outputs.iter().filter(|output| told(&ada, output)).count(), 1, "its sender is told, once");
    assert_eq!(outputs.iter().filter(|output| told(&carol, output)).count(), 0);
    story.room.connected(&bob, story.now);
    story.room.data_wanted(&bob);
    sends(&mut story, &ada, &word("now"));
    assert_eq!(texts(&takes(&mut story, &bob)), ["now"]);
}

fn of_stream(value: Value) -> DataPacket {
    DataPacket { value: Some(value), ..Default::default() }
}

fn header(id: &str) -> DataPacket {
    of_stream(Value::StreamHeader(data_stream::Header { stream_id: id.into(), ..Default::default() }))
}

fn chunk(id: &str, len: usize) -> DataPacket {
    let content = vec![7; len];
    of_stream(Value::StreamChunk(data_stream::Chunk { stream_id: id.into(), content, ..Default::default() }))
}

/// What the sender and the receiver were told of limits.
fn warned(story: &mut Story, whom: &ParticipantSid) -> usize {
    let is_told = |output: &&Output| matches!(output, Output::Signal { to, message } if to == whom && matches!(**message, signal_response::Message::RequestResponse(_)));
    story.outputs().iter().filter(is_told).count()
}

#[test]
fn a_file_that_is_under_way_takes_no_place_from_what_is_for_a_newcomer() {
    let mut story = Story::new();
    let ada = story.join("ada");
    sends(&mut story, &ada, &header("film"));
    let bob = announced(&mut story, "bob");
    story.outputs();
    sends(&mut story, &ada, &word("hello"));
    for _ in 0..300 {
        sends(&mut story, &ada, &chunk("film", 15_000));
    }
    sends(&mut story, &ada, &header("note"));
    sends(&mut story, &ada, &chunk("note", 10));
    assert_eq!(warned(&mut story, &ada), 0, "nothing is lost that it could read");
    story.room.connected(&bob, story.now);
    let got = takes(&mut story, &bob);
    assert_eq!(got.len(), 3);
    assert_eq!(texts(&got[..1]), ["hello"]);
    assert!(matches!(&got[2].value, Some(Value::StreamChunk(chunk)) if chunk.stream_id == "note"));
}

#[test]
fn a_packet_that_a_client_cannot_take_holds_nothing_up() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    for packet in [header("film"), chunk("film", 200_000), chunk("film", 10), word("hello")] {
        sends(&mut story, &ada, &packet);
    }
    story.outputs();
    story.room.data_taken(&bob);
    story.room.data_too_long(&bob);
    assert_eq!(warned(&mut story, &ada), 1, "its sender is told");
    sends(&mut story, &ada, &chunk("film", 10));
    let got = takes(&mut story, &bob);
    assert!(
        matches!(&got[0].value, Some(Value::StreamTrailer(end)) if end.stream_id == "film" && !end.reason.is_empty()),
        "{got:?}"
    );
    assert_eq!(
        got.len(),
        3,
        "what came before the loss was known, and the word, and nothing of the stream after it"
    );
    assert_eq!(texts(&got[2..]), ["hello"]);
    story.room.data_too_long(&bob);
    assert!(story.room.next_data(&bob).is_none());
}

#[test]
fn of_a_hidden_receiver_that_loses_something_its_sender_hears_nothing() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let grants = VideoGrants { hidden: true, ..VideoGrants::default() };
    let ghost = story.join_as("ghost", grants, participant_info::Kind::Standard).unwrap();
    story.outputs();
    for _ in 0..600 {
        sends(&mut story, &ada, &word(&"x".repeat(15_000)));
    }
    let outputs = story.outputs();
    assert!(outputs.iter().any(|output| matches!(output, Output::DataLost { to, .. } if *to == ghost)));
    let told = |output: &Output| matches!(output, Output::Signal { to, .. } if *to == ada);
    assert!(!outputs.iter().any(told));
}

#[test]
fn small_packets_are_counted_with_what_they_cost() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let bob = announced(&mut story, "bob");
    for _ in 0..100_000 {
        sends(&mut story, &ada, &DataPacket::default());
    }
    assert!(story.room.waiting_data_bytes(&bob) <= DATA_WAITING_BYTES_OF_NEWCOMER);
    let waits = std::iter::from_fn(|| {
        let has_one = story.room.next_data(&bob).is_some();
        story.room.data_taken(&bob);
        has_one.then_some(())
    });
    assert!(waits.count() <= DATA_WAITING_BYTES_OF_NEWCOMER / queue::PACKET_BYTES);
}

#[test]
fn whoever_may_not_subscribe_gets_data_before_and_after_the_right_is_given() {
    use reelroom_protocol::proto::{ParticipantPermission, UpdateParticipantRequest};
    let mut story = Story::new();
    let ada = story.join("ada");
    let grants = VideoGrants { can_subscribe: Some(false), ..VideoGrants::default() };
    let deaf = story.join_as("deaf", grants, participant_info::Kind::Standard).unwrap();
    sends(&mut story, &ada, &word("one"));
    assert_eq!(texts(&takes(&mut story, &deaf)), ["one"]);
    let permission = ParticipantPermission { can_subscribe: true, ..Default::default() };
    let request = UpdateParticipantRequest { permission: Some(permission), ..Default::default() };
    story.room.update_participant(&deaf, &request, story.now).unwrap();
    sends(&mut story, &ada, &word("two"));
    story.room.data(&ada, DataKind::Lossy, &word("three").encode_to_vec());
    assert_eq!(texts(&takes(&mut story, &deaf)), ["two"]);
    assert!(story.outputs().iter().any(|output| matches!(output, Output::Data { to, .. } if *to == deaf)));
}

#[test]
fn a_channel_with_a_label_of_its_own_carries_words_to_everybody() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.room.data(&ada, DataKind::Other, b"anything");
    let got = takes(&mut story, &bob);
    assert_eq!(texts(&got), ["anything"]);
    assert_eq!(got[0].participant_identity, "ada");
    assert!(story.room.next_data(&ada).is_none());
    let grants = VideoGrants { can_publish_data: Some(false), ..VideoGrants::default() };
    let mute = story.join_as("mute", grants, participant_info::Kind::Standard).unwrap();
    story.room.data(&mute, DataKind::Other, b"anything");
    assert!(story.room.next_data(&bob).is_none());
}

#[test]
fn only_agents_write_down_what_others_say_and_speak_in_their_name() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let robot = agent(&mut story, "robot");
    let of =
        |value| DataPacket { participant_identity: "bob".into(), value: Some(value), ..Default::default() };
    let text = data_stream::header::ContentHeader::TextHeader(data_stream::TextHeader::default());
    let header = data_stream::Header { content_header: Some(text), ..Default::default() };
    let every = [
        of(Value::Transcription(Transcription::default())),
        of(Value::ChatMessage(ChatMessage::default())),
        of(Value::StreamHeader(header)),
        of(Value::Metrics(MetricsBatch::default())),
        of(Value::User(UserPacket::default())),
    ];
    for packet in &every {
        sends(&mut story, &ada, packet);
        sends(&mut story, &robot, packet);
    }
    let got = takes(&mut story, &bob);
    let of_ada: Vec<_> = got.iter().filter(|packet| packet.participant_sid == ada.as_str()).collect();
    assert_eq!(of_ada.len(), 3, "neither subtitles nor metrics");
    assert!(of_ada.iter().all(|packet| packet.participant_identity == "ada"));
    let of_robot: Vec<_> = got.iter().filter(|packet| packet.participant_sid == robot.as_str()).collect();
    let names: Vec<_> = of_robot.iter().map(|packet| packet.participant_identity.as_str()).collect();
    assert_eq!(names, ["robot", "bob", "bob", "robot"]);
    assert!(matches!(&of_robot[1].value, Some(Value::ChatMessage(chat)) if chat.generated));
}

#[test]
fn what_is_encrypted_passes_as_it_is_and_hidden_senders_have_no_name() {
    let mut story = Story::new();
    let bob = story.join("bob");
    let grants = VideoGrants { hidden: true, ..VideoGrants::default() };
    let ghost = story.join_as("ghost", grants, participant_info::Kind::Standard).unwrap();
    let sealed = EncryptedPacket { iv: vec![1; 12], encrypted_value: vec![2; 99], ..Default::default() };
    let value = Some(Value::EncryptedPacket(sealed.clone()));
    sends(&mut story, &ghost, &DataPacket { sequence: 7, value, ..Default::default() });
    let got = takes(&mut story, &bob);
    assert_eq!(got[0].value, Some(Value::EncryptedPacket(sealed)));
    assert_eq!(got[0].sequence, 7);
    assert!(got[0].participant_identity.is_empty() && got[0].participant_sid.is_empty());
}

#[test]
fn what_a_packet_says_of_its_destinations_counts_before_what_stands_inside() {
    let mut story = Story::new();
    let (ada, bob, carol, dan) =
        (story.join("ada"), story.join("bob"), story.join("carol"), story.join("dan"));
    let user = UserPacket {
        destination_identities: vec!["carol".into()],
        destination_sids: vec![dan.to_string()],
        ..Default::default()
    };
    let inside = DataPacket { value: Some(Value::User(user)), ..Default::default() };
    let outside = DataPacket { destination_identities: vec!["bob".into()], ..inside.clone() };
    let mut reached = |packet: &DataPacket| {
        sends(&mut story, &ada, packet);
        [&bob, &carol, &dan].map(|to| takes(&mut story, to).len())
    };
    assert_eq!(reached(&inside), [0, 1, 1]);
    assert_eq!(reached(&outside), [1, 0, 1]);
    assert_eq!(reached(&word("to all")), [1, 1, 1]);
}

fn numbered(number: u32, len: usize) -> DataPacket {
    DataPacket { sequence: number, ..word(&format!("{number:>len$}")) }
}

fn state(of: &ParticipantSid, last_seq: u32) -> DataChannelReceiveState {
    DataChannelReceiveState { publisher_sid: of.to_string(), last_seq }
}

#[test]
fn whoever_comes_back_gets_what_it_lacks_before_what_waits_whatever_the_seed() {
    for seed in [1, 2, 3, 4, 5] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut story = Story::new();
        let (ada, carol, bob) = (story.join("ada"), story.join("carol"), story.join("bob"));
        let mut numbers = BTreeMap::from([(ada.clone(), 0), (carol.clone(), 0)]);
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..20 {
            for _ in 0..rng.random_range(1..20) {
                let from = if rng.random() { &ada } else { &carol };
                let number = numbers.get_mut(from).unwrap();
                *number += 1;
                let packet = numbered(*number, 300);
                sends(&mut story, from, &packet);
            }
            // The connection takes some of it, and of that only a part arrives.
            let mut is_lost = false;
            for _ in 0..rng.random_range(0..20) {
                let Some(bytes) = story.room.next_data(&bob).cloned() else { break };
                story.room.data_taken(&bob);
                is_lost |= rng.random_ratio(1, 5);
                let packet = DataPacket::decode(bytes).unwrap();
                let last = seen.entry(packet.participant_sid.clone()).or_default();
                if !is_lost && packet.sequence > *last {
                    assert_eq!(packet.sequence, *last + 1, "seed {seed}: nothing is missing");
                    *last = packet.sequence;
                }
            }
            let states: Vec<_> = seen.iter().map(|(sid, last)| state(&sid.as_str().into(), *last)).collect();
            story.room.replay(&bob, &states);
            story.pass(Duration::from_millis(100));
        }
        for packet in takes(&mut story, &bob) {
            let last = seen.entry(packet.participant_sid.clone()).or_default();
            if packet.sequence > *last {
                assert_eq!(packet.sequence, *last + 1, "seed {seed}: nothing is missing");
                *last = packet.sequence;
            }
        }
        for (sid, number) in numbers {
            assert_eq!(seen.get(sid.as_str()).copied().unwrap_or_default(), number, "seed {seed}");
            assert_eq!(story.room.last_sequence(&sid), number);
        }
    }
}

#[test]
fn nothing_goes_again_to_whom_it_was_not_for() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    sends(&mut story, &ada, &numbered(1, 1));
    let secret = DataPacket { destination_identities: vec!["bob".into()], ..numbered(2, 1) };
    sends(&mut story, &ada, &secret);
    let carol = story.join("carol");
    sends(&mut story, &ada, &numbered(3, 1));
    assert_eq!(takes(&mut story, &carol).len(), 1);
    story.room.replay(&carol, &[]);
    let again: Vec<_> = takes(&mut story, &carol).iter().map(|packet| packet.sequence).collect();
    assert_eq!(again, [3], "neither what was for bob nor what was before it came");
    takes(&mut story, &bob);
    story.room.replay(&bob, &[state(&ada, 1)]);
    let again: Vec<_> = takes(&mut story, &bob).iter().map(|packet| packet.sequence).collect();
    assert_eq!(again, [2, 3]);
    story.room.replay(&ada, &[]);
    assert!(takes(&mut story, &ada).is_empty(), "nobody gets their own");
}

#[test]
fn what_came_without_a_name_does_not_come_again() {
    let mut story = Story::new();
    let bob = story.join("bob");
    let grants = VideoGrants { hidden: true, ..VideoGrants::default() };
    let ghost = story.join_as("ghost", grants, participant_info::Kind::Standard).unwrap();
    sends(&mut story, &ghost, &numbered(1, 10));
    assert_eq!(takes(&mut story, &bob).len(), 1);
    story.room.replay(&bob, &[]);
    assert!(takes(&mut story, &bob).is_empty(), "a client cannot tell that it has it already");
}

#[test]
fn all_that_a_room_remembers_is_bounded_however_many_come_and_go() {
    use reelroom_protocol::proto::DisconnectReason;
    let mut story = Story::new();
    for _ in 0..60 {
        let ada = story.join("ada");
        for number in 1..=40 {
            let names = vec!["somebody".to_owned(); 100];
            let packet = DataPacket { destination_identities: names, ..numbered(number, 12_000) };
            sends(&mut story, &ada, &packet);
        }
        story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
        story.outputs();
        assert!(story.room.replay.bytes() <= DATA_REPLAY_BYTES_OF_ROOM);
    }
    assert!(story.room.replay.bytes() > DATA_REPLAY_BYTES_OF_ROOM / 2);
}

#[test]
fn what_is_remembered_is_bounded_in_bytes_and_time() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    for number in 1..200 {
        sends(&mut story, &ada, &numbered(number, 15_000));
        takes(&mut story, &bob);
        assert!(story.room.replay.bytes() <= DATA_REPLAY_BYTES);
    }
    story.room.replay(&bob, &[]);
    let again = takes(&mut story, &bob);
    assert!(again.len() > 20 && again.last().unwrap().sequence == 199, "the newest of it");
    story.pass(DATA_REPLAY_FOR + Duration::from_secs(1));
    assert_eq!(story.room.replay.bytes(), 0);
    story.room.replay(&bob, &[]);
    assert!(takes(&mut story, &bob).is_empty());
}
