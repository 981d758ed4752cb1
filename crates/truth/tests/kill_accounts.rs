//! A program that is killed while it writes has written what it was answered, and nothing by halves: of the owner, sessions and API keys. All
//! children write to the same database.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod killing;

use std::collections::HashMap;
use std::path::Path;

use killing::answered;
use reelroom_truth::{
    ApiKey, Begin, Happened, NewPassword, Owner, OwnerLink, Session, SetBy, Truth, TruthError,
};

const TEST: &str = "a_killed_program_has_written_who_somebody_is";
const ROUNDS: u64 = 10;

fn session(id: String) -> Session {
    let agent = "a browser ".repeat(id.len());
    Session { id, token_sha256: [7; 32], begun_ms: 1, seen_ms: 1, address: None, agent }
}

fn key(number: u64) -> ApiKey {
    ApiKey {
        id: format!("rr_{number}"),
        name: "a program ".repeat((number % 7 * 90) as usize),
        secret_sha256: [7; 32],
        rights: vec!["list".into(), "play".into()],
        made_ms: 1,
        expires_ms: None,
        used_ms: None,
        revoked_ms: None,
    }
}

/// Each number is a link, by which a password is set that begins a session, whose place another one takes that is seen and ends; a key takes
/// the place of the one before and is revoked.
fn write_forever(folder: &Path, first: u64) -> Result<(), TruthError> {
    let truth = Truth::open(&folder.join("truth.db"))?;
    let mut before = truth.api_keys()?.into_iter().map(|key| key.id).next();
    for number in first.. {
        let id = format!("LK_{number}");
        truth.put_owner_link(&OwnerLink {
            id: id.clone(),
            secret_sha256: [7; 32],
            made_ms: 1,
            expires_ms: 2,
        })?;
        answered("link", number);
        let owner = Owner { password: number.to_string(), mark_key: [7; 32], set_ms: number as i64 };
        let (set, signed_in) = (session(format!("SE_{number}_set")), session(format!("SE_{number}_in")));
        assert!(truth.set_password(NewPassword { owner: &owner, by: SetBy::Link(&id), session: &set })?);
        answered("set", number);
        let anew = format!("{number} anew");
        truth.begin_session(Begin {
            session: &signed_in,
            instead_of: Some(&set.id),
            password: Some(&anew),
        })?;
        answered("in", number);
        let key = key(number);
        truth.add_api_key(&key, before.as_deref())?;
        answered("key", number);
        truth.keep_happened(&Happened {
            ended: vec![signed_in.id],
            used: vec![(key.id.clone(), 3)],
            revoked: vec![(key.id.clone(), 4)],
            ..Happened::default()
        })?;
        answered("ended", number);
        before = Some(key.id);
    }
    Ok(())
}

/// Nothing stands there by halves, and nothing is missing of what was answered. The later of the numbers is the one in force.
fn check(truth: &Truth, answered: &HashMap<String, u64>) {
    let last = |what: &str| answered.get(what).copied().unwrap_or_default();
    let owner = truth.owner().unwrap();
    let set = owner.as_ref().map_or(0, |owner| owner.set_ms as u64);
    assert!(set >= last("set"), "password {set}: {} was answered", last("set"));

    // A link is there or used up, and then its password is set.
    let link = truth.owner_link().unwrap().map(|link| link.id[3..].parse::<u64>().unwrap());
    let known = link.unwrap_or(set);
    assert!(known >= last("link"), "link {link:?}, password {set}: {} was answered", last("link"));
    assert!(link.is_none_or(|link| link > set), "link {link:?} is there, and password {set} is set by it");

    let sessions: Vec<String> = truth.sessions().unwrap().into_iter().map(|session| session.id).collect();
    let (by_link, by_password) = (format!("SE_{set}_set"), format!("SE_{set}_in"));
    let anew = owner.is_some_and(|owner| owner.password == format!("{set} anew"));
    match sessions.as_slice() {
        [] => assert!(set == 0 || anew, "password {set} is set, and no session began"),
        [one] if *one == by_link => assert!(!anew && last("in") < set, "{one} goes on"),
        [one] if *one == by_password => assert!(anew && last("ended") < set, "{one} goes on"),
        others => panic!("password {set}: {others:?}"),
    }

    let keys = truth.api_keys().unwrap();
    assert!(keys.len() <= 1, "{keys:?}: one made room for the other");
    let made = keys.first().map_or(0, |key| key.id[3..].parse::<u64>().unwrap());
    assert!(made >= last("key"), "key {made}: {} was answered", last("key"));
    let Some(kept) = keys.first() else { return };
    assert_eq!((&kept.name, &kept.rights), (&key(made).name, &key(made).rights));
    match (kept.used_ms, kept.revoked_ms) {
        (None, None) => assert!(last("ended") < made, "key {made} is in force"),
        (Some(3), Some(4)) => {
            assert!(sessions.is_empty() || set > made, "{sessions:?} goes on, and key {made} is revoked");
        }
        others => panic!("key {made}: {others:?}"),
    }
}

#[test]
fn a_killed_program_has_written_who_somebody_is() {
    if let Some((folder, first)) = killing::task() {
        write_forever(&folder, first).unwrap();
        return;
    }
    let mut last = HashMap::new();
    let mut writes = 0;
    for round in killing::rounds(TEST, ROUNDS) {
        writes += round.answered.len();
        last.extend(round.answered);
        check(&round.truth, &last);
        if let Some(copy) = round.copy {
            check(&copy, &HashMap::new());
        }
    }
    assert!(writes > 100, "only {writes} were answered");
}
