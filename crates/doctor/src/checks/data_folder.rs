//! The data folder: whether recordings can be made in it, for how long, and whether its disk keeps up.

use std::path::PathBuf;
use std::time::Duration;

use crate::checks::size;
use crate::line::{Check, Line};
use crate::trouble::troubles;

/// A recording at the default preset, and the take that it is made of, which goes when it is finished: bytes in an hour.
const BYTES_PER_HOUR: u64 = 3_000_000_000;
/// With room for fewer hours a meeting may not fit.
const FEW_HOURS: u64 = 5;
const FEW_INODES: u64 = 10_000;
/// A room of twenty cameras brings a fifth of it.
const SLOW_BYTES_PER_S: u64 = 20_000_000;
/// Each take is synced once in a second.
const SLOW_SYNC: Duration = Duration::from_millis(500);
/// What they hold is in memory.
const FORGETFUL: [&str; 3] = ["tmpfs", "ramfs", "rootfs"];
/// What they hold is of one container.
const OF_CONTAINERS: [&str; 2] = ["overlay", "aufs"];
/// They are at the other end of a wire.
const REMOTE: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"];

troubles! { DataFolder:
    CANNOT_BE_MADE = Bad "data-cannot-be-made",
        "The data folder does not exist, and the user that runs doctor may not make it.",
        "Make it for the user that the server runs as (`install -d -m 700 -o USER {path}`), or name another one with DATA_DIR.";
    NO_FOLDER = Bad "data-no-folder",
        "What DATA_DIR names is there and is no folder, cannot be looked into, or does not answer. Where it does not answer, nothing else is looked at.",
        "Name a folder of the server's own with DATA_DIR, and run doctor as the user that the server runs as; if its disk does not answer, look at \
         what the system says of it (`dmesg`), or at the network that it is reached by.";
    NOT_WRITABLE = Bad "data-not-writable",
        "Nothing can be written into the data folder.",
        "Give it to the user that the server runs as (`chown -R USER {path}`), or, where the disk is read-only, mount it writable; DATA_DIR names \
         another one.";
    OTHERS_WRITE = Warn "data-others-write",
        "Other users of this machine may write into the data folder.",
        "Take that away with `chmod go-w {path}`.";
    FULL = Bad "data-full",
        "The disk of the data folder has no more left than DISK_RESERVE keeps free: no recording begins.",
        "Delete something on that disk, name a folder on a larger one with DATA_DIR, or lower DISK_RESERVE.";
    NEARLY_FULL = Warn "data-nearly-full",
        "The disk of the data folder has room for a few hours of recording only.",
        "Delete old recordings, name a folder on a larger disk with DATA_DIR, or keep recordings in a bucket with S3_BUCKET.";
    FEW_FILES = Warn "data-few-inodes",
        "The file system has room for few more files (inodes), however many bytes are free.",
        "Delete what has many small files on that disk, or name a folder on another one with DATA_DIR.";
    FORGETS = Warn "data-forgets",
        "The data folder is in memory or in the layer of a container: recordings, the owner and every link go with a restart or an upgrade.",
        "Name a folder on a disk with DATA_DIR; in a container mount a volume there.";
    FAR_AWAY = Warn "data-remote",
        "The data folder is on a network's file system: a moment without network is a moment without recording, and what it says is written may \
         not be.",
        "Name a folder on a disk of this machine with DATA_DIR, and keep finished recordings elsewhere with S3_BUCKET or BACKUP_PATH.";
    SLOW = Warn "data-slow",
        "The disk of the data folder takes less than 20 MB/s, or half a second and more until something is on it for good: with several \
         recordings at once frames are lost.",
        "Name a folder on a faster disk with DATA_DIR, or allow fewer recordings at once with MAX_RECORDINGS.";
    FAILS = Bad "data-disk-fails",
        "The disk fails when something is written and synced.",
        "Look at what the system says of the disk (`dmesg`), and name a folder on another one with DATA_DIR.";
}

/// What is known of the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFacts {
    /// Where it is.
    pub path: PathBuf,
    /// So many bytes are left free.
    pub reserve_bytes: u64,
    /// What is there.
    pub folder: Folder,
}

/// What is where the data folder should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Nothing, and whether it can be made.
    Missing {
        /// Why not.
        refusal: Option<String>,
    },
    /// Something else, or it cannot be looked into.
    None {
        /// Why.
        reason: String,
    },
    /// A folder.
    There(Box<There>),
}

/// A folder that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct There {
    /// Its permissions.
    pub mode: u32,
    /// The user that it belongs to.
    pub owner: u32,
    /// The user that doctor runs as.
    pub runs_as: u32,
    /// Why nothing can be written.
    pub refusal: Option<String>,
    /// The kind of its file system, as mounts are listed.
    pub kind: String,
    /// What is left, if the system says it.
    pub space: Option<Space>,
    /// How fast it is; none where that was not tried.
    pub speed: Option<Result<Speed, String>>,
}

/// What a disk has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// For this user.
    pub free_bytes: u64,
    /// Of all.
    pub total_bytes: u64,
    /// Files that may still be made.
    pub free_inodes: u64,
    /// 0 where the file system has as many as it needs.
    pub total_inodes: u64,
}

/// How fast a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Written and synced.
    pub bytes: u64,
    /// In this time.
    pub took: Duration,
    /// The slowest sync.
    pub slowest_sync: Duration,
}

impl Speed {
    fn bytes_per_s(self) -> u64 {
        let micros = self.took.as_micros().max(1);
        u64::try_from(u128::from(self.bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

/// The verdict.
#[must_use]
pub fn check(facts: &DataFacts) -> Vec<Line> {
    let path = facts.path.display().to_string();
    let found: &[(&str, &str)] = &[("path", &path)];
    let there = match &facts.folder {
        Folder::Missing { refusal: None } => {
            return vec![Line::ok(
                Check::DataFolder,
                format!("{path} is not there yet: the first start makes it"),
            )];
        }
        Folder::Missing { refusal: Some(why) } => {
            return vec![
                CANNOT_BE_MADE.filled(format!("{path} is not there and cannot be made: {why}"), found),
            ];
        }
        Folder::None { reason } => return vec![NO_FOLDER.said(format!("{path}: {reason}"))],
        Folder::There(there) => there,
    };
    let mut lines = Vec::new();
    match &there.refusal {
        Some(why) => lines.push(NOT_WRITABLE.filled(format!("{path} takes nothing: {why}"), found)),
        None => lines.push(written(there, &path)),
    }
    if there.mode & 0o022 != 0 && there.mode & 0o1000 == 0 {
        lines.push(OTHERS_WRITE.filled(format!("{path} has mode {:o}", there.mode & 0o7777), found));
    }
    lines.extend(kind(&there.kind));
    lines.extend(there.space.map(|space| space_for(space, facts.reserve_bytes)).into_iter().flatten());
    lines.extend(there.speed.as_ref().map(pace));
    lines
}

fn written(there: &There, path: &str) -> Line {
    // The superuser may write whatever the server's own user may not.
    let as_whom = match there.owner == there.runs_as {
        true => String::new(),
        false => format!(" (it belongs to user {}, and doctor runs as user {})", there.owner, there.runs_as),
    };
    Line::ok(
        Check::DataFolder,
        format!("{path} can be written, mode {:o}, {}{as_whom}", there.mode & 0o7777, there.kind),
    )
}

fn kind(kind: &str) -> Option<Line> {
    if FORGETFUL.contains(&kind) || OF_CONTAINERS.contains(&kind) {
        return Some(FORGETS.said(format!("it is on {kind}")));
    }
    REMOTE.contains(&kind).then(|| FAR_AWAY.said(format!("it is on {kind}")))
}

fn space_for(space: Space, reserve_bytes: u64) -> Vec<Line> {
    let left_bytes = space.free_bytes.saturating_sub(reserve_bytes);
    let hours = left_bytes / BYTES_PER_HOUR;
    let free = format!(
        "{} of {} are free, {} of them kept free",
        size(space.free_bytes),
        size(space.total_bytes),
        size(reserve_bytes)
    );
    let mut lines = vec![match hours {
        _ if left_bytes == 0 => FULL.said(free),
        0..FEW_HOURS => {
            NEARLY_FULL.said(format!("{free}: {} minutes of recording", left_bytes * 60 / BYTES_PER_HOUR))
        }
        _ => Line::ok(Check::DataFolder, format!("{free}: {hours} hours of recording")),
    }];
    if space.total_inodes > 0 && space.free_inodes < FEW_INODES {
        lines.push(FEW_FILES.said(format!("{} more files fit", space.free_inodes)));
    }
    lines
}

fn pace(speed: &Result<Speed, String>) -> Line {
    let speed = match speed {
        Ok(speed) => *speed,
        Err(why) => return FAILS.said(why),
    };
    let (pace, sync_ms) = (speed.bytes_per_s(), speed.slowest_sync.as_millis());
    let said = format!("its disk takes {}/s, and syncs in {sync_ms} ms at worst", size(pace));
    if pace < SLOW_BYTES_PER_S || speed.slowest_sync >= SLOW_SYNC {
        return SLOW.said(said);
    }
    Line::ok(Check::DataFolder, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Verdict;

    const GB: u64 = 1_000_000_000;

    fn there() -> There {
        There {
            mode: 0o40700,
            owner: 7,
            runs_as: 7,
            refusal: None,
            kind: "ext4".into(),
            space: Some(Space {
                free_bytes: 100 * GB,
                total_bytes: 200 * GB,
                free_inodes: 1_000_000,
                total_inodes: 2_000_000,
            }),
            speed: Some(Ok(Speed {
                bytes: 64_000_000,
                took: Duration::from_millis(500),
                slowest_sync: Duration::from_millis(9),
            })),
        }
    }

    fn lines(folder: Folder) -> Vec<Line> {
        check(&DataFacts { path: "/srv/data".into(), reserve_bytes: GB, folder })
    }

    fn codes(there: There) -> Vec<&'static str> {
        lines(Folder::There(Box::new(there))).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn a_good_folder_says_for_how_many_hours() {
        let lines = lines(Folder::There(Box::new(there())));
        assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
        assert!(lines[1].said.ends_with("33 hours of recording"), "{lines:?}");
        assert!(lines[2].said.contains("128 MB/s") && lines[2].said.contains("9 ms"), "{lines:?}");
    }

    #[test]
    fn what_is_not_there_or_takes_nothing_is_told_with_the_command() {
        let of = |folder| lines(folder).remove(0);
        assert_eq!(of(Folder::Missing { refusal: None }).verdict, Verdict::Ok);
        let missing = of(Folder::Missing { refusal: Some("Permission denied".into()) });
        assert_eq!(missing.code, Some("data-cannot-be-made"));
        assert!(missing.todo.unwrap().contains("-o USER /srv/data"));
        assert_eq!(of(Folder::None { reason: "it is a file".into() }).code, Some("data-no-folder"));
        assert_eq!(
            codes(There { refusal: Some("Permission denied".into()), speed: None, ..there() }),
            ["data-not-writable"]
        );
    }

    #[test]
    fn room_files_and_kinds_of_disks_are_judged() {
        let space = |free_bytes, free_inodes| {
            codes(There {
                space: Some(Space { free_bytes, total_bytes: 200 * GB, free_inodes, total_inodes: 1 }),
                ..there()
            })
        };
        assert_eq!(space(GB, 1_000_000), ["data-full"]);
        assert_eq!(space(GB - 1, 1_000_000), ["data-full"]);
        assert_eq!(space(3 * GB, 1_000_000), ["data-nearly-full"]);
        assert_eq!(space(100 * GB, 9), ["data-few-inodes"]);
        for (kind, code) in [
            ("tmpfs", "data-forgets"),
            ("overlay", "data-forgets"),
            ("nfs4", "data-remote"),
            ("cifs", "data-remote"),
        ] {
            assert_eq!(codes(There { kind: kind.into(), ..there() }), [code]);
        }
        assert_eq!(codes(There { mode: 0o40777, ..there() }), ["data-others-write"]);
        assert!(
            codes(There { mode: 0o41777, ..there() }).is_empty(),
            "a sticky folder is one that many share"
        );
    }

    #[test]
    fn a_slow_disk_and_one_that_fails_are_told() {
        let speed = |bytes, took_ms, sync_ms| {
            let (took, slowest_sync) = (Duration::from_millis(took_ms), Duration::from_millis(sync_ms));
            codes(There { speed: Some(Ok(Speed { bytes, took, slowest_sync })), ..there() })
        };
        assert_eq!(speed(64_000_000, 5_000, 10), ["data-slow"]);
        assert_eq!(speed(64_000_000, 1_000, 700), ["data-slow"]);
        assert!(speed(64_000_000, 1_000, 100).is_empty());
        assert_eq!(
            codes(There { speed: Some(Err("Input/output error".into())), ..there() }),
            ["data-disk-fails"]
        );
    }
}
