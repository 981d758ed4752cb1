use reelroom_limits::accounts::{SESSION_LASTS, SESSIONS, SIGN_INS_BURST_ADDRESS, SIGN_INS_BURST_KNOWN};

use super::*;

impl House {
    fn sign_in_by_provider(&mut self) -> Result<SignedIn, AccountsError> {
        self.accounts.sign_in_by_provider(visit(Some("192.0.2.9")), self.now, &mut self.rng)
    }
}

#[test]
fn a_session_that_a_provider_opened_is_one_like_others() {
    let (mut house, owner) = House::with_owner();
    let other = house.sign_in_by_provider().unwrap();
    let sessions = house.accounts.sessions(house.now);
    let listed = sessions.iter().find(|session| session.id == other.session).unwrap();
    assert_eq!((listed.address, listed.agent.as_str()), (Some("192.0.2.9".parse().unwrap()), AGENT));
    house.restart();
    assert!(house.is_signed_in(&other.token) && house.is_signed_in(&owner.token));
    house.accounts.end_session(&other.session).unwrap();
    assert!(!house.is_signed_in(&other.token));
    let again = house.sign_in_by_provider().unwrap();
    house.pass(SESSION_LASTS);
    assert!(!house.is_signed_in(&again.token));
}

#[test]
fn a_new_password_ends_it_and_its_browser_is_known() {
    let (mut house, owner) = House::with_owner();
    let other = house.sign_in_by_provider().unwrap();
    for _ in 0..=SIGN_INS_BURST_ADDRESS {
        let _ = house.sign_in(OTHER, Some("192.0.2.1"));
    }
    assert!(matches!(house.sign_in(PASSWORD, Some("192.0.2.1")), Err(AccountsError::TooFast { .. })));
    for _ in 0..SIGN_INS_BURST_KNOWN {
        let known = house.sign_in_with(OTHER, &other.mark);
        assert!(matches!(known, Err(AccountsError::Wrong)), "its browser has a pace of its own");
    }
    house.change(&owner.token, PASSWORD, OTHER).unwrap();
    assert!(!house.is_signed_in(&other.token));
}

#[test]
fn no_password_need_be_set_and_a_link_sets_one_all_the_same() {
    let mut house = House::new();
    let first = house.sign_in_by_provider().unwrap();
    assert!(house.is_signed_in(&first.token) && !house.accounts.has_password());
    house.restart();
    assert!(house.is_signed_in(&first.token));
    let link = house.link();
    let owner = house.set_password(&link, PASSWORD).unwrap();
    assert_eq!(owner.ended, [first.session]);
    assert!(!house.is_signed_in(&first.token) && house.is_signed_in(&owner.token));
    house.sign_in_with(PASSWORD, &first.mark).unwrap();
}

#[test]
fn however_often_a_provider_signs_in_there_are_so_many_sessions() {
    let (mut house, _) = House::with_owner();
    for _ in 0..2 * SESSIONS {
        house.sign_in_by_provider().unwrap();
    }
    assert_eq!(house.accounts.sessions(house.now).len(), SESSIONS);
}
