use reelroom_limits::shares::{
    SHARE_VIEWS_LISTED, VIEW_EVERY_ADDRESS, VIEW_IDLE, VIEWS_BURST_ADDRESS, VIEWS_KEPT_EVERY,
    VIEWS_OF_A_SHARE,
};

use super::*;

#[test]
fn what_is_no_secret_and_no_ticket_opens_nothing() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let begun = house.begin(&made).unwrap();
    let now = house.now;
    for secret in
        ["", "x", &"A".repeat(43), &"ä".repeat(50_000), begun.ticket.reveal(), made.share.id.as_str()]
    {
        let begin = Begin { secret, password: None, asker: asker(None) };
        let told = house.shares.begin(begin, now, &mut house.rng).map(drop).unwrap_err();
        assert!(matches!(told, SharesError::Gone), "{told}");
        if secret != begun.ticket.reveal() {
            assert!(house.shares.viewing(secret, &made.share.id, now).is_none());
        }
    }
    assert!(house.shares.viewing(made.secret.reveal(), &made.share.id, now).is_none());
    let other = house.make(plain()).unwrap();
    assert!(house.shares.viewing(begun.ticket.reveal(), &other.share.id, now).is_none());
    assert!(house.viewing(&begun).is_some());
    assert!(!format!("{begun:?}").contains(begun.ticket.reveal()));
}

#[test]
fn the_log_says_who_watched_from_where_and_how_far() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let first = house.begin(&made).unwrap();
    let begun_ms = house.now.unix_ms;
    house.pass(SECOND);
    let second = house.begin_from(&made, None, None).unwrap();
    first.viewing.sent(0..1000, house.now);
    first.viewing.sent(1000..3000, house.now);
    first.viewing.sent(0..500, house.now);
    house.pass(SECOND);
    let views = house.views(&made);
    assert_eq!(views.count, 2);
    let [newest, oldest] = views.listed.as_slice() else { panic!("{views:?}") };
    assert_eq!((&newest.id, newest.address, newest.reached_bytes), (&second.viewing.view, None, 0));
    assert_eq!(
        *oldest,
        View {
            id: first.viewing.view.clone(),
            begun_ms,
            seen_ms: begun_ms + 1000,
            address: Some("192.0.2.1".parse().unwrap()),
            sent_bytes: 3500,
            reached_bytes: 3000,
        }
    );
    let share = &house.listed()[0];
    assert_eq!((share.views, share.viewed_ms, share.watching), (2, Some(begun_ms + 1000), 2));
    // What was asked for is written down, and what came since is lost with a program that is killed.
    second.viewing.sent(0..7, house.now);
    house.restart();
    assert_eq!(house.views(&made), views);
    assert_eq!((house.listed()[0].views, house.listed()[0].watching), (2, 0));
}

#[test]
fn how_far_somebody_came_is_written_down_now_and_then_and_when_it_ends() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let begun = house.begin(&made).unwrap();
    house.shares.keep(house.now).unwrap();
    begun.viewing.sent(0..9, house.now);
    let written = |house: &House| {
        let rows = Truth::open(&house.file()).unwrap().share_views(made.share.id.as_str()).unwrap();
        rows[0].reached_bytes
    };
    house.pass(VIEWS_KEPT_EVERY - SECOND);
    house.shares.keep(house.now).unwrap();
    assert_eq!(written(&house), 0, "nobody waits for a disk to be watched");
    house.pass(SECOND);
    house.shares.keep(house.now).unwrap();
    assert_eq!(written(&house), 9);
    house.revoke(&made).unwrap();
    // An answer was under way in that moment.
    begun.viewing.sent(9..12, house.now);
    house.shares.write_down(house.now).unwrap();
    assert_eq!(written(&house), 12);
    begun.viewing.sent(12..13, house.now);
    drop(begun);
    house.shares.write_down(house.now).unwrap();
    assert_eq!(written(&house), 13);
}

#[test]
fn a_view_is_on_the_disk_before_anybody_watches() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let stuck = house.stuck();
    assert!(matches!(house.begin(&made), Err(SharesError::Truth(_))));
    assert_eq!((house.listed()[0].views, house.listed()[0].watching), (0, 0));
    stuck.execute_batch("ROLLBACK").unwrap();
    house.begin(&made).unwrap();
    house.restart();
    assert_eq!(house.views(&made).listed.len(), 1);
}

#[test]
fn a_view_goes_on_as_long_as_something_is_done_in_it() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    let (asks, is_sent, nothing) =
        (house.begin(&made).unwrap(), house.begin(&made).unwrap(), house.begin(&made).unwrap());
    for _ in 0..3 {
        house.pass(VIEW_IDLE - SECOND);
        assert!(house.viewing(&asks).is_some());
        is_sent.viewing.sent(0..1, house.now);
    }
    assert!(house.viewing(&is_sent).is_some() && house.viewing(&nothing).is_none());
    house.shares.keep(house.now).unwrap();
    assert_eq!(house.listed()[0].watching, 2);
    house.restart();
    assert!(house.viewing(&asks).is_none(), "a ticket is kept nowhere");
    house.begin(&made).unwrap();
}

#[test]
fn the_one_who_was_seen_longest_ago_makes_room_and_no_other_link_is_touched() {
    let mut house = House::new();
    let (made, other) = (house.make(plain()).unwrap(), house.make(plain()).unwrap());
    let elsewhere = house.begin(&other).unwrap();
    let first = house.begin_from(&made, None, None).unwrap();
    let second = house.begin_from(&made, None, None).unwrap();
    house.pass(SECOND);
    for _ in 2..VIEWS_OF_A_SHARE {
        house.begin_from(&made, None, None).unwrap();
    }
    assert!(house.viewing(&first).is_some());
    house.pass(SECOND);
    assert!(house.viewing(&second).is_some());
    let third = house.begin_from(&made, None, None).unwrap();
    // All but the second one were seen in the same moment: one of them is gone.
    assert_eq!(
        house.shares.of_recording(RECORDING).iter().map(|share| share.watching).max(),
        Some(VIEWS_OF_A_SHARE)
    );
    assert!(first.viewing.is_over(house.now) && house.viewing(&first).is_none(), "it was the first of these");
    assert!([&second, &third, &elsewhere].iter().all(|begun| house.viewing(begun).is_some()));
    let views = house.views(&made);
    assert_eq!(views.count, VIEWS_OF_A_SHARE as u64 + 1);
    assert_eq!(views.listed.len(), SHARE_VIEWS_LISTED, "older ones are counted alone");
}

#[test]
fn an_address_begins_views_at_its_pace_and_costs_others_nothing() {
    let mut house = House::new();
    let made = house.make(plain()).unwrap();
    for _ in 0..VIEWS_BURST_ADDRESS {
        house.begin(&made).unwrap();
    }
    let Err(SharesError::TooFast { wait }) = house.begin(&made) else { panic!("they fill the log") };
    assert!(wait <= VIEW_EVERY_ADDRESS);
    house.begin_from(&made, None, Some("192.0.2.2")).unwrap();
    house.begin_from(&made, None, None).unwrap();
    house.pass(VIEW_EVERY_ADDRESS + SECOND);
    house.begin(&made).unwrap();
    assert_eq!(house.views(&made).count, u64::from(VIEWS_BURST_ADDRESS) + 3);
}
