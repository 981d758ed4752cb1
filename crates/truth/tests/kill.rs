//! A program that is killed while it writes has written what it was answered, and nothing by halves: of recordings. All children write to the
//! same database.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod killing;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use killing::{MANY, Random, SEED, answered};
use reelroom_truth::{Alone, Truth, TruthError, Waiting};

const TEST: &str = "a_killed_program_has_written_what_it_was_answered";
const ROUNDS: u64 = 10;

fn key(number: u64) -> String {
    format!("recordings/{number}.mp4")
}

fn waiting(number: u64) -> Waiting {
    let about = vec![number as u8; (number % 7 * 900) as usize];
    Waiting { key: key(number), file: key(number).into(), about: Some(about), ..Waiting::default() }
}

/// Each recording waits, and then it is stored, deleted, deleted before it is stored, or uploaded in parts.
async fn write_forever(folder: &Path, first: u64) -> Result<(), TruthError> {
    let truth = Truth::open(&folder.join("truth.db"))?;
    for number in first.. {
        let (key, id) = (key(number), format!("EG_{number}"));
        truth.keep_waiting(waiting(number)).await?;
        answered("waits", number);
        match number % 4 {
            0 => truth.stored(&key, Some(id.into())).await?,
            1 => truth.discard(&key, Path::new(&key), None, &id).await?,
            2 => truth.add_multipart("store", &key, &id).await?,
            _ => {
                truth
                    .keep_alone(Alone { key: key.clone(), is_failed: true, about: id.clone().into() })
                    .await?;
                answered("failed", number);
                truth.dismiss(&key, &id).await?;
            }
        }
        answered("done", number);
    }
    Ok(())
}

/// What became of each number.
#[derive(Clone, Copy, Default)]
struct Answered {
    waits: bool,
    failed: bool,
    done: bool,
}

/// Nothing stands there by halves, and nothing is missing of what was answered.
async fn check(truth: &Truth, answered: &BTreeMap<u64, Answered>, numbers: impl Iterator<Item = u64>) {
    let waits: HashSet<String> = truth.waiting().unwrap().into_iter().map(|one| one.key).collect();
    let discarded: HashSet<String> = truth.discarded().unwrap().into_iter().map(|one| one.key).collect();
    let failed: HashSet<String> = truth.failed_alone().unwrap().into_iter().map(|one| one.key).collect();
    let parts = truth.multiparts("store").await.unwrap();
    let parts: HashSet<String> = parts.into_iter().map(|one| one.key).collect();
    for number in numbers {
        let key = key(number);
        let was = answered.get(&number).copied().unwrap_or_default();
        let alone = truth.alone(&key).await.unwrap().is_some();
        let dismissed = truth.is_dismissed(&key, &format!("EG_{number}")).await.unwrap();
        let (waits, discarded, failed) =
            (waits.contains(&key), discarded.contains(&key), failed.contains(&key));
        let parts = parts.contains(&key);
        // The one thing that it comes to, and whether it is one with the end of waiting.
        let (done, ends_waiting) = match number % 4 {
            0 => (alone, true),
            1 => (discarded, true),
            2 => (parts, false),
            _ => (dismissed, false),
        };
        let told = format!("{number}: {waits} {alone} {discarded} {failed} {parts} {dismissed}");
        assert_eq!(
            [alone, discarded, parts, dismissed].iter().filter(|is| **is).count(),
            usize::from(done),
            "{told}"
        );
        assert!(done || !was.done, "{told}: it was answered");
        assert!(waits || !was.waits || (done && ends_waiting), "{told}: it was answered");
        assert!(!(waits && done && ends_waiting), "{told}: both");
        assert!(!(failed && dismissed), "{told}: both");
        assert!(failed || !was.failed || dismissed, "{told}: it was answered");
    }
}

/// What a child was answered of each number.
fn of_each(answered: Vec<(String, u64)>) -> BTreeMap<u64, Answered> {
    let mut all: BTreeMap<u64, Answered> = BTreeMap::new();
    for (what, number) in answered {
        let one = all.entry(number).or_default();
        match what.as_str() {
            "waits" => one.waits = true,
            "failed" => one.failed = true,
            _ => one.done = true,
        }
    }
    all
}

#[tokio::test]
async fn a_killed_program_has_written_what_it_was_answered() {
    if let Some((folder, first)) = killing::task() {
        write_forever(&folder, first).await.unwrap();
        return;
    }
    let mut answered = BTreeMap::new();
    for round in killing::rounds(TEST, ROUNDS) {
        answered.append(&mut of_each(round.answered));
        let known = || answered.keys().copied().flat_map(|number| [number, number + 1]);
        check(&round.truth, &answered, known()).await;
        if let Some(copy) = round.copy {
            check(&copy, &BTreeMap::new(), known()).await;
        }
    }
    assert!(answered.len() > 100, "only {} were written", answered.len());
}

#[tokio::test]
async fn a_program_that_is_killed_at_its_first_start_leaves_no_half_of_a_database() {
    let mut random = Random(SEED);
    let mut made = 0;
    for round in 1..=20 {
        let folder = tempfile::tempdir().unwrap();
        let wait = Duration::from_micros(random.below(60_000));
        let answered = of_each(killing::kill(killing::run(TEST, folder.path(), MANY), wait));
        made += u32::from(folder.path().join("truth.db").exists());
        let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
        check(&truth, &answered, MANY..MANY + 100).await;
        println!("round {round}: {} recordings, {made} databases so far", answered.len());
    }
}
