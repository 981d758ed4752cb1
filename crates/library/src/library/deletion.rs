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

use std::path::PathBuf;

use reelroom_truth::Discarded;

use super::Library;
use crate::error::LibraryError;
use crate::recording::{Recording, Status};
use crate::scan;
use crate::sidecar::{self, Sidecar};
use crate::store::Store;

/// What an upload has left of a deleted recording where it was to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Its file was deleted before this was written.
    Sidecar,
    FileAndSidecar,
}

impl Library {
    /// Deletes a recording with everything beside it. One that waits to be stored waits no longer, and is not stored. Whoever stops
    /// waiting for it does not stop it.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::NotFinished`], [`LibraryError::BadName`], [`LibraryError::Unnameable`],
    /// [`LibraryError::Store`], [`LibraryError::Index`], [`LibraryError::Truth`].
    pub async fn delete(&self, name: &str) -> Result<(), LibraryError> {
        let (library, name) = (self.clone(), name.to_owned());
        let deleting = tokio::spawn(async move { library.delete_to_the_end(&name).await });
        match deleting.await {
            Ok(deleted) => deleted,
            // The runtime ends, and with it whoever waits here.
            Err(error) if error.is_cancelled() => std::future::pending().await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Stopped half way it would leave the name hidden from every scan, and dismissed what is still there.
    async fn delete_to_the_end(&self, name: &str) -> Result<(), LibraryError> {
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
        // Whoever is told that it is still there finds it to be so.
        let undone = match &deleted {
            Err(_) if is_new => shared.truth.forget_dismissed(&key, &recording.id).await,
            _ => Ok(()),
        };
        shared.state().deleted.insert(name.to_owned(), shared.generation());
        deleted?;
        undone?;
        shared.truth.dismiss(&key, &recording.id).await?;
        shared.index.remove(name).await?;
        shared.state().kept_back.remove(name);
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
            let row = shared.index.by_name(name).await?;
            let is_listed = row.is_some_and(|row| row.id == recording.id);
            // Whoever publishes it has seen already that it is discarded, or it has been stored in this very moment.
            if shared.outbox.waits(&key) || is_listed {
                shared.truth.forget_discarded(&key).await?;
                return Ok(false);
            }
        }
        shared.state().deleted.insert(name.to_owned(), shared.generation());
        shared.truth.dismiss(&key, &recording.id).await?;
        shared.index.remove(name).await?;
        tracing::info!(recording = name, id = recording.id, "deleted before it was stored");
        Ok(true)
    }

    /// Deletes what is in the stores, wherever that is by now: it may have been moved since its row was read, or stored after all.
    pub(super) async fn delete_stored(&self, seen: &Recording) -> Result<(), LibraryError> {
        let row = self.shared.index.by_name(&seen.name).await?.filter(|row| row.id == seen.id);
        let recording = row.as_ref().unwrap_or(seen);
        self.delete_objects(recording).await?;
        self.delete_elsewhere(recording).await
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

    /// Deletes what is of it in the other store: a move or a try to store it that broke off has left it there, or is about to end. A
    /// store that is away keeps nobody from deleting what stands in the other one, and gives that up later.
    async fn delete_elsewhere(&self, recording: &Recording) -> Result<(), LibraryError> {
        let (shared, name) = (&self.shared, recording.name.as_str());
        let Some(backup) = &shared.backup else { return Ok(()) };
        let is_known = recording.status == Status::Complete && recording.size.is_some();
        // Of what the first store has under that name it is known that it is another's.
        let is_anothers = recording.in_backup && shared.state().kept_back.contains(name);
        if !is_known || is_anothers {
            return Ok(());
        }
        let gone = Discarded {
            key: shared.key_of(name),
            file: PathBuf::new(),
            is_clean: false,
            size: recording.size,
            id: egress_id(recording).to_owned(),
        };
        let other = if recording.in_backup { &shared.root } else { &backup.root };
        if let Err(error) = delete_left(other, &gone).await {
            let store = other.base();
            tracing::debug!(recording = name, store, %error, "what it may have of it is deleted later");
            shared.truth.discard(&gone.key, &gone.file, gone.size, &gone.id).await?;
        }
        Ok(())
    }

    /// Deletes what was just put into a store of a recording that somebody deleted meanwhile: now, or when that store answers.
    pub(super) async fn take_back(&self, recording: &Recording) -> Result<(), LibraryError> {
        let key = self.shared.key_of(&recording.name);
        let (file, id) = (PathBuf::new(), egress_id(recording));
        self.shared.truth.discard(&key, &file, recording.size, id).await?;
        self.clean_up_discarded().await
    }

    /// Deletes from the stores what uploads have left there of recordings that were deleted meanwhile. What cannot be reached
    /// now is deleted later.
    ///
    /// # Errors
    /// [`LibraryError::Truth`].
    pub(super) async fn clean_up_discarded(&self) -> Result<(), LibraryError> {
        let shared = &self.shared;
        for gone in shared.truth.unclean().await? {
            let key = gone.key.as_str();
            // Whoever is about it ends first, or it is another recording of that name by now.
            if shared.outbox.waits(key) {
                continue;
            }
            let roots = [Some(&shared.root), shared.backup.as_ref().map(|backup| &backup.root)];
            let mut is_clean = true;
            for root in roots.into_iter().flatten() {
                if let Err(error) = delete_left(root, &gone).await {
                    tracing::debug!(key, %error, "what was uploaded of a deleted recording is deleted later");
                    is_clean = false;
                }
            }
            if is_clean {
                shared.truth.discarded_is_clean(key).await?;
            }
        }
        Ok(())
    }
}

/// Empty where none is known.
fn egress_id(recording: &Recording) -> &str {
    if recording.id == recording.name { "" } else { &recording.id }
}

async fn delete_left(root: &Store, gone: &Discarded) -> Result<(), LibraryError> {
    let sidecar = sidecar::own(&gone.key);
    let keys = match left(root, gone).await? {
        Left::Nothing => return Ok(()),
        Left::Sidecar => vec![sidecar],
        Left::FileAndSidecar => vec![gone.key.clone(), sidecar],
    };
    for key in keys {
        match root.delete(&key).await {
            Ok(()) | Err(LibraryError::BadName(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether what stands where a deleted recording was to be stored is what an upload has left of it, and not another file.
async fn left(root: &Store, gone: &Discarded) -> Result<Left, LibraryError> {
    let there = match root.head(&gone.key).await {
        Ok(there) => Some(there),
        Err(LibraryError::NotFound(_)) => None,
        Err(LibraryError::BadName(_) | LibraryError::Unreadable { .. }) => return Ok(Left::Nothing),
        Err(error) => return Err(error),
    };
    if there.as_ref().is_some_and(|there| gone.size.is_some_and(|size| size != there.size)) {
        return Ok(Left::Nothing);
    }
    let told = match root.read(&sidecar::own(&gone.key)).await {
        Ok(json) => Sidecar::parse(&json),
        Err(LibraryError::NotFound(_) | LibraryError::BadName(_) | LibraryError::Unreadable { .. }) => None,
        Err(error) => return Err(error),
    };
    let is_its = |told: &Sidecar| gone.id.is_empty() || told.egress_id == gone.id;
    Ok(match (there, told) {
        (Some(_), told) if told.as_ref().is_none_or(is_its) => Left::FileAndSidecar,
        // What tells that it failed is no upload's.
        (None, Some(told)) if told.egress_id == gone.id && told.is_of_a_stored_file() => Left::Sidecar,
        _ => Left::Nothing,
    })
}
