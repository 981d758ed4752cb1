//! The library itself: publishes, lists, finds, reads and deletes recordings.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::error::LibraryError;
use crate::index::{Index, Origin};
use crate::link::LinkKey;
use crate::outbox::Outbox;
use crate::query::{ListQuery, Page};
use crate::recording::{Recording, Status};
use crate::scan::{self, Evidence, KnownManifests, Listing};
use crate::sidecar::{self, Sidecar};
use crate::store::{Journal, Limits, Object, Progress, Proof, Source, Store, StoreConfig};

mod tend;

/// Recordings described at once.
const CONCURRENTLY: usize = 16;
const READ_BYTES: usize = 256 * 1024;
/// Whoever lists waits so long for the store's first answer while there is something else to show.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How a library is set up.
#[derive(Clone)]
pub struct LibraryConfig {
    /// Where recordings are.
    pub store: StoreConfig,
    /// `RECORDINGS_PATH`: below which folder of the store they stand ("recordings/").
    pub prefix: String,
    /// The index's file; its folder has to be there.
    pub index: PathBuf,
    /// What links to recordings are signed with.
    pub link_key: LinkKey,
    /// What others put into the store or take from it is seen after this.
    pub refresh_every: Duration,
    /// How long the stores may take.
    pub limits: Limits,
    /// Where recordings go that the store refuses.
    pub backup: Option<Backup>,
}

/// A second store. A recording that the first one has refused for a while is stored there: then its local copy may go, and it
/// is listed, played and deleted like any other. It is moved to the first store when that takes it.
#[derive(Clone)]
pub struct Backup {
    /// Which.
    pub store: StoreConfig,
    /// For how long the first one has to refuse a recording; zero: once.
    pub after: Duration,
}

/// A finished recording to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The MP4, on local disk.
    pub file: &'a Path,
    /// Where it goes, from the root of the store: `recordings/Test Room-RM_x-2026-01-01T101010.mp4`.
    pub key: &'a str,
    /// `EG_…`.
    pub egress_id: &'a str,
    /// The room's name.
    pub room_name: &'a str,
    /// `RM_…`.
    pub room_id: &'a str,
    /// Unix nanoseconds.
    pub started_at_ns: i64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// Why it ended before somebody stopped it.
    pub ended_early: Option<&'a str>,
    /// The program died while it recorded.
    pub recovered: bool,
    /// At most so much is missing at the end.
    pub lost_ns: u64,
    /// What happened to each track (`tracks`), what was left out (`skipped`) and what the disk did not take
    /// (`dropped_frames`), as JSON; null where it is not known.
    pub report: &'a serde_json::Value,
}

/// Where a recording stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// An absolute path, or a URL.
    pub location: String,
    /// The same of its sidecar.
    pub sidecar_location: String,
}

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
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Store(Object),
    Backup(Object),
    Disk(PathBuf),
}

impl File {
    fn stored(object: Object, place: impl FnOnce(Object) -> Place) -> Self {
        Self {
            name: object.name.clone(),
            size: object.size,
            etag: object.etag.clone(),
            modified_ms: object.modified_ms,
            place: place(object),
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
            place: Place::Disk(path),
        })
    }
}

/// A handle to the library.
#[derive(Clone)]
pub struct Library {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    /// The same store from its root on: whoever records chooses the path.
    root: Store,
    journal: Journal,
    backup: Option<BackupStore>,
    prefix: String,
    index: Index,
    outbox: Outbox,
    link_key: LinkKey,
    refresh_every: Duration,
    /// Counts scans: what is written during one is newer than what it listed.
    generation: AtomicI64,
    scan: tokio::sync::Mutex<KnownManifests>,
    is_refreshing: AtomicBool,
    state: Mutex<State>,
}

struct BackupStore {
    store: Store,
    root: Store,
    journal: Journal,
    after: Duration,
    known_manifests: tokio::sync::Mutex<KnownManifests>,
}

#[derive(Default)]
struct State {
    /// When the last scan began.
    refreshed_at: Option<Instant>,
    /// Why the last scan failed.
    trouble: Option<String>,
    /// What was deleted, and during which scan.
    deleted: HashMap<String, i64>,
}

impl Library {
    /// Opens the library. The store is read at the first list.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::Local`], [`LibraryError::Index`]: settings or folders that cannot be used.
    pub fn open(config: LibraryConfig) -> Result<Self, LibraryError> {
        let root = Store::open(&config.store, "", config.limits)?;
        let plain = config.prefix.trim_matches('/');
        let index = Index::open(&config.index)?;
        let backup = config.backup.map(|backup| {
            let root = Store::open(&backup.store, "", config.limits)?;
            Ok::<_, LibraryError>(BackupStore {
                store: root.at(plain)?,
                root,
                journal: Journal::new(index.clone(), "backup"),
                after: backup.after,
                known_manifests: tokio::sync::Mutex::default(),
            })
        });
        // What is not on local disk any more cannot be waiting there.
        let left = index.outbox()?.into_iter().filter(|waiting| waiting.file.is_file()).collect();
        let shared = Shared {
            store: root.at(plain)?,
            root,
            journal: Journal::new(index.clone(), "store"),
            backup: backup.transpose()?,
            prefix: if plain.is_empty() { String::new() } else { format!("{plain}/") },
            index,
            outbox: Outbox::new(left),
            link_key: config.link_key,
            refresh_every: config.refresh_every,
            generation: AtomicI64::new(1),
            scan: tokio::sync::Mutex::default(),
            is_refreshing: AtomicBool::new(false),
            state: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Stores a finished recording with its sidecar, and makes sure that the store gives back the same bytes. It is listed, and
    /// played from local disk, before the store has it and also when this fails; publishing again is another try, and replaces
    /// what there is. After a restart it first waits until that is due.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Local`], [`LibraryError::Store`], [`LibraryError::Incomplete`],
    /// [`LibraryError::Different`].
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<Published, LibraryError> {
        let (shared, key) = (&self.shared, publication.key);
        let location = shared.root.location(key)?;
        let local = |source| LibraryError::Local { path: publication.file.display().to_string(), source };
        let size = tokio::fs::metadata(publication.file).await.map_err(local)?.len();
        let mut sidecar = Sidecar::of(publication, location, size);
        let name = self.name_of(key).filter(|name| sidecar::is_recording(name));
        let known = shared.outbox.add(key, publication.file.to_owned(), size);
        if let Some(name) = name {
            shared.index.put(sidecar.to_recording(name), String::new(), shared.generation()).await?;
        }
        if known.next_try_at_ms.is_some_and(|due_ms| due_ms > unix_ms()) {
            shared.outbox.pause(key, Duration::ZERO, unix_ms()).await;
        }
        let (waiting, progress) = shared.outbox.begin(key).expect("it was added, and only this removes it");
        shared.index.keep_waiting(waiting).await?;
        match self.store(publication, &mut sidecar, &progress).await {
            Ok(stored) => {
                if let Some(name) = name {
                    let recording = Recording { in_backup: stored.in_backup, ..sidecar.to_recording(name) };
                    // The next scan compares it with what is listed, and finds it changed once.
                    shared.index.put(recording, stored.object.etag, shared.generation()).await?;
                }
                shared.outbox.done(key);
                shared.index.forget_waiting(key).await?;
                Ok(stored.published)
            }
            Err(error) => {
                if let Some(waiting) = shared.outbox.failed(key, error.to_string(), unix_ms()) {
                    shared.index.keep_waiting(waiting).await?;
                }
                Err(error)
            }
        }
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
        let refused = match put(&shared.root, &shared.journal, key, source, sidecar, progress).await {
            Ok((published, object)) => return Ok(Stored { published, object, in_backup: false }),
            Err(error) => shared.placed(error),
        };
        let is_listed = self.name_of(key).is_some_and(sidecar::is_recording);
        let backup = shared.backup.as_ref().filter(|backup| {
            // What this library does not list it would not move back either.
            is_listed && shared.outbox.failing_for(key, unix_ms()) >= backup.after
        });
        let Some(backup) = backup else { return Err(refused) };
        let again = put(&backup.root, &backup.journal, key, source, sidecar, progress).await;
        let (published, object) = again.map_err(|error| {
            let place = backup.root.base();
            LibraryError::Store(format!("{refused}; and so does the backup store {place}: {error}"))
        })?;
        tracing::warn!(recording = key, reason = %refused, "the recording is stored in the backup store");
        Ok(Stored { published, object, in_backup: true })
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

    /// The name of what stands at `key` of the store, if that is below the prefix.
    pub fn name_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.shared.prefix.as_str()).filter(|name| !name.is_empty())
    }

    /// `RECORDINGS_PATH`, with `/` at its end unless it is empty.
    pub fn prefix(&self) -> &str {
        &self.shared.prefix
    }

    /// Lists a recording that is being made or has failed. One that is in the store, or was deleted, is left as it is.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn note(&self, recording: Recording) -> Result<(), LibraryError> {
        let shared = &self.shared;
        let is_failed = recording.status == Status::Failed;
        let is_noted = shared.index.note(recording.clone(), String::new(), shared.generation()).await?;
        if is_failed && is_noted && sidecar::is_recording(&recording.name) {
            let json = Sidecar::of_failed(&recording).to_json();
            if let Err(error) = shared.store.write(&sidecar::own(&recording.name), json).await {
                tracing::warn!(%error, recording = recording.name, "a failed recording cannot be noted in the store");
            }
        }
        Ok(())
    }

    /// Forgets a recording in the making: nothing came of it.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn forget(&self, id: &str) -> Result<(), LibraryError> {
        self.shared.index.forget(id).await
    }

    /// Those being made.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn in_the_making(&self) -> Result<Vec<Recording>, LibraryError> {
        let mut all = Vec::new();
        for status in Status::ALL.into_iter().filter(|status| status.is_active()) {
            all.extend(self.shared.index.with_status(status).await?);
        }
        Ok(all)
    }

    /// How many there are of each status.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn counts(&self) -> Result<HashMap<Status, u64>, LibraryError> {
        self.shared.index.counts().await
    }

    /// A page of the list. While the store fails, what was known of it is shown.
    ///
    /// # Errors
    /// [`LibraryError::BadCursor`], [`LibraryError::Index`]; [`LibraryError::Store`] when the store has never been read.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, LibraryError> {
        let shared = &self.shared;
        let refreshed_at = shared.state().refreshed_at;
        match refreshed_at {
            None => {
                let reading = tokio::spawn({
                    let library = self.clone();
                    async move { library.refresh().await }
                });
                // A store that hangs keeps nobody from seeing what is known.
                let is_something_known = !shared.index.counts().await?.is_empty();
                let limit = if is_something_known { FIRST_ANSWER_WITHIN } else { Duration::MAX };
                if let Ok(Ok(Err(error))) = tokio::time::timeout(limit, reading).await
                    && shared.index.counts().await?.is_empty()
                {
                    return Err(error);
                }
            }
            Some(at) if at.elapsed() >= shared.refresh_every => {
                if !shared.is_refreshing.swap(true, Ordering::AcqRel) {
                    let library = self.clone();
                    tokio::spawn(async move {
                        // A failure is told by the state, and in the log.
                        let _ = library.refresh().await;
                        library.shared.is_refreshing.store(false, Ordering::Release);
                    });
                }
            }
            Some(_) => {}
        }
        let mut page = shared.index.page(query).await?;
        for recording in &mut page.recordings {
            recording.upload = shared.outbox.upload(&shared.key_of(&recording.name));
        }
        Ok(page)
    }

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

    /// Scheme and host of presigned URLs; `None` on local disk.
    pub fn origin(&self) -> Option<String> {
        self.shared.store.origin()
    }

    /// Whether the store answers now.
    ///
    /// # Errors
    /// [`LibraryError::Store`].
    pub async fn check(&self) -> Result<(), LibraryError> {
        self.shared.store.check().await.map_err(|error| self.shared.placed(error))
    }

    /// Why the store could not be read the last time.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state().trouble.clone()
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

    /// A recording by its name, whatever its status.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::BadName`], [`LibraryError::Store`], [`LibraryError::Index`].
    pub async fn find(&self, name: &str) -> Result<Recording, LibraryError> {
        match self.shared.index.by_name(name).await? {
            Some(mut recording) => {
                recording.upload = self.shared.outbox.upload(&self.shared.key_of(name));
                Ok(recording)
            }
            None => self.look_for(name, None).await,
        }
    }

    /// Reads one recording from the store into the index: it is known to be there since a moment.
    ///
    /// # Errors
    /// As [`Library::find`].
    pub async fn look_for(&self, name: &str, id: Option<&str>) -> Result<Recording, LibraryError> {
        if !sidecar::is_recording(name) {
            return Err(LibraryError::NotFound(name.to_owned()));
        }
        let shared = &self.shared;
        if let Some(recording) = shared.index.by_name(name).await?
            && recording.status == Status::Complete
        {
            return Ok(recording);
        }
        let generation = shared.generation();
        let (store, object, in_backup) = match (shared.store.head(name).await, &shared.backup) {
            (Ok(object), _) => (&shared.store, object, false),
            (Err(error), None) => return Err(error),
            (Err(error), Some(backup)) => match backup.store.head(name).await {
                Ok(object) => (&backup.store, object, true),
                Err(_) => return Err(error),
            },
        };
        let mut recording = scan::describe(store, &object, &Evidence::guess(&object, id)).await?;
        recording.in_backup = in_backup;
        if let Some(id) = id.filter(|_| recording.id == recording.name) {
            id.clone_into(&mut recording.id);
        }
        shared.index.put(recording.clone(), object.etag, generation).await?;
        Ok(recording)
    }

    /// The file of a finished recording.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::NotFinished`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn file(&self, name: &str) -> Result<File, LibraryError> {
        if !sidecar::is_recording(name) {
            return Err(LibraryError::NotFound(name.to_owned()));
        }
        let shared = &self.shared;
        if let Some(path) = shared.outbox.file(&shared.key_of(name))
            && let Some(file) = File::local(name, path).await
        {
            return Ok(file);
        }
        let known = shared.index.by_name(name).await?;
        if known.as_ref().is_some_and(|recording| recording.status.is_active()) {
            return Err(LibraryError::NotFinished(name.to_owned()));
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
                shared.index.remove_complete(&name).await?;
                Err(LibraryError::NotFound(name))
            }
            answer => answer.map(|object| File::stored(object, Place::Store)),
        }
    }

    /// Bytes of a file, as they come. The range has to lie within it.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`] when it has been deleted or replaced since; [`LibraryError::Store`].
    pub async fn stream(
        &self,
        file: &File,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, LibraryError>>, LibraryError> {
        match &file.place {
            Place::Store(object) => self.shared.store.stream(object, range).await,
            Place::Backup(object) => self.shared.backup_store()?.stream(object, range).await,
            Place::Disk(path) => read_local(&file.name, path, range).await,
        }
    }

    /// What is known of a recording's making: its sidecar, as JSON.
    ///
    /// # Errors
    /// As [`Library::file`]; [`LibraryError::NotFound`] too for one that nothing was written about.
    pub async fn report(&self, name: &str) -> Result<serde_json::Value, LibraryError> {
        let recording = self.find(name).await?;
        if recording.status.is_active() || recording.upload.is_some() {
            return Err(LibraryError::NotFinished(name.to_owned()));
        }
        let bytes = self.shared.store_of(&recording)?.read(&sidecar::own(name)).await?;
        serde_json::from_slice(&bytes).map_err(|_| LibraryError::NotFound(name.to_owned()))
    }

    /// A link to a finished recording on this server, for whoever holds it.
    ///
    /// # Errors
    /// As [`Library::file`].
    pub async fn signed_link(&self, name: &str, valid: Duration) -> Result<String, LibraryError> {
        let file = self.file(name).await?;
        Ok(self.shared.link_key.link(&file.name, unix_s(), valid))
    }

    /// A URL of the store itself; `None` on local disk.
    ///
    /// # Errors
    /// As [`Library::file`].
    pub async fn presigned_url(&self, name: &str, valid: Duration) -> Result<Option<String>, LibraryError> {
        match self.file(name).await?.place {
            Place::Store(object) => self.shared.store.presign(&object.name, valid).await,
            // The page may load media from the first store only.
            Place::Backup(_) | Place::Disk(_) => Ok(None),
        }
    }

    /// What links are checked by.
    pub fn link_key(&self) -> &LinkKey {
        &self.shared.link_key
    }

    /// Deletes a recording with everything beside it.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::NotFinished`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn delete(&self, name: &str) -> Result<(), LibraryError> {
        let shared = &self.shared;
        let recording = self.find(name).await?;
        if recording.status.is_active() || recording.upload.is_some() {
            return Err(LibraryError::NotFinished(name.to_owned()));
        }
        shared.state().deleted.insert(name.to_owned(), i64::MAX);
        let deleted = self.delete_objects(&recording).await;
        shared.state().deleted.insert(name.to_owned(), shared.generation());
        deleted?;
        shared.index.dismiss(&recording.id).await?;
        shared.index.remove(name).await?;
        tracing::info!(recording = name, id = recording.id, "deleted");
        Ok(())
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
        store.delete(&sidecar::own(name)).await?;
        match store.delete(&sidecar::advanced(name)).await {
            Ok(()) | Err(LibraryError::BadName(_)) => {}
            Err(error) => return Err(error),
        }
        let file = name.rsplit('/').next().unwrap_or(name).to_owned();
        let mut known = self.shared.scan.lock().await;
        let manifest =
            known.iter().find(|(_, (_, files))| *files == [file.as_str()]).map(|(name, _)| name.clone());
        if let Some(manifest) = manifest {
            store.delete(&manifest).await?;
            known.remove(&manifest);
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the library's state")
    }

    /// Says which store fails.
    fn placed(&self, error: LibraryError) -> LibraryError {
        match error {
            LibraryError::Store(reason) => LibraryError::Store(format!("{}: {reason}", self.root.base())),
            other => other,
        }
    }

    fn key_of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn backup_store(&self) -> Result<&Store, LibraryError> {
        let backup = self.backup.as_ref().map(|backup| &backup.store);
        backup.ok_or_else(|| LibraryError::Store("the backup store is not set up any more".into()))
    }

    /// Where a finished recording stands.
    fn store_of(&self, recording: &Recording) -> Result<&Store, LibraryError> {
        if recording.in_backup { self.backup_store() } else { Ok(&self.store) }
    }

    fn generation(&self) -> i64 {
        self.generation.load(Ordering::Acquire)
    }

    fn was_deleted(&self, name: &str, during: i64) -> bool {
        self.state().deleted.get(name).is_some_and(|generation| *generation >= during)
    }
}

/// A recording that is where it belongs.
struct Stored {
    published: Published,
    object: Object,
    in_backup: bool,
}

/// What one store has, to be compared with what is known.
struct Scan<'a> {
    listing: &'a Listing,
    known: &'a HashMap<String, Origin>,
    generation: i64,
    in_backup: bool,
}

/// Stores a recording and its sidecar, of which the hash has to be known.
async fn put(
    root: &Store,
    journal: &Journal,
    key: &str,
    source: Source<'_>,
    sidecar: &mut Sidecar,
    progress: &Progress,
) -> Result<(Published, Object), LibraryError> {
    let location = root.location(key)?;
    for file in &mut sidecar.files {
        file.location.clone_from(&location);
    }
    let (size, sha256) = (sidecar.size.unwrap_or_default(), sidecar.sha256.clone().unwrap_or_default());
    let object = root.put_file(key, source, Proof { size, sha256: &sha256 }, journal, progress).await?;
    let sidecar_key = sidecar::own(key);
    root.write_verified(&sidecar_key, sidecar.to_json()).await?;
    Ok((Published { location, sidecar_location: root.location(&sidecar_key)? }, object))
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

async fn sha256_of(file: &Path) -> Result<String, LibraryError> {
    let file = file.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let local = |source| LibraryError::Local { path: file.display().to_string(), source };
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(&file).map_err(local)?, &mut hash).map_err(local)?;
        Ok(hex::encode(hash.finalize()))
    });
    hashing.await.expect("hashing does not panic")
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
