//! Programs that are killed for real, after waits drawn from a fixed seed.
//!
//! The child is the test program itself, told by an environment variable to write without end and to print what was answered.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reelroom_truth::{Truth, TruthError, backup};

const CHILD: &str = "REELROOM_TRUTH_KILL_CHILD";
pub(crate) const SEED: u64 = 0x5EED_0012;
/// Of the numbers of one round.
pub(crate) const MANY: u64 = 1_000_000;

/// A child was killed.
pub(crate) struct Round {
    /// What it has left.
    pub(crate) truth: Truth,
    /// A copy that was made while it wrote: of some moment, and nothing of it is by halves. There may be none of the first child, which makes
    /// the database.
    pub(crate) copy: Option<Truth>,
    /// What it was answered, in order.
    pub(crate) answered: Vec<(String, u64)>,
}

/// Kills children that run the test of this name, one after the other, which all write to the same database.
pub(crate) fn rounds(test: &'static str, count: u64) -> impl Iterator<Item = Round> {
    let mut random = Random(SEED);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("truth.db");
    let mut writes = 0;
    (1..=count).map(move |number| {
        let child = run(test, folder.path(), number * MANY);
        let wait = Duration::from_millis(100 + random.below(700));
        let copying = std::thread::spawn({
            let (file, copy) = (file.clone(), folder.path().join(format!("copy {number}.db")));
            move || {
                std::thread::sleep(wait / 2);
                backup(&file, &copy).map(|()| copy)
            }
        });
        let answered = kill(child, wait);
        writes += answered.len();
        println!("round {number}: killed after {wait:?}, {writes} writes so far");
        let truth = Truth::open(&file).unwrap();
        let copy = match copying.join().unwrap() {
            Ok(copy) => Some(Truth::open(&copy).unwrap()),
            Err(TruthError::Missing(_)) if number == 1 => None,
            Err(error) => panic!("round {number}: {error}"),
        };
        Round { truth, copy, answered }
    })
}

/// In the child: where it is to write, and from which number on.
pub(crate) fn task() -> Option<(PathBuf, u64)> {
    let task = std::env::var_os(CHILD)?.into_string().unwrap();
    let (first, folder) = task.split_once(' ').unwrap();
    Some((folder.into(), first.parse().unwrap()))
}

/// In the child: this was answered.
pub(crate) fn answered(what: &str, number: u64) {
    let mut out = std::io::stdout();
    writeln!(out, "answered {what} {number}").unwrap();
    out.flush().unwrap();
}

/// A child that runs the test of this name.
pub(crate) fn run(test: &str, folder: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, format!("{first} {}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends the child's life, and tells what it was answered, in order.
pub(crate) fn kill(mut child: Child, wait: Duration) -> Vec<(String, u64)> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        // The test harness writes what it likes before it.
        for line in stdout.lines().map_while(Result::ok) {
            let Some((_, line)) = line.split_once("answered ") else { continue };
            let Some((what, number)) = line.split_once(' ') else { continue };
            all.push((what.to_owned(), number.parse().unwrap()));
        }
        all
    });
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}
