//! Copies single tracks out of a take.
use std::path::{Path, PathBuf};

use crate::{error::TakeError, ids::TrackId};

/// Copies a track's media, without transcoding, to `out` (Matroska). If the track has several segments, the second and later go to
/// `<stem>-2.mkv` and so on beside it. Returns the files written.
pub fn export_track(take: &Path, track: &TrackId, out: &Path) -> Result<Vec<PathBuf>, TakeError> {
    todo!("{take:?} {track} {out:?}")
}
