//! Reading the stores anew: what others put there or took away is seen.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};

use super::{Library, Places};
use crate::error::LibraryError;
use crate::index::Origin;
use crate::recording::{Recording, Status};
use crate::scan::{self, CONCURRENTLY, FAILURES_OF_A_STORE, Listing, Lone, Patience};
use crate::sidecar;
use crate::store::{ListingTrouble, Object, Store};

/// Of a row of which the store does not give everything out: another try may tell more.
const UNREAD: &str = "unread\n";
/// Of a row of an object that cannot be used.
const ODD: &str = "odd\n";
/// A sidecar whose file is gone may be about to follow it to another place.
const LONE_FOR: Duration = Duration::from_secs(10);

/// What the scans of one store remember.
pub(super) struct Scanner {
    patience: Patience,
    /// Sidecars without a file, by name, with their tag, what they are, and since when they are known.
    lone: HashMap<String, (String, Lone, Instant)>,
}

impl Scanner {
    pub(super) fn new(every: Duration) -> Self {
        Self { patience: Patience::new(every), lone: HashMap::new() }
    }
}

/// What one store has, to be compared with what is known.
struct Scan<'a> {
    listing: Listing,
    known: &'a HashMap<String, Origin>,
    /// Of which the truth tells, and whether they are failures.
    alone: &'a HashMap<String, bool>,
    generation: i64,
    in_backup: bool,
}

impl Library {
    /// Reads the store anew. Calls at the same time share one reading. What cannot be read of it costs nothing else, and is told
    /// by [`Library::listing_trouble`].
    ///
    /// # Errors
    /// [`LibraryError::Store`] when nothing could be read, [`LibraryError::Index`], [`LibraryError::Truth`].
    pub async fn refresh(&self) -> Result<(), LibraryError> {
        let asked_at = Instant::now();
        let mut scanners = self.shared.scan.lock().await;
        if self.shared.state().refreshed_at.is_some_and(|at| at >= asked_at) {
            return Ok(());
        }
        // A reading that began before somebody asked may have missed what they ask for.
        let began = Instant::now();
        let result = self.scan(&mut scanners).await;
        let mut state = self.shared.state();
        state.refresh_took = began.elapsed();
        let result = result.map_err(|error| self.shared.placed(error));
        match result {
            Ok(trouble) => {
                if state.trouble.take().is_some() {
                    tracing::info!("the store of recordings answers again");
                }
                state.refreshed_at = Some(began);
                let (before, now) = (state.listing.summary(), trouble.summary());
                match &now {
                    Some(now) if before.as_ref() != Some(now) => {
                        tracing::warn!(of = trouble.count, "not all of the store can be listed: {now}");
                    }
                    None if before.is_some() => tracing::info!("all of the store can be listed again"),
                    _ => {}
                }
                state.listing = trouble;
                Ok(())
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
                Err(error)
            }
        }
    }

    async fn scan(&self, scanners: &mut Places<Scanner>) -> Result<ListingTrouble, LibraryError> {
        let shared = &self.shared;
        let generation = shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let known = shared.index.origins().await?;
        let alone = self.alone().await?;
        let mut trouble = ListingTrouble::default();
        let mut elsewhere: HashSet<String> =
            known.iter().filter(|(_, origin)| origin.in_backup).map(|(name, _)| name.clone()).collect();
        if let Some(backup) = &shared.backup {
            match self.listing(&backup.store, scanners, true).await {
                Ok(listing) => {
                    let mut scan =
                        Scan { listing, known: &known, alone: &alone, generation, in_backup: true };
                    self.take_in(&backup.store, &mut scan, &HashSet::new(), &mut scanners.backup).await?;
                    let listed = scan.listing.recordings().map(|object| object.name.clone());
                    elsewhere.retain(|name| !scan.listing.lacks(name));
                    elsewhere.extend(listed);
                    trouble.extend(&scan.listing.trouble, &backup.root.base());
                }
                Err(error) => {
                    let place = backup.root.base();
                    tracing::debug!(%error, store = place, "the backup store cannot be listed");
                    trouble.add(|| format!("the backup store {place} cannot be listed: {error}"));
                }
            }
        }
        let listing = self.listing(&shared.store, scanners, false).await?;
        let mut scan = Scan { listing, known: &known, alone: &alone, generation, in_backup: false };
        self.take_in(&shared.store, &mut scan, &elsewhere, &mut scanners.first).await?;
        self.take_in_lone_sidecars(&scan, &elsewhere, &mut scanners.first, &mut trouble).await?;
        let mut all = scan.listing.trouble;
        all.extend_by(trouble);
        shared.state().deleted.retain(|_, during| *during >= generation);
        Ok(all)
    }

    /// By name, and whether they are failures. What comes to it later is newer than what is listed from now on.
    async fn alone(&self) -> Result<HashMap<String, bool>, LibraryError> {
        let all = self.shared.truth.all_alone().await?;
        let named = |(key, is_failed): (String, bool)| Some((self.name_of(&key)?.to_owned(), is_failed));
        Ok(all.into_iter().filter_map(named).collect())
    }

    async fn listing(
        &self,
        store: &Store,
        scanners: &mut Places<Scanner>,
        of_backup: bool,
    ) -> Result<Listing, LibraryError> {
        let scanner = if of_backup { &mut scanners.backup } else { &mut scanners.first };
        let mut manifests = self.shared.manifests(of_backup).clone();
        let listing = Listing::read(store, &mut manifests, &mut scanner.patience).await?;
        *self.shared.manifests(of_backup) = manifests;
        scanner.patience.retain(&listing);
        Ok(listing)
    }

    /// Describes what a store has, except for what stands `elsewhere`, and forgets what it has not any more.
    async fn take_in(
        &self,
        store: &Store,
        scan: &mut Scan<'_>,
        elsewhere: &HashSet<String>,
        scanner: &mut Scanner,
    ) -> Result<(), LibraryError> {
        let (shared, generation) = (&self.shared, scan.generation);
        let mut changed = Vec::new();
        let waits = |name: &str| shared.outbox.waits(&shared.key_of(name));
        let mut not_due = Vec::new();
        for object in scan.listing.recordings() {
            if elsewhere.contains(&object.name) || waits(&object.name) {
                continue;
            }
            let evidence = scan.listing.evidence(object);
            let origin = scan.known.get(&object.name);
            let is_known = origin.is_some_and(|origin| {
                origin.status == Status::Complete
                    && origin.in_backup == scan.in_backup
                    && (origin.source == evidence.source
                        || (scan.listing.misses_manifests && is_described(origin, object)))
            });
            if is_known {
                continue;
            }
            match scanner.patience.reason(&object.name, &evidence.source, Instant::now()) {
                Some(reason) if origin.is_some() => not_due.push(reason.to_owned()),
                _ => changed.push((object.clone(), evidence)),
            }
        }
        for reason in not_due {
            scan.listing.trouble.add(|| reason);
        }
        let nothing = HashMap::new();
        let alone = if scan.in_backup { &nothing } else { scan.alone };
        let mut describing = stream::iter(changed)
            .map(|(object, evidence)| async move {
                let described = match self.told_alone(alone, &object.name).await {
                    Ok(told) => scan::describe(store, &object, &evidence, told.as_deref()).await,
                    Err(error) => Err(error),
                };
                (object, evidence, described)
            })
            .buffer_unordered(CONCURRENTLY);
        let mut failures = 0;
        while let Some((object, evidence, described)) = describing.next().await {
            let name = object.name.as_str();
            if shared.was_deleted(name, generation) || waits(name) {
                continue;
            }
            let (recording, reason) = match described {
                Ok(described) => {
                    failures = 0;
                    if described.is_told_beside && alone.get(name) == Some(&false) {
                        shared.truth.forget_alone(&shared.key_of(name)).await?;
                    }
                    (described.recording, described.unreadable)
                }
                Err(LibraryError::NotFound(_) | LibraryError::BadName(_)) => continue,
                Err(error @ LibraryError::Truth(_)) => return Err(error),
                Err(error) => {
                    failures += 1;
                    let reason = error.to_string();
                    let row = scan::describe_unreadable(name, Some(object.size), object.modified_ms, &reason);
                    (row, Some(reason))
                }
            };
            let recording = Recording { in_backup: scan.in_backup, ..recording };
            match reason {
                None => {
                    scanner.patience.over(name);
                    shared.index.put_found(recording, evidence.source, generation).await?;
                }
                Some(reason) => {
                    scanner.patience.failed(name, &evidence.source, &reason, Instant::now());
                    // What was known of the same file says more.
                    if !scan.known.get(name).is_some_and(|origin| is_described(origin, &object)) {
                        let source = format!("{UNREAD}{}", evidence.source);
                        shared.index.put_found(recording, source, generation).await?;
                    }
                    scan.listing.trouble.add(|| reason);
                }
            }
            if failures >= FAILURES_OF_A_STORE {
                scan.listing.trouble.add(|| "the store fails; what is new in it is read later".into());
                break;
            }
        }
        drop(describing);
        for odd in scan.listing.odd().filter(|odd| !elsewhere.contains(&odd.name)) {
            let source = format!("{ODD}{}", odd.reason);
            let origin = scan.known.get(&odd.name);
            let is_known = origin.is_some_and(|origin| origin.source == source || origin.status.is_active());
            // A link into a disk that is away says less than what was known.
            let is_described =
                origin.is_some_and(|origin| origin.status == Status::Complete && !is_bare(&origin.source));
            if !is_known && !is_described && !waits(&odd.name) {
                let recording = scan::describe_unreadable(&odd.name, odd.size, odd.modified_ms, &odd.reason);
                let recording = Recording { in_backup: scan.in_backup, ..recording };
                shared.index.put_found(recording, source, generation).await?;
            }
        }
        if scan.listing.is_missing {
            let is_any = scan.known.iter().any(|(name, origin)| {
                origin.in_backup == scan.in_backup && origin.status == Status::Complete && !waits(name)
            });
            if is_any {
                let folder = store.base();
                scan.listing
                    .trouble
                    .add(|| format!("the folder of the recordings in {folder} is not there any more"));
            }
        }
        for (name, origin) in scan.known.iter().filter(|(_, origin)| origin.in_backup == scan.in_backup) {
            let is_gone = match origin.status {
                Status::Complete => scan.listing.lacks(name),
                // Without a sidecar it is known to the truth only, and stays until somebody deletes it.
                Status::Failed => !origin.source.is_empty() && scan.listing.lacks(&sidecar::own(name)),
                _ => false,
            };
            if is_gone && origin.generation < generation && !waits(name) {
                shared.index.remove_as_of(name, generation).await?;
            }
        }
        for (name, _) in alone.iter().filter(|(_, is_failed)| !**is_failed) {
            if scan.listing.lacks(name) && !waits(name) {
                shared.truth.forget_alone(&shared.key_of(name)).await?;
            }
        }
        Ok(())
    }

    /// What the truth tells of a file.
    async fn told_alone(
        &self,
        alone: &HashMap<String, bool>,
        name: &str,
    ) -> Result<Option<Vec<u8>>, LibraryError> {
        match alone.get(name) {
            Some(false) => Ok(self.shared.truth.alone(&self.shared.key_of(name)).await?),
            _ => Ok(None),
        }
    }

    /// Sidecars without a file tell of failures, or are what is left of a recording that another program deleted: then they
    /// go too.
    async fn take_in_lone_sidecars(
        &self,
        scan: &Scan<'_>,
        elsewhere: &HashSet<String>,
        scanner: &mut Scanner,
        trouble: &mut ListingTrouble,
    ) -> Result<(), LibraryError> {
        let (shared, store) = (&self.shared, &self.shared.store);
        scanner
            .lone
            .retain(|name, (etag, ..)| scan.listing.lone_etag(name).is_some_and(|listed| listed == etag));
        for (name, object) in scan.listing.lone_sidecars() {
            let is_busy = scan.known.get(name).is_some_and(|origin| origin.status.is_active())
                || shared.outbox.waits(&shared.key_of(name))
                || elsewhere.contains(name);
            if is_busy {
                continue;
            }
            let now = Instant::now();
            let (lone, since) = match scanner.lone.get(name) {
                Some((_, lone, since)) => (lone.clone(), *since),
                None => match scan::lone(store, name, object).await {
                    Ok(Some(lone)) => {
                        scanner.lone.insert(name.to_owned(), (object.etag.clone(), lone.clone(), now));
                        (lone, now)
                    }
                    Ok(None) => continue,
                    Err(error) => {
                        trouble.add(|| error.to_string());
                        continue;
                    }
                },
            };
            match lone {
                Lone::Foreign => {}
                Lone::Failed(recording) => {
                    let source = &object.etag;
                    let is_known = scan.known.get(name).is_some_and(|origin| origin.source == *source);
                    if !is_known && !shared.was_deleted(name, scan.generation) {
                        shared.index.put_found(*recording, source.clone(), scan.generation).await?;
                    }
                    if scan.alone.get(name) == Some(&true) {
                        shared.truth.forget_alone(&shared.key_of(name)).await?;
                    }
                }
                Lone::OfGoneFile if since + shared.lone_for(LONE_FOR) <= now && since != now => {
                    if let Err(LibraryError::NotFound(_)) = store.head(name).await {
                        match store.delete(&object.name).await {
                            Ok(()) => tracing::info!(
                                sidecar = object.name,
                                "its recording was deleted by another program, and it is deleted too"
                            ),
                            Err(error) => trouble.add(|| error.to_string()),
                        }
                    }
                }
                Lone::OfGoneFile => {}
            }
        }
        Ok(())
    }
}

/// Nothing is known of it but that it is there.
fn is_bare(source: &str) -> bool {
    source.starts_with(UNREAD) || source.starts_with(ODD)
}

/// Whether a row describes the very file.
fn is_described(origin: &Origin, object: &Object) -> bool {
    let tag = origin.source.lines().next().unwrap_or_default();
    origin.status == Status::Complete
        && !is_bare(&origin.source)
        && tag.strip_suffix(" cold").unwrap_or(tag) == object.etag
}
