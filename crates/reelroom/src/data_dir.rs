//! The data folder: made where it is missing, used by one program at a time, and read by nobody else.
//!
//! ```text
//!  DATA_DIR/
//!    recordings/                  RECORDINGS_PATH, without S3: what the library lists
//!    store/                       what applications have recorded to other paths, without S3
//!    takes/ composed/ kept/ egress/   recordings in the making, and jobs
//!    tls/                         certificates and their keys: own/, acme/
//!    truth.db secrets.json        what nothing else knows
//!    index.db lock …              what is made again
//! ```
//!
//! Invariant: a path that somebody asks to record to stands below `recordings/` or `store/`, and never where the program keeps its own.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reelroom_library::{FolderConfig, Readers};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

const STORE: &str = "store";
/// The folders that are the program's own.
const FOLDERS: [&str; 5] = ["takes", "composed", "kept", "egress", "tls"];
/// The files that are the program's own, and those that stand beside them for a while.
const FILES: [&str; 14] = [
    "truth.db",
    "truth.db-wal",
    "truth.db-shm",
    "truth.db.new",
    "index.db",
    "index.db-wal",
    "index.db-shm",
    "index.db.new",
    "secrets.json",
    "secrets.json.new",
    "lock",
    "gstreamer-registry.bin",
    "restart.json",
    "restart.new",
];

/// Held as long as the folder is used. Older versions know the file alone; the file may be deleted, and the folder is the same then.
pub(crate) struct Lock {
    _file: File,
    _folder: File,
}

/// Makes and locks the folder, and takes away from others what older versions let them read.
///
/// # Errors
/// It cannot be written, or another program uses it.
pub(crate) fn open(path: &Path, recordings_path: &str, readers: Readers) -> anyhow::Result<Lock> {
    if !path.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(of_data_dir(readers)).create(path);
        made.with_context(|| format!("cannot make the data folder {}", path.display()))?;
    }
    let file = File::create(path.join("lock"))
        .with_context(|| format!("cannot write to the data folder {}", path.display()))?;
    let folder =
        File::open(path).with_context(|| format!("cannot read the data folder {}", path.display()))?;
    let is_locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_locked || is_used(&folder) {
        anyhow::bail!(
            "another Reelroom uses the data folder {}: stop it, or give this one its own (data_dir, DATA_DIR)",
            path.display()
        );
    }
    close_to_others(path, recordings_path, readers);
    if readers == Readers::Group {
        open_to_group(path, recordings_path);
    }
    Ok(Lock { _file: file, _folder: folder })
}

/// Whether another program has locked the folder itself; otherwise it is locked now.
fn is_used(folder: &File) -> bool {
    match flock(folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        // Some file systems lock only what may be written, which no folder is: there the file in it has to do.
        Err(error) => {
            tracing::debug!(%error, "the data folder itself cannot be locked");
            false
        }
    }
}

/// What nothing else knows.
pub(crate) fn truth(path: &Path) -> PathBuf {
    path.join("truth.db")
}

/// What a run that is about to start anew leaves to the next one.
pub(crate) fn restart(path: &Path) -> PathBuf {
    path.join("restart.json")
}

/// What may be deleted.
pub(crate) fn index(path: &Path) -> PathBuf {
    path.join("index.db")
}

/// The store in the data folder. Recordings stand where they always stood; what is asked for elsewhere has a folder of its own.
pub(crate) fn store(path: &Path, recordings_path: &str, readers: Readers) -> FolderConfig {
    let plain = recordings_path.trim_matches('/');
    FolderConfig { root: path.join(STORE), elsewhere: Some((plain.to_owned(), path.join(plain))), readers }
}

/// Recordings of before a bucket was set are in no list, which is told.
pub(crate) fn tell_left_behind(path: &Path, recordings_path: &str) {
    let folder = path.join(recordings_path.trim_matches('/'));
    let is_recording = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|found| found == "mp4");
    let count = fs::read_dir(&folder).map_or(0, |entries| entries.flatten().filter(is_recording).count());
    if count > 0 {
        tracing::warn!(
            folder = %folder.display(),
            count,
            "recordings on local disk are not listed while S3_BUCKET is set; BACKUP_PATH={} lists them, and moves them into the bucket",
            path.display()
        );
    }
}

/// Whether recordings would stand where the program keeps its own. Some disks take upper and lower case for one name.
pub(crate) fn is_own(recordings_path: &str) -> bool {
    let first = recordings_path.trim_matches('/').split('/').next().unwrap_or_default().to_lowercase();
    [STORE].iter().chain(&FOLDERS).chain(&FILES).any(|own| first == *own)
}

/// The group has to pass through it to the recordings.
fn of_data_dir(readers: Readers) -> u32 {
    if readers == Readers::Group { 0o710 } else { 0o700 }
}

/// Closes what stands in the folder, which is enough: nobody comes to what is below. The data folder itself may be one that
/// holds other things; then it is left as it is.
fn close_to_others(path: &Path, recordings_path: &str, readers: Readers) {
    let first = recordings_path.trim_matches('/').split('/').next().unwrap_or_default();
    let of_recordings = if readers == Readers::Group { 0o750 } else { 0o700 };
    let own = FOLDERS.map(|name| (name, 0o700)).into_iter().chain(FILES.map(|name| (name, 0o600)));
    let mut closed = Vec::new();
    for (name, most) in own.chain([(STORE, of_recordings), (first, of_recordings)]) {
        match close(&path.join(name), most) {
            Ok(true) => closed.push(name.to_owned()),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                path = %path.join(name).display(),
                "other users of this machine may read it, and that cannot be changed: {error}"
            ),
        }
    }
    let known =
        |name: &str| name == first || name == STORE || FOLDERS.contains(&name) || FILES.contains(&name);
    let is_ours_alone = fs::read_dir(path).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(known)))
    });
    if is_ours_alone && matches!(close(path, of_data_dir(readers)), Ok(true)) {
        closed.push(".".to_owned());
    }
    if !closed.is_empty() {
        tracing::warn!(
            data_dir = %path.display(),
            names = closed.join(", "),
            "other users of this machine could read these, and cannot any more; recordings_readers = \"group\" lets the group \
             of the folder read recordings"
        );
    }
}

/// The group comes to the recordings, where the folders were the owner's alone before.
fn open_to_group(path: &Path, recordings_path: &str) {
    let first = recordings_path.trim_matches('/').split('/').next().unwrap_or_default();
    for (path, more) in [(path.to_owned(), 0o010), (path.join(first), 0o050), (path.join(STORE), 0o050)] {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let mode = metadata.permissions().mode();
        if metadata.is_dir()
            && mode & more != more
            && let Err(error) = fs::set_permissions(&path, Permissions::from_mode(mode | more))
        {
            tracing::warn!(path = %path.display(), %error, "the group cannot be let in");
        }
    }
}

/// Takes away what is more than `most`; whether there was any. What a link leads to is the operator's.
fn close(path: &Path, most: u32) -> io::Result<bool> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mode = metadata.permissions().mode();
    // A sticky folder is one that many share.
    let is_shared = mode & 0o1000 != 0;
    if metadata.is_symlink() || is_shared || mode & 0o777 & !most == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & (0o7000 | most)))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/data");
        let first = open(&path, "recordings/", Readers::Owner).unwrap();
        assert!(open(&path, "recordings/", Readers::Owner).is_err());
        drop(first);
        assert!(open(&path, "recordings/", Readers::Owner).is_ok());
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_folder_whose_lock_is_deleted_still_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = open(&path, "recordings/", Readers::Owner).unwrap();
        for _ in 0..2 {
            fs::remove_file(path.join("lock")).unwrap();
            assert!(open(&path, "recordings/", Readers::Owner).is_err());
            assert!(open(&path.join("../data"), "recordings/", Readers::Owner).is_err());
        }
        drop(first);
        assert!(open(&path, "recordings/", Readers::Owner).is_ok());
    }

    #[test]
    fn what_an_older_version_left_open_is_closed_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        for name in ["recordings", "takes", "other"] {
            fs::create_dir_all(path.join(name)).unwrap();
            fs::set_permissions(path.join(name), Permissions::from_mode(0o2777)).unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("index.db"), "").unwrap();
        fs::set_permissions(path.join("index.db"), Permissions::from_mode(0o644)).unwrap();
        drop(open(&path, "recordings/", Readers::Group).unwrap());
        assert_eq!(mode(&path.join("recordings")), 0o750);
        assert_eq!((mode(&path.join("takes")), mode(&path.join("index.db"))), (0o700, 0o600));
        assert_eq!((mode(&path), mode(&path.join("other"))), (0o755, 0o777), "they may be of other programs");
        fs::remove_dir(path.join("other")).unwrap();
        drop(open(&path, "recordings/", Readers::Group).unwrap());
        assert_eq!(mode(&path), 0o710);
        drop(open(&path, "recordings/", Readers::Owner).unwrap());
        assert_eq!((mode(&path), mode(&path.join("recordings"))), (0o700, 0o700));
        drop(open(&path, "recordings/", Readers::Group).unwrap());
        assert_eq!((mode(&path), mode(&path.join("recordings"))), (0o710, 0o750));
    }

    #[test]
    fn a_purge_of_the_package_takes_each_of_its_own_but_what_was_recorded() {
        const RECORDED: [&str; 3] = ["takes", "composed", "kept"];
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/debian/postrm");
        let script = fs::read_to_string(script).unwrap();
        let words: Vec<_> = script.split_whitespace().map(|word| word.trim_end_matches('*')).collect();
        for name in FILES.iter().chain(&FOLDERS) {
            assert_eq!(words.contains(name), !RECORDED.contains(name), "{name}");
        }
    }

    #[test]
    fn recordings_do_not_stand_where_the_program_keeps_its_own() {
        for own in ["takes", "/Takes/", "composed/a", "STORE", "index.db/"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["recordings/", "my/takes", "takes-2"] {
            assert!(!is_own(other), "{other}");
        }
    }
}
