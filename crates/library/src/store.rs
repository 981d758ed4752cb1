//! Where recordings are kept: a folder on local disk, or an S3 bucket.
//!
//! A name is data: any Unicode text, in folders where it has `/`, and never a way out of them. Everything stands below
//! one prefix, which may be empty.
//!
//! # Invariants
//!
//! - No call takes for ever: each has its time by [`Limits`], and a store that hangs is a store that fails.
//! - What [`Store::put_file`] says is stored has been read back, and is byte for byte what was sent. No store is believed:
//!   neither its size nor its checksum tells what it will give back.
//! - A listing has everything that could be read; what could not is told, and costs nothing else.

mod folder;
mod limits;
mod listing;
mod s3;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use reelroom_limits::library::SMALL_FILE_BYTES;

use crate::error::LibraryError;
pub use limits::Limits;
use limits::within;
pub use listing::ListingTrouble;
pub(crate) use listing::{Listed, Odd, Scope, Unread};
use s3::S3;
pub use s3::S3Config;
pub(crate) use upload::{Journal, Progress, Proof, Source};

/// S3 takes keys of 1024 bytes, file systems names of 255; while a file is written its name is a little longer.
const MAX_KEY_BYTES: usize = 1000;
const MAX_SEGMENT_BYTES: usize = 240;
/// Of what others wrote under longer names; a file system's paths have 4096.
const MAX_FOREIGN_KEY_BYTES: usize = 4096;
const MAX_REASON_CHARS: usize = 400;
/// A folder is listed in one go, and may take as long as so many other calls.
const LISTING_CALLS: u32 = 12;

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// A folder.
    Local {
        /// Made where it is missing.
        root: PathBuf,
    },
    /// A bucket.
    S3(S3Config),
}

/// The store of recordings.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    s3: Option<Arc<S3>>,
    /// The folder, of a local store.
    root: Option<PathBuf>,
    prefix: Path,
    limits: Limits,
}

/// An object as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name below the prefix.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Changes with the content.
    pub etag: String,
    /// The tag as the store has it, where it names just this content.
    pub(crate) match_by: Option<String>,
    /// Unix milliseconds.
    pub modified_ms: i64,
    /// It may have to be brought back before it can be read.
    pub(crate) is_cold: bool,
}

impl Store {
    /// Opens a store; what it holds stands below `prefix` ("recordings/").
    ///
    /// # Errors
    /// [`LibraryError::Store`] when the folder or the settings cannot be used. S3 itself is not asked yet.
    pub fn open(config: &StoreConfig, prefix: &str, limits: Limits) -> Result<Self, LibraryError> {
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(store_error)?;
        match config {
            StoreConfig::Local { root } => {
                std::fs::create_dir_all(root)
                    .map_err(|source| LibraryError::Local { path: root.display().to_string(), source })?;
                let objects = LocalFileSystem::new_with_prefix(root).map_err(store_error)?.with_fsync(true);
                let root = root.canonicalize().unwrap_or_else(|_| root.clone());
                Ok(Self { objects: Arc::new(objects), s3: None, root: Some(root), prefix, limits })
            }
            StoreConfig::S3(config) => {
                let s3 = Arc::new(S3::open(config, limits)?);
                let objects = Arc::clone(&s3.objects) as Arc<dyn ObjectStore>;
                Ok(Self { objects, s3: Some(s3), root: None, prefix, limits })
            }
        }
    }

    /// The folder, or the bucket's URL.
    pub fn base(&self) -> String {
        match (&self.s3, &self.root) {
            (Some(s3), _) => s3.url(),
            (None, root) => root.as_deref().unwrap_or(std::path::Path::new("")).display().to_string(),
        }
    }

    /// Scheme and host of presigned URLs; `None` on local disk.
    pub fn origin(&self) -> Option<String> {
        Some(url::Url::parse(&self.s3.as_ref()?.url()).ok()?.origin().ascii_serialization())
    }

    /// Where an object stands, as LiveKit's `FileInfo.location` says it.
    ///
    /// # Errors
    /// [`LibraryError::BadName`].
    pub fn location(&self, name: &str) -> Result<String, LibraryError> {
        Ok(format!("{}/{}", self.base(), self.path_to_write(name)?))
    }

    /// The same store, from another prefix on.
    ///
    /// # Errors
    /// [`LibraryError::Store`] for a prefix that can be none.
    pub fn at(&self, prefix: &str) -> Result<Self, LibraryError> {
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(store_error)?;
        Ok(Self { prefix, ..self.clone() })
    }

    /// All objects below the prefix, folders below it included ("folder/name"), and what could not be read. `Ok(None)`: the
    /// folder is not there.
    ///
    /// # Errors
    /// [`LibraryError::Store`] when nothing at all could be read.
    pub(crate) async fn list(&self) -> Result<Option<Listed>, LibraryError> {
        match &self.s3 {
            Some(s3) => self.list_bucket(s3).await.map(Some),
            None => self.list_folder().await,
        }
    }

    async fn list_bucket(&self, s3: &S3) -> Result<Listed, LibraryError> {
        let prefix = self.key_prefix();
        let (mut listed, mut after) = (Listed::default(), None);
        loop {
            let page = match self.call(s3.page(&prefix, after.as_ref(), None)).await.flatten() {
                Ok(page) => page,
                Err(error) if after.is_none() => return Err(error),
                Err(error) => {
                    let scope = after_all_of(&listed);
                    listed.unread.push(Unread { scope, reason: error.to_string() });
                    return Ok(listed);
                }
            };
            for entry in page.entries {
                let Some(name) = entry.key.strip_prefix(prefix.as_str()).filter(|name| !name.is_empty())
                else {
                    continue;
                };
                match self.path(name) {
                    Ok(_) => {
                        let object = Object::new(name, entry.size, entry.etag, entry.modified_ms);
                        listed.objects.push(Object { is_cold: entry.is_cold, ..object });
                    }
                    // An empty object that stands for a folder.
                    Err(_) if name.ends_with('/') && entry.size == 0 => {}
                    Err(_) => listed.odd.push(Odd {
                        name: name.to_owned(),
                        size: Some(entry.size),
                        modified_ms: entry.modified_ms,
                        reason: why_odd(name).to_owned(),
                    }),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(listed),
            }
        }
    }

    async fn list_folder(&self) -> Result<Option<Listed>, LibraryError> {
        let folder = self.folder();
        let listing = tokio::task::spawn_blocking(move || match folder::list(&folder) {
            Ok(listed) => Ok(listed),
            Err(source) => Err(LibraryError::Local { path: folder.display().to_string(), source }),
        });
        let limit = self.limits.call.saturating_mul(LISTING_CALLS);
        let listed = within(limit, listing).await?.map_err(store_error)?;
        let Some(mut listed) = listed.map_err(|error| LibraryError::Store(error.to_string()))? else {
            return Ok(None);
        };
        let (fine, odd) = listed.objects.into_iter().partition(|object| self.path(&object.name).is_ok());
        listed.objects = fine;
        let odd: Vec<Object> = odd;
        listed.odd.extend(odd.into_iter().map(|object| Odd {
            reason: why_odd(&object.name).to_owned(),
            name: object.name,
            size: Some(object.size),
            modified_ms: object.modified_ms,
        }));
        Ok(Some(listed))
    }

    /// Whether the store answers and lets us in.
    ///
    /// # Errors
    /// [`LibraryError::Store`].
    pub async fn check(&self) -> Result<(), LibraryError> {
        if let Some(s3) = &self.s3 {
            return self.call(s3.page(&self.key_prefix(), None, Some(1))).await.flatten().map(drop);
        }
        let root = self.root.clone().unwrap_or_default();
        let reading = tokio::task::spawn_blocking(move || match std::fs::read_dir(&root) {
            Ok(_) => Ok(()),
            Err(error) => Err(LibraryError::Store(format!("cannot read {}: {error}", root.display()))),
        });
        self.call(reading).await?.map_err(store_error)?
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn head(&self, name: &str) -> Result<Object, LibraryError> {
        let path = self.file(name).await?;
        let meta = self.call(self.objects.head(&path)).await?.map_err(|error| of(name, error))?;
        self.object(&meta).ok_or_else(|| LibraryError::BadName(name.to_owned()))
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// As [`Store::head`]; [`LibraryError::Unreadable`] for one that is not small.
    pub async fn read(&self, name: &str) -> Result<Bytes, LibraryError> {
        let path = self.file(name).await?;
        let reading = async {
            let got = self.objects.get(&path).await.map_err(|error| of(name, error))?;
            let (size, mut stream, mut bytes) = (got.meta.size, got.into_stream(), Vec::new());
            let too_large = || LibraryError::Unreadable {
                name: name.to_owned(),
                reason: format!("it has more than the {SMALL_FILE_BYTES} bytes that a description may have"),
            };
            if size > SMALL_FILE_BYTES {
                return Err(too_large());
            }
            while let Some(some) = stream.next().await {
                let some = some.map_err(|error| of(name, error))?;
                if bytes.len() + some.len() > SMALL_FILE_BYTES as usize {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&some);
            }
            Ok(bytes.into())
        };
        self.call(reading).await?
    }

    /// A few bytes of an object; fewer at its end.
    ///
    /// # Errors
    /// As [`Store::head`].
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, LibraryError> {
        let path = self.file(name).await?;
        self.call(self.objects.get_range(&path, range)).await?.map_err(|error| of(name, error))
    }

    /// Bytes of an object, as they come. The range has to lie within it.
    ///
    /// # Errors
    /// As [`Store::head`]; [`LibraryError::NotFound`] too when another object has taken its name.
    pub async fn stream(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, LibraryError>>, LibraryError> {
        let name = object.name.as_str();
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: object.match_by.clone(),
            ..GetOptions::default()
        };
        let path = self.file(name).await?;
        let got = self.call(self.objects.get_opts(&path, options)).await?.map_err(|error| of(name, error))?;
        let stall = self.limits.stall;
        let bytes = futures::stream::try_unfold(got.into_stream(), move |mut bytes| async move {
            let next = within(stall, bytes.next()).await?.transpose().map_err(store_error)?;
            Ok(next.map(|next| (next, bytes)))
        });
        Ok(bytes.boxed())
    }

    /// Stores a small object, replacing what has its name.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn write(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), LibraryError> {
        let (path, bytes) = (self.path_to_write(name)?, bytes.into());
        let limit = self.limits.transfer(bytes.len());
        within(limit, self.objects.put(&path, bytes.into())).await?.map_err(store_error)?;
        Ok(())
    }

    /// Stores a small object, and makes sure that it is there as it was given.
    ///
    /// # Errors
    /// As [`Store::write`]; [`LibraryError::Different`].
    pub async fn write_verified(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), LibraryError> {
        let bytes = bytes.into();
        self.write(name, bytes.clone()).await?;
        match self.read(name).await? == bytes {
            true => Ok(()),
            false => Err(LibraryError::Different),
        }
    }

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn delete(&self, name: &str) -> Result<(), LibraryError> {
        let path = self.path(name)?;
        match self.call(self.objects.delete(&path)).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }

    /// A URL that anybody may read an object by for a while; `None` on local disk.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn presign(&self, name: &str, valid: Duration) -> Result<Option<String>, LibraryError> {
        let Some(s3) = &self.s3 else { return Ok(None) };
        let key = self.path(name)?;
        s3.presign(key.as_ref(), valid).await.map(Some)
    }

    /// Whether a few bytes of an object cost all that stands before them.
    pub(crate) fn gives_no_ranges(&self) -> bool {
        self.s3.as_ref().is_some_and(|s3| s3.gives_no_ranges())
    }

    /// A call with little to carry.
    async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, LibraryError> {
        within(self.limits.call, call).await
    }

    /// What keys begin with.
    fn key_prefix(&self) -> String {
        let prefix = self.prefix.as_ref();
        if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
    }

    /// The folder that the prefix names, of a local store.
    fn folder(&self) -> PathBuf {
        let root = self.root.clone().unwrap_or_default();
        if self.prefix.as_ref().is_empty() { root } else { root.join(self.prefix.as_ref()) }
    }

    /// Where an object stands that may be opened: on local disk a pipe, say, would be waited for.
    async fn file(&self, name: &str) -> Result<Path, LibraryError> {
        let path = self.path(name)?;
        if let Some(root) = &self.root {
            let looking = folder::is_file(root.join(path.as_ref()));
            match self.call(looking).await? {
                Ok(true) => {}
                Ok(false) => return Err(LibraryError::NotFound(name.to_owned())),
                Err(error) if is_nothing(&error) => return Err(LibraryError::NotFound(name.to_owned())),
                Err(error) => {
                    return Err(LibraryError::Unreadable {
                        name: name.to_owned(),
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(path)
    }

    /// The path of an object that may be there.
    fn path(&self, name: &str) -> Result<Path, LibraryError> {
        let bad = || LibraryError::BadName(name.to_owned());
        if name.is_empty() || name.starts_with('/') || name.ends_with('/') || is_staging(name) {
            return Err(bad());
        }
        let key = format!("{}{name}", self.key_prefix());
        if key.len() > MAX_FOREIGN_KEY_BYTES {
            return Err(bad());
        }
        Path::parse(key).map_err(|_| bad())
    }

    /// The path of an object that is to be there, also on other stores.
    fn path_to_write(&self, name: &str) -> Result<Path, LibraryError> {
        let path = self.path(name)?;
        let is_long = |segment: &str| segment.len() > MAX_SEGMENT_BYTES;
        if path.as_ref().len() > MAX_KEY_BYTES || name.split('/').any(is_long) {
            return Err(LibraryError::BadName(name.to_owned()));
        }
        Ok(path)
    }

    fn object(&self, meta: &ObjectMeta) -> Option<Object> {
        let prefix = self.key_prefix();
        let name = meta.location.as_ref().strip_prefix(prefix.as_str())?;
        Some(Object::new(name, meta.size, meta.e_tag.clone(), meta.last_modified.timestamp_millis()))
    }
}

impl Object {
    fn new(name: &str, size: u64, tag: Option<String>, modified_ms: i64) -> Self {
        let plain = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
        // A weak tag names several contents, and nothing can be asked by it (RFC 9110 13.1.1).
        let strong =
            tag.as_deref().filter(|tag| !tag.starts_with("W/")).map(plain).filter(|tag| !tag.is_empty());
        let etag = tag.as_deref().map(plain).filter(|tag| !tag.is_empty());
        Self {
            name: name.to_owned(),
            size,
            etag: etag.unwrap_or_else(|| format!("{modified_ms:x}-{size:x}")),
            match_by: strong.map(|tag| format!("\"{tag}\"")),
            modified_ms,
            is_cold: false,
        }
    }
}

/// The store's own files in the making end in "#" and a number.
fn is_staging(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Why a name can be none here.
fn why_odd(name: &str) -> &'static str {
    if name.chars().any(char::is_control) {
        "its name has characters that no file's name should have (such as a tab or a line's end)"
    } else if name.starts_with('/') || name.ends_with('/') || name.contains("//") {
        "its name has a folder without a name in it (\"//\")"
    } else if name.split('/').any(|part| matches!(part, "." | "..")) {
        "its name would lead elsewhere (\".\" or \"..\")"
    } else {
        "its name is too long, or one of a file in the making"
    }
}

/// What was not listed any more: names come in the order of their bytes.
fn after_all_of(listed: &Listed) -> Scope {
    let names =
        listed.objects.iter().map(|object| &object.name).chain(listed.odd.iter().map(|odd| &odd.name));
    names.max().map_or(Scope::All, |last| Scope::After(last.clone()))
}

/// Nothing can be under that name.
fn is_nothing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// In words that a person can do something with: the system's own reason where there is one, otherwise the beginning of
/// what the store said.
fn store_error(error: impl std::error::Error + 'static) -> LibraryError {
    let mut innermost: &(dyn std::error::Error + 'static) = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = if innermost.is::<std::io::Error>() { innermost.to_string() } else { error.to_string() };
    let text = s3::in_words(&text).unwrap_or(&text);
    LibraryError::Store(text.chars().take(MAX_REASON_CHARS).collect())
}

fn of(name: &str, error: object_store::Error) -> LibraryError {
    match error {
        object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => {
            LibraryError::NotFound(name.to_owned())
        }
        refused @ (object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. }) => match store_error(refused) {
            LibraryError::Store(reason) => LibraryError::Unreadable { name: name.to_owned(), reason },
            other => other,
        },
        other => store_error(other),
    }
}

#[cfg(test)]
mod tests;
