//! A program that is killed while people change who may do what: whatever was answered holds in the next run, and nothing stands by halves.
//!
//! ```text
//!   hands ─► make, renew, revoke, share, sign in, delete … ─► answered ─► facts
//!   kill -9, at a moment drawn from a seed ─► the next run ─► each fact holds
//! ```
//!
//! What a database keeps of each write when its program is killed is tried in `truth/tests`; here it is what people see.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::house::{House, PASSWORD, secret};
use common::library::plant;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const SEED: u64 = 20_261_127;
const ROUNDS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(10);
/// How many act at once.
const HANDS: usize = 3;
/// Recordings that may be deleted.
const RECORDINGS: usize = 150;

/// Something that somebody was answered, and that nobody has begun to change since.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Fact {
    Room(String),
    /// It was deleted, and its name is nobody's.
    Closed(String),
    /// The secret of a link into a room.
    Link(String),
    OldLink(String),
    /// The secret of a link to a recording.
    Share(String),
    OldShare(String),
    /// The secret of an API key.
    Key(String),
    OldKey(String),
    /// The cookie of a session.
    Session(String),
    OldSession(String),
    Recording(String),
    Deleted(String),
}

use Fact::{
    Closed, Deleted, Key, Link, OldKey, OldLink, OldSession, OldShare, Recording, Room, Session, Share,
};

/// Somebody who acts, until the program is killed.
struct Hand<'a> {
    house: &'a House,
    /// Which of all acts comes next.
    number: &'a AtomicUsize,
    facts: HashSet<Fact>,
    /// What is being changed: the one thing or the other.
    open: HashSet<Fact>,
}

impl Hand<'_> {
    /// An answer; `None` when the program was killed meanwhile.
    async fn ask(&self, request: RequestBuilder) -> Option<(StatusCode, Value)> {
        let House { cookie, csrf, .. } = self.house;
        let request = request.header("cookie", cookie).header("x-csrf-token", csrf);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        Some((status, serde_json::from_str(&answer.text().await.ok()?).ok()?))
    }

    async fn done(&self, method: Method, path: &str, said: Value) -> Option<Value> {
        let (status, answer) = self.ask(self.house.program.request(method, path).json(&said)).await?;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        Some(answer)
    }

    /// Nobody knows any more, until it is answered.
    fn begin(&mut self, fact: Fact) {
        self.facts.remove(&fact);
        self.open.insert(fact);
    }

    fn learn(&mut self, facts: impl IntoIterator<Item = Fact>) {
        self.open.clear();
        self.facts.extend(facts);
    }

    /// One of everything that is written down.
    async fn act(&mut self) -> Option<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let room = format!("room {number}");
        let path = format!("/rooms/room%20{number}");
        let made = self.done(Method::POST, "/rooms", json!({ "name": room })).await?;
        let (host, guest) = (secret(&made, "host"), secret(&made, "guest"));
        self.learn([Room(room.clone()), Link(host.clone()), Link(guest.clone())]);

        self.begin(Link(guest.clone()));
        let renewed = self.done(Method::POST, &format!("{path}/links/guest"), json!({})).await?;
        let newer = secret(&renewed, "guest");
        self.learn([OldLink(guest), Link(newer.clone())]);

        let recording = format!("{number}.mp4");
        let shares = format!("/recordings/{recording}/shares");
        let shared = self.done(Method::POST, &shares, json!({})).await?;
        let share = shared["link"].as_str().unwrap().strip_prefix("/watch#").unwrap().to_owned();
        self.learn([Share(share.clone())]);
        if number.is_multiple_of(2) {
            self.begin(Share(share.clone()));
            let id = shared["share"]["id"].as_str().unwrap();
            self.done(Method::DELETE, &format!("{shares}/{id}"), json!({})).await?;
            self.learn([OldShare(share.clone())]);
        }

        let new = json!({ "name": room, "rights": ["list"] });
        let made = self.done(Method::POST, "/owner/keys", new).await?;
        let key = made["secret"].as_str().unwrap().to_owned();
        self.learn([Key(key.clone())]);
        // There are a hundred at most that are in force.
        if number % 5 != 1 {
            self.begin(Key(key.clone()));
            let id = made["key"]["id"].as_str().unwrap();
            self.done(Method::DELETE, &format!("/owner/keys/{id}"), json!({})).await?;
            self.learn([OldKey(key)]);
        }

        if number.is_multiple_of(4) {
            self.sign_in_and_out(number).await?;
        }
        if number.is_multiple_of(3) {
            self.begin(Recording(recording.clone()));
            self.begin(Share(share.clone()));
            self.done(Method::DELETE, &format!("/recordings/{recording}"), json!({})).await?;
            self.learn([Deleted(recording), OldShare(share)]);
        }
        if number % 2 == 1 {
            for link in [&host, &newer] {
                self.begin(Link(link.clone()));
            }
            self.begin(Room(room.clone()));
            self.done(Method::DELETE, &path, json!({})).await?;
            self.learn([Closed(room), OldLink(host), OldLink(newer)]);
        }
        Some(())
    }

    async fn sign_in_and_out(&mut self, number: usize) -> Option<()> {
        let said = self.house.program.post("/owner/session", &json!({ "password": PASSWORD }));
        // With the mark of the owner's browser, and another session than its own.
        let answer = said.header("cookie", &self.house.cookie).send().await.ok()?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            // Two others do the same.
            return Some(());
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let kept = answer.headers().get_all("set-cookie").iter().next().unwrap().to_str().unwrap();
        let cookie = kept.split(';').next().unwrap().to_owned();
        let said: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        self.learn([Session(cookie.clone())]);
        if number.is_multiple_of(8) {
            self.begin(Session(cookie.clone()));
            let out = self.house.program.request(Method::DELETE, "/owner/session").header("cookie", &cookie);
            let out = out.header("x-csrf-token", said["csrf"].as_str().unwrap()).send().await.ok()?;
            assert_eq!(out.status(), StatusCode::OK);
            self.learn([OldSession(cookie)]);
        }
        Some(())
    }
}

/// Whether a fact holds.
async fn holds(house: &House, fact: &Fact, rooms: &HashSet<String>, listed: &HashSet<String>) -> bool {
    let program = &house.program;
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    let link = async |link: &str| status(program.get("/link").header("x-reelroom-link", link)).await;
    let share = async |share: &str| status(program.post("/watch/open", &json!({ "secret": share }))).await;
    let key = async |key: &str| status(program.get("/recordings").bearer_auth(key)).await;
    let session = async |cookie: &str| {
        program.answer(program.get("/owner/session").header("cookie", cookie)).await.1["signedIn"] == true
    };
    match fact {
        Room(name) => rooms.contains(name),
        Closed(name) => {
            let again = program.post("/rooms", &json!({ "name": name })).header("cookie", &house.cookie);
            !rooms.contains(name) && status(again.header("x-csrf-token", &house.csrf)).await == 409
        }
        Link(shown) => link(shown.as_str()).await == 200,
        OldLink(shown) => link(shown.as_str()).await == 401,
        Share(shown) => share(shown.as_str()).await == 200,
        OldShare(shown) => share(shown.as_str()).await == 410,
        Key(shown) => key(shown.as_str()).await == 200,
        OldKey(shown) => key(shown.as_str()).await == 401,
        Session(shown) => session(shown.as_str()).await,
        OldSession(shown) => !session(shown.as_str()).await,
        Recording(name) => listed.contains(name),
        Deleted(name) => !listed.contains(name),
    }
}

/// Every room has both of its links, and every recording is there or is not.
async fn check_wholes(house: &House) -> (HashSet<String>, HashSet<String>) {
    let told = house.own(Method::GET, "/rooms", &json!({})).await;
    let mut rooms = HashSet::new();
    for room in told["rooms"].as_array().unwrap() {
        assert_eq!(room["links"].as_array().unwrap().len(), 2, "{room}");
        rooms.insert(room["name"].as_str().unwrap().to_owned());
    }
    let began = Instant::now();
    loop {
        let told = house.own(Method::GET, "/recordings", &json!({})).await;
        let listed = told["recordings"].as_array().unwrap().iter();
        let listed: HashSet<String> =
            listed.map(|recording| recording["name"].as_str().unwrap().to_owned()).collect();
        let mut halves = Vec::new();
        for name in (0..RECORDINGS).map(|number| format!("{number}.mp4")) {
            let asked = house.program.get(&format!("/recordings/{name}")).header("cookie", &house.cookie);
            let status = asked.header("range", "bytes=0-9").send().await.unwrap().status();
            let is_there = listed.contains(&name);
            let expected = if is_there { StatusCode::PARTIAL_CONTENT } else { StatusCode::NOT_FOUND };
            if status != expected {
                halves.push(format!("{name}: {status}, listed: {is_there}"));
            }
        }
        if halves.is_empty() {
            return (rooms, listed);
        }
        // One that was being deleted may still go while it is looked at.
        assert!(began.elapsed() < PATIENCE, "{halves:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_was_answered_holds_however_the_program_is_killed_and_nothing_stands_by_halves() {
    let data = tempfile::tempdir().unwrap();
    plant(data.path(), (0..RECORDINGS).map(|number| ("planted", format!("{number}.mp4")))).await;
    let mut house = House::new(&data).await;
    let mut rng = StdRng::seed_from_u64(SEED);
    let number = AtomicUsize::new(0);
    let mut facts: HashSet<Fact> = (0..RECORDINGS).map(|number| Recording(format!("{number}.mp4"))).collect();
    for round in 0..ROUNDS {
        let hands = (0..HANDS).map(async |_| {
            let mut hand =
                Hand { house: &house, number: &number, facts: HashSet::new(), open: HashSet::new() };
            while number.load(Ordering::Relaxed) < RECORDINGS - HANDS && hand.act().await.is_some() {}
            (hand.facts, hand.open)
        });
        let wait = Duration::from_millis(rng.random_range(150..900));
        let killing = async {
            tokio::time::sleep(wait).await;
            house.program.kill();
        };
        let (hands, ()) = tokio::join!(futures::future::join_all(hands), killing);
        let (learnt, open): (Vec<_>, Vec<_>) = hands.into_iter().unzip();
        facts.extend(learnt.into_iter().flatten());
        // What was there before anybody began is known to no hand.
        let over: Vec<Fact> = facts.iter().filter_map(before).collect();
        for fact in open.iter().flatten().chain(&over) {
            facts.remove(fact);
        }

        let House { program, cookie, csrf } = house;
        drop(program);
        house = House { program: House::start(&data), cookie, csrf };
        let (rooms, listed) = check_wholes(&house).await;
        for fact in &facts {
            assert!(holds(&house, fact, &rooms, &listed).await, "round {round}, after {wait:?}: {fact:?}");
        }
    }
    let count = |is: fn(&Fact) -> bool| facts.iter().filter(|fact| is(fact)).count();
    assert!(count(|fact| matches!(fact, Closed(_))) > ROUNDS, "enough was done: {}", facts.len());
    assert!(count(|fact| matches!(fact, Deleted(_))) > ROUNDS / 2);
    house.program.stop();
}

/// What was so before a recording was deleted.
fn before(fact: &Fact) -> Option<Fact> {
    match fact {
        Deleted(name) => Some(Recording(name.clone())),
        _ => None,
    }
}
