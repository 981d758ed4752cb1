//! Reading the stores anew: what others put there or took away is seen.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};

use super::Library;
use crate::error::LibraryError;
use crate::index::Origin;
use crate::recording::{Recording, Status};
use crate::scan::{self, KnownManifests, Listing};
use crate::sidecar;
use crate::store::Store;

/// Recordings described at once.
const CONCURRENTLY: usize = 16;

/// What one store has, to be compared with what is known.
struct Scan<'a> {
    listing: &'a Listing,
    known: &'a HashMap<String, Origin>,
    generation: i64,
    in_backup: bool,
}

impl Library {
    /// Reads the store anew. Calls at the same time share one reading.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::Index`].
    pub async fn refresh(&self) -> Result<(), LibraryError> {
        let asked_at = Instant::now();
        let mut manifests = self.shared.scan.lock().await;
        if self.shared.state().refreshed_at.is_some_and(|at| at >= asked_at) {
            return Ok(());
        }
        // A reading that began before somebody asked may have missed what they ask for.
        let began = Instant::now();
        let result = self.scan(&mut manifests).await;
        let mut state = self.shared.state();
        let result = result.map_err(|error| self.shared.placed(error));
        match &result {
            Ok(()) => {
                if state.trouble.take().is_some() {
                    tracing::info!("the store of recordings answers again");
                }
                state.refreshed_at = Some(began);
            }
            Err(error) => {
                if state.trouble.is_none() {
                    tracing::warn!("recordings cannot be listed or stored: {error}");
                }
                state.trouble = Some(error.to_string());
                // Another try after the usual time, and not at once for every request.
                if state.refreshed_at.is_some() {
                    state.refreshed_at = Some(began);
                }
            }
        }
        result
    }

    async fn scan(&self, manifests: &mut KnownManifests) -> Result<(), LibraryError> {
        let shared = &self.shared;
        let generation = shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let known = shared.index.origins().await?;
        let mut elsewhere: HashSet<String> =
            known.iter().filter(|(_, origin)| origin.in_backup).map(|(name, _)| name.clone()).collect();
        if let Some(backup) = &shared.backup {
            let mut manifests = backup.known_manifests.lock().await;
            match Listing::read(&backup.store, &mut manifests).await {
                Ok(listing) => {
                    let scan = Scan { listing: &listing, known: &known, generation, in_backup: true };
                    self.take_in(&backup.store, &scan, &HashSet::new()).await?;
                    elsewhere = listing.recordings().map(|object| object.name.clone()).collect();
                }
                Err(error) => {
                    tracing::warn!(%error, store = backup.root.base(), "the backup store cannot be listed")
                }
            }
        }
        let listing = Listing::read(&shared.store, manifests).await?;
        let scan = Scan { listing: &listing, known: &known, generation, in_backup: false };
        self.take_in(&shared.store, &scan, &elsewhere).await?;
        for (name, object) in listing.lone_sidecars() {
            let source = &object.etag;
            let is_known =
                known.get(name).is_some_and(|origin| origin.source == *source || origin.status.is_active());
            if !is_known
                && !elsewhere.contains(name)
                && let Some(recording) = scan::failed(&shared.store, name, object).await?
            {
                shared.index.put(recording, source.clone(), generation).await?;
            }
        }
        shared.state().deleted.retain(|_, during| *during >= generation);
        Ok(())
    }

    /// Describes what a store has, except for what stands `elsewhere`, and forgets what it has not any more.
    async fn take_in(
        &self,
        store: &Store,
        scan: &Scan<'_>,
        elsewhere: &HashSet<String>,
    ) -> Result<(), LibraryError> {
        let (shared, generation) = (&self.shared, scan.generation);
        let mut changed = Vec::new();
        for object in scan.listing.recordings().filter(|object| !elsewhere.contains(&object.name)) {
            let evidence = scan.listing.evidence(object);
            let is_known = scan.known.get(&object.name).is_some_and(|origin| {
                origin.status == Status::Complete
                    && origin.source == evidence.source
                    && origin.in_backup == scan.in_backup
            });
            if !is_known {
                changed.push((object.clone(), evidence));
            }
        }
        let mut describing = stream::iter(changed)
            .map(|(object, evidence)| async move {
                let described = scan::describe(store, &object, &evidence).await;
                (object, evidence, described)
            })
            .buffer_unordered(CONCURRENTLY);
        while let Some((object, evidence, described)) = describing.next().await {
            match described {
                Ok(recording) if !shared.was_deleted(&recording.name, generation) => {
                    let recording = Recording { in_backup: scan.in_backup, ..recording };
                    shared.index.put(recording, evidence.source, generation).await?;
                }
                Ok(_) | Err(LibraryError::NotFound(_)) => {}
                Err(LibraryError::BadName(name)) => {
                    tracing::debug!(name, "an object's name can be none here")
                }
                Err(error) => {
                    tracing::warn!(%error, recording = object.name, "a recording cannot be read");
                    return Err(error);
                }
            }
        }
        for (name, origin) in scan.known.iter().filter(|(_, origin)| origin.in_backup == scan.in_backup) {
            let is_gone = match origin.status {
                Status::Complete => !scan.listing.contains(name),
                // Without a sidecar it is known to this index only, and stays until somebody deletes it.
                Status::Failed => !origin.source.is_empty() && !scan.listing.contains(&sidecar::own(name)),
                _ => false,
            };
            let waits = shared.outbox.file(&shared.key_of(name)).is_some();
            if is_gone && origin.generation < generation && !waits {
                shared.index.remove_as_of(name, generation).await?;
            }
        }
        Ok(())
    }
}
