#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::process::nice;

use super::*;
use crate::priority::NICENESS;

fn composition(root: &Path, script: &str) -> Composition {
    Composition {
        egress: "EG_1".into(),
        command: ["sh", "-c", script, "composer"].map(OsString::from).to_vec(),
        take: root.join("take"),
        output: root.join("out.mp4"),
        registry: root.join("registry.bin"),
        encoding: Encoding::default(),
        audio_only: true,
        growth: Growth::Follow,
        silence: SILENCE,
        progress: Arc::default(),
        wanted: CancellationToken::new(),
        growth_told: Growths::default(),
    }
}

async fn appears(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(Instant::now() < deadline, "{} does not appear", path.display()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn it_is_told_what_to_make_and_is_nice() {
    let root = tempfile::tempdir().unwrap();
    let script = r#"echo "$@" > "$1.arguments"; nice > "$1.nice"; printf x > "$3"; echo '{"state":"done","duration_ns":7}'"#;
    let composed = composition(root.path(), script).run().await.unwrap();
    assert_eq!(composed, Composed { duration_ns: 7, size_bytes: 1, report: Report::default() });
    let arguments = appears(&root.path().join("take.arguments")).await;
    let (take, out) = (root.path().join("take"), root.path().join("out.mp4"));
    let expected = format!(
        "{} -o {} --progress --follow --audio-only --width 1280 --height 720 --fps 30 --video-kbps 3000 --audio-kbps 128 --keyframe-ms 2000 --crumb {} --journal {}",
        take.display(),
        out.display(),
        root.path().join("out.crumb").display(),
        root.path().join("out.journal").display()
    );
    assert_eq!(arguments, expected);
    let own: i32 = nice(0).unwrap();
    assert_eq!(appears(&root.path().join("take.nice")).await, (own + NICENESS).min(19).to_string());
}

#[tokio::test]
async fn it_does_not_outlive_its_supervisor() {
    let root = tempfile::tempdir().unwrap();
    let running = tokio::spawn(composition(root.path(), r#"echo $$ > "$1.pid"; exec sleep 600"#).run());
    let pid = appears(&root.path().join("take.pid")).await;
    running.abort();
    let deadline = Instant::now() + Duration::from_secs(10);
    // A killed child is gone, or a zombie until it is waited for.
    let is_alive = || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    while is_alive() {
        assert!(Instant::now() < deadline, "the composer is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn death(root: &Path, script: &str) -> Death {
    composition(root, script).attempt(&Deaths::default()).await.unwrap_err()
}

#[tokio::test]
async fn how_it_ended_is_told_in_words_for_people() {
    let root = tempfile::tempdir().unwrap();
    let said = death(root.path(), "echo one >&2; echo two >&2; exit 3").await;
    assert!(said.reason.contains("one / two") && said.reason.contains('3'), "{said:?}");
    assert_eq!(said.how, How::Refused);
    let said = death(root.path(), r#"echo '{"state":"done","duration_ns":7}'"#).await;
    assert_eq!((said.how, said.reason.as_str()), (How::Refused, "the composer wrote no file"));
    let full = r#"echo '{"state":"failed","cause":"disk","reason":"the disk is full"}'; exit 1"#;
    let said = death(root.path(), full).await;
    assert_eq!((said.how, said.reason.as_str()), (How::Refused, "the disk is full"));
    let element = r#"echo '{"state":"failed","cause":"media","reason":"vp8dec: no"}'; exit 1"#;
    let said = death(root.path(), element).await;
    assert_eq!((said.how, said.reason.as_str()), (How::Died, "vp8dec: no"));
    let crumb = r#"echo '{"doing":"picture","number":30,"at_ns":1000000000}' > "$(dirname $3)/out.crumb"; kill -6 $$"#;
    let said = death(root.path(), crumb).await;
    let place = Place::Picture { number: 30, at_ns: 1_000_000_000 };
    assert_eq!(said, Death { place, how: How::Died, reason: "it crashed (signal 6)".into() });
    let gone = Composition { command: vec!["/nonexistent/composer".into()], ..composition(root.path(), "") };
    let said = gone.attempt(&Deaths::default()).await.unwrap_err();
    assert_eq!(said.reason, "the composer cannot be started: No such file or directory");
}

#[tokio::test]
async fn one_that_says_nothing_is_killed_and_its_place_is_known() {
    let root = tempfile::tempdir().unwrap();
    let script = r#"echo '{"doing":"read","at_ns":5}' > "$(dirname $3)/out.crumb"; exec sleep 600"#;
    let silent = Composition { silence: Duration::from_millis(300), ..composition(root.path(), script) };
    let said = silent.attempt(&Deaths::default()).await.unwrap_err();
    assert_eq!((said.how, said.place), (How::Died, Place::Read { at_ns: 5 }));
    assert!(said.reason.contains("said nothing"), "{}", said.reason);
}

#[test]
fn what_is_left_out_is_counted_by_its_reason_and_who_agreed_stands_in_the_sidecar() {
    let track = |why: &str| serde_json::json!({ "left_out": { "why": why } });
    let mut report = Report {
        tracks: serde_json::json!({ "a": track("encrypted"), "b": track("declined"), "c": track("not_agreed") }),
        ..Report::default()
    };
    let counted = LeftOut { encrypted: 1, by_choice: 2, unreadable: 0, everything: true };
    assert_eq!(report.left_out(), counted);
    assert!(report.to_json()["consents"].is_null(), "nobody was asked");
    let said = serde_json::json!({ "identity": "ann", "answer": "agreed", "agreed_at": 5 });
    report.consents.push(said.clone());
    assert_eq!(report.to_json()["consents"], serde_json::json!([said]));
    assert!(report.to_json()["suspended"].is_null(), "the program ran all the time");
    let pause = serde_json::json!({ "from_ns": 4, "to_ns": 7 });
    report.suspended.push(pause.clone());
    assert_eq!(report.to_json()["suspended"], serde_json::json!([pause]));
}
