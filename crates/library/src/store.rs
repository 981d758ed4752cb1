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

mod limits;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};

use crate::error::LibraryError;
pub use limits::Limits;
use limits::within;
pub(crate) use upload::{Journal, Progress, Proof, Source};

/// A person waits for it, no longer than this while the store fails.
const RETRY_WITHIN: Duration = Duration::from_secs(5);
const RETRIES: usize = 2;
/// S3 takes keys of 1024 bytes, file systems names of 255; while a file is written its name is a little longer.
const MAX_KEY_BYTES: usize = 1000;
const MAX_SEGMENT_BYTES: usize = 240;
const MAX_REASON_CHARS: usize = 400;

/// Which store.
#[derive(Clone)]
pub enum StoreConfig {
    /// A folder.
    Local {
        /// Made where it is missing.
        root: PathBuf,
    },
    /// A bucket.
    S3(S3Config),
}

/// An S3 bucket, by the tutorial's settings.
#[derive(Clone, Default)]
pub struct S3Config {
    /// `S3_ENDPOINT`; Amazon's for the region where `None`.
    pub endpoint: Option<String>,
    /// `S3_ACCESS_KEY`.
    pub access_key: Option<String>,
    /// `S3_SECRET_KEY`.
    pub secret_key: Option<String>,
    /// `AWS_REGION`.
    pub region: String,
    /// `S3_BUCKET`.
    pub bucket: String,
}

/// The store of recordings.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    s3: Option<Arc<AmazonS3>>,
    /// The folder, of a local store.
    root: Option<PathBuf>,
    prefix: Path,
    /// What locations begin with: the folder, or the bucket's URL.
    base: String,
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
    /// Whether the store itself said so.
    pub(crate) has_etag: bool,
    /// Unix milliseconds.
    pub modified_ms: i64,
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
                let base = root.display().to_string();
                Ok(Self { objects: Arc::new(objects), s3: None, root: Some(root), prefix, base, limits })
            }
            StoreConfig::S3(config) => {
                let s3 = Arc::new(s3(config, limits)?);
                let base = format!("{}/{}", endpoint_url(config), config.bucket);
                let objects = Arc::clone(&s3) as Arc<dyn ObjectStore>;
                Ok(Self { objects, s3: Some(s3), root: None, prefix, base, limits })
            }
        }
    }

    /// The folder, or the bucket's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Scheme and host of presigned URLs; `None` on local disk.
    pub fn origin(&self) -> Option<String> {
        self.s3.as_ref()?;
        Some(url::Url::parse(&self.base).ok()?.origin().ascii_serialization())
    }

    /// Where an object stands, as LiveKit's `FileInfo.location` says it.
    ///
    /// # Errors
    /// [`LibraryError::BadName`].
    pub fn location(&self, name: &str) -> Result<String, LibraryError> {
        Ok(format!("{}/{}", self.base, self.path(name)?))
    }

    /// The same store, from another prefix on.
    ///
    /// # Errors
    /// [`LibraryError::Store`] for a prefix that can be none.
    pub fn at(&self, prefix: &str) -> Result<Self, LibraryError> {
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(store_error)?;
        Ok(Self { prefix, ..self.clone() })
    }

    /// All objects below the prefix, folders below it included ("folder/name"). What others put there under a name that
    /// can be none here is left out.
    ///
    /// # Errors
    /// [`LibraryError::Store`].
    pub async fn list(&self) -> Result<Vec<Object>, LibraryError> {
        let mut listed = self.objects.list(Some(&self.prefix));
        let mut all = Vec::new();
        while let Some(meta) = self.call(listed.next()).await? {
            match meta {
                Ok(meta) => all.extend(self.object(&meta)),
                Err(object_store::Error::InvalidPath { source }) => {
                    tracing::warn!(error = %source, "an object is left out of the library: its name can be none here");
                }
                Err(error) => return Err(store_error(error)),
            }
        }
        Ok(all)
    }

    /// Whether the store answers and lets us in.
    ///
    /// # Errors
    /// [`LibraryError::Store`].
    pub async fn check(&self) -> Result<(), LibraryError> {
        match self.call(self.objects.list(Some(&self.prefix)).next()).await? {
            None | Some(Ok(_) | Err(object_store::Error::InvalidPath { .. })) => Ok(()),
            Some(Err(error)) => Err(store_error(error)),
        }
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::BadName`], [`LibraryError::Store`].
    pub async fn head(&self, name: &str) -> Result<Object, LibraryError> {
        let path = self.path(name)?;
        let meta = self.call(self.objects.head(&path)).await?.map_err(|error| of(name, error))?;
        self.object(&meta).ok_or_else(|| LibraryError::BadName(name.to_owned()))
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// As [`Store::head`].
    pub async fn read(&self, name: &str) -> Result<Bytes, LibraryError> {
        let path = self.path(name)?;
        let reading = async { self.objects.get(&path).await?.bytes().await };
        self.call(reading).await?.map_err(|error| of(name, error))
    }

    /// A few bytes of an object; fewer at its end.
    ///
    /// # Errors
    /// As [`Store::head`].
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, LibraryError> {
        let path = self.path(name)?;
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
            if_match: object.has_etag.then(|| format!("\"{}\"", object.etag)),
            ..GetOptions::default()
        };
        let path = self.path(name)?;
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
        let (path, bytes) = (self.path(name)?, bytes.into());
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
        let url = s3.signed_url(http_get(), &self.path(name)?, valid).await.map_err(store_error)?;
        Ok(Some(url.to_string()))
    }

    /// A call with little to carry.
    async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, LibraryError> {
        within(self.limits.call, call).await
    }

    fn path(&self, name: &str) -> Result<Path, LibraryError> {
        let bad = || LibraryError::BadName(name.to_owned());
        let is_long = |segment: &str| segment.len() > MAX_SEGMENT_BYTES;
        // The store's own files in the making end in "#" and a number.
        let is_staging = name
            .rsplit_once('#')
            .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()));
        if name.is_empty()
            || name.starts_with('/')
            || name.ends_with('/')
            || is_staging
            || name.split('/').any(is_long)
        {
            return Err(bad());
        }
        let prefix = self.prefix.as_ref();
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if key.len() > MAX_KEY_BYTES {
            return Err(bad());
        }
        Path::parse(key).map_err(|_| bad())
    }

    fn object(&self, meta: &ObjectMeta) -> Option<Object> {
        let (key, prefix) = (meta.location.as_ref(), self.prefix.as_ref());
        let name = if prefix.is_empty() { key } else { key.strip_prefix(prefix)?.strip_prefix('/')? };
        let modified_ms = meta.last_modified.timestamp_millis();
        let has_etag = meta.e_tag.is_some();
        let etag = meta.e_tag.clone().unwrap_or_else(|| format!("{modified_ms:x}-{:x}", meta.size));
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        Some(Object { name: name.to_owned(), size: meta.size, etag, has_etag, modified_ms })
    }
}

fn s3(config: &S3Config, limits: Limits) -> Result<AmazonS3, LibraryError> {
    // Where the server knows the header it refuses parts that arrive damaged.
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
    // How long a request may take depends on what it carries: see `Limits`.
    let client = ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(limits.connect)
        .with_timeout_disabled();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_client_options(client)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(retry);
    if config.endpoint.is_some() {
        builder = builder.with_endpoint(endpoint_url(config)).with_virtual_hosted_style_request(false);
    }
    if let (Some(key), Some(secret)) = (&config.access_key, &config.secret_key) {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret);
    }
    builder.build().map_err(store_error)
}

/// The tutorials write endpoints with and without a scheme; without one it is https.
fn endpoint_url(config: &S3Config) -> String {
    match &config.endpoint {
        Some(endpoint) if endpoint.contains("://") => endpoint.trim_end_matches('/').to_owned(),
        Some(endpoint) => format!("https://{}", endpoint.trim_end_matches('/')),
        None => format!("https://s3.{}.amazonaws.com", config.region),
    }
}

fn http_get() -> http::Method {
    http::Method::GET
}

/// In words that a person can do something with: the system's own reason where there is one, otherwise the beginning of
/// what the store said.
fn store_error(error: impl std::error::Error + 'static) -> LibraryError {
    let mut innermost: &(dyn std::error::Error + 'static) = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = if innermost.is::<std::io::Error>() { innermost.to_string() } else { error.to_string() };
    LibraryError::Store(text.chars().take(MAX_REASON_CHARS).collect())
}

fn of(name: &str, error: object_store::Error) -> LibraryError {
    match error {
        object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => {
            LibraryError::NotFound(name.to_owned())
        }
        other => store_error(other),
    }
}

#[cfg(test)]
mod tests;
