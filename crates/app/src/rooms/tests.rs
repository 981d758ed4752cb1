//! What those who come by a link into a room get, and what its owner does about them.

mod lobby;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::header::{CONTENT_DISPOSITION, RANGE};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use reelroom_accounts::KeyId;
use reelroom_limits::asker::Asker;
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_rooms::{NewRoom, Role, Rooms, Settings};
use reelroom_routes::{Cut, Needs, On};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::WebApp;
use crate::clock;
use crate::config::{Access, Media};
use crate::origin::{Origin, Standing};
use crate::rooms::done;
use crate::tests::house::{House, Shows, house_of_media, owned};

const GET: &Method = &Method::GET;
const POST: &Method = &Method::POST;
const PATCH: &Method = &Method::PATCH;
const DELETE: &Method = &Method::DELETE;

fn nothing() -> Value {
    json!({})
}

fn by_link(secret: &str) -> Shows {
    Shows { link: Some(secret.to_owned()), ..Shows::default() }
}

/// Of a room as it is told: the secret of its link for a role.
fn secret(room: &Value, role: &str) -> Option<String> {
    let links = room["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["role"] == role)?;
    Some(link["path"].as_str().unwrap().strip_prefix("/join#").unwrap().to_owned())
}

impl House {
    fn owner(&self) -> Shows {
        Shows::of(&self.signed_in())
    }

    async fn make(&self, said: &Value) -> Value {
        let (status, room) = self.answer(POST, "/rooms", &self.owner(), said).await;
        assert_eq!(status, 200, "{room}");
        room
    }

    /// A ticket as it is given for a link that somebody shows.
    fn ticket(&self, shows: &Shows) -> Ticket {
        let link = self.app.rooms().shown(shows.link.as_ref().unwrap(), clock::now().unix_ms);
        Origin::Link(link.unwrap()).ticket()
    }

    fn standing(&self, ticket: &Ticket, room: &str) -> Standing {
        self.app.tickets().standing(ticket, &room.into())
    }
}

#[tokio::test]
async fn each_route_is_for_hosts_and_guests_as_far_as_their_room_and_their_grants_go() {
    let house = owned(Access::Invite).await;
    let all = json!([
        "publish-camera",
        "publish-microphone",
        "publish-screen",
        "publish-screen-sound",
        "chat",
        "record",
        "list",
        "play",
        "download"
    ]);
    let granted = house.make(&json!({ "name": "own", "guests": all, "hosts": ["delete"] })).await;
    let bare = house.make(&json!({ "name": "other", "guests": [] })).await;
    let shows = |room: &Value, role| by_link(&secret(room, role).unwrap());
    let (host, guest) = (shows(&granted, "host"), shows(&granted, "guest"));
    let (other_host, other_guest) = (shows(&bare, "host"), shows(&bare, "guest"));
    // 502: the media server of this house is away, and they got as far as that.
    let table: &[(&Method, &str, Value, [u16; 4])] = &[
        (POST, "/token", json!({ "roomName": "own", "participantName": "Ada" }), [502, 502, 403, 403]),
        (POST, "/token", json!({ "roomName": "other", "participantName": "Ada" }), [403, 403, 502, 502]),
        (POST, "/token", json!({ "roomName": "third", "participantName": "Ada" }), [403, 403, 403, 403]),
        (POST, "/recordings/start", json!({ "roomName": "own" }), [502, 502, 403, 403]),
        (POST, "/recordings/stop", json!({ "roomName": "own" }), [502, 502, 403, 403]),
        (POST, "/recordings/start", json!({ "roomName": "other" }), [403, 403, 502, 403]),
        (GET, "/recordings", nothing(), [200, 200, 200, 403]),
        (GET, "/recordings?roomName=own", nothing(), [200, 200, 403, 403]),
        (GET, "/recordings/own.mp4", nothing(), [200, 200, 403, 403]),
        (GET, "/recordings/own.mp4/url", nothing(), [200, 200, 403, 403]),
        (GET, "/recordings/own.mp4/pass", nothing(), [200, 200, 403, 403]),
        (GET, "/recordings/own.mp4/report", nothing(), [200, 403, 403, 403]),
        (POST, "/recordings/own.mp4/retry", nothing(), [409, 403, 403, 403]),
        (DELETE, "/recordings/other.mp4", nothing(), [403, 403, 403, 403]),
        (GET, "/recordings/no.mp4", nothing(), [403, 403, 403, 403]),
        (GET, "/link", nothing(), [200, 200, 200, 200]),
        (GET, "/metrics", nothing(), [403, 403, 403, 403]),
        (GET, "/openapi.json", nothing(), [403, 403, 403, 403]),
        (DELETE, "/recordings/own.mp4", nothing(), [200, 403, 403, 403]),
    ];
    for (method, path, said, expected) in table {
        let callers = [&host, &guest, &other_host, &other_guest];
        for ((shows, expected), who) in callers.into_iter().zip(expected).zip(["H", "G", "h", "g"]).rev() {
            let (status, answer) = house.answer(method, path, shows, said).await;
            assert_eq!(status, *expected, "{who} {method} {path} {said}: {answer}");
        }
    }
    // Whatever only somebody who manages may do.
    for row in WebApp::table() {
        let Needs::Right(reelroom_access::Right::Manage, On::Server) = row.needs else { continue };
        let path = row.path.replace("{name}", "own").replace("{id}", "guest");
        for shows in [&host, &guest] {
            let status = house.status(row.method.as_ref().unwrap(), &path, shows, &nothing()).await;
            assert_eq!(status, 403, "{row:?}");
        }
    }
}

#[tokio::test]
async fn a_link_that_is_guessed_revoked_renewed_or_of_a_deleted_room_opens_nothing() {
    let house = owned(Access::Invite).await;
    let owner = house.owner();
    let room = house.make(&json!({ "name": "own" })).await;
    let (host, first) = (by_link(&secret(&room, "host").unwrap()), by_link(&secret(&room, "guest").unwrap()));
    let opens = async |shows: &Shows| house.status(GET, "/link", shows, &nothing()).await;
    let (_, said) = house.answer(GET, "/link", &first, &nothing()).await;
    assert_eq!((&said["roomName"], &said["role"]), (&json!("own"), &json!("guest")));
    assert!(said["rights"].as_array().unwrap().contains(&json!("publish-camera")));
    for guess in ["", "x", &"A".repeat(43), &secret(&room, "guest").unwrap()[..42]] {
        assert_eq!(opens(&by_link(guess)).await, 401, "{guess}");
    }
    let tickets = [house.ticket(&host), house.ticket(&first)];
    let holds = |at: usize| matches!(house.standing(&tickets[at], "own"), Standing::AtMost(_));
    assert!(holds(0) && holds(1));
    assert!(matches!(house.standing(&Ticket::from("TK_1.RL_guessed"), "own"), Standing::Over));

    let renewed = house.answer(POST, "/rooms/own/links/guest", &owner, &json!({})).await;
    assert_eq!(renewed.0, 200);
    let second = by_link(&secret(&renewed.1, "guest").unwrap());
    assert_eq!((opens(&first).await, opens(&second).await, opens(&host).await), (401, 200, 200));
    assert_eq!(house.standing(&tickets[1], "own"), Standing::Over);
    assert!(holds(0));
    let revoked = house.answer(DELETE, "/rooms/own/links/guest", &owner, &nothing()).await;
    assert_eq!((revoked.0, secret(&revoked.1, "guest")), (200, None));
    assert_eq!((opens(&second).await, opens(&host).await), (401, 200));

    assert_eq!(house.status(DELETE, "/rooms/own", &owner, &nothing()).await, 200);
    assert_eq!(opens(&host).await, 401);
    assert_eq!(house.standing(&tickets[0], "own"), Standing::Over);
    let join = json!({ "roomName": "own", "participantName": "Ada" });
    assert_eq!(house.status(POST, "/token", &owner, &join).await, 410, "closed for its owner, too");
    assert_eq!(house.status(POST, "/rooms", &owner, &json!({ "name": "own" })).await, 409);
    for (method, path) in [(GET, "/rooms/own"), (DELETE, "/rooms/own"), (POST, "/rooms/own/links/guest")] {
        assert_eq!(house.status(method, path, &owner, &nothing()).await, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_set_is_what_somebody_may_at_their_next_request_and_in_the_call() {
    let house = owned(Access::Invite).await;
    let room = house.make(&json!({ "name": "own", "guests": ["publish-camera", "list"] })).await;
    let guest = by_link(&secret(&room, "guest").unwrap());
    let camera = |standing| match standing {
        Standing::AtMost(grants) => grants.can_publish_sources.join(" "),
        other => format!("{other:?}"),
    };
    assert_eq!(house.status(GET, "/recordings", &guest, &nothing()).await, 200);
    let ticket = house.ticket(&guest);
    assert_eq!(camera(house.standing(&ticket, "own")), "camera");
    assert_eq!(house.standing(&ticket, "other"), Standing::Over, "it is of its own room");
    let change = json!({ "guests": ["publish-microphone"], "maxParticipants": 3 });
    let (status, changed) = house.answer(PATCH, "/rooms/own", &house.owner(), &change).await;
    assert_eq!((status, &changed["maxParticipants"]), (200, &json!(3)));
    assert_eq!(house.status(GET, "/recordings", &guest, &nothing()).await, 403);
    assert_eq!(camera(house.standing(&ticket, "own")), "microphone");
    for change in
        [json!({ "guests": ["manage"] }), json!({ "guests": ["delete"] }), json!({ "hosts": ["chat"] })]
    {
        assert_eq!(house.status(PATCH, "/rooms/own", &house.owner(), &change).await, 400, "{change}");
    }
}

#[tokio::test]
async fn whoever_shows_a_link_is_who_it_is_for_and_it_is_nothing_where_access_is_open() {
    let house = owned(Access::Invite).await;
    let room = house.make(&json!({ "name": "own" })).await;
    let link = secret(&room, "guest");
    let both = Shows { link: link.clone(), ..house.owner() };
    assert_eq!(house.status(GET, "/rooms", &both, &nothing()).await, 403, "the owner tries a guest's link");
    let over = Shows { link: Some("A".repeat(43)), ..house.owner() };
    assert_eq!(house.status(GET, "/rooms", &over, &nothing()).await, 200, "it counts as nothing");
    let forged = Shows { csrf: None, ..over };
    assert_eq!(house.status(DELETE, "/rooms/own", &forged, &nothing()).await, 403);

    let open = owned(Access::Open).await;
    let (status, _) = open.answer(GET, "/recordings", &Shows { link, ..Shows::default() }, &nothing()).await;
    assert_eq!(status, 200);
    let ticket = Ticket::from("TK_1");
    assert_eq!(open.app.tickets().standing(&ticket, &"own".into()), Standing::AsSaid);
    assert_eq!(
        house.app.tickets().standing(&ticket, &"own".into()),
        Standing::Over,
        "of when access was open"
    );
}

#[tokio::test]
async fn a_pass_plays_its_recording_in_portions_until_the_link_is_over_and_opens_nothing_else() {
    let house = owned(Access::Invite).await;
    let room = house.make(&json!({ "name": "own", "guests": ["list", "play"] })).await;
    let guest = by_link(&secret(&room, "guest").unwrap());
    let (status, said) = house.answer(GET, "/recordings/own.mp4/pass", &guest, &nothing()).await;
    assert_eq!(status, 200);
    let address = said["recordingUrl"].as_str().unwrap();
    let ask = async |method: &Method, uri: &str| {
        let request = Request::builder().method(method).uri(uri).header(RANGE, "bytes=0-");
        let request = request.extension(Asker(None)).body(Body::empty()).unwrap();
        house.app.routes().doors().oneshot(request).await.unwrap()
    };
    let played = ask(GET, address).await;
    assert_eq!(played.status(), 206);
    assert_eq!(played.headers()[CONTENT_DISPOSITION], "inline");
    assert_eq!(ask(GET, &format!("{address}&download")).await.status(), 403, "it may not be kept");
    let pass = address.split_once('?').unwrap().1;
    for (method, path) in [
        (GET, "/recordings"),
        (GET, "/recordings/other.mp4"),
        (GET, "/recordings/own.mp4/url"),
        (GET, "/link"),
        (POST, "/token"),
        (DELETE, "/recordings/own.mp4"),
    ] {
        assert_eq!(ask(method, &format!("{path}?{pass}")).await.status(), 401, "{method} {path}");
    }
    assert_eq!(house.status(DELETE, "/rooms/own/links/guest", &house.owner(), &nothing()).await, 200);
    assert_eq!(ask(GET, address).await.status(), 401);
}

#[tokio::test]
async fn a_download_that_is_under_way_ends_when_the_link_into_the_room_does_or_grants_no_play() {
    /// More than a store reads at once, and than any buffer on the way holds.
    const LONG: usize = 8_000_000;
    for end in ["revoked", "renewed", "expired", "grants less", "deleted"] {
        let house = owned(Access::Invite).await;
        let owner = house.owner();
        house.record("long", LONG).await;
        let room = house.make(&json!({ "name": "long", "guests": ["list", "play", "download"] })).await;
        let host = by_link(&secret(&room, "host").unwrap());
        let soon = clock::now().unix_ms + 2000;
        let said = if end == "expired" { json!({ "expiresAt": soon }) } else { nothing() };
        let (_, room) = house.answer(POST, "/rooms/long/links/guest", &owner, &said).await;
        let guest = by_link(&secret(&room, "guest").unwrap());
        let (_, pass) = house.answer(GET, "/recordings/long.mp4/pass", &guest, &nothing()).await;
        let address = format!("{}&download", pass["recordingUrl"].as_str().unwrap());
        let by_header = house.ask(GET, "/recordings/long.mp4?download", &guest, &nothing()).await;
        let by_pass = house.ask(GET, &address, &Shows::default(), &nothing()).await;
        let by_host = house.ask(GET, "/recordings/long.mp4?download", &host, &nothing()).await;
        let (link, bare) = ("/rooms/long/links/guest", json!({ "guests": ["list"] }));
        let status = match end {
            "revoked" => house.status(DELETE, link, &owner, &nothing()).await,
            "renewed" => house.status(POST, link, &owner, &nothing()).await,
            "grants less" => house.status(PATCH, "/rooms/long", &owner, &bare).await,
            "deleted" => house.status(DELETE, "/rooms/long", &owner, &nothing()).await,
            _ => {
                let left_ms = u64::try_from(soon - clock::now().unix_ms).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(left_ms + 1)).await;
                200
            }
        };
        assert_eq!(status, 200, "{end}");
        let answers = [(by_header, true), (by_pass, true), (by_host, end == "deleted")];
        for (answer, is_cut) in answers {
            assert_eq!(answer.status(), 200, "{end}");
            // Nobody reads: it is cut all the same.
            let cut = answer.extensions().get::<Cut>().unwrap().clone();
            let waited = tokio::time::timeout(Duration::from_millis(1500), cut.cut()).await;
            assert_eq!(waited.is_ok(), is_cut, "{end}");
            let pieces = answer.into_body().into_data_stream().collect::<Vec<_>>().await;
            let bytes: usize = pieces.iter().flatten().map(|piece| piece.len()).sum();
            assert_eq!(bytes < LONG && pieces.iter().any(Result::is_err), is_cut, "{end}: {bytes}");
        }
    }
}

#[tokio::test]
async fn whoever_came_by_a_session_or_a_key_that_is_over_stays_and_does_not_come_again() {
    let house = owned(Access::Invite).await;
    let (accounts, now) = (house.app.accounts(), clock::now());
    let session = accounts.session(&house.signed_in(), now).unwrap();
    let key = KeyId::from(&house.key(&["join", "publish-camera"])[..15]);
    let idle = KeyId::from(&house.key(&["list"])[..15]);
    let by_session = Origin::Session(session.clone()).ticket();
    let by_key = Origin::Key(key.clone()).ticket();
    for ticket in [&by_session, &by_key] {
        assert!(matches!(house.standing(ticket, "any"), Standing::AtMost(grants) if grants.room == "any"));
    }
    assert_eq!(house.standing(&Origin::Key(idle).ticket(), "any"), Standing::NotAgain, "it may not join");
    accounts.end_session(&session).unwrap();
    accounts.revoke_key(&key, now).unwrap();
    for ticket in [&by_session, &by_key] {
        assert_eq!(house.standing(ticket, "any"), Standing::NotAgain);
    }
    house.make(&json!({ "name": "own" })).await;
    assert_eq!(house.status(DELETE, "/rooms/own", &house.owner(), &nothing()).await, 200);
    assert_eq!(house.standing(&by_key, "own"), Standing::Over, "nobody stays in a room that was deleted");
}

#[tokio::test]
async fn a_room_that_asks_for_consent_is_not_recorded_where_nobody_sees_to_it() {
    let house = owned(Access::Invite).await;
    let owner = house.owner();
    let room = house.make(&json!({ "name": "own", "consent": true })).await;
    assert_eq!(room["consent"], json!(true));
    let host = by_link(&secret(&room, "host").unwrap());
    let start = json!({ "roomName": "own" });
    // The media server of this house is another program's.
    for shows in [&owner, &host] {
        let (status, said) = house.answer(POST, "/recordings/start", shows, &start).await;
        assert_eq!(status, 409, "{said}");
        assert!(said["errorMessage"].as_str().unwrap().contains("switch consent off"), "{said}");
    }
    let (_, said) = house.answer(GET, "/link", &host, &nothing()).await;
    assert_eq!(said["consent"], json!(false), "nobody is asked what nobody sees to");
    assert!(
        house.app.tickets().asks_consent(&"own".into()) && !house.app.tickets().asks_consent(&"other".into())
    );
    let off = json!({ "consent": false });
    let (status, changed) = house.answer(PATCH, "/rooms/own", &owner, &off).await;
    assert_eq!((status, &changed["consent"]), (200, &json!(false)));
    assert_eq!(house.status(POST, "/recordings/start", &owner, &start).await, 502, "it gets as far as that");
}

/// A media server that says which rooms it was to look at again.
struct Looked(tokio::sync::mpsc::UnboundedSender<RoomName>);

impl Media for Looked {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn recheck(&self, room: &RoomName) -> BoxFuture<'static, ()> {
        let _ = self.0.send(room.clone());
        Box::pin(async {})
    }
}

#[tokio::test]
async fn what_takes_a_right_away_reaches_those_who_are_in_before_the_disk_has_answered() {
    let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
    let house = house_of_media(Arc::new(Looked(looked))).await;
    let new = NewRoom { name: "own", settings: Settings::default(), expires_ms: None };
    let room = house.app.rooms().make(new, clock::now().unix_ms, &mut rand::rng()).unwrap();
    let guest = room.links.iter().find(|link| link.role == Role::Guest).unwrap().id.clone();
    let (answer, disk) = std::sync::mpsc::channel::<()>();
    let app = house.app.clone();
    let revoking = tokio::spawn(async move {
        let work = move |rooms: &Rooms| {
            let revoked = rooms.revoke(&"own".into(), Role::Guest);
            // As a disk that hangs.
            let _ = disk.recv();
            revoked
        };
        done(&app, Some("own".into()), work).await
    });
    assert_eq!(looks.recv().await.unwrap().as_str(), "own");
    assert!(house.app.rooms().caller(&guest, clock::now().unix_ms).is_none(), "it holds by then");
    assert!(!revoking.is_finished());
    answer.send(()).unwrap();
    assert!(revoking.await.unwrap().is_ok());
    assert_eq!(looks.recv().await.unwrap().as_str(), "own", "and once more at its end");
}
