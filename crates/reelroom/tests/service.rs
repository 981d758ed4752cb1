//! The program as a service of systemd's, and in a container: what it tells its manager, how it writes into the journal, how it is asked.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Program;

const SOON: Duration = Duration::from_secs(60);

fn hear(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let length = manager.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_manager_hears_that_the_program_is_ready_alive_and_stopping() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = folder.path().join("notify");
    let manager = UnixDatagram::bind(&name).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let roles: [&[&str]; 2] = [&[], &["media"]];
    for role in roles {
        let settings = [("NOTIFY_SOCKET", name.to_str().unwrap()), ("WATCHDOG_USEC", "600000")];
        let program = Program::start(role, data.path(), &settings);
        assert_eq!(hear(&manager), format!("READY=1\nSTATUS=ready at {}", program.url));
        for _ in 0..3 {
            assert_eq!(hear(&manager), "WATCHDOG=1");
        }
        program.stop();
        let mut last = hear(&manager);
        while last == "WATCHDOG=1" {
            last = hear(&manager);
        }
        assert!(last.starts_with("STOPPING=1\nSTATUS=stopping"), "{last}");
        // What it still told while it stopped.
        manager.set_nonblocking(true).unwrap();
        while manager.recv(&mut [0; 1024]).is_ok() {}
        manager.set_nonblocking(false).unwrap();
    }
}

/// Runs the program with its output in `journal`, as systemd does, until that has a line with `last`.
fn journal_of(data: &Path, journal: &Path, args: &[&str], last: &str) -> String {
    output_of(data, journal, journal, args, last)
}

/// Runs the program with standard output in `out` and standard error in `journal`, until the former has a line with `last`.
fn output_of(data: &Path, out: &Path, journal: &Path, args: &[&str], last: &str) -> String {
    let opened = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
    let errors = opened(journal);
    let named = errors.metadata().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .args(args)
        .env_clear()
        .envs([("SERVER_PORT", "0"), ("UDP_PORT", "0"), ("ACCESS", "invite")])
        .env("DATA_DIR", data)
        .env("JOURNAL_STREAM", format!("{}:{}", named.dev(), named.ino()))
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(opened(out))
        .stderr(errors)
        .spawn()
        .unwrap();
    let end = Instant::now() + SOON;
    let mut text = String::new();
    while !text.contains(last) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        text = std::fs::read_to_string(out).unwrap();
    }
    let _ = child.kill();
    child.wait().unwrap();
    text
}

#[test]
fn the_journal_gets_priorities_and_no_times_and_no_link_that_makes_an_owner() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = journal_of(data.path(), &folder.path().join("journal"), &[], "Nobody is its owner yet");
    assert!(text.contains("Nobody is its owner yet: 'reelroom owner'"), "{text}");
    assert!(!text.contains("setup="), "who reads the journal is not the owner: {text}");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("Reelroom is ready at http://localhost:")), "{text}");
    let events: Vec<_> = lines.iter().filter(|line| line.contains("INFO") || line.contains("WARN")).collect();
    assert!(!events.is_empty(), "{text}");
    for line in events {
        let priority = if line.contains("INFO") { "<6>" } else { "<4>" };
        assert!(line.starts_with(priority) && !line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn whoever_reads_standard_output_gets_the_link_when_that_is_not_the_journal() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (out, journal) = (folder.path().join("out"), folder.path().join("journal"));
    let text = output_of(data.path(), &out, &journal, &[], "setup=");
    assert!(text.contains("/owner#setup="), "{text}");
    let told = std::fs::read_to_string(&journal).unwrap();
    assert!(told.contains("<6>") && !told.contains("setup="), "{told}");
}

#[test]
fn why_it_does_not_start_is_an_error_in_the_journal() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let args = ["--config", "missing.toml"];
    let text = journal_of(data.path(), &folder.path().join("journal"), &args, "does not exist");
    assert!(text.starts_with("<3>reelroom: the settings file missing.toml does not exist"), "{text}");
}

#[tokio::test]
async fn whoever_runs_it_can_ask_it_how_it_is() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let port = program.url.rsplit(':').next().unwrap().to_owned();
    let ask = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reelroom"));
        command.arg("health").args(args).env_clear().env("SERVER_PORT", &port).current_dir(data.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(ask(&[]), (Some(0), String::new()));
    assert_eq!(ask(&["--ready"]), (Some(0), String::new()));
    program.stop();
    let (code, said) = ask(&[]);
    assert!(code == Some(1) && said.contains("does not answer"), "{said}");
}
