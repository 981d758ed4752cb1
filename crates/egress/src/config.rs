//! How the recorder is set up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::compose::SILENCE;

/// How long a stopping server waits for files to be finished; the next start finishes the others.
const FINISH_WITHIN: Duration = Duration::from_secs(8);
/// How long a recording of a former run waits for its room.
const RESUME_WITHIN: Duration = Duration::from_secs(60);
const FIRST_UPLOAD_BACKOFF: Duration = Duration::from_secs(1);

/// How the recorder is set up.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// The folder of `takes/` (recordings in the making), `composed/` (their MP4s) and `egress/` (jobs).
    pub data_dir: PathBuf,
    /// Program and first arguments; followed by `TAKE -o OUT --progress …` as of `reelroom compose`.
    pub compose_command: Vec<OsString>,
    /// How long files may still be finished after [`Egress::shutdown`] was called.
    pub finish_within: Duration,
    /// How long after a planned stop and a start a recording waits for its room to open again; zero: recordings end at a planned stop, too.
    pub resume_within: Duration,
    /// The first pause after a failed upload; the next ones are longer.
    pub upload_backoff: Duration,
    /// How long takes are kept in `kept/` once their recording is stored; zero: not at all.
    pub keep_takes: Duration,
    /// A composer that says nothing for this long hangs.
    pub composer_silence: Duration,
    /// Free bytes of the disk that recording leaves alone: below them recordings are ended, and none begins.
    pub disk_reserve_bytes: u64,
    /// How many recordings may run at once; 0: as many as this machine can capture.
    pub max_recordings: u64,
    /// How many recordings are composed while they run, and half as many more when they are over; 0: two for each processor.
    pub max_composers: usize,
    /// Below which folder of the store participants may record with their own tokens: "recordings/", or empty for anywhere.
    pub participants_folder: String,
}

/// What may be set anew while the recorder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// As [`EgressConfig::keep_takes`], for all that are kept, and looked at within the hour.
    pub keep_takes: Duration,
    /// As [`EgressConfig::disk_reserve_bytes`].
    pub disk_reserve_bytes: u64,
    /// As [`EgressConfig::max_recordings`]; those that run go on.
    pub max_recordings: u64,
}

impl EgressConfig {
    /// With the usual times.
    pub fn new(data_dir: impl Into<PathBuf>, compose_command: Vec<OsString>) -> Self {
        Self {
            data_dir: data_dir.into(),
            compose_command,
            finish_within: FINISH_WITHIN,
            resume_within: RESUME_WITHIN,
            upload_backoff: FIRST_UPLOAD_BACKOFF,
            keep_takes: Duration::ZERO,
            composer_silence: SILENCE,
            disk_reserve_bytes: 0,
            max_recordings: 0,
            max_composers: 0,
            participants_folder: String::new(),
        }
    }

    /// What of it may be set anew.
    pub(crate) fn limits(&self) -> EgressLimits {
        EgressLimits {
            keep_takes: self.keep_takes,
            disk_reserve_bytes: self.disk_reserve_bytes,
            max_recordings: self.max_recordings,
        }
    }
}
