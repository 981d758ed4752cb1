//! What is deleted by itself, and what is not, in virtual time.

use std::time::{Duration, Instant};

use axum::http::Method;
use reelroom_accounts::Now;
use reelroom_protocol::proto::{EgressStatus, FileInfo};
use reelroom_rooms::{Change, Keep, NewRoom, RetentionClock, Role, Settings};
use serde_json::{Value, json};

use super::rounds::Rounds;
use super::*;
use crate::shares;
use crate::tests::house::{House, Shows, owned};

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
/// When the recordings of the house are said to have ended, and before that its rooms were made.
const ENDED: i64 = 1_800_000_000_000;
const MADE: i64 = ENDED - DAY;

/// The program, on a machine with a clock.
struct Machine {
    rounds: Rounds,
    booted: Instant,
    ran_ms: i64,
    clock_ms: i64,
}

impl Machine {
    /// It has run for a day since its first start, and its clock is believed.
    async fn new(house: &House, clock_ms: i64) -> Self {
        let (rounds, booted) = (Rounds::default(), Instant::now());
        let mut machine = Self { rounds, booted, ran_ms: 0, clock_ms: clock_ms - DAY };
        machine.pass(house, 0).await;
        machine.pass(house, DAY).await;
        machine
    }

    /// Lets so much time pass, and looks; gives when to look again.
    async fn pass(&mut self, house: &House, ms: i64) -> Duration {
        self.ran_ms += ms;
        self.clock_ms += ms;
        let at = self.booted + Duration::from_millis(self.ran_ms.unsigned_abs());
        self.rounds.look(&house.app, Now { at, unix_ms: self.clock_ms }).await
    }
}

impl House {
    /// Makes a room, for whose recordings so much is set.
    fn room(&self, name: &str, keep_days: Option<u32>) {
        let settings = Settings { keep_days, ..Settings::default() };
        let new = NewRoom { name, settings, expires_ms: None };
        self.app.rooms().make(new, MADE, &mut rand::rng()).unwrap();
    }

    /// Has the recorder say that a recording of the house ended then.
    async fn ended(&self, room: &str, ended_ms: i64) {
        let info = EgressInfo {
            egress_id: format!("EG_{room}"),
            room_name: room.into(),
            started_at: (ended_ms - 1000) * 1_000_000,
            ended_at: ended_ms * 1_000_000,
            status: EgressStatus::EgressComplete.into(),
            file_results: vec![FileInfo {
                filename: format!("recordings/{room}.mp4"),
                ..FileInfo::default()
            }],
            ..EgressInfo::default()
        };
        self.app.learn(&info).await.unwrap();
    }

    async fn listed(&self) -> Value {
        let owner = Shows::of(&self.signed_in());
        let (status, mut list) =
            self.answer(&Method::GET, "/recordings?sort=roomName", &owner, &json!({})).await;
        assert_eq!(status, 200, "{list}");
        list["recordings"].take()
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.listed().await;
        let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(name).collect()
    }

    fn noted(&self, name: &str) -> bool {
        let id = format!("EG_{}", name.trim_end_matches(".mp4"));
        !self.truth().room_recordings(&[(name.to_owned(), id)]).unwrap().is_empty()
    }
}

/// A house with a room that keeps its recordings for ten days, one that does so until somebody deletes them, and a recording of each.
async fn house(access: Access) -> House {
    let house = owned(access).await;
    house.room("own", Some(10));
    house.room("other", None);
    house.ended("own", ENDED).await;
    house.ended("other", ENDED).await;
    house
}

#[tokio::test]
async fn what_is_older_than_its_room_keeps_it_goes_with_its_links_and_the_list_says_when_beforehand() {
    let house = house(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let shares = "/recordings/own.mp4/shares";
    assert_eq!(house.status(&Method::POST, shares, &owner, &json!({})).await, 200);
    let listed = house.listed().await;
    assert_eq!(listed[0].get("keptUntil"), None, "{listed}");
    assert_eq!(listed[1]["keptUntil"], json!(ENDED + 10 * DAY), "{listed}");

    let mut machine = Machine::new(&house, ENDED + 10 * DAY - 1).await;
    assert_eq!(house.names().await, ["other.mp4", "own.mp4"]);
    machine.pass(&house, 1).await;
    assert_eq!(house.names().await, ["other.mp4"]);
    assert_eq!(house.status(&Method::GET, "/recordings/own.mp4", &owner, &json!({})).await, 404);
    assert!(house.app.shares().of_recording("own.mp4").is_empty() && !house.noted("own.mp4"));
    assert!(!house.path("store/recordings/own.mp4").exists());
    machine.pass(&house, 1000 * DAY).await;
    assert_eq!((house.names().await, house.noted("other.mp4")), (vec!["other.mp4".to_owned()], true));
    assert_eq!(house.app.retention().warning(), None);
}

#[tokio::test]
async fn a_program_that_was_just_started_deletes_nothing() {
    let house = house(Access::Invite).await;
    let clock = RetentionClock { seen_ms: ENDED + 50 * DAY, doubted_ms: None };
    house.app.rooms().put_retention_clock(clock).unwrap();
    let (rounds, booted) = (Rounds::default(), Instant::now());
    let mut machine = Machine { rounds, booted, ran_ms: 0, clock_ms: ENDED + 50 * DAY };
    machine.pass(&house, 0).await;
    machine.pass(&house, HOUR - 1).await;
    assert_eq!(house.names().await.len(), 2);
    machine.pass(&house, 1).await;
    assert_eq!(house.names().await, ["other.mp4"]);
}

#[tokio::test]
async fn what_is_due_when_it_is_looked_for_the_first_time_is_seen_for_a_day_before_it_goes() {
    // As after access was open for months.
    let house = house(Access::Invite).await;
    let (rounds, booted) = (Rounds::default(), Instant::now());
    let mut machine = Machine { rounds, booted, ran_ms: 0, clock_ms: ENDED + 50 * DAY };
    machine.pass(&house, 0).await;
    machine.pass(&house, DAY - 1).await;
    assert_eq!(house.listed().await[1]["keptUntil"], json!(ENDED + 10 * DAY));
    let warning = house.app.retention().warning().unwrap();
    assert!(warning.contains("first time") && warning.contains("GMT"), "{warning}");
    machine.pass(&house, 1).await;
    assert_eq!((house.names().await, house.app.retention().warning()), (vec!["other.mp4".to_owned()], None));
}

#[tokio::test]
async fn what_somebody_keeps_in_the_moment_at_which_it_goes_stays_or_they_are_told_that_it_is_gone() {
    let house = house(Access::Invite).await;
    let mut machine = Machine::new(&house, ENDED + 10 * DAY - 1).await;
    let a_while = Duration::from_millis(200);
    let turn = house.app.retention().turn("own.mp4").await;
    {
        let mut round = std::pin::pin!(machine.pass(&house, 1));
        assert!(
            tokio::time::timeout(a_while, round.as_mut()).await.is_err(),
            "it waits for whoever keeps it"
        );
        assert!(house.app.rooms().keep_recording("own.mp4", "EG_own", true, ENDED).unwrap());
        drop(turn);
        round.await;
    }
    assert_eq!(house.names().await, ["other.mp4", "own.mp4"]);

    let (owner, keep) = (Shows::of(&house.signed_in()), json!({ "keep": true }));
    let turn = house.app.retention().turn("own.mp4").await;
    let mut keeping = std::pin::pin!(house.status(&Method::POST, "/recordings/own.mp4/keep", &owner, &keep));
    assert!(tokio::time::timeout(a_while, keeping.as_mut()).await.is_err(), "it waits for what deletes it");
    shares::delete_recording(&house.app, "own.mp4").await.unwrap();
    drop(turn);
    assert_eq!(keeping.await, 404);
}

#[tokio::test]
async fn a_store_that_fails_is_told_of_and_asked_again_more_and_more_seldom() {
    let house = house(Access::Invite).await;
    let (store, away) = (house.path("store"), house.path("away"));
    std::fs::rename(&store, &away).unwrap();
    let mut machine = Machine::new(&house, ENDED + 10 * DAY).await;
    let warning = house.app.retention().warning().unwrap();
    assert!(warning.contains("due to be deleted"), "{warning}");
    let pauses = [machine.pass(&house, HOUR).await, machine.pass(&house, HOUR).await];
    assert_eq!(pauses.map(|pause| pause.as_secs()), [4 * 60, 8 * 60]);
    for _ in 0..10 {
        machine.pass(&house, HOUR).await;
    }
    assert_eq!(machine.pass(&house, HOUR).await.as_secs(), 60 * 60);
    assert!(house.noted("own.mp4"));
    std::fs::rename(&away, &store).unwrap();
    assert_eq!(machine.pass(&house, HOUR).await.as_secs(), 60);
    assert_eq!((house.names().await, house.app.retention().warning()), (vec!["other.mp4".to_owned()], None));
}

#[tokio::test]
async fn one_that_cannot_be_deleted_holds_up_no_other_and_is_tried_again() {
    let house = house(Access::Invite).await;
    house.app.rooms().change(&"other".into(), keep(3, MADE)).unwrap();
    // A link that leads out of the store is not followed.
    let (file, aside) = (house.path("store/recordings/other.mp4"), house.path("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink("/", &file).unwrap();
    let mut machine = Machine::new(&house, ENDED + 10 * DAY).await;
    assert!(!house.noted("own.mp4") && house.noted("other.mp4"));
    let warning = house.app.retention().warning().unwrap();
    assert!(warning.contains("other.mp4") && warning.contains("tried again"), "{warning}");
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    machine.pass(&house, HOUR / 2).await;
    assert!(house.noted("other.mp4"), "not at once");
    machine.pass(&house, DAY).await;
    assert!(!house.noted("other.mp4") && house.names().await.is_empty());
    assert_eq!(house.app.retention().warning(), None);
}

#[tokio::test]
async fn what_the_store_does_not_have_for_the_moment_is_not_forgotten() {
    let house = house(Access::Invite).await;
    assert_eq!(house.names().await.len(), 2);
    // As a disk that is not mounted.
    let (folder, away) = (house.path("store/recordings"), house.path("store/away"));
    std::fs::rename(&folder, &away).unwrap();
    let mut machine = Machine::new(&house, ENDED + 10 * DAY).await;
    machine.pass(&house, HOUR).await;
    assert!(house.noted("own.mp4"));
    std::fs::rename(&away, &folder).unwrap();
    machine.pass(&house, DAY).await;
    assert!(!house.noted("own.mp4") && !folder.join("own.mp4").exists());
    // Of what is away for a month nothing comes back.
    house.app.rooms().change(&"other".into(), keep(3, MADE)).unwrap();
    std::fs::rename(&folder, &away).unwrap();
    machine.pass(&house, 21 * DAY).await;
    assert!(house.noted("other.mp4"));
    machine.pass(&house, 3 * DAY).await;
    assert!(!house.noted("other.mp4") && away.join("other.mp4").exists());
}

#[tokio::test]
async fn a_clock_that_jumps_deletes_nothing_within_a_day_and_says_what_it_would() {
    let house = house(Access::Invite).await;
    let mut machine = Machine::new(&house, ENDED + DAY).await;
    machine.clock_ms += 3650 * DAY;
    machine.pass(&house, 0).await;
    machine.pass(&house, DAY - 1).await;
    let warning = house.app.retention().warning().unwrap();
    assert!(warning.contains("clock") && warning.contains("GMT"), "{warning}");
    assert_eq!(house.names().await.len(), 2);
    // Another start knows of it.
    let mut again = Machine { rounds: Rounds::default(), booted: Instant::now(), ran_ms: 0, ..machine };
    again.clock_ms -= 2 * HOUR;
    again.pass(&house, 0).await;
    again.pass(&house, HOUR + HOUR / 2).await;
    assert_eq!(house.names().await.len(), 2);
    again.pass(&house, HOUR).await;
    assert_eq!((house.names().await, house.app.retention().warning()), (vec!["other.mp4".to_owned()], None));
}

#[tokio::test]
async fn another_recording_that_has_the_name_or_says_to_be_of_the_room_stays() {
    let house = house(Access::Invite).await;
    // The one before was deleted, and its name is another one's.
    let (mut other, id) = (reelroom_truth_row("own.mp4"), "EG_before");
    other.id = id.into();
    house.truth().add_room_recording(&other).unwrap();
    house.truth().forget_room_recording("own.mp4", Some("EG_own")).unwrap();
    let mut machine = Machine::new(&house, ENDED + 20 * DAY).await;
    machine.pass(&house, 100 * DAY).await;
    assert_eq!(house.names().await, ["other.mp4", "own.mp4"]);
    assert_eq!(house.listed().await[1].get("keptUntil"), None);
    assert!(house.truth().room_recordings(&[("own.mp4".into(), id.into())]).unwrap().is_empty());
}

fn reelroom_truth_row(name: &str) -> reelroom_truth::RoomRecording {
    reelroom_truth::RoomRecording {
        name: name.into(),
        id: String::new(),
        room: "own".into(),
        ended_ms: ENDED,
        kept_ms: None,
        let_go_ms: 0,
        again_ms: 0,
    }
}

#[tokio::test]
async fn where_access_is_open_or_the_room_is_deleted_recordings_stay() {
    let open = house(Access::Open).await;
    let mut machine = Machine::new(&open, ENDED + 20 * DAY).await;
    machine.pass(&open, DAY).await;
    let listed = open.listed().await;
    assert_eq!((open.names().await.len(), listed[1].get("keptUntil")), (2, None));

    let closed = house(Access::Invite).await;
    closed.app.rooms().close(&"own".into(), ENDED + DAY).unwrap();
    closed.ended("own", ENDED + 2 * DAY).await;
    let mut machine = Machine::new(&closed, ENDED + 20 * DAY).await;
    machine.pass(&closed, DAY).await;
    assert_eq!(closed.names().await, ["other.mp4", "own.mp4"]);
}

#[tokio::test]
async fn a_recording_is_kept_for_good_by_those_who_may_delete_it() {
    let house = owned(Access::Invite).await;
    let settings = Settings {
        keep_days: Some(10),
        hosts: reelroom_access::Rights::of(&[reelroom_access::Right::Delete]),
        ..Settings::default()
    };
    let new = NewRoom { name: "own", settings, expires_ms: None };
    let room = house.app.rooms().make(new, MADE, &mut rand::rng()).unwrap();
    house.ended("own", ENDED).await;
    let by = |role| {
        let link = room.links.iter().find(|link| link.role == role).unwrap();
        Shows { link: Some(link.secret.as_ref().unwrap().reveal().to_owned()), ..Shows::default() }
    };
    let (host, guest) = (by(Role::Host), by(Role::Guest));
    let owner = Shows::of(&house.signed_in());
    let (keep, let_go) = (json!({ "keep": true }), json!({ "keep": false }));
    for (shows, name, said, status) in [
        (&guest, "own.mp4", &keep, 403),
        (&Shows::default(), "own.mp4", &keep, 401),
        (&host, "other.mp4", &keep, 403),
        (&host, "own.mp4", &json!({}), 400),
        (&owner, "no.mp4", &keep, 404),
        (&owner, "other.mp4", &keep, 409),
        (&host, "own.mp4", &keep, 200),
        (&host, "own.mp4", &keep, 200),
    ] {
        let path = format!("/recordings/{name}/keep");
        let (got, answer) = house.answer(&Method::POST, &path, shows, said).await;
        assert_eq!(got, status, "{name} {said}: {answer}");
    }
    let listed = house.listed().await;
    assert_eq!((&listed[1]["kept"], listed[1].get("keptUntil")), (&json!(true), None), "{listed}");
    let mut machine = Machine::new(&house, ENDED + 50 * DAY).await;
    machine.pass(&house, DAY).await;
    assert_eq!(house.names().await.len(), 2);
    assert_eq!(house.status(&Method::POST, "/recordings/own.mp4/keep", &host, &let_go).await, 200);
    let until_ms = house.listed().await[1]["keptUntil"].as_i64().unwrap();
    let now_ms = clock::now().unix_ms;
    assert!(until_ms >= now_ms + DAY - HOUR, "a day to take it back: {until_ms} at {now_ms}");
}

#[tokio::test]
async fn whoever_sets_a_time_is_told_what_it_deletes_before_they_do() {
    let house = house(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let now_ms = clock::now().unix_ms;
    let new = NewRoom { name: "now", settings: Settings::default(), expires_ms: None };
    house.app.rooms().make(new, now_ms - 9 * DAY, &mut rand::rng()).unwrap();
    house.record("now", 100).await;
    house.ended("now", now_ms - 5 * DAY).await;
    let ask = async |path: &str| house.answer(&Method::GET, path, &owner, &json!({})).await;
    let (status, told) = ask("/rooms/now/retention").await;
    assert_eq!((status, told), (200, json!({ "deletes": 0, "first": [] })));
    let (_, told) = ask("/rooms/now/retention?keepDays=7").await;
    assert_eq!((&told["deletes"], &told["keepDays"]), (&json!(0), &json!(7)));
    let (_, told) = ask("/rooms/now/retention?keepDays=6").await;
    assert_eq!(told["deletes"], 1, "it is six days old when a day has passed: {told}");
    assert_eq!(told["first"], json!([{ "name": "now.mp4", "endedAt": now_ms - 5 * DAY }]));
    assert!(told["deletesFrom"].as_i64().unwrap() >= now_ms + DAY, "{told}");
    for (path, expected) in
        [("/rooms/now/retention?keepDays=9999", 400), ("/rooms/no/retention?keepDays=1", 404)]
    {
        assert_eq!(ask(path).await.0, expected, "{path}");
    }
    let change = json!({ "keepDays": 6 });
    assert_eq!(house.status(&Method::PATCH, "/rooms/now", &owner, &change).await, 200);
    let listed = house.listed().await;
    assert!(listed[0]["keptUntil"].as_i64().unwrap() >= now_ms + DAY, "{listed}");
    let mut machine = Machine::new(&house, now_ms + HOUR).await;
    machine.pass(&house, DAY - 2 * HOUR).await;
    assert!(house.noted("now.mp4"));
    machine.pass(&house, 2 * HOUR).await;
    assert!(!house.noted("now.mp4"));
}

fn keep(days: u32, now_ms: i64) -> Change {
    Change { keep: Some(Keep { days: Some(days), now_ms }), ..Change::default() }
}

#[tokio::test]
async fn a_note_that_the_disk_does_not_take_is_made_later() {
    let house = owned(Access::Invite).await;
    house.room("own", Some(10));
    let recorded = Recorded {
        name: "own.mp4".into(),
        id: "EG_own".into(),
        room: "own".into(),
        started_ms: ENDED - HOUR,
        ended_ms: ENDED,
    };
    for _ in 0..RETENTION_UNNOTED + 5 {
        house.app.retention().unnoted.lock().unwrap().push_back(recorded.clone());
    }
    assert!(!house.noted("own.mp4"));
    Machine::new(&house, ENDED).await;
    assert!(house.noted("own.mp4") && house.app.retention().unnoted.lock().unwrap().is_empty());
}
