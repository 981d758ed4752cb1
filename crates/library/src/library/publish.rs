//! How a finished recording comes into a store.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Library, unix_ms};
use crate::error::LibraryError;
use crate::outbox::is_copy_of;
use crate::publication::{Publication, Published};
use crate::recording::{Recording, Status};
use crate::sidecar::{self, Sidecar};
use crate::store::{Journal, Object, Progress, Proof, Source, Store};

/// What stands beside a recording's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Its sidecar.
    Sidecar,
    /// Nothing: what is known of the recording beyond its name and its file is known to the truth only.
    Nothing,
}

/// A recording that is where it belongs.
struct Stored {
    published: Published,
    object: Object,
    in_backup: bool,
}

impl Library {
    /// Stores a finished recording with its sidecar, and makes sure that the store gives back the same bytes. It is listed, and
    /// played from local disk, before the store has it and also when this fails; publishing again is another try. After a restart it
    /// first waits until that is due.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Local`], [`LibraryError::Store`], [`LibraryError::Incomplete`],
    /// [`LibraryError::Different`], [`LibraryError::Index`], [`LibraryError::Truth`]; [`LibraryError::Taken`] when another file has the name: it is published under another one;
    /// [`LibraryError::Deleted`] when somebody deleted it: nothing of it is to be kept.
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<Published, LibraryError> {
        self.publish_beside(publication, Beside::Sidecar).await
    }

    /// Stores a finished recording as [`Library::publish`] does, and nothing beside it: the bucket is somebody else's, whose program
    /// knows of no other files there than its own.
    ///
    /// # Errors
    /// As [`Library::publish`].
    pub async fn publish_alone(&self, publication: &Publication<'_>) -> Result<Published, LibraryError> {
        self.publish_beside(publication, Beside::Nothing).await
    }

    async fn publish_beside(
        &self,
        publication: &Publication<'_>,
        beside: Beside,
    ) -> Result<Published, LibraryError> {
        let (shared, key) = (&self.shared, publication.key);
        let location = shared.root.location(key)?;
        let local = |source| LibraryError::Local { path: publication.file.display().to_string(), source };
        if self.is_let_go(publication).await? {
            return Err(self.let_go(publication).await?);
        }
        let size = tokio::fs::metadata(publication.file).await.map_err(local)?.len();
        let mut sidecar = Sidecar::of(publication, location, size);
        sidecar.stands_alone = beside == Beside::Nothing;
        let name = self.name_of(key).filter(|name| sidecar::is_recording(name));
        if self.is_anothers(publication, name, size).await? {
            shared.growing.forget(key);
            return Err(LibraryError::Taken(key.to_owned()));
        }
        let known = shared.outbox.add(key, publication.file.to_owned(), size);
        shared.outbox.describe(key, &sidecar);
        shared.growing.forget(key);
        if let Some(name) = name {
            shared.index.put(sidecar.to_recording(name), String::new(), shared.generation()).await?;
        }
        if known.next_try_at_ms.is_some_and(|due_ms| due_ms > unix_ms()) {
            shared.outbox.pause(key, Duration::ZERO, unix_ms()).await;
        }
        let (waiting, progress) = shared.outbox.begin(key).expect("it was added, and only this removes it");
        shared.truth.keep_waiting(waiting).await?;
        let stored = shared.telling(key, self.store(publication, &mut sidecar, &progress)).await;
        if self.is_let_go(publication).await? {
            return Err(self.let_go(publication).await?);
        }
        match stored {
            Ok(stored) => {
                if let Some(name) = name {
                    let recording = Recording { in_backup: stored.in_backup, ..sidecar.to_recording(name) };
                    // The next scan compares it with what is listed, and finds it changed once.
                    shared.index.put(recording, stored.object.etag, shared.generation()).await?;
                }
                // Whoever deletes it in the very last moment either is seen here, or sees the row.
                if self.is_let_go(publication).await? || !shared.outbox.settle(key, publication.file) {
                    return Err(self.let_go(publication).await?);
                }
                let is_alone = sidecar.stands_alone && name.is_some() && !stored.in_backup;
                shared.truth.stored(key, is_alone.then(|| sidecar.brief().to_json())).await?;
                shared.outbox.done(key, publication.file);
                shared.tell_again(key).await;
                Ok(stored.published)
            }
            Err(error @ LibraryError::Taken(_)) => {
                shared.outbox.done(key, publication.file);
                shared.truth.forget_waiting(key).await?;
                if let Some(name) = name {
                    // The other one's row is read from the store.
                    shared.index.remove_of(name, publication.egress_id).await?;
                    let _ = self.look_for(name, None).await;
                }
                Err(error)
            }
            Err(error) => {
                if let Some(waiting) = shared.outbox.failed(key, error.to_string(), unix_ms()) {
                    shared.tell_again(key).await;
                    shared.truth.keep_waiting(waiting).await?;
                }
                Err(error)
            }
        }
    }

    /// Whether somebody deleted it, while it waited or when it was stored or had failed. Whoever publishes it may not know: the program
    /// may have died before that was written down.
    async fn is_let_go(&self, publication: &Publication<'_>) -> Result<bool, LibraryError> {
        let (truth, key) = (&self.shared.truth, publication.key);
        Ok(truth.is_discarded(key, publication.file).await?
            || truth.is_dismissed_at(key, publication.egress_id).await?)
    }

    /// It waits no longer, and is listed no longer. What an upload of it has left in the stores goes, now or when they answer; where none
    /// was under way, what stands there is not touched.
    async fn let_go(&self, publication: &Publication<'_>) -> Result<LibraryError, LibraryError> {
        let (shared, key, id) = (&self.shared, publication.key, publication.egress_id);
        // By now the name may be another one's, which waits.
        if let Some(file) = shared.outbox.file(key).filter(|file| is_copy_of(file, publication.file)) {
            let size = tokio::fs::metadata(publication.file).await.ok().map(|metadata| metadata.len());
            shared.truth.discard(key, &file, size, id).await?;
        }
        // Its row goes first: whoever deletes it in this moment sees by it that it was let go, and not stored.
        if let Some(name) = self.name_of(key) {
            shared.index.remove_of(name, id).await?;
        }
        shared.outbox.done(key, publication.file);
        shared.growing.forget(key);
        self.clean_up_discarded().await?;
        Ok(LibraryError::Deleted(key.to_owned()))
    }

    /// Whether another recording is known under the name, or waits to be stored there. The store itself is asked by whoever stores.
    async fn is_anothers(
        &self,
        publication: &Publication<'_>,
        name: Option<&str>,
        size: u64,
    ) -> Result<bool, LibraryError> {
        let (shared, key) = (&self.shared, publication.key);
        if let Some(waiting) = shared.outbox.file(key) {
            // The data folder may have been moved, or copied: then the old one is still there, and has the same file.
            let is_same = is_copy_of(&waiting, publication.file);
            return Ok(!is_same && tokio::fs::try_exists(&waiting).await.unwrap_or(true));
        }
        let Some(name) = name else { return Ok(false) };
        let Some(row) = shared.index.by_name(name).await? else { return Ok(false) };
        if row.status != Status::Complete || row.id == publication.egress_id {
            return Ok(false);
        }
        if row.in_backup {
            return Ok(true);
        }
        Ok(match shared.store.head(name).await {
            // It may be this very one, of which the index has forgotten more: that is compared byte for byte.
            Ok(there) => there.size != size,
            Err(LibraryError::NotFound(_)) => false,
            Err(_) => true,
        })
    }

    async fn store(
        &self,
        publication: &Publication<'_>,
        sidecar: &mut Sidecar,
        progress: &Progress,
    ) -> Result<Stored, LibraryError> {
        let (shared, key) = (&self.shared, publication.key);
        let source = Source::File(publication.file);
        sidecar.sha256 = Some(sha256_of(publication.file).await?);
        shared.outbox.describe(key, sidecar);
        let beside = if sidecar.stands_alone { Beside::Nothing } else { Beside::Sidecar };
        let refused = match put(&shared.root, &shared.journal, key, source, sidecar, beside, progress).await {
            Ok((published, object)) => return Ok(Stored { published, object, in_backup: false }),
            Err(error) => shared.placed(error),
        };
        let is_listed = self.name_of(key).is_some_and(sidecar::is_recording);
        let backup = shared.backup.as_ref().filter(|backup| {
            // What this library does not list it would not move back either.
            is_listed && shared.outbox.failing_for(key, unix_ms()) >= backup.after
        });
        let Some(backup) = backup else { return Err(refused) };
        // What moves it to the first store goes by its sidecar, which never comes there.
        let beside = Beside::Sidecar;
        let again = put(&backup.root, &backup.journal, key, source, sidecar, beside, progress).await;
        let (published, object) = again.map_err(|error| {
            let place = backup.root.base();
            LibraryError::Store(format!("{refused}; and so does the backup store {place}: {error}"))
        })?;
        tracing::warn!(recording = key, reason = %refused, "the recording is stored in the backup store");
        Ok(Stored { published, object, in_backup: true })
    }

    /// Whether something stands at `key` of the store, from its root on, is on its way there, or is known to.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::BadName`].
    pub async fn has(&self, key: &str) -> Result<bool, LibraryError> {
        let shared = &self.shared;
        if shared.outbox.file(key).is_some() {
            return Ok(true);
        }
        if let Some(name) = self.name_of(key)
            && let Some(row) = shared.index.by_name(name).await?
            && !row.status.is_active()
        {
            return Ok(true);
        }
        for root in
            [Some(&shared.root), shared.backup.as_ref().map(|backup| &backup.root)].into_iter().flatten()
        {
            // What stands beside a file tells of it, and of no other one.
            for key in [key, &sidecar::own(key)] {
                match root.head(key).await {
                    Ok(_) => return Ok(true),
                    Err(LibraryError::NotFound(_)) => {}
                    // It is there, or the store tells nobody what is.
                    Err(LibraryError::Unreadable { .. }) if shared.root.origin().is_some() => {}
                    Err(LibraryError::Unreadable { .. }) => return Ok(true),
                    Err(error) => return Err(shared.placed(error)),
                }
            }
        }
        Ok(false)
    }

    /// Waits before another try to publish: for `pause`, or longer after many failures, or until [`Library::retry`] asks for
    /// it.
    pub async fn pause(&self, key: &str, pause: Duration) {
        if !self.shared.outbox.pause(key, pause, unix_ms()).await {
            tokio::time::sleep(pause).await;
        }
    }

    /// Has a recording that waits to be stored tried again at once.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`] without such a recording, [`LibraryError::NotWaiting`] for one that is stored.
    pub async fn retry(&self, name: &str) -> Result<(), LibraryError> {
        if self.shared.outbox.retry(&self.shared.key_of(name)) {
            return Ok(());
        }
        self.find(name).await?;
        Err(LibraryError::NotWaiting(name.to_owned()))
    }

    /// How many recordings wait to be stored.
    pub fn waiting(&self) -> usize {
        self.shared.outbox.len()
    }
}

/// Stores a recording and what is to stand beside it; the sidecar has to know the file's hash.
pub(super) async fn put(
    root: &Store,
    journal: &Journal,
    key: &str,
    source: Source<'_>,
    sidecar: &mut Sidecar,
    beside: Beside,
    progress: &Progress,
) -> Result<(Published, Object), LibraryError> {
    let location = root.location(key)?;
    let sidecar_key = sidecar::own(key);
    if beside == Beside::Sidecar {
        check_beside(root, key, &sidecar_key, &sidecar.egress_id).await?;
    }
    for file in &mut sidecar.files {
        file.location.clone_from(&location);
    }
    let (size, sha256) = (sidecar.size.unwrap_or_default(), sidecar.sha256.clone().unwrap_or_default());
    let object = root.put_file(key, source, Proof { size, sha256: &sha256 }, journal, progress).await?;
    let sidecar_location = match beside {
        Beside::Sidecar => {
            root.write_verified(&sidecar_key, sidecar.to_json()).await?;
            root.location(&sidecar_key)?
        }
        Beside::Nothing => {
            // One of a file that had this name would tell of another recording.
            if let Err(error) = root.delete(&sidecar_key).await {
                tracing::debug!(%error, key, "whether an old sidecar stands beside it is not known");
            }
            String::new()
        }
    };
    Ok((Published { location, sidecar_location }, object))
}

/// Whether a sidecar may be written: one of this program, or LiveKit's, may go; another program's file stays, and so does what tells
/// that another recording failed.
async fn check_beside(root: &Store, key: &str, sidecar_key: &str, id: &str) -> Result<(), LibraryError> {
    let taken = || LibraryError::Taken(key.to_owned());
    match root.head(sidecar_key).await {
        Ok(_) => {}
        // Who may write and not list is told so of objects that are not there.
        Err(LibraryError::NotFound(_) | LibraryError::Unreadable { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    match root.read(sidecar_key).await {
        Ok(json) => match Sidecar::parse(&json) {
            Some(sidecar) if !sidecar.is_failed() || sidecar.egress_id == id => Ok(()),
            _ => Err(taken()),
        },
        Err(LibraryError::NotFound(_)) => Ok(()),
        Err(LibraryError::Unreadable { .. }) => Err(taken()),
        Err(error) => Err(error),
    }
}

pub(super) async fn sha256_of(file: &Path) -> Result<String, LibraryError> {
    let file = file.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let local = |source| LibraryError::Local { path: file.display().to_string(), source };
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(&file).map_err(local)?, &mut hash).map_err(local)?;
        Ok(hex::encode(hash.finalize()))
    });
    hashing.await.expect("hashing does not panic")
}
