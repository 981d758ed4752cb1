use reelroom_limits::accounts::{LINK_PASSWORD_CHARACTERS, PASSWORD_BYTES};

use super::*;

#[test]
fn the_password_of_a_link_is_kept_as_the_owners_is_and_opens_nothing_of_theirs() {
    let (mut house, _) = House::with_owner();
    let kept = house.accounts.new_link_password("open sesame", &mut house.rng).unwrap();
    assert!(kept.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", kept.as_str());
    let again = LinkPassword::from(kept.as_str().to_owned());
    let is = |said: &str| house.accounts.is_link_password(&again, said).unwrap();
    assert!(is("open sesame") && !is("open sesam") && !is("") && !is(&"a".repeat(PASSWORD_BYTES + 1)));
    assert!(matches!(house.sign_in("open sesame", None), Err(AccountsError::Wrong)));
}

#[test]
fn the_password_of_a_link_is_neither_short_nor_without_end() {
    let mut house = House::new();
    let short = "ä".repeat(LINK_PASSWORD_CHARACTERS - 1);
    for refused in ["", &short, &"a".repeat(PASSWORD_BYTES + 1)] {
        let told = house.accounts.new_link_password(refused, &mut house.rng).map(drop).unwrap_err();
        assert!(matches!(told, AccountsError::Invalid(_)), "{told}");
    }
    house.accounts.new_link_password(&format!("{short}ä"), &mut house.rng).unwrap();
}
