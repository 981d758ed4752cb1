//! Whoever follows what happens, by the real program: through its front, and over its restarts.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;
use reqwest::{Response, StatusCode};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who follows.
struct Follower {
    response: Response,
    text: String,
    id: String,
}

impl Follower {
    async fn new(program: &Program, last_id: Option<&str>) -> Self {
        let mut request = program.get("/events");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, text: String::new(), id: String::new() }
    }

    /// The next event: its kind and what it says.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (kind, id, data) = (line("event: "), line("id: "), line("data: "));
                self.text = rest.to_owned();
                self.id = id.unwrap_or_else(|| self.id.clone());
                let (Some(kind), Some(data)) = (kind, data) else { continue };
                return (kind, serde_json::from_str(&data).unwrap());
            }
            let more =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("something is told");
            let more = more.unwrap().expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// What is told of a recording until it has a status.
    async fn until(&mut self, name: &str, status: &str) -> Value {
        loop {
            let (kind, data) = self.next().await;
            if kind == "recording.changed" && data["name"] == name && data["status"] == status {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn a_recording_is_told_from_its_start_to_its_deletion_and_a_restart_has_the_list_read() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let mut follower = Follower::new(&program, None).await;
    assert_eq!(follower.next().await.0, "reload");
    let name = program.record_for("told", Duration::from_millis(1500)).await;
    follower.until(&name, "recording").await;
    program.stop_recording("told").await;
    follower.until(&name, "complete").await;
    let before = follower.id.clone();
    let path = format!("/recordings/{name}");
    assert_eq!(program.answer(program.request(reqwest::Method::DELETE, &path)).await.0, StatusCode::OK);
    loop {
        let (kind, data) = follower.next().await;
        if kind == "recording.deleted" {
            assert_eq!(data["name"], name);
            break;
        }
    }
    // Who was away for that is told of it.
    let mut late = Follower::new(&program, Some(&before)).await;
    let (kind, gone) = late.next().await;
    assert_eq!((kind.as_str(), &gone["name"]), ("recording.deleted", &Value::from(name)));
    let log = program.stop();
    assert!(log.contains("stopped"), "nobody who follows holds it up: {log}");

    let program = Program::start(&[], data.path(), &[]);
    assert_eq!(Follower::new(&program, Some(&late.id)).await.next().await.0, "reload");
    program.stop();
}
