//! What nothing else knows: copied while the server runs, never thrown away, and enough to make the index again.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Program;

fn backup(data: &Path, copy: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .arg("backup")
        .arg(copy)
        .env_clear()
        .env("DATA_DIR", data)
        .current_dir(data)
        .output()
        .unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_copy_is_made_while_the_server_runs_and_takes_the_place_of_what_is_damaged() {
    let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (truth, copy) = (data.path().join("truth.db"), elsewhere.path().join("copy.db"));
    let missing = refusal(&backup(data.path(), &copy));
    assert!(missing.contains("there is no") && missing.contains("was Reelroom started there"), "{missing}");
    let program = Program::start(&[], data.path(), &[]);
    let made = backup(data.path(), &copy);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(String::from_utf8(made.stdout).unwrap().contains("is copied to"));
    let before = std::fs::read(&copy).unwrap();
    let taken = refusal(&backup(data.path(), &copy));
    assert!(taken.contains("is there already, and nothing is replaced"), "{taken}");
    assert!(std::fs::read(&copy).unwrap() == before);
    let nowhere = refusal(&backup(data.path(), &elsewhere.path().join("nowhere/copy.db")));
    assert!(nowhere.contains("cannot be made: No such file"), "{nowhere}");
    // A running server does not need its index.
    std::fs::remove_file(data.path().join("index.db")).unwrap();
    assert!(program.list(&[]).await.is_empty());
    assert!(data.path().join("index.db").is_file());
    program.stop();

    let damaged = vec![7; 10_000];
    std::fs::write(&truth, &damaged).unwrap();
    let Err(log) = Program::try_start(&[], data.path(), &[]) else { panic!("it starts") };
    assert!(log.contains("truth.db is damaged and was left as it is"), "{log}");
    assert!(log.contains("reelroom backup") && log.contains("move it aside"), "{log}");
    assert!(std::fs::read(&truth).unwrap() == damaged);
    std::fs::copy(&copy, &truth).unwrap();
    let program = Program::start(&[], data.path(), &[]);
    assert!(program.list(&[]).await.is_empty());
    program.stop();
}
