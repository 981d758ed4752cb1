//! Files of gigabytes where a description should stand cost their own row, and no memory.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use reelroom_library::{Library, LibraryConfig, Limits, LinkKey, ListQuery, StoreConfig};
use reelroom_truth::Truth;

const HUGE_BYTES: u64 = 3_000_000_000;
/// Whatever is read of one is far less.
const MOST_MORE_BYTES: u64 = 200_000_000;

/// The most memory that this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn huge(file: &Path) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    File::create(file).unwrap().set_len(HUGE_BYTES).unwrap();
}

#[tokio::test]
async fn a_description_of_three_gigabytes_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store/recordings");
    std::fs::create_dir_all(&root).unwrap();
    for n in 0..4 {
        std::fs::write(root.join(format!("good {n}.mp4")), "x").unwrap();
    }
    for name in [
        "good 0.mp4.json",
        "EG_1.json",
        ".metadata/good 2.json",
        "huge.mp4",
        "huge.mp4.json",
        "gone.mp4.json",
    ] {
        huge(&root.join(name));
    }
    let before = peak_bytes();
    let library = Library::open(LibraryConfig {
        store: StoreConfig::folder(folder.path().join("store")),
        prefix: "recordings/".into(),
        index: folder.path().join("index.db"),
        truth: Truth::open(&folder.path().join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(3600),
        limits: Limits::default(),
        backup: None,
    })
    .unwrap();
    library.refresh().await.unwrap();
    let rows = library.list(&ListQuery::default()).await.unwrap().recordings;
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(rows.len(), 5, "{names:?}");
    let told: Vec<_> = rows.iter().filter(|row| row.error.is_some()).map(|row| row.name.as_str()).collect();
    assert!(told.contains(&"good 0.mp4") && told.contains(&"huge.mp4"), "{told:?}");
    assert!(library.report("good 0.mp4").await.is_err());
    library.delete("good 0.mp4").await.unwrap();
    assert!(!root.join("good 0.mp4.json").exists());
    let more = peak_bytes() - before;
    assert!(more < MOST_MORE_BYTES, "{more} bytes of memory for files of {HUGE_BYTES}");
}
