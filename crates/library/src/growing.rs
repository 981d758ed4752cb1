//! Files that are still being made, and play meanwhile: as whole files of what is there.
//!
//! ```text
//!   recorder ── so much stays as it is ──► Unfinished ── asked for ──► Snapshot: a head of our own, and the bytes that are there
//! ```
//!
//! What is handed out never changes: a snapshot has a name (its ETag) by which whoever began to read it gets the rest of the same, also
//! when the file has grown. Invariant: nothing is handed out that its maker may still take back.

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use reelroom_mp4::{Growing, Snapshot};

use crate::error::LibraryError;

const READ_BYTES: usize = 256 * 1024;
/// Whoever asks for the beginning gets one no older than this.
const FRESH: Duration = Duration::from_secs(5);

/// How much of a recording plays already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Milliseconds that play.
    pub playable_ms: u64,
    /// Milliseconds that it will have, as far as is known.
    pub total_ms: u64,
}

/// Which snapshot is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// Of all that is there.
    #[default]
    Newest,
    /// The one that was handed out last, if there is one: somebody goes on reading.
    Continued,
    /// The one of this ETag, else the newest.
    Tagged(&'a str),
    /// Of so many seconds, if they are there; else the newest.
    Through(u64),
}

/// A snapshot as a file.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) etag: String,
    pub(crate) modified_ms: i64,
}

struct Entry {
    file: PathBuf,
    seconds: u64,
    total_ms: u64,
    reader: Arc<Mutex<Reader>>,
}

#[derive(Default)]
struct Reader {
    /// The file, and which one it is.
    growing: Option<(Growing, u64)>,
    newest: Option<(Piece, Instant)>,
}

/// All of them, by key.
#[derive(Default)]
pub(crate) struct Unfinisheds {
    entries: Mutex<HashMap<String, Entry>>,
}

impl Unfinisheds {
    /// The first `seconds` of a file stay as they are; 0 forgets it.
    pub(crate) fn grows(&self, key: &str, file: &Path, seconds: u64, total: Duration) {
        let mut all = self.lock();
        if seconds == 0 {
            all.remove(key);
            return;
        }
        let entry = all.entry(key.to_owned()).or_insert_with(|| Entry {
            file: file.to_owned(),
            seconds,
            total_ms: 0,
            reader: Arc::default(),
        });
        if entry.file != file || seconds < entry.seconds {
            entry.reader = Arc::default();
        }
        file.clone_into(&mut entry.file);
        entry.seconds = seconds;
        entry.total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX).max(seconds * 1000);
    }

    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    pub(crate) fn of(&self, key: &str) -> Option<Unfinished> {
        let all = self.lock();
        let entry = all.get(key)?;
        Some(Unfinished { playable_ms: entry.seconds * 1000, total_ms: entry.total_ms })
    }

    /// A snapshot of what is there; `None` where nothing plays yet, or the file has been finished in this moment.
    pub(crate) async fn piece(&self, key: &str, wanted: Wanted<'_>) -> Option<Piece> {
        let (file, seconds, reader) = {
            let all = self.lock();
            let entry = all.get(key)?;
            (entry.file.clone(), entry.seconds, Arc::clone(&entry.reader))
        };
        let (through, tag) = match wanted {
            Wanted::Through(wanted) => (Some(wanted), None),
            Wanted::Tagged(tag) => (seconds_of(tag), Some(tag.to_owned())),
            Wanted::Newest | Wanted::Continued => (None, None),
        };
        let is_continued = wanted == Wanted::Continued;
        let reading = tokio::task::spawn_blocking(move || {
            let mut reader = reader.lock().expect("no code panics while it holds a reader");
            reader.piece(&file, seconds, through, tag.as_deref(), is_continued)
        });
        match reading.await.expect("reading a growing file does not panic") {
            Ok(piece) => piece,
            Err(error) => {
                tracing::debug!(%error, key, "an unfinished recording cannot be read");
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().expect("no code panics while it holds the unfinished ones")
    }
}

impl Reader {
    fn piece(
        &mut self,
        file: &Path,
        seconds: u64,
        through: Option<u64>,
        tag: Option<&str>,
        is_continued: bool,
    ) -> std::io::Result<Option<Piece>> {
        let metadata = std::fs::metadata(file)?;
        if self.growing.as_ref().is_none_or(|(_, inode)| *inode != metadata.ino()) {
            *self =
                Self { growing: Growing::open(file)?.map(|growing| (growing, metadata.ino())), newest: None };
        }
        let Some((growing, inode)) = &mut self.growing else { return Ok(None) };
        let limit = if is_continued { Duration::MAX } else { FRESH };
        if through.is_none()
            && let Some((piece, _)) = self.newest.as_ref().filter(|(_, made)| made.elapsed() < limit)
            // It may have been moved meanwhile.
            && piece.snapshot.read(piece.snapshot.len() - 1, 1).is_ok()
        {
            return Ok(Some(piece.clone()));
        }
        growing.read_on()?;
        let there = growing.fragments().min(usize::try_from(seconds).unwrap_or(usize::MAX));
        let wanted = through.and_then(|through| usize::try_from(through).ok());
        let fragments = wanted.filter(|wanted| (1..=there).contains(wanted)).unwrap_or(there);
        let Some(snapshot) = growing.snapshot(fragments) else { return Ok(None) };
        if snapshot.read(snapshot.len() - 1, 1).is_err() {
            *self = Self::default();
            return Ok(None);
        }
        let piece = Piece {
            etag: etag(*inode, snapshot.fragments()),
            modified_ms: metadata.mtime().saturating_mul(1000),
            snapshot: Arc::new(snapshot),
        };
        if through.is_none() || tag.is_some_and(|tag| tag.trim_matches('"') != piece.etag) {
            self.newest = Some((piece.clone(), Instant::now()));
        }
        Ok(Some(piece))
    }
}

fn etag(inode: u64, fragments: usize) -> String {
    format!("{inode:x}-unfinished-{fragments}")
}

fn seconds_of(tag: &str) -> Option<u64> {
    tag.trim_matches('"').rsplit_once("-unfinished-")?.1.parse().ok()
}

impl Piece {
    /// Bytes of it, as they come.
    pub(crate) fn stream(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Bytes, LibraryError>> {
        let (snapshot, name) = (Arc::clone(&self.snapshot), name.to_owned());
        let parts = futures::stream::try_unfold(range.start, move |at| {
            let (snapshot, name, end) = (Arc::clone(&snapshot), name.clone(), range.end);
            async move {
                if at >= end {
                    return Ok(None);
                }
                let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(READ_BYTES);
                let reading = tokio::task::spawn_blocking(move || snapshot.read(at, most));
                let bytes = reading.await.expect("reading a snapshot does not panic");
                let bytes = bytes.map_err(|source| LibraryError::Local { path: name, source })?;
                let next = at + bytes.len() as u64;
                Ok(Some((bytes, next)))
            }
        });
        parts.boxed()
    }
}
