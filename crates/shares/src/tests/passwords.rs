use reelroom_limits::shares::{
    SHARE_TRIES_BURST, SHARE_TRIES_BURST_ADDRESS, SHARE_TRY_EVERY, SHARE_TRY_EVERY_ADDRESS,
};

use super::*;

const PASSWORD: &str = "open sesame";
const HERE: Option<&str> = Some("192.0.2.1");

fn locked() -> NewShare<'static> {
    NewShare { password: Some(PASSWORD), ..plain() }
}

fn address(number: u32) -> String {
    format!("198.51.{}.{}", number / 256, number % 256)
}

#[test]
fn a_link_with_a_password_is_for_those_who_know_both() {
    let mut house = House::new();
    let made = house.make(locked()).unwrap();
    assert!(made.share.has_password && !house.is_on_disk(PASSWORD));
    assert!(matches!(house.begin(&made), Err(SharesError::PasswordNeeded)));
    assert!(matches!(house.begin_from(&made, Some("a guess"), HERE), Err(SharesError::Wrong)));
    assert!(matches!(house.begin_from(&made, Some(""), HERE), Err(SharesError::Wrong)));
    house.begin_from(&made, Some(PASSWORD), HERE).unwrap();
    let other = house.make(plain()).unwrap();
    house.begin_from(&other, Some("whatever they say"), HERE).unwrap();
    assert_eq!(house.views(&made).count, 1, "nobody has watched who was refused");
}

#[test]
fn an_address_that_guesses_waits_and_nobody_else_does() {
    let mut house = House::new();
    let (made, other) = (house.make(locked()).unwrap(), house.make(locked()).unwrap());
    for _ in 0..SHARE_TRIES_BURST_ADDRESS {
        assert!(matches!(house.begin_from(&made, Some("a guess"), HERE), Err(SharesError::Wrong)));
    }
    let Err(SharesError::WrongTooOften { wait }) = house.begin_from(&made, Some(PASSWORD), HERE) else {
        panic!("the right password too has to wait, or else guessing would go on");
    };
    assert!(wait <= SHARE_TRY_EVERY_ADDRESS);
    assert!(matches!(house.begin(&made), Err(SharesError::PasswordNeeded)), "to be asked is no try");
    house.begin_from(&made, Some(PASSWORD), Some("192.0.2.2")).unwrap();
    house.begin_from(&other, Some(PASSWORD), HERE).unwrap();
    house.pass(wait + SECOND);
    house.begin_from(&made, Some(PASSWORD), HERE).unwrap();
}

#[test]
fn many_addresses_do_not_guess_without_end_and_cost_no_other_link() {
    let mut house = House::new();
    let (made, other) = (house.make(locked()).unwrap(), house.make(locked()).unwrap());
    let begun = house.begin_from(&made, Some(PASSWORD), HERE).unwrap();
    for number in 0..SHARE_TRIES_BURST {
        let told = house.begin_from(&made, Some("a guess"), Some(&address(number)));
        assert!(matches!(told, Err(SharesError::Wrong)), "{number}");
    }
    let told = house.begin_from(&made, Some("a guess"), Some("192.0.2.9"));
    assert!(matches!(told, Err(SharesError::WrongTooOften { .. })));
    assert!(house.viewing(&begun).is_some(), "whoever watches goes on");
    house.begin_from(&other, Some(PASSWORD), None).unwrap();
    house.pass(SHARE_TRY_EVERY + SECOND);
    house.begin_from(&made, Some(PASSWORD), None).unwrap();
}

#[test]
fn the_right_password_uses_nothing_up() {
    let mut house = House::new();
    let made = house.make(locked()).unwrap();
    for number in 0..2 * SHARE_TRIES_BURST {
        house.begin_from(&made, Some(PASSWORD), Some("192.0.2.3")).map(drop).unwrap_or_else(|error| {
            panic!("{number}: {error}");
        });
        house.pass(2 * SECOND);
    }
}
