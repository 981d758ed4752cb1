use reelroom_limits::accounts::{SEEN_EVERY, SESSION_IDLE, SESSION_LASTS, SESSIONS, USER_AGENT_BYTES};
use rusqlite::Connection;

use super::*;

/// What the truth says of when sessions were seen.
fn written(house: &House) -> Vec<i64> {
    Truth::open(&house.file()).unwrap().sessions().unwrap().iter().map(|session| session.seen_ms).collect()
}

#[test]
fn a_session_ends_when_nothing_is_done_in_it() {
    let (mut house, owner) = House::with_owner();
    for _ in 0..3 {
        house.pass(SESSION_IDLE - MINUTE);
        assert!(house.is_signed_in(&owner.token));
    }
    house.pass(SESSION_IDLE);
    assert!(!house.is_signed_in(&owner.token) && house.accounts.sessions(house.now).is_empty());
}

#[test]
fn a_session_ends_a_while_after_it_began_whatever_is_done_in_it() {
    let (mut house, owner) = House::with_owner();
    let ends_ms = house.now.unix_ms + SESSION_LASTS.as_millis() as i64;
    while house.is_signed_in(&owner.token) {
        let session = &house.accounts.sessions(house.now)[0];
        assert!(house.now.unix_ms < ends_ms && session.ends_ms() <= ends_ms);
        house.pass(DAY);
    }
    assert_eq!(house.now.unix_ms, ends_ms);
}

#[test]
fn a_session_outlives_a_restart_and_one_that_ended_does_not_come_back() {
    let (mut house, owner) = House::with_owner();
    let other = house.sign_in(PASSWORD, Some("192.0.2.7")).unwrap();
    let before = house.accounts.sessions(house.now);
    house.restart();
    assert_eq!(house.accounts.sessions(house.now), before);
    assert!(house.is_signed_in(&owner.token) && house.is_signed_in(&other.token));
    house.accounts.end_session(&other.session).unwrap();
    for _ in 0..2 {
        assert!(house.is_signed_in(&owner.token) && !house.is_signed_in(&other.token));
        let again = house.accounts.end_session(&other.session);
        assert!(matches!(again, Err(AccountsError::Unknown)), "{again:?}");
        house.restart();
    }
}

#[test]
fn all_sessions_but_ones_own_can_be_ended() {
    let (mut house, _) = House::with_owner();
    let mine = house.sign_in(PASSWORD, None).unwrap();
    house.sign_in(PASSWORD, None).unwrap();
    assert_eq!(house.accounts.end_other_sessions(&mine.session).unwrap().len(), 2);
    assert!(house.accounts.end_other_sessions(&mine.session).unwrap().is_empty());
    for _ in 0..2 {
        let left = house.accounts.sessions(house.now);
        assert_eq!(left.iter().map(|session| &session.id).collect::<Vec<_>>(), [&mine.session]);
        house.restart();
    }
}

#[test]
fn a_list_says_from_where_and_with_what_in_text_that_can_be_shown() {
    let (mut house, owner) = House::with_owner();
    house.pass(MINUTE);
    let agent = format!("\u{1b}[2JEvil\r\n\u{202e}{}", "ä".repeat(10_000));
    let asker = Asker(Some("2001:db8:1:2::".parse().unwrap()));
    let sign_in = SignIn { password: PASSWORD, mark: None, visit: Visit { asker, agent: &agent } };
    let other = house.accounts.sign_in(sign_in, house.now, &mut house.rng).unwrap();
    house.sign_in(PASSWORD, None).unwrap();
    house.pass(MINUTE);
    assert!(house.is_signed_in(&other.token));
    for _ in 0..2 {
        let all = house.accounts.sessions(house.now);
        assert_eq!(all.len(), 3);
        let of = |id: &SessionId| all.iter().find(|session| session.id == *id).unwrap();
        assert_eq!(of(&owner.session).agent, AGENT);
        assert_eq!(of(&owner.session).address, Some("192.0.2.1".parse().unwrap()));
        let shown = of(&other.session);
        assert!(shown.agent.starts_with("[2JEvilää") && shown.agent.len() <= USER_AGENT_BYTES, "{shown:?}");
        assert_eq!(shown.address, asker.0);
        assert_eq!(all.iter().filter(|session| session.address.is_none()).count(), 1);
        assert_eq!(all[0].id, other.session, "who was seen last stands in front");
        house.accounts.keep(house.now).unwrap();
        house.restart();
    }
}

#[test]
fn when_a_session_was_seen_is_written_once_a_minute_at_most() {
    let (mut house, owner) = House::with_owner();
    house.accounts.keep(house.now).unwrap();
    let begun = house.now.unix_ms;
    for second in 1..=600 {
        house.pass(Duration::from_secs(1));
        assert!(house.is_signed_in(&owner.token));
        assert_eq!(
            house.accounts.sessions(house.now)[0].seen_ms,
            house.now.unix_ms,
            "the list knows it at once"
        );
        house.accounts.keep(house.now).unwrap();
        let whole_minutes = second / SEEN_EVERY.as_secs() as i64 * SEEN_EVERY.as_millis() as i64;
        assert_eq!(written(&house), [begun + whole_minutes]);
    }
}

#[test]
fn a_killed_program_knows_within_a_minute_when_a_session_was_seen() {
    let (mut house, owner) = House::with_owner();
    house.accounts.keep(house.now).unwrap();
    for _ in 0..7 * 24 {
        house.pass(HOUR);
        assert!(house.is_signed_in(&owner.token));
        house.accounts.keep(house.now).unwrap();
    }
    house.restart();
    house.pass(SESSION_IDLE - 2 * MINUTE);
    assert!(house.is_signed_in(&owner.token));
}

#[test]
fn sessions_that_are_over_are_forgotten() {
    let (mut house, _) = House::with_owner();
    house.sign_in(PASSWORD, None).unwrap();
    house.pass(SESSION_IDLE);
    assert_eq!(written(&house).len(), 2);
    house.accounts.keep(house.now).unwrap();
    assert!(written(&house).is_empty());
}

#[test]
fn where_sessions_are_too_many_the_one_seen_longest_ago_ends_and_that_is_said() {
    let (mut house, first) = House::with_owner();
    let second = house.sign_in(PASSWORD, None).unwrap();
    for _ in 2..SESSIONS {
        house.pass(MINUTE);
        assert!(house.sign_in(PASSWORD, None).unwrap().ended.is_empty());
    }
    house.pass(MINUTE);
    assert!(house.is_signed_in(&first.token));
    let one_more = house.sign_in(PASSWORD, None).unwrap();
    assert_eq!(one_more.ended, [second.session]);
    for _ in 0..2 {
        assert_eq!(house.accounts.sessions(house.now).len(), SESSIONS);
        assert!(house.is_signed_in(&first.token) && house.is_signed_in(&one_more.token));
        assert!(!house.is_signed_in(&second.token));
        house.accounts.keep(house.now).unwrap();
        house.restart();
    }
    // Those that are over go first, and nobody has to be told.
    house.pass(SESSION_IDLE - MINUTE);
    assert!(house.is_signed_in(&first.token) && house.is_signed_in(&one_more.token));
    house.pass(2 * MINUTE);
    for _ in 2..SESSIONS {
        assert!(house.sign_in(PASSWORD, None).unwrap().ended.is_empty());
    }
    assert!(house.is_signed_in(&first.token) && house.is_signed_in(&one_more.token));
    assert_eq!(written(&house).len(), SESSIONS);
}

#[test]
fn a_session_ends_at_once_also_while_the_disk_takes_nothing() {
    let (mut house, owner) = House::with_owner();
    let other = house.sign_in(PASSWORD, None).unwrap();
    let key = house.key("backup").unwrap();
    let stuck = Connection::open(house.file()).unwrap();
    stuck.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = house.accounts.end_session(&other.session);
    assert!(matches!(failed, Err(AccountsError::Truth(_))), "{failed:?}");
    let failed = house.accounts.revoke_key(&key.key.id, house.now);
    assert!(matches!(failed, Err(AccountsError::Truth(_))), "{failed:?}");
    assert_eq!(house.accounts.sessions(house.now).len(), 1);
    assert!(!house.is_signed_in(&other.token) && house.is_signed_in(&owner.token));
    assert!(house.accounts.key(key.secret.reveal(), house.now).is_none());
    assert_eq!(written(&house).len(), 2);
    stuck.execute_batch("ROLLBACK").unwrap();

    house.accounts.end_session(&other.session).unwrap();
    house.accounts.revoke_key(&key.key.id, house.now).unwrap();
    house.restart();
    assert!(!house.is_signed_in(&other.token) && house.is_signed_in(&owner.token));
    assert!(house.accounts.key(key.secret.reveal(), house.now).is_none());
}

#[test]
fn a_csrf_token_is_its_sessions_own() {
    let (mut house, owner) = House::with_owner();
    let other = house.sign_in(PASSWORD, None).unwrap();
    let csrf = owner.token.csrf();
    assert!(owner.token.is_csrf(&csrf) && !other.token.is_csrf(&csrf));
    assert!(csrf != owner.token.reveal() && !owner.token.is_csrf(&owner.token.reveal()));
    let as_a_browser_shows_it = SessionToken::parse(&owner.token.reveal()).unwrap();
    assert!(as_a_browser_shows_it.is_csrf(&csrf));
    assert!(SessionToken::parse(&csrf).is_none_or(|token| !house.is_signed_in(&token)));
    let cut = &csrf[..csrf.len() - 1];
    for wrong in ["", "x", cut, &format!("{csrf}x"), &"A".repeat(43), &"ä".repeat(50_000)] {
        assert!(!owner.token.is_csrf(wrong), "{wrong}");
    }
    // It needs nothing that is kept.
    house.restart();
    assert!(owner.token.is_csrf(&csrf));
}

#[test]
fn what_is_no_token_is_nobodys() {
    let (house, owner) = House::with_owner();
    for text in ["", "x", &"ä".repeat(43), &"A".repeat(100_000), &owner.token.reveal()[1..]] {
        assert!(SessionToken::parse(text).is_none(), "{text}");
    }
    assert!(!house.is_signed_in(&SessionToken::parse(&"A".repeat(43)).unwrap()));
}

#[test]
fn a_clock_that_goes_back_ends_no_session() {
    let (mut house, owner) = House::with_owner();
    let before = house.now.unix_ms;
    house.now.unix_ms -= SESSION_LASTS.as_millis() as i64;
    assert!(house.is_signed_in(&owner.token));
    assert_eq!(house.accounts.sessions(house.now)[0].seen_ms, before);
}
