//! For how long recordings are kept, in virtual time.

use reelroom_limits::rooms::KEEP_DAYS;

use super::*;

const DAY: i64 = 24 * HOUR;

fn keep(days: Option<u32>, now_ms: i64) -> Change {
    Change { keep: Some(Keep { days, now_ms }), ..Change::default() }
}

fn recorded(room: &str, name: &str, ended_ms: i64) -> Recorded {
    Recorded {
        name: name.into(),
        id: format!("EG_{name}"),
        room: room.into(),
        started_ms: ended_ms - HOUR,
        ended_ms,
    }
}

fn due(rooms: &Rooms, now_ms: i64) -> Vec<String> {
    rooms.due(now_ms, 10).unwrap().into_iter().map(|due| due.name).collect()
}

fn fate(rooms: &Rooms, name: &str) -> Option<Fate> {
    rooms.fates(&[(name.into(), format!("EG_{name}"))]).unwrap().remove(name)
}

/// A room that keeps its recordings for ten days since [`NOW`], and has one from an hour later and one from a day later.
fn house() -> House {
    let mut house = House::new();
    house.make("own").unwrap();
    house.rooms.change(&"own".into(), keep(Some(10), NOW)).unwrap();
    for (name, after_ms) in [("b", DAY), ("a", HOUR)] {
        assert!(house.rooms.recorded(&recorded("own", name, NOW + after_ms)).unwrap());
    }
    house
}

#[test]
fn a_recording_is_due_when_its_time_is_over_and_the_list_says_the_same_beforehand() {
    for days in [1, 2, 10, KEEP_DAYS] {
        for since_ms in [0, NOW - DAY, NOW, NOW + DAY] {
            for (ended_ms, let_go_ms) in [(NOW, None), (NOW - 5 * DAY, Some(NOW)), (0, Some(NOW + DAY))] {
                let retention = Retention { days, since_ms };
                let until_ms = retention.kept_until_ms(ended_ms, let_go_ms);
                assert!(until_ms >= ended_ms + i64::from(days) * DAY && until_ms >= since_ms + DAY);
                assert!(let_go_ms.is_none_or(|at_ms| until_ms >= at_ms + DAY));
            }
        }
    }
    let house = house();
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        let until_ms = NOW + HOUR + 10 * DAY;
        assert_eq!(fate(rooms, "a"), Some(Fate::KeptUntil(until_ms)));
        assert!(due(rooms, until_ms - 1).is_empty());
        assert_eq!(due(rooms, until_ms), ["a"]);
        assert_eq!(due(rooms, NOW + 11 * DAY), ["a", "b"]);
        assert_eq!(rooms.due(NOW + 11 * DAY, 1).unwrap().len(), 1, "so many at once");
    }
}

#[test]
fn a_shorter_time_deletes_nothing_within_a_day_and_is_taken_back_at_once() {
    let house = house();
    let at_ms = NOW + 9 * DAY;
    let preview = house.rooms.preview(&"own".into(), 3, at_ms, 1).unwrap();
    assert_eq!((preview.from_ms, preview.count, preview.first[0].name.as_str()), (at_ms + DAY, 2, "a"));
    assert_eq!(house.rooms.preview(&"own".into(), 11, at_ms, 9).unwrap().count, 0, "longer than before");
    assert!(matches!(house.rooms.preview(&"own".into(), 0, at_ms, 9), Err(RoomsError::Invalid(_))));
    assert!(matches!(house.rooms.preview(&"no".into(), 1, at_ms, 9), Err(RoomsError::Unknown)));

    house.rooms.change(&"own".into(), keep(Some(3), at_ms)).unwrap();
    assert!(due(&house.rooms, at_ms + DAY - 1).is_empty());
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert_eq!(due(rooms, at_ms + DAY), ["a", "b"]);
        assert_eq!(fate(rooms, "a"), Some(Fate::KeptUntil(at_ms + DAY)));
    }
    // Saying it again, or something else, begins no other day.
    house.rooms.change(&"own".into(), keep(Some(3), at_ms + HOUR)).unwrap();
    house.rooms.change(&"own".into(), Change { people: Some(Some(2)), ..Change::default() }).unwrap();
    assert_eq!(due(&house.rooms, at_ms + DAY), ["a", "b"]);
    let first = house.rooms.due(at_ms + DAY, 1).unwrap().remove(0);
    assert!(house.rooms.is_due(&first, at_ms + DAY).unwrap());
    house.fill_disk();
    assert!(house.rooms.change(&"own".into(), keep(None, at_ms + HOUR)).is_err());
    assert!(due(&house.rooms, at_ms + DAY).is_empty(), "it holds although the disk takes nothing");
    assert!(!house.rooms.is_due(&first, at_ms + DAY).unwrap());
    house.free_disk();
    house.rooms.change(&"own".into(), keep(None, at_ms + HOUR)).unwrap();
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert!(due(rooms, i64::MAX).is_empty() && fate(rooms, "a").is_none() && !rooms.has_retention());
    }
    house.rooms.change(&"own".into(), keep(Some(3), at_ms + 2 * DAY)).unwrap();
    assert!(due(&house.rooms, at_ms + 3 * DAY - 1).is_empty(), "a day again");
}

#[test]
fn what_is_kept_for_good_stays_and_goes_a_day_after_it_was_let_go_at_the_earliest() {
    let house = house();
    let at_ms = NOW + 20 * DAY;
    assert!(house.rooms.keep_recording("a", "EG_a", true, NOW).unwrap());
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert_eq!((fate(rooms, "a"), due(rooms, at_ms)), (Some(Fate::KeptForGood), vec!["b".to_owned()]));
    }
    assert!(house.rooms.keep_recording("a", "EG_a", false, at_ms).unwrap());
    assert_eq!(fate(&house.rooms, "a"), Some(Fate::KeptUntil(at_ms + DAY)));
    assert_eq!(due(&house.rooms, at_ms + DAY - 1), ["b"]);
    assert_eq!(due(&house.rooms, at_ms + DAY), ["a", "b"]);
    assert!(!house.rooms.keep_recording("a", "EG_other", true, at_ms).unwrap(), "another one of that name");
    assert!(!house.rooms.keep_recording("c", "EG_c", true, at_ms).unwrap());
}

#[test]
fn what_is_of_no_room_or_of_before_it_or_of_one_that_is_closed_is_never_due() {
    let mut house = house();
    house.make("other").unwrap();
    let ever = NOW + 10_000 * DAY;
    assert!(!house.rooms.recorded(&recorded("nobody's", "c", NOW + DAY)).unwrap());
    assert!(!house.rooms.recorded(&recorded("own", "d", NOW)).unwrap(), "it began before the room was made");
    assert!(house.rooms.recorded(&recorded("other", "e", NOW + DAY)).unwrap());
    assert_eq!(due(&house.rooms, ever), ["a", "b"], "the other room has no time for its recordings");
    assert!(fate(&house.rooms, "c").is_none() && fate(&house.rooms, "e").is_none());
    house.rooms.close(&"own".into(), NOW).unwrap();
    assert!(!house.rooms.recorded(&recorded("own", "f", NOW + DAY)).unwrap());
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert!(due(rooms, ever).is_empty() && fate(rooms, "a").is_none());
    }
}

#[test]
fn what_cannot_be_deleted_is_put_off_and_taken_up_when_the_clock_was_set_back() {
    let house = house();
    let at_ms = NOW + 20 * DAY;
    let first = house.rooms.due(at_ms, 1).unwrap().remove(0);
    house.rooms.put_off(&first, at_ms + HOUR).unwrap();
    assert_eq!(due(&house.rooms, at_ms), ["b"]);
    assert_eq!(due(&house.rooms, at_ms + HOUR), ["a", "b"]);
    house.rooms.put_off(&first, at_ms + 1000 * DAY).unwrap();
    house.rooms.take_up(at_ms + DAY).unwrap();
    assert_eq!(due(&house.rooms, at_ms), ["a", "b"]);
    house.rooms.forget_recording("a", None).unwrap();
    assert_eq!(due(&house.rooms, at_ms), ["b"]);
}

#[test]
fn a_setting_of_a_clock_that_was_set_back_begins_anew() {
    let house = house();
    house.rooms.change(&"own".into(), keep(Some(5), NOW + 5000 * DAY)).unwrap();
    assert!(due(&house.rooms, NOW + 100 * DAY).is_empty());
    house.rooms.change(&"own".into(), keep(Some(5), NOW + 99 * DAY)).unwrap();
    assert_eq!(due(&house.rooms, NOW + 100 * DAY), ["a", "b"]);
}
