//! A recording, as the library knows it.

use std::fmt;
use std::str::FromStr;

use crate::growing::Unfinished;
use crate::outbox::Upload;

/// How far a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Asked for; nothing is captured yet.
    Starting,
    /// Being captured.
    Recording,
    /// Captured; its file is being finished and stored.
    Finishing,
    /// In the store.
    Complete,
    /// No file came out of it.
    Failed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Starting, Self::Recording, Self::Finishing, Self::Complete, Self::Failed];

    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recording => "recording",
            Self::Finishing => "finishing",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }

    /// Whether something is still to come.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Recording | Self::Finishing)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of a recording")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// What the finished recordings take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub recordings: u64,
    /// Of their files.
    pub bytes: u64,
    /// Of the files of those whose duration is known.
    pub timed_bytes: u64,
    /// The duration of those.
    pub timed_ms: u64,
}

impl Usage {
    /// How much a second takes; `None` where less than `least_ms` is known to say it.
    pub fn bytes_per_s(&self, least_ms: u64) -> Option<u64> {
        let is_known = self.timed_ms > 0 && self.timed_ms >= least_ms;
        is_known.then(|| (self.timed_bytes as f64 * 1000.0 / self.timed_ms as f64) as u64)
    }
}

/// What is known of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The egress id, or the name where none is known.
    pub id: String,
    /// Where it stands in the store, below the prefix; what the API calls it.
    pub name: String,
    /// Empty where unknown.
    pub room_name: String,
    /// `RM_…`; empty where unknown.
    pub room_id: String,
    /// Unix milliseconds; 0 where unknown.
    pub started_at_ms: i64,
    /// How far it is.
    pub status: Status,
    /// `None` while it is not finished, and for files without one.
    pub duration_ms: Option<u64>,
    /// Bytes; `None` while there is no file.
    pub size: Option<u64>,
    /// While it is being finished: 0 to 1, where known.
    pub progress: Option<f64>,
    /// Why it failed or ended early, or what troubles it.
    pub error: Option<String>,
    /// The program died while it recorded.
    pub recovered: bool,
    /// At most so much is missing at the end of a recovered one.
    pub lost_ms: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<String>,
    /// It stands in the backup store until the first one works again.
    pub in_backup: bool,
    /// While the store does not have it yet: it is played from local disk.
    pub upload: Option<Upload>,
    /// While it is being finished, where some of it plays already.
    pub unfinished: Option<Unfinished>,
}

impl Recording {
    /// One of which no more is known than its name.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            id: name.clone(),
            name,
            room_name: String::new(),
            room_id: String::new(),
            started_at_ms: 0,
            status: Status::Complete,
            duration_ms: None,
            size: None,
            progress: None,
            error: None,
            recovered: false,
            lost_ms: 0,
            sha256: None,
            in_backup: false,
            upload: None,
            unfinished: None,
        }
    }
}
