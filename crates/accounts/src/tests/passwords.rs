use reelroom_limits::accounts::{
    HASHES_AT_ONCE, SIGN_IN_EVERY_ADDRESS, SIGN_IN_EVERY_KNOWN, SIGN_IN_EVERY_STRANGERS,
    SIGN_INS_BURST_ADDRESS, SIGN_INS_BURST_KNOWN,
};

use super::*;

/// Many addresses guess until no stranger may try any more.
fn besiege(house: &mut House) {
    for number in 0.. {
        let address = format!("198.51.{}.{}", number / 256, number % 256);
        match house.sign_in("a guess of many", Some(&address)) {
            Err(AccountsError::Wrong) => {}
            Err(AccountsError::TooFast { .. }) => return,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_right_password_opens_a_session_and_a_wrong_one_none() {
    let (mut house, first) = House::with_owner();
    let second = house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
    assert!(house.is_signed_in(&first.token) && house.is_signed_in(&second.token));
    assert!(second.session != first.session && second.token.reveal() != first.token.reveal());
    assert!(second.ended.is_empty());
    for wrong in ["", "correct horse batter", "Correct horse battery", &PASSWORD.repeat(10_000)] {
        let refused = house.sign_in(wrong, None);
        assert!(matches!(refused, Err(AccountsError::Wrong)), "{refused:?}");
    }
    assert_eq!(house.accounts.sessions(house.now).len(), 2);
}

#[test]
fn nobody_signs_in_before_a_password_is_set() {
    let mut house = House::new();
    for password in ["", PASSWORD] {
        let refused = house.sign_in(password, None).unwrap_err();
        assert!(
            matches!(refused, AccountsError::NoPassword) && refused.to_string().contains("reelroom owner")
        );
    }
}

#[test]
fn an_address_that_guesses_waits_and_nobody_else_does() {
    let (mut house, _) = House::with_owner();
    for _ in 0..SIGN_INS_BURST_ADDRESS {
        assert!(matches!(house.sign_in("a guess", Some("198.51.100.1")), Err(AccountsError::Wrong)));
    }
    let Err(AccountsError::TooFast { wait }) = house.sign_in(PASSWORD, Some("198.51.100.1")) else {
        panic!("the right password too has to wait, or else guessing would go on");
    };
    assert!(wait <= SIGN_IN_EVERY_ADDRESS);
    house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
    house.pass(wait + Duration::from_millis(1));
    house.sign_in(PASSWORD, Some("198.51.100.1")).unwrap();
}

#[test]
fn strangers_lock_the_owner_out_of_no_browser_that_was_signed_in_before() {
    let (mut house, owner) = House::with_owner();
    for _ in 0..3 {
        besiege(&mut house);
        assert!(matches!(house.sign_in(PASSWORD, Some("192.0.2.7")), Err(AccountsError::TooFast { .. })));
        house.sign_in_with(PASSWORD, &owner.mark).unwrap();
        house.pass(SIGN_IN_EVERY_STRANGERS);
    }
}

#[test]
fn strangers_lock_the_owner_out_of_no_browser_for_good() {
    let (mut house, owner) = House::with_owner();
    besiege(&mut house);
    assert!(house.is_signed_in(&owner.token), "sessions go on");
    house.pass(SIGN_IN_EVERY_STRANGERS + Duration::from_millis(1));
    house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();

    // While they go on without a pause, a link is the way past them.
    besiege(&mut house);
    let link = house.link();
    let set = house.set_password(&link, OTHER).unwrap();
    besiege(&mut house);
    house.sign_in_with(OTHER, &set.mark).unwrap();
}

#[test]
fn a_browser_that_was_signed_in_before_does_not_guess_without_end() {
    let (mut house, owner) = House::with_owner();
    for _ in 0..SIGN_INS_BURST_KNOWN {
        assert!(matches!(house.sign_in_with("a guess", &owner.mark), Err(AccountsError::Wrong)));
    }
    assert!(matches!(house.sign_in_with(PASSWORD, &owner.mark), Err(AccountsError::TooFast { .. })));
    house.pass(SIGN_IN_EVERY_KNOWN + Duration::from_millis(1));
    let again = house.sign_in_with(PASSWORD, &owner.mark).unwrap();
    assert_ne!(again.mark.reveal(), owner.mark.reveal());
}

#[test]
fn a_mark_opens_nothing_and_a_forged_one_is_a_strangers() {
    let (mut house, owner) = House::with_owner();
    assert!(SessionToken::parse(owner.mark.reveal()).is_none_or(|token| !house.is_signed_in(&token)));
    besiege(&mut house);
    let mut forged = owner.mark.reveal().to_owned();
    forged.replace_range(..1, if forged.starts_with('A') { "B" } else { "A" });
    for mark in [forged.as_str(), "", "x", &"A".repeat(100_000)] {
        let sign_in = SignIn { password: PASSWORD, mark: Some(mark), visit: visit(Some("192.0.2.7")) };
        let refused = house.accounts.sign_in(sign_in, house.now, &mut house.rng);
        assert!(matches!(refused, Err(AccountsError::TooFast { .. })));
    }
}

#[test]
fn signing_in_rightly_uses_up_nobodys_tries() {
    let (mut house, owner) = House::with_owner();
    for _ in 0..200 {
        house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
        house.sign_in_with(PASSWORD, &owner.mark).unwrap();
    }
}

#[test]
fn no_more_passwords_are_hashed_at_once_than_memory_is_meant_for() {
    let (mut house, owner) = House::with_owner();
    let link = house.link();
    let key = house.key("backup").unwrap();
    let wrong_before_the_throttle = SIGN_INS_BURST_ADDRESS;
    {
        let House { accounts, now, rng, .. } = &mut house;
        let places: Vec<_> = (0..HASHES_AT_ONCE).map(|_| accounts.hashing.place().unwrap()).collect();
        let visit = visit(Some("192.0.2.7"));
        for _ in 0..10 * wrong_before_the_throttle {
            let sign_in = SignIn { password: PASSWORD, mark: None, visit };
            assert!(matches!(accounts.sign_in(sign_in, *now, rng), Err(AccountsError::Busy)));
        }
        let set = SetPassword { link: &link, password: OTHER, visit };
        assert!(matches!(accounts.set_password(set, *now, rng), Err(AccountsError::Busy)));
        assert!(accounts.session(&owner.token, *now).is_some(), "what hashes nothing waits for nobody");
        assert!(accounts.key(key.secret.reveal(), *now).is_some());
        drop(places);
    }
    for _ in 0..3 * HASHES_AT_ONCE {
        house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
    }
    house.set_password(&link, OTHER).unwrap();
}

#[test]
fn a_password_is_hashed_anew_once_the_cost_changes() {
    let (mut house, _) = House::with_owner();
    let kept = |house: &House| Truth::open(&house.file()).unwrap().owner().unwrap().unwrap().password;
    let before = kept(&house);
    assert!(before.contains("$m=8,t=1,p=1$"), "{before}");
    house.accounts = house.again(cheap(3));
    assert!(house.sign_in("a guess", None).is_err());
    assert_eq!(kept(&house), before, "nobody but the owner can have it hashed anew");
    house.sign_in(PASSWORD, None).unwrap();
    let after = kept(&house);
    assert!(after.contains("$m=8,t=3,p=1$"), "{after}");
    for _ in 0..2 {
        house.sign_in(PASSWORD, None).unwrap();
        assert!(house.sign_in("a guess", None).is_err());
        assert_eq!(kept(&house), after);
        house.accounts = house.again(cheap(3));
    }
}

#[test]
fn a_changed_password_ends_all_other_sessions_and_renews_ones_own() {
    let (mut house, first) = House::with_owner();
    let mine = house.sign_in(PASSWORD, None).unwrap();
    let changed = house.change(&mine.token, PASSWORD, OTHER).unwrap();
    let mut ended = changed.ended.clone();
    ended.sort();
    let mut meant = vec![first.session.clone(), mine.session.clone()];
    meant.sort();
    assert_eq!(ended, meant);
    for _ in 0..2 {
        assert!(house.is_signed_in(&changed.token));
        for token in [&first.token, &mine.token] {
            assert!(!house.is_signed_in(token));
            let refused = house.change(token, OTHER, PASSWORD);
            assert!(matches!(refused, Err(AccountsError::SessionOver)), "{refused:?}");
        }
        assert!(matches!(house.sign_in(PASSWORD, None), Err(AccountsError::Wrong)));
        house.restart();
    }
    house.sign_in_with(OTHER, &changed.mark).unwrap();
}

#[test]
fn a_password_is_changed_by_nobody_who_does_not_know_it() {
    let (mut house, owner) = House::with_owner();
    assert!(matches!(house.change(&owner.token, PASSWORD, "short"), Err(AccountsError::Invalid(_))));
    for _ in 0..SIGN_INS_BURST_KNOWN {
        assert!(matches!(house.change(&owner.token, "a guess", OTHER), Err(AccountsError::Wrong)));
    }
    assert!(matches!(house.change(&owner.token, PASSWORD, OTHER), Err(AccountsError::TooFast { .. })));
    assert!(house.is_signed_in(&owner.token));
    house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
    house.pass(HOUR);
    house.change(&owner.token, PASSWORD, OTHER).unwrap();
}

#[test]
fn a_link_is_worthless_once_the_password_is_changed() {
    let (mut house, owner) = House::with_owner();
    let link = house.link();
    house.change(&owner.token, PASSWORD, OTHER).unwrap();
    assert!(matches!(house.set_password(&link, PASSWORD), Err(AccountsError::LinkGone)));
}

#[test]
fn a_sign_in_that_was_under_way_when_the_password_was_set_comes_to_nothing() {
    let (mut house, owner) = House::with_owner();
    let proven = house.accounts.owner().unwrap();
    let changed = house.change(&owner.token, PASSWORD, OTHER).unwrap();
    let late = house.accounts.begin(Some(&proven), None, visit(None), house.now, &mut house.rng);
    assert!(matches!(late, Err(AccountsError::Wrong)));
    assert_eq!(house.accounts.sessions(house.now).len(), 1);
    // One that hashed the password anew does not bring the older one back.
    let anew = crate::password::KeptPassword::new(PASSWORD, &cheap(1), &mut house.rng);
    let late = house.accounts.begin(Some(&proven), Some(anew), visit(None), house.now, &mut house.rng);
    assert!(matches!(late, Err(AccountsError::Wrong)));
    house.restart();
    assert!(house.sign_in(PASSWORD, None).is_err() && house.is_signed_in(&changed.token));
}
