use reelroom_limits::accounts::OWNER_LINK_LASTS;

use super::*;

#[test]
fn a_link_sets_the_password_once() {
    let mut house = House::new();
    assert!(!house.accounts.has_password());
    let link = house.link();
    let owner = house.set_password(&link, PASSWORD).unwrap();
    assert!(house.accounts.has_password() && house.is_signed_in(&owner.token));
    assert!(matches!(house.set_password(&link, OTHER), Err(AccountsError::LinkGone)));
    house.restart();
    assert!(matches!(house.set_password(&link, OTHER), Err(AccountsError::LinkGone)));
    assert!(house.is_signed_in(&owner.token));
    house.sign_in(PASSWORD, None).unwrap();
    assert!(matches!(house.sign_in(OTHER, None), Err(AccountsError::Wrong)));
}

#[test]
fn a_new_link_makes_those_before_worthless() {
    let mut house = House::new();
    let [first, second] = [house.link(), house.link()];
    assert_ne!(first, second);
    assert!(matches!(house.set_password(&first, PASSWORD), Err(AccountsError::LinkGone)));
    house.set_password(&second, PASSWORD).unwrap();
}

#[test]
fn a_link_expires() {
    let mut house = House::new();
    let link = house.link();
    house.pass(OWNER_LINK_LASTS);
    assert!(matches!(house.set_password(&link, PASSWORD), Err(AccountsError::LinkGone)));
    let link = house.link();
    house.pass(OWNER_LINK_LASTS - Duration::from_millis(1));
    house.set_password(&link, PASSWORD).unwrap();
}

#[test]
fn what_is_no_link_sets_nothing() {
    let mut house = House::new();
    for nothing in ["", "x", &"A".repeat(43), &"ä".repeat(30), &"A".repeat(100_000)] {
        assert!(matches!(house.set_password(nothing, PASSWORD), Err(AccountsError::LinkGone)));
    }
    let link = house.link();
    let mut forged = link.clone();
    forged.replace_range(..1, if link.starts_with('A') { "B" } else { "A" });
    assert!(matches!(house.set_password(&forged, PASSWORD), Err(AccountsError::LinkGone)));
    house.set_password(&link, PASSWORD).unwrap();
}

#[test]
fn a_password_that_is_not_taken_uses_no_link_up() {
    let mut house = House::new();
    let link = house.link();
    for refused in ["", "short", "aaaaaaaaaaaaaaaaaa"] {
        assert!(matches!(house.set_password(&link, refused), Err(AccountsError::Invalid(_))));
    }
    house.set_password(&link, PASSWORD).unwrap();
}

#[test]
fn a_link_that_another_program_makes_holds_in_the_one_that_runs() {
    let (mut house, owner) = House::with_owner();
    let unused = house.link();
    let other = house.again(cheap(1));
    let link = other.make_link(house.now, &mut house.rng).unwrap().secret;
    assert!(matches!(house.set_password(&unused, OTHER), Err(AccountsError::LinkGone)));
    let set = house.set_password(link.reveal(), OTHER).unwrap();
    assert_eq!(set.ended, [owner.session]);
    house.sign_in(OTHER, None).unwrap();
}

#[test]
fn a_link_ends_all_sessions_and_marks_and_leaves_api_keys() {
    let (mut house, owner) = House::with_owner();
    let key = house.key("backup").unwrap();
    let link = house.link();
    let set = house.set_password(&link, OTHER).unwrap();
    for _ in 0..2 {
        assert!(!house.is_signed_in(&owner.token) && house.is_signed_in(&set.token));
        assert_eq!(house.accounts.sessions(house.now).len(), 1);
        assert!(house.accounts.key(key.secret.reveal(), house.now).is_some());
        house.restart();
    }
    // Whoever has the older mark is a stranger, whose tries are soon used up; the newer one is a pace of its own.
    while !matches!(house.sign_in_with("wrong", &owner.mark), Err(AccountsError::TooFast { .. })) {}
    house.sign_in_with(OTHER, &set.mark).unwrap();
    assert!(matches!(house.sign_in_with(OTHER, &owner.mark), Err(AccountsError::TooFast { .. })));
}

#[test]
fn of_two_who_use_a_link_at_once_one_sets_the_password() {
    for seed in 0..20 {
        let mut house = House::new();
        let link = house.link();
        let use_it = |password, seed| {
            let set = SetPassword { link: &link, password, visit: visit(None) };
            house.accounts.set_password(set, house.now, &mut StdRng::seed_from_u64(seed))
        };
        let [one, two] = std::thread::scope(|scope| {
            let one = scope.spawn(|| use_it(PASSWORD, 2 * seed));
            let two = scope.spawn(|| use_it(OTHER, 2 * seed + 1));
            [one, two].map(|thread| thread.join().unwrap())
        });
        let set = match (one, two) {
            (Ok(set), Err(AccountsError::LinkGone)) | (Err(AccountsError::LinkGone), Ok(set)) => set,
            other => panic!("{other:?}"),
        };
        assert!(house.is_signed_in(&set.token));
        let right = [PASSWORD, OTHER].map(|password| house.sign_in(password, None).is_ok());
        assert_eq!(right.iter().filter(|is| **is).count(), 1);
    }
}

#[test]
fn nothing_that_is_kept_gives_a_secret_back() {
    let (mut house, owner) = House::with_owner();
    let key = house.key("backup").unwrap();
    let link = house.link();
    house.accounts.keep(house.now).unwrap();
    assert!(house.is_on_disk(b"backup") && house.is_on_disk(owner.session.as_str().as_bytes()));
    let (_, secret_of_key) = key.secret.reveal().split_at(key.key.id.as_str().len() + 1);
    let token = owner.token.reveal();
    for secret in [PASSWORD, &link, &token, &owner.token.csrf(), owner.mark.reveal(), secret_of_key] {
        assert!(!house.is_on_disk(secret.as_bytes()), "{secret}");
    }
    for secret in [link.as_str(), &token, secret_of_key] {
        let secret = crate::secret::Secret::parse(secret).unwrap();
        assert!(house.is_on_disk(&secret.sha256()) && !house.is_on_disk(secret.bytes()));
    }
    let told = format!("{owner:?} {key:?}");
    assert!(!told.contains(&token) && !told.contains(secret_of_key), "{told}");
}
