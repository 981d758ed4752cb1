//! An S3 server in this process, over a folder, that can be made to fail.
//!
//! A fault is set by [`Faults::set`], or from outside by HTTP, and strikes from the next request on:
//!
//! ```text
//! curl -X PUT $S3_ENDPOINT/_fault -d '{"kind":"hang","for":2,"method":"PUT"}'   the next two PUTs get no answer
//! curl -X PUT $S3_ENDPOINT/_fault -d '{"kind":"none"}'                          all is well again
//! curl $S3_ENDPOINT/_fault                                                      {"kind":"hang","for":1,"struck":1}
//! ```
//!
//! What other S3 servers do differently is set in the same way, with [`Manner`] in the place of a kind, several at once:
//!
//! ```text
//! curl -X PUT $S3_ENDPOINT/_manners -d '["no-checksums","v1-listing"]'
//! ```
//!
//! `kind` is one of [`Kind`]; without `for` it strikes until another is set; without `method` it strikes requests of every
//! method that it can strike. `struck` counts since it was set. `_fault` needs no signature.

#![allow(dead_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub(crate) const ACCESS_KEY: &str = "access";
pub(crate) const SECRET_KEY: &str = "secret-of-s3";
pub(crate) const BUCKET: &str = "reelroom";

/// The token that temporary credentials need.
pub(crate) const SESSION_TOKEN: &str = "to/ken+of=a session";

const CONTROL: &str = "/_fault";
const MANNERS: &str = "/_manners";
/// The host whose first label is a bucket.
const VIRTUAL_HOST: &str = ".localhost";
const CLOCK_AHEAD: Duration = Duration::from_secs(3600);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Nothing.
    #[default]
    None,
    /// Every request is answered 500.
    #[serde(rename = "500")]
    Error,
    /// No request is ever answered.
    Hang,
    /// A `GET` is answered by half of the object, and then by nothing.
    Stall,
    /// The connection ends in the middle: of a request's body, of the answer's, or before the answer.
    Cut,
    /// `HEAD` says one byte less than is stored.
    LieSize,
    /// What is stored is answered with 200 and only half of it kept.
    Truncate,
    /// What is stored is answered with 200, and one byte of it changed; its checksum is told as if it were whole.
    Corrupt,
    /// What is stored is answered with 200, and then another program puts its own in the same place.
    Replace,
}

/// What [`Kind::Replace`] puts there.
pub(crate) const ANOTHERS: &[u8] = b"another program's";

/// What a kind of server does differently from the others, all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Manner {
    /// Backblaze B2: a header of a checksum is refused.
    NoChecksums,
    /// Google, MEGA, Riak: there is no DeleteObjects.
    NoDeleteObjects,
    /// Aliyun: the bucket has to be in the host's name.
    VirtualHosts,
    /// Credentials are temporary: a request without their token is refused.
    SessionToken,
    /// ETags are weak, as behind a proxy that compresses; `If-Match` of them never matches.
    WeakEtags,
    /// No ETag is told of anything.
    NoEtags,
    /// `If-Match` is refused.
    NoConditions,
    /// `If-None-Match` of what is stored is refused.
    NoHeldNames,
    /// `If-None-Match` of what is stored is ignored: it is replaced.
    ReplacesAll,
    /// `If-Match` is ignored: whatever is there is given.
    IgnoresConditions,
    /// The first byte alone is answered with all of them, as a part.
    WideRanges,
    /// The bucket is in eu-west-1; other regions are refused, as Amazon does it (400), naming it.
    OtherRegion,
    /// The same by a redirect (301) that names it in a header only.
    RegionRedirect,
    /// The server's clock is an hour ahead, and what is more than a quarter of an hour off is refused.
    SkewedClock,
    /// ListObjectsV2 is refused.
    V1Listing,
    /// ListObjectsV2 is not known, and what it asks is answered as ListObjects is.
    V1ListingInDisguise,
    /// Keys are URL-encoded, whether that is asked for or not.
    EncodedKeys,
    /// Ranges are ignored: 200, and all of it.
    NoRanges,
    /// Ranges are refused: 501.
    RangesRefused,
    /// Bodies in chunks, of either kind, are refused.
    NoChunks,
    /// There is no way to abort a multipart upload.
    NoAbort,
    /// Every third request is answered 503 SlowDown.
    SlowDown,
    /// A page of a listing has two objects at most.
    SmallPages,
    /// The second page of a listing is refused.
    HalfAListing,
    /// The keys may write objects, and nothing else.
    WriteOnly,
}

/// An object that is listed, and that every read of is refused.
const ARCHIVED: &str = "archived";

/// A fault, as it is set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// So many requests; all where `None`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    /// Requests of this method only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    /// How often it has struck.
    #[serde(default, skip_deserializing)]
    pub(crate) struck: u64,
}

impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }
}

/// The switch.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    current: Arc<Mutex<Fault>>,
    manners: Arc<Mutex<Vec<Manner>>>,
    /// Further objects of every listing, by whole key: what no folder could hold.
    extra: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicU64>,
}

impl Faults {
    pub(crate) fn set(&self, fault: impl Into<Fault>) {
        *self.current.lock().expect("nobody panics while holding the fault") = fault.into();
    }

    pub(crate) fn set_manners(&self, manners: &[Manner]) {
        *self.manners.lock().expect("nobody panics while holding the manners") = manners.to_vec();
    }

    fn has(&self, manner: Manner) -> bool {
        self.manners.lock().expect("nobody panics while holding the manners").contains(&manner)
    }

    /// Lists objects that are not there, under any keys.
    pub(crate) fn set_extra(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        *self.extra.lock().expect("nobody panics while holding the keys") = keys;
    }

    pub(crate) fn current(&self) -> Fault {
        self.current.lock().expect("nobody panics while holding the fault").clone()
    }

    /// What is to happen to a request.
    fn strike(&self, request: &Request<Incoming>, is_there: bool) -> Kind {
        let mut fault = self.current.lock().expect("nobody panics while holding the fault");
        let (method, query) = (request.method(), request.uri().query().unwrap_or_default());
        let is_part = query.contains("partNumber=");
        let makes_object = match *method {
            Method::PUT => !is_part,
            Method::POST => query.contains("uploadId="),
            _ => false,
        };
        let can_strike = match fault.kind {
            Kind::None => false,
            Kind::Error | Kind::Hang | Kind::Cut => true,
            Kind::Stall => *method == Method::GET,
            Kind::LieSize => *method == Method::HEAD && is_there,
            Kind::Truncate | Kind::Corrupt | Kind::Replace => makes_object,
        };
        let is_meant =
            fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        if !can_strike || !is_meant || fault.times == Some(0) {
            return Kind::None;
        }
        fault.struck += 1;
        fault.times = fault.times.map(|times| times - 1);
        fault.kind
    }
}

/// A server that ends with its runtime; its folder goes with it.
pub(crate) struct S3Server {
    /// `http://127.0.0.1:PORT`
    pub(crate) endpoint: String,
    pub(crate) faults: Faults,
    folder: tempfile::TempDir,
}

impl S3Server {
    /// On a free port, with an empty [`BUCKET`].
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let faults = Faults::default();
        let endpoint = serve(folder.path(), faults.clone()).await;
        Self { endpoint, faults, folder }
    }

    /// The bucket's objects by their keys, in order.
    pub(crate) fn objects(&self) -> Vec<String> {
        let bucket = self.folder.path().join(BUCKET);
        let key = |path: PathBuf| path.strip_prefix(&bucket).expect("it is below").display().to_string();
        let mut keys: Vec<_> = files_below(&bucket).into_iter().map(|(path, _)| key(path)).collect();
        keys.sort();
        keys
    }

    /// Puts an object there as another program would.
    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        let file = self.folder.path().join(BUCKET).join(key);
        std::fs::create_dir_all(file.parent().expect("it has a folder")).expect("it can be made");
        std::fs::write(file, content).expect("it can be written");
    }

    /// Takes an object away as another program would.
    pub(crate) fn remove(&self, key: &str) {
        std::fs::remove_file(self.folder.path().join(BUCKET).join(key)).expect("it is there");
    }

    /// An object's bytes.
    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(BUCKET).join(key)).expect("it is there")
    }

    /// Multipart uploads that were begun and neither completed nor aborted, and their parts.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("it is a folder");
        let names =
            entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload")).collect()
    }
}

/// Serves `root`, a folder with one folder per bucket, on a free port; gives the URL.
pub(crate) async fn serve(root: &Path, faults: Faults) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::fs::create_dir_all(root.join(BUCKET)).expect("the folder can be written");
    let files = s3s_fs::FileSystem::new(root).expect("the folder is there");
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    service.set_host(AnyHost);
    // A clock that is off is this file's doing.
    let mut config = s3s::config::S3Config::default();
    config.presigned_url_max_skew_time_secs = 2 * CLOCK_AHEAD.as_secs() as u32;
    service.set_config(Arc::new(s3s::config::StaticConfigProvider::new(Arc::new(config))));
    let server = Server {
        inner: service.build(),
        faults,
        root: root.to_owned(),
        names: Arc::default(),
        tags: Arc::default(),
    };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let server = server.clone();
            let service = service_fn(move |request| server.clone().answer(request));
            tokio::spawn(async move {
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    endpoint
}

#[derive(Clone)]
struct Server {
    inner: S3Service,
    faults: Faults,
    root: PathBuf,
    /// Held from looking whether a name is free until it is taken.
    names: Arc<tokio::sync::Mutex<()>>,
    /// Of objects that another program has put there: the inner server keeps the tag of what it stored.
    tags: Arc<Mutex<HashMap<PathBuf, HeaderValue>>>,
}

impl Server {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        match request.uri().path() {
            CONTROL => return self.control(request).await,
            MANNERS => return self.manners(request).await,
            _ => {}
        }
        let mut response = match self.refuse(&request) {
            Some(refusal) => refusal,
            None => self.clone().fail(request).await?,
        };
        if self.faults.has(Manner::SkewedClock) {
            let date = httpdate(self.now());
            response.headers_mut().insert(header::DATE, HeaderValue::try_from(date)?);
        }
        Ok(response)
    }

    /// With the fault that is set.
    async fn fail(self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let file = self.file_of(&request);
        let kind = self.faults.strike(&request, file.is_file());
        match kind {
            Kind::None => self.pass(request).await,
            Kind::Error => Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "a fault that was asked for")),
            Kind::Hang => std::future::pending().await,
            Kind::Cut if request.method() == Method::GET => half(self.pass(request).await?, After::Cut).await,
            Kind::Cut => {
                let mut body = request.into_body();
                // Something of it has arrived when the connection ends.
                let _ = tokio::time::timeout(Duration::from_millis(100), body.frame()).await;
                Err("the connection is cut".into())
            }
            Kind::Stall => half(self.pass(request).await?, After::Nothing).await,
            Kind::LieSize => {
                let mut response = self.pass(request).await?;
                let headers = response.headers_mut();
                let said = headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
                if let Some(said) = said {
                    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(said.saturating_sub(1)));
                }
                Ok(response)
            }
            Kind::Truncate | Kind::Corrupt | Kind::Replace => {
                let response = self.pass(request).await?;
                if response.status().is_success() {
                    if kind == Kind::Replace {
                        let tag =
                            HeaderValue::try_from(format!("\"{}\"", hex::encode(Md5::digest(ANOTHERS))))?;
                        let mut tags = self.tags.lock().expect("nobody panics while holding the tags");
                        tags.insert(file.clone(), tag);
                    }
                    damage(&file, kind)?;
                }
                Ok(response)
            }
        }
    }

    async fn pass(&self, mut request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        if self.faults.has(Manner::IgnoresConditions) {
            request.headers_mut().remove(header::IF_MATCH);
        }
        let is_first_byte = request.headers().get(header::RANGE).is_some_and(|range| range == "bytes=0-0");
        let has_range = request.headers().contains_key(header::RANGE);
        let file = self.file_of(&request);
        let names = match self.wants_a_free_name(&request) {
            true => Some(self.names.lock().await),
            false => None,
        };
        if names.is_some() && file.exists() {
            return Ok(error(412, "PreconditionFailed", "The object is there already.", ""));
        }
        let listing = self.listing(&request);
        let response =
            self.inner.call(request.map(s3s::Body::from)).await.map_err(|error| format!("{error:?}"))?;
        let mut response =
            response.map(|body| body.map_err(|error| format!("{error:?}").into()).boxed_unsync());
        if let Some(listing) = listing.filter(|_| response.status().is_success()) {
            return Ok(listing);
        }
        let is_read = method == Method::GET && uri.query().is_none() && response.status().is_success();
        if is_read && has_range && self.faults.has(Manner::NoRanges) {
            let (mut head, _) = response.into_parts();
            let whole = std::fs::read(&file)?;
            head.status = StatusCode::OK;
            head.headers.remove(header::CONTENT_RANGE);
            head.headers.insert(header::CONTENT_LENGTH, whole.len().into());
            let body = Full::new(Bytes::from(whole)).map_err(|never| match never {}).boxed_unsync();
            response = Response::from_parts(head, body);
        }
        if is_read && is_first_byte && self.faults.has(Manner::WideRanges) {
            let (mut head, _) = response.into_parts();
            let whole = std::fs::read(&file)?;
            let range = format!("bytes 0-{}/{}", whole.len() - 1, whole.len());
            head.headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(range)?);
            head.headers.insert(header::CONTENT_LENGTH, whole.len().into());
            let body = Full::new(Bytes::from(whole)).map_err(|never| match never {}).boxed_unsync();
            response = Response::from_parts(head, body);
        }
        {
            let mut tags = self.tags.lock().expect("nobody panics while holding the tags");
            match method {
                Method::GET | Method::HEAD => {
                    if let Some(tag) = tags.get(&file).filter(|_| response.status().is_success()) {
                        response.headers_mut().insert(header::ETAG, tag.clone());
                    }
                }
                _ => drop(tags.remove(&file)),
            }
        }
        let etag = response.headers().get(header::ETAG).and_then(|etag| Some(etag.to_str().ok()?.to_owned()));
        if let Some(etag) = etag.filter(|_| self.faults.has(Manner::WeakEtags)) {
            response.headers_mut().insert(header::ETAG, HeaderValue::try_from(format!("W/{etag}"))?);
        }
        if self.faults.has(Manner::NoEtags) {
            response.headers_mut().remove(header::ETAG);
        }
        Ok(response)
    }

    fn wants_a_free_name(&self, request: &Request<Incoming>) -> bool {
        request.headers().contains_key(header::IF_NONE_MATCH)
            && matches!(*request.method(), Method::PUT | Method::POST)
            && !self.faults.has(Manner::ReplacesAll)
    }

    /// What this kind of server does not take.
    fn refuse(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let has = |manner| self.faults.has(manner);
        let (method, headers) = (request.method(), request.headers());
        let query = request.uri().query().unwrap_or_default();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let host = text("host");
        let is_signed_in_url = query.contains("X-Amz-Signature=");
        let count = self.faults.requests.fetch_add(1, Ordering::Relaxed);
        if has(Manner::SlowDown) && count % 3 == 1 {
            return Some(error(503, "SlowDown", "Please reduce your request rate.", ""));
        }
        let names_checksum = |name: &http::HeaderName| {
            name.as_str().starts_with("x-amz-checksum") || name.as_str().contains("sdk-checksum")
        };
        if has(Manner::NoChecksums) && headers.keys().any(names_checksum) {
            return Some(error(400, "InvalidArgument", "Unsupported header received for this API call.", ""));
        }
        if has(Manner::NoDeleteObjects)
            && method == Method::POST
            && query.split('&').any(|q| q.starts_with("delete"))
        {
            return Some(error(
                501,
                "NotImplemented",
                "A header or query you provided is not implemented.",
                "",
            ));
        }
        if has(Manner::WriteOnly) && [Method::GET, Method::HEAD].contains(method) {
            return Some(error(403, "AccessDenied", "Access Denied", ""));
        }
        if has(Manner::VirtualHosts) && !host.contains(VIRTUAL_HOST) {
            let said = "Please use virtual hosted style to access.";
            return Some(error(403, "SecondLevelDomainForbidden", said, ""));
        }
        let token = match is_signed_in_url {
            true => query_value(query, "X-Amz-Security-Token"),
            false => text("x-amz-security-token").to_owned(),
        };
        if has(Manner::SessionToken) && token != SESSION_TOKEN {
            return Some(error(
                403,
                "InvalidAccessKeyId",
                "The access key does not exist in our records.",
                "",
            ));
        }
        let scope = if is_signed_in_url {
            query_value(query, "X-Amz-Credential")
        } else {
            text("authorization").to_owned()
        };
        let is_elsewhere = !scope.contains("/eu-west-1/s3/");
        if has(Manner::OtherRegion) && is_elsewhere {
            let said = "The authorization header is malformed; the region is wrong; expecting 'eu-west-1'";
            return Some(error(400, "AuthorizationHeaderMalformed", said, "<Region>eu-west-1</Region>"));
        }
        if has(Manner::RegionRedirect) && is_elsewhere {
            let mut refusal = error(301, "PermanentRedirect", "The bucket must be addressed elsewhere.", "");
            refusal.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_static("eu-west-1"));
            return Some(refusal);
        }
        let date =
            if is_signed_in_url { query_value(query, "X-Amz-Date") } else { text("x-amz-date").to_owned() };
        if has(Manner::SkewedClock) && !self.is_now(&date) {
            let said = "The difference between the request time and the current time is too large.";
            return Some(error(403, "RequestTimeTooSkewed", said, ""));
        }
        if has(Manner::NoConditions) && headers.contains_key(header::IF_MATCH) {
            return Some(error(501, "NotImplemented", "If-Match is not implemented.", ""));
        }
        if headers.contains_key(header::IF_NONE_MATCH) && matches!(*method, Method::PUT | Method::POST) {
            if has(Manner::NoHeldNames) {
                return Some(error(501, "NotImplemented", "If-None-Match is not implemented.", ""));
            }
            if self.wants_a_free_name(request) && self.file_of(request).exists() {
                return Some(error(412, "PreconditionFailed", "The object is there already.", ""));
            }
        }
        if has(Manner::WeakEtags) && headers.contains_key(header::IF_MATCH) {
            return Some(error(412, "PreconditionFailed", "A weak tag matches nothing.", ""));
        }
        if has(Manner::RangesRefused) && headers.contains_key(header::RANGE) {
            return Some(error(501, "NotImplemented", "Range is not implemented.", ""));
        }
        let is_chunked = headers.contains_key(header::TRANSFER_ENCODING)
            || text("content-encoding").contains("aws-chunked")
            || text("x-amz-content-sha256").starts_with("STREAMING");
        if has(Manner::NoChunks) && is_chunked {
            return Some(error(
                411,
                "MissingContentLength",
                "You must provide the Content-Length header.",
                "",
            ));
        }
        if has(Manner::NoAbort) && method == Method::DELETE && query.contains("uploadId=") {
            return Some(error(501, "NotImplemented", "AbortMultipartUpload is not implemented.", ""));
        }
        if has(Manner::V1Listing) && query.contains("list-type=2") {
            return Some(error(501, "NotImplemented", "ListObjectsV2 is not implemented.", ""));
        }
        let goes_on = query.contains("continuation-token=") || query.contains("marker=");
        if has(Manner::HalfAListing) && goes_on {
            return Some(error(403, "AccessDenied", "Access Denied.", ""));
        }
        let is_object = matches!(*method, Method::GET | Method::HEAD) && !query.contains("prefix=");
        if is_object && self.file_of(request).display().to_string().contains(ARCHIVED) {
            return Some(error(
                403,
                "InvalidObjectState",
                "The operation is not valid for the object's storage class",
                "",
            ));
        }
        None
    }

    /// A page of a listing, as this kind of server gives it, where the store below would give another.
    fn listing(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let query = request.uri().query().filter(|query| query.contains("prefix="))?;
        if request.method() != Method::GET {
            return None;
        }
        let extra = self.faults.extra.lock().expect("nobody panics while holding the keys").clone();
        let is_v1 = !query.contains("list-type=2") || self.faults.has(Manner::V1ListingInDisguise);
        let has_small_pages = self.faults.has(Manner::SmallPages) || self.faults.has(Manner::HalfAListing);
        let is_encoded = self.faults.has(Manner::EncodedKeys);
        if extra.is_empty() && !is_v1 && !has_small_pages && !is_encoded {
            return None;
        }
        let bucket = self.bucket_of(request);
        let mut objects: Vec<(String, u64)> = files_below(&bucket)
            .into_iter()
            .map(|(path, size)| {
                (path.strip_prefix(&bucket).expect("it is below").display().to_string(), size)
            })
            .chain(extra.into_iter().map(|key| (key, 7)))
            .filter(|(key, _)| key.starts_with(&query_value(query, "prefix")))
            .collect();
        objects.sort();
        let after = match (is_v1, query.contains("continuation-token=")) {
            (false, true) => {
                let token = query_value(query, "continuation-token").trim_start_matches("token ").to_owned();
                if is_encoded { query_value(&format!("token={token}"), "token") } else { token }
            }
            _ => query_value(query, "marker"),
        };
        objects.retain(|(key, _)| *key > after || after.is_empty());
        let asked = query_value(query, "max-keys").parse().unwrap_or(1000);
        let most = if has_small_pages { asked.min(2) } else { asked };
        let is_truncated = objects.len() > most;
        objects.truncate(most);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>"
        );
        if is_encoded {
            xml.push_str("<EncodingType>url</EncodingType>");
        }
        let encoded = |key: &str| match is_encoded {
            true => url::form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>(),
            false => {
                key.replace('&', "&amp;").replace('<', "&lt;").replace('\t', "&#9;").replace('\n', "&#xA;")
            }
        };
        if is_truncated
            && let Some((last, _)) = objects.last()
            && !is_v1
        {
            xml.push_str(&format!("<NextContinuationToken>token {}</NextContinuationToken>", encoded(last)));
        }
        for (key, size) in &objects {
            let etag = if self.faults.has(Manner::NoEtags) { "" } else { "<ETag>&quot;tag&quot;</ETag>" };
            let class = if key.contains(ARCHIVED) { "<StorageClass>GLACIER</StorageClass>" } else { "" };
            xml.push_str(&format!(
                "<Contents><Key>{}</Key><Size>{size}</Size>{etag}{class}\
                 <LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>",
                encoded(key)
            ));
        }
        xml.push_str("</ListBucketResult>");
        Some(plain(StatusCode::OK, &xml))
    }

    async fn manners(&self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        if request.method() == Method::PUT {
            let body = request.into_body().collect().await?.to_bytes();
            match serde_json::from_slice::<Vec<Manner>>(&body) {
                Ok(manners) => self.faults.set_manners(&manners),
                Err(error) => return Ok(plain(StatusCode::BAD_REQUEST, &error.to_string())),
            }
        }
        Ok(plain(StatusCode::OK, "{}"))
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + CLOCK_AHEAD
    }

    /// Whether a request's date is within a quarter of an hour.
    fn is_now(&self, date: &str) -> bool {
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let Ok(date) = time::PrimitiveDateTime::parse(date, format) else { return false };
        (date.assume_utc() - time::OffsetDateTime::from(self.now())).abs() < Duration::from_secs(900)
    }

    fn bucket_of(&self, request: &Request<Incoming>) -> PathBuf {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        match virtual_bucket(request) {
            Some(bucket) => self.root.join(bucket),
            None => self.root.join(path.trim_start_matches('/').split('/').next().unwrap_or_default()),
        }
    }

    fn file_of(&self, request: &Request<Incoming>) -> PathBuf {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        let path = path.trim_start_matches('/');
        match virtual_bucket(request) {
            Some(bucket) => self.root.join(bucket).join(path),
            None => self.root.join(path),
        }
    }

    async fn control(&self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        if request.method() == Method::PUT {
            let body = request.into_body().collect().await?.to_bytes();
            match serde_json::from_slice::<Fault>(&body) {
                Ok(fault) => self.faults.set(fault),
                Err(error) => return Ok(plain(StatusCode::BAD_REQUEST, &error.to_string())),
            }
        }
        Ok(plain(StatusCode::OK, &serde_json::to_string(&self.faults.current())?))
    }
}

/// The bucket may stand in the host's name.
struct AnyHost;

impl s3s::host::S3Host for AnyHost {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> s3s::S3Result<s3s::host::VirtualHost<'a>> {
        let name = host.split(':').next().unwrap_or(host);
        Ok(match name.strip_suffix(VIRTUAL_HOST) {
            Some(bucket) => s3s::host::VirtualHost::new(host).with_bucket(bucket),
            None => s3s::host::VirtualHost::new(host),
        })
    }
}

fn virtual_bucket(request: &Request<Incoming>) -> Option<String> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    Some(host.split(':').next()?.strip_suffix(VIRTUAL_HOST)?.to_owned())
}

fn query_value(query: &str, name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned())).unwrap_or_default()
}

fn files_below(folder: &Path) -> Vec<(PathBuf, u64)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => files.push((entry.path(), metadata.len())),
                Err(_) => {}
            }
        }
    }
    files
}

fn httpdate(at: SystemTime) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::from(at).format(format).expect("a date has a day and a time")
}

/// As S3 refuses.
fn error(status: u16, code: &str, message: &str, more: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    );
    plain(StatusCode::from_u16(status).expect("it is one"), &xml)
}

enum After {
    Cut,
    Nothing,
}

async fn half(response: Response<Body>, after: After) -> Result<Response<Body>, BoxError> {
    let (head, body) = response.into_parts();
    let whole = body.collect().await?.to_bytes();
    let first = whole.slice(..whole.len() / 2);
    let rest = stream::once(async move {
        match after {
            // The first half is on its way by then.
            After::Cut => tokio::time::sleep(Duration::from_millis(50)).await,
            After::Nothing => std::future::pending().await,
        }
        Err("the connection is cut".into())
    });
    let frames = futures::StreamExt::chain(stream::iter([Ok(Frame::data(first))]), rest);
    Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()))
}

fn damage(file: &Path, kind: Kind) -> std::io::Result<()> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 2;
    match kind {
        Kind::Truncate => bytes.truncate(middle),
        Kind::Replace => bytes = ANOTHERS.to_vec(),
        _ => bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
    }
    std::fs::write(file, bytes)
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body =
        Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
