//! What whoever shares, and whoever watches by a link, get of the REST API.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, ETAG, IF_MATCH, IF_RANGE,
    RANGE, RETRY_AFTER, SET_COOKIE, USER_AGENT,
};
use axum::http::{HeaderName, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use reelroom_access::{Caller, Right, Rights};
use reelroom_limits::shares::SHARE_TRIES_BURST_ADDRESS;
use reelroom_routes::{Needs, Visitor};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::extract::{Json, Path};
use crate::shares::{links, tend};
use crate::tests::house::{House, SIZE, Shows, body, owned};

const GET: &Method = &Method::GET;
const HEAD: &Method = &Method::HEAD;
const POST: &Method = &Method::POST;
const PATCH: &Method = &Method::PATCH;
const DELETE: &Method = &Method::DELETE;
const OWN: &str = "/recordings/own.mp4/shares";
/// More than a store reads at once, and than any buffer on the way holds.
const LONG: usize = 8_000_000;

/// A link that somebody made.
struct Link {
    id: String,
    secret: String,
}

/// A browser that opened a link.
struct Viewer {
    id: String,
    /// Name and value.
    cookie: String,
}

async fn make(house: &House, who: &Shows, at: &str, said: Value) -> Link {
    let (status, made) = house.answer(POST, at, who, &said).await;
    assert_eq!(status, 200, "{made}");
    let secret = made["link"].as_str().unwrap().strip_prefix("/watch#").unwrap().to_owned();
    Link { id: made["share"]["id"].as_str().unwrap().to_owned(), secret }
}

async fn try_to_open(house: &House, secret: &str, password: Option<&str>, from: &'static str) -> Response {
    let shows = Shows { address: Some(from), ..Shows::default() };
    house.ask(POST, "/watch/open", &shows, &json!({ "secret": secret, "password": password })).await
}

async fn open(house: &House, link: &Link) -> Viewer {
    let answer = try_to_open(house, &link.secret, None, "192.0.2.1").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    Viewer { id: link.id.clone(), cookie }
}

async fn status_of_opening(house: &House, link: &Link) -> u16 {
    try_to_open(house, &link.secret, None, "192.0.2.1").await.status().as_u16()
}

async fn ask(
    house: &House,
    method: &Method,
    path: &str,
    cookie: &str,
    headers: &[(HeaderName, &str)],
) -> Response {
    let mut request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    house.app.routes().doors().oneshot(request).await.unwrap()
}

impl Viewer {
    async fn file(
        &self,
        house: &House,
        method: &Method,
        query: &str,
        headers: &[(HeaderName, &str)],
    ) -> Response {
        ask(house, method, &format!("/watch/{}/file{query}", self.id), &self.cookie, headers).await
    }

    async fn status(&self, house: &House) -> u16 {
        ask(house, GET, &format!("/watch/{}", self.id), &self.cookie, &[]).await.status().as_u16()
    }
}

/// Waits for a time of the clock: Unix milliseconds.
async fn until(unix_ms: i64) {
    while clock::now().unix_ms < unix_ms {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many bytes still come, and whether they come to their end.
async fn rest(
    body: &mut (impl futures::Stream<Item = Result<axum::body::Bytes, axum::Error>> + Unpin),
) -> (usize, bool) {
    let mut bytes = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(5), body.next()).await.expect("it goes on or ends") {
            Some(Ok(piece)) => bytes += piece.len(),
            Some(Err(_)) => return (bytes, false),
            None => return (bytes, true),
        }
    }
}

#[tokio::test]
async fn a_link_shows_its_recording_to_whoever_has_it_in_both_modes() {
    for access in [Access::Open, Access::Invite] {
        let house = owned(access).await;
        let owner = Shows::of(&house.signed_in());
        let maker = if access == Access::Open { &Shows::default() } else { &owner };
        let link = make(&house, maker, OWN, json!({ "name": "for Ada" })).await;

        let answer = try_to_open(&house, &link.secret, None, "192.0.2.1").await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        let (pair, attributes) = cookie.split_once(';').unwrap();
        assert_eq!(attributes, format!(" Path=/watch/{}; HttpOnly; SameSite=Strict", link.id));
        assert!(!pair.contains(&link.secret));
        let shown = body(answer).await;
        assert_eq!(
            shown,
            json!({
                "id": link.id, "file": format!("/watch/{}/file", link.id), "title": "own",
                "startedAt": 1_767_262_210_123_i64, "duration": 5.5, "status": "complete", "download": false,
            }),
            "neither the file's name nor its size is told"
        );
        let viewer = Viewer { id: link.id.clone(), cookie: pair.to_owned() };
        assert_eq!(viewer.status(&house).await, 200);
        let part = viewer.file(&house, GET, "", &[(RANGE, "bytes=0-")]).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);

        // Whoever may do everything sees by the link what others see.
        let both = format!("{}; reelroom={}", viewer.cookie, owner.session.clone().unwrap());
        let path = format!("/watch/{}/file", link.id);
        assert_eq!(ask(&house, GET, &path, &both, &[]).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(ask(&house, GET, &path, "", &[(RANGE, "bytes=0-")]).await.status(), 401);
        let by_session = format!("reelroom={}", owner.session.clone().unwrap());
        assert_eq!(ask(&house, GET, &path, &by_session, &[(RANGE, "bytes=0-")]).await.status(), 401);
    }
}

#[tokio::test]
async fn by_a_link_to_play_nobody_gets_the_whole_file_or_a_name_for_it() {
    for access in [Access::Open, Access::Invite] {
        let house = owned(access).await;
        let link = make(&house, &Shows::of(&house.signed_in()), OWN, json!({})).await;
        let viewer = open(&house, &link).await;
        let first = viewer.file(&house, GET, "", &[(RANGE, "bytes=0-")]).await;
        let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
        let etag = etag.as_str();
        for headers in [
            vec![(RANGE, "bytes=0-")],
            vec![(RANGE, "bytes=0-4999")],
            vec![(RANGE, "bytes=-5000")],
            vec![(RANGE, "bytes=0-10,5-4999")],
            vec![(RANGE, "bytes=0-"), (USER_AGENT, "curl/8.14.1")],
            vec![(RANGE, "bytes=0-"), (IF_RANGE, etag)],
            vec![(RANGE, "bytes=0-"), (IF_MATCH, etag)],
            vec![(RANGE, "bytes=0-"), (IF_MATCH, "*")],
        ] {
            for query in ["", "?download=0", "?signature=x&expires=9999999999&file=x"] {
                let part = viewer.file(&house, GET, query, &headers).await;
                assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{headers:?} {query}");
                assert_eq!(part.headers()[CONTENT_RANGE], "bytes 0-999/5000", "{headers:?} {query}");
                assert_eq!(part.headers()[CONTENT_DISPOSITION], "inline");
                let bytes = axum::body::to_bytes(part.into_body(), SIZE).await.unwrap();
                assert_eq!(bytes.len(), 1000, "{headers:?} {query}");
            }
        }
        for (query, headers, status) in [
            ("", vec![], 403),
            ("?download", vec![(RANGE, "bytes=0-")], 403),
            ("?download=1", vec![], 403),
            ("", vec![(RANGE, "bytes=0-10,20-4999")], 403),
            ("", vec![(RANGE, "bytes=0-10"), (RANGE, "bytes=0-4999")], 403),
            ("", vec![(RANGE, "seconds=0-")], 403),
            ("", vec![(USER_AGENT, "curl/8.14.1")], 403),
            ("", vec![(IF_MATCH, etag)], 403),
            ("", vec![(RANGE, "bytes=5-"), (IF_RANGE, "\"another\"")], 412),
            ("", vec![(RANGE, "bytes=5000-")], 416),
        ] {
            let refused = viewer.file(&house, GET, query, &headers).await;
            assert_eq!(refused.status().as_u16(), status, "{query} {headers:?}");
            assert!(!refused.headers().contains_key(CONTENT_DISPOSITION), "{query} {headers:?}");
        }
        let head = viewer.file(&house, HEAD, "", &[]).await;
        assert_eq!(
            (head.status(), &head.headers()[CONTENT_DISPOSITION]),
            (StatusCode::OK, &"inline".parse().unwrap())
        );
        assert_eq!(head.headers()[CONTENT_LENGTH], "5000");
        assert!(axum::body::to_bytes(head.into_body(), SIZE).await.unwrap().is_empty());
        assert_eq!(viewer.file(&house, HEAD, "?download", &[]).await.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn by_a_link_to_download_the_whole_file_comes_with_its_name() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let link = make(&house, &owner, OWN, json!({ "download": true })).await;
    let viewer = open(&house, &link).await;
    let whole = viewer.file(&house, GET, "?download", &[]).await;
    assert_eq!(whole.headers()[CONTENT_DISPOSITION], "attachment; filename=\"own.mp4\"");
    assert_eq!(axum::body::to_bytes(whole.into_body(), SIZE).await.unwrap().len(), SIZE);
    let shown = ask(&house, GET, &format!("/watch/{}", link.id), &viewer.cookie, &[]).await;
    assert_eq!(body(shown).await["size"], SIZE);

    let at = format!("{OWN}/{}", link.id);
    assert_eq!(house.status(PATCH, &at, &owner, &json!({ "download": false })).await, 200);
    assert_eq!(viewer.file(&house, GET, "?download", &[]).await.status(), 401, "it gives less than before");
    let again = open(&house, &link).await;
    assert_eq!(again.file(&house, GET, "?download", &[]).await.status(), 403);
    assert_eq!(again.file(&house, GET, "", &[(RANGE, "bytes=0-")]).await.status(), 206);
}

#[tokio::test]
async fn a_ticket_is_good_for_its_link_and_opens_nothing_else() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let link = make(&house, &owner, OWN, json!({ "download": true })).await;
    let other = make(&house, &owner, OWN, json!({})).await;
    let elsewhere = make(&house, &owner, "/recordings/other.mp4/shares", json!({})).await;
    let viewer = open(&house, &link).await;
    for link in [&other, &elsewhere] {
        for path in [format!("/watch/{}", link.id), format!("/watch/{}/file", link.id)] {
            let answer = ask(&house, GET, &path, &viewer.cookie, &[(RANGE, "bytes=0-")]).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    let as_key = Shows::key(viewer.cookie.split_once('=').unwrap().1);
    for row in WebApp::table() {
        if !matches!(row.needs, Needs::Right(..) | Needs::RightOrProof(..)) {
            continue;
        }
        let (method, path) =
            (row.method.unwrap(), row.path.replace("{name}", "own.mp4").replace("{id}", &link.id));
        let answer = ask(&house, &method, &path, &viewer.cookie, &[]).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(house.status(&method, &path, &as_key, &json!({})).await, 401, "{method} {path}");
    }
    let by_session = format!("reelroom={}", viewer.cookie.split_once('=').unwrap().1);
    assert_eq!(ask(&house, GET, "/recordings", &by_session, &[]).await.status(), 401);
}

#[tokio::test]
async fn what_is_guessed_expired_or_revoked_opens_nothing() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    for guess in ["", "x", &"A".repeat(43), &"ä".repeat(1000)] {
        assert_eq!(try_to_open(&house, guess, None, "192.0.2.1").await.status(), StatusCode::GONE, "{guess}");
    }
    let soon = clock::now().unix_ms + 1500;
    let short = make(&house, &owner, OWN, json!({ "expiresAt": soon })).await;
    let viewer = open(&house, &short).await;
    until(soon).await;
    assert_eq!((viewer.status(&house).await, status_of_opening(&house, &short).await), (401, 410));

    let link = make(&house, &owner, OWN, json!({})).await;
    let viewer = open(&house, &link).await;
    let (status, answer) = house.answer(DELETE, &format!("{OWN}/{}", link.id), &owner, &json!({})).await;
    assert!(status == 200 && answer["share"]["revokedAt"].is_i64(), "{answer}");
    assert_eq!((viewer.status(&house).await, status_of_opening(&house, &link).await), (401, 410));
    assert_eq!(viewer.file(&house, GET, "", &[(RANGE, "bytes=0-")]).await.status(), 401);
    let (_, listed) = house.answer(GET, OWN, &owner, &json!({})).await;
    assert_eq!(listed["shares"].as_array().unwrap().len(), 2, "both are listed, with their views");
    let elsewhere = format!("/recordings/other.mp4/shares/{}", link.id);
    assert_eq!(house.status(DELETE, &elsewhere, &owner, &json!({})).await, 404);
}

#[tokio::test]
async fn an_answer_that_is_under_way_ends_when_its_link_does() {
    for end in ["revoked", "expired", "gives less", "deleted"] {
        let house = owned(Access::Invite).await;
        let owner = Shows::of(&house.signed_in());
        house.record("long", LONG).await;
        let at = "/recordings/long.mp4/shares";
        let link = make(&house, &owner, at, json!({ "download": true })).await;
        let unending = make(&house, &owner, "/recordings/own.mp4/shares", json!({ "download": true })).await;
        let (viewer, bystander) = (open(&house, &link).await, open(&house, &unending).await);
        // Slow readers: they take the first piece, and go on when it is too late.
        let slow = viewer.file(&house, GET, "?download", &[]).await;
        let other = bystander.file(&house, GET, "?download", &[]).await;
        let mut slow = slow.into_body().into_data_stream();
        let first = slow.next().await.unwrap().unwrap().len();
        let share = format!("{at}/{}", link.id);
        let status = match end {
            "revoked" => house.status(DELETE, &share, &owner, &json!({})).await,
            "deleted" => house.status(DELETE, "/recordings/long.mp4", &owner, &json!({})).await,
            "gives less" => house.status(PATCH, &share, &owner, &json!({ "download": false })).await,
            _ => {
                let soon = clock::now().unix_ms + 1000;
                let status = house.status(PATCH, &share, &owner, &json!({ "expiresAt": soon })).await;
                until(soon).await;
                status
            }
        };
        assert_eq!(status, 200, "{end}");
        let (bytes, is_whole) = rest(&mut slow).await;
        assert!(!is_whole && first + bytes < LONG, "{end}: {first} and {bytes}");
        assert_eq!(rest(&mut other.into_body().into_data_stream()).await, (SIZE, true), "{end}");
        assert_eq!(viewer.status(&house).await, 401, "{end}");
        assert_eq!(bystander.status(&house).await, 200, "{end}");
        let opens = status_of_opening(&house, &link).await;
        assert_eq!(opens, if end == "gives less" { 200 } else { 410 }, "{end}");
        let (_, listed) = house.answer(GET, at, &owner, &json!({})).await;
        assert_eq!(listed["shares"].as_array().unwrap().is_empty(), end == "deleted", "{listed}");
    }
}

#[tokio::test]
async fn a_link_with_a_password_asks_for_it_and_whoever_guesses_waits() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    assert_eq!(house.status(POST, OWN, &owner, &json!({ "password": "short" })).await, 400);
    let link = make(&house, &owner, OWN, json!({ "password": "open sesame" })).await;
    let told = try_to_open(&house, &link.secret, None, "192.0.2.1").await;
    assert_eq!(told.status(), StatusCode::UNAUTHORIZED);
    assert!(!told.headers().contains_key(SET_COOKIE));
    for _ in 0..SHARE_TRIES_BURST_ADDRESS {
        let told = try_to_open(&house, &link.secret, Some("a guess"), "192.0.2.1").await;
        assert_eq!(told.status(), StatusCode::UNAUTHORIZED);
    }
    let told = try_to_open(&house, &link.secret, Some("open sesame"), "192.0.2.1").await;
    assert_eq!(told.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(told.headers().contains_key(RETRY_AFTER));
    let told = try_to_open(&house, &link.secret, Some("open sesame"), "192.0.2.2").await;
    assert_eq!(told.status(), StatusCode::OK);

    let at = format!("{OWN}/{}", link.id);
    let (_, changed) =
        house.answer(PATCH, &at, &owner, &json!({ "password": null, "name": "for all" })).await;
    assert_eq!(
        (&changed["share"]["hasPassword"], &changed["share"]["name"]),
        (&json!(false), &json!("for all"))
    );
    assert_eq!(status_of_opening(&house, &link).await, 200);
    let (_, same) = house.answer(PATCH, &at, &owner, &json!({})).await;
    assert_eq!(same["share"]["name"], "for all", "what is not said stays");
}

#[tokio::test]
async fn the_log_of_views_says_when_from_where_and_how_far() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let link = make(&house, &owner, OWN, json!({})).await;
    let before = clock::now().unix_ms;
    let viewer = open(&house, &link).await;
    for range in ["bytes=0-", "bytes=1000-1499", "bytes=0-99"] {
        let part = viewer.file(&house, GET, "", &[(RANGE, range)]).await;
        axum::body::to_bytes(part.into_body(), SIZE).await.unwrap();
    }
    assert_eq!(try_to_open(&house, &link.secret, None, "198.51.100.7").await.status(), StatusCode::OK);
    let (status, log) = house.answer(GET, &format!("{OWN}/{}/views", link.id), &owner, &json!({})).await;
    assert_eq!((status, &log["count"]), (200, &json!(2)), "{log}");
    let from = |address: &str| {
        let mut views = log["views"].as_array().unwrap().iter();
        views.find(|view| view["address"] == address).unwrap()
    };
    assert_eq!(from("198.51.100.7")["reachedBytes"], 0, "{log}");
    let first = from("192.0.2.1");
    assert_eq!((&first["sentBytes"], &first["reachedBytes"]), (&json!(1600), &json!(1500)), "{log}");
    let (begun, seen) = (first["begunAt"].as_i64().unwrap(), first["seenAt"].as_i64().unwrap());
    assert!(before <= begun && begun <= seen && seen <= clock::now().unix_ms);
    let (_, listed) = house.answer(GET, OWN, &owner, &json!({})).await;
    let share = &listed["shares"][0];
    assert_eq!(
        (&share["views"], &share["watching"], &share["download"]),
        (&json!(2), &json!(2), &json!(false))
    );
    assert!(share["viewedAt"].as_i64().unwrap() >= begun);
    assert!(!listed.to_string().contains(&link.secret), "a secret is shown once");
    assert_eq!(house.truth().share_views(&link.id).unwrap().len(), 2);
}

#[tokio::test]
async fn a_link_gives_no_more_than_whoever_makes_it_has() {
    let house = owned(Access::Invite).await;
    let key = |words: &[&str]| Shows::key(&house.key(words));
    let make = async |words: &[&str], said: Value| house.status(POST, OWN, &key(words), &said).await;
    assert_eq!(make(&["share", "play"], json!({})).await, 200);
    assert_eq!(make(&["share", "play"], json!({ "download": true })).await, 403);
    assert_eq!(make(&["share", "download"], json!({ "download": true })).await, 403);
    assert_eq!(make(&["share"], json!({})).await, 403);
    assert_eq!(make(&["play", "download"], json!({})).await, 403);
    assert_eq!(make(&["share", "play", "download"], json!({ "download": true })).await, 200);
    let plays = key(&["share", "play"]);
    let link = self::make(&house, &plays, OWN, json!({})).await;
    let at = format!("{OWN}/{}", link.id);
    assert_eq!(house.status(PATCH, &at, &plays, &json!({ "download": true })).await, 403);
    assert_eq!(house.status(PATCH, &at, &key(&["share"]), &json!({ "download": false })).await, 200);
}

#[tokio::test]
async fn a_link_is_opened_up_by_those_alone_who_have_what_it_gives_and_ended_by_whoever_shares() {
    let house = owned(Access::Invite).await;
    let [shares, plays, keeps] = [&["share"][..], &["share", "play"], &["share", "play", "download"]]
        .map(|words| Shows::key(&house.key(words)));
    let in_hours = |hours: i64| clock::now().unix_ms + hours * 3_600_000;
    let owner = Shows::of(&house.signed_in());
    for (download, may) in [(false, &plays), (true, &keeps)] {
        let said = json!({ "download": download, "password": "open sesame", "expiresAt": in_hours(5) });
        let link = make(&house, &owner, OWN, said.clone()).await;
        let (at, as_made) = (format!("{OWN}/{}", link.id), said);
        let change = async |who: &Shows, said: Value| house.status(PATCH, &at, who, &said).await;
        for said in [
            json!({ "password": null, "expiresAt": null }),
            json!({ "password": null }),
            json!({ "password": "known to me" }),
            json!({ "expiresAt": null }),
            json!({ "expiresAt": in_hours(6) }),
            json!({ "name": "mine" }),
        ] {
            assert_eq!(change(&shares, said.clone()).await, 403, "{download} {said}");
            let expected = if download { 403 } else { 200 };
            assert_eq!(change(&plays, said.clone()).await, expected, "{download} {said}");
            assert_eq!(change(may, said.clone()).await, 200, "{download} {said}");
            assert_eq!(change(&owner, as_made.clone()).await, 200);
        }
        assert_eq!(change(&shares, json!({ "expiresAt": in_hours(4) })).await, 200, "shorter");
        assert_eq!(change(&shares, json!({ "download": false })).await, 200, "less");
        assert_eq!(house.status(DELETE, &at, &shares, &json!({})).await, 200, "revoked");
    }
    assert_eq!(house.status(PATCH, &format!("{OWN}/SH_no"), &shares, &json!({})).await, 404);
}

#[tokio::test]
async fn links_that_were_left_by_a_deleted_recording_are_forgotten_and_others_stay() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let other = "/recordings/other.mp4/shares";
    make(&house, &owner, OWN, json!({})).await;
    make(&house, &owner, other, json!({})).await;
    let left = || {
        [house.app.shares().of_recording("own.mp4").len(), house.app.shares().of_recording("other.mp4").len()]
    };
    // Its deletion is under way, or failed.
    house.truth().begin_to_dismiss("recordings/other.mp4", "EG_other").await.unwrap();
    tend::forget_left(&house.app).await.unwrap();
    assert_eq!(left(), [1, 1]);
    // As by a program that was killed then.
    house.app.library().delete("own.mp4").await.unwrap();
    assert_eq!(left(), [1, 1]);
    tend::forget_left(&house.app).await.unwrap();
    assert_eq!(left(), [0, 1]);

    house.app.library().delete("other.mp4").await.unwrap();
    assert_eq!(house.status(DELETE, "/recordings/other.mp4", &owner, &json!({})).await, 404);
    assert_eq!(left(), [0, 0], "who deletes it again forgets them, too");
}

#[tokio::test]
async fn a_recording_is_shared_by_the_host_of_its_room_and_not_by_those_who_were_shown_it() {
    let house = owned(Access::Invite).await;
    let (all, room) = (Rights::ALL, "own");
    let host = Caller::Host { room: room.into(), granted: Rights::NONE };
    let guest = Caller::Guest { room: room.into(), granted: all };
    let viewer = Caller::Viewer { recording: "own.mp4".into(), granted: all };
    for (caller, name, status) in [
        (&host, "own.mp4", 200),
        (&host, "other.mp4", 403),
        (&host, "no.mp4", 403),
        (&guest, "own.mp4", 403),
        (&viewer, "own.mp4", 403),
        (&Caller::Owner, "no.mp4", 404),
        (&Caller::Nobody, "own.mp4", 401),
    ] {
        let visitor = Visitor::new(caller.clone(), Right::Share);
        let said = Json(serde_json::from_value(json!({ "download": true })).unwrap());
        let (app, actor) = (State(house.app.clone()), Actor::server(&house.app));
        let answer =
            links::make_share(app, visitor, actor, Path(name.to_owned()), said).await.into_response();
        assert_eq!(answer.status().as_u16(), status, "{caller:?} {name}");
    }
    assert_eq!(house.app.shares().of_recording("own.mp4").len(), 1);
    assert!(house.app.shares().of_recording("other.mp4").is_empty());
}
