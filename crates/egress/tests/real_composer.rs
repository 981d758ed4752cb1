//! A recording with the real composer. This test program is its own composer process: a test that does nothing unless it is
//! called by the supervisor.

#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::Parser as _;
use common::{may_record, media};
use reelroom_composer::ComposeArgs;
use reelroom_egress::{Egress, EgressConfig, Shelf, ShelfError};
use reelroom_library::{Publication, Published};
use serde_json::{Value, json};

const ARGUMENTS: &str = "REELROOM_TEST_COMPOSE";

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    compose: ComposeArgs,
}

#[test]
fn composer_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = Arguments::parse_from(std::iter::once("compose").chain(arguments.lines()));
    // What tests print is captured unless it is written like this.
    reelroom_composer::run(&arguments.compose, &mut std::io::stdout()).unwrap();
}

/// Keeps the files in a folder.
struct Folder {
    path: PathBuf,
    durations_ns: Mutex<Vec<u64>>,
}

#[async_trait]
impl Shelf for Folder {
    async fn publish(&self, recording: &Publication<'_>) -> Result<Published, ShelfError> {
        std::fs::copy(recording.file, self.path.join("out.mp4")).unwrap();
        self.durations_ns.lock().unwrap().push(recording.duration_ns);
        Ok(Published::default())
    }
}

async fn call(egress: &Egress, method: &str, body: Value) -> Value {
    common::call(egress, method, body, may_record()).await.unwrap()
}

fn probed_duration(file: &Path) -> f64 {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(probe.stderr.is_empty(), "{}", String::from_utf8_lossy(&probe.stderr));
    String::from_utf8(probe.stdout).unwrap().trim().parse().unwrap()
}

fn folder(path: &Path) -> Arc<Folder> {
    Arc::new(Folder { path: path.to_owned(), durations_ns: Mutex::default() })
}

fn config(root: &Path, script: &str) -> EgressConfig {
    let command = ["sh", "-c", script, "compose"].map(OsString::from).to_vec();
    EgressConfig {
        finish_within: Duration::from_millis(100),
        ..EgressConfig::new(root.join("data"), command)
    }
}

/// Runs this program as the composer.
fn real_composer() -> String {
    let exe = std::env::current_exe().unwrap();
    format!(
        "{ARGUMENTS}=\"$(printf '%s\\n' \"$@\")\" exec '{}' --exact composer_process --nocapture",
        exe.display()
    )
}

async fn record(egress: &Egress) -> Value {
    let options = json!({ "width": 320, "height": 180, "framerate": 15 });
    let start =
        json!({ "roomName": "r", "fileOutputs": [{ "filepath": "a/{room_name}" }], "advanced": options });
    call(egress, "StartRoomCompositeEgress", start).await["egress_id"].clone()
}

async fn completed(egress: &Egress, id: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let info = call(egress, "ListEgress", json!({ "egressId": id })).await["items"][0].clone();
        match info["status"].as_str() {
            Some("EGRESS_COMPLETE") => return info,
            Some("EGRESS_FAILED") => panic!("{info}"),
            _ => assert!(Instant::now() < deadline, "{info}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_room_is_recorded_for_as_long_as_it_was_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let shelf = folder(root.path());
    let config = config(root.path(), &real_composer());
    let egress = Egress::start(config, media("r").await, Arc::clone(&shelf) as Arc<dyn Shelf>).await.unwrap();
    let began = Instant::now();
    let id = record(&egress).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    call(&egress, "StopEgress", json!({ "egressId": id })).await;
    let took = began.elapsed().as_secs_f64();
    let info = completed(&egress, &id).await;
    let told: u64 = info["file_results"][0]["duration"].as_str().unwrap().parse().unwrap();
    assert_eq!(*shelf.durations_ns.lock().unwrap(), [told]);
    let played = probed_duration(&root.path().join("out.mp4"));
    assert!((played - took).abs() < 0.5, "{played} s of {took} s");
    assert!((played - told as f64 / 1e9).abs() < 0.1, "{played} s, told {told} ns");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_composed_after_a_restart_is_as_long() {
    let root = tempfile::tempdir().unwrap();
    let (media, shelf) = (media("r").await, folder(root.path()));
    let first = config(root.path(), "exec sleep 60");
    let egress = Egress::start(first, media.clone(), Arc::clone(&shelf) as Arc<dyn Shelf>).await.unwrap();
    let began = Instant::now();
    let id = record(&egress).await;
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let took = began.elapsed().as_secs_f64();
    egress.shutdown().await;
    let second = config(root.path(), &real_composer());
    let egress = Egress::start(second, media, Arc::clone(&shelf) as Arc<dyn Shelf>).await.unwrap();
    completed(&egress, &id).await;
    let played = probed_duration(&root.path().join("out.mp4"));
    assert!((played - took).abs() < 0.5, "{played} s of {took} s");
}
