use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A store in `place`, and things outside of it.
struct House {
    folder: tempfile::TempDir,
    store: Folder,
}

impl House {
    fn new(readers: Readers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = FolderConfig {
            root: folder.path().join("store"),
            elsewhere: Some(("recordings".into(), folder.path().join("recordings"))),
            readers,
        };
        let house = Self { store: Folder::open(&config).unwrap(), folder };
        std::fs::create_dir(house.path("outside")).unwrap();
        std::fs::write(house.path("outside/secret.mp4"), "secret").unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, key: &str, content: &str) -> io::Result<()> {
        self.store.write(key, content.as_bytes(), Existing::Stays).map(drop)
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let listed = self.store.list(prefix).unwrap().unwrap_or_default();
        let mut names: Vec<_> = listed.objects.into_iter().map(|object| object.name).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn keys_of_the_prefix_stand_in_their_own_folder_and_all_others_below_the_root() {
    let house = House::new(Readers::Owner);
    assert!(house.store.list("recordings").unwrap().is_none(), "it is made when it is needed");
    for key in
        ["recordings/a.mp4", "recordings/deep/b.mp4", "takes/EG_1/track.mp4", "index.db", "Recordings/c.mp4"]
    {
        house.write(key, key).unwrap();
        assert_eq!(house.store.read_at(key, 0, 100).unwrap(), key.as_bytes());
    }
    assert!(house.path("recordings/deep/b.mp4").is_file() && house.path("store/Recordings/c.mp4").is_file());
    assert!(house.path("store/takes/EG_1/track.mp4").is_file() && house.path("store/index.db").is_file());
    assert!(!house.path("takes").exists() && !house.path("index.db").exists());
    assert_eq!(house.names("recordings"), ["a.mp4", "deep/b.mp4"]);
    assert_eq!(house.names("recordings/deep"), ["b.mp4"]);
    assert_eq!(house.store.path("recordings/a.mp4"), house.path("recordings/a.mp4"));
}

#[test]
fn a_link_that_leads_out_is_not_followed_for_anything() {
    let house = House::new(Readers::Owner);
    house.write("recordings/good.mp4", "good").unwrap();
    symlink(house.path("outside/secret.mp4"), house.path("recordings/file.mp4")).unwrap();
    symlink("../outside/secret.mp4", house.path("recordings/relative.mp4")).unwrap();
    symlink(house.path("outside"), house.path("recordings/folder")).unwrap();
    symlink("good.mp4", house.path("recordings/inside.mp4")).unwrap();
    symlink("/proc/self/environ", house.path("recordings/environ.mp4")).unwrap();
    std::fs::hard_link(house.path("recordings/good.mp4"), house.path("recordings/hard.mp4")).unwrap();

    let listed = house.store.list("recordings").unwrap().unwrap();
    assert_eq!(house.names("recordings"), ["good.mp4", "hard.mp4", "inside.mp4"]);
    let mut odd: Vec<_> = listed.odd.iter().filter(|odd| odd.name.ends_with(".mp4")).collect();
    odd.sort_by_key(|odd| &odd.name);
    let names: Vec<_> = odd.iter().map(|odd| odd.name.as_str()).collect();
    assert_eq!(names, ["environ.mp4", "file.mp4", "relative.mp4"]);
    assert!(odd.iter().all(|odd| odd.reason == beneath::LEADS_OUT), "{odd:?}");
    assert!(listed.unread.iter().any(|unread| unread.scope == super::super::Scope::Below("folder".into())));

    for key in ["file.mp4", "relative.mp4", "folder/secret.mp4", "environ.mp4"] {
        let key = format!("recordings/{key}");
        for refused in [house.store.look(&key).map(drop), house.store.read(&key).map(drop)] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied, "{key}");
        }
    }
    for key in ["recordings/folder/new.mp4", "recordings/folder/deeper/new.mp4"] {
        house.write(key, "x").unwrap_err();
        house.store.link(key, &house.path("recordings/good.mp4")).unwrap_err();
    }
    house.store.delete("recordings/folder/secret.mp4").unwrap_err();
    // A link itself can be replaced or deleted, and what it leads to stays.
    house.store.write("recordings/file.mp4", b"other", Existing::Goes).unwrap();
    house.store.delete("recordings/relative.mp4").unwrap();
    assert_eq!(std::fs::read(house.path("outside/secret.mp4")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(house.path("outside")).unwrap().count(), 1);
    assert_eq!(house.store.read_at("recordings/inside.mp4", 0, 9).unwrap(), b"good");
}

#[test]
fn a_folder_that_becomes_a_link_while_it_is_used_leads_nowhere_either() {
    let house = House::new(Readers::Owner);
    house.write("recordings/folder/secret.mp4", "good").unwrap();
    let (folder, link) = (house.path("recordings/folder"), house.path("recordings/link"));
    symlink(house.path("outside"), &link).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..2000 {
            if let Ok(read) = house.store.read_at("recordings/folder/secret.mp4", 0, 9) {
                assert_eq!(read, b"good");
            }
            let _ = house.write(&format!("recordings/folder/{round}.mp4"), "x");
            let _ = house.store.delete("recordings/folder/gone/secret.mp4");
            let listed = house.store.list("recordings").unwrap().unwrap();
            assert!(listed.objects.iter().all(|object| object.size != 6), "the secret has six bytes");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(house.path("outside")).unwrap().count(), 1);
}

#[test]
fn pipes_and_devices_are_no_files_and_nothing_waits_for_them() {
    let house = House::new(Readers::Owner);
    house.write("recordings/good.mp4", "good").unwrap();
    let pipe = house.path("recordings/pipe.mp4");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    // Only root may make a device.
    let device = house.path("recordings/device.mp4");
    let null = rustix::fs::makedev(1, 3);
    let _ = rustix::fs::mknodat(CWD, &device, FileType::CharacterDevice, Mode::from_raw_mode(0o666), null);
    std::fs::create_dir(house.path("recordings/folder.mp4")).unwrap();
    for key in ["recordings/pipe.mp4", "recordings/device.mp4", "recordings/folder.mp4"] {
        for refused in [house.store.look(key).map(drop), house.store.read(key).map(drop)] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound, "{key}");
        }
    }
    assert_eq!(house.names("recordings"), ["good.mp4"]);
}

#[test]
fn nothing_is_replaced_unless_that_is_asked_for_and_a_file_appears_whole() {
    let house = House::new(Readers::Owner);
    house.write("a.mp4", "first").unwrap();
    assert_eq!(house.write("a.mp4", "second").unwrap_err().kind(), ErrorKind::AlreadyExists);
    let made = house.path("made.mp4");
    std::fs::write(&made, "made").unwrap();
    assert_eq!(house.store.link("a.mp4", &made).unwrap_err().kind(), ErrorKind::AlreadyExists);
    house.store.link("b.mp4", &made).unwrap();
    house.store.link("b.mp4", &made).unwrap();
    symlink("nothing.mp4", house.path("store/dangling.mp4")).unwrap();
    assert_eq!(house.write("dangling.mp4", "x").unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut draft = house.store.draft("c.mp4").unwrap();
    draft.file.write_all(b"half").unwrap();
    assert!(house.store.look("c.mp4").is_err() && house.names("") == ["a.mp4", "b.mp4"]);
    drop(draft);
    assert!(!house.path("store/c.mp4#0").exists(), "what is given up leaves nothing");
    house.store.write("a.mp4", b"third", Existing::Goes).unwrap();
    assert_eq!(house.store.read_at("a.mp4", 0, 9).unwrap(), b"third");
}

#[test]
fn a_file_that_is_stored_a_second_time_leaves_no_second_name() {
    let house = House::new(Readers::Owner);
    let made = house.path("composed.mp4");
    std::fs::write(&made, "moov").unwrap();
    std::fs::create_dir(house.path("recordings")).unwrap();
    std::fs::hard_link(&made, house.path("recordings/a.mp4#0")).unwrap();
    for _ in 0..2 {
        house.store.link("recordings/a.mp4", &made).unwrap();
    }
    let entries = std::fs::read_dir(house.path("recordings")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.mp4"]);
    assert_eq!(std::fs::read(house.path("recordings/a.mp4")).unwrap(), b"moov");
}

#[test]
fn what_is_written_is_the_owners_and_the_groups_only_where_that_is_set() {
    for (readers, file, folder) in [(Readers::Owner, 0o600, 0o700), (Readers::Group, 0o640, 0o750)] {
        let house = House::new(readers);
        house.write("recordings/deep/er/a.mp4", "x").unwrap();
        let made = house.path("made.mp4");
        std::fs::write(&made, "x").unwrap();
        std::fs::set_permissions(&made, Permissions::from_mode(0o666)).unwrap();
        house.store.link("recordings/b.mp4", &made).unwrap();
        for name in ["store", "recordings", "recordings/deep", "recordings/deep/er"] {
            assert_eq!(mode(&house.path(name)), folder, "{name}");
        }
        for name in ["recordings/deep/er/a.mp4", "recordings/b.mp4"] {
            assert_eq!(mode(&house.path(name)), file, "{name}");
        }
    }
}
