//! A bucket of any S3 server: `object_store` for what is done with objects, over a wire that bridges what servers differ in,
//! and a listing of our own that takes whatever keys there are.
//!
//! ```text
//!  Store ─► object_store ─► Wire: signs; corrects region and clock; mends answers ─► HTTP
//!    └────► list: V2 or V1, key by key ─┘
//! ```

mod endpoint;
mod list;
mod sign;
mod wire;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, RetryConfig};

use super::{Limits, store_error};
use crate::error::LibraryError;
use endpoint::Bucket;
use wire::Wire;
pub(super) use words::in_words;

/// A person waits for it, no longer than this while the store fails.
const RETRY_WITHIN: Duration = Duration::from_secs(5);
pub(super) const RETRIES: usize = 2;

/// An S3 bucket, by the tutorial's settings.
#[derive(Clone, Default)]
pub struct S3Config {
    /// `S3_ENDPOINT`; Amazon's for the region where `None`.
    pub endpoint: Option<String>,
    /// `S3_ACCESS_KEY`.
    pub access_key: Option<String>,
    /// `S3_SECRET_KEY`.
    pub secret_key: Option<String>,
    /// `AWS_SESSION_TOKEN`, of temporary keys.
    pub session_token: Option<String>,
    /// `AWS_REGION`.
    pub region: String,
    /// `S3_BUCKET`.
    pub bucket: String,
    /// `S3_FORCE_PATH_STYLE`: the bucket in the path (true) or in the host's name (false); as the endpoint has it where `None`.
    pub force_path_style: Option<bool>,
    /// The `AWS_*` variables by which a platform gives credentials to programs, used where there are no keys.
    pub platform: Vec<(String, String)>,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = Bucket::new(self).map(|bucket| bucket.url(&self.region)).unwrap_or_default();
        f.debug_struct("S3Config").field("bucket", &base).finish_non_exhaustive()
    }
}

/// A bucket, opened.
pub(super) struct S3 {
    pub(super) objects: Arc<AmazonS3>,
    wire: Wire,
}

/// Gives the wire to `object_store`.
#[derive(Debug)]
struct Connector(Wire);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl S3 {
    pub(super) fn open(config: &S3Config, limits: Limits) -> Result<Self, LibraryError> {
        let bucket = Bucket::new(config)?;
        // The server wants it in signatures, whatever it is.
        let region = if config.region.is_empty() { "us-east-1" } else { &config.region };
        if !words::is_region(region) {
            return Err(LibraryError::Store(format!("{region:?} is no name of a region (AWS_REGION)")));
        }
        let retry =
            RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
        let credentials = credentials(config, &bucket, region, retry.clone(), limits)?;
        let url = bucket.url(region);
        let wire = Wire::new(bucket, region, credentials, limits)?;
        let objects = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(region)
            // With the bucket in it, wherever it stands.
            .with_endpoint(url)
            .with_virtual_hosted_style_request(true)
            // The wire signs.
            .with_skip_signature(true)
            .with_http_connector(Connector(wire.clone()))
            .with_retry(retry)
            // What was stored is read back, which tells more than checksums, and many servers refuse their headers. Nor do
            // many know how to delete several objects at once.
            .with_disable_bulk_delete(true)
            .with_disable_tagging(true)
            .build()
            .map_err(store_error)?;
        Ok(Self { objects: Arc::new(objects), wire })
    }

    /// The URL of the bucket, as it is reached now.
    pub(super) fn url(&self) -> String {
        self.wire.url()
    }

    /// Whether parts of objects have to be cut out of whole ones here.
    pub(super) fn gives_no_ranges(&self) -> bool {
        self.wire.gives_no_ranges()
    }

    /// A URL by which anybody may read an object for a while.
    pub(super) async fn presign(&self, key: &str, valid: Duration) -> Result<String, LibraryError> {
        self.wire.presign(key, valid).await.map_err(|error| store_error(*error))
    }
}

/// Keys that are set, or that the platform gives: web identity, a container's role, or an instance's.
fn credentials(
    config: &S3Config,
    bucket: &Bucket,
    region: &str,
    retry: RetryConfig,
    limits: Limits,
) -> Result<AwsCredentialProvider, LibraryError> {
    let client = ClientOptions::new().with_connect_timeout(limits.connect).with_timeout(limits.call);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(region)
        .with_client_options(client)
        .with_retry(retry);
    let keys = (config.access_key.as_ref(), config.secret_key.as_ref());
    let keys = keys.0.zip(keys.1).or_else(|| bucket.keys());
    if let Some((key, secret)) = keys {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        if let Some(token) = &config.session_token {
            builder = builder.with_token(token);
        }
    } else {
        for (name, value) in &config.platform {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
    }
    Ok(Arc::clone(builder.build().map_err(store_error)?.credentials()))
}
