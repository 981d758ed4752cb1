//! Settings that name servers outside, and settings that cannot work: what the program says.

#![allow(clippy::unwrap_used)]

mod common;

use common::Program;
use serde_json::json;

#[tokio::test]
async fn a_livekit_server_outside_is_used_instead_of_our_own() {
    let (media_data, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let media = Program::start(&["media"], media_data.path(), &[("WEBHOOK_URLS", "")]);
    let url = media.url.replace("http://", "ws://");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    let (_, settings) = program.answer(program.get("/settings.json")).await;
    assert_eq!(settings["livekitUrl"].as_str().unwrap().trim_end_matches('/'), url);
    program.refusal(program.get("/rtc/validate"), 404).await;
    let policy = program.get("/").send().await.unwrap().headers()["content-security-policy"].clone();
    assert!(policy.to_str().unwrap().contains(&url));

    // No webhook reaches the app here: it asks for itself what became of its recordings.
    media.make_room("far").await;
    let recording = program.start_recording("far").await;
    let name = recording["name"].as_str().unwrap();
    program.until_status(name, "recording").await;
    program.stop_recording("far").await;
    let began = std::time::Instant::now();
    while !program.list(&[]).await.is_empty() {
        assert!(began.elapsed().as_secs() < 20, "it stands in another store: it is not listed for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(media_data.path().join("recordings").join(name).exists());
    program.stop();
    media.stop();
}

#[tokio::test]
async fn an_outside_server_that_is_missing_or_refuses_us_is_said_at_the_start_and_to_the_page() {
    let data = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{free}");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    let token = program.post("/token", &json!({ "roomName": "a", "participantName": "b" }));
    let message = program.refusal(token, 502).await;
    assert!(message.contains("cannot be reached") && message.contains(&free.to_string()), "{message}");
    for path in ["/recordings/start", "/recordings/stop"] {
        program.refusal(program.post(path, &json!({ "roomName": "a" })), 502).await;
    }
    program.refusal(program.get("/readyz"), 503).await;
    assert!(program.list(&[]).await.is_empty(), "what is in the store can be seen all the same");
    let log = program.stop();
    assert!(log.contains("WARN") && log.contains("the media server cannot be reached"), "{log}");

    let media_data = tempfile::tempdir().unwrap();
    let settings = [("LIVEKIT_API_KEY", "other"), ("LIVEKIT_API_SECRET", "key-of-another-server")];
    let media = Program::start(&["media"], media_data.path(), &settings);
    let url = media.url.replace("http://", "ws://");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    let token = program.post("/token", &json!({ "roomName": "a", "participantName": "b" }));
    assert!(program.refusal(token, 502).await.contains("LIVEKIT_API_KEY"));
    assert!(program.stop().contains("LIVEKIT_API_KEY"));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let other =
        axum::Router::new().fallback(async || (axum::http::StatusCode::NOT_FOUND, "another kind of server"));
    tokio::spawn(async move { axum::serve(listener, other).await });
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    let token = program.post("/token", &json!({ "roomName": "a", "participantName": "b" }));
    assert!(program.refusal(token, 502).await.contains("no LiveKit server"));
}

#[tokio::test]
async fn a_bucket_that_cannot_be_reached_is_said_at_the_start_and_to_the_page() {
    let data = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}");
    let settings = [
        ("S3_BUCKET", "b"),
        ("S3_ENDPOINT", endpoint.as_str()),
        ("S3_ACCESS_KEY", "a"),
        ("S3_SECRET_KEY", "s"),
    ];
    let program = Program::start(&[], data.path(), &settings);
    assert!(program.refusal(program.get("/recordings"), 503).await.contains("store"));
    program.refusal(program.get("/readyz"), 503).await;
    let log = program.stop();
    assert!(log.contains("recordings cannot be listed or stored"), "{log}");
}

#[tokio::test]
async fn what_is_not_safe_or_cannot_work_is_refused_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let refusal =
        |args: &[&str], settings: &[(&str, &str)]| match Program::try_start(args, data.path(), settings) {
            Ok(program) => panic!("it runs at {}", program.url),
            Err(log) => log,
        };
    assert!(refusal(&[], &[("LISTEN", "0.0.0.0")]).contains("well-known"), "it lets in by invitation");
    let known = [
        ("LISTEN", "0.0.0.0"),
        ("ACCESS", "open"),
        ("LIVEKIT_API_KEY", "devkey"),
        ("LIVEKIT_API_SECRET", "secret"),
    ];
    assert!(refusal(&[], &known).contains("well-known"));
    assert!(refusal(&[], &[("SERVER_PORT", "seven")]).contains("SERVER_PORT"));
    assert!(refusal(&["media"], &[("LIVEKIT_URL", "ws://localhost:7880")]).contains("LIVEKIT_URL"));
    let keyless =
        [("LIVEKIT_URL", "wss://calls.example.org"), ("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")];
    assert!(refusal(&[], &keyless).contains("LIVEKIT_API_KEY"));
    assert!(refusal(&[], &[("PUBLIC_HOSTS", "calls.example.org")]).contains("well-known"));
    assert!(refusal(&[], &[("PUBLIC_HOSTS", "https://calls.example.org")]).contains("PUBLIC_HOSTS"));
    assert!(refusal(&[], &[("ALLOWED_ORIGINS", "calls.example.org")]).contains("ALLOWED_ORIGINS"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(refusal(&[], &[("SERVER_PORT", &port)]).contains("server_port"));
    let first = Program::start(&[], data.path(), &[]);
    assert!(refusal(&[], &[]).contains("another Reelroom uses the data folder"));
    first.stop();
}

#[tokio::test]
async fn a_media_server_that_is_killed_and_comes_back_leaves_no_room_recording() {
    let (media_data, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = free.port().to_string();
    let settings = [("WEBHOOK_URLS", ""), ("SERVER_PORT", port.as_str())];
    let media = Program::start(&["media"], media_data.path(), &settings);
    let url = media.url.replace("http://", "ws://");
    let program = Program::start(&[], data.path(), &[("LIVEKIT_URL", &url)]);
    media.make_room("far").await;
    let recording = program.start_recording("far").await;
    let name = recording["name"].as_str().unwrap();
    program.until_status(name, "recording").await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;

    // Dropped programs are killed.
    drop(media);
    program.refusal(program.post("/recordings/start", &json!({ "roomName": "far" })), 502).await;
    assert_eq!(program.list(&[]).await.len(), 1, "it is known all the same");

    let media = Program::start(&["media"], media_data.path(), &settings);
    let began = std::time::Instant::now();
    while !program.list(&[]).await.is_empty() {
        assert!(began.elapsed().as_secs() < 20, "it stands in another store: it is not listed for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let report = std::fs::read(media_data.path().join("recordings").join(format!("{name}.json"))).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["recovered"], true, "{report}");
    media.make_room("far").await;
    program.start_recording("far").await;
    program.stop_recording("far").await;
    program.stop();
    media.stop();
}
