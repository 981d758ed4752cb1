//! Rooms as their callers see them, in virtual time.

use std::path::PathBuf;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_access::{Caller, Right, Rights};
use reelroom_limits::rooms::{PASS_LASTS, ROOMS_KEPT};

use super::*;

mod retention;

const KEY: &[u8] = b"a key of the data folder";
const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 60 * 60 * 1000;

/// A data folder and the rooms in it.
struct House {
    folder: tempfile::TempDir,
    rooms: Rooms,
    rng: StdRng,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rooms = Rooms::open(Truth::open(&folder.path().join("truth.db")).unwrap(), KEY).unwrap();
        Self { folder, rooms, rng: StdRng::seed_from_u64(12) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("truth.db")
    }

    /// As after a start.
    fn reopened(&self, key: &[u8]) -> Rooms {
        Rooms::open(Truth::open(&self.file()).unwrap(), key).unwrap()
    }

    fn make(&mut self, name: &str) -> Result<Room, RoomsError> {
        let new = NewRoom { name, settings: Settings::default(), expires_ms: None };
        self.rooms.make(new, NOW, &mut self.rng)
    }

    fn renew(&mut self, name: &str, role: Role, expires_ms: Option<i64>) -> Result<Room, RoomsError> {
        let renewal = Renewal { room: &name.into(), role, expires_ms };
        self.rooms.renew(renewal, NOW, &mut self.rng)
    }

    /// Nothing can be written from now on.
    fn fill_disk(&self) {
        let db = rusqlite::Connection::open(self.file()).unwrap();
        db.execute_batch(
            "CREATE TRIGGER full_links BEFORE DELETE ON room_links BEGIN SELECT RAISE(ABORT, 'full'); END; \
             CREATE TRIGGER full_rooms BEFORE UPDATE ON rooms BEGIN SELECT RAISE(ABORT, 'full'); END; \
             CREATE TRIGGER full_new BEFORE INSERT ON rooms BEGIN SELECT RAISE(ABORT, 'full'); END;",
        )
        .unwrap();
    }

    fn free_disk(&self) {
        let db = rusqlite::Connection::open(self.file()).unwrap();
        db.execute_batch("DROP TRIGGER full_links; DROP TRIGGER full_rooms; DROP TRIGGER full_new;").unwrap();
    }
}

fn secret(room: &Room, role: Role) -> String {
    let link = room.links.iter().find(|link| link.role == role).unwrap();
    link.secret.as_ref().unwrap().reveal().to_owned()
}

/// Who comes by a secret.
fn caller(rooms: &Rooms, secret: &str, now_ms: i64) -> Option<Caller> {
    rooms.caller(&rooms.shown(secret, now_ms)?, now_ms)
}

fn guest(room: &str, granted: Rights) -> Caller {
    Caller::Guest { room: room.into(), granted }
}

#[test]
fn a_link_lets_its_bearer_into_its_room_as_what_it_is_for() {
    let mut house = House::new();
    let (own, other) = (house.make(" own ").unwrap(), house.make("other").unwrap());
    assert_eq!(own.name.as_str(), "own");
    let granted = Settings::default().guests;
    assert!(granted.has(Right::Chat) && !granted.has(Right::Record) && !granted.has(Right::List));
    let by = |room: &Room, role| caller(&house.rooms, &secret(room, role), NOW);
    assert_eq!(by(&own, Role::Guest), Some(guest("own", granted)));
    assert_eq!(by(&other, Role::Guest), Some(guest("other", granted)));
    assert_eq!(by(&own, Role::Host), Some(Caller::Host { room: "own".into(), granted: Rights::NONE }));
    let real = secret(&own, Role::Guest);
    let guesses =
        [String::new(), "A".repeat(43), real[1..].to_owned(), format!("{real}="), real.to_lowercase()];
    for guess in guesses {
        assert_eq!(house.rooms.shown(&guess, NOW), None, "{guess}");
    }
}

#[test]
fn a_link_is_shown_to_its_owner_again_and_the_database_alone_opens_nothing() {
    let mut house = House::new();
    let made = house.make("own").unwrap();
    let secret = secret(&made, Role::Guest);
    assert_eq!(house.reopened(KEY).room(&"own".into()).unwrap(), made);
    let bytes = ["truth.db", "truth.db-wal"].map(|name| std::fs::read(house.folder.path().join(name)));
    for bytes in bytes.into_iter().flatten() {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    // A copy of the database beside another key.
    let elsewhere = house.reopened(b"another key");
    let shown = elsewhere.room(&"own".into()).unwrap();
    assert!(shown.links.iter().all(|link| link.secret.is_none()), "{shown:?}");
    assert!(elsewhere.shown(&secret, NOW).is_some(), "a link that was sent goes on");
}

#[test]
fn a_link_that_is_renewed_revoked_or_expired_is_over_and_the_other_one_is_not() {
    let mut house = House::new();
    let first = house.make("own").unwrap();
    let second = house.renew("own", Role::Guest, Some(NOW + HOUR)).unwrap();
    let (host, old, new) =
        (secret(&first, Role::Host), secret(&first, Role::Guest), secret(&second, Role::Guest));
    assert_eq!(secret(&second, Role::Host), host);
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        let is_in = |secret: &str, now_ms| caller(rooms, secret, now_ms).is_some();
        assert!(!is_in(&old, NOW) && is_in(&new, NOW + HOUR - 1) && !is_in(&new, NOW + HOUR));
        assert!(is_in(&host, NOW + 1000 * HOUR));
        let expired = |after_ms, until_ms| rooms.expired_between(after_ms, until_ms).len();
        assert_eq!(expired(NOW, NOW + HOUR - 1), 0);
        assert_eq!(expired(NOW + HOUR - 1, NOW + HOUR), 1);
        assert_eq!(expired(NOW + HOUR, NOW + 2 * HOUR), 0);
    }
    let id = house.rooms.shown(&host, NOW).unwrap();
    let left = house.rooms.revoke(&"own".into(), Role::Host).unwrap();
    assert!(left.links.iter().all(|link| link.role == Role::Guest));
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert_eq!(rooms.shown(&host, NOW), None);
        assert_eq!(rooms.caller(&id, NOW), None, "whoever came by it before is nobody any more");
    }
    house.rooms.revoke(&"own".into(), Role::Host).unwrap();
    assert!(matches!(house.renew("own", Role::Host, Some(NOW)), Err(RoomsError::Invalid(_))));
    assert!(matches!(house.renew("no", Role::Host, None), Err(RoomsError::Unknown)));
}

#[test]
fn a_room_that_is_deleted_is_closed_for_good() {
    let mut house = House::new();
    let room = house.make("own").unwrap();
    assert!(matches!(house.make("own"), Err(RoomsError::Taken)));
    house.rooms.close(&"own".into(), NOW).unwrap();
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert!(rooms.is_closed(&"own".into()) && rooms.all().is_empty());
        assert_eq!(caller(rooms, &secret(&room, Role::Host), NOW), None);
    }
    // The recordings of the one before bear the name.
    assert!(matches!(house.make("own"), Err(RoomsError::Closed)));
    assert!(matches!(house.rooms.close(&"own".into(), NOW), Err(RoomsError::Unknown)));
}

#[test]
fn what_is_set_is_what_links_grant_and_nothing_else_can_be_granted() {
    let mut house = House::new();
    let secret = secret(&house.make("own").unwrap(), Role::Guest);
    let guests = Rights::of(&[Right::Chat, Right::List]);
    let change = Change { guests: Some(guests), people: Some(Some(3)), ..Change::default() };
    house.rooms.change(&"own".into(), change).unwrap();
    for rooms in [&house.rooms, &house.reopened(KEY)] {
        assert_eq!(caller(rooms, &secret, NOW), Some(guest("own", guests)));
        assert_eq!(rooms.people(&"own".into()), Some(3));
    }
    let of = |rights: &[Right]| Some(Rights::of(rights));
    let days = |days| Some(Keep { days: Some(days), now_ms: NOW });
    for change in [
        Change { guests: of(&[Right::Manage]), ..Change::default() },
        Change { guests: of(&[Right::Delete]), ..Change::default() },
        Change { guests: of(&[Right::Join]), ..Change::default() },
        Change { hosts: of(&[Right::Manage]), ..Change::default() },
        Change { hosts: of(&[Right::Record]), ..Change::default() },
        Change { people: Some(Some(0)), ..Change::default() },
        Change { keep: days(0), ..Change::default() },
        Change { keep: days(u32::MAX), ..Change::default() },
    ] {
        let refused = house.rooms.change(&"own".into(), change);
        assert!(matches!(refused, Err(RoomsError::Invalid(_))), "{change:?}");
    }
    let change = Change { hosts: of(&[Right::Delete]), people: Some(None), ..Change::default() };
    let room = house.rooms.change(&"own".into(), change).unwrap();
    assert_eq!(
        room.settings,
        Settings { guests, hosts: Rights::of(&[Right::Delete]), ..Settings::default() }
    );
}

#[test]
fn what_takes_a_right_away_holds_at_once_while_the_disk_takes_nothing_and_what_gives_one_does_not() {
    let mut house = House::new();
    let room = house.make("own").unwrap();
    house.make("other").unwrap();
    let (host, by) = (secret(&room, Role::Host), secret(&room, Role::Guest));
    house.fill_disk();
    let guests = Some(Rights::of(&[Right::Chat, Right::Record]));
    let changed = house.rooms.change(&"own".into(), Change { guests, ..Change::default() });
    assert!(matches!(changed, Err(RoomsError::Truth(_))));
    assert_eq!(caller(&house.rooms, &by, NOW), Some(guest("own", Rights::of(&[Right::Chat]))));
    assert!(house.rooms.revoke(&"own".into(), Role::Host).is_err());
    assert_eq!(caller(&house.rooms, &host, NOW), None);
    assert!(house.renew("own", Role::Guest, None).is_err());
    assert_eq!(caller(&house.rooms, &by, NOW), None, "it is over, and there is no new one");
    assert!(house.rooms.close(&"other".into(), NOW).is_err());
    assert!(house.rooms.is_closed(&"other".into()));
    assert!(house.make("third").is_err() && house.rooms.room(&"third".into()).is_err());
    assert_eq!(house.reopened(KEY).all().len(), 2, "so it is on the disk");
    house.free_disk();
    house.rooms.keep().unwrap();
    let after = house.reopened(KEY);
    assert!(after.is_closed(&"other".into()) && after.all().len() == 1);
    assert!(after.room(&"own".into()).unwrap().links.is_empty());
}

#[test]
fn a_pass_opens_its_path_for_its_time_and_is_worth_nothing_without_its_link() {
    let mut house = House::new();
    let room = house.make("own").unwrap();
    let id = house.rooms.shown(&secret(&room, Role::Guest), NOW).unwrap();
    let pass = house.rooms.pass(&id, "/recordings/a.mp4", NOW);
    let lasts = PASS_LASTS.as_millis() as i64;
    let link = |pass: &str, path: &str, now_ms| house.rooms.by_pass(pass, path, now_ms);
    assert_eq!(link(&pass, "/recordings/a.mp4", NOW + lasts), Some(id.clone()));
    assert_eq!(link(&pass, "/recordings/a.mp4", NOW + lasts + 1000), None);
    assert_eq!(link(&pass, "/recordings/b.mp4", NOW), None);
    let other = room.links.iter().find(|link| link.role == Role::Host).unwrap();
    for forged in [
        String::new(),
        "..".into(),
        pass.replace(id.as_str(), other.id.as_str()),
        pass.replacen(".18", ".19", 1),
        format!("{pass}A"),
    ] {
        assert_eq!(link(&forged, "/recordings/a.mp4", NOW), None, "{forged}");
    }
    assert_eq!(house.reopened(b"another key").by_pass(&pass, "/recordings/a.mp4", NOW), None);
    house.rooms.revoke(&"own".into(), Role::Guest).unwrap();
    assert_eq!(house.rooms.caller(&id, NOW), None);
}

#[test]
fn there_are_so_many_rooms_and_no_more_until_one_is_deleted() {
    let mut house = House::new();
    house.make("0").unwrap();
    // Not on the disk: a thousand syncs would tell no more.
    let kept = house.rooms.state().rooms.values().next().cloned().unwrap();
    for number in 1..ROOMS_KEPT {
        house.rooms.state().rooms.insert(number.to_string().into(), kept.clone());
    }
    assert!(matches!(house.make("one more"), Err(RoomsError::Full)));
    house.rooms.close(&"7".into(), NOW).unwrap();
    house.make("one more").unwrap();
    assert!(matches!(house.make(""), Err(RoomsError::Invalid(_))));
    assert!(matches!(house.make(&"ä".repeat(200)), Err(RoomsError::Invalid(_))));
}

#[test]
fn what_takes_a_right_away_waits_for_nobody_who_writes() {
    let mut house = House::new();
    let room = house.make("own").unwrap();
    let (host, by) = (secret(&room, Role::Host), secret(&room, Role::Guest));
    let rights = |rights: &[Right]| Change { guests: Some(Rights::of(rights)), ..Change::default() };
    let has =
        |rooms: &Rooms, rights: &[Right]| caller(rooms, &by, NOW) == Some(guest("own", Rights::of(rights)));
    let soon = |is_so: &dyn Fn() -> bool| {
        for _ in 0..1000 {
            if is_so() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        false
    };
    let (rooms, mut rng) = (&house.rooms, StdRng::seed_from_u64(7));
    // As somebody whose write hangs.
    let writing = rooms.changing();
    std::thread::scope(|threads| {
        let narrowed = threads.spawn(|| rooms.change(&"own".into(), rights(&[Right::Chat])));
        assert!(soon(&|| has(rooms, &[Right::Chat])));
        let other = threads.spawn(|| {
            let change = Change { people: Some(Some(3)), ..rights(&[Right::Chat, Right::Record]) };
            rooms.change(&"own".into(), change)
        });
        let renewed = threads.spawn(|| {
            let renewal = Renewal { room: &"own".into(), role: Role::Host, expires_ms: None };
            rooms.renew(renewal, NOW, &mut rng)
        });
        assert!(soon(&|| caller(rooms, &host, NOW).is_none()));
        assert!(has(rooms, &[Right::Chat]), "what gives a right waits for the disk");
        drop(writing);
        for changed in [narrowed, other, renewed] {
            changed.join().unwrap().unwrap();
        }
    });
    // Whichever was the last one.
    let left = house.rooms.room(&"own".into()).unwrap();
    assert_eq!(left.settings.people, Some(3));
    assert_eq!(house.reopened(KEY).room(&"own".into()).unwrap(), left);
}
