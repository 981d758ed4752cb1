//! Finished recordings on local disk: the MP4 and its sidecar, under the data folder.
//!
//! A file appears under its name only when it is whole and on disk; publishing again replaces it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use reelroom_egress::{Published, Recording, Shelf, ShelfError};
use serde::Serialize;

/// A folder of recordings.
pub(crate) struct LocalShelf {
    root: PathBuf,
}

/// What stands beside each MP4: LiveKit's manifest, and what it does not tell.
#[derive(Serialize)]
struct Sidecar<'a> {
    egress_id: &'a str,
    room_id: &'a str,
    room_name: &'a str,
    started_at: i64,
    ended_at: i64,
    files: [SidecarFile<'a>; 1],
    status: &'a str,
    duration_ns: u64,
    size: u64,
    recovered: bool,
    lost_ns: u64,
}

#[derive(Serialize)]
struct SidecarFile<'a> {
    filename: &'a str,
    location: &'a str,
}

impl LocalShelf {
    /// Keys are paths below `root`.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    fn store(&self, recording: &Recording<'_>) -> io::Result<Published> {
        let file = self.root.join(recording.key);
        if !file.starts_with(&self.root) || recording.key.split('/').any(|part| part == "..") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of the recordings"));
        }
        let folder = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let location = file.to_string_lossy().into_owned();
        put(&file, |out| io::copy(&mut File::open(recording.file)?, out).map(drop))?;
        let stored = fs::metadata(&file)?.len();
        if stored != recording.size_bytes {
            return Err(io::Error::other(format!(
                "{stored} bytes were stored, not {}",
                recording.size_bytes
            )));
        }
        let sidecar = Sidecar {
            egress_id: recording.egress_id,
            room_id: recording.room_id,
            room_name: recording.room_name,
            started_at: recording.started_at_ns,
            ended_at: recording.started_at_ns.saturating_add_unsigned(recording.duration_ns),
            files: [SidecarFile { filename: recording.key, location: &location }],
            status: "complete",
            duration_ns: recording.duration_ns,
            size: recording.size_bytes,
            recovered: recording.recovered,
            lost_ns: recording.lost_ns,
        };
        let sidecar_file = self.root.join(format!("{}.json", recording.key));
        put(&sidecar_file, |out| {
            serde_json::to_writer(&mut *out, &sidecar)?;
            out.write_all(b"\n")
        })?;
        File::open(folder)?.sync_all()?;
        let manifest_location =
            if recording.manifest { sidecar_file.to_string_lossy().into_owned() } else { String::new() };
        Ok(Published { location, manifest_location })
    }
}

/// Writes a file under another name first.
fn put(file: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut out = File::create(&partial)?;
    write(&mut out)?;
    out.sync_all()?;
    fs::rename(partial, file)
}

#[async_trait]
impl Shelf for LocalShelf {
    async fn publish(&self, recording: &Recording<'_>) -> Result<Published, ShelfError> {
        tokio::task::block_in_place(|| self.store(recording)).map_err(|error| {
            ShelfError(format!("the recording cannot be stored in {}: {error}", self.root.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording<'a>(file: &'a Path, key: &'a str) -> Recording<'a> {
        Recording {
            file,
            key,
            egress_id: "EG_1",
            room_name: "räume",
            room_id: "RM_1",
            started_at_ns: 5,
            duration_ns: 7,
            size_bytes: 3,
            recovered: false,
            lost_ns: 0,
            manifest: true,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_recording_and_its_sidecar_are_stored_and_may_be_stored_again() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = LocalShelf::new(folder.path()).unwrap();
        let file = folder.path().join("made.mp4");
        fs::write(&file, b"mp4").unwrap();
        for _ in 0..2 {
            let published = shelf.publish(&recording(&file, "recordings/räume.mp4")).await.unwrap();
            assert_eq!(fs::read(published.location).unwrap(), b"mp4");
            let sidecar: serde_json::Value =
                serde_json::from_slice(&fs::read(published.manifest_location).unwrap()).unwrap();
            assert_eq!(
                (sidecar["room_name"].as_str(), sidecar["ended_at"].as_i64()),
                (Some("räume"), Some(12))
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_whole_or_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = LocalShelf::new(folder.path()).unwrap();
        let file = folder.path().join("made.mp4");
        fs::write(&file, b"longer").unwrap();
        assert!(shelf.publish(&recording(&file, "recordings/a.mp4")).await.is_err());
        fs::write(&file, b"mp4").unwrap();
        assert!(shelf.publish(&recording(&file, "recordings/../../a.mp4")).await.is_err());
        assert!(shelf.publish(&recording(&file, "/tmp/a.mp4")).await.is_err());
    }
}
