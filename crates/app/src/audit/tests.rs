//! What the log tells of what is done by the API.

use axum::http::Method;
use reelroom_protocol::proto::EgressInfo;
use reelroom_routes::Needs;
use reelroom_truth::AuditSearch;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::started_elsewhere;
use crate::app::WebApp;
use crate::config::Access;
use crate::tests::house::{House, PASSWORD, Shows, owned};

const GET: &Method = &Method::GET;
const POST: &Method = &Method::POST;
const PUT: &Method = &Method::PUT;
const PATCH: &Method = &Method::PATCH;
const DELETE: &Method = &Method::DELETE;
const HOME: &str = "192.0.2.7";
const STRANGE: &str = "203.0.113.9";

/// What each route that changes something notes. Whoever adds one says it here; "" is for those of which nothing is to be told.
const NOTED: &[(&str, &str, &str)] = &[
    ("POST", "/token", "room.joined"),
    ("POST", "/livekit/webhook", "recording.started"),
    ("POST", "/recordings/start", "recording.started"),
    ("POST", "/recordings/stop", "recording.stopped"),
    ("DELETE", "/recordings/{name}", "recording.deleted"),
    ("POST", "/recordings/{name}/retry", "recording.retried"),
    ("POST", "/owner/password", "password.set"),
    ("PUT", "/owner/password", "password.changed"),
    ("POST", "/owner/session", "session.begun"),
    ("DELETE", "/owner/session", "session.ended"),
    ("DELETE", "/owner/sessions/{id}", "session.ended"),
    ("DELETE", "/owner/sessions", "session.othersEnded"),
    ("POST", "/owner/keys", "key.made"),
    ("DELETE", "/owner/keys/{id}", "key.revoked"),
    ("POST", "/recordings/{name}/shares", "share.made"),
    ("PATCH", "/recordings/{name}/shares/{id}", "share.changed"),
    ("DELETE", "/recordings/{name}/shares/{id}", "share.revoked"),
    ("POST", "/watch/open", "share.opened"),
    ("POST", "/rooms", "room.made"),
    ("PATCH", "/rooms/{name}", "room.changed"),
    ("DELETE", "/rooms/{name}", "room.deleted"),
    ("POST", "/rooms/{name}/links/{id}", "roomLink.renewed"),
    ("DELETE", "/rooms/{name}/links/{id}", "roomLink.revoked"),
    ("POST", "/webhooks/deliveries/{id}/replay", "webhook.replayed"),
    ("POST", "/webhooks/test", "webhook.tested"),
    ("POST", "/rooms/{name}/participants/{id}/mute", "participant.muted"),
    ("DELETE", "/rooms/{name}/participants/{id}", "participant.removed"),
    ("POST", "/rooms/{name}/lobby/admit", "participant.admitted"),
    ("POST", "/rooms/{name}/lobby/refuse", "participant.turnedAway"),
    ("POST", "/recordings/{name}/keep", "recording.kept"),
    // Who waits has done nothing yet.
    ("DELETE", "/rooms/{name}/lobby/{id}", ""),
];

fn nothing() -> Value {
    json!({})
}

impl House {
    /// The owner at home.
    fn at_home(&self) -> Shows {
        Shows { address: Some(HOME), ..Shows::of(&self.signed_in()) }
    }

    /// Does something that is done.
    async fn does(&self, method: &Method, path: &str, shows: &Shows, said: &Value) -> Value {
        let (status, answer) = self.answer(method, path, shows, said).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    async fn told(&self, query: &str) -> Value {
        let key = Shows::key(&self.key(&["manage"]));
        self.does(GET, &format!("/audit{query}"), &key, &nothing()).await
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.folder().join("truth.db")).unwrap().execute_batch(sql).unwrap();
    }
}

fn acts(told: &Value) -> Vec<&str> {
    told["entries"].as_array().unwrap().iter().map(|entry| entry["act"].as_str().unwrap()).collect()
}

#[test]
fn each_route_that_changes_something_says_what_it_notes() {
    for row in WebApp::table() {
        let Some(method) = row.method.filter(|method| ![Method::GET, Method::HEAD].contains(method)) else {
            continue;
        };
        let is_known = NOTED.iter().any(|(noted, path, _)| method.as_str() == *noted && row.path == *path);
        assert!(
            is_known,
            "{method} {}: what does the audit log tell of it? Its handler notes it, and NOTED says it",
            row.path
        );
    }
    for (method, path, act) in NOTED {
        let is_row = |row: &reelroom_routes::Row| {
            row.path == *path && row.method.as_ref().is_some_and(|known| known.as_str() == *method)
        };
        assert!(WebApp::table().iter().any(is_row), "{method} {path} is no route");
        let is_act = reelroom_audit::Act::ALL.iter().any(|known| known.word() == *act);
        assert!(is_act || act.is_empty(), "{act} is no act");
    }
    let manages = WebApp::table().into_iter().find(|row| row.path == "/audit").unwrap().needs;
    assert!(matches!(manages, Needs::Right(reelroom_access::Right::Manage, _)));
}

#[tokio::test]
async fn the_owners_acts_are_told_in_order_with_who_and_from_where_and_no_secret() {
    let house = owned(Access::Invite).await;
    let owner = house.at_home();
    let mut secrets = vec![PASSWORD.to_owned(), owner.session.clone().unwrap(), owner.csrf.clone().unwrap()];
    let made =
        house.does(POST, "/owner/keys", &owner, &json!({ "name": "backup", "rights": ["list"] })).await;
    secrets.push(made["secret"].as_str().unwrap().to_owned());
    let key = made["key"]["id"].as_str().unwrap();
    house.does(DELETE, &format!("/owner/keys/{key}"), &owner, &nothing()).await;
    let room = house.does(POST, "/rooms", &owner, &json!({ "name": "ro\u{202e}om" })).await;
    secrets.push(room["links"][0]["path"].as_str().unwrap().strip_prefix("/join#").unwrap().to_owned());
    let path = "/rooms/ro%E2%80%AEom";
    house.does(PATCH, path, &owner, &json!({ "guests": ["chat"] })).await;
    house.does(POST, &format!("{path}/links/guest"), &owner, &nothing()).await;
    house.does(DELETE, &format!("{path}/links/host"), &owner, &nothing()).await;
    house.does(DELETE, path, &owner, &nothing()).await;
    let shares = "/recordings/own.mp4/shares";
    let said = json!({ "name": "for Ada", "password": "open sesame" });
    let made = house.does(POST, shares, &owner, &said).await;
    secrets.push("open sesame".into());
    let share = format!("{shares}/{}", made["share"]["id"].as_str().unwrap());
    let secret = made["link"].as_str().unwrap().strip_prefix("/watch#").unwrap().to_owned();
    let viewer = Shows { address: Some(STRANGE), ..Shows::default() };
    let open = json!({ "secret": secret, "password": "open sesame" });
    secrets.push(secret);
    house.does(POST, "/watch/open", &viewer, &open).await;
    house.does(PATCH, &share, &owner, &json!({ "download": true })).await;
    house.does(DELETE, &share, &owner, &nothing()).await;
    for _ in 0..3 {
        assert_eq!(house.status(GET, "/recordings/own.mp4", &owner, &nothing()).await, 200);
    }
    house.does(GET, "/recordings/own.mp4/url", &owner, &nothing()).await;
    house.does(DELETE, "/recordings/own.mp4", &owner, &nothing()).await;
    house.does(POST, "/owner/session", &viewer, &json!({ "password": PASSWORD })).await;
    house.does(DELETE, "/owner/session", &house.at_home(), &nothing()).await;
    house.does(DELETE, "/owner/sessions", &owner, &nothing()).await;
    let change = json!({ "old": PASSWORD, "new": "staple of another kind" });
    house.does(PUT, "/owner/password", &owner, &change).await;
    secrets.push("staple of another kind".into());
    // What comes to nothing is not told.
    let join = json!({ "roomName": "third", "participantName": "Ada" });
    let other = Shows::key(&house.key(&["join", "record", "delete"]));
    for (method, path, said) in [
        (POST, "/token", &join),
        (POST, "/recordings/start", &join),
        (POST, "/recordings/stop", &join),
        (DELETE, "/recordings/own.mp4", &nothing()),
        (POST, "/recordings/other.mp4/retry", &nothing()),
    ] {
        assert_ne!(house.status(method, path, &other, said).await, 200, "{method} {path}");
    }
    let told = house.told("?limit=200").await;
    let mut newest_last = acts(&told);
    newest_last.reverse();
    assert_eq!(
        newest_last,
        [
            "key.made",
            "key.revoked",
            "room.made",
            "room.changed",
            "roomLink.renewed",
            "roomLink.revoked",
            "room.deleted",
            "share.made",
            "share.opened",
            "share.changed",
            "share.revoked",
            "recording.downloaded",
            "recording.linked",
            "recording.deleted",
            "session.begun",
            "session.ended",
            "session.othersEnded",
            "password.changed",
        ]
    );
    for entry in told["entries"].as_array().unwrap() {
        let act = entry["act"].as_str().unwrap();
        let (kind, address) = match act {
            "share.opened" => ("viewer", STRANGE),
            "session.begun" => ("owner", STRANGE),
            _ => ("owner", HOME),
        };
        assert_eq!((&entry["who"]["kind"], &entry["address"]), (&json!(kind), &json!(address)), "{entry}");
        assert_eq!(entry["outcome"], json!("done"), "{entry}");
        assert!(entry["who"]["id"].is_string(), "{entry}");
    }
    let found = house.told("?q=BACKUP").await;
    assert_eq!(acts(&found), ["key.revoked", "key.made"]);
    assert_eq!(found["entries"][1]["on"], json!({ "kind": "key", "id": key, "name": "backup" }));
    let text = told.to_string();
    assert!(text.contains("ro\\\\u{202e}om"), "{text}");
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret}");
    }
    let last = house.told("?limit=1").await;
    let before = format!("?limit=200&before={}", last["next"]);
    assert_eq!(house.told(&before).await["entries"].as_array().unwrap().len(), newest_last.len() - 1);
    assert!(house.told(&before).await["refusals"].as_array().unwrap().is_empty());
    let program = Shows::key(&house.key(&["manage"]));
    house.does(DELETE, "/owner/sessions", &program, &nothing()).await;
    assert_eq!(house.told("?limit=1").await["entries"][0]["who"]["name"], json!("a program"));
}

#[tokio::test]
async fn who_is_refused_is_counted_apart_and_pushes_out_nothing() {
    let house = owned(Access::Invite).await;
    let owner = house.at_home();
    let room = house.does(POST, "/rooms", &owner, &json!({ "name": "own", "guests": ["list"] })).await;
    let links = room["links"].as_array().unwrap();
    let guest = links.iter().find(|link| link["role"] == "guest").unwrap()["path"].as_str().unwrap();
    let guest = Shows { link: guest.strip_prefix("/join#").map(str::to_owned), ..Shows::default() };
    let stranger = Shows { address: Some(STRANGE), ..Shows::default() };
    for _ in 0..20 {
        // Five are wrong, and then it is too often.
        let said = json!({ "password": "no password at all" });
        assert_ne!(house.status(POST, "/owner/session", &stranger, &said).await, 200);
        assert_eq!(house.status(DELETE, "/recordings/own.mp4", &guest, &nothing()).await, 403);
        assert_eq!(house.status(GET, "/recordings", &stranger, &nothing()).await, 401);
    }
    let guessed = Shows { key: Some(format!("rr_{}", "x".repeat(56))), ..stranger.clone() };
    assert_eq!(house.status(GET, "/recordings", &guessed, &nothing()).await, 401);
    let forged = Shows { csrf: None, ..owner.clone() };
    assert_eq!(house.status(DELETE, "/rooms/own", &forged, &nothing()).await, 403);
    let said = json!({ "password": "open sesame" });
    let made = house.does(POST, "/recordings/own.mp4/shares", &owner, &said).await;
    let secret = made["link"].as_str().unwrap().strip_prefix("/watch#").unwrap();
    for (password, expected) in [(json!(null), 401), (json!("a wrong one"), 401)] {
        let open = json!({ "secret": secret, "password": password });
        assert_eq!(house.status(POST, "/watch/open", &stranger, &open).await, expected);
    }

    let told = house.told("").await;
    assert_eq!(acts(&told), ["share.made", "room.made"]);
    let refusals = told["refusals"].as_array().unwrap();
    let of = |act: &str, who: &str| -> Vec<&Value> {
        let all = refusals.iter();
        all.filter(|line| line["act"] == act && line["who"]["kind"] == who).collect()
    };
    let count = |lines: &[&Value]| lines.iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>();
    let wrong = of("signIn.refused", "nobody");
    assert_eq!((wrong.len(), count(&wrong)), (2, 20), "{told}");
    assert!(wrong.iter().all(|line| line["address"] == STRANGE), "{told}");
    let [by_guest] = of("request.refused", "guest")[..] else { panic!("{told}") };
    assert_eq!(
        (&by_guest["count"], &by_guest["on"]["name"]),
        (&json!(20), &json!("DELETE /recordings/{name}"))
    );
    assert!(by_guest["who"]["id"].as_str().unwrap().starts_with("RL_"));
    assert_eq!(count(&of("request.refused", "nobody")), 1, "a key that is none: {told}");
    let [by_page] = of("request.refused", "owner")[..] else { panic!("{told}") };
    assert!(by_page["reason"].as_str().unwrap().contains("X-CSRF-Token"), "{told}");
    let [by_viewer] = of("share.refused", "nobody")[..] else { panic!("{told}") };
    assert_eq!(by_viewer["count"], json!(1), "whoever is asked for a password has said none yet");
    assert_eq!(refusals.len(), 6, "{told}");
    let found = house.told(&format!("?q={STRANGE}")).await;
    assert!(acts(&found).is_empty() && found["refusals"].as_array().unwrap().len() >= 3);
}

#[tokio::test]
async fn the_owner_is_told_from_everybody_where_access_is_open() {
    let house = owned(Access::Open).await;
    let said = json!({ "old": "not the password", "new": "staple of another kind" });
    assert_eq!(house.status(PUT, "/owner/password", &house.at_home(), &said).await, 403);
    let told = house.told("").await;
    let line = &told["refusals"][0];
    assert_eq!((&line["act"], &line["who"]["kind"]), (&json!("password.refused"), &json!("owner")), "{told}");
}

#[tokio::test]
async fn an_act_is_done_though_the_log_cannot_be_written_and_is_told_when_it_can() {
    let house = owned(Access::Invite).await;
    let owner = house.at_home();
    house.sql("CREATE TRIGGER full BEFORE INSERT ON audit_acts BEGIN SELECT RAISE(ABORT, 'disk full'); END;");
    house.does(POST, "/rooms", &owner, &json!({ "name": "own" })).await;
    let told = house.told("").await;
    assert_eq!((&told["entries"], &told["unwritten"], &told["lost"]), (&json!([]), &json!(1), &json!(0)));
    assert!(told["trouble"].as_str().unwrap().contains("disk full"), "{told}");
    house.sql("DROP TRIGGER full;");
    let told = house.told("").await;
    assert_eq!((acts(&told), &told["unwritten"]), (vec!["room.made"], &json!(0)));
    assert!(told.get("trouble").is_none());

    house.sql("CREATE TRIGGER full BEFORE DELETE ON room_links BEGIN SELECT RAISE(ABORT, 'disk full'); END;");
    assert_eq!(house.status(DELETE, "/rooms/own/links/guest", &owner, &nothing()).await, 503);
    let told = house.told("").await;
    let revoked = &told["entries"][0];
    assert_eq!((&revoked["act"], &revoked["outcome"]), (&json!("roomLink.revoked"), &json!("failed")));
    assert!(revoked["reason"].as_str().unwrap().contains("disk full"), "{revoked}");
}

#[tokio::test]
async fn what_is_done_while_the_program_ends_is_written_down() {
    let house = owned(Access::Invite).await;
    let owner = house.at_home();
    house.app.watch();
    house.app.shutdown().await;
    house.does(POST, "/rooms", &owner, &json!({ "name": "own" })).await;
    house.app.write_down().await;
    let all = AuditSearch { before: None, most: 10, looked_through: 10 };
    let kept = house.truth().audit_acts(all, |_| true).unwrap();
    assert_eq!(kept.acts.iter().map(|kept| kept.act.act.as_str()).collect::<Vec<_>>(), ["room.made"]);
}

#[tokio::test]
async fn what_another_program_records_by_livekits_api_is_told_once() {
    let house = owned(Access::Invite).await;
    let info = EgressInfo { egress_id: "EG_7".into(), room_name: "own".into(), ..EgressInfo::default() };
    for _ in 0..3 {
        started_elsewhere(&house.app, &info);
    }
    let before = EgressInfo { egress_id: "EG_6".into(), started_at: 1_000_000_000, ..info };
    started_elsewhere(&house.app, &before);
    let told = house.told("").await;
    assert_eq!(acts(&told), ["recording.started"], "that of before was told by the run before");
    assert_eq!(
        (&told["entries"][0]["who"]["kind"], &told["entries"][0]["on"]["id"]),
        (&json!("api"), &json!("EG_7"))
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_a_sentence() {
    let house = owned(Access::Invite).await;
    let key = Shows::key(&house.key(&["manage"]));
    let long = format!("/audit?q={}", "x".repeat(1000));
    for path in ["/audit?limit=0", "/audit?limit=201", "/audit?before=x", &long] {
        let (status, said) = house.answer(GET, path, &key, &nothing()).await;
        assert_eq!(status, 400, "{path}");
        assert!(said["errorMessage"].as_str().is_some_and(|text| text.len() > 10), "{path}: {said}");
    }
}
