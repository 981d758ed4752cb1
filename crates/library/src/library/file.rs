//! A recording's file, wherever it is.

use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::FutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::whole::{Again, whole};
use super::{Library, unix_s};
use crate::error::LibraryError;
use crate::growing::{Piece, Wanted};
use crate::link;
use crate::recording::{Recording, Status};
use crate::sidecar;
use crate::store::Object;

const READ_BYTES: usize = 256 * 1024;

/// A recording's file: in the store, or still on local disk.
#[derive(Clone, Debug)]
pub struct File {
    /// Of the recording.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: String,
    /// Unix milliseconds.
    pub modified_ms: i64,
    /// Of the recording; `None` where none is known.
    id: Option<String>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Store(Object),
    Backup(Object),
    Disk(PathBuf),
    /// What is there of one that is still being made.
    Unfinished(Piece),
}

impl File {
    fn stored(object: Object, place: impl FnOnce(Object) -> Place) -> Self {
        Self {
            name: object.name.clone(),
            size: object.size,
            etag: object.etag.clone(),
            modified_ms: object.modified_ms,
            id: None,
            place: place(object),
        }
    }

    fn unfinished(name: &str, piece: Piece) -> Self {
        Self {
            name: name.to_owned(),
            size: piece.snapshot.len(),
            etag: piece.etag.clone(),
            modified_ms: piece.modified_ms,
            id: None,
            place: Place::Unfinished(piece),
        }
    }

    /// What a link names it by, now and wherever it is moved.
    fn link_tag(&self) -> String {
        let id = self.id.as_ref().map(|id| format!("id {id}"));
        link::tag(&id.unwrap_or_else(|| self.known_by()))
    }

    fn known_by(&self) -> String {
        format!("file {} {}", self.size, self.etag)
    }

    /// Whether a link of this tag was made for it.
    #[must_use]
    pub fn is_linked_by(&self, tag: &str) -> bool {
        // It may have been made before more was known of the file.
        tag == self.link_tag() || tag == link::tag(&self.known_by())
    }

    /// How many milliseconds of the recording it has, where that is not all of it.
    #[must_use]
    pub fn unfinished_ms(&self) -> Option<u64> {
        match &self.place {
            Place::Unfinished(piece) => Some(piece.snapshot.length_ns() / 1_000_000),
            _ => None,
        }
    }

    /// `None` when it is not there any more: the store has it by now.
    async fn local(name: &str, path: PathBuf) -> Option<Self> {
        let metadata = tokio::fs::metadata(&path).await.ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            name: name.to_owned(),
            size: metadata.len(),
            // As a store on local disk says it: once the file has its place there it is still the same one.
            etag: format!("{:x}-{:x}-{:x}", metadata.ino(), modified.as_micros(), metadata.len()),
            modified_ms: i64::try_from(modified.as_millis()).unwrap_or(i64::MAX),
            id: None,
            place: Place::Disk(path),
        })
    }
}

impl Library {
    /// The file of a finished recording, or a whole one of what is there of a recording that is being finished.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::NotFinished`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn file(&self, name: &str) -> Result<File, LibraryError> {
        self.file_as(name, Wanted::Newest).await
    }

    /// [`Library::file`], and which one is wanted where several can be made.
    ///
    /// # Errors
    /// As [`Library::file`].
    pub async fn file_as(&self, name: &str, wanted: Wanted<'_>) -> Result<File, LibraryError> {
        if !sidecar::is_recording(name) {
            return Err(LibraryError::NotFound(name.to_owned()));
        }
        let known = self.shared.index.by_name(name).await?;
        let id = known.as_ref().filter(|known| known.id != known.name).map(|known| known.id.clone());
        Ok(File { id, ..self.file_of(name, known, wanted).await? })
    }

    async fn file_of(
        &self,
        name: &str,
        known: Option<Recording>,
        wanted: Wanted<'_>,
    ) -> Result<File, LibraryError> {
        let shared = &self.shared;
        if let Some(path) = shared.outbox.file(&shared.key_of(name))
            && let Some(file) = File::local(name, path).await
        {
            return Ok(file);
        }
        if let Some(recording) = known.as_ref().filter(|recording| recording.status.is_active()) {
            if recording.status == Status::Finishing
                && let Some(piece) = shared.growing.piece(&shared.key_of(name), wanted).await
            {
                return Ok(File::unfinished(name, piece));
            }
            return Err(LibraryError::NotFinished(name.to_owned()));
        }
        if known.is_some()
            && let Some(reason) = shared.store.why_unnameable(name)
        {
            return Err(LibraryError::Unnameable { name: name.to_owned(), reason });
        }
        if let Some(backup) = shared.backup.as_ref().filter(|_| known.is_some_and(|known| known.in_backup)) {
            match backup.store.head(name).await {
                // It has been moved to the first store since.
                Err(LibraryError::NotFound(_)) => {}
                answer => return answer.map(|object| File::stored(object, Place::Backup)),
            }
        }
        match shared.store.head(name).await {
            Err(LibraryError::NotFound(name)) => {
                // Where the whole bucket is missing, or a disk is away, nothing is known to be gone.
                self.check().await?;
                shared.index.remove_complete(&name).await?;
                Err(LibraryError::NotFound(name))
            }
            answer => answer.map(|object| File::stored(object, Place::Store)),
        }
    }

    /// Bytes of a file, as they come: all of them, or an error at the end. Where a store breaks off it is asked for the rest. The
    /// range has to lie within the file.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`] when it has been deleted or replaced since; [`LibraryError::Store`].
    pub async fn stream(
        &self,
        file: &File,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, LibraryError>>, LibraryError> {
        let (store, object) = match &file.place {
            Place::Store(object) => (self.shared.store.clone(), object.clone()),
            Place::Backup(object) => (self.shared.backup_store()?.clone(), object.clone()),
            Place::Disk(path) => {
                let (name, path) = (file.name.clone(), path.clone());
                let open = move |range| {
                    let (name, path) = (name.clone(), path.clone());
                    async move { read_local(&name, &path, range).await }.boxed()
                };
                return whole(range, Again::Never, open).await;
            }
            Place::Unfinished(piece) => {
                let (name, piece) = (file.name.clone(), piece.clone());
                let open = move |range| {
                    let pieces = piece.stream(&name, range);
                    async move { Ok(pieces) }.boxed()
                };
                return whole(range, Again::Never, open).await;
            }
        };
        // Only a tag tells whether it is still the same file.
        let again = if object.match_by.is_some() { Again::WhereItBrokeOff } else { Again::Never };
        let open = move |range| {
            let (store, object) = (store.clone(), object.clone());
            async move { store.stream(&object, range).await }.boxed()
        };
        whole(range, again, open).await
    }

    /// A link to a finished recording on this server, for whoever holds it.
    ///
    /// # Errors
    /// As [`Library::file`].
    pub async fn signed_link(&self, name: &str, valid: Duration) -> Result<String, LibraryError> {
        let file = self.file(name).await?;
        Ok(self.shared.link_key.link(&file.name, &file.link_tag(), unix_s(), valid))
    }

    /// A URL of the store itself; `None` on local disk.
    ///
    /// # Errors
    /// As [`Library::file`].
    pub async fn presigned_url(&self, name: &str, valid: Duration) -> Result<Option<String>, LibraryError> {
        match self.file(name).await?.place {
            Place::Store(object) => self.shared.store.presign(&object.name, valid).await,
            // The page may load media from the first store only.
            Place::Backup(_) | Place::Disk(_) | Place::Unfinished(_) => Ok(None),
        }
    }
}

async fn read_local(
    name: &str,
    path: &Path,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, LibraryError>>, LibraryError> {
    let mut file = tokio::fs::File::open(path).await.map_err(|_| LibraryError::NotFound(name.to_owned()))?;
    let local = |path: &Path, source| LibraryError::Local { path: path.display().to_string(), source };
    file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(|source| local(path, source))?;
    let path = path.to_owned();
    let bytes = ReaderStream::with_capacity(file.take(range.end - range.start), READ_BYTES);
    Ok(bytes.map(move |bytes| bytes.map_err(|source| local(&path, source))).boxed())
}

#[cfg(test)]
mod tests;
