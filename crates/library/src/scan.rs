//! Reads the store into the index: what is new or changed is described, what is gone is forgotten.

use std::collections::{BTreeMap, HashMap};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::error::LibraryError;
use crate::mp4;
use crate::recording::{Recording, Status};
use crate::sidecar::{self, Sidecar};
use crate::store::{Object, Store};

/// Objects read at once.
const CONCURRENTLY: usize = 16;

/// What the store holds, as listed.
#[derive(Default)]
pub(crate) struct Listing {
    objects: BTreeMap<String, Object>,
    /// LiveKit's manifests by the name of the file they are of: their own name, and what they say.
    manifests: HashMap<String, String>,
}

/// Manifests that were read already, by name; with their etag and the files they are of.
pub(crate) type KnownManifests = HashMap<String, (String, Vec<String>)>;

/// Where a recording's description is to be taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    own: Option<String>,
    advanced: Option<String>,
    manifest: Option<String>,
    /// Changes when any of it does.
    pub(crate) source: String,
}

impl Listing {
    /// Lists the store; of LiveKit's manifests those are read that are not in `known` yet.
    pub(crate) async fn read(store: &Store, known: &mut KnownManifests) -> Result<Self, LibraryError> {
        let objects: BTreeMap<_, _> =
            store.list().await?.into_iter().map(|object| (object.name.clone(), object)).collect();
        known.retain(|name, (etag, _)| objects.get(name).is_some_and(|object| object.etag == *etag));
        let unread: Vec<_> = objects
            .values()
            .filter(|object| sidecar::is_manifest(&object.name) && !known.contains_key(&object.name))
            .map(|object| (object.name.clone(), object.etag.clone()))
            .collect();
        let read = stream::iter(unread).map(|(name, etag)| async move {
            let files = match store.read(&name).await {
                Ok(bytes) => files_of(&name, &bytes),
                Err(LibraryError::NotFound(_)) => Vec::new(),
                Err(error) => return Err(error),
            };
            Ok((name, (etag, files)))
        });
        let read: Vec<_> = read.buffer_unordered(CONCURRENTLY).try_collect().await?;
        known.extend(read);
        let manifests = known
            .iter()
            .flat_map(|(manifest, (_, files))| files.iter().map(move |file| (file.clone(), manifest.clone())))
            .collect();
        Ok(Self { objects, manifests })
    }

    pub(crate) fn recordings(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| sidecar::is_recording(&object.name))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }

    /// Sidecars of ours without a file: they may tell why there is none.
    pub(crate) fn lone_sidecars(&self) -> impl Iterator<Item = (&str, &Object)> {
        self.objects.values().filter_map(|object| {
            let name = sidecar::recording_of(&object.name)?;
            (!self.contains(name)).then_some((name, object))
        })
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
        let mut source = object.etag.clone();
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

/// Describes a recording from the best there is beside it.
///
/// # Errors
/// The store fails, or the recording has gone.
pub(crate) async fn describe(
    store: &Store,
    object: &Object,
    evidence: &Evidence,
) -> Result<Recording, LibraryError> {
    let mut recording = Recording::named(&object.name);
    recording.size = Some(object.size);
    recording.status = Status::Complete;
    let is_described = by_own(store, evidence.own.as_deref(), &mut recording).await?
        || by_advanced(store, evidence.advanced.as_deref(), &mut recording).await?
        || by_own(store, evidence.manifest.as_deref(), &mut recording).await?;
    if !is_described {
        sidecar::describe_by_name(&mut recording);
    }
    if recording.started_at_ms == 0 {
        recording.started_at_ms = object.modified_ms;
    }
    if recording.duration_ms.is_none() {
        recording.duration_ms =
            mp4::duration_ms(object.size, |range| async { store.read_range(&object.name, range).await })
                .await?;
    }
    recording.size = Some(object.size);
    Ok(recording)
}

/// What a sidecar without a file tells, if it tells of a failure.
pub(crate) async fn failed(
    store: &Store,
    name: &str,
    object: &Object,
) -> Result<Option<Recording>, LibraryError> {
    let Some(bytes) = read_if_there(store, &object.name).await? else { return Ok(None) };
    let Some(sidecar) = Sidecar::parse(&bytes).filter(Sidecar::is_failed) else { return Ok(None) };
    let mut recording = Recording::named(name);
    sidecar.describe(&mut recording);
    recording.status = Status::Failed;
    Ok(Some(recording))
}

async fn by_own(store: &Store, name: Option<&str>, recording: &mut Recording) -> Result<bool, LibraryError> {
    let Some(name) = name else { return Ok(false) };
    let Some(bytes) = read_if_there(store, name).await? else { return Ok(false) };
    // A failure that was noted before the file came after all says nothing of the file.
    let Some(sidecar) = Sidecar::parse(&bytes) else { return Ok(false) };
    let is_failed = sidecar.is_failed();
    sidecar.describe(recording);
    if is_failed {
        recording.error = None;
    }
    Ok(true)
}

async fn by_advanced(
    store: &Store,
    name: Option<&str>,
    recording: &mut Recording,
) -> Result<bool, LibraryError> {
    let Some(name) = name else { return Ok(false) };
    let Some(bytes) = read_if_there(store, name).await? else { return Ok(false) };
    Ok(sidecar::describe_advanced(&bytes, recording).is_some())
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
