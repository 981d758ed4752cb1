//! The library itself: publishes, lists, finds, reads and deletes recordings.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reelroom_limits::library::SEARCH_BYTES;
use reelroom_truth::{Alone, Truth, Waiting};

use crate::error::LibraryError;
use crate::growing::Unfinisheds;
use crate::index::{self, Index};
use crate::link::LinkKey;
use crate::outbox::{Outbox, is_copy_of};
use crate::query::{ListQuery, Page};
use crate::recording::{Recording, Status, Usage};
use crate::scan::{self, Evidence, KnownManifests};
use crate::sidecar::{self, Sidecar};
use crate::store::{Journal, Limits, ListingTrouble, Store, StoreConfig};

mod changes;
mod deletion;
mod delivery;
mod file;
mod publish;
mod refresh;
mod tend;
mod whole;

pub use delivery::Manifest;
pub use file::File;
use publish::Beside;
use refresh::Scanner;

/// Whoever lists waits so long for the store's first answer while there is something else to show.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How a library is set up.
#[derive(Clone)]
pub struct LibraryConfig {
    /// Where recordings are.
    pub store: StoreConfig,
    /// `RECORDINGS_PATH`: below which folder of the store they stand ("recordings/").
    pub prefix: String,
    /// The index's file, which may be deleted; its folder has to be there.
    pub index: PathBuf,
    /// What neither the store nor the index can tell.
    pub truth: Truth,
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
    truth: Truth,
    outbox: Outbox,
    growing: Unfinisheds,
    link_key: LinkKey,
    refresh_every: Duration,
    /// Counts scans: what is written during one is newer than what it listed.
    generation: AtomicI64,
    scan: tokio::sync::Mutex<Places<Scanner>>,
    manifests: Places<Mutex<KnownManifests>>,
    is_refreshing: AtomicBool,
    state: Mutex<State>,
}

struct BackupStore {
    store: Store,
    root: Store,
    journal: Journal,
    after: Duration,
}

/// One for each store.
#[derive(Default)]
struct Places<T> {
    first: T,
    backup: T,
}

#[derive(Default)]
struct State {
    /// When the last scan began.
    refreshed_at: Option<Instant>,
    /// How long the last scan took.
    refresh_took: Duration,
    /// Why the last scan failed.
    trouble: Option<String>,
    /// What the last scan that did not fail could not read.
    listing: ListingTrouble,
    /// What was deleted, and during which scan.
    deleted: HashMap<String, i64>,
    /// What stays in the backup store because the first one has another file of that name; told once.
    kept_back: HashSet<String>,
}

impl Library {
    /// Opens the library. The store is read at the first list.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::Local`], [`LibraryError::Index`], [`LibraryError::Truth`]: settings or folders that
    /// cannot be used.
    pub fn open(config: LibraryConfig) -> Result<Self, LibraryError> {
        let root = Store::open(&config.store, "", config.limits)?;
        let plain = config.prefix.trim_matches('/');
        let prefix = if plain.is_empty() { String::new() } else { format!("{plain}/") };
        let truth = config.truth;
        index::take_over(&config.index, &truth, &prefix)?;
        let index = Index::open(&config.index)?;
        let backup = config.backup.map(|backup| {
            let root = Store::open(&backup.store, "", config.limits)?;
            Ok::<_, LibraryError>(BackupStore {
                store: root.at(plain)?,
                root,
                journal: Journal::new(truth.clone(), "backup"),
                after: backup.after,
            })
        });
        truth.forget_discarded_without(|file| file.is_file())?;
        truth.forget_dismissed_failures(|about| Sidecar::parse(about).map(|sidecar| sidecar.egress_id))?;
        let discarded = truth.discarded()?;
        // What is not on local disk any more cannot be waiting there.
        let waits = |waiting: &Waiting| {
            waiting.file.is_file()
                && !discarded
                    .iter()
                    .any(|gone| gone.key == waiting.key && is_copy_of(&gone.file, &waiting.file))
        };
        let left: Vec<Waiting> = truth.waiting()?.into_iter().filter(waits).collect();
        index.put_back(&known_to_truth(&left, &truth.failed_alone()?, &prefix))?;
        let shared = Shared {
            store: root.at(plain)?,
            root,
            journal: Journal::new(truth.clone(), "store"),
            backup: backup.transpose()?,
            prefix,
            index,
            truth,
            outbox: Outbox::new(left),
            growing: Unfinisheds::default(),
            link_key: config.link_key,
            refresh_every: config.refresh_every,
            generation: AtomicI64::new(1),
            scan: tokio::sync::Mutex::new(Places {
                first: Scanner::new(config.refresh_every),
                backup: Scanner::new(config.refresh_every),
            }),
            manifests: Places::default(),
            is_refreshing: AtomicBool::new(false),
            state: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
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
    /// [`LibraryError::Index`], [`LibraryError::Truth`]; [`LibraryError::Store`] where it was deleted meanwhile, and its sidecar could not be.
    pub async fn note(&self, recording: Recording) -> Result<(), LibraryError> {
        self.note_beside(recording, Beside::Sidecar).await
    }

    /// As [`Library::note`], for a recording beside which nothing is to stand: its failure is known to the truth only.
    ///
    /// # Errors
    /// [`LibraryError::Index`], [`LibraryError::Truth`].
    pub async fn note_alone(&self, recording: Recording) -> Result<(), LibraryError> {
        self.note_beside(recording, Beside::Nothing).await
    }

    async fn note_beside(&self, recording: Recording, beside: Beside) -> Result<(), LibraryError> {
        let (shared, key) = (&self.shared, self.shared.key_of(&recording.name));
        if shared.truth.is_dismissed(&key, &recording.id).await? {
            return Ok(());
        }
        let is_noted = shared.index.note(recording.clone(), String::new(), shared.generation()).await?;
        // Whoever deletes it says so first, and then removes the row.
        if is_noted && shared.truth.is_dismissed(&key, &recording.id).await? {
            return shared.index.remove_of(&recording.name, &recording.id).await;
        }
        if is_noted && recording.status == Status::Failed {
            self.keep_failure(&recording, beside).await?;
        }
        Ok(())
    }

    /// In the store, where it may stand there and is taken; otherwise in the truth. It stands there first: the store may take longer than
    /// whoever tells of it waits.
    async fn keep_failure(&self, recording: &Recording, beside: Beside) -> Result<(), LibraryError> {
        let (shared, key) = (&self.shared, self.shared.key_of(&recording.name));
        let about = Sidecar::of_failed(recording).to_json();
        let alone = Alone { key: key.clone(), is_failed: true, about: about.clone() };
        shared.truth.keep_alone(alone).await?;
        let sidecar = sidecar::own(&recording.name);
        let mut is_in_store = false;
        if beside == Beside::Sidecar && sidecar::is_recording(&recording.name) {
            match shared.store.create(&sidecar, about).await {
                Ok(()) => is_in_store = true,
                // One that is there tells of another recording, or of this very failure: the next scan says which.
                Err(LibraryError::Taken(_)) => {}
                Err(error) => tracing::warn!(
                    %error,
                    recording = recording.name,
                    "a failed recording cannot be noted in the store"
                ),
            }
        }
        // Somebody may have deleted it while the store took it.
        let is_deleted = shared.truth.is_dismissed(&key, &recording.id).await?;
        if is_deleted && is_in_store {
            shared.store.delete(&sidecar).await?;
        }
        if is_deleted || is_in_store {
            shared.truth.forget_alone(&key).await?;
        }
        Ok(())
    }

    /// The first `seconds` of the file that becomes the recording at `key` of the store play and stay as they are, of `total` as far
    /// as that is known; 0 seconds: nothing of it plays.
    pub fn grows(&self, key: &str, file: &Path, seconds: u64, total: Duration) {
        self.shared.growing.grows(key, file, seconds, total);
        if let Some(name) = self.name_of(key) {
            self.shared.index.feed().grew(name);
        }
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
        all.iter_mut().for_each(|recording| self.shared.complement(recording));
        Ok(all)
    }

    /// How many there are of each status.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn counts(&self) -> Result<HashMap<Status, u64>, LibraryError> {
        self.shared.index.counts().await
    }

    /// What the finished ones take, as far as they are listed.
    ///
    /// # Errors
    /// [`LibraryError::Busy`], [`LibraryError::Index`].
    pub async fn usage(&self) -> Result<Usage, LibraryError> {
        self.shared.index.usage().await
    }

    /// Those that wait to be stored, `most` at most, the one that was begun first in front.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn unstored(&self, most: usize) -> Result<Vec<Recording>, LibraryError> {
        let mut all = Vec::new();
        for key in self.shared.outbox.keys(most) {
            let Some(name) = self.name_of(&key) else { continue };
            if let Some(mut recording) = self.shared.index.by_name(name).await? {
                self.shared.complement(&mut recording);
                // It may be stored by now.
                all.extend(recording.upload.is_some().then_some(recording));
            }
        }
        all.sort_by(|one, other| (one.started_at_ms, &one.name).cmp(&(other.started_at_ms, &other.name)));
        Ok(all)
    }

    /// A page of the list. While the store fails, what was known of it is shown.
    ///
    /// # Errors
    /// [`LibraryError::BadCursor`], [`LibraryError::LongSearch`], [`LibraryError::Busy`], [`LibraryError::Index`];
    /// [`LibraryError::Store`] when the store has never been read.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, LibraryError> {
        if query.text.as_ref().is_some_and(|text| text.len() > SEARCH_BYTES) {
            return Err(LibraryError::LongSearch(SEARCH_BYTES));
        }
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
            shared.complement(recording);
        }
        Ok(page)
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

    /// What could not be read of the store when it was listed the last time. All else is listed, and what was known of that
    /// still is.
    pub fn listing_trouble(&self) -> ListingTrouble {
        self.shared.state().listing.clone()
    }

    /// Why the store could not be read the last time.
    pub fn trouble(&self) -> Option<String> {
        self.shared.state().trouble.clone()
    }

    /// A recording by its name, whatever its status.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::BadName`], [`LibraryError::Store`], [`LibraryError::Index`].
    pub async fn find(&self, name: &str) -> Result<Recording, LibraryError> {
        match self.shared.index.by_name(name).await? {
            Some(mut recording) => {
                self.shared.complement(&mut recording);
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
        let key = shared.key_of(name);
        let alone = if in_backup { None } else { shared.truth.alone(&key).await? };
        let evidence = Evidence::guess(&object, id);
        let described = scan::describe(store, &object, &evidence, alone.as_deref()).await?;
        let mut recording = Recording { in_backup, ..described.recording };
        if let Some(id) = id.filter(|_| recording.id == recording.name) {
            id.clone_into(&mut recording.id);
            if !in_backup {
                let about = Sidecar::of_known(&recording).to_json();
                shared.truth.keep_alone(Alone { key, is_failed: false, about }).await?;
            }
        }
        shared.index.put(recording.clone(), object.etag, generation).await?;
        Ok(recording)
    }

    /// What is known of a recording's making: its sidecar, as JSON. Of one that waits to be stored it is what the store will be given.
    ///
    /// # Errors
    /// As [`Library::file`]; [`LibraryError::NotFound`] too for one that nothing was written about.
    pub async fn report(&self, name: &str) -> Result<serde_json::Value, LibraryError> {
        let recording = self.find(name).await?;
        if recording.status.is_active() {
            return Err(LibraryError::NotFinished(name.to_owned()));
        }
        let bytes = if recording.upload.is_some() {
            let about = self.shared.outbox.about(&self.shared.key_of(name));
            about.ok_or_else(|| LibraryError::NotFinished(name.to_owned()))?
        } else {
            self.shared.store_of(&recording)?.read(&sidecar::own(name)).await?
        };
        serde_json::from_slice(&bytes).map_err(|_| LibraryError::NotFound(name.to_owned()))
    }

    /// What links are checked by.
    pub fn link_key(&self) -> &LinkKey {
        &self.shared.link_key
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

    /// Adds what the index does not know.
    fn complement(&self, recording: &mut Recording) {
        let key = self.key_of(&recording.name);
        recording.upload = self.outbox.upload(&key);
        recording.unfinished = self
            .growing
            .of(&key)
            .filter(|_| recording.status == Status::Finishing && recording.upload.is_none());
    }

    fn backup_store(&self) -> Result<&Store, LibraryError> {
        let backup = self.backup.as_ref().map(|backup| &backup.store);
        backup.ok_or_else(|| LibraryError::Store("the backup store is not set up any more".into()))
    }

    /// Where a finished recording stands.
    fn store_of(&self, recording: &Recording) -> Result<&Store, LibraryError> {
        if recording.in_backup { self.backup_store() } else { Ok(&self.store) }
    }

    fn manifests(&self, of_backup: bool) -> MutexGuard<'_, KnownManifests> {
        let manifests = if of_backup { &self.manifests.backup } else { &self.manifests.first };
        manifests.lock().expect("no code panics while it holds the manifests")
    }

    /// With nothing to wait for between scans there is nothing to wait for here.
    fn lone_for(&self, usual: Duration) -> Duration {
        usual.min(self.refresh_every)
    }

    fn generation(&self) -> i64 {
        self.generation.load(Ordering::Acquire)
    }

    fn was_deleted(&self, name: &str, during: i64) -> bool {
        self.state().deleted.get(name).is_some_and(|generation| *generation >= during)
    }
}

/// Rows of what waits to be stored, and of what failed without a word in the store.
fn known_to_truth(waiting: &[Waiting], failed: &[Alone], prefix: &str) -> Vec<Recording> {
    let row = |key: &str, about: &[u8], status: Status| {
        let name = key.strip_prefix(prefix).filter(|name| !name.is_empty())?;
        // What has failed has the name that was asked for, whatever that is.
        let is_listed = status == Status::Failed || sidecar::is_recording(name);
        let sidecar = Sidecar::parse(about).filter(|_| is_listed)?;
        Some(Recording { status, ..sidecar.to_recording(name) })
    };
    let waiting = waiting.iter().filter_map(|one| row(&one.key, one.about.as_deref()?, Status::Complete));
    let failed = failed.iter().filter_map(|one| row(&one.key, &one.about, Status::Failed));
    waiting.chain(failed).collect()
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
