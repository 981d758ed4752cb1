//! The data folder: what may be seen of it without leaving anything there. What is written for a moment has no name.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::checks::data_folder::{DataFacts, Folder, Space, Speed, There};
use crate::subject::DataFolder;

const PIECE_BYTES: usize = 1 << 20;
/// So much is written between two syncs.
const SYNC_EVERY_PIECES: u64 = 8;
const WITHIN: Duration = Duration::from_secs(5);
/// Of what is free, the test takes no more than this part.
const PART_OF_FREE: u64 = 8;

/// How much is written to see how fast the disk is, bytes. Nothing where 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most(pub(crate) u64);

/// Looks.
pub(crate) fn probe(data: &DataFolder, most: Most) -> DataFacts {
    DataFacts { path: data.path.clone(), reserve_bytes: data.reserve_bytes, folder: folder(&data.path, most) }
}

fn folder(path: &Path, most: Most) -> Folder {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Folder::Missing { refusal: why_not_makeable(path) };
        }
        Err(error) => return Folder::None { reason: error.to_string() },
    };
    if !metadata.is_dir() {
        return Folder::None { reason: "it is no folder".to_owned() };
    }
    let refusal = tempfile::tempfile_in(path).err().map(|error| error.to_string());
    let space = space(path);
    let bytes = most.0.min(space.map_or(u64::MAX, |space| space.free_bytes / PART_OF_FREE));
    let is_tried = refusal.is_none() && bytes >= PIECE_BYTES as u64;
    let speed = is_tried.then(|| speed(path, bytes).map_err(|error| error.to_string()));
    Folder::There(Box::new(There {
        mode: metadata.st_mode(),
        owner: metadata.st_uid(),
        runs_as: rustix::process::geteuid().as_raw(),
        refusal,
        kind: kind(path),
        space,
        speed,
    }))
}

/// Why nothing can be made in the nearest folder above that is there.
fn why_not_makeable(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let above = path.ancestors().skip(1).find(|above| above.exists())?;
    let error = tempfile::tempfile_in(above).err()?;
    Some(format!("{}: {error}", above.display()))
}

fn space(path: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_inodes: found.f_favail,
        total_inodes: found.f_files,
    })
}

fn speed(path: &Path, bytes: u64) -> io::Result<Speed> {
    let mut file: File = tempfile::tempfile_in(path)?;
    // Not all the same, or some file systems write nothing.
    let piece: Vec<u8> = (0..PIECE_BYTES).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (began, mut written, mut slowest_sync) = (Instant::now(), 0, Duration::ZERO);
    for number in 1..=bytes / PIECE_BYTES as u64 {
        file.write_all(&piece)?;
        written += PIECE_BYTES as u64;
        if number.is_multiple_of(SYNC_EVERY_PIECES) || number == bytes / PIECE_BYTES as u64 {
            let syncing = Instant::now();
            file.sync_data()?;
            slowest_sync = slowest_sync.max(syncing.elapsed());
        }
        if began.elapsed() > WITHIN {
            file.sync_data()?;
            break;
        }
    }
    Ok(Speed { bytes: written, took: began.elapsed(), slowest_sync })
}

/// The kind of the file system that a path is on.
fn kind(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    kind_in(&super::read("/proc/self/mountinfo").unwrap_or_default(), &path)
}

/// That of the longest mount point above it; of two, the later one covers the other.
fn kind_in(mounts: &str, path: &Path) -> String {
    let mount = |line: &str| {
        let (place, rest) = line.split_once(" - ")?;
        let point = PathBuf::from(place.split(' ').nth(4)?.replace("\\040", " "));
        Some((point, rest.split(' ').next()?.to_owned()))
    };
    let above = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    above
        .max_by_key(|(point, _)| point.components().count())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let subject = DataFolder { path: folder.path().to_owned(), reserve_bytes: 1 };
        let facts = probe(&subject, Most(4 << 20));
        let Folder::There(there) = facts.folder else { panic!("{facts:?}") };
        assert_eq!((there.refusal, there.owner), (None, there.runs_as));
        assert!(there.space.unwrap().free_bytes > 0);
        let speed = there.speed.unwrap().unwrap();
        assert!(speed.bytes == 4 << 20 && speed.took > Duration::ZERO, "{speed:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let missing = DataFolder { path: folder.path().join("a/b"), reserve_bytes: 1 };
        assert_eq!(probe(&missing, Most(0)).folder, Folder::Missing { refusal: None });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let facts = probe(&DataFolder { path: file, reserve_bytes: 1 }, Most(0));
        assert!(matches!(facts.folder, Folder::None { .. }), "{facts:?}");
    }

    #[test]
    fn the_kind_is_that_of_the_nearest_mount() {
        let mounts = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
                      30 22 0:26 / /srv/my\\040data rw - nfs4 host:/x rw\n\
                      31 22 0:27 / /srv rw shared:2 - xfs /dev/vdb rw\n";
        let of = |path: &str| kind_in(mounts, Path::new(path));
        assert_eq!(
            (of("/var").as_str(), of("/srv/x").as_str(), of("/srv/my data/r").as_str()),
            ("ext4", "xfs", "nfs4")
        );
        assert_eq!(of("/srvx"), "ext4");
        assert_eq!(kind_in("", Path::new("/")), "unknown");
    }
}
