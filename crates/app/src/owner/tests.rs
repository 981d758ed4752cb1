//! What the owner's browser, programs with keys, and everybody else get.

use axum::http::Method;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE};
use axum::response::Response;
use reelroom_access::Right;
use reelroom_accounts::AccountsError;
use reelroom_limits::accounts::{SIGN_IN_EVERY_ADDRESS, SIGN_INS_BURST_ADDRESS};
use reelroom_routes::Needs;
use serde_json::{Value, json};

use crate::app::WebApp;
use crate::config::Access;
use crate::error::ApiError;
use crate::tests::house::{House, PASSWORD, Shows, body, house, owned};

const OTHER: &str = "staple of another kind";
const GET: &Method = &Method::GET;
const POST: &Method = &Method::POST;
const PUT: &Method = &Method::PUT;
const DELETE: &Method = &Method::DELETE;

fn nothing() -> Value {
    json!({})
}

fn nobody() -> Shows {
    Shows::default()
}

/// Each route that needs a right, with names that nothing has.
fn routes_with_rights() -> Vec<(Right, Method, String)> {
    let rows = WebApp::table().into_iter();
    let rows = rows.filter(|row| matches!(row.needs, Needs::Right(..) | Needs::RightOrProof(..)));
    rows.map(|row| {
        let path = row.path.replace("{name}", "no.mp4").replace("{id}", "no");
        (row.needs.right().unwrap(), row.method.unwrap(), path)
    })
    .collect()
}

fn is_of_session(method: &Method, path: &str) -> bool {
    (method, path) == (PUT, "/owner/password") || (method, path) == (DELETE, "/owner/session")
}

fn change(old: &str, new: &str) -> Value {
    json!({ "old": old, "new": new })
}

/// The cookies that an answer has a browser keep.
fn cookies(response: &Response) -> Vec<String> {
    let lines = response.headers().get_all(SET_COOKIE).iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// The value of the cookie of this name.
fn value(cookies: &[String], name: &str) -> String {
    let mut found = cookies.iter().filter_map(|cookie| cookie.strip_prefix(&format!("{name}=")));
    found.next().unwrap().split(';').next().unwrap().to_owned()
}

async fn is_signed_in(house: &House, shows: &Shows) -> bool {
    let (status, said) = house.answer(GET, "/owner/session", shows, &nothing()).await;
    assert_eq!(status, 200);
    said["signedIn"].as_bool().unwrap()
}

#[tokio::test]
async fn each_route_is_for_its_owner_and_for_keys_with_its_right_and_for_nobody_else() {
    let house = owned(Access::Invite).await;
    let over = Shows::of(&house.signed_in_long_ago());
    for (right, method, path) in routes_with_rights() {
        let what = format!("{method} {path}");
        // A session of its own, as one of the routes ends it.
        let owner = Shows::of(&house.signed_in());
        let mut words = vec![right.word()];
        if path == "/events" {
            // What is told is of the list.
            words.push(Right::List.word());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let with = Shows::key(&house.key(&words));
        let others: Vec<String> =
            Right::ALL.iter().filter(|other| **other != right).map(|other| other.word()).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let without = Shows::key(&house.key(&others));
        let key = |shows: &Shows| shows.key.clone().unwrap();
        // The name of one with the secret of another.
        let forged = Shows::key(&format!("{}{}", &key(&with)[..16], &key(&without)[16..]));
        let said = change("", "");
        for (shows, expected) in [(&nobody(), 401), (&over, 401), (&forged, 401), (&without, 403)] {
            assert_eq!(house.status(&method, &path, shows, &said).await, expected, "{what}");
        }
        // Before the key, which may end the session.
        let by_owner = house.status(&method, &path, &owner, &said).await;
        assert!(![401, 403, 500].contains(&by_owner), "{what}: {by_owner}");
        let by_key = house.status(&method, &path, &with, &said).await;
        assert_eq!([401, 403, 500].contains(&by_key), is_of_session(&method, &path), "{what}: {by_key}");
    }
}

#[tokio::test]
async fn a_word_that_is_no_right_of_this_version_gives_none() {
    let house = owned(Access::Invite).await;
    let key = Shows::key(&house.key(&["everything", "*", "Manage", "list"]));
    assert_eq!(house.status(GET, "/recordings", &key, &nothing()).await, 200);
    for (_, method, path) in routes_with_rights().iter().filter(|(right, ..)| *right != Right::List) {
        assert_eq!(house.status(method, path, &key, &nothing()).await, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let house = owned(Access::Invite).await;
    let (token, other) = (house.signed_in(), house.signed_in());
    let bare = Shows { csrf: None, ..Shows::of(&token) };
    let with = |csrf: &str| Shows { csrf: Some(csrf.to_owned()), ..bare.clone() };
    for (_, method, path) in routes_with_rights() {
        let is_read = [Method::GET, Method::HEAD].contains(&method);
        for shows in [&bare, &with(""), &with("x"), &with(&token.reveal()), &with(&other.csrf())] {
            let answer = house.ask(&method, &path, shows, &nothing()).await;
            let status = answer.status().as_u16();
            assert_eq!(status == 403, !is_read, "{method} {path}: {status}");
            if is_read {
                // It may go on for as long as whoever asks likes.
                continue;
            }
            let said = body(answer).await;
            let why = said["errorMessage"].as_str().unwrap_or_default();
            assert!(why.contains("X-CSRF-Token"), "{method} {path}: {why}");
        }
    }
    assert!(is_signed_in(&house, &bare).await && is_signed_in(&house, &Shows::of(&other)).await);
}

#[tokio::test]
async fn where_access_is_open_a_cookie_alone_is_what_everybody_is_and_what_is_shown_counts() {
    let house = owned(Access::Open).await;
    let token = house.signed_in();
    let bare = Shows { csrf: None, ..Shows::of(&token) };
    let everybody = [nobody(), Shows::key("eyJhbGciOi.a.token"), bare];
    for shows in &everybody {
        assert_eq!(house.status(POST, "/token", shows, &nothing()).await, 400, "it is let in");
        assert_eq!(house.status(DELETE, "/owner/sessions", shows, &nothing()).await, 403);
    }
    assert_eq!(house.status(GET, "/owner/keys", &Shows::of(&token), &nothing()).await, 200);
    let key = Shows::key(&house.key(&["list"]));
    assert_eq!(house.status(GET, "/recordings", &key, &nothing()).await, 200);
    assert_eq!(house.status(GET, "/metrics", &key, &nothing()).await, 403, "it may do what it was made for");
}

#[tokio::test]
async fn a_link_sets_the_password_once_and_signs_in() {
    let house = house(Access::Invite).await;
    let sign_in = json!({ "password": PASSWORD });
    let (status, said) = house.answer(POST, "/owner/session", &nobody(), &sign_in).await;
    assert!(status == 409 && said["errorMessage"].as_str().unwrap().contains("reelroom owner"), "{said}");
    let (older, link) = (house.link(), house.link());
    let set = async |link: &str, password: &str| {
        let said = json!({ "link": link, "password": password });
        house.ask(POST, "/owner/password", &nobody(), &said).await
    };
    assert_eq!(set(&older, PASSWORD).await.status(), 410, "a newer one was made");
    assert_eq!(set("no link", PASSWORD).await.status(), 410);
    assert_eq!(set(&link, "short").await.status(), 400);
    let done = set(&link, PASSWORD).await;
    assert_eq!((done.status().as_u16(), &done.headers()[CACHE_CONTROL]), (200, &"no-store".parse().unwrap()));
    let kept = cookies(&done);
    let said = body(done).await;
    let shows = Shows {
        session: Some(value(&kept, "reelroom")),
        csrf: said["csrf"].as_str().map(str::to_owned),
        ..nobody()
    };
    assert_eq!(house.status(GET, "/owner/keys", &shows, &nothing()).await, 200);
    assert_eq!(house.status(DELETE, "/owner/sessions", &shows, &nothing()).await, 200);
    assert_eq!(set(&link, OTHER).await.status(), 410, "it is used up");
    assert_eq!(house.status(POST, "/owner/session", &nobody(), &json!({ "password": OTHER })).await, 401);
    assert_eq!(house.status(POST, "/owner/session", &nobody(), &sign_in).await, 200);
}

#[tokio::test]
async fn cookies_are_hidden_from_scripts_and_other_sites_and_by_https_they_stay_on_it() {
    let house = owned(Access::Invite).await;
    for (scheme, prefix, secure) in
        [(None, "", ""), (Some("http"), "", ""), (Some("https"), "__Host-", "; Secure")]
    {
        let shows = Shows { scheme, ..nobody() };
        let answer = house.ask(POST, "/owner/session", &shows, &json!({ "password": PASSWORD })).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[CACHE_CONTROL]),
            (200, &"no-store".parse().unwrap())
        );
        let kept = cookies(&answer);
        assert_eq!(kept.len(), 2, "{kept:?}");
        let seconds = [30 * 24 * 60 * 60, 400 * 24 * 60 * 60];
        for ((cookie, name), seconds) in kept.iter().zip(["reelroom", "reelroom-mark"]).zip(seconds) {
            let value = value(&kept, &format!("{prefix}{name}"));
            let expected =
                format!("{prefix}{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}");
            assert_eq!(*cookie, expected);
        }
    }
}

#[tokio::test]
async fn whoever_is_wrong_too_often_waits_and_nobody_else_does() {
    let house = owned(Access::Invite).await;
    let stranger = Shows { address: Some("192.0.2.1"), ..nobody() };
    let wrong = json!({ "password": OTHER });
    for _ in 0..SIGN_INS_BURST_ADDRESS {
        let (status, said) = house.answer(POST, "/owner/session", &stranger, &wrong).await;
        assert_eq!((status, said), (401, json!({ "errorMessage": "this is not the password" })));
    }
    for password in [OTHER, PASSWORD] {
        let said = json!({ "password": password });
        let refused = house.ask(POST, "/owner/session", &stranger, &said).await;
        assert_eq!(refused.status(), 429);
        let seconds: u64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=SIGN_IN_EVERY_ADDRESS.as_secs() + 1).contains(&seconds), "{seconds}");
        let why = body(refused).await;
        let expected = format!("too many wrong passwords: try again in {seconds} s");
        assert_eq!(why, json!({ "errorMessage": expected }));
    }
    let right = json!({ "password": PASSWORD });
    let elsewhere = Shows { address: Some("192.0.2.2"), ..nobody() };
    let known = house.ask(POST, "/owner/session", &elsewhere, &right).await;
    assert_eq!(known.status(), 200);
    let mark = value(&cookies(&known), "reelroom-mark");
    let known = Shows { mark: Some(mark), ..stranger };
    assert_eq!(house.status(POST, "/owner/session", &known, &right).await, 200, "its browser is known");
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once_and_no_other() {
    let house = owned(Access::Invite).await;
    let (token, other) = (house.signed_in(), house.signed_in());
    let shows = Shows::of(&token);
    let out = house.ask(DELETE, "/owner/session", &shows, &nothing()).await;
    assert_eq!(out.status(), 200);
    let forgotten = cookies(&out);
    assert!(forgotten.len() == 2 && forgotten.iter().all(|cookie| cookie.contains("=; Max-Age=0; ")));
    assert_eq!(body(out).await, json!({ "signedIn": false }));
    assert_eq!(house.status(GET, "/recordings", &shows, &nothing()).await, 401);
    assert_eq!(house.status(DELETE, "/owner/session", &shows, &nothing()).await, 401);
    assert_eq!(house.answer(GET, "/owner/session", &shows, &nothing()).await.1, json!({ "signedIn": false }));
    assert!(is_signed_in(&house, &Shows::of(&other)).await);
}

#[tokio::test]
async fn whether_somebody_is_signed_in_is_all_that_a_stranger_is_told() {
    let (unowned, house) = (house(Access::Invite).await, owned(Access::Invite).await);
    let over = Shows::of(&house.signed_in_long_ago());
    for (house, shows) in [(&unowned, nobody()), (&house, nobody()), (&house, over)] {
        let answer = house.ask(GET, "/owner/session", &shows, &nothing()).await;
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(body(answer).await, json!({ "signedIn": false }));
    }
    let token = house.signed_in();
    let (_, said) = house.answer(GET, "/owner/session", &Shows::of(&token), &nothing()).await;
    assert_eq!(said, json!({ "signedIn": true, "csrf": token.csrf() }));
    let settings = house.answer(GET, "/settings.json", &nobody(), &nothing()).await;
    assert_eq!(settings, (200, json!({ "access": "invite" })));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_and_all_others() {
    let house = owned(Access::Invite).await;
    let tokens = [(); 4].map(|()| house.signed_in());
    let own = Shows::of(&tokens[0]);
    let list = async || {
        let (status, said) = house.answer(GET, "/owner/sessions", &own, &nothing()).await;
        assert_eq!(status, 200);
        said["sessions"].as_array().unwrap().clone()
    };
    let all = list().await;
    assert_eq!(all.len(), 4);
    let current: Vec<&Value> = all.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["userAgent"], "another browser");
    assert!(current[0]["endsAt"].as_i64() > current[0]["seenAt"].as_i64());
    assert!(!json!(all).to_string().contains(&tokens[1].reveal()), "a list opens nothing");

    let id = all.iter().find(|session| session["current"] == false).unwrap()["id"].as_str().unwrap();
    let path = format!("/owner/sessions/{id}");
    assert_eq!(house.answer(DELETE, &path, &own, &nothing()).await, (200, json!({ "ended": [id] })));
    let mut over = 0;
    for token in &tokens {
        over += usize::from(!is_signed_in(&house, &Shows::of(token)).await);
    }
    assert_eq!((over, list().await.len()), (1, 3));
    assert_eq!(house.status(DELETE, "/owner/sessions/SE_none", &own, &nothing()).await, 404);
    let (status, said) = house.answer(DELETE, "/owner/sessions", &own, &nothing()).await;
    assert_eq!((status, said["ended"].as_array().unwrap().len()), (200, 2));
    assert!(is_signed_in(&house, &own).await && list().await.len() == 1);
    let program = Shows::key(&house.key(&["manage"]));
    assert_eq!(house.status(DELETE, "/owner/sessions", &program, &nothing()).await, 200);
    assert!(!is_signed_in(&house, &own).await, "to a program all sessions are others");
}

#[tokio::test]
async fn a_changed_password_renews_the_session_and_ends_all_others() {
    let house = owned(Access::Invite).await;
    let (token, other) = (house.signed_in(), house.signed_in());
    let own = Shows::of(&token);
    let put = async |said: Value| house.ask(PUT, "/owner/password", &own, &said).await;
    assert_eq!(
        put(change(OTHER, OTHER)).await.status(),
        403,
        "who asks is known, and the password is not it"
    );
    assert_eq!(put(change(PASSWORD, "short")).await.status(), 400);
    assert!(is_signed_in(&house, &own).await && is_signed_in(&house, &Shows::of(&other)).await);
    let changed = put(change(PASSWORD, OTHER)).await;
    assert_eq!(changed.status(), 200);
    let new = Shows { session: Some(value(&cookies(&changed), "reelroom")), ..nobody() };
    assert_eq!(body(changed).await["endedSessions"], 1);
    assert!(is_signed_in(&house, &new).await);
    assert!(!is_signed_in(&house, &own).await && !is_signed_in(&house, &Shows::of(&other)).await);
    let key = Shows::key(&house.key(&["manage"]));
    assert_eq!(house.status(PUT, "/owner/password", &key, &change(OTHER, PASSWORD)).await, 403);
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_at_once() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let make = async |said: Value| house.answer(POST, "/owner/keys", &owner, &said).await;
    for (name, rights, expires) in [
        ("", json!(["list"]), None),
        ("none", json!([]), None),
        ("unknown", json!(["list", "everything"]), None),
        ("over", json!(["list"]), Some(1)),
    ] {
        let said = json!({ "name": name, "rights": rights, "expiresAt": expires });
        assert_eq!(make(said).await.0, 400, "{name}");
    }
    let (status, made) = make(json!({ "name": "backup", "rights": ["list", "publish-screen"] })).await;
    assert_eq!(status, 200, "{made}");
    let (secret, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
    assert!(secret.starts_with(id) && made["key"]["usedAt"].is_null());
    let shows = Shows::key(secret);
    assert_eq!(house.status(GET, "/recordings", &shows, &nothing()).await, 200);

    let (_, listed) = house.answer(GET, "/owner/keys", &owner, &nothing()).await;
    let key = &listed["keys"][0];
    assert_eq!((&key["name"], &key["rights"]), (&json!("backup"), &json!(["list", "publish-screen"])));
    assert!(key["usedAt"].is_i64() && key["revokedAt"].is_null());
    assert!(!listed.to_string().contains(secret), "it is shown once");

    let path = format!("/owner/keys/{id}");
    assert_eq!(house.status(DELETE, &path, &owner, &nothing()).await, 200);
    assert_eq!(house.status(GET, "/recordings", &shows, &nothing()).await, 401);
    let (_, listed) = house.answer(GET, "/owner/keys", &owner, &nothing()).await;
    assert!(listed["keys"][0]["revokedAt"].is_i64());
    assert_eq!(house.status(DELETE, "/owner/keys/rr_none", &owner, &nothing()).await, 404);
}

#[test]
fn what_can_be_done_about_an_error_is_its_status() {
    for (error, status) in [
        (AccountsError::Wrong, 401),
        (AccountsError::SessionOver, 401),
        (AccountsError::Unknown, 404),
        (AccountsError::NoPassword, 409),
        (AccountsError::Full, 409),
        (AccountsError::LinkGone, 410),
        (AccountsError::Invalid("it is too short".into()), 400),
        (AccountsError::Busy, 503),
    ] {
        let text = error.to_string();
        let error = ApiError::from(error);
        assert_eq!((error.status().as_u16(), error.to_string()), (status, text));
    }
}
