//! A program that is killed while it writes has written what it was answered, and nothing by halves: of rooms and the links into them. All
//! children write to the same database.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod killing;

use std::collections::HashMap;
use std::path::Path;

use killing::answered;
use reelroom_truth::{Ended, Room, RoomLink, Truth, TruthError};

const TEST: &str = "a_killed_program_has_written_which_rooms_there_are";
const ROUNDS: u64 = 6;

fn room(number: u64) -> Room {
    let words = |count: u64| vec!["chat".to_owned(); (count % 90) as usize];
    Room {
        name: name(number),
        guests: words(number),
        hosts: Vec::new(),
        people: None,
        has_lobby: false,
        asks_consent: false,
        layout: None,
        keep_days: None,
        keep_since_ms: 0,
        made_ms: number as i64,
    }
}

fn name(number: u64) -> String {
    format!("room {number} {}", "of many ".repeat((number % 11) as usize))
}

fn link(number: u64, role: &str, what: &str) -> RoomLink {
    RoomLink {
        id: format!("RL_{number}_{role}_{what}"),
        room: name(number),
        role: role.to_owned(),
        nonce: [7; 32],
        secret_sha256: [8; 32],
        made_ms: 1,
        expires_ms: None,
    }
}

/// Each number is a room with two links, one of which is renewed and the other one revoked; then it is closed.
fn write_forever(folder: &Path, first: u64) -> Result<(), TruthError> {
    let truth = Truth::open(&folder.join("truth.db"))?;
    for number in first.. {
        let links = [link(number, "host", "first"), link(number, "guest", "first")];
        truth.add_room(&room(number), &links)?;
        answered("made", number);
        truth.renew_room_link(&link(number, "guest", "second"))?;
        answered("renewed", number);
        truth.change_room(&Room { people: Some(5), ..room(number) })?;
        answered("changed", number);
        truth.end_rooms(&Ended { links: vec![links[0].id.clone()], ..Ended::default() })?;
        answered("revoked", number);
        truth.end_rooms(&Ended { rooms: vec![(name(number), number as i64)], ..Ended::default() })?;
        answered("closed", number);
    }
    Ok(())
}

/// Nothing stands there by halves, and nothing is missing of what was answered. One room at most is open of each child that was killed.
fn check(truth: &Truth, answered: &HashMap<String, u64>) {
    let last = |what: &str| answered.get(what).copied().unwrap_or_default();
    let (rooms, links) = (truth.rooms().unwrap(), truth.room_links().unwrap());
    let closed = truth.closed_rooms().unwrap();
    let newest = rooms.iter().map(|room| room.made_ms).chain(closed.iter().map(|(_, number)| *number)).max();
    assert!(newest.unwrap_or_default() as u64 >= last("made"), "{newest:?}: {} was answered", last("made"));
    assert!(last("closed") == 0 || closed.iter().any(|(closed, _)| *closed == name(last("closed"))));
    for (closed, _) in &closed {
        assert!(rooms.iter().all(|room| room.name != *closed), "{closed} is open and closed");
        assert!(links.iter().all(|link| link.room != *closed), "{closed} is closed and has a link");
    }
    for kept in &rooms {
        let number = kept.made_ms as u64;
        assert!(number > last("closed"), "{number} is open");
        assert_eq!(kept.guests, room(number).guests);
        let has = |role: &str, what: &str| links.contains(&link(number, role, what));
        assert!(has("guest", "first") != has("guest", "second"), "{number}: one link for guests");
        let (is_renewed, is_changed) = (has("guest", "second"), kept.people == Some(5));
        let is_revoked = !has("host", "first");
        assert!((is_renewed || !is_changed) && (is_changed || !is_revoked), "{number}: in that order");
        for (is_so, what) in [(is_renewed, "renewed"), (is_changed, "changed"), (is_revoked, "revoked")] {
            assert!(is_so || last(what) < number, "{number} is not {what}, and that was answered");
        }
    }
}

#[test]
fn a_killed_program_has_written_which_rooms_there_are() {
    if let Some((folder, first)) = killing::task() {
        write_forever(&folder, first).unwrap();
        return;
    }
    let mut writes = 0;
    for round in killing::rounds(TEST, ROUNDS) {
        writes += round.answered.len();
        let truth = round.truth;
        check(&truth, &round.answered.into_iter().collect());
        if let Some(copy) = round.copy {
            check(&copy, &HashMap::new());
        }
        // What the killed one left open is closed, as its owner would.
        let left = truth.rooms().unwrap().into_iter().map(|room| (room.name, room.made_ms)).collect();
        truth.end_rooms(&Ended { rooms: left, ..Ended::default() }).unwrap();
        assert!(truth.rooms().unwrap().is_empty() && truth.room_links().unwrap().is_empty());
    }
    assert!(writes > 100, "only {writes} were answered");
}
