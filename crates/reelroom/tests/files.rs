//! Files: what is asked for stays in the store, nothing is replaced, nobody else reads it, and a link is for one file.

#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use common::Program;
use serde_json::{Value, json};

async fn start(program: &Program, room: &str, filepath: &str) -> (String, String) {
    let body = json!({ "roomName": room, "fileOutputs": [{ "filepath": filepath }] });
    let info = program.twirp("Egress/StartRoomCompositeEgress", body).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{info}")).to_owned();
    (text(&info["egress_id"]), text(&info["file_results"][0]["filename"]))
}

/// Where the file stands when it is stored, as it was told.
async fn stop(program: &Program, id: &str) -> (String, String) {
    program.twirp("Egress/StopEgress", json!({ "egressId": id })).await;
    for _ in 0..3000 {
        let list = program.twirp("Egress/ListEgress", json!({ "egressId": id })).await;
        let info = &list["items"][0];
        match info["status"].as_str().unwrap() {
            "EGRESS_ENDING" | "EGRESS_ACTIVE" | "EGRESS_STARTING" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            "EGRESS_COMPLETE" => {
                let file = &info["file_results"][0];
                let text = |name: &str| file[name].as_str().unwrap().to_owned();
                return (text("filename"), text("location"));
            }
            other => panic!("{other}: {info}"),
        }
    }
    panic!("{id} does not end");
}

async fn record(program: &Program, room: &str, filepath: &str) -> (String, String) {
    let (id, _) = start(program, room, filepath).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    stop(program, &id).await
}

/// Everything below a folder, with its permissions.
fn below(folder: &Path) -> Vec<(String, bool, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        found.push((path.display().to_string(), metadata.is_dir(), mode));
        if metadata.is_dir() {
            found.extend(below(&path));
        }
    }
    found
}

#[tokio::test]
async fn no_path_leads_to_the_programs_own_files_and_nobody_else_reads_any() {
    // As the most careless shell starts it.
    rustix::process::umask(rustix::fs::Mode::empty());
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    program.make_room("a").await;
    program.make_room("b").await;
    let (running, _) = start(&program, "a", "recordings/running").await;
    let secrets = std::fs::read(data.path().join("secrets.json")).unwrap();
    let mut started = Vec::new();
    for (asked, told) in [
        (format!("takes/{running}/take.json"), format!("takes/{running}/take.json.mp4")),
        (format!("composed/{running}.mp4"), format!("composed/{running}.mp4")),
        ("../../secrets.json".into(), "secrets.json.mp4".into()),
        ("recordings/../INDEX.DB".into(), "INDEX.DB.mp4".into()),
        ("./egress//x".into(), "egress/x.mp4".into()),
        (
            data.path().join("lock").display().to_string(),
            format!("{}.mp4", data.path().join("lock").display()),
        ),
    ] {
        let (id, filename) = start(&program, "b", &asked).await;
        assert_eq!(filename, told.trim_start_matches('/'), "{asked}");
        started.push((id, filename));
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for (id, filename) in &started {
        let (stored, location) = stop(&program, id).await;
        assert_eq!(stored, *filename);
        assert_eq!(Path::new(&location), data.path().canonicalize().unwrap().join("store").join(filename));
        assert!(Path::new(&location).is_file());
    }
    assert!(!data.path().join("composed").join(format!("{}.mp4.json", running)).exists());
    let (filename, location) = stop(&program, &running).await;
    assert_eq!(filename, "recordings/running.mp4");
    assert_eq!(Path::new(&location), data.path().canonicalize().unwrap().join(&filename));
    assert_eq!(std::fs::read(data.path().join("secrets.json")).unwrap(), secrets);
    for (path, is_folder, mode) in below(data.path()) {
        assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{path}");
    }
    program.stop();
}

#[tokio::test]
async fn what_stands_in_the_store_is_never_replaced_and_a_link_is_for_one_file() {
    let (data, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(data.path().join("recordings")).unwrap();
    std::fs::write(data.path().join("recordings/theirs.mp4"), "theirs").unwrap();
    std::fs::write(outside.path().join("secret.mp4"), "secret").unwrap();
    symlink(outside.path(), data.path().join("recordings/out")).unwrap();
    symlink(outside.path().join("secret.mp4"), data.path().join("recordings/link.mp4")).unwrap();
    let program = Program::start(&[], data.path(), &[]);
    program.make_room("a").await;
    let first = start(&program, "a", "recordings/theirs.mp4").await;
    assert_eq!(first.1, "recordings/theirs-2.mp4");
    let second = start(&program, "a", "recordings/THEIRS-2").await;
    assert_eq!(second.1, "recordings/THEIRS-2-2.mp4", "some disks take both for one");
    // Somebody else is faster.
    std::fs::write(data.path().join("recordings/theirs-2.mp4"), "theirs too").unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (filename, location) = stop(&program, &first.0).await;
    assert_eq!(filename, format!("recordings/theirs-2-{}.mp4", first.0));
    assert!(Path::new(&location).is_file());
    assert_eq!(stop(&program, &second.0).await.0, second.1);
    for (name, content) in [("theirs.mp4", "theirs"), ("theirs-2.mp4", "theirs too")] {
        assert_eq!(std::fs::read_to_string(data.path().join("recordings").join(name)).unwrap(), content);
    }

    program.refusal(program.get("/recordings/link.mp4"), 503).await;
    program.refusal(program.get("/recordings/out%2Fsecret.mp4"), 503).await;
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);

    let (filename, _) = record(&program, "a", "recordings/again").await;
    let name = filename.strip_prefix("recordings/").unwrap();
    let (_, link) = program.answer(program.get(&format!("/recordings/{name}/url"))).await;
    let link = link["recordingUrl"].as_str().unwrap().to_owned();
    assert_eq!(program.get(&link).send().await.unwrap().status(), 200);
    assert_eq!(
        program
            .request(reqwest::Method::DELETE, &format!("/recordings/{name}"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    program.refusal(program.get(&link), 404).await;
    // Another file comes to have its name.
    std::fs::write(data.path().join(&filename), "another").unwrap();
    let said = program.refusal(program.get(&link), 410).await;
    assert!(said.contains("another one has its name"), "{said}");
    program.refusal(program.get(&link.replace("file=", "file=0")), 403).await;
    let (before, after) = (link.split("file=").next().unwrap(), link.split("&signature=").nth(1).unwrap());
    program.refusal(program.get(&format!("{before}signature={after}")), 403).await;
    program.stop();
}
