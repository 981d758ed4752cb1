//! Those who wait to be let into a room, and those who let them in.

use reelroom_limits::rooms::{KNOCK_AGAIN_AFTER, KNOCKS_OF_A_ROOM, KNOCKS_OF_AN_ADDRESS};

use super::*;

/// Who is held is answered long before that, where something is new.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A room with a lobby, its host and its guests.
struct Hall {
    house: House,
    host: Shows,
    guest: Shows,
}

/// Somebody who waits.
struct Waiting {
    id: String,
    shows: Shows,
}

impl Waiting {
    fn path(&self) -> String {
        format!("/rooms/own/lobby/{}", self.id)
    }
}

impl Hall {
    async fn new() -> Self {
        let house = owned(Access::Invite).await;
        let room = house.make(&json!({ "name": "own", "lobby": true })).await;
        assert_eq!(room["lobby"], true);
        let (host, guest) =
            (by_link(&secret(&room, "host").unwrap()), by_link(&secret(&room, "guest").unwrap()));
        Self { house, host, guest }
    }

    async fn ask(&self, shows: &Shows, name: &str) -> (u16, Value) {
        let said = json!({ "roomName": "own", "participantName": name });
        self.house.answer(POST, "/token", shows, &said).await
    }

    async fn knock(&self, name: &str) -> Waiting {
        let (status, answer) = self.ask(&self.guest, name).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer.as_object().unwrap().len(), 1, "no token, and nothing of the room: {answer}");
        let text = |key: &str| answer["waiting"][key].as_str().unwrap().to_owned();
        Waiting { id: text("id"), shows: Shows { knock: Some(text("secret")), ..self.guest.clone() } }
    }

    async fn turn(&self, waiting: &Waiting) -> (u16, Value) {
        self.house.answer(GET, &waiting.path(), &waiting.shows, &nothing()).await
    }

    /// How it stands with somebody. 502: they are let in, and the media server of this house is away.
    async fn state(&self, waiting: &Waiting) -> Value {
        let (status, answer) = self.turn(waiting).await;
        if status == 200 { answer["state"].clone() } else { json!(status) }
    }

    async fn list(&self) -> Value {
        let (status, list) = self.house.answer(GET, "/rooms/own/lobby", &self.host, &nothing()).await;
        assert_eq!(status, 200, "{list}");
        list
    }

    async fn decide(&self, shows: &Shows, what: &str, ids: &[&str]) -> u16 {
        let path = format!("/rooms/own/lobby/{what}");
        self.house.status(POST, &path, shows, &json!({ "ids": ids })).await
    }

    async fn set_lobby(&self, lobby: bool) {
        let (owner, said) = (self.house.owner(), json!({ "lobby": lobby }));
        assert_eq!(self.house.status(PATCH, "/rooms/own", &owner, &said).await, 200);
    }
}

#[tokio::test]
async fn a_guest_waits_until_a_host_lets_them_in_and_nobody_else_can() {
    let hall = Hall::new().await;
    let house = &hall.house;
    let other = house.make(&json!({ "name": "other" })).await;
    let other_host = by_link(&secret(&other, "host").unwrap());
    for shows in [&hall.host, &house.owner(), &Shows::key(&house.key(&["join"]))] {
        assert_eq!(hall.ask(shows, "Ada").await.0, 502, "only guests wait");
    }
    let (_, said) = house.answer(GET, "/link", &hall.guest, &nothing()).await;
    assert_eq!(said["lobby"], true);
    let ada = hall.knock(" Ada\u{202E}\n").await;
    assert_eq!(hall.state(&ada).await, "alone");
    let list = hall.list().await;
    let waiter = &list["waiting"][0];
    assert_eq!(
        (&waiter["name"], &waiter["id"], &list["lobby"]),
        (&json!("Ada"), &json!(ada.id), &json!(true))
    );
    assert!(waiter["since"].as_i64().unwrap() > 0);
    assert!(!list.to_string().contains(ada.shows.knock.as_ref().unwrap()), "the secret is theirs");
    assert_eq!(hall.state(&ada).await, "waiting");

    let ids = [ada.id.as_str()];
    for (shows, status) in [(&hall.guest, 403), (&other_host, 403), (&Shows::default(), 401)] {
        assert_eq!(hall.decide(shows, "admit", &ids).await, status);
        assert_eq!(hall.decide(shows, "refuse", &ids).await, status);
        assert_eq!(house.status(GET, "/rooms/own/lobby", shows, &nothing()).await, status);
    }
    assert_eq!(
        house.status(POST, "/rooms/other/lobby/admit", &other_host, &json!({ "ids": ids })).await,
        404
    );
    assert_eq!(hall.decide(&hall.host, "admit", &[]).await, 400);
    assert_eq!(hall.decide(&hall.host, "admit", &["KN_1"; KNOCKS_OF_A_ROOM + 1]).await, 400);
    assert_eq!(hall.state(&ada).await, "waiting");
    assert_eq!(hall.decide(&hall.host, "admit", &ids).await, 200);
    assert_eq!(hall.state(&ada).await, 502, "they are let in");
    assert_eq!(hall.decide(&hall.host, "refuse", &ids).await, 404, "it is decided");
    assert_eq!(hall.list().await["waiting"], json!([]));
}

#[tokio::test]
async fn a_knock_that_is_guessed_or_shown_by_another_link_answers_nothing() {
    let hall = Hall::new().await;
    let (ada, eve) = (hall.knock("Ada").await, hall.knock("Eve").await);
    let own = ada.shows.clone();
    for shows in [
        Shows { knock: None, ..own.clone() },
        Shows { knock: Some("A".repeat(43)), ..own.clone() },
        Shows { knock: eve.shows.knock.clone(), ..own.clone() },
        Shows { link: hall.host.link.clone(), ..own.clone() },
        Shows { knock: own.knock.clone(), ..hall.house.owner() },
    ] {
        for method in [GET, DELETE] {
            assert_eq!(hall.house.status(method, &ada.path(), &shows, &nothing()).await, 404);
        }
    }
    let nobody = Shows { link: None, ..own };
    assert_eq!(hall.house.status(GET, &ada.path(), &nobody, &nothing()).await, 401);
    assert_eq!(
        hall.house.status(GET, &ada.path().replace("own", "other"), &ada.shows, &nothing()).await,
        403
    );
    assert_eq!(hall.house.status(DELETE, &ada.path(), &ada.shows, &nothing()).await, 200);
    assert_eq!(hall.state(&ada).await, 404, "they wait no more");
    assert_eq!(hall.state(&eve).await, "alone");
}

#[tokio::test]
async fn whoever_is_refused_is_told_so_and_when_they_can_ask_again() {
    let hall = Hall::new().await;
    let ada = hall.knock("Ada").await;
    assert_eq!(hall.decide(&hall.host, "refuse", &[ada.id.as_str()]).await, 200);
    assert_eq!(hall.state(&ada).await, "refused");
    let said = json!({ "roomName": "own", "participantName": "ada" });
    let again = hall.house.ask(POST, "/token", &hall.guest, &said).await;
    let wait: u64 = again.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(again.status(), 429);
    assert!(wait > 0 && wait <= KNOCK_AGAIN_AFTER.as_secs() + 1, "{wait}");
    hall.knock("Bob").await;
}

#[tokio::test]
async fn a_flood_of_one_address_leaves_others_their_place() {
    let hall = Hall::new().await;
    let flood = Shows { address: Some("192.0.2.1"), ..hall.guest.clone() };
    for number in 0..KNOCKS_OF_AN_ADDRESS {
        assert_eq!(hall.ask(&flood, &number.to_string()).await.0, 202);
    }
    let (status, refused) = hall.ask(&flood, "one more").await;
    assert_eq!(status, 409, "{refused}");
    let other = Shows { address: Some("192.0.2.2"), ..hall.guest.clone() };
    assert_eq!(hall.ask(&other, "Ada").await.0, 202);
    assert_eq!(hall.ask(&hall.host, "Host").await.0, 502, "whoever runs the room does not wait");
    assert_eq!(hall.ask(&other, "\u{200B}").await.0, 400, "a name that nobody sees");
    assert_eq!(hall.ask(&other, &"a".repeat(257)).await.0, 400);
}

#[tokio::test]
async fn whoever_is_held_is_told_at_once_what_is_new() {
    let hall = Hall::new().await;
    let (ada, bob) = (hall.knock("Ada").await, hall.knock("Bob").await);
    let held = async |waiting: &Waiting, shown: &str| {
        let path = format!("{}?shown={shown}", waiting.path());
        let said = nothing();
        let answer = hall.house.answer(GET, &path, &waiting.shows, &said);
        tokio::time::timeout(AT_ONCE, answer).await.expect("it is told at once")
    };
    // A host comes.
    let (told, list) = tokio::join!(held(&ada, "alone"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        hall.list().await
    });
    assert_eq!((told.0, &told.1["state"]), (200, &json!("waiting")));
    // Somebody knocks while a host waits for that.
    let seen = format!("/rooms/own/lobby?seen={}", list["version"]);
    let (told, _) = tokio::join!(
        async {
            let said = nothing();
            let answer = hall.house.answer(GET, &seen, &hall.host, &said);
            tokio::time::timeout(AT_ONCE, answer).await.expect("it is told at once").1
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            hall.knock("Zoe").await
        }
    );
    assert_eq!(told["waiting"].as_array().unwrap().len(), 3);
    // The host decides.
    let (told, status) = tokio::join!(held(&ada, "waiting"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        hall.decide(&hall.host, "refuse", &[ada.id.as_str()]).await
    });
    assert_eq!((status, &told.1["state"]), (200, &json!("refused")));
    // What hosts are granted is changed, and they run the room as before.
    let list = hall.list().await;
    let seen = format!("/rooms/own/lobby?seen={}", list["version"]);
    let (told, ()) = tokio::join!(
        async {
            let said = nothing();
            let answer = hall.house.answer(GET, &seen, &hall.host, &said);
            tokio::time::timeout(AT_ONCE, answer).await.expect("it is told at once")
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let said = json!({ "hosts": ["delete"] });
            let status = hall.house.status(PATCH, "/rooms/own", &hall.house.owner(), &said).await;
            assert_eq!(status, 200);
            hall.knock("Max").await;
        }
    );
    assert_eq!((told.0, told.1["waiting"].as_array().map(Vec::len)), (200, Some(3)), "{}", told.1);
    // The link is over.
    let (told, status) = tokio::join!(held(&bob, "waiting"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        hall.house.status(DELETE, "/rooms/own/links/guest", &hall.house.owner(), &nothing()).await
    });
    assert_eq!((status, told.0), (200, 401));
}

#[tokio::test]
async fn a_lobby_that_is_switched_off_lets_in_whoever_waits_and_one_that_is_switched_on_nobody_anew() {
    let hall = Hall::new().await;
    let ada = hall.knock("Ada").await;
    hall.set_lobby(false).await;
    assert_eq!(hall.state(&ada).await, 502, "they are let in");
    assert_eq!(hall.ask(&hall.guest, "Bob").await.0, 502, "nobody waits");
    let list = hall.list().await;
    assert_eq!((&list["lobby"], &list["waiting"]), (&json!(false), &json!([])));

    let house = &hall.house;
    let before = house.ticket(&hall.guest);
    let link = house.app.rooms().shown(hall.guest.link.as_ref().unwrap(), clock::now().unix_ms).unwrap();
    let let_in = Origin::LetIn(link).ticket();
    assert!(matches!(house.standing(&before, "own"), Standing::AtMost(_)));
    hall.set_lobby(true).await;
    assert!(
        matches!(house.standing(&before, "own"), Standing::StaysAtMost(grants) if grants.room == "own"),
        "a token of before stays in the call, and lets nobody in"
    );
    for ticket in [&let_in, &house.ticket(&hall.host)] {
        assert!(matches!(house.standing(ticket, "own"), Standing::AtMost(_)), "{ticket}");
    }
    assert_eq!(house.standing(&let_in, "other"), Standing::Over);
    let forged = Ticket::from(format!("{before}.in.in"));
    assert_eq!(house.standing(&forged, "own"), Standing::Over);
    assert_eq!(house.status(DELETE, "/rooms/own/links/guest", &house.owner(), &nothing()).await, 200);
    for ticket in [&before, &let_in] {
        assert_eq!(house.standing(ticket, "own"), Standing::Over);
    }
}

#[tokio::test]
async fn where_access_is_open_nobody_waits() {
    let house = owned(Access::Open).await;
    let room = house.make(&json!({ "name": "own", "lobby": true })).await;
    let guest = by_link(&secret(&room, "guest").unwrap());
    let said = json!({ "roomName": "own", "participantName": "Ada" });
    for shows in [&guest, &Shows::default()] {
        assert_eq!(house.status(POST, "/token", shows, &said).await, 502);
        let (status, list) = house.answer(GET, "/rooms/own/lobby", shows, &nothing()).await;
        assert_eq!((status, &list["lobby"]), (200, &json!(false)));
        assert_eq!(house.status(GET, "/rooms/own/lobby/KN_1", shows, &nothing()).await, 404);
    }
}

#[tokio::test]
async fn whoever_runs_a_room_sees_mutes_and_removes_there_and_guests_do_not() {
    let hall = Hall::new().await;
    let house = &hall.house;
    let (mute, person) = (json!({ "source": "microphone" }), "/rooms/own/participants/Ada");
    let muting = format!("{person}/mute");
    // 502: the media server of this house is away, and they got as far as that.
    for (shows, status) in
        [(&hall.host, 502), (&house.owner(), 502), (&hall.guest, 403), (&Shows::default(), 401)]
    {
        assert_eq!(house.status(GET, "/rooms/own/participants", shows, &nothing()).await, status);
        assert_eq!(house.status(POST, &muting, shows, &mute).await, status);
        assert_eq!(house.status(DELETE, person, shows, &nothing()).await, status);
    }
    let elsewhere = muting.replace("own", "other");
    assert_eq!(house.status(POST, &elsewhere, &hall.host, &mute).await, 403);
    assert_eq!(house.status(POST, &elsewhere, &house.owner(), &mute).await, 502, "in any room");
    for (said, status) in [
        (json!({}), 400),
        (json!({ "source": "heart" }), 400),
        (json!({ "source": "microphone", "muted": false }), 409),
        (json!({ "trackSid": "TR_1", "muted": true }), 502),
    ] {
        assert_eq!(house.status(POST, &muting, &hall.host, &said).await, status, "{said}");
    }
}
