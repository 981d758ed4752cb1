//! A file's way into the store: sent in parts, then read back.
//!
//! ```text
//!  file, or another store ─► parts ─► the store ─► read back, hashed ─► stored
//!                             │                         └─ different: deleted, and an error
//!                             └─ the journal knows a multipart upload before its first part is sent
//! ```
//!
//! # Invariants
//!
//! - A multipart upload that this or a former run left is known to the journal, and aborted by [`Store::abort`].

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use object_store::PutPayload;
use object_store::multipart::{MultipartStore as _, PartId};
use reelroom_truth::{Multipart, Truth};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::folder::{Existing, Folder};
use super::limits::within;
use super::refusal::{refused, store_error, unwritten};
use super::{Kind, Object, Store, plain_tag};
use crate::error::LibraryError;

/// Parts of a multipart upload; S3 wants 5 MiB at least.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;

/// Where the bytes come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A file on local disk.
    File(&'a Path),
    /// An object of another store.
    Object(&'a Store, &'a Object),
}

/// What the stored bytes have to be.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) size: u64,
    /// In hexadecimal.
    pub(crate) sha256: &'a str,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Of the present step.
    pub(crate) bytes: AtomicU64,
    /// All was sent, and is read back.
    pub(crate) is_verifying: AtomicBool,
    is_cancelled: AtomicBool,
    /// The tag of what a try of this run has put there, right or not, and the hash of what it was to be.
    ours: Mutex<Option<(String, String)>>,
}

impl Progress {
    pub(crate) fn reset(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.is_verifying.store(false, Ordering::Relaxed);
    }

    /// Nobody wants it any more: it ends between two parts, and keeps nothing.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    fn check(&self, name: &str) -> Result<(), LibraryError> {
        match self.is_cancelled.load(Ordering::Relaxed) {
            true => Err(LibraryError::Deleted(name.to_owned())),
            false => Ok(()),
        }
    }

    fn is_ours(&self, etag: &str, proof: Proof<'_>) -> bool {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.as_ref().is_some_and(|(tag, sha256)| tag == etag && sha256 == proof.sha256)
    }

    fn put(&self, there: &Object, proof: Proof<'_>) {
        let ours = (there.etag.clone(), proof.sha256.to_owned());
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Which multipart uploads there are, on disk: the store keeps their parts, and has them paid for, until somebody aborts them.
#[derive(Clone)]
pub(crate) struct Journal {
    truth: Truth,
    /// Which store.
    place: &'static str,
    /// Those that this run is about.
    live: Arc<Mutex<HashSet<String>>>,
}

impl Journal {
    pub(crate) fn new(truth: Truth, place: &'static str) -> Self {
        Self { truth, place, live: Arc::default() }
    }

    async fn begin(&self, key: &str, id: &str) -> Result<Live, LibraryError> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        let live = Live { id: id.to_owned(), of: Arc::clone(&self.live) };
        self.truth.add_multipart(self.place, key, id).await?;
        Ok(live)
    }

    async fn end(&self, id: &str) -> Result<(), LibraryError> {
        Ok(self.truth.remove_multipart(self.place, id).await?)
    }

    /// Those that nobody is about.
    async fn left(&self) -> Result<Vec<Multipart>, LibraryError> {
        let mut all = self.truth.multiparts(self.place).await?;
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|multipart| !live.contains(&multipart.id));
        Ok(all)
    }
}

/// An upload that somebody is about; dropped when they are not any more.
struct Live {
    id: String,
    of: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Store {
    /// Stores a file, in parts where it is large, and makes sure that it is there byte for byte. On the same disk nothing is
    /// copied: the file then has two names, and whoever changes it has to write a new one. One that is there already, byte for byte, is
    /// stored.
    ///
    /// # Errors
    /// [`LibraryError::Local`], [`LibraryError::Incomplete`], [`LibraryError::Different`], [`LibraryError::Store`],
    /// [`LibraryError::Deleted`] when it was cancelled, [`LibraryError::Taken`] when another file has the name, which stays as it is.
    pub(crate) async fn put_file(
        &self,
        name: &str,
        source: Source<'_>,
        proof: Proof<'_>,
        journal: &Journal,
        progress: &Progress,
    ) -> Result<Object, LibraryError> {
        progress.reset();
        progress.check(name)?;
        match self.link(name, source).await {
            Ok(None) => {}
            Ok(Some(size)) => {
                progress.bytes.store(size, Ordering::Relaxed);
                return self.has_size(name, proof.size).await;
            }
            Err(LibraryError::Taken(_)) => return self.is_still_same(name, proof, progress).await,
            Err(error) => return Err(error),
        }
        match self.head(name).await {
            Ok(there) => {
                let is_ours = progress.is_ours(&there.etag, proof);
                match self.is_same(there, proof, progress).await {
                    // A former try has put it there, and it is not right.
                    Err(LibraryError::Taken(_)) if is_ours => self.delete(name).await?,
                    known => return known,
                }
            }
            // Who may write and not list is told so of objects that are not there.
            Err(LibraryError::NotFound(_) | LibraryError::Unreadable { .. }) => {}
            Err(error) => return Err(error),
        }
        progress.reset();
        let tag = match self.send(name, source, journal, progress).await {
            // Of another one, or of this very file: the answer to a former try may have been lost.
            Err(LibraryError::Taken(_)) => return self.is_still_same(name, proof, progress).await,
            sent => sent?,
        };
        progress.bytes.store(0, Ordering::Relaxed);
        progress.is_verifying.store(true, Ordering::Relaxed);
        let there = self.head(name).await;
        let is_anothers = there.as_ref().is_ok_and(|there| !there.has_tag(tag.as_deref()));
        if let Ok(there) = &there
            && !is_anothers
        {
            progress.put(there, proof);
        }
        let verified = self.verify(there, proof, progress).await;
        match &verified {
            // Another program has put its own there since.
            Err(LibraryError::Incomplete { .. } | LibraryError::Different) if is_anothers => {
                return Err(LibraryError::Taken(name.to_owned()));
            }
            Err(LibraryError::Incomplete { .. } | LibraryError::Different | LibraryError::Deleted(_)) => {
                // It would be listed, and not play, if our own copy were lost too.
                let is_ours = |there: Object| there.has_tag(tag.as_deref());
                if self.head(name).await.is_ok_and(is_ours) {
                    let _ = self.delete(name).await;
                }
            }
            _ => {}
        }
        verified
    }

    /// As [`Store::is_same`], of what has a name by now.
    async fn is_still_same(
        &self,
        name: &str,
        proof: Proof<'_>,
        progress: &Progress,
    ) -> Result<Object, LibraryError> {
        match self.head(name).await {
            Ok(there) => self.is_same(there, proof, progress).await,
            Err(LibraryError::NotFound(_)) => {
                Err(LibraryError::Store("what had the name is gone: it is tried again".into()))
            }
            Err(error) => Err(error),
        }
    }

    /// What is there is this very file, or another one.
    async fn is_same(
        &self,
        there: Object,
        proof: Proof<'_>,
        progress: &Progress,
    ) -> Result<Object, LibraryError> {
        progress.is_verifying.store(true, Ordering::Relaxed);
        let name = there.name.clone();
        match self.verify(Ok(there), proof, progress).await {
            Err(LibraryError::Incomplete { .. } | LibraryError::Different) => Err(LibraryError::Taken(name)),
            known => known,
        }
    }

    /// Sends it; the tag that the store answers, if any, tells it from what others put there later.
    async fn send(
        &self,
        name: &str,
        source: Source<'_>,
        journal: &Journal,
        progress: &Progress,
    ) -> Result<Option<String>, LibraryError> {
        let mut parts = Parts::open(source).await?;
        let first = parts.next().await?;
        let s3 = match &self.kind {
            Kind::Folder(folder) => {
                return self.copy(name, Arc::clone(folder), parts, first, progress).await;
            }
            Kind::Bucket(_) if first.len() < PART_BYTES => {
                let len = first.len();
                let tag = self.write_small(name, first, Existing::Stays).await?;
                progress.add(len);
                return Ok(tag);
            }
            Kind::Bucket(s3) => &s3.objects,
        };
        let path = self.path_to_write(name)?;
        let limit = self.limits.transfer(PART_BYTES);
        let id = self.call(s3.create_multipart(&path)).await?.map_err(store_error)?;
        let _live = journal.begin(path.as_ref(), &id).await?;
        let sending = async {
            let (mut part, mut sent): (_, Vec<PartId>) = (first, Vec::new());
            while !part.is_empty() {
                progress.check(name)?;
                let len = part.len();
                let putting = s3.put_part(&path, &id, sent.len(), PutPayload::from(part));
                sent.push(within(limit, putting).await?.map_err(store_error)?);
                progress.add(len);
                part = if len < PART_BYTES { Bytes::new() } else { parts.next().await? };
            }
            progress.check(name)?;
            // The wire has it refused where another object has the name by now.
            let completed = within(limit, s3.complete_multipart(&path, &id, sent)).await?;
            let completed = completed.map_err(|error| refused(name, error))?;
            Ok(completed.e_tag.as_deref().map(plain_tag))
        };
        let sent: Result<Option<String>, LibraryError> = sending.await;
        match &sent {
            Ok(_) => journal.end(&id).await?,
            Err(_) => {
                if matches!(self.call(s3.abort_multipart(&path, &id)).await, Ok(Ok(()))) {
                    journal.end(&id).await?;
                }
            }
        }
        sent
    }

    /// Onto another disk.
    async fn copy(
        &self,
        name: &str,
        folder: Arc<Folder>,
        mut parts: Parts,
        first: Bytes,
        progress: &Progress,
    ) -> Result<Option<String>, LibraryError> {
        let path = self.path_to_write(name)?;
        let limit = self.limits.transfer(PART_BYTES);
        let mut draft = {
            let drafting = move |folder: &Folder| folder.draft(path.as_ref());
            let drafted = self.on_disk(&folder, limit, drafting).await?;
            drafted.map_err(|error| unwritten(name, &error))?
        };
        let mut part = first;
        while !part.is_empty() {
            progress.check(name)?;
            let len = part.len();
            let writing = move |_: &Folder| {
                draft.file.write_all(&part)?;
                Ok(draft)
            };
            let written = self.on_disk(&folder, limit, writing).await?;
            draft = written.map_err(|error| unwritten(name, &error))?;
            progress.add(len);
            part = if len < PART_BYTES { Bytes::new() } else { parts.next().await? };
        }
        progress.check(name)?;
        let committed = self.on_disk(&folder, limit, move |_: &Folder| draft.commit(Existing::Stays)).await?;
        committed.map(|seen| Some(seen.etag)).map_err(|error| unwritten(name, &error))
    }

    /// Aborts the multipart uploads that a former run, or a store that did not answer, has left.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::Truth`]: they are tried again by the next call.
    pub(crate) async fn abort(&self, journal: &Journal) -> Result<(), LibraryError> {
        for left in journal.left().await? {
            self.abort_one(left, journal).await?;
        }
        Ok(())
    }

    /// The same of what has this name alone: others that the journal knows may be in other buckets, or under way.
    ///
    /// # Errors
    /// As [`Store::abort`].
    pub(crate) async fn abort_of(&self, name: &str, journal: &Journal) -> Result<(), LibraryError> {
        let path = self.path_to_write(name)?;
        let key: &str = path.as_ref();
        for left in journal.left().await?.into_iter().filter(|left| left.key == key) {
            self.abort_one(left, journal).await?;
        }
        Ok(())
    }

    async fn abort_one(&self, left: Multipart, journal: &Journal) -> Result<(), LibraryError> {
        let Multipart { key, id, .. } = left;
        let path = object_store::path::Path::parse(&key).map_err(store_error)?;
        let aborted = match &self.kind {
            Kind::Bucket(s3) => self.call(s3.objects.abort_multipart(&path, &id)).await?,
            // It was one of an S3 server that is not used any more.
            Kind::Folder(_) => Ok(()),
        };
        match aborted {
            Ok(())
            | Err(object_store::Error::NotFound { .. } | object_store::Error::PermissionDenied { .. }) => {}
            Err(error) => return Err(store_error(error)),
        }
        journal.end(&id).await?;
        tracing::info!(key, "what was left of an upload that did not end is removed from the store");
        Ok(())
    }

    async fn has_size(&self, name: &str, size: u64) -> Result<Object, LibraryError> {
        let stored = self.head(name).await?;
        if stored.size == size {
            Ok(stored)
        } else {
            Err(LibraryError::Incomplete { stored: stored.size, sent: size })
        }
    }

    /// Reads an object back.
    async fn verify(
        &self,
        stored: Result<Object, LibraryError>,
        proof: Proof<'_>,
        progress: &Progress,
    ) -> Result<Object, LibraryError> {
        let stored = match stored {
            Err(LibraryError::NotFound(_)) => {
                return Err(LibraryError::Incomplete { stored: 0, sent: proof.size });
            }
            stored => stored?,
        };
        if stored.size != proof.size {
            return Err(LibraryError::Incomplete { stored: stored.size, sent: proof.size });
        }
        let mut bytes = self.stream(&stored, 0..stored.size).await?;
        let mut hash = Sha256::new();
        while let Some(some) = bytes.next().await {
            let some = some?;
            progress.check(&stored.name)?;
            hash.update(&some);
            progress.add(some.len());
        }
        if hex::encode(hash.finalize()) == proof.sha256 { Ok(stored) } else { Err(LibraryError::Different) }
    }

    /// On the same disk a file is stored by giving it another name. Its bytes, or `None` where that cannot be done.
    async fn link(&self, name: &str, source: Source<'_>) -> Result<Option<u64>, LibraryError> {
        let (Kind::Folder(folder), Source::File(file)) = (&self.kind, source) else { return Ok(None) };
        let (path, file) = (self.path_to_write(name)?, file.to_owned());
        let of = file.display().to_string();
        let local = |source| LibraryError::Local { path: of.clone(), source };
        let syncing = {
            let file = file.clone();
            move |_: &Folder| {
                let synced = std::fs::File::open(&file)?;
                synced.sync_all()?;
                Ok(synced.metadata()?.len())
            }
        };
        let size = self.on_disk(folder, self.limits.call, syncing).await?.map_err(local)?;
        let linking = move |folder: &Folder| folder.link(path.as_ref(), &file);
        match self.on_disk(folder, self.limits.call, linking).await? {
            Ok(()) => Ok(Some(size)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(LibraryError::Taken(name.to_owned()))
            }
            Err(_) => Ok(None),
        }
    }
}

/// A source, cut up.
struct Parts {
    from: Box<dyn AsyncRead + Send + Unpin>,
    what: String,
}

impl Parts {
    async fn open(source: Source<'_>) -> Result<Self, LibraryError> {
        match source {
            Source::File(file) => {
                let what = file.display().to_string();
                let opened = tokio::fs::File::open(file).await;
                let from = opened.map_err(|source| LibraryError::Local { path: what.clone(), source })?;
                Ok(Self { from: Box::new(from), what })
            }
            Source::Object(store, object) => {
                let bytes = store.stream(object, 0..object.size).await?;
                let from = StreamReader::new(bytes.map_err(std::io::Error::other));
                Ok(Self { from: Box::new(from), what: store.location(&object.name)? })
            }
        }
    }

    /// The next part; a shorter one is the last.
    async fn next(&mut self) -> Result<Bytes, LibraryError> {
        let mut part = Vec::new();
        let read = (&mut self.from).take(PART_BYTES as u64).read_to_end(&mut part).await;
        read.map_err(|source| LibraryError::Local { path: self.what.clone(), source })?;
        Ok(part.into())
    }
}
