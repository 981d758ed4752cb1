//! Whoever follows what happens, by the real program: through its front, over its restarts, and a thousand of them.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);
const MANY: usize = 1000;

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

#[tokio::test]
#[ignore = "prints what each follower costs; both sides need 1,100 open files"]
async fn what_a_thousand_followers_cost() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    program.list(&[]).await;
    let address = program.url.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1");
    let before = program.memory_bytes();
    let mut followers = Vec::new();
    for _ in 0..MANY {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut piece = [0; 2048];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(piece[..length].starts_with(b"HTTP/1.1 200"));
        followers.push(stream);
    }
    let silent = program.memory_bytes();
    program.record_for("told", Duration::from_secs(3)).await;
    program.stop_recording("told").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = program.memory_bytes();
    let each = |now: u64| now.saturating_sub(before) / MANY as u64;
    println!("{MANY} followers: {} bytes each while nothing happens", each(silent));
    println!("{MANY} followers that read nothing: {} bytes each after a recording", each(told));
    assert!(each(silent) < 64 * 1024, "{} bytes each", each(silent));
    drop(followers);
    program.stop();
}
