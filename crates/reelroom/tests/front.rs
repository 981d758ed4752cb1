//! The front of the real program: names, pages, floods of connections, and what the log says of all that.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::signal::{Client, Join, KEY, SETTINGS};
use common::{Program, admin_token};
use reelroom_limits::http::{REST_BODY_BYTES, TOKENS_BURST_ADDRESS, TOKENS_PER_SECOND_ADDRESS};
use reqwest::{Method, StatusCode};
use serde_json::json;

const EVIL: &str = "https://evil.example";

fn address(program: &Program) -> String {
    program.url.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1")
}

/// What comes of bytes until the server closes.
fn told(program: &Program, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address(program)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

const ROUTES: [(&str, &str); 18] = [
    ("GET", "/"),
    ("GET", "/events"),
    ("GET", "/recordings"),
    ("GET", "/recordings/a.mp4"),
    ("GET", "/recordings/a.mp4/url"),
    ("GET", "/recordings/a.mp4/report"),
    ("DELETE", "/recordings/a.mp4"),
    ("POST", "/recordings/start"),
    ("POST", "/token"),
    ("POST", "/livekit/webhook"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/settings.json"),
    ("GET", "/owner/session"),
    ("POST", "/owner/session"),
    ("DELETE", "/owner/sessions"),
    ("GET", "/rtc/validate"),
    ("GET", "/no/such/route"),
];

#[tokio::test]
async fn nothing_answers_a_foreign_page_or_name() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    for (method, path) in ROUTES {
        let request = || program.request(method.parse().unwrap(), path);
        for origin in [EVIL, "null", "http://localhost:1"] {
            let message = program.refusal(request().header("origin", origin), 403).await;
            assert!(message.contains("ALLOWED_ORIGINS"), "{path}: {message}");
        }
        program.refusal(request().header("sec-fetch-site", "cross-site"), 403).await;
        // Only the file itself has links that carry their own right, and looks whether they do.
        let signed =
            || program.request(method.parse().unwrap(), &format!("{path}?expires=9999999999&signature=x"));
        program.refusal(signed().header("origin", EVIL), 403).await;
        program.refusal(signed().header("sec-fetch-site", "cross-site"), 403).await;
        let message = program.refusal(request().header("host", "evil.example:6080"), 421).await;
        assert!(message.contains("PUBLIC_HOSTS"), "{path}: {message}");
        let preflight = program
            .request(Method::OPTIONS, path)
            .header("origin", EVIL)
            .header("access-control-request-method", method)
            .header("access-control-request-private-network", "true");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control")), "{path}");
    }
    // Signalling and Twirp, with a token that holds.
    let token = admin_token("devkey", "secret");
    for path in ["/twirp/livekit.RoomService/ListRooms", "/twirp/livekit.Egress/ListEgress"] {
        let call = || program.post(path, &json!({})).bearer_auth(&token);
        let (status, body) = program.answer(call().header("origin", EVIL)).await;
        assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("permission_denied")));
        assert_eq!(program.answer(call()).await.0, StatusCode::OK, "an SDK");
    }
    let upgrade = program
        .get(&format!("/rtc?access_token={token}"))
        .header("origin", EVIL)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    program.refusal(upgrade, 403).await;
    let log = program.stop();
    assert!(log.contains("pages of https://evil.example may not use this server"), "{log}");
    assert_eq!(log.matches("pages of https://evil.example").count(), 1, "it is told once: {log}");
    assert!(!log.contains(&token), "no token is in the log");
}

#[tokio::test]
async fn its_own_pages_those_that_are_allowed_and_programs_get_in() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("ALLOWED_ORIGINS", "https://app.example.org"),
        ("PUBLIC_HOSTS", "calls.example.org"),
        ("ACCESS", "open"),
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", "a secret that nobody knows"),
    ];
    let program = Program::start(&[], data.path(), &settings);
    let own = program.url.clone();
    for (host, origin) in [
        (None, Some(own.as_str())),
        (None, None),
        (Some("calls.example.org"), Some("https://calls.example.org")),
        (Some("calls.example.org"), Some("https://app.example.org")),
    ] {
        let mut request = program.get("/recordings");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{host:?} {origin:?}");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("access-control-allow-origin").as_deref(), origin);
        assert_eq!(header("cross-origin-resource-policy").unwrap(), "same-origin");
    }
    let preflight = program
        .request(Method::OPTIONS, "/recordings/a.mp4")
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "DELETE")
        .header("access-control-request-private-network", "true");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-private-network"], "true");
    // A link that was made for whoever holds it may stand anywhere, and holds for what it names alone.
    let link = program.get("/recordings/a.mp4?expires=9999999999&signature=forged");
    let link = link.header("sec-fetch-site", "cross-site").header("sec-fetch-dest", "video");
    program.refusal(link, 403).await;
    program.stop();
}

#[tokio::test]
async fn a_media_server_of_a_developer_welcomes_pages_of_localhost_and_no_others() {
    let data = tempfile::tempdir().unwrap();
    let program =
        Program::start(&["media"], data.path(), &[("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")]);
    let token = admin_token("devkey", "secret");
    let call = |origin: &str| {
        let call = program.post("/twirp/livekit.RoomService/ListRooms", &json!({}));
        call.bearer_auth(&token).header("origin", origin.to_owned())
    };
    for origin in
        ["http://localhost:3000", "https://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:1"]
    {
        let answer = call(origin).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{origin}");
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
    }
    for origin in
        [EVIL, "http://127.0.0.2:3000", "http://192.0.2.1:3000", "http://localhost.evil.example", "null"]
    {
        assert_eq!(call(origin).send().await.unwrap().status(), StatusCode::FORBIDDEN, "{origin}");
    }
    program.refusal(program.get("/nothing"), 404).await;
    program.stop();
}

#[tokio::test]
async fn the_well_known_key_opens_nothing_by_default() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")]);
    let call = program.post("/twirp/livekit.RoomService/ListRooms", &json!({}));
    let (status, _) = program.answer(call.bearer_auth(admin_token("devkey", "secret"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // The app itself has the key that is in force.
    let token = program.post("/token", &json!({ "roomName": "r", "participantName": "Ada" }));
    assert_eq!(program.answer(token).await.0, StatusCode::OK);
    program.stop();
}

#[tokio::test]
async fn a_flood_of_silent_and_slow_connections_keeps_nobody_out() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("MAX_CONNECTIONS", "60")]);
    let connect = || TcpStream::connect(address(&program)).unwrap();
    let (before, mut most) = (program.open_files(), 0);
    let mut flood = Vec::new();
    for at in 0..600 {
        let mut stream = connect();
        if at % 2 == 0 {
            stream.write_all(b"POST /token HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
        }
        flood.push(stream);
        most = most.max(program.open_files());
        if at % 50 == 0 {
            let token = program.post("/token", &json!({ "roomName": "r", "participantName": "Ada" }));
            assert_eq!(program.answer(token).await.0, StatusCode::OK, "after {at}");
        }
    }
    let token = program.post("/token", &json!({ "roomName": "r", "participantName": "Ada" }));
    assert_eq!(program.answer(token).await.0, StatusCode::OK);
    // Those that are connected, half as many that are being closed, and what tokens need.
    assert!(most <= before + 60 + 30 + 10, "{most} files are open, and {before} were");
    drop(flood);
    program.stop();
}

#[tokio::test]
async fn where_every_connection_works_one_more_is_told_to_come_again_and_recordings_go_on() {
    let data = tempfile::tempdir().unwrap();
    let settings = [&SETTINGS[..], &[("MAX_CONNECTIONS", "20")]].concat();
    // More than fits into what systems keep for a reader that takes nothing.
    std::fs::create_dir(data.path().join("recordings")).unwrap();
    let large = std::fs::File::create(data.path().join("recordings/large.mp4")).unwrap();
    large.set_len(64 * 1024 * 1024).unwrap();
    let program = Program::start(&[], data.path(), &settings);
    let host = Client::join(&program, "full house", "host").await;
    let recording = program.start_recording("full house").await;
    let name = recording["name"].as_str().unwrap();
    program.until_status(name, "recording").await;
    let mut calls = Vec::new();
    // What asked until now waits, and makes room.
    for at in 1..15 {
        calls.push(Client::join(&program, "full house", &format!("guest {at}")).await);
    }
    let join = Join { room: "full house", identity: "one more", ..Join::default() };
    assert_eq!(Client::try_join(&program, join).await.err(), Some(503), "others could not ask any more");
    let readers: Vec<_> = (0..5)
        .map(|_| {
            let mut reader = TcpStream::connect(address(&program)).unwrap();
            reader.write_all(b"GET /recordings/large.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut begin = [0; 12];
            reader.read_exact(&mut begin).unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200");
            reader
        })
        .collect();
    // What was closed for them is seen by the client of this test.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = told(&program, "");
    assert!(answer.contains("retry-after: 2") && answer.contains("{\"errorMessage\":\"too many"), "{answer}");
    drop((calls, readers));
    // The program hears a moment later that they are gone.
    while !told(&program, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .contains("200 OK")
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    program.stop_recording("full house").await;
    drop(host);
    program.until_status(name, "complete").await;
    program.stop();
}

#[tokio::test]
async fn whoever_sends_bodies_slowly_keeps_nobody_from_asking() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("MAX_CONNECTIONS", "700")]);
    let slow: Vec<_> = (0..1000)
        .map(|_| {
            let mut stream = TcpStream::connect(address(&program)).unwrap();
            stream
                .write_all(b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
                .unwrap();
            stream
        })
        .collect();
    let token = program.post("/token", &json!({ "roomName": "r", "participantName": "Ada" }));
    assert_eq!(program.answer(token).await.0, StatusCode::OK);
    drop(slow);
    program.stop();
}

#[tokio::test]
async fn an_address_gets_tokens_at_its_pace_alone() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let ask = |from: &'static str| {
        let body = json!({ "roomName": "r", "participantName": "Ada" });
        program.post("/token", &body).header("x-forwarded-for", from)
    };
    let asked =
        async |number: u32| futures::future::join_all((0..number).map(|_| ask("203.0.113.9").send())).await;
    for _ in 0..TOKENS_BURST_ADDRESS / 50 {
        for answer in asked(50).await {
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
        }
    }
    // More than have their turn within a second, and no more than one address may have under way.
    let (answers, other) = tokio::join!(asked(6 * TOKENS_PER_SECOND_ADDRESS), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let began = std::time::Instant::now();
        assert_eq!(program.answer(ask("203.0.113.8")).await.0, StatusCode::OK);
        began.elapsed()
    });
    let (refused, taken): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(Result::unwrap)
        .partition(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.is_empty() && taken.iter().all(|answer| answer.status() == StatusCode::OK));
    assert!(refused.iter().all(|answer| answer.headers().contains_key("retry-after")));
    assert!(other < Duration::from_secs(1), "another address waits for {other:?}");
    program.stop();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let started = std::time::Instant::now();
    let mut stream = TcpStream::connect(address(&program)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
        .write_all(b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("errorMessage"), "{answer}");
    assert!(started.elapsed() >= reelroom_limits::http::BODY_WITHIN);
    let large = told(
        &program,
        "POST /twirp/a/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\nConnection: close\r\n\r\n",
    );
    assert!(
        large.starts_with("HTTP/1.1 413") && large.contains("\"code\":\"resource_exhausted\""),
        "{large}"
    );
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let unsaid = format!(
        "POST /recordings/start HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{}1\r\nx",
        piece.repeat(REST_BODY_BYTES / 0x10000)
    );
    let large = told(&program, &unsaid);
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("{\"errorMessage\":\"the body"), "{large}");
    program.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_more_than_is_taken_gets_to_read_the_refusal() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let large = "x".repeat(4 * REST_BODY_BYTES);
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let (sized, host) = (format!("Content-Length: {}", large.len()), address(&program));
    for (headers, body, expected) in [
        (format!("Host: {host}\r\n{sized}"), &large, "413"),
        (format!("Host: {host}\r\nTransfer-Encoding: chunked"), &chunk, "413"),
        (format!("Host: evil.example\r\n{sized}"), &large, "421"),
        (format!("Host: {host}\r\nOrigin: {EVIL}\r\n{sized}"), &large, "403"),
    ] {
        for _ in 0..5 {
            // All of it is sent before anything is read.
            let request = format!("POST /token HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n{body}");
            let answer = told(&program, &request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{headers}: {answer:?}");
            assert!(answer.contains("errorMessage"), "{headers}: {answer:?}");
        }
    }
    program.stop();
}

#[tokio::test]
async fn invented_methods_make_no_figures_and_hostile_names_no_lines_of_the_log() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("LOG", "debug"),
        ("S3_BUCKET", "bucket"),
        ("S3_ENDPOINT", "http://127.0.0.1:1"),
        ("S3_ACCESS_KEY", "an-access-key"),
        ("S3_SECRET_KEY", "a-key-that-is-secret"),
    ];
    let program = Program::start(&[], data.path(), &settings);
    for at in 0..50 {
        let _ = program.request(format!("M{at}").parse().unwrap(), "/recordings").send().await.unwrap();
    }
    let metrics = program.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("method=\"other\"") && !metrics.contains("M49"), "{metrics}");
    let forged = "a\u{9b}31m \u{202e}2026 FORGED";
    let webhook = program.request(Method::POST, "/livekit/webhook").body(forged);
    program.refusal(webhook.header("authorization", "x"), 401).await;
    told(&program, "GET / HTTP/1.1\r\nHost: \u{9b}31m\u{202e}evil\r\n\r\n");
    program.make_room(&format!("r\n2026-01-01T00:00:00Z FORGED {forged}")).await;
    let token = admin_token("devkey", "secret");
    program.get(&format!("/rtc?access_token={token}")).send().await.unwrap();
    program.get(&format!("/rtc/validate?access_token={token}")).send().await.unwrap();
    let log = program.stop();
    assert!(log.chars().all(|c| c == '\n' || !c.is_control()) && !log.contains('\u{202e}'), "{log}");
    for line in log.lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"), "{line}");
    }
    assert!(!log.contains(&token) && !log.contains("a-key-that-is-secret"), "{log}");
}

#[tokio::test]
async fn no_secret_is_in_the_log_however_much_that_says() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("LOG", "trace"),
        ("LIVEKIT_API_KEY", KEY.0),
        ("LIVEKIT_API_SECRET", KEY.1),
        ("WEBHOOK_URLS", "http://hook-user:hook-password@127.0.0.1:1/hook-path?token=hook-token"),
        ("S3_BUCKET", "bucket"),
        ("S3_ENDPOINT", "http://127.0.0.1:1"),
        ("S3_ACCESS_KEY", "an-access-key"),
        ("S3_SECRET_KEY", "the-key-of-the-bucket"),
    ];
    let program = Program::start(&[], data.path(), &settings);
    let admin = admin_token(KEY.0, KEY.1);
    let call = program.post("/twirp/livekit.RoomService/CreateRoom", &json!({ "name": "r" }));
    assert_eq!(program.answer(call.bearer_auth(&admin)).await.0, StatusCode::OK);
    let body = json!({ "roomName": "r", "participantName": "Ada" });
    let (_, answer) = program.answer(program.post("/token", &body)).await;
    let guests = answer["token"].as_str().unwrap();
    for token in [&admin, guests] {
        program.get(&format!("/rtc/validate?access_token={token}")).send().await.unwrap();
        program.get(&format!("/rtc?access_token={token}")).send().await.unwrap();
        program.get(&format!("/no/such/route?access_token={token}")).send().await.unwrap();
    }
    let link =
        "/recordings/a.mp4?expires=9999999999&signature=that-of-a-link&X-Amz-Signature=that-of-a-bucket";
    program.get(link).send().await.unwrap();
    program.get(link).header("origin", EVIL).send().await.unwrap();
    program.get(&link.replace("a.mp4", "a.mp4/url")).header("origin", EVIL).send().await.unwrap();
    let client = Client::join(&program, "r", "eve").await;
    // The webhook is tried again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(client);
    let log = program.stop();
    assert!(log.contains("TRACE") && log.contains("http://127.0.0.1:1"), "{log}");
    // Of a token, what it is signed with is enough to know it by.
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [
        &signature(&admin),
        &signature(guests),
        KEY.1,
        "hook-user",
        "hook-password",
        "hook-path",
        "hook-token",
        "the-key-of-the-bucket",
        "that-of-a-link",
        "that-of-a-bucket",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
