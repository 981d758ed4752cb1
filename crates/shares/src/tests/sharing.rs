use reelroom_limits::shares::{SHARE_NAME_BYTES, SHARES_OF_A_RECORDING};

use super::*;

#[test]
fn a_link_is_shown_once_and_is_there_again_as_it_was_made() {
    let mut house = House::new();
    let expires_ms = Some(house.now.unix_ms + DAY_MS);
    let new = NewShare { name: " for Ada ", gives: Gives::Download, expires_ms, ..plain() };
    let made = house.make(new).unwrap();
    assert_eq!(made.share.name, "for Ada");
    assert_eq!(made.secret.reveal().len(), 43);
    assert_eq!(house.listed(), std::slice::from_ref(&made.share));
    assert!(house.shares.of_recording("b.mp4").is_empty());
    assert!(house.is_on_disk(made.share.id.as_str()) && !house.is_on_disk(made.secret.reveal()));
    assert!(!format!("{made:?}").contains(made.secret.reveal()));
    house.restart();
    assert_eq!(house.listed(), std::slice::from_ref(&made.share));
    let begun = house.begin(&made).unwrap();
    assert_eq!((&*begun.viewing.recording, begun.viewing.gives), (RECORDING, Gives::Download));
    assert!(begun.viewing.is_of(RECORDING, "EG_1") && begun.viewing.is_of(RECORDING, RECORDING));
    assert!(!begun.viewing.is_of(RECORDING, "EG_2"), "another one has its name by now");
    assert!(!begun.viewing.is_of("b.mp4", "EG_1"));
}

#[test]
fn what_would_be_of_no_use_is_not_made() {
    let mut house = House::new();
    let (long, now_ms) = ("a".repeat(SHARE_NAME_BYTES + 1), house.now.unix_ms);
    for refused in [
        NewShare { name: &long, ..plain() },
        NewShare { name: "a\u{202e}b", ..plain() },
        NewShare { expires_ms: Some(now_ms), ..plain() },
        NewShare { password: Some("short"), ..plain() },
    ] {
        let told = house.make(refused).map(drop).unwrap_err();
        assert!(matches!(told, SharesError::Invalid(_)), "{told}");
    }
    assert!(house.listed().is_empty());
}

#[test]
fn a_link_ends_with_its_time() {
    let mut house = House::new();
    let made = house.make(NewShare { expires_ms: Some(house.now.unix_ms + 2000), ..plain() }).unwrap();
    let begun = house.begin(&made).unwrap();
    house.pass(SECOND);
    assert!(house.viewing(&begun).is_some());
    assert!(!begun.viewing.is_over(house.now));
    house.pass(SECOND);
    assert!(begun.viewing.is_over(house.now), "an answer that is under way ends");
    assert!(house.viewing(&begun).is_none());
    assert!(matches!(house.begin(&made), Err(SharesError::Gone)));
    assert!(matches!(house.change(&made, nothing()), Err(SharesError::Gone)), "it does not come back");
    assert_eq!(house.listed()[0].over_since_ms(house.now), made.share.expires_ms);
}

#[test]
fn a_revoked_link_opens_nothing_and_ends_what_is_under_way() {
    let mut house = House::new();
    let (made, other) = (house.make(plain()).unwrap(), house.make(plain()).unwrap());
    let (begun, elsewhere) = (house.begin(&made).unwrap(), house.begin(&other).unwrap());
    let revoked = house.revoke(&made).unwrap();
    assert_eq!(revoked.revoked_ms, Some(house.now.unix_ms));
    assert!(begun.viewing.is_over(house.now) && house.viewing(&begun).is_none());
    assert!(matches!(house.begin(&made), Err(SharesError::Gone)));
    assert!(house.viewing(&elsewhere).is_some() && !elsewhere.viewing.is_over(house.now));
    house.pass(SECOND);
    assert_eq!(house.revoke(&made).unwrap().revoked_ms, revoked.revoked_ms, "once and for all");
    house.restart();
    assert!(matches!(house.begin(&made), Err(SharesError::Gone)));
    assert_eq!(house.listed().len(), 2, "it is still listed, with its views");
    house.begin(&other).unwrap();
}

#[test]
fn a_link_is_of_its_recording_alone() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let (id, now) = (made.share.id.clone(), house.now);
    let is_unknown = |told: Result<(), SharesError>| matches!(told, Err(SharesError::Unknown));
    assert!(is_unknown(house.shares.revoke("b.mp4", &id, now).map(drop)));
    assert!(is_unknown(house.shares.views("b.mp4", &id, now).map(drop)));
    assert!(is_unknown(house.shares.change("b.mp4", &id, nothing(), now, &mut house.rng).map(drop)));
    assert!(is_unknown(house.shares.revoke(RECORDING, &"SH_no".into(), now).map(drop)));
    house.begin(&made).unwrap();
}

#[test]
fn a_change_that_gives_less_ends_what_is_being_watched_and_no_other_does() {
    let mut house = House::new();
    let made = house.make(NewShare { gives: Gives::Download, ..plain() }).unwrap();
    let begun = house.begin(&made).unwrap();
    let until = house.now.unix_ms + DAY_MS;
    for harmless in [
        nothing(),
        Change { name: Some("for Ada"), ..nothing() },
        Change { gives: Some(Gives::Download), ..nothing() },
        Change { password: Set::Clear, ..nothing() },
        Change { expires_ms: Set::To(until), ..nothing() },
        Change { expires_ms: Set::Clear, ..nothing() },
        Change { expires_ms: Set::To(until), ..nothing() },
    ] {
        house.change(&made, harmless).unwrap();
        assert!(house.viewing(&begun).is_some(), "{harmless:?}");
    }
    let told = house.change(&made, Change { gives: Some(Gives::Play), ..nothing() }).unwrap();
    assert_eq!((told.name.as_str(), told.expires_ms, told.gives), ("for Ada", Some(until), Gives::Play));
    assert!(house.viewing(&begun).is_none() && begun.viewing.is_over(house.now));
    let again = house.begin(&made).unwrap();
    assert_eq!(again.viewing.gives, Gives::Play);
    house.change(&made, Change { password: Set::To("open sesame"), ..nothing() }).unwrap();
    assert!(house.viewing(&again).is_none(), "whoever does not know the password watches no more");
    house.restart();
    let kept = &house.listed()[0];
    assert_eq!((kept.name.as_str(), kept.expires_ms, kept.gives), ("for Ada", Some(until), Gives::Play));
    assert!(kept.has_password);
    let last = house.begin_from(&made, Some("open sesame"), None).unwrap();
    house.change(&made, Change { expires_ms: Set::To(house.now.unix_ms + 1), ..nothing() }).unwrap();
    house.pass(SECOND);
    assert!(last.viewing.is_over(house.now), "an earlier end holds for what is under way, too");
}

#[test]
fn the_links_of_a_deleted_recording_go_with_it() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let other = house.make(NewShare { recording: "b.mp4", ..plain() }).unwrap();
    let begun = house.begin(&made).unwrap();
    let elsewhere = house.begin(&other).unwrap();
    assert_eq!(house.shares.forget_recording(RECORDING).unwrap(), 1);
    for _ in 0..2 {
        assert!(begun.viewing.is_over(house.now) && house.viewing(&begun).is_none());
        assert!(matches!(house.begin(&made), Err(SharesError::Gone)));
        assert!(house.listed().is_empty());
        house.restart();
    }
    assert!(!elsewhere.viewing.is_over(house.now));
    assert_eq!(house.shares.of_recording("b.mp4").len(), 1);
    assert_eq!(house.shares.forget_recording(RECORDING).unwrap(), 0);
}

#[test]
fn what_is_over_makes_room_and_what_is_in_force_does_not() {
    let mut house = House::new();
    let first = house.make(plain()).unwrap();
    house.pass(SECOND);
    let second = house.make(plain()).unwrap();
    for _ in 2..SHARES_OF_A_RECORDING {
        house.make(plain()).unwrap();
    }
    assert!(matches!(house.make(plain()), Err(SharesError::Full)));
    house.make(NewShare { recording: "b.mp4", ..plain() }).unwrap();
    house.revoke(&second).unwrap();
    house.pass(SECOND);
    house.revoke(&first).unwrap();
    let one_more = house.make(plain()).unwrap();
    assert_eq!(one_more.forgotten, Some(second.share.id), "the one that has been over for the longest time");
    house.restart();
    let listed = house.listed();
    assert_eq!(listed.len(), SHARES_OF_A_RECORDING);
    assert!(listed[0].made_ms >= listed[1].made_ms, "the newest in front");
    assert!(listed.iter().any(|share| share.id == first.share.id));
}

#[test]
fn what_takes_away_holds_at_once_also_while_the_disk_takes_nothing() {
    let mut house = House::new();
    let (made, gone) =
        (house.make(plain()).unwrap(), house.make(NewShare { recording: "b.mp4", ..plain() }).unwrap());
    let begun = [house.begin(&made).unwrap(), house.begin(&gone).unwrap()];
    let stuck = house.stuck();
    assert!(matches!(house.revoke(&made), Err(SharesError::Truth(_))));
    assert!(matches!(house.shares.forget_recording("b.mp4"), Err(SharesError::Truth(_))));
    for begun in &begun {
        assert!(begun.viewing.is_over(house.now) && house.viewing(begun).is_none());
    }
    assert!(
        matches!(house.make(plain()), Err(SharesError::Truth(_))),
        "what gives something is written first"
    );
    stuck.execute_batch("ROLLBACK").unwrap();
    house.shares.keep(house.now).unwrap();
    house.restart();
    assert!(matches!(house.begin(&made), Err(SharesError::Gone)));
    assert!(house.listed()[0].revoked_ms.is_some() && house.shares.of_recording("b.mp4").is_empty());
}

#[test]
fn a_change_that_is_not_written_changes_nothing() {
    let mut house = House::new();
    let made = house.make(NewShare { gives: Gives::Download, ..plain() }).unwrap();
    let begun = house.begin(&made).unwrap();
    let stuck = house.stuck();
    let less = Change { gives: Some(Gives::Play), ..nothing() };
    assert!(matches!(house.change(&made, less), Err(SharesError::Truth(_))));
    assert_eq!(house.listed()[0].gives, Gives::Download);
    assert!(house.viewing(&begun).is_some());
    stuck.execute_batch("ROLLBACK").unwrap();
    assert_eq!(house.change(&made, less).unwrap().gives, Gives::Play);
}
