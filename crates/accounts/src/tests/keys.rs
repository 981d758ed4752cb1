use reelroom_limits::accounts::{
    API_KEY_NAME_BYTES, API_KEY_RIGHT_BYTES, API_KEY_RIGHTS, API_KEYS, SEEN_EVERY,
};

use super::*;

impl House {
    fn is_key(&self, key: &MadeKey) -> bool {
        self.accounts.key(key.secret.reveal(), self.now).is_some()
    }

    fn key_until(&mut self, expires_ms: i64) -> Result<MadeKey, AccountsError> {
        let rights = Rights::new(["list"]).unwrap();
        let new = NewKey { name: "for a while", rights, expires_ms: Some(expires_ms) };
        self.accounts.make_key(new, self.now, &mut self.rng)
    }
}

#[test]
fn a_key_has_the_rights_that_it_was_made_with() {
    let mut house = House::new();
    let [one, other] = ["backup", "statistics"].map(|name| house.key(name).unwrap());
    for _ in 0..2 {
        let bearer = house.accounts.key(one.secret.reveal(), house.now).unwrap();
        assert_eq!(bearer.key, one.key.id);
        assert_eq!(bearer.rights.iter().collect::<Vec<_>>(), ["list", "play"]);
        assert_eq!(house.accounts.key(other.secret.reveal(), house.now).unwrap().key, other.key.id);
        house.restart();
    }
}

#[test]
fn a_list_shows_how_a_key_begins_and_nothing_to_use_it_by() {
    let mut house = House::new();
    let made = house.key("  backup ").unwrap();
    assert!(made.secret.reveal().starts_with(&format!("{}_", made.key.id)));
    assert!(made.key.id.as_str().starts_with("rr_") && made.forgotten.is_none());
    for _ in 0..2 {
        assert_eq!(house.accounts.keys(), std::slice::from_ref(&made.key));
        assert_eq!(house.accounts.keys()[0].name, "backup");
        house.restart();
    }
}

#[test]
fn what_is_no_key_is_nobodys() {
    let mut house = House::new();
    let [one, other] = ["one", "other"].map(|name| house.key(name).unwrap());
    let whole = one.secret.reveal();
    let id = one.key.id.as_str();
    let of_other = other.secret.reveal().replace(other.key.id.as_str(), id);
    for text in [
        "",
        "rr_",
        id,
        &whole[..whole.len() - 1],
        &format!("{whole}A"),
        &of_other,
        &"ä".repeat(29),
        &"A".repeat(100_000),
    ] {
        assert_eq!(house.accounts.key(text, house.now), None, "{text}");
    }
    for at in 0..whole.len() {
        let mut forged = whole.to_owned();
        forged.replace_range(at..=at, if &whole[at..=at] == "A" { "E" } else { "A" });
        assert_eq!(house.accounts.key(&forged, house.now), None, "{forged}");
    }
    assert!(house.accounts.keys().iter().all(|key| key.used_ms.is_none()));
    assert!(house.is_key(&one));
}

#[test]
fn a_revoked_key_stays_revoked_and_stays_in_the_list() {
    let mut house = House::new();
    let [one, other] = ["one", "other"].map(|name| house.key(name).unwrap());
    house.pass(MINUTE);
    let revoked_ms = house.now.unix_ms;
    house.accounts.revoke_key(&one.key.id, house.now).unwrap();
    for _ in 0..3 {
        assert!(!house.is_key(&one) && house.is_key(&other));
        let listed = house.accounts.keys().into_iter().find(|key| key.id == one.key.id).unwrap();
        assert_eq!(listed.revoked_ms, Some(revoked_ms));
        assert_eq!(listed.over_since_ms(house.now), Some(revoked_ms));
        house.pass(MINUTE);
        house.accounts.revoke_key(&one.key.id, house.now).unwrap();
        house.restart();
    }
    assert!(matches!(house.accounts.revoke_key(&"rr_nobody".into(), house.now), Err(AccountsError::Unknown)));
}

#[test]
fn a_key_expires() {
    let mut house = House::new();
    let expires_ms = house.now.unix_ms + HOUR.as_millis() as i64;
    let key = house.key_until(expires_ms).unwrap();
    house.pass(HOUR - Duration::from_millis(1));
    assert!(house.is_key(&key));
    house.pass(Duration::from_millis(1));
    assert!(!house.is_key(&key));
    assert_eq!(house.accounts.keys()[0].over_since_ms(house.now), Some(expires_ms));
    for past in [house.now.unix_ms, 0, i64::MIN] {
        assert!(matches!(house.key_until(past), Err(AccountsError::Invalid(_))));
    }
}

#[test]
fn when_a_key_was_used_is_written_once_a_minute_at_most() {
    let mut house = House::new();
    let key = house.key("backup").unwrap();
    house.accounts.keep(house.now).unwrap();
    let made = house.now.unix_ms;
    let mut written = Vec::new();
    for _ in 0..180 {
        house.pass(Duration::from_secs(1));
        assert!(house.is_key(&key));
        assert_eq!(house.accounts.keys()[0].used_ms, Some(house.now.unix_ms));
        house.accounts.keep(house.now).unwrap();
        written.push(house.again(cheap(1)).keys()[0].used_ms);
    }
    written.dedup();
    let every_ms = SEEN_EVERY.as_millis() as i64;
    let minutes = [1, 2, 3].map(|minute| Some(made + minute * every_ms));
    let first = written.remove(0);
    assert!(first.is_none() && written == minutes, "{first:?} {written:?}");
}

#[test]
fn a_full_table_forgets_the_key_that_has_been_over_for_the_longest_time_and_no_other() {
    let mut house = House::new();
    let expires_ms = house.now.unix_ms + HOUR.as_millis() as i64;
    let expiring = house.key_until(expires_ms).unwrap();
    let all: Vec<MadeKey> = (1..API_KEYS).map(|_| house.key("in use").unwrap()).collect();
    let refused = house.key("one more").unwrap_err();
    assert!(
        matches!(refused, AccountsError::Full) && refused.to_string().contains("revoke one"),
        "{refused}"
    );
    house.pass(MINUTE);
    house.accounts.revoke_key(&all[7].key.id, house.now).unwrap();
    house.pass(HOUR);
    let first = house.key("one more").unwrap();
    assert_eq!(first.forgotten, Some(all[7].key.id.clone()));
    let second = house.key("one more").unwrap();
    assert_eq!(second.forgotten, Some(expiring.key.id));
    assert!(matches!(house.key("one more"), Err(AccountsError::Full)));
    for _ in 0..2 {
        assert_eq!(house.accounts.keys().len(), API_KEYS);
        assert!(all.iter().enumerate().all(|(index, key)| house.is_key(key) == (index != 7)));
        assert!(house.is_key(&first) && house.is_key(&second));
        house.restart();
    }
}

#[test]
fn names_and_rights_are_bounded() {
    let mut house = House::new();
    let longest = "ä".repeat(API_KEY_NAME_BYTES / 2);
    assert_eq!(house.key(&longest).unwrap().key.name, longest);
    for refused in ["", "  ", "a\nb", "a\u{202e}b", &format!("{longest}a")] {
        assert!(matches!(house.key(refused), Err(AccountsError::Invalid(_))), "{refused}");
    }
    let many = |many: usize| Rights::new((0..many).map(|number| format!("right.{number}")));
    assert_eq!(many(API_KEY_RIGHTS).unwrap().iter().count(), API_KEY_RIGHTS);
    assert!(matches!(many(API_KEY_RIGHTS + 1), Err(AccountsError::Invalid(_))));
    assert!(matches!(many(0), Err(AccountsError::Invalid(_))));
    assert_eq!(Rights::new(["play", "list", "play"]).unwrap(), Rights::new(["list", "play"]).unwrap());
    let longest = "a".repeat(API_KEY_RIGHT_BYTES);
    Rights::new([&longest]).unwrap();
    for refused in ["", "two words", "tab\t", "wörter", &format!("{longest}a")] {
        assert!(matches!(Rights::new([refused]), Err(AccountsError::Invalid(_))), "{refused}");
    }
}
