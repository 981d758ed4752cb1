use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const NOW_MS: i64 = 1_800_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// A lobby, its guests and the time.
struct Story {
    lobby: Lobby,
    now: Instant,
    rng: StdRng,
}

/// Somebody who knocked.
#[derive(Clone)]
struct Guest {
    room: RoomName,
    link: LinkId,
    id: KnockId,
    secret: String,
}

impl Guest {
    fn shown(&self) -> ShownKnock<'_> {
        ShownKnock { room: &self.room, link: &self.link, id: &self.id, secret: &self.secret }
    }
}

fn from(address: &str) -> Asker {
    Asker(Some(address.parse().unwrap()))
}

impl Story {
    fn new() -> Self {
        Self { lobby: Lobby::default(), now: Instant::now(), rng: StdRng::seed_from_u64(12) }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn knock(&mut self, room: &str, name: &str, asker: Asker) -> Result<Guest, RoomsError> {
        let (room, link) = (RoomName::from(room), LinkId::from("RL_1"));
        let new = NewKnock { room: &room, link: &link, name, asker };
        let (id, secret) = self.lobby.knock(new, self.now, NOW_MS, &mut self.rng)?;
        Ok(Guest { room, link, id, secret: secret.reveal().to_owned() })
    }

    fn turn(&mut self, guest: &Guest) -> Option<Turn> {
        self.lobby.hear(&guest.shown(), true, self.now)
    }

    fn waiting(&mut self, room: &str) -> Vec<String> {
        self.lobby.look(&room.into(), self.now).all.into_iter().map(|waiter| waiter.name).collect()
    }

    fn decide(&mut self, guest: &Guest, decision: Decision) -> usize {
        self.lobby.decide(&guest.room, std::slice::from_ref(&guest.id), decision, self.now)
    }
}

fn entrance(identity: &str) -> Entrance {
    Entrance { ticket: "TK_1.RL_1.in".into(), identity: identity.to_owned() }
}

#[test]
fn somebody_waits_until_a_host_who_is_there_lets_them_in_and_comes_as_one_person() {
    let mut story = Story::new();
    let ada = story.knock("r", "Ada", from("192.0.2.1")).unwrap();
    assert_eq!(story.turn(&ada), Some(Turn::WaitsAlone), "nobody is there");
    assert_eq!(story.waiting("r"), ["Ada"]);
    assert_eq!(story.turn(&ada), Some(Turn::Waits));
    assert!(
        story.lobby.admitted(&ada.shown()).is_none()
            && story.lobby.enter(&ada.shown(), entrance("Ada")).is_none()
    );
    assert_eq!(story.decide(&ada, Decision::Admit), 1);
    assert_eq!(story.turn(&ada), Some(Turn::Admitted));
    assert_eq!(story.waiting("r"), [""; 0]);
    assert_eq!(story.lobby.admitted(&ada.shown()), Some(("Ada".into(), None)));
    assert_eq!(story.lobby.enter(&ada.shown(), entrance("Ada")), Some(entrance("Ada")));
    assert_eq!(story.lobby.enter(&ada.shown(), entrance("another")), Some(entrance("Ada")), "asked twice");
    assert_eq!(story.decide(&ada, Decision::Refuse), 0, "it is decided");
    story.pass(HOST_LOOKS_WITHIN + SECOND);
    assert_eq!(story.turn(&ada), None, "who was let in and does not come is forgotten");
}

#[test]
fn whoever_was_let_in_comes_by_that_for_a_while_and_not_after_they_were_removed() {
    let mut story = Story::new();
    let ada = story.knock("r", "Ada", Asker(None)).unwrap();
    story.pass(KNOCK_LASTS - SECOND);
    story.decide(&ada, Decision::Admit);
    assert!(story.lobby.enter(&ada.shown(), entrance("Ada")).is_some());
    for _ in 0..4 {
        assert_eq!(story.turn(&ada), Some(Turn::Admitted));
        story.pass(KNOCK_LASTS / 4);
    }
    assert_eq!(story.turn(&ada), None, "to ask again and again keeps no door open");

    let (ada, bob, eve) = (
        story.knock("r", "Ada", Asker(None)).unwrap(),
        story.knock("r", "Bob", Asker(None)).unwrap(),
        story.knock("r", "Eve", Asker(None)).unwrap(),
    );
    story.decide(&ada, Decision::Admit);
    story.decide(&bob, Decision::Admit);
    story.lobby.enter(&ada.shown(), entrance("Ada")).unwrap();
    story.lobby.forget_entered(&"other".into());
    assert_eq!(story.turn(&ada), Some(Turn::Admitted));
    story.lobby.forget_entered(&"r".into());
    assert_eq!(story.turn(&ada), None);
    assert!(story.lobby.admitted(&ada.shown()).is_none());
    assert_eq!(story.turn(&bob), Some(Turn::Admitted), "who has not come yet was not removed");
    assert!(story.turn(&eve).is_some(), "nor was who waits");
}

#[test]
fn whoever_is_not_heard_of_waits_no_more_and_whoever_asks_waits_on() {
    let mut story = Story::new();
    let (ada, bob) =
        (story.knock("r", "Ada", Asker(None)).unwrap(), story.knock("r", "Bob", Asker(None)).unwrap());
    for _ in 0..5 {
        story.pass(KNOCK_LASTS - SECOND);
        assert!(story.turn(&bob).is_some());
    }
    assert_eq!(story.turn(&ada), None);
    assert_eq!(story.waiting("r"), ["Bob"]);
    story.pass(HOST_LOOKS_WITHIN);
    assert_eq!(story.turn(&bob), None);
    let bob = story.knock("r", "Bob", Asker(None)).unwrap();
    assert_eq!(story.turn(&bob), Some(Turn::WaitsAlone), "the host has gone");
    assert!(story.lobby.leave(&bob.shown()) && !story.lobby.leave(&bob.shown()));
    story.lobby.tidy(story.now);
    assert!(story.lobby.halls.is_empty(), "nothing is kept of what is over");
}

#[test]
fn a_knock_answers_its_own_secret_by_its_own_link_and_its_own_room_alone() {
    let mut story = Story::new();
    let (ada, eve) =
        (story.knock("r", "Ada", Asker(None)).unwrap(), story.knock("r", "Eve", Asker(None)).unwrap());
    story.decide(&ada, Decision::Admit);
    for guess in [
        Guest { secret: eve.secret.clone(), ..ada.clone() },
        Guest { secret: String::new(), ..ada.clone() },
        Guest { secret: "A".repeat(43), ..ada.clone() },
        Guest { link: "RL_2".into(), ..ada.clone() },
        Guest { room: "other".into(), ..ada.clone() },
        Guest { id: eve.id.clone(), ..ada.clone() },
    ] {
        assert_eq!(story.turn(&guess), None);
        assert!(story.lobby.admitted(&guess.shown()).is_none() && !story.lobby.leave(&guess.shown()));
    }
    assert_eq!(
        story.lobby.decide(&"other".into(), std::slice::from_ref(&eve.id), Decision::Admit, story.now),
        0,
        "not their host"
    );
    assert_eq!(story.turn(&eve), Some(Turn::WaitsAlone));
    assert_eq!(story.turn(&ada), Some(Turn::Admitted));
}

#[test]
fn whoever_is_not_let_in_asks_again_after_a_while_and_an_address_that_goes_on_waits_whatever_its_name() {
    let mut story = Story::new();
    let (here, there) = (from("192.0.2.1"), from("192.0.2.2"));
    let ada = story.knock("r", "Ada", here).unwrap();
    assert_eq!(story.decide(&ada, Decision::Refuse), 1);
    assert_eq!(story.turn(&ada), Some(Turn::Refused));
    assert!(
        matches!(story.knock("r", "ADA", here), Err(RoomsError::NotYet { wait }) if wait == KNOCK_AGAIN_AFTER)
    );
    assert!(story.knock("r", "Ada", there).is_ok(), "somebody else");
    assert!(story.knock("other", "Ada", here).is_ok(), "another room");
    for number in 1..REFUSED_OF_AN_ADDRESS {
        let again = story.knock("r", &format!("Ada {number}"), here).unwrap();
        story.decide(&again, Decision::Refuse);
    }
    assert!(matches!(story.knock("r", "Bob", here), Err(RoomsError::NotYet { .. })));
    assert!(story.knock("r", "Bob", there).is_ok());
    // A program of this machine may stand for anybody.
    for number in 0..2 * REFUSED_OF_AN_ADDRESS {
        let proxied = story.knock("r", &number.to_string(), Asker(None)).unwrap();
        story.decide(&proxied, Decision::Refuse);
    }
    assert!(story.knock("r", "Bob", Asker(None)).is_ok());
    story.pass(KNOCK_AGAIN_AFTER);
    assert!(story.knock("r", "Ada", here).is_ok());
}

#[test]
fn one_address_and_one_room_leave_as_much_for_others() {
    let mut story = Story::new();
    let here = from("192.0.2.1");
    for number in 0..KNOCKS_OF_AN_ADDRESS {
        story.knock("r", &number.to_string(), here).unwrap();
    }
    assert!(matches!(story.knock("r", "one more", here), Err(RoomsError::Crowded)));
    assert!(story.knock("r", "Ada", from("192.0.2.2")).is_ok());
    // From as many addresses as there may be.
    let mut address = 0u32;
    let mut fill = |story: &mut Story, room: &str| {
        (0..2 * KNOCKS)
            .take_while(|_| {
                address += 1;
                let from = Asker(Some(std::net::Ipv4Addr::from(address).into()));
                story.knock(room, "bot", from).is_ok()
            })
            .count()
    };
    assert_eq!(fill(&mut story, "r") + KNOCKS_OF_AN_ADDRESS + 1, KNOCKS_OF_A_ROOM);
    let filled: usize = (0..10).map(|room| fill(&mut story, &format!("flooded {room}"))).sum();
    assert!(filled > KNOCKS / 2 && story.lobby.count() < KNOCKS, "{filled}");
    assert!(
        story.knock("quiet", "Ada", here).is_ok(),
        "there is room for those of a room that nobody floods"
    );
    story.pass(KNOCK_LASTS);
    story.lobby.tidy(story.now);
    assert_eq!(story.lobby.count(), 0);
}

#[test]
fn those_who_were_refused_are_remembered_within_a_bound() {
    let mut story = Story::new();
    for number in 0..=REFUSED_REMEMBERED {
        let guest = story.knock("r", &number.to_string(), Asker(None)).unwrap();
        story.decide(&guest, Decision::Refuse);
        story.lobby.leave(&guest.shown());
    }
    assert_eq!(story.lobby.halls[&RoomName::from("r")].refused.len(), REFUSED_REMEMBERED);
}

#[test]
fn whoever_lets_in_sees_each_change_and_decides_of_those_they_saw() {
    let mut story = Story::new();
    let room = RoomName::from("r");
    let version = |story: &mut Story| story.lobby.look(&room, story.now).version;
    assert_eq!(version(&mut story), 0);
    let ada = story.knock("r", "Ada", Asker(None)).unwrap();
    let first = version(&mut story);
    assert!(first > 0 && version(&mut story) == first);
    let bob = story.knock("r", "Bob", Asker(None)).unwrap();
    let second = version(&mut story);
    assert!(second > first);
    assert_eq!(story.decide(&ada, Decision::Admit), 1);
    assert!(version(&mut story) > second);
    assert_eq!(story.turn(&bob), Some(Turn::Waits), "nobody decided of Bob");
    story.decide(&bob, Decision::Admit);
    assert_eq!(version(&mut story), 0);
    story.knock("r", "Ada", Asker(None)).unwrap();
    assert!(version(&mut story) > second, "no version comes twice");
}

#[test]
fn those_who_wait_come_in_when_there_is_no_lobby_any_more() {
    let mut story = Story::new();
    let (ada, eve) =
        (story.knock("r", "Ada", Asker(None)).unwrap(), story.knock("r", "Eve", Asker(None)).unwrap());
    story.decide(&eve, Decision::Refuse);
    assert_eq!(story.lobby.hear(&ada.shown(), false, story.now), Some(Turn::Admitted));
    assert_eq!(story.lobby.hear(&eve.shown(), false, story.now), Some(Turn::Refused), "they can ask anew");
    assert!(story.lobby.enter(&ada.shown(), entrance("Ada")).is_some());
}

#[test]
fn a_name_is_shown_without_what_changes_the_rest_of_the_line() {
    for (name, expected) in [
        ("Ada", Some("Ada")),
        ("  Ada \t Lovelace\n", Some("Ada Lovelace")),
        ("Ada\u{202E}tsoh\u{202C}", Some("Adatsoh")),
        ("Ada\u{0}\u{7}Eve", Some("Ada Eve")),
        ("\u{2066}\u{200B}\u{FEFF}", None),
        ("\u{200D}", None),
        ("\u{3164}\u{2800} \u{00AD}", None),
        ("\n", None),
        ("👩\u{200D}🚀 من", Some("👩\u{200D}🚀 من")),
    ] {
        assert_eq!(shown_name(name).as_deref(), expected, "{name:?}");
    }
}
