//! A recording is deleted: wherever it stands, and whoever is about to store it meanwhile.
//!
//! ```text
//!  it waits to be stored ──► discarded: its upload ends, and what that left in the store goes when the store answers
//!  it is stored, or failed ─► dismissed ─► its row is read again ─► its objects are deleted ─► its row goes
//!                                └─ could not be deleted: dismissed no more
//! ```
//!
//! # Invariants
//!
//! - It is dismissed before anything of it is deleted. Whoever stores a recording writes its row first and asks then whether it is
//!   dismissed: so either they let it go, or the row that is read again says where it is.
//! - An id alone dismisses nothing that stands elsewhere: a file of somebody else's may claim any.

use super::Library;
use crate::error::LibraryError;
use crate::recording::Recording;
use crate::scan;
use crate::sidecar;

impl Library {
    /// Deletes a recording with everything beside it. One that waits to be stored waits no longer, and is not stored.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::NotFinished`], [`LibraryError::BadName`], [`LibraryError::Unnameable`],
    /// [`LibraryError::Store`], [`LibraryError::Index`], [`LibraryError::Truth`].
    pub async fn delete(&self, name: &str) -> Result<(), LibraryError> {
        let shared = &self.shared;
        let recording = self.find(name).await?;
        if recording.status.is_active() {
            return Err(LibraryError::NotFinished(name.to_owned()));
        }
        if recording.upload.is_some() && self.discard(&recording).await? {
            return Ok(());
        }
        if let Some(reason) = shared.store.why_unnameable(name) {
            return Err(LibraryError::Unnameable { name: name.to_owned(), reason });
        }
        let key = shared.key_of(name);
        let is_new = shared.truth.begin_to_dismiss(&key, &recording.id).await?;
        shared.state().deleted.insert(name.to_owned(), i64::MAX);
        let deleted = self.delete_stored(&recording).await;
        shared.state().deleted.insert(name.to_owned(), shared.generation());
        if let Err(error) = deleted {
            if is_new {
                // Whoever is told that it is still there finds it to be so.
                shared.truth.forget_dismissed(&key, &recording.id).await?;
            }
            return Err(error);
        }
        shared.truth.dismiss(&key, &recording.id).await?;
        shared.index.remove(name).await?;
        tracing::info!(recording = name, id = recording.id, "deleted");
        Ok(())
    }

    /// Whether somebody deleted the recording: nothing of it is to be kept, and nothing need be made of it.
    ///
    /// # Errors
    /// [`LibraryError::Truth`].
    pub async fn is_deleted(&self, key: &str, id: &str) -> Result<bool, LibraryError> {
        Ok(self.shared.truth.is_dismissed_at(key, id).await?)
    }

    /// Deletes a recording that waits to be stored, and false when it does not any more. Nothing is waited for: whoever
    /// publishes it is told and deletes the local copy, and what an upload has left in the store is deleted when that answers.
    async fn discard(&self, recording: &Recording) -> Result<bool, LibraryError> {
        let (shared, name) = (&self.shared, recording.name.as_str());
        let key = shared.key_of(name);
        let Some(file) = shared.outbox.file(&key) else { return Ok(false) };
        shared.truth.discard(&key, &file, recording.size, &recording.id).await?;
        if !shared.outbox.discard(&key) {
            // It has been stored in this very moment.
            shared.truth.forget_discarded(&key).await?;
            return Ok(false);
        }
        shared.state().deleted.insert(name.to_owned(), shared.generation());
        shared.truth.dismiss(&key, &recording.id).await?;
        shared.index.remove(name).await?;
        tracing::info!(recording = name, id = recording.id, "deleted before it was stored");
        Ok(true)
    }

    async fn delete_stored(&self, recording: &Recording) -> Result<(), LibraryError> {
        self.delete_objects(recording).await
    }

    /// The file first: what is left of an attempt that fails after it is no recording.
    async fn delete_objects(&self, recording: &Recording) -> Result<(), LibraryError> {
        let name = &recording.name;
        if recording.in_backup {
            let backup = self.shared.backup_store()?;
            backup.delete(name).await?;
            return backup.delete(&sidecar::own(name)).await;
        }
        let store = &self.shared.store;
        store.delete(name).await?;
        match store.delete(&sidecar::own(name)).await {
            Ok(()) | Err(LibraryError::BadName(_)) => {}
            Err(error) => return Err(error),
        }
        match store.delete(&sidecar::advanced(name)).await {
            Ok(()) | Err(LibraryError::BadName(_)) => {}
            Err(error) => return Err(error),
        }
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        let is_of_it = |(name, manifest): (&String, &scan::Manifest)| {
            (manifest.files == [file.as_str()]).then(|| name.clone())
        };
        let manifest = self.shared.manifests(false).iter().find_map(is_of_it);
        if let Some(manifest) = manifest {
            store.delete(&manifest).await?;
            self.shared.manifests(false).remove(&manifest);
        }
        Ok(())
    }
}
