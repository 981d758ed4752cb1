//! What strangers send by signalling and as data, as targets of a fuzzer and of tests; see docs/fuzzing.md.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use reelroom_limits::media::{DATA_WAITING_BYTES, DATA_WAITING_BYTES_OF_RECEIVER};
use reelroom_limits::signalling::{AWAITED_TRACKS, PENDING_TRACKS, TRACKS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{SignalResponse, TrackType, participant_info, signal_response};
use reelroom_protocol::token::VideoGrants;

use crate::codec::Codec;
use crate::door::{Said, Turn, Turns};
use crate::forward::Rewrite;
use crate::layers::Layer;
use crate::output::{DataKind, Output};
use crate::packet::{Carrier, Content, Passed, PublishedPacket};
use crate::participant::Joining;
use crate::room::{Now, Room, RoomOptions};
use crate::track::Section;

/// A target's name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets by their names.
pub const TARGETS: [Target; 2] = [("signalling", signalling), ("data", data)];

/// So many outputs one message may cause in a call of three.
const OUTPUTS: usize = 2000;
/// So many bytes of signalling one message may cause.
const OUTPUT_BYTES: usize = 4 * 1024 * 1024;
/// So long a call of three may be when it is written out, whatever was said in it.
const STATE_BYTES: usize = 16 * 1024 * 1024;

/// What a call of three is told, message by message: who says it and what happens besides, its length, its bytes.
pub fn signalling(bytes: &[u8]) {
    let mut call = Call::new();
    let mut rest = bytes;
    while let Some((&[how, high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (message, tail) = tail.split_at(length.min(tail.len()));
        call.says(how, message);
        rest = tail;
    }
    call.end();
}

/// A room of three, as its shell treats it.
pub(crate) struct Call {
    pub(crate) room: Room,
    pub(crate) people: Vec<ParticipantSid>,
    now: Now,
    turns: Turns,
    sections: usize,
}

impl Call {
    #[allow(clippy::disallowed_methods, reason = "a time to begin with: all others are counted from it")]
    pub(crate) fn new() -> Self {
        let now = Now { at: Instant::now(), unix_ms: 1_800_000_000_000 };
        let room = Room::new(RoomOptions { name: "room".into(), ..RoomOptions::default() }, now);
        let mut call = Self { room, people: Vec::new(), now, turns: Turns::new(now.at), sections: 0 };
        for index in 0..3 {
            let sid = ParticipantSid::from(format!("PA_{index}"));
            let joining = Joining {
                sid: sid.clone(),
                identity: format!("person {index}").as_str().into(),
                ticket: Default::default(),
                serial: 0,
                issued_unix_s: 0,
                is_server: false,
                name: String::new(),
                metadata: String::new(),
                attributes: BTreeMap::new(),
                grants: VideoGrants { can_update_own_metadata: Some(true), ..VideoGrants::default() },
                kind: participant_info::Kind::Standard,
                auto_subscribe: index > 0,
                client: Default::default(),
                kind_details: Vec::new(),
            };
            call.room.join(joining, now).expect("there is place");
            call.room.connected(&sid, now);
            call.people.push(sid);
        }
        call.outputs();
        call
    }

    /// One of them says something; with it time passes or media arrives.
    pub(crate) fn says(&mut self, how: u8, message: &[u8]) {
        let who = self.people[usize::from(how) % self.people.len()].clone();
        if how & 0x80 != 0 {
            self.pass(Duration::from_secs(1));
        }
        let said = match Said::read(&Bytes::copy_from_slice(message)) {
            Ok(said) => said,
            Err(refused) => {
                assert!(!refused.to_string().is_empty());
                return;
            }
        };
        if let Turn::After(wait) = self.turns.take(said.weight, self.now.at) {
            self.pass(wait);
        }
        if let Some(message) = said.message {
            self.room.handle_signal(&who, message, self.now);
        }
        if how & 0x40 != 0 {
            self.media(&who);
        }
        self.outputs();
    }

    /// The next section of a participant carries media of what it has announced.
    fn media(&mut self, who: &ParticipantSid) {
        self.sections += 1;
        for (kind, codec) in [(TrackType::Video, Codec::Vp8), (TrackType::Audio, Codec::Opus)] {
            let mid = format!("{kind:?} {}", self.sections);
            let section = Section {
                mid: mid.clone(),
                kind,
                track_id: String::new(),
                sends: true,
                simulcast: false,
                parameter_sets: Vec::new(),
            };
            self.room.sections(who, &[section]);
            if let Some(track) = self.room.track_on(who, &mid) {
                let packet = PublishedPacket {
                    layer: Layer::High,
                    codec,
                    ssrc: 1,
                    seq: 1,
                    rtp: 0,
                    payload: &[0x10, 0, 0, 0],
                    is_red: codec == Codec::Opus,
                    descriptor: Some(&[0x80, 0, 1, 0x80]),
                    audio_level_dbov: None,
                    arrived: self.now.at,
                };
                if self.room.packet(who, &mid, &packet, self.now, &mut Nobody) == Passed::AfterOutputs {
                    let again = self.room.packet(who, &mid, &packet, self.now, &mut Nobody);
                    assert_eq!(again, Passed::On, "{track} was announced");
                }
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += time.as_millis() as i64;
        while self.room.poll_timeout() <= self.now.at {
            self.room.handle_timeout(self.now);
        }
    }

    fn outputs(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        while let Some(output) = self.room.poll_output() {
            count += 1;
            bytes += match output {
                Output::Signal { message, .. } | Output::Broadcast { message, .. } => written(*message),
                Output::Data { bytes, .. } => bytes.len(),
                _ => 0,
            };
        }
        assert!(count <= OUTPUTS, "{count} outputs");
        assert!(bytes <= OUTPUT_BYTES, "{bytes} bytes of outputs");
    }

    /// What is left of all that was said is bounded.
    pub(crate) fn end(&self) {
        for participant in self.room.participants.values() {
            assert!(participant.pending.len() <= PENDING_TRACKS, "{} tracks wait", participant.pending.len());
            assert!(participant.pending.len() + participant.published.len() <= TRACKS);
            assert!(participant.awaited.len() <= AWAITED_TRACKS);
            assert!(participant.early_settings.len() <= self.room.tracks.len());
        }
        let state = format!("{:?}", self.room).len();
        assert!(state <= STATE_BYTES, "the room has {state} bytes");
    }
}

/// Takes packets to nobody.
struct Nobody;

impl Carrier for Nobody {
    fn send(&mut self, _: &TrackSid, _: &ParticipantSid, _: Rewrite, _: Content<'_>) {}

    fn parameter_sets(&mut self, _: &TrackSid, _: &ParticipantSid, _: &[&[u8]]) {}

    fn record(&mut self, _: &TrackSid, _: &ParticipantSid, _: Content<'_>) -> bool {
        false
    }
}

fn written(message: signal_response::Message) -> usize {
    SignalResponse { message: Some(message) }.encoded_len()
}

/// Data packets of participants to each other, some of whom take them and some do not: what waits is bounded.
#[allow(clippy::disallowed_methods, reason = "a time to begin with: all others are counted from it")]
pub fn data(mut bytes: &[u8]) {
    let mut now = Now { at: Instant::now(), unix_ms: 1_800_000_000_000 };
    let mut room =
        Room::new(RoomOptions { sid: "RM_1".into(), name: "room".into(), ..RoomOptions::default() }, now);
    let people: Vec<_> = ["ada", "bob", "eve"].iter().map(|name| join(&mut room, name, now)).collect();
    while let Some((what, rest)) = bytes.split_first() {
        let who = &people[usize::from(what >> 4) % people.len()];
        let (len, rest) = rest.split_first().unwrap_or((&0, &[]));
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        bytes = rest;
        match what & 7 {
            0 | 1 => room.data(who, DataKind::Reliable, piece),
            2 => room.data(who, DataKind::Lossy, piece),
            3 => (0..64).for_each(|_| room.data(who, DataKind::Reliable, &piece.repeat(64))),
            4 => (0..*len).for_each(|_| room.data_taken(who)),
            5 => room.data_wanted(who),
            6 => {
                let kind = if *len & 1 == 0 { DataKind::Other } else { DataKind::Track };
                room.data(who, kind, piece);
            }
            _ => {
                now.at += Duration::from_millis(100 * u64::from(*len));
                if now.at >= room.poll_timeout() {
                    room.handle_timeout(now);
                }
            }
        }
        while room.poll_output().is_some() {}
        for person in &people {
            assert!(room.waiting_data_bytes(person) <= DATA_WAITING_BYTES_OF_RECEIVER);
        }
        assert!(room.data_windows().iter().all(|(_, window)| *window <= DATA_WAITING_BYTES));
    }
}

fn join(room: &mut Room, name: &str, now: Now) -> ParticipantSid {
    let sid = ParticipantSid::from(format!("PA_{name}"));
    let joining = Joining {
        sid: sid.clone(),
        identity: name.into(),
        ticket: Default::default(),
        serial: 0,
        issued_unix_s: 0,
        is_server: false,
        name: name.to_owned(),
        metadata: String::new(),
        attributes: Default::default(),
        grants: VideoGrants::default(),
        kind: participant_info::Kind::Standard,
        auto_subscribe: true,
        client: Default::default(),
        kind_details: Vec::new(),
    };
    room.join(joining, now).expect("an open room takes people");
    room.connected(&sid, now);
    sid
}
