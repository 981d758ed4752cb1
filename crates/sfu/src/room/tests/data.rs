//! Reliable data and receivers that take it slowly.

use proptest::prelude::*;
use prost::Message as _;
use rand::Rng as _;
use reelroom_limits::media::{
    DATA_PATIENCE, DATA_SLOWEST_BYTES_PER_S, DATA_WAITING_BYTES, DATA_WAITING_BYTES_OF_RECEIVER,
};
use reelroom_protocol::proto::data_stream;

use super::*;

const CHUNK: usize = 15_000;

fn chunk(stream: &str, to: &[&str]) -> Vec<u8> {
    let chunk =
        data_stream::Chunk { stream_id: stream.into(), content: vec![7; CHUNK], ..Default::default() };
    packet(data_packet::Value::StreamChunk(chunk), to)
}

fn trailer(stream: &str) -> Vec<u8> {
    let trailer = data_stream::Trailer { stream_id: stream.into(), ..Default::default() };
    packet(data_packet::Value::StreamTrailer(trailer), &[])
}

fn packet(value: data_packet::Value, to: &[&str]) -> Vec<u8> {
    DataPacket {
        destination_identities: to.iter().map(|name| (*name).to_owned()).collect(),
        value: Some(value),
        ..Default::default()
    }
    .encode_to_vec()
}

/// A sender that sends as fast as its window lets it, and receivers.
struct Stream {
    story: Story,
    sender: ParticipantSid,
    window: usize,
}

impl Stream {
    fn new() -> Self {
        let mut story = Story::new();
        let sender = story.join("ada");
        Self { story, sender, window: DATA_WAITING_BYTES }
    }

    /// Sends what the window has room for, `most` bytes at most, and says how much.
    fn send(&mut self, stream: &str, most: usize) -> usize {
        let mut sent = 0;
        while sent < most && self.window >= CHUNK {
            self.story.room.data(&self.sender, DataKind::Reliable, &chunk(stream, &[]));
            sent += CHUNK;
            self.tell();
        }
        sent
    }

    fn tell(&mut self) {
        for (sender, window) in self.story.room.data_windows() {
            assert_eq!(sender, self.sender);
            self.window = window;
        }
    }

    fn take(&mut self, to: &ParticipantSid, most: usize) -> Vec<DataPacket> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < most
            && let Some(packet) = self.story.room.next_data(to).cloned()
        {
            bytes += packet.len();
            taken.push(DataPacket::decode(packet).unwrap());
            self.story.room.data_taken(to);
        }
        if bytes > 0 {
            self.story.room.data_wanted(to);
        }
        self.tell();
        taken
    }

    fn lost(&mut self) -> Vec<(ParticipantSid, usize, bool)> {
        let lost = |output: &Output| match output {
            Output::DataLost { to, bytes, begins, .. } => Some((to.clone(), *bytes, *begins)),
            _ => None,
        };
        self.story.outputs().iter().filter_map(lost).collect()
    }
}

#[test]
fn a_fast_sender_is_slowed_to_its_slowest_receiver_and_nothing_is_lost() {
    let mut stream = Stream::new();
    let (bob, carol) = (stream.story.join("bob"), stream.story.join("carol"));
    let (mut sent, mut got) = (0, [0; 2]);
    // Carol takes 1 MB a second, bob everything.
    for _ in 0..1000 {
        sent += stream.send("file", usize::MAX);
        got[0] += stream.take(&bob, usize::MAX).len() * CHUNK;
        got[1] += stream.take(&carol, 100_000).len() * CHUNK;
        stream.story.pass(Duration::from_millis(100));
    }
    assert!(sent > 90_000_000, "{sent}");
    assert_eq!(got[0], sent);
    assert!(sent - got[1] <= DATA_WAITING_BYTES + CHUNK, "{sent} {got:?}");
    assert!(stream.lost().is_empty());
}

#[test]
fn who_takes_nothing_loses_the_stream_and_both_are_told_and_others_get_it_whole() {
    let mut stream = Stream::new();
    let (bob, eve) = (stream.story.join("bob"), stream.story.join("eve"));
    let (mut sent, mut got) = (0, 0);
    let mut waited = Duration::ZERO;
    while sent < 20_000_000 {
        let more = stream.send("file", 1_000_000);
        sent += more;
        got += stream.take(&bob, usize::MAX).len() * CHUNK;
        if more == 0 {
            waited += Duration::from_millis(250);
        }
        stream.story.pass(Duration::from_millis(250));
    }
    assert_eq!(got, sent);
    assert!(waited <= DATA_PATIENCE + Duration::from_millis(750), "{waited:?}");
    let outputs = stream.story.outputs();
    let told = |whom: &ParticipantSid| {
        let is_told = |output: &&Output| matches!(output, Output::Signal { to, message } if to == whom && matches!(**message, signal_response::Message::RequestResponse(_)));
        outputs.iter().filter(is_told).count()
    };
    assert_eq!((told(&stream.sender), told(&eve), told(&bob)), (1, 1, 0), "once, however much is lost");
    // When it reads again it learns that the stream is over, and gets nothing else of it, but whatever begins anew.
    let read = stream.take(&eve, usize::MAX);
    let [DataPacket { value: Some(data_packet::Value::StreamTrailer(end)), participant_identity, .. }] =
        &read[..]
    else {
        panic!("{read:?}")
    };
    assert_eq!((end.stream_id.as_str(), participant_identity.as_str()), ("file", "ada"));
    assert!(!end.reason.is_empty());
    stream.send("file", 2 * CHUNK);
    stream.story.room.data(&stream.sender, DataKind::Reliable, &trailer("file"));
    stream.send("second", CHUNK);
    let read = stream.take(&eve, usize::MAX);
    assert!(
        matches!(&read[..], [DataPacket { value: Some(data_packet::Value::StreamChunk(chunk)), .. }] if chunk.stream_id == "second")
    );
}

#[test]
fn a_slow_receiver_alone_gets_everything_but_holds_nobody_else_up() {
    // One chunk each ten seconds.
    const { assert!(CHUNK < 10 * DATA_SLOWEST_BYTES_PER_S) };
    let run = |others: &[&str]| {
        let mut stream = Stream::new();
        let bob = stream.story.join("bob");
        let others: Vec<_> = others.iter().map(|name| stream.story.join(name)).collect();
        for step in 0..800 {
            stream.send("file", usize::MAX);
            stream.take(&bob, usize::from(step % 100 == 0));
            for other in &others {
                stream.take(other, usize::MAX);
            }
            stream.story.pass(Duration::from_millis(100));
        }
        stream.lost().len()
    };
    assert_eq!(run(&[]), 0);
    assert!(run(&["carol"]) > 0);
}

#[test]
fn what_others_send_does_not_wait_behind_a_flood() {
    let mut stream = Stream::new();
    let (bob, carol) = (stream.story.join("bob"), stream.story.join("carol"));
    stream.send("file", usize::MAX);
    stream.story.room.data(&carol, DataKind::Reliable, &chunk("word", &["bob"]));
    let senders: Vec<_> =
        stream.take(&bob, 3 * CHUNK).into_iter().map(|packet| packet.participant_identity).collect();
    assert!(senders.contains(&"carol".to_owned()), "{senders:?}");
}

#[test]
fn who_ignores_its_window_loses_its_own_stream_alone() {
    let mut stream = Stream::new();
    let (bob, carol) = (stream.story.join("bob"), stream.story.join("carol"));
    stream.story.room.data(&carol, DataKind::Reliable, &chunk("word", &["bob"]));
    for _ in 0..2000 {
        stream.story.room.data(&stream.sender, DataKind::Reliable, &chunk("flood", &["bob"]));
        stream.story.room.data_windows();
    }
    assert!(stream.lost().iter().any(|(to, _, begins)| *to == bob && *begins));
    let read: Vec<_> = {
        let mut read = Vec::new();
        while let Some(bytes) = stream.story.room.next_data(&bob).cloned() {
            read.push(DataPacket::decode(bytes).unwrap().participant_identity);
            stream.story.room.data_taken(&bob);
        }
        read
    };
    assert_eq!(read, ["ada", "carol"], "the end of the flood, and the word");
}

#[test]
fn a_packet_of_too_many_parts_is_not_decoded_and_its_sender_is_told() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.outputs();
    let word = |names: usize| DataPacket {
        destination_identities: vec!["bob".to_owned(); names],
        value: Some(data_packet::Value::User(UserPacket::default())),
        ..Default::default()
    };
    story.room.data(&ada, DataKind::Reliable, &word(5000).encode_to_vec());
    assert!(story.room.next_data(&bob).is_none());
    let told = |output: &Output| matches!(output, Output::Signal { to, message } if *to == ada && matches!(**message, signal_response::Message::RequestResponse(_)));
    assert!(story.outputs().iter().any(told));
    story.room.data(&ada, DataKind::Reliable, &word(1000).encode_to_vec());
    assert!(story.room.next_data(&bob).is_some());
}

#[test]
fn a_network_that_stands_still_for_a_while_costs_nothing_whatever_the_seed() {
    for seed in [1, 2, 3, 4, 5, 6] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut stream = Stream::new();
        let (bob, carol) = (stream.story.join("bob"), stream.story.join("carol"));
        let (mut sent, mut got, mut still_ms) = (0, 0, 0u64);
        // 10 MB over 4 Mbit/s, which stands still for up to 8 s at times.
        for step in 0..2400u64 {
            if sent < 10_000_000 {
                sent += stream.send("file", 10_000_000 - sent);
            }
            stream.take(&carol, usize::MAX);
            if still_ms == 0 && step > 40 && rng.random_ratio(1, 100) {
                still_ms = rng.random_range(100..8000);
            }
            still_ms = still_ms.saturating_sub(50);
            if still_ms == 0 {
                got += stream.take(&bob, 25_000).len() * CHUNK;
            }
            stream.story.pass(Duration::from_millis(50));
        }
        assert!(stream.lost().is_empty(), "seed {seed}");
        assert!(sent >= 10_000_000 && got == sent, "seed {seed}: {got} of {sent}");
    }
}

#[test]
fn what_a_receiver_takes_as_it_catches_up_counts_for_it() {
    let mut stream = Stream::new();
    let (bob, carol) = (stream.story.join("bob"), stream.story.join("carol"));
    // It stands still for 3.5 s again and again, and then takes everything at once.
    for step in 0..600 {
        if step % 80 < 60 {
            stream.send("file", usize::MAX);
        }
        stream.take(&carol, usize::MAX);
        if step % 80 == 69 {
            stream.take(&bob, usize::MAX);
        }
        stream.story.pass(Duration::from_millis(50));
    }
    assert!(stream.lost().is_empty());
}

#[test]
fn a_receiver_that_stops_for_good_is_given_up_however_fast_it_was() {
    use reelroom_limits::media::{DATA_CREDIT, DATA_STALLED};
    for (others, patience) in [(&["carol"][..], DATA_PATIENCE + DATA_CREDIT), (&[][..], DATA_STALLED)] {
        let mut stream = Stream::new();
        let bob = stream.story.join("bob");
        let others: Vec<_> = others.iter().map(|name| stream.story.join(name)).collect();
        let mut waited = Duration::ZERO;
        for step in 0..1000 {
            stream.send("file", usize::MAX);
            if step < 100 {
                stream.take(&bob, 25_000);
            } else {
                waited += Duration::from_millis(50);
            }
            for other in &others {
                stream.take(other, usize::MAX);
            }
            stream.story.pass(Duration::from_millis(50));
            if !stream.lost().is_empty() {
                break;
            }
        }
        assert!(waited + Duration::from_millis(600) >= patience, "{waited:?}");
        assert!(waited <= patience + Duration::from_millis(600), "{waited:?}");
    }
}

proptest! {
    #[test]
    fn memory_is_bounded_and_order_kept_whatever_is_sent_and_taken(
        steps in prop::collection::vec((0..4usize, 0..3usize, 0..20_000usize), 1..600),
    ) {
        let mut story = Story::new();
        let people: Vec<_> = ["ada", "bob", "carol", "dan"].iter().map(|name| story.join(name)).collect();
        let mut numbers = [0u32; 4];
        let mut last = BTreeMap::new();
        for (who, what, size) in steps {
            match what {
                0 | 1 => {
                    numbers[who] += 1;
                    let user = UserPacket { payload: vec![0; size * (1 + what * 30)], ..Default::default() };
                    let sent = DataPacket {
                        sequence: numbers[who],
                        value: Some(data_packet::Value::User(user)),
                        ..Default::default()
                    };
                    story.room.data(&people[who], DataKind::Reliable, &sent.encode_to_vec());
                }
                _ => {
                    for _ in 0..size / 1000 {
                        let Some(bytes) = story.room.next_data(&people[who]).cloned() else { break };
                        story.room.data_taken(&people[who]);
                        let packet = DataPacket::decode(bytes).unwrap();
                        let seen: &mut u32 = last.entry((who, packet.participant_identity)).or_default();
                        prop_assert!(packet.sequence > *seen);
                        *seen = packet.sequence;
                    }
                    story.pass(Duration::from_millis(size as u64 / 10));
                }
            }
            for participant in story.room.participants.values() {
                prop_assert!(participant.data.bytes() <= DATA_WAITING_BYTES_OF_RECEIVER);
            }
            for (_, window) in story.room.data_windows() {
                prop_assert!(window <= DATA_WAITING_BYTES);
            }
        }
    }
}
