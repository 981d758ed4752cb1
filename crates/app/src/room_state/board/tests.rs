use super::super::recorded::Stage;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn one(id: &str, stage: Stage) -> Recorded {
    let room_id = "RM_1".to_owned();
    Recorded { id: id.into(), room_id, stage, started_at_ms: 1, percent: None, error: None }
}

fn caught_up() -> (Board, Instant) {
    let mut board = Board::default();
    board.catch_up();
    (board, Instant::now())
}

/// What is due, as the rooms and how their recordings are.
fn due(board: &mut Board, now: Instant) -> Vec<(String, Vec<Stage>)> {
    let all = board.due(now, 100);
    all.into_iter()
        .map(|due| (due.room.into(), due.recordings.iter().map(|one| one.stage).collect()))
        .collect()
}

/// Tells whatever is due.
fn tell(board: &mut Board, found: Found, now: Instant) -> usize {
    let all = board.due(now, 100);
    for due in &all {
        board.told(due, found, now);
    }
    all.len()
}

#[test]
fn however_often_something_changes_a_room_is_told_once_what_holds_by_then() {
    let (mut board, now) = caught_up();
    for number in 0..1000 {
        let id = format!("EG_{}", number % 3);
        board.learn("a".into(), one(&id, Stage::Starting), now);
        board.learn("a".into(), one(&id, Stage::Recording), now);
    }
    assert_eq!(due(&mut board, now), [("a".to_owned(), vec![Stage::Recording; 3])]);
    assert_eq!(tell(&mut board, Found::Open, now), 1);
    assert_eq!(tell(&mut board, Found::Open, now), 0, "it knows everything");
}

#[test]
fn what_changes_while_a_room_is_told_is_told_after_that() {
    let (mut board, now) = caught_up();
    board.learn("a".into(), one("EG_1", Stage::Starting), now);
    let taken = board.due(now, 100);
    board.learn("a".into(), one("EG_1", Stage::Recording), now);
    board.delete("a".into(), "EG_0".into(), "0.mp4".into(), now);
    board.told(&taken[0], Found::Open, now);
    let next = board.due(now, 100);
    assert_eq!((next[0].recordings[0].stage, next[0].deletions.len()), (Stage::Recording, 1));
    board.told(&next[0], Found::Open, now);
    assert!(board.due(now, 100).is_empty());
}

#[test]
fn a_recording_never_goes_back() {
    let (mut board, now) = caught_up();
    for (stage, counts) in [
        (Stage::Recording, Stage::Recording),
        (Stage::Starting, Stage::Recording),
        (Stage::Complete, Stage::Complete),
        (Stage::Recording, Stage::Complete),
        (Stage::Finishing, Stage::Complete),
        (Stage::Complete, Stage::Complete),
    ] {
        board.learn("a".into(), one("EG_1", stage), now);
        assert_eq!(board.due(now, 1)[0].recordings[0].stage, counts);
    }
    tell(&mut board, Found::Open, now);
    board.learn("a".into(), one("EG_1", Stage::Recording), now);
    assert!(due(&mut board, now).is_empty(), "a webhook that comes twice says nothing");
}

#[test]
fn how_far_a_file_is_is_told_once_a_second_and_that_it_is_there_at_once() {
    let (mut board, now) = caught_up();
    let finishing = |percent| Recorded { percent: Some(percent), ..one("EG_1", Stage::Finishing) };
    board.learn("a".into(), finishing(1), now);
    assert_eq!(tell(&mut board, Found::Open, now), 1);
    board.learn("a".into(), finishing(2), now);
    board.learn("a".into(), finishing(3), now);
    assert!(due(&mut board, now).is_empty());
    assert_eq!(board.next_at(), Some(now + SECOND));
    assert_eq!(board.due(now + SECOND, 1)[0].recordings[0].percent, Some(3));
    board.learn("a".into(), one("EG_1", Stage::Complete), now);
    assert_eq!(due(&mut board, now).len(), 1);
}

#[test]
fn a_room_that_is_recorded_is_looked_at_from_time_to_time_and_one_that_is_not_is_forgotten() {
    let (mut board, now) = caught_up();
    board.learn("a".into(), one("EG_1", Stage::Recording), now);
    tell(&mut board, Found::Open, now);
    assert_eq!(board.next_at(), Some(now + ROOM_STATE_LOOKED));
    assert_eq!(board.live(), ["EG_1"]);
    board.learn("a".into(), one("EG_1", Stage::Complete), now);
    tell(&mut board, Found::Open, now);
    assert_eq!((board.next_at(), board.live().len(), board.places.len()), (None, 0, 1));
    assert!(board.due(now + ROOM_STATE_KEPT, 100).is_empty());
    assert!(board.places.is_empty());
    // One that was only looked at leaves nothing.
    board.look("b".into(), now);
    assert_eq!(tell(&mut board, Found::Open, now), 1);
    assert!(board.places.is_empty());
    // The server does not know it any more.
    board.learn("a".into(), one("EG_1", Stage::Recording), now);
    tell(&mut board, Found::Open, now);
    board.forget("EG_1", now);
    assert_eq!(due(&mut board, now), [("a".to_owned(), vec![])]);
}

#[test]
fn a_room_that_is_not_open_is_told_when_it_opens_and_looked_for_where_it_is_expected() {
    let (mut board, now) = caught_up();
    board.learn("a".into(), one("EG_1", Stage::Complete), now);
    board.delete("a".into(), "EG_0".into(), "0.mp4".into(), now);
    assert_eq!(tell(&mut board, Found::Closed, now), 1);
    assert_eq!(board.next_at(), None);
    board.opened("a", now);
    board.opened("unknown", now);
    let opened = board.due(now, 100);
    assert_eq!((opened.len(), opened[0].deletions.len()), (1, 0), "who comes then reads the list");
    tell(&mut board, Found::Open, now);

    board.expect("b".into(), now + SECOND, now);
    assert_eq!(tell(&mut board, Found::Closed, now), 1);
    assert_eq!(board.next_at(), Some(now + EXPECTED_EVERY));
    assert_eq!(tell(&mut board, Found::Closed, now + SECOND), 1);
    assert_eq!(board.next_at(), None, "nobody came");
    assert!(!board.places.contains_key("b"));
}

#[test]
fn one_that_cannot_be_told_lets_others_go_first() {
    let (mut board, now) = caught_up();
    board.look("a".into(), now);
    board.look("b".into(), now + SECOND);
    let later = now + 2 * SECOND;
    let first = board.due(later, 1);
    assert_eq!(first[0].room.as_str(), "a");
    assert_eq!(board.postpone(&first[0], later), 1);
    let second = board.due(later, 1);
    assert_eq!(second[0].room.as_str(), "b");
    board.told(&second[0], Found::Open, later);
    assert_eq!(board.next_at(), Some(later + SECOND));
    // What changes meanwhile is told with it, and each pause is longer.
    board.learn("a".into(), one("EG_1", Stage::Recording), later);
    assert_eq!(board.next_at(), Some(later + SECOND));
    let mut now = later + SECOND;
    for (times, seconds) in [(2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30)] {
        let again = board.due(now, 1);
        assert_eq!((again[0].recordings.len(), board.postpone(&again[0], now)), (1, times));
        assert_eq!(board.next_at(), Some(now + seconds * SECOND));
        now += seconds * SECOND;
    }
    // It opens anew, or is told: then changes are told at once.
    board.opened("a", now - SECOND);
    assert_eq!(board.next_at(), Some(now - SECOND));
    tell(&mut board, Found::Open, now);
    board.learn("a".into(), one("EG_1", Stage::Complete), now);
    assert_eq!(due(&mut board, now), [("a".to_owned(), vec![Stage::Complete])]);
}

#[test]
fn what_was_over_before_the_program_began_is_no_news_and_what_goes_on_is() {
    let (mut board, now) = (Board::default(), Instant::now());
    board.learn("over".into(), one("EG_1", Stage::Complete), now);
    board.learn("on".into(), one("EG_2", Stage::Recording), now);
    board.catch_up();
    assert_eq!(due(&mut board, now), [("on".to_owned(), vec![Stage::Recording])]);
    board.look("over".into(), now);
    assert!(
        due(&mut board, now).contains(&("over".to_owned(), vec![Stage::Complete])),
        "it is known all the same"
    );
}

#[test]
fn what_is_deleted_is_told_and_how_one_ended_of_which_nothing_came_stays() {
    let (mut board, now) = caught_up();
    board.learn("a".into(), one("EG_1", Stage::Complete), now);
    board.learn("a".into(), one("EG_2", Stage::Nothing), now);
    for id in ["EG_1", "EG_2"] {
        board.delete("a".into(), id.into(), format!("{id}.mp4"), now);
    }
    let taken = board.due(now, 1).remove(0);
    assert_eq!(taken.recordings.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["EG_2"]);
    assert_eq!(
        taken.deletions.iter().map(|gone| gone.name.as_str()).collect::<Vec<_>>(),
        ["EG_1.mp4", "EG_2.mp4"]
    );
}

#[test]
fn what_waits_is_bounded_for_each_room_and_for_all() {
    let (mut board, now) = caught_up();
    for number in 0..DELETIONS_TOLD + 5 {
        board.delete("a".into(), format!("EG_{number}"), format!("{number}.mp4"), now);
        board.learn("a".into(), one(&format!("EG_{number}"), Stage::Recording), now);
    }
    let taken = board.due(now, 1).remove(0);
    assert_eq!((taken.deletions.len(), taken.recordings.len()), (DELETIONS_TOLD, RECORDINGS_OF_A_ROOM_TOLD));
    assert_eq!(taken.deletions[0].name, "5.mp4", "the newest are told");
    // The oldest went while they were told: nothing is told twice or left out.
    board.delete("a".into(), "EG_x".into(), "x.mp4".into(), now);
    board.told(&taken, Found::Open, now);
    assert_eq!(board.due(now, 1)[0].deletions.len(), 1);

    for number in 0..ROOMS_TOLD {
        board.learn(format!("{number}").into(), one(&format!("{number}"), Stage::Complete), now);
    }
    assert_eq!(board.places.len(), ROOMS_TOLD);
    assert!(board.places.contains_key("a"), "one that is recorded stays");
}

#[test]
fn rooms_that_tokens_are_asked_for_take_no_place_of_one_with_news() {
    let (mut board, now) = caught_up();
    board.learn("news".into(), one("EG_1", Stage::Complete), now);
    board.delete("gone".into(), "EG_0".into(), "0.mp4".into(), now);
    for number in 0..2 * ROOMS_TOLD {
        board.look(format!("{number}").into(), now + SECOND);
    }
    assert_eq!(board.places.len(), ROOMS_TOLD);
    assert!(board.places.contains_key("news") && board.places.contains_key("gone"));
}
