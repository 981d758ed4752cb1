//! What fuzzers give bytes of strangers to; see docs/fuzzing.md.

use std::time::{Duration, Instant};

use reelroom_limits::media::{DATA_WAITING_BYTES, DATA_WAITING_BYTES_OF_RECEIVER};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::participant_info;
use reelroom_protocol::token::VideoGrants;

use crate::output::DataKind;
use crate::participant::Joining;
use crate::room::{Now, Room, RoomOptions};

/// A name, and what takes an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 1] = [("data", data)];

/// Data packets of participants to each other, some of whom take them and some do not: what waits is bounded.
#[allow(clippy::disallowed_methods)] // Where time begins says nothing here.
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
        name: name.to_owned(),
        metadata: String::new(),
        attributes: Default::default(),
        grants: VideoGrants::default(),
        kind: participant_info::Kind::Standard,
        auto_subscribe: true,
    };
    room.join(joining, now).expect("an open room takes people");
    room.connected(&sid, now);
    sid
}
