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
//! - A recording takes no other file's name: [`Store::put_file`] and [`Store::create`] never replace anything.

mod folder;
mod limits;
mod listing;
mod refusal;
mod s3;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutMode};
use reelroom_limits::library::SMALL_FILE_BYTES;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::error::LibraryError;
use folder::{Existing, Folder};
pub use folder::{FolderConfig, Readers};
pub use limits::Limits;
use limits::within;
pub use listing::ListingTrouble;
pub(crate) use listing::{Listed, Odd, Scope, Unread};
use refusal::{is_nothing, of, refused, store_error, unreadable, unwritten, why_odd};
use s3::S3;
pub use s3::S3Config;
pub(crate) use upload::{Journal, Progress, Proof, Source};

/// S3 takes keys of 1024 bytes, file systems names of 255; while a file is written its name is a little longer.
const MAX_KEY_BYTES: usize = 1000;
const MAX_SEGMENT_BYTES: usize = 240;
/// Of what others wrote under longer names; a file system's paths have 4096.
const MAX_FOREIGN_KEY_BYTES: usize = 4096;
/// A folder is listed in one go, and may take as long as so many other calls.
const LISTING_CALLS: u32 = 12;
const READ_BYTES: usize = 256 * 1024;

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// A folder.
    Local(FolderConfig),
    /// A bucket.
    S3(S3Config),
}

impl StoreConfig {
    /// A folder of which only this user reads anything.
    pub fn folder(root: impl Into<PathBuf>) -> Self {
        Self::Local(FolderConfig { root: root.into(), ..FolderConfig::default() })
    }
}

/// The store of recordings.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    prefix: Path,
    limits: Limits,
}

#[derive(Clone)]
enum Kind {
    Folder(Arc<Folder>),
    Bucket(Arc<S3>),
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
        let kind = match config {
            StoreConfig::Local(config) => {
                let opened = Folder::open(config);
                let local = |source| LibraryError::Local { path: config.root.display().to_string(), source };
                Kind::Folder(Arc::new(opened.map_err(local)?))
            }
            StoreConfig::S3(config) => Kind::Bucket(Arc::new(S3::open(config, limits)?)),
        };
        Ok(Self { kind, prefix, limits })
    }

    /// The folder, or the bucket's URL.
    pub fn base(&self) -> String {
        match &self.kind {
            Kind::Bucket(s3) => s3.url(),
            Kind::Folder(folder) => folder.base().display().to_string(),
        }
    }

    /// Scheme and host of presigned URLs; `None` on local disk.
    pub fn origin(&self) -> Option<String> {
        let Kind::Bucket(s3) = &self.kind else { return None };
        Some(url::Url::parse(&s3.url()).ok()?.origin().ascii_serialization())
    }

    /// Where an object stands, as LiveKit's `FileInfo.location` says it.
    ///
    /// # Errors
    /// [`LibraryError::BadName`].
    pub fn location(&self, name: &str) -> Result<String, LibraryError> {
        let path = self.path_to_write(name)?;
        Ok(match &self.kind {
            Kind::Bucket(s3) => format!("{}/{path}", s3.url()),
            Kind::Folder(folder) => folder.path(path.as_ref()).display().to_string(),
        })
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
        match &self.kind {
            Kind::Bucket(s3) => self.list_bucket(s3).await.map(Some),
            Kind::Folder(folder) => self.list_folder(folder).await,
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

    async fn list_folder(&self, folder: &Arc<Folder>) -> Result<Option<Listed>, LibraryError> {
        let (folder, prefix) = (Arc::clone(folder), self.prefix.clone());
        let listing = tokio::task::spawn_blocking(move || {
            folder.list(prefix.as_ref()).map_err(|source| LibraryError::Local {
                path: folder.path(prefix.as_ref()).display().to_string(),
                source,
            })
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
        match &self.kind {
            Kind::Bucket(s3) => {
                self.call(s3.page(&self.key_prefix(), None, Some(1))).await.flatten().map(drop)
            }
            Kind::Folder(folder) => {
                let checked = self.on_disk(folder, self.limits.call, Folder::check).await?;
                checked.map_err(|error| LibraryError::Store(error.to_string()))
            }
        }
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn head(&self, name: &str) -> Result<Object, LibraryError> {
        let path = self.path(name)?;
        match &self.kind {
            Kind::Folder(folder) => {
                let looking = move |folder: &Folder| folder.look(path.as_ref());
                let seen = self.on_disk(folder, self.limits.call, looking).await?;
                let seen = seen.map_err(|error| unreadable(name, &error))?;
                Ok(Object::new(name, seen.size, Some(seen.etag), seen.modified_ms))
            }
            Kind::Bucket(s3) => {
                let meta = self.call(s3.objects.head(&path)).await?.map_err(|error| of(name, error))?;
                self.object(&meta).ok_or_else(|| LibraryError::BadName(name.to_owned()))
            }
        }
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// As [`Store::head`]; [`LibraryError::Unreadable`] for one that is not small.
    pub async fn read(&self, name: &str) -> Result<Bytes, LibraryError> {
        const MOST: usize = SMALL_FILE_BYTES as usize;
        let path = self.path(name)?;
        let too_large = || LibraryError::Unreadable {
            name: name.to_owned(),
            reason: format!("it has more than the {SMALL_FILE_BYTES} bytes that a description may have"),
        };
        let s3 = match &self.kind {
            Kind::Bucket(s3) => s3,
            Kind::Folder(folder) => {
                let reading = move |folder: &Folder| folder.read_at(path.as_ref(), 0, MOST + 1);
                let bytes = self.on_disk(folder, self.limits.call, reading).await?;
                let bytes = bytes.map_err(|error| unreadable(name, &error))?;
                return if bytes.len() > MOST { Err(too_large()) } else { Ok(bytes.into()) };
            }
        };
        let reading = async {
            let got = s3.objects.get(&path).await.map_err(|error| of(name, error))?;
            let (size, mut stream, mut bytes) = (got.meta.size, got.into_stream(), Vec::new());
            if size > SMALL_FILE_BYTES {
                return Err(too_large());
            }
            while let Some(some) = stream.next().await {
                let some = some.map_err(|error| of(name, error))?;
                if bytes.len() + some.len() > MOST {
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
        let path = self.path(name)?;
        match &self.kind {
            Kind::Bucket(s3) => {
                self.call(s3.objects.get_range(&path, range)).await?.map_err(|error| of(name, error))
            }
            Kind::Folder(folder) => {
                let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
                let reading = move |folder: &Folder| folder.read_at(path.as_ref(), range.start, most);
                let bytes = self.on_disk(folder, self.limits.call, reading).await?;
                Ok(bytes.map_err(|error| unreadable(name, &error))?.into())
            }
        }
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
        let path = self.path(name)?;
        let bytes = match &self.kind {
            Kind::Folder(folder) => {
                let start = range.start;
                let opening = move |folder: &Folder| {
                    let (mut file, seen) = folder.read(path.as_ref())?;
                    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start))?;
                    Ok((file, seen))
                };
                let opened = self.on_disk(folder, self.limits.call, opening).await?;
                let (file, seen) = opened.map_err(|error: std::io::Error| unreadable(name, &error))?;
                if seen.etag != object.etag {
                    return Err(LibraryError::NotFound(name.to_owned()));
                }
                let file = tokio::fs::File::from_std(file).take(range.end - range.start);
                let bytes = ReaderStream::with_capacity(file, READ_BYTES);
                bytes.map(|bytes| bytes.map_err(|error| LibraryError::Store(error.to_string()))).boxed()
            }
            Kind::Bucket(s3) => {
                let options = GetOptions {
                    range: Some(GetRange::Bounded(range)),
                    if_match: object.match_by.clone(),
                    ..GetOptions::default()
                };
                let got = self.call(s3.objects.get_opts(&path, options)).await?;
                let got = got.map_err(|error| of(name, error))?;
                // Some servers take no notice of what was asked for.
                let is_another = got.meta.e_tag.as_ref().is_some_and(|tag| plain_tag(tag) != object.etag);
                if object.match_by.is_some() && is_another {
                    return Err(LibraryError::NotFound(name.to_owned()));
                }
                got.into_stream().map(|bytes| bytes.map_err(store_error)).boxed()
            }
        };
        let stall = self.limits.stall;
        let bytes = futures::stream::try_unfold(bytes, move |mut bytes| async move {
            let next = within(stall, bytes.next()).await?.transpose()?;
            Ok(next.map(|next| (next, bytes)))
        });
        Ok(bytes.boxed())
    }

    /// Stores a small object, replacing what has its name.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn write(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), LibraryError> {
        self.write_small(name, bytes.into(), Existing::Goes).await.map(drop)
    }

    /// Stores a small object where nothing has its name.
    ///
    /// # Errors
    /// As [`Store::write`]; [`LibraryError::Taken`].
    pub async fn create(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), LibraryError> {
        self.write_small(name, bytes.into(), Existing::Stays).await.map(drop)
    }

    /// The tag that the store answers, if any.
    async fn write_small(
        &self,
        name: &str,
        bytes: Bytes,
        existing: Existing,
    ) -> Result<Option<String>, LibraryError> {
        let path = self.path_to_write(name)?;
        let limit = self.limits.transfer(bytes.len());
        match &self.kind {
            Kind::Folder(folder) => {
                let writing = move |folder: &Folder| folder.write(path.as_ref(), &bytes, existing);
                let seen = self.on_disk(folder, limit, writing).await?;
                seen.map(|seen| Some(seen.etag)).map_err(|error| unwritten(name, &error))
            }
            Kind::Bucket(s3) => {
                let mode = match existing {
                    Existing::Goes => PutMode::Overwrite,
                    Existing::Stays => PutMode::Create,
                };
                let putting = s3.objects.put_opts(&path, bytes.into(), mode.into());
                let put = within(limit, putting).await?.map_err(|error| refused(name, error))?;
                Ok(put.e_tag.as_deref().map(plain_tag))
            }
        }
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
        match &self.kind {
            Kind::Folder(folder) => {
                let deleting = move |folder: &Folder| folder.delete(path.as_ref());
                match self.on_disk(folder, self.limits.call, deleting).await? {
                    Err(error) if !is_nothing(&error) => Err(unwritten(name, &error)),
                    _ => Ok(()),
                }
            }
            Kind::Bucket(s3) => match self.call(s3.objects.delete(&path)).await? {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(store_error(error)),
            },
        }
    }

    /// A URL that anybody may read an object by for a while; `None` on local disk.
    ///
    /// # Errors
    /// [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn presign(&self, name: &str, valid: Duration) -> Result<Option<String>, LibraryError> {
        let Kind::Bucket(s3) = &self.kind else { return Ok(None) };
        let key = self.path(name)?;
        s3.presign(key.as_ref(), valid).await.map(Some)
    }

    /// Whether a few bytes of an object cost all that stands before them.
    pub(crate) fn gives_no_ranges(&self) -> bool {
        matches!(&self.kind, Kind::Bucket(s3) if s3.gives_no_ranges())
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

    /// Something that waits for the disk, which may hang.
    async fn on_disk<T: Send + 'static>(
        &self,
        folder: &Arc<Folder>,
        limit: Duration,
        work: impl FnOnce(&Folder) -> std::io::Result<T> + Send + 'static,
    ) -> Result<std::io::Result<T>, LibraryError> {
        let folder = Arc::clone(folder);
        within(limit, tokio::task::spawn_blocking(move || work(&folder))).await?.map_err(store_error)
    }

    /// Why no request can name an object that is listed.
    pub(crate) fn why_unnameable(&self, name: &str) -> Option<String> {
        self.path(name).is_err().then(|| why_odd(name).to_owned())
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
        // A weak tag names several contents, and nothing can be asked by it (RFC 9110 13.1.1).
        let strong =
            tag.as_deref().filter(|tag| !tag.starts_with("W/")).map(plain_tag).filter(|tag| !tag.is_empty());
        let etag = tag.as_deref().map(plain_tag).filter(|tag| !tag.is_empty());
        Self {
            name: name.to_owned(),
            size,
            etag: etag.unwrap_or_else(|| untagged(size, modified_ms)),
            match_by: strong.map(|tag| format!("\"{tag}\"")),
            modified_ms,
            is_cold: false,
        }
    }

    /// Whether it may be what the store gave this tag when it was stored: one without a tag may be anything.
    fn has_tag(&self, tag: Option<&str>) -> bool {
        let is_untagged = self.etag == untagged(self.size, self.modified_ms);
        is_untagged || tag.is_none_or(|tag| tag == self.etag)
    }
}

/// What an object is known by where the store gives no tags.
fn untagged(size: u64, modified_ms: i64) -> String {
    format!("{modified_ms:x}-{size:x}")
}

/// Without its quotes.
fn plain_tag(tag: &str) -> String {
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// The store's own files in the making end in "#" and a number.
fn is_staging(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What was not listed any more: names come in the order of their bytes.
fn after_all_of(listed: &Listed) -> Scope {
    let names =
        listed.objects.iter().map(|object| &object.name).chain(listed.odd.iter().map(|odd| &odd.name));
    names.max().map_or(Scope::All, |last| Scope::After(last.clone()))
}

#[cfg(test)]
mod tests;
