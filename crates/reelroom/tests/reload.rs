//! The settings: what is said of them before a start, and what becomes of them when they are read again.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use common::Program;
use common::house::House;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::webhook;
use reqwest::{Method, StatusCode};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);
const PAGE: &str = "https://app.example.org";

fn write(data: &Path, settings: &str) {
    std::fs::write(data.join("reelroom.toml"), settings).unwrap();
}

/// A figure of `/metrics`.
async fn figure(program: &Program, name: &str) -> f64 {
    let text = program.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Waits until so many recordings may run at once.
async fn until_capacity(program: &Program, wanted: f64) {
    let began = Instant::now();
    while figure(program, "reelroom_recordings_capacity").await != wanted {
        assert!(began.elapsed() < PATIENCE, "{wanted} recordings never fit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a page of somebody else's gets in.
async fn page_gets_in(program: &Program) -> bool {
    let asked = program.get("/healthz").header("origin", PAGE).header("sec-fetch-site", "cross-site");
    asked.send().await.unwrap().status() == StatusCode::OK
}

#[tokio::test]
async fn a_hang_up_has_what_may_hold_at_once_and_says_what_waits() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "max_recordings = 1\ndisk_reserve = 1000000\n");
    let house = House::open(&data).await;
    let program = &house.program;
    until_capacity(program, 1.0).await;
    assert!(!page_gets_in(program).await);
    write(
        data.path(),
        &format!(
            "max_recordings = 2\ndisk_reserve = 1000000\nallowed_origins = [\"{PAGE}\"]\nlog = \"debug\"\nmax_composers = 3\n\
             s3_secret_key = \"hunter2\"\ns3_access_key = \"hunter2\"\ns3_bucket = \"b\"\n"
        ),
    );
    program.hang_up();
    until_capacity(program, 2.0).await;
    let began = Instant::now();
    while !page_gets_in(program).await {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let setting = async |name: &str| {
        let told = house.own(Method::GET, "/overview", &json!({})).await;
        let all = told["settings"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    let began = Instant::now();
    while setting("max_composers").await["next"] != "3" {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let recordings = setting("max_recordings").await;
    assert_eq!(
        recordings,
        json!({ "name": "max_recordings", "value": "2", "from": "file", "isSecret": false })
    );
    let composers = setting("max_composers").await;
    assert_eq!((&composers["value"], &composers["from"]), (&json!("0"), &json!("default")));
    let secret = setting("s3_secret_key").await;
    assert_eq!((&secret["value"], &secret["next"]), (&json!("not set"), &json!("set")));
    let began = Instant::now();
    let act = loop {
        let told = house.own(Method::GET, "/audit?limit=50", &json!({})).await;
        let entries = told["entries"].as_array().unwrap().clone();
        if let Some(act) = entries.into_iter().find(|act| act["act"] == "settings.reloaded") {
            break act;
        }
        assert!(began.elapsed() < PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let detail = act["detail"].as_str().unwrap();
    assert!(detail.contains("from now on: allowed_origins, max_recordings, log"), "{act}");
    assert!(detail.contains("from the next start on: ") && detail.contains("max_composers"), "{act}");
    // What is refused a second time is told at the level that is set now.
    for _ in 0..2 {
        let asked = program.get("/healthz").header("origin", "https://eve.example.org");
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let log = house.program.stop();
    for line in [
        "allowed_origins changed; it holds from now on",
        "max_recordings changed; it holds from now on",
        "max_composers changed; it holds from the next start on",
        " DEBUG ",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("hunter2") && !log.contains("disk_reserve changed"), "{log}");
}

#[tokio::test]
async fn a_file_that_is_broken_changes_nothing_and_is_told_until_it_is_mended() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "max_recordings = 1\ndisk_reserve = 1000000\n");
    let program = Program::start(&[], data.path(), &[]);
    until_capacity(&program, 1.0).await;
    write(data.path(), "max_recordings = 2\nmax_rooms = \"many\"\ns3_secret_kee = \"hunter2\"\n");
    program.hang_up();
    let ready = async || program.answer(program.get("/readyz")).await.1["warnings"].to_string();
    let began = Instant::now();
    while !ready().await.contains("line 2, column 13: max_rooms") {
        assert!(began.elapsed() < PATIENCE, "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ready().await.contains("not read since 2"), "{}", ready().await);
    until_capacity(&program, 1.0).await;
    std::fs::remove_file(data.path().join("reelroom.toml")).unwrap();
    program.hang_up();
    while !ready().await.contains("does not exist") {
        assert!(began.elapsed() < PATIENCE, "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_capacity(&program, 1.0).await;
    write(data.path(), "max_recordings = 2\ndisk_reserve = 1000000\n");
    program.hang_up();
    until_capacity(&program, 2.0).await;
    while ready().await.contains("not read since") {
        assert!(began.elapsed() < PATIENCE, "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = program.stop();
    assert!(log.contains("the settings stay as they are: reelroom.toml, line 2, column 13"), "{log}");
    assert!(log.contains("there is no setting s3_secret_kee: s3_secret_key may be meant"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

/// A receiver, and the names of the rooms that it is told of.
async fn receiver() -> (String, mpsc::UnboundedReceiver<String>) {
    let (seen, rooms) = mpsc::unbounded_channel();
    let hear = async move |headers: HeaderMap, body: Bytes| {
        let signature = headers["authorization"].to_str().unwrap();
        let keys = ApiKeys::new("devkey", "secret");
        let event = webhook::verify(&keys, signature, &body, common::now_s()).unwrap();
        let _ = seen.send(event.room.map(|room| room.name).unwrap_or_default());
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", post(hear))).await });
    (url, rooms)
}

#[tokio::test]
async fn whoever_is_told_by_webhook_changes_without_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let ((first, mut by_first), (second, mut by_second)) = (receiver().await, receiver().await);
    write(data.path(), &format!("webhook_urls = [\"{first}\"]\n"));
    let program = Program::start(&[], data.path(), &[]);
    program.make_room("before").await;
    let heard = tokio::time::timeout(PATIENCE, by_first.recv()).await.unwrap().unwrap();
    assert_eq!(heard, "before");
    write(data.path(), &format!("webhook_urls = [\"{second}\"]\n"));
    program.hang_up();
    let began = Instant::now();
    let mut number = 0;
    while by_second.try_recv().is_err() {
        number += 1;
        program.make_room(&format!("meanwhile {number}")).await;
        assert!(began.elapsed() < PATIENCE, "the second one is never told of anything");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    program.make_room("after").await;
    while tokio::time::timeout(PATIENCE, by_second.recv()).await.unwrap().unwrap() != "after" {}
    while let Ok(room) = by_first.try_recv() {
        assert_ne!(room, "after", "it is not a receiver any more");
    }
    let log = program.stop();
    assert!(log.contains("webhook_urls changed; it holds from now on"), "{log}");
}

#[test]
fn hang_ups_at_the_start_and_at_the_end_do_no_harm() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SERVER_PORT", "0")
        .env("UDP_PORT", "0")
        .env("DATA_DIR", data.path())
        .current_dir(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let signal = |which: &str| {
        Command::new("kill").args([which, &pid]).status().unwrap();
    };
    let began = Instant::now();
    // They are caught before the data folder is opened.
    while !data.path().join("lock").exists() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..5 {
        signal("-HUP");
    }
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready at"), "{line}");
    for which in ["-HUP", "-HUP", "-TERM", "-HUP", "-HUP"] {
        signal(which);
    }
    assert!(child.wait().unwrap().success());
}

/// A terminal: what shows it, and what a program in it reads and writes.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let shown = openpt(flags).unwrap();
    grantpt(&shown).unwrap();
    unlockpt(&shown).unwrap();
    let inside = ioctl_tiocgptpeer(&shown, flags).unwrap();
    (shown, inside)
}

/// A program that a terminal controls, which it logs to; the terminal, and where it is reached. `hang_ups` is how it begins with them.
fn in_a_terminal(data: &Path, hang_ups: &str) -> (Child, OwnedFd, String) {
    let (shown, inside) = terminal();
    let mut child = Command::new("setsid")
        .args(["--ctty", "env", hang_ups, env!("CARGO_BIN_EXE_reelroom")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SERVER_PORT", "0")
        .env("UDP_PORT", "0")
        .env("DATA_DIR", data)
        .current_dir(data)
        .stdin(inside.try_clone().unwrap())
        .stdout(Stdio::piped())
        .stderr(inside)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(url.starts_with("http"), "{line}");
    (child, shown, url)
}

/// Waits until it has ended; whether all went well.
fn ends_well(child: &mut Child) -> bool {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_ends_in_order_with_its_terminal() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, shown, _) = in_a_terminal(data.path(), "--default-signal=HUP");
    drop(shown);
    assert!(ends_well(&mut child));
}

#[tokio::test]
async fn a_program_that_began_with_hang_ups_ignored_outlives_its_terminal() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, shown, url) = in_a_terminal(data.path(), "--ignore-signal=HUP");
    write(data.path(), "max_rooms = \"many\"\n");
    // It reads its settings again, and has nobody any more to whom it could log what is wrong with them.
    drop(shown);
    let ready = async || reqwest::get(format!("{url}/readyz")).await.unwrap().text().await.unwrap();
    let began = Instant::now();
    while !ready().await.contains("line 1, column 13: max_rooms") {
        assert!(began.elapsed() < PATIENCE, "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(child.try_wait().unwrap().is_none());
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(ends_well(&mut child));
}

/// `reelroom` with these arguments, in a folder.
fn run(folder: &Path, args: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelroom"));
    command.args(args).env_clear().envs(settings.iter().copied()).current_dir(folder);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn check_says_what_is_set_and_what_it_means_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "listen = \"0.0.0.0\"\nbackup_after = 60\nwebhook_urls = [\"https://u:hunter2@example.org/hunter2\"]\nlog = \"info\"\n",
    );
    // Somebody may listen there.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let settings = [
        ("DATA_DIR", "/nonexistent/data"),
        ("SERVER_PORT", port.as_str()),
        ("S3_BUKET", "b"),
        ("LOG", "debug"),
        ("LIVEKIT_API_KEY", "key"),
        ("LIVEKIT_API_SECRET", "hunter2"),
    ];
    let found = run(folder.path(), &["check"], &settings);
    let said = String::from_utf8(found.stdout).unwrap();
    assert!(found.status.success() && found.stderr.is_empty(), "{said}");
    for part in [
        "Read: reelroom.toml, and the environment",
        "[file line 1]",
        "[environment DATA_DIR]",
        "(set)  [environment LIVEKIT_API_SECRET]",
        "nobody else, for LISTEN is no loopback address",
        &format!("At all addresses of this machine, port {port}."),
        "told of to https://example.org.",
        "backup_after: reelroom.toml, line 2: there is no backup store",
        "log: reelroom.toml, line 4: it does not count",
        "S3_BUKET of the environment: it is not read: the setting is called S3_BUCKET",
        "A start would take these settings.",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(names, ["reelroom.toml"], "nothing is made");

    let found = run(folder.path(), &["check", "--json"], &settings);
    let told: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert!(found.status.success() && !told.to_string().contains("hunter2"));
    assert_eq!((&told["ok"], &told["file"]), (&json!(true), &json!("reelroom.toml")));
    assert_eq!(told["withoutEffect"].as_array().unwrap().len(), 3, "{told}");
}

#[test]
fn what_is_wrong_is_told_with_its_line_by_check_and_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "# mine\nsever_port = 80\nmax_rooms = \"many\"\ns3_secret_key = hunter2\n");
    let settings = [("DATA_DIR", "data"), ("MAX_RECORDINGS", "-1")];
    let found = run(folder.path(), &["check"], &settings);
    let said = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.status.code(), Some(1), "{said}");
    for part in [
        "4 things are wrong",
        "the environment variable MAX_RECORDINGS: max_recordings cannot be this: \"-1\" is no whole number from 0",
        "reelroom.toml, line 2, column 1: there is no setting sever_port: server_port may be meant",
        "     3 | max_rooms = \"many\"\n       |             ^^^^^^",
        "reelroom.toml, line 4, ",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let started = run(folder.path(), &[], &settings);
    let log = String::from_utf8(started.stderr).unwrap();
    assert_eq!((started.status.code(), format!("reelroom: {said}")), (Some(1), log));
    assert!(!folder.path().join("data").exists(), "nothing is made");

    let found = run(folder.path(), &["check", "--json"], &settings);
    assert_eq!(found.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&found.stdout).unwrap();
    let problems = told["problems"].as_array().unwrap();
    assert_eq!((&told["ok"], problems.len()), (&json!(false), 4), "{told}");
    assert_eq!((&problems[0]["variable"], &problems[0]["line"]), (&json!("MAX_RECORDINGS"), &json!(null)));
    assert_eq!((&problems[2]["setting"], &problems[2]["line"]), (&json!("max_rooms"), &json!(3)));
    let missing = run(folder.path(), &["check", "-c", "other.toml"], &[]);
    let said = String::from_utf8(missing.stdout).unwrap();
    assert!(missing.status.code() == Some(1) && said.contains("other.toml does not exist"), "{said}");
}
