//! Where finished recordings go.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

/// A finished recording.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The MP4, on local disk.
    pub file: &'a Path,
    /// Path inside the store, as in `FileInfo.filename`: `recordings/Test Room-RM_x-2026-01-01T101010.mp4`.
    pub key: &'a str,
    /// `EG_…`.
    pub egress_id: &'a str,
    /// The room's name, any Unicode.
    pub room_name: &'a str,
    /// `RM_…`.
    pub room_id: &'a str,
    /// Beginning of the recording, Unix nanoseconds.
    pub started_at_ns: i64,
    /// Length, nanoseconds.
    pub duration_ns: u64,
    /// Why it ended before somebody stopped it.
    pub ended_early: Option<&'a str>,
    /// Size of the file.
    pub size_bytes: u64,
    /// The program died while it recorded.
    pub recovered: bool,
    /// At most so much is missing at the end, nanoseconds.
    pub lost_ns: u64,
    /// What happened to each track (`tracks`), what was left out (`skipped`) and what the disk did not take
    /// (`dropped_frames`), as JSON.
    pub report: &'a serde_json::Value,
    /// Whether other programs want a description beside the file (`disableManifest` was not set).
    pub manifest: bool,
}

/// Where a recording stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// As in `FileInfo.location`: an absolute path, or a URL in S3.
    pub location: String,
    /// As in `EgressInfo.manifestLocation`; empty without one.
    pub manifest_location: String,
}

/// It did not work; it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShelfError(pub String);

/// Takes finished recordings.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// Stores a recording and makes sure that it is there. May be called again for the same recording, also after a
    /// restart, and then replaces what it stored before. The file stays where it is.
    ///
    /// # Errors
    /// Why it is not stored; the caller tries again later.
    async fn publish(&self, recording: &Recording<'_>) -> Result<Published, ShelfError>;

    /// Waits before the recording at `key` is tried again; less than `pause` when somebody asks for it.
    async fn pause(&self, key: &str, pause: Duration) {
        let _ = key;
        tokio::time::sleep(pause).await;
    }
}
