//! Reads the store into the index: what is new or changed is described, what is gone is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};

use crate::error::LibraryError;
use crate::mp4;
use crate::recording::{Recording, Status};
use crate::sidecar::{self, Sidecar};
use crate::store::{ListingTrouble, Object, Odd, Scope, Store, Unread};

/// Objects read at once.
pub(crate) const CONCURRENTLY: usize = 16;
/// So many that fail one after the other mean that the store does, and not the objects.
pub(crate) const FAILURES_OF_A_STORE: usize = 3 * CONCURRENTLY;
/// What cannot be read is tried again after the usual time, and then less and less often.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// A store without ranges gives all that stands before a few bytes; a length is worth so much.
const MAX_BYTES_FOR_A_LENGTH: u64 = 16 * 1024 * 1024;

/// What the store holds, as listed.
#[derive(Default)]
pub(crate) struct Listing {
    objects: BTreeMap<String, Object>,
    /// Recordings that are there, and cannot be used.
    odd: BTreeMap<String, Odd>,
    unread: Vec<Unread>,
    /// LiveKit's manifests by the name of the file they are of: their own name, and what they say.
    manifests: HashMap<String, String>,
    /// A manifest could not be read: that there is none for a file means nothing.
    pub(crate) misses_manifests: bool,
    /// The folder itself is not there.
    pub(crate) is_missing: bool,
    pub(crate) trouble: ListingTrouble,
}

/// A manifest that was read already.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    etag: String,
    /// The names, without folders, of the files it is of.
    pub(crate) files: Vec<String>,
}

/// Manifests that were read already, by name.
pub(crate) type KnownManifests = HashMap<String, Manifest>;

/// What could not be read, so that it is not asked for again at every scan.
#[derive(Default)]
pub(crate) struct Patience {
    every: Duration,
    failures: HashMap<String, Failure>,
}

struct Failure {
    /// Of what.
    source: String,
    reason: String,
    times: u32,
    due: Instant,
}

impl Patience {
    /// `every`: how often the store is scanned.
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, failures: HashMap::new() }
    }

    /// Why it is not to be read now.
    pub(crate) fn reason(&self, name: &str, source: &str, now: Instant) -> Option<&str> {
        let failure = self.failures.get(name).filter(|failure| failure.source == source)?;
        (now < failure.due).then_some(failure.reason.as_str())
    }

    pub(crate) fn failed(&mut self, name: &str, source: &str, reason: &str, now: Instant) {
        let times = self.failures.get(name).filter(|failure| failure.source == source).map_or(0, |f| f.times);
        let pause = self.every.saturating_mul(1 << times.min(12)).min(LONGEST_PAUSE);
        let failure = Failure {
            source: source.to_owned(),
            reason: reason.to_owned(),
            times: times.saturating_add(1),
            due: now + pause,
        };
        self.failures.insert(name.to_owned(), failure);
    }

    pub(crate) fn over(&mut self, name: &str) {
        self.failures.remove(name);
    }

    /// Forgets what is not there any more.
    pub(crate) fn retain(&mut self, listing: &Listing) {
        self.failures.retain(|name, _| listing.contains(name));
    }
}

/// Where a recording's description is to be taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    own: Option<String>,
    advanced: Option<String>,
    manifest: Option<String>,
    /// Changes when any of it does.
    pub(crate) source: String,
}

/// A recording, as far as it could be read.
pub(crate) struct Described {
    pub(crate) recording: Recording,
    /// Something in the store tells of it.
    pub(crate) is_told_beside: bool,
    /// What of it the store does not give out; the recording's `error` says it too.
    pub(crate) unreadable: Option<String>,
}

impl Listing {
    /// Lists the store; of LiveKit's manifests those are read that are not in `known` yet.
    pub(crate) async fn read(
        store: &Store,
        known: &mut KnownManifests,
        patience: &mut Patience,
    ) -> Result<Self, LibraryError> {
        let Some(listed) = store.list().await? else {
            return Ok(Self { is_missing: true, ..Self::default() });
        };
        let mut listing = Self { unread: listed.unread, ..Self::default() };
        for unread in &listing.unread {
            listing.trouble.add(|| match &unread.scope {
                Scope::All => format!("the store cannot be read: {}", unread.reason),
                Scope::Below(folder) => format!("the folder {folder:?} cannot be read: {}", unread.reason),
                Scope::After(last) => format!("nothing after {last:?} can be read: {}", unread.reason),
            });
        }
        listing.objects = listed.objects.into_iter().map(|object| (object.name.clone(), object)).collect();
        for odd in listed.odd.into_iter().filter(|odd| sidecar::is_recording(&odd.name)) {
            if !listing.objects.contains_key(&odd.name) {
                listing.trouble.add(|| format!("{:?}: {}", odd.name, odd.reason));
                listing.odd.insert(odd.name.clone(), odd);
            }
        }
        listing.read_manifests(store, known, patience).await;
        Ok(listing)
    }

    async fn read_manifests(&mut self, store: &Store, known: &mut KnownManifests, patience: &mut Patience) {
        known.retain(|name, manifest| match self.objects.get(name) {
            Some(object) => object.etag == manifest.etag,
            None => self.unread_has(name),
        });
        let mut unread = Vec::new();
        let manifests = self.objects.values().filter(|object| sidecar::is_manifest(&object.name));
        for object in manifests.filter(|object| !known.contains_key(&object.name)) {
            match patience.reason(&object.name, &object.etag, Instant::now()) {
                None => unread.push((object.name.clone(), object.etag.clone())),
                Some(reason) => {
                    self.misses_manifests = true;
                    self.trouble.add(|| format!("{:?}: {reason}", object.name));
                }
            }
        }
        let mut reading = stream::iter(unread)
            .map(|(name, etag)| async move {
                let read = store.read(&name).await;
                (name, etag, read)
            })
            .buffer_unordered(CONCURRENTLY);
        let mut failures = 0;
        while let Some((name, etag, read)) = reading.next().await {
            let files = match read {
                Ok(bytes) => files_of(&name, &bytes),
                Err(LibraryError::NotFound(_)) => Vec::new(),
                Err(error) => {
                    failures += 1;
                    self.misses_manifests = true;
                    patience.failed(&name, &etag, &error.to_string(), Instant::now());
                    self.trouble.add(|| error.to_string());
                    if failures >= FAILURES_OF_A_STORE {
                        break;
                    }
                    continue;
                }
            };
            failures = 0;
            patience.over(&name);
            known.insert(name, Manifest { etag, files });
        }
        self.manifests = known
            .iter()
            .flat_map(|(name, manifest)| manifest.files.iter().map(move |file| (file.clone(), name.clone())))
            .collect();
    }

    pub(crate) fn recordings(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| sidecar::is_recording(&object.name))
    }

    /// Recordings that cannot be used.
    pub(crate) fn odd(&self) -> impl Iterator<Item = &Odd> {
        self.odd.values()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.objects.contains_key(name) || self.odd.contains_key(name)
    }

    /// Whether it is known that there is no such object.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        !self.contains(name) && !self.is_missing && !self.unread_has(name)
    }

    fn unread_has(&self, name: &str) -> bool {
        self.unread.iter().any(|unread| unread.scope.has(name))
    }

    /// Sidecars of ours without a file: they may tell why there is none.
    pub(crate) fn lone_sidecars(&self) -> impl Iterator<Item = (&str, &Object)> {
        self.objects.values().filter_map(|object| {
            let name = sidecar::recording_of(&object.name)?;
            self.lacks(name).then_some((name, object))
        })
    }

    /// The tag of the sidecar of a recording that is not there.
    pub(crate) fn lone_etag(&self, name: &str) -> Option<&str> {
        let object = self.objects.get(&sidecar::own(name)).filter(|_| self.lacks(name))?;
        Some(&object.etag)
    }

    pub(crate) fn evidence(&self, object: &Object) -> Evidence {
        let listed = |name: String| self.objects.contains_key(&name).then_some(name);
        let file = object.name.rsplit('/').next().unwrap_or(&object.name);
        Evidence {
            own: listed(sidecar::own(&object.name)),
            advanced: listed(sidecar::advanced(&object.name)),
            manifest: self.manifests.get(file).cloned(),
            source: String::new(),
        }
        .with_source(object, |name| self.objects.get(name).map(|object| object.etag.clone()))
    }
}

impl Evidence {
    /// For one recording, without a listing: whatever may be there.
    pub(crate) fn guess(object: &Object, id: Option<&str>) -> Self {
        let manifest = id.filter(|id| id.starts_with("EG_")).map(|id| {
            let folder =
                object.name.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
            format!("{folder}{id}.json")
        });
        Self {
            own: Some(sidecar::own(&object.name)),
            advanced: Some(sidecar::advanced(&object.name)),
            manifest,
            source: String::new(),
        }
    }

    fn with_source(mut self, object: &Object, etag: impl Fn(&str) -> Option<String>) -> Self {
        // What is archived later has another source, and is looked at again.
        let mut source = if object.is_cold { format!("{} cold", object.etag) } else { object.etag.clone() };
        for name in [&self.own, &self.advanced, &self.manifest].into_iter().flatten() {
            source.push('\n');
            source.push_str(name);
            source.push(' ');
            source.push_str(&etag(name).unwrap_or_default());
        }
        self.source = source;
        self
    }
}

/// Describes a recording from the best there is beside it; where that is nothing, from what is known of it `alone`, as long as it is
/// about a file of that size. What the store does not give out costs nothing but what it would have told.
///
/// # Errors
/// The store fails, or the recording has gone.
pub(crate) async fn describe(
    store: &Store,
    object: &Object,
    evidence: &Evidence,
    alone: Option<&[u8]>,
) -> Result<Described, LibraryError> {
    let mut recording = Recording::named(&object.name);
    recording.size = Some(object.size);
    recording.status = Status::Complete;
    let mut unreadable = None;
    let mut is_told_beside = false;
    for (name, kind) in [
        (&evidence.own, Beside::Own),
        (&evidence.advanced, Beside::Advanced),
        (&evidence.manifest, Beside::Own),
    ] {
        let Some(name) = name.as_deref().filter(|_| !is_told_beside) else { continue };
        match read_if_there(store, name).await {
            Ok(Some(bytes)) => is_told_beside = kind.describe(&bytes, &mut recording),
            Ok(None) => {}
            Err(error @ LibraryError::Unreadable { .. }) => {
                unreadable.get_or_insert_with(|| error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    if !is_told_beside {
        let alone = alone.and_then(Sidecar::parse).filter(|told| told.size == Some(object.size));
        match alone {
            Some(told) => told.describe(&mut recording),
            None => sidecar::describe_by_name(&mut recording),
        }
    }
    if recording.started_at_ms == 0 {
        recording.started_at_ms = object.modified_ms;
    }
    match length(store, object, recording.duration_ms).await {
        Ok(duration_ms) => recording.duration_ms = duration_ms,
        Err(error @ LibraryError::Unreadable { .. }) => unreadable = Some(error.to_string()),
        Err(error) => return Err(error),
    }
    recording.size = Some(object.size);
    if let Some(reason) = &unreadable {
        add_error(&mut recording, reason);
    }
    Ok(Described { recording, is_told_beside, unreadable })
}

/// A recording of which the store gives out nothing, and why.
pub(crate) fn describe_unreadable(
    name: &str,
    size: Option<u64>,
    modified_ms: i64,
    reason: &str,
) -> Recording {
    let mut recording = Recording::named(name);
    sidecar::describe_by_name(&mut recording);
    recording.size = size;
    if recording.started_at_ms == 0 {
        recording.started_at_ms = modified_ms;
    }
    add_error(&mut recording, reason);
    recording
}

fn add_error(recording: &mut Recording, reason: &str) {
    recording.error = Some(match recording.error.take() {
        Some(error) => format!("{error}; {reason}"),
        None => reason.to_owned(),
    });
}

/// How long it plays; where that is known, whether the store gives it out at all.
async fn length(store: &Store, object: &Object, known: Option<u64>) -> Result<Option<u64>, LibraryError> {
    if known.is_some() {
        if object.size > 0 {
            store.read_range(&object.name, 0..1).await?;
        }
        return Ok(known);
    }
    let found = mp4::duration_ms(object.size, |range| async {
        if store.gives_no_ranges() && range.end > MAX_BYTES_FOR_A_LENGTH {
            return Ok(bytes::Bytes::new());
        }
        store.read_range(&object.name, range).await
    });
    found.await
}

/// What may stand beside a recording.
#[derive(Clone, Copy)]
enum Beside {
    /// Ours, or LiveKit's.
    Own,
    /// The advanced tutorial's.
    Advanced,
}

impl Beside {
    /// Adds what it tells; false for something else.
    fn describe(self, bytes: &[u8], recording: &mut Recording) -> bool {
        match self {
            Self::Advanced => sidecar::describe_advanced(bytes, recording).is_some(),
            Self::Own => {
                let Some(sidecar) = Sidecar::parse(bytes) else { return false };
                // A failure that was noted before the file came after all says nothing of the file.
                let is_failed = sidecar.is_failed();
                sidecar.describe(recording);
                if is_failed {
                    recording.error = None;
                }
                true
            }
        }
    }
}

/// What a sidecar without a file is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lone {
    /// It tells of a failure.
    Failed(Box<Recording>),
    /// This program wrote it, of a file that it had stored and that is gone.
    OfGoneFile,
    /// Somebody else's.
    Foreign,
}

/// What a sidecar without a file tells. `None` when it is gone too.
pub(crate) async fn lone(store: &Store, name: &str, object: &Object) -> Result<Option<Lone>, LibraryError> {
    let Some(bytes) = read_if_there(store, &object.name).await? else { return Ok(None) };
    Ok(Some(match Sidecar::parse(&bytes) {
        Some(sidecar) if sidecar.is_failed() => {
            let mut recording = Recording::named(name);
            sidecar.describe(&mut recording);
            recording.status = Status::Failed;
            Lone::Failed(Box::new(recording))
        }
        Some(sidecar) if sidecar.is_of_a_stored_file() => Lone::OfGoneFile,
        _ => Lone::Foreign,
    }))
}

async fn read_if_there(store: &Store, name: &str) -> Result<Option<bytes::Bytes>, LibraryError> {
    match store.read(name).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LibraryError::NotFound(_) | LibraryError::BadName(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names, without folders, of the files that a manifest is of.
fn files_of(manifest: &str, bytes: &[u8]) -> Vec<String> {
    let Some(sidecar) = Sidecar::parse(bytes) else {
        tracing::debug!(manifest, "a file named as a manifest is none");
        return Vec::new();
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    sidecar.files.iter().map(|file| name(&file.filename)).filter(|name| sidecar::is_recording(name)).collect()
}
