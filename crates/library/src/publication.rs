//! A finished recording on its way into a store, and where it stands then.

use std::path::Path;

/// A finished recording to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The MP4, on local disk.
    pub file: &'a Path,
    /// Where it goes, from the root of the store, as in `FileInfo.filename`: `recordings/Test Room-RM_x-2026-01-01T101010.mp4`.
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
    /// Why it ended before a client stopped it; `None` where it did not.
    pub ended_early: Option<&'a str>,
    /// The program died while it recorded.
    pub recovered: bool,
    /// How much is missing at the end at most, nanoseconds.
    pub lost_ns: u64,
    /// What happened to each track (`tracks`), what was left out (`skipped`), what the disk did not take (`dropped_frames`), who agreed
    /// to being recorded (`consents`) and where nothing was recorded (`suspended`), as JSON; null where it is not known.
    pub report: &'a serde_json::Value,
}

/// Where a recording stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// As in `FileInfo.location`: an absolute path, or a URL in S3.
    pub location: String,
    /// The same of its sidecar, which is also LiveKit's manifest; empty where none stands beside the file.
    pub sidecar_location: String,
}
