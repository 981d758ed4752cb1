//! Signals: the first ends everything in order, a second one at once.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::Program;

#[tokio::test]
async fn a_signal_in_mid_recording_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let name = program.record_for("a", Duration::from_millis(1500)).await;
    let log = program.stop();
    assert!(log.contains("stopped"), "{log}");
    let program = Program::start(&[], data.path(), &[]);
    let complete = program.until_status(&name, "complete").await;
    assert!(complete["duration"].as_f64().unwrap() >= 1.4, "{complete}");
    assert_eq!(complete["recovered"], false, "it was ended in order: {complete}");
    program.stop();
}

#[tokio::test]
async fn a_kill_in_mid_recording_loses_less_than_a_second_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let name = program.record_for("a", Duration::from_millis(2500)).await;
    drop(program);
    let program = Program::start(&[], data.path(), &[]);
    let complete = program.until_status(&name, "complete").await;
    assert!(complete["duration"].as_f64().unwrap() >= 1.5, "{complete}");
    assert_eq!(complete["recovered"], true);
    assert!(complete["lostSeconds"].as_f64().unwrap() <= 1.0, "{complete}");
    program.stop();
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    // Whoever takes webhooks and never answers keeps an orderly end waiting for seconds.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/", silent.local_addr().unwrap());
    let program = Program::start(&[], data.path(), &[("WEBHOOK_URLS", &hook)]);
    program.make_room("a").await;
    let began = std::time::Instant::now();
    assert_eq!(program.stop_twice(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
