//! What a receiver of webhooks hears of recordings by the real program, whoever is down or killed meanwhile.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use common::Program;
use common::house::{PASSWORD, owner_link};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::webhook;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver at an address that takes what is signed.
async fn receiver(address: SocketAddr) -> mpsc::UnboundedReceiver<WebhookEvent> {
    let (seen, events) = mpsc::unbounded_channel();
    let hear = async move |headers: HeaderMap, body: Bytes| {
        let signature = headers["authorization"].to_str().unwrap();
        let keys = ApiKeys::new("devkey", "secret");
        let event = webhook::verify(&keys, signature, &body, common::now_s()).unwrap();
        seen.send(event).unwrap();
    };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", post(hear))).await });
    events
}

async fn next(events: &mut mpsc::UnboundedReceiver<WebhookEvent>) -> WebhookEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("something is told").unwrap()
}

/// A key that may do everything.
async fn manager(program: &Program, data: &Path) -> String {
    let link = owner_link(data);
    let set = program.post("/owner/password", &json!({ "link": link, "password": PASSWORD }));
    let answer = set.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let kept = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = kept.map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
    let cookies = cookies.join("; ");
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let make = program
        .post("/owner/keys", &json!({ "name": "a program", "rights": ["manage"] }))
        .header("cookie", cookies)
        .header("x-csrf-token", said["csrf"].as_str().unwrap());
    program.answer(make).await.1["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_receiver_that_is_down_and_a_program_that_is_killed_cost_nothing_of_what_is_told_of_a_recording() {
    let data = tempfile::tempdir().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hook = format!("http://{address}/hook?token=hunter2");
    let settings = [("WEBHOOK_URLS", hook.as_str())];
    let program = Program::start(&[], data.path(), &settings);
    let name = program.record_for("kept", Duration::from_millis(1500)).await;
    let recording = program.stop_recording("kept").await;
    program.until_status(&name, "complete").await;
    // Dropped programs are killed.
    drop(program);

    let mut events = receiver(address).await;
    let program = Program::start(&[], data.path(), &settings);
    let mut told: Vec<WebhookEvent> = Vec::new();
    while told.last().is_none_or(|event| event.event != "egress_ended") {
        let event = next(&mut events).await;
        if event.egress_info.is_some() && told.iter().all(|known| known.id != event.id) {
            told.push(event);
        }
    }
    let kinds: Vec<&str> = told.iter().map(|event| event.event.as_str()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("egress_started", "egress_ended"), "{kinds:?}");
    assert!(kinds[1..kinds.len() - 1].iter().all(|kind| *kind == "egress_updated"), "{kinds:?}");
    let infos: Vec<_> = told.iter().map(|event| event.egress_info.as_ref().unwrap()).collect();
    assert!(infos.iter().all(|info| info.egress_id == recording["id"]), "{infos:?}");
    assert!(infos.is_sorted_by_key(|info| info.updated_at), "they come in order");

    // Its owner sees that, has one delivered once more, and tries the receiver.
    program.refusal(program.get("/webhooks/deliveries"), 403).await;
    let key = manager(&program, data.path()).await;
    let began = std::time::Instant::now();
    let deliveries = loop {
        let (status, log) = program.answer(program.get("/webhooks/deliveries").bearer_auth(&key)).await;
        assert_eq!(status, StatusCode::OK, "{log}");
        assert!(!log.to_string().contains("hunter2"), "{log}");
        let all = log["deliveries"].as_array().unwrap().clone();
        if all.iter().all(|one| one["state"] == "delivered") {
            break all;
        }
        assert!(began.elapsed() < PATIENCE, "{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(deliveries.len(), told.len());
    let path = format!("/webhooks/deliveries/{}/replay", deliveries[0]["id"]);
    let (status, answer) = program.answer(program.post(&path, &json!({})).bearer_auth(&key)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(json!(next(&mut events).await.id), deliveries[0]["eventId"]);
    program.refusal(program.post("/webhooks/deliveries/999/replay", &json!({})).bearer_auth(&key), 404).await;
    let (_, tested) = program.answer(program.post("/webhooks/test", &json!({})).bearer_auth(&key)).await;
    assert_eq!(tested["results"][0]["status"], 200, "{tested}");
    assert_eq!(next(&mut events).await.event, "test");
    program.stop();
}
