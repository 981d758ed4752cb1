//! Bad neighbours: each costs its own row at most, and is told; what was known stays known.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const GOOD: usize = 200;

async fn all(library: &Library) -> Vec<Recording> {
    library.refresh().await.unwrap();
    let rows = library.list(&ListQuery { limit: 1000, ..ListQuery::default() }).await.unwrap().recordings;
    // What a list begins would read the store in the midst of what the test does to it next.
    while library.shared.is_refreshing.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rows
}

/// The rows of which all is well, and the others by name with what is said of them.
fn parted(rows: Vec<Recording>) -> (usize, Vec<(String, String)>) {
    let (bad, good): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.error.is_some());
    let mut bad: Vec<_> = bad.into_iter().map(|row| (row.name, row.error.unwrap_or_default())).collect();
    bad.sort();
    (good.len(), bad)
}

fn good_ones(fixture: &Fixture) {
    for n in 0..GOOD {
        fixture.put(&format!("good {n}.mp4"), b"x");
        fixture.put(&format!("good {n}.mp4.json"), format!("{{\"egress_id\":\"EG_{n}\"}}").as_bytes());
    }
}

fn pipe(at: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

#[tokio::test]
async fn in_a_folder_each_costs_its_own_row_at_most() {
    let fixture = Fixture::new();
    good_ones(&fixture);
    let root = fixture.root().join("recordings");
    for name in ["tab\t.mp4", "line\nbreak.mp4"] {
        std::fs::write(root.join(name), "x").unwrap();
    }
    std::fs::write(root.join(OsStr::from_bytes(b"no utf-8 \xff.mp4")), "x").unwrap();
    std::fs::write(root.join(format!("{}.mp4", "l".repeat(250))), "x").unwrap();
    symlink("nowhere", root.join("dangling.mp4")).unwrap();
    symlink("circle.mp4", root.join("circle.mp4")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("/dev/zero", root.join("device.mp4")).unwrap();
    pipe(&root.join("pipe.mp4"));
    pipe(&root.join("good 0.mp4.json.pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.mp4")).unwrap();
    std::fs::create_dir_all(root.join("folder.mp4")).unwrap();
    let began = Instant::now();
    let (good, bad) = parted(all(&fixture.library).await);
    let names: Vec<_> = bad.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["circle.mp4", "dangling.mp4", "device.mp4", "line\nbreak.mp4", "no utf-8 \u{fffd}.mp4", "tab\t.mp4"];
    assert_eq!((good, names), (GOOD + 1, expected.to_vec()), "the long name is fine");
    assert!(bad[1].1.contains("nowhere") && bad[5].1.contains("tab"), "{bad:?}");
    assert!(bad[2].1.contains("leads out of the store"), "{bad:?}");
    for name in ["line\nbreak.mp4", "tab\t.mp4"] {
        for refused in [fixture.library.file(name).await.map(drop), fixture.library.delete(name).await] {
            let Err(LibraryError::Unnameable { reason, .. }) = refused else { panic!("{refused:?}") };
            assert!(reason.contains("in the store itself"), "{reason}");
        }
    }
    fixture.library.delete("device.mp4").await.unwrap();
    assert!(Path::new("/dev/zero").exists() && !root.join("device.mp4").exists(), "the link alone goes");
    symlink("/dev/zero", root.join("device.mp4")).unwrap();
    assert_eq!(fixture.library.listing_trouble().count, expected.len());
    for name in ["pipe.mp4", "socket.mp4", "device.mp4", "folder.mp4", "dangling.mp4"] {
        let found = fixture.library.file(name).await;
        assert!(
            matches!(found, Err(LibraryError::NotFound(_) | LibraryError::Unreadable { .. })),
            "{name}: {found:?}"
        );
    }
    assert!(began.elapsed() < Duration::from_secs(20), "nothing is waited for");
    // What is mended is a recording like any other.
    std::fs::write(root.join("nowhere"), "x").unwrap();
    let (good, bad) = parted(all(&fixture.library).await);
    assert_eq!((good, bad.len()), (GOOD + 2, expected.len() - 1));
}

#[tokio::test]
async fn hostile_sidecars_cost_nothing_but_what_they_would_tell() {
    let fixture = Fixture::new();
    good_ones(&fixture);
    let deep = format!("{{\"egress_id\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let many =
        format!("{{\"egress_id\":\"EG_x\",\"files\":[{}0]}}", "{\"filename\":\"a.mp4\"},".repeat(50_000));
    let sidecars: [(&str, Vec<u8>); 10] = [
        ("deep", deep.into_bytes()),
        ("types", br#"{"egress_id":"EG_t","room_name":["x"],"started_at":{},"duration_ns":"soon","files":7,"error":1}"#.into()),
        ("nul", b"{\"egress_id\":\"EG_\\u0000\",\"room_name\":\"a\\u0000b\"}".to_vec()),
        ("raw nul", vec![0; 1000]),
        ("double", br#"{"egress_id":"EG_1","egress_id":"EG_2","room_name":"r"}"#.into()),
        ("future", br#"{"version":99,"egress_id":"EG_f","room_name":"future","new":{"a":[1]}}"#.into()),
        ("times", br#"{"egress_id":"EG_i","started_at":9223372036854775807,"duration_ns":18446744073709551615,"size":-4}"#.into()),
        ("same id", br#"{"egress_id":"EG_0","room_name":"a copy"}"#.into()),
        ("of the running", br#"{"egress_id":"EG_running","room_name":"r"}"#.into()),
        ("long", format!("{{\"egress_id\":\"EG_l\",\"room_name\":\"{}\"}}", "é".repeat(500_000)).into_bytes()),
    ];
    for (name, sidecar) in &sidecars {
        fixture.put(&format!("{name}.mp4"), b"x");
        fixture.put(&format!("{name}.mp4.json"), sidecar);
    }
    fixture.put("EG_many.json", many.as_bytes());
    fixture.put("huge.mp4", b"x");
    let huge = fixture.root().join("recordings/huge.mp4.json");
    std::fs::File::create(huge).unwrap().set_len(5_000_000_000).unwrap();
    fixture.put(".metadata/advanced.json", br#"{"id":"EG_a","startedAt":1e300,"duration":1e300}"#);
    fixture.put("advanced.mp4", b"x");
    fixture.library.note(making("EG_running", "running.mp4", Status::Recording)).await.unwrap();
    let rows = all(&fixture.library).await;
    let (well, bad) = parted(rows.clone());
    assert_eq!(well, GOOD + sidecars.len() + 2, "{bad:?}");
    assert!(bad.len() == 1 && bad[0].0 == "huge.mp4" && bad[0].1.contains("4194304"), "{bad:?}");
    let of = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
    assert_eq!((of("types.mp4").id.as_str(), of("types.mp4").duration_ms), ("EG_t", None));
    assert_eq!((of("double.mp4").id.as_str(), of("future.mp4").room_name.as_str()), ("EG_2", "future"));
    assert_eq!(of("long.mp4").room_name.chars().count(), 1024);
    assert_eq!(of("running.mp4").status, Status::Recording, "another's sidecar takes it from no list");
    for row in &rows {
        assert!((0..=253_402_300_799_999).contains(&row.started_at_ms), "{row:?}");
        assert!(row.duration_ms.is_none_or(|ms| ms <= 4_000_000_000_000), "{row:?}");
    }
    fixture.library.delete("same id.mp4").await.unwrap();
    assert!(fixture.library.find("good 0.mp4").await.is_ok());
}

#[test]
fn what_stands_in_a_folder_that_cannot_be_read_stays_known() {
    let work = async {
        let fixture = Fixture::new();
        good_ones(&fixture);
        fixture.put("lost+found/kept.mp4", b"x");
        fixture.put("gone.mp4", b"x");
        assert_eq!(all(&fixture.library).await.len(), GOOD + 2);
        let root = fixture.root().join("recordings");
        let set_mode =
            |at: &Path, mode| std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)).unwrap();
        set_mode(&root.join("lost+found"), 0);
        std::fs::remove_file(root.join("gone.mp4")).unwrap();
        let names: Vec<_> = all(&fixture.library).await.into_iter().map(|row| row.name).collect();
        assert_eq!(names.len(), GOOD + 1);
        assert!(names.contains(&"lost+found/kept.mp4".to_owned()));
        let trouble = fixture.library.listing_trouble().summary().unwrap();
        assert!(trouble.contains("lost+found") && trouble.contains("ermission"), "{trouble}");
        fixture.library.check().await.unwrap();
        // An index that is made anew lists what can be read.
        assert_eq!(all(&open_with_index(fixture.folder.path(), "other.db")).await.len(), GOOD);
        set_mode(&root.join("lost+found"), 0o700);
        all(&fixture.library).await;
        assert_eq!(fixture.library.listing_trouble().summary(), None);
        // The whole folder cannot be read, and then it is not there at all.
        set_mode(&root, 0);
        assert!(matches!(fixture.library.refresh().await, Err(LibraryError::Store(_))));
        let known = ListQuery { limit: 1000, ..ListQuery::default() };
        assert_eq!(fixture.library.list(&known).await.unwrap().recordings.len(), GOOD + 1);
        set_mode(&root, 0o700);
        std::fs::rename(&root, fixture.root().join("away")).unwrap();
        assert_eq!(all(&fixture.library).await.len(), GOOD + 1, "a disk that is away is no deletion");
        assert!(fixture.library.listing_trouble().summary().unwrap().contains("not there any more"));
        std::fs::rename(fixture.root().join("away"), &root).unwrap();
        assert_eq!(all(&fixture.library).await.len(), GOOD + 1);
    };
    // Whoever may read everything sees no folder that cannot be read.
    let unprivileged = std::thread::spawn(move || {
        let nothing = rustix::thread::CapabilitySet::empty();
        let sets =
            rustix::thread::CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
        rustix::thread::set_capabilities(None, sets).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    });
    unprivileged.join().unwrap();
}

#[tokio::test]
async fn in_a_bucket_each_costs_its_own_row_at_most() {
    let bucket = Bucket::new().await;
    for n in 0..GOOD {
        bucket.server.put(&format!("recordings/good {n}.mp4"), b"x");
    }
    bucket.server.put("recordings/archived.mp4", b"x");
    bucket.server.put("recordings/fine.mp4", b"x");
    bucket.server.put("recordings/fine.mp4.json.archived", b"x");
    bucket.server.put("recordings/EG_archived.json", b"{}");
    let bad_keys =
        ["a//b.mp4", "../up.mp4", "./here.mp4", "tab\t.mp4", "line\nbreak.mp4", "/leading.mp4", "nul\0.mp4"];
    let keys: Vec<_> = bad_keys.iter().map(|name| format!("recordings/{name}")).collect();
    let mut extra: Vec<_> = keys.iter().map(String::as_str).collect();
    let long = format!("recordings/{}.mp4", "l".repeat(1000));
    extra.extend([
        "recordings/",
        "recordings/folder/",
        "recordings/folder.mp4/",
        "recordings//",
        "recordings/gone.mp4",
    ]);
    extra.push(&long);
    bucket.server.faults.set_extra(&extra);
    let library = bucket.open(None);
    let (good, bad) = parted(all(&library).await);
    let mut expected: Vec<_> = bad_keys.iter().map(|name| (*name).to_owned()).collect();
    expected.push("archived.mp4".into());
    expected.sort();
    let names: Vec<_> = bad.iter().map(|(name, _)| name.clone()).filter(|name| name.len() < 900).collect();
    assert_eq!((good, names), (GOOD + 1, expected));
    let of = |name: &str| &bad.iter().find(|(row, _)| row == name).unwrap().1;
    assert!(of("archived.mp4").contains("archived") && of("a//b.mp4").contains("//"), "{bad:?}");
    let file = library.file("archived.mp4").await;
    assert!(
        matches!(&file, Err(LibraryError::Unreadable { reason, .. }) if reason.contains("may not")),
        "{file:?}"
    );
    library.check().await.unwrap();
    let trouble = library.listing_trouble();
    assert!(
        trouble.count > bad_keys.len() && trouble.summary().unwrap().contains("cannot be read"),
        "{trouble:?}"
    );
    // It can be deleted, and what is mended is like any other.
    library.delete("archived.mp4").await.unwrap();
    bucket.server.faults.set_extra(&[]);
    bucket.server.remove("recordings/EG_archived.json");
    let (good, bad) = parted(all(&library).await);
    assert_eq!((good, bad), (GOOD + 1, vec![]));
    assert_eq!(library.listing_trouble().count, 0);
}

#[tokio::test]
async fn a_listing_that_breaks_off_forgets_nothing() {
    let bucket = Bucket::new().await;
    for n in 0..9 {
        bucket.server.put(&format!("recordings/{n}.mp4"), b"x");
    }
    let library = bucket.open(None);
    assert_eq!(all(&library).await.len(), 9);
    bucket.server.remove("recordings/0.mp4");
    bucket.server.remove("recordings/8.mp4");
    bucket.server.faults.set_manners(&[s3_server::Manner::HalfAListing]);
    let names: Vec<_> = all(&library).await.into_iter().map(|row| row.name).collect();
    assert_eq!(names.len(), 8, "what is missing in the part that was read is gone: {names:?}");
    assert!(library.listing_trouble().summary().unwrap().contains("nothing after \"2.mp4\""));
    bucket.server.faults.set_manners(&[]);
    assert_eq!(all(&library).await.len(), 7);
}

#[tokio::test]
async fn a_sidecar_whose_file_another_program_deleted_goes_too() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    for name in ["EG_0.mp4", "EG_1.mp4"] {
        bucket.publish(&library, name).await.unwrap();
    }
    let failed = Recording { error: Some("no disk".into()), ..making("EG_f", "failed.mp4", Status::Failed) };
    library.note(failed).await.unwrap();
    bucket.server.put("recordings/livekits.mp4.json", br#"{"egress_id":"EG_l","room_name":"r","files":[]}"#);
    all(&library).await;
    bucket.server.remove("recordings/EG_0.mp4");
    for _ in 0..3 {
        all(&library).await;
    }
    let left = ["EG_1.mp4", "EG_1.mp4.json", "failed.mp4.json", "livekits.mp4.json"]
        .map(|name| format!("recordings/{name}"));
    assert_eq!(bucket.server.objects(), left);
    assert_eq!(all(&library).await.len(), 2);
}
