//! Copies single tracks out of a take.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use crate::{
    error::TakeError,
    format::{EVENTS_FILE, EventLine, TakeEvent},
    ids::TrackId,
    recovery,
};

/// Copies a track's media, without transcoding, to `out` (Matroska). If the track has several segments, the second and later go to
/// `<stem>-2.mkv` and so on beside it. Returns the files written; `NotFound` if the take has no media of this track. Works on a growing
/// take too: what is whole now is copied.
pub fn export_track(take: &Path, track: &TrackId, out: &Path) -> Result<Vec<PathBuf>, TakeError> {
    let path = take.join(EVENTS_FILE);
    let content = fs::read(&path).map_err(TakeError::io(&path))?;
    let files =
        content.split(|byte| *byte == b'\n').filter_map(EventLine::parse).filter_map(|line| {
            match line.event {
                TakeEvent::SegmentOpened(segment) if segment.track == *track => {
                    segment.media_file().map(Path::to_owned)
                }
                _ => None,
            }
        });
    let mut written = Vec::new();
    for file in files {
        let from = take.join(file);
        let to = numbered(out, written.len() + 1);
        let whole =
            File::open(&from).and_then(|file| recovery::measure(&file)).map_err(TakeError::io(&from))?;
        fs::copy(&from, &to).map_err(TakeError::io(&to))?;
        let copy = OpenOptions::new().write(true).open(&to).map_err(TakeError::io(&to))?;
        copy.set_len(whole.whole_len).map_err(TakeError::io(&to))?;
        written.push(to);
    }
    if written.is_empty() { Err(TakeError::NotFound(take.join(track.as_str()))) } else { Ok(written) }
}

fn numbered(out: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return out.to_owned();
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}-{number}.mkv"))
}
