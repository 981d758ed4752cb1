//! A server with two rooms and recordings of both, and everybody who may ask it: as the server meets them, and as `access` knows them.
//!
//! ```text
//!            guests are granted   hosts are granted   a link to its recording
//!   own      everything           everything          to keep it
//!   bare     nothing              nothing             to play it
//! ```
//!
//! Each of the two rooms is the other one of those who come by a link into the first.

use reelroom_access::{Caller, Reach, Right, Rights, reach};
use reelroom_protocol::ids::RoomName;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::common::house::{House, secret};
use crate::common::library::plant;

pub(crate) const ROOMS: [&str; 2] = ["own", "bare"];
/// Recordings of each room that may be deleted.
const SPARE: usize = 20;

/// How a server lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Invite,
    Open,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) room: &'static str,
    pub(crate) recording: String,
    /// A recording that nobody misses.
    pub(crate) spare: String,
    /// A link to the recording by which somebody watches.
    pub(crate) watched: String,
    /// A link to the recording by which nobody watches.
    pub(crate) share: String,
    /// How many requests there were before.
    pub(crate) count: usize,
}

/// Somebody who asks.
pub(crate) struct Asker {
    pub(crate) name: String,
    /// Who that is, for `access`.
    pub(crate) caller: Caller,
    pub(crate) shows: Shows,
    /// Which link to a recording they have a ticket for.
    pub(crate) watches: Option<String>,
}

/// What somebody shows with each request.
pub(crate) enum Shows {
    /// The cookies of the owner's browser, and the word that its page says.
    Owner,
    /// These cookies without the word: somebody else's page has that browser ask.
    Forged,
    Headers(Vec<(&'static str, String)>),
}

pub(crate) struct Stage {
    pub(crate) house: House,
    pub(crate) mode: Mode,
    pub(crate) askers: Vec<Asker>,
    targets: Vec<Target>,
    spares: [usize; ROOMS.len()],
    _data: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new(mode: Mode) -> Self {
        let data = tempfile::tempdir().unwrap();
        let each = |room: &'static str| (0..=SPARE).map(move |number| (room, recording(room, number)));
        plant(data.path(), ROOMS.into_iter().flat_map(each)).await;
        let house = match mode {
            Mode::Invite => House::new(&data).await,
            Mode::Open => House::open(&data).await,
        };
        let mut stage =
            Self { house, mode, askers: Vec::new(), targets: Vec::new(), spares: [1; 2], _data: data };
        stage.cast().await;
        stage
    }

    /// Who asks where a caller with this claim is not known for it.
    fn unknown(&self) -> Caller {
        if self.mode == Mode::Open { Caller::Everybody } else { Caller::Nobody }
    }

    /// Everybody who asks.
    async fn cast(&mut self) {
        let headers = |name: &str, caller, shown: Vec<(&'static str, String)>| Asker {
            name: name.to_owned(),
            caller,
            shows: Shows::Headers(shown),
            watches: None,
        };
        let owner =
            |name: &str, shows| Asker { name: name.to_owned(), caller: Caller::Owner, shows, watches: None };
        let bearer = |key: &str| vec![("authorization", format!("Bearer {key}"))];
        let unknown = self.unknown();
        let mut askers = vec![
            owner("the owner", Shows::Owner),
            owner("a foreign page in the owner's browser", Shows::Forged),
            headers("nobody", unknown.clone(), Vec::new()),
        ];

        let words = |rights: &[Right]| rights.iter().map(|right| right.word()).collect::<Vec<_>>();
        let all = self.house.key(&words(Right::ALL)).await;
        askers.push(headers("a key with all rights", Caller::Key { rights: Rights::ALL }, bearer(&all)));
        for right in Right::ALL {
            let key = self.house.key(&words(&[*right])).await;
            let rights = Rights::of(&[*right]);
            askers.push(headers(&format!("a key to {}", right.name()), Caller::Key { rights }, bearer(&key)));
        }
        let revoked = self.house.key(&words(Right::ALL)).await;
        let listed = self.house.own(Method::GET, "/owner/keys", &json!({})).await;
        let mut ids = listed["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap());
        let id = ids.find(|id| revoked.starts_with(*id)).unwrap();
        self.house.own(Method::DELETE, &format!("/owner/keys/{id}"), &json!({})).await;
        askers.push(headers("a key that was revoked", unknown.clone(), bearer(&revoked)));
        let guessed = format!("rr_{}", "A".repeat(60));
        askers.push(headers("a key that was guessed", unknown.clone(), bearer(&guessed)));
        let cookie = vec![("cookie", format!("reelroom={}", "A".repeat(43)))];
        askers.push(headers("a session that was guessed", unknown.clone(), cookie));

        for (name, granted) in ROOMS.into_iter().zip([Rights::ALL, Rights::NONE]) {
            let room = RoomName::from(name);
            let guest = |granted| Caller::Guest { room: room.clone(), granted };
            let host = |granted| Caller::Host { room: room.clone(), granted };
            let said = json!({
                "name": name,
                "guests": granted_words(&guest, granted),
                "hosts": granted_words(&host, granted),
            });
            let made = self.house.make(&said).await;
            for (role, caller) in [("host", host(granted)), ("guest", guest(granted))] {
                let caller = if self.mode == Mode::Open { unknown.clone() } else { caller };
                let link = vec![("x-reelroom-link", secret(&made, role))];
                askers.push(headers(&format!("a {role} of {name}"), caller, link));
            }

            let recording = recording(name, 0);
            let path = format!("/recordings/{recording}/shares");
            let download = json!({ "download": granted == Rights::ALL });
            let shared = self.house.own(Method::POST, &path, &download).await;
            let (watched, cookie) = self.watch(&shared).await;
            let viewer =
                headers(&format!("a viewer of {recording}"), unknown.clone(), vec![("cookie", cookie)]);
            askers.push(Asker { watches: Some(watched.clone()), ..viewer });
            let other = self.house.own(Method::POST, &path, &download).await;
            self.targets.push(Target {
                room: name,
                recording,
                spare: String::new(),
                watched,
                share: other["share"]["id"].as_str().unwrap().to_owned(),
                count: 0,
            });
        }
        let link = vec![("x-reelroom-link", "A".repeat(43))];
        askers.push(headers("a link that was guessed", unknown, link));
        self.askers = askers;
    }

    /// Opens a link to a recording: its id, and the cookie of who watches.
    async fn watch(&self, shared: &Value) -> (String, String) {
        let secret = shared["link"].as_str().unwrap().strip_prefix("/watch#").unwrap();
        let opened =
            self.house.program.post("/watch/open", &json!({ "secret": secret })).send().await.unwrap();
        assert_eq!(opened.status(), 200);
        let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        (shared["share"]["id"].as_str().unwrap().to_owned(), cookie)
    }

    /// What the next request about a room is about.
    pub(crate) fn target(&mut self, room: usize) -> Target {
        let (number, target) = (self.spares[room], &mut self.targets[room]);
        assert!(number <= SPARE, "more recordings are deleted than there are");
        target.count += 1;
        target.spare = recording(target.room, number);
        target.clone()
    }

    /// Somebody may do what was asked for with the spare recording.
    pub(crate) fn spend(&mut self, room: usize) {
        self.spares[room] += 1;
    }

    /// As whom somebody asks for something that changes nothing, or something.
    pub(crate) fn caller(&self, asker: &Asker, changes: bool) -> Caller {
        match asker.shows {
            Shows::Forged if changes => self.unknown(),
            _ => asker.caller.clone(),
        }
    }

    /// A request with what somebody shows.
    pub(crate) fn shown(&self, asker: &Asker, request: RequestBuilder) -> RequestBuilder {
        let House { cookie, csrf, .. } = &self.house;
        match &asker.shows {
            Shows::Owner => request.header("cookie", cookie).header("x-csrf-token", csrf),
            Shows::Forged => request.header("cookie", cookie),
            Shows::Headers(shown) => {
                shown.iter().fold(request, |request, (name, value)| request.header(*name, value))
            }
        }
    }
}

/// The words of what is to be granted to callers of a kind: all that they have by grant alone, or none of it.
fn granted_words(caller: &dyn Fn(Rights) -> Caller, granted: Rights) -> Vec<String> {
    let (with, without) = (caller(Rights::ALL), caller(Rights::NONE));
    let has = |caller: &Caller, right: Right| reach(caller, right) != Reach::Nothing;
    let depends = |right: &&Right| has(&with, **right) && !has(&without, **right);
    Right::ALL.iter().filter(depends).filter(|right| granted.has(**right)).map(|right| right.word()).collect()
}

/// The name of the first, second … recording of a room.
fn recording(room: &str, number: usize) -> String {
    format!("{room}-{number}.mp4")
}
