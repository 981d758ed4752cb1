#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::*;

fn composition(root: &Path, script: &str) -> Composition {
    Composition {
        egress: "EG_1".into(),
        command: ["sh", "-c", script, "composer"].map(OsString::from).to_vec(),
        take: root.join("take"),
        output: root.join("out.mp4"),
        encoding: Encoding::default(),
        audio_only: true,
        growth: Growth::Follow,
        progress: Arc::default(),
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
    assert_eq!(composed, Composed { duration_ns: 7, size_bytes: 1, report: serde_json::Value::Null });
    let arguments = appears(&root.path().join("take.arguments")).await;
    let (take, out) = (root.path().join("take"), root.path().join("out.mp4"));
    let expected = format!(
        "{} -o {} --progress --follow --audio-only --width 1280 --height 720 --fps 30 --video-kbps 3000 --audio-kbps 128 --keyframe-ms 2000",
        take.display(),
        out.display()
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

#[tokio::test]
async fn what_it_said_last_is_told_when_it_fails() {
    let root = tempfile::tempdir().unwrap();
    let error = composition(root.path(), "echo one >&2; echo two >&2; exit 3").attempt().await.unwrap_err();
    assert!(error.contains("one / two") && error.contains('3'), "{error}");
    let error =
        composition(root.path(), r#"echo '{"state":"done","duration_ns":7}'"#).attempt().await.unwrap_err();
    assert!(error.contains("wrote no file"), "{error}");
    let gone = Composition { command: vec!["/nonexistent/composer".into()], ..composition(root.path(), "") };
    assert!(gone.attempt().await.unwrap_err().contains("cannot be started"));
}
