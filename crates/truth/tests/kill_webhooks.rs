//! A program that is killed while it writes has written what it was answered, and nothing by halves: of what others are told. All children write
//! to the same database.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod killing;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use killing::answered;
use reelroom_truth::{DeliveryState, NewDelivery, Settled, Truth, TruthError};

const TEST: &str = "a_killed_program_has_written_what_others_are_told";
const ROUNDS: u64 = 6;
/// More than all children make.
const ALL: usize = 1_000_000;

fn subject(number: u64) -> String {
    format!("EG_{number}")
}

fn delivery(receiver: &str, number: u64) -> NewDelivery {
    NewDelivery {
        receiver: receiver.into(),
        place: "https://a.example".into(),
        subject: subject(number),
        event: "egress_ended".into(),
        event_id: format!("EV_{number}"),
        body: vec![number as u8; (number % 7 * 900) as usize],
    }
}

/// Each number is told two receivers, of which one takes it at the second try.
fn write_forever(folder: &Path, first: u64) -> Result<(), TruthError> {
    let truth = Truth::open(&folder.join("truth.db"))?;
    for number in first.. {
        let new = [delivery("a", number), delivery("b", number)];
        let added = truth.add_deliveries(&new, &[subject(number)], 5, 0)?;
        answered("added", number);
        for (tries, state) in [(1, DeliveryState::Waiting), (2, DeliveryState::Delivered)] {
            let settled = Settled { state, at_ms: 6, tries, next_try_ms: 7, status: Some(200), error: None };
            truth.settle_delivery(added[0].id, &settled, ALL)?;
        }
        answered("taken", number);
    }
    Ok(())
}

/// Nothing stands there by halves, and nothing is missing of what was answered.
fn check(truth: &Truth, added: &HashSet<u64>, taken: &HashSet<u64>) {
    let mut states: BTreeMap<String, Vec<(String, DeliveryState, u32)>> = BTreeMap::new();
    for one in truth.deliveries(ALL).unwrap() {
        let state = (one.waiting.receiver, one.state, one.waiting.tries);
        states.entry(one.waiting.subject).or_default().push(state);
    }
    for (subject, states) in &states {
        assert_eq!(states.len(), 2, "{subject}: {states:?}");
        assert!(truth.is_told(subject).unwrap(), "{subject}");
        for (receiver, state, tries) in states {
            let is_whole = (*state == DeliveryState::Delivered) == (*tries == 2);
            assert!(is_whole && (receiver == "a" || *tries == 0), "{subject}: {states:?}");
        }
    }
    for number in added {
        assert!(states.contains_key(&subject(*number)), "{number} was answered");
    }
    for number in taken {
        let is_taken =
            states[&subject(*number)].iter().any(|(_, state, _)| *state == DeliveryState::Delivered);
        assert!(is_taken, "{number} was answered");
    }
}

#[test]
fn a_killed_program_has_written_what_others_are_told() {
    if let Some((folder, first)) = killing::task() {
        write_forever(&folder, first).unwrap();
        return;
    }
    let (mut added, mut taken) = (HashSet::new(), HashSet::new());
    for round in killing::rounds(TEST, ROUNDS) {
        for (what, number) in round.answered {
            if what == "added" {
                added.insert(number)
            } else {
                taken.insert(number)
            };
        }
        check(&round.truth, &added, &taken);
        if let Some(copy) = round.copy {
            check(&copy, &HashSet::new(), &HashSet::new());
        }
    }
    assert!(taken.len() > 20, "only {} were answered", taken.len());
}
