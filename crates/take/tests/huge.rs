//! Files of gigabytes where a take's small ones should stand cost no memory.
#![allow(clippy::unwrap_used)]

use std::fs::File;

use reelroom_take::{Take, TakeHeader, TakeReader, recover};

const HUGE_BYTES: u64 = 3_000_000_000;
const MOST_MORE_BYTES: u64 = 100_000_000;

/// The most memory that this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn facts_and_headers_of_three_gigabytes_are_not_kept_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (made, take) = (folder.path().join("EG_1"), folder.path().join("EG_2"));
    drop(Take::create(&made, TakeHeader::new("EG_1", "room", "RM_1", 1)).unwrap());
    std::fs::create_dir(&take).unwrap();
    std::fs::copy(made.join("take.json"), take.join("take.json")).unwrap();
    let before = peak_bytes();
    let facts = File::create(take.join("events.jsonl")).unwrap();
    facts.set_len(HUGE_BYTES).unwrap();
    recover(&take).unwrap();
    assert!(facts.metadata().unwrap().len() < 10_000, "what is no fact is cut off");
    File::create(take.join("take.json")).unwrap().set_len(HUGE_BYTES).unwrap();
    assert!(TakeReader::open(&take).is_err());
    let more = peak_bytes() - before;
    assert!(more < MOST_MORE_BYTES, "{more} bytes of memory for files of {HUGE_BYTES}");
}
