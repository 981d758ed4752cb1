//! The HTTP of a bucket, below `object_store`: what S3 servers differ in is bridged here, and a refusal is put into words.
//!
//! ```text
//!  request ─► sign ─► HTTP ─► refused? ─ yes ─► another region, another time, without a range or condition: once more
//!     ▲                          │ no                                             └─ no ─► the refusal, in words
//!     └── credentials, region, clock            mended: a part cut out of a whole answer, an ETag where there is none
//! ```
//!
//! # Invariants
//!
//! - A request is sent anew at most [`CORRECTIONS`] times, each time because the answer said what was wrong with it.
//! - No secret is in an error: URLs carry none, and headers are not repeated.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt as _;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use md5::{Digest as _, Md5};
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::super::{Limits, store_error};
use super::endpoint::Bucket;
use super::sign::{Signer, strict_path};
use super::words::{self, Context, Refusal};
use crate::error::LibraryError;

const CORRECTIONS: u32 = 3;
/// S3 takes requests that are a quarter of an hour off; less than this may be the network's doing.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// Of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Shared by everything that asks the bucket.
#[derive(Clone)]
pub(super) struct Wire(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    bucket: Bucket,
    credentials: AwsCredentialProvider,
    learned: RwLock<Learned>,
}

/// What the server's answers have told.
#[derive(Clone)]
struct Learned {
    region: String,
    /// What has to be added to this machine's time, in seconds.
    clock_s: i64,
    gives_no_ranges: bool,
    /// It refuses `If-Match`.
    takes_no_conditions: bool,
    /// It refuses `If-None-Match` of what is stored: that a name is free is looked at before, and not held.
    holds_no_names: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.url()).finish()
    }
}

impl Wire {
    pub(super) fn new(
        bucket: Bucket,
        region: &str,
        credentials: AwsCredentialProvider,
        limits: Limits,
    ) -> Result<Self, LibraryError> {
        // How long a request may take depends on what it carries: see `Limits`. A redirect is to be signed anew.
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("reelroom/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        if let Some(name) = bucket.is_on_localhost() {
            client = client.resolve(&name, ([127, 0, 0, 1], 0).into());
        }
        let http = client.build().map_err(store_error)?;
        let learned = Learned {
            region: region.to_owned(),
            clock_s: 0,
            gives_no_ranges: false,
            takes_no_conditions: false,
            holds_no_names: false,
        };
        Ok(Self(Arc::new(Inner { http, bucket, credentials, learned: RwLock::new(learned) })))
    }

    pub(super) fn url(&self) -> String {
        self.0.bucket.url(&self.learned().region)
    }

    pub(super) fn gives_no_ranges(&self) -> bool {
        self.learned().gives_no_ranges
    }

    pub(super) async fn presign(&self, key: &str, valid: Duration) -> Result<String, Box<HttpError>> {
        let (credential, learned) = (self.credential().await.map_err(Box::new)?, self.learned());
        let url = format!("{}/{}", self.url(), strict_path(key));
        let uri: Uri = url.parse().expect("a bucket's URL and an encoded key make a URL");
        Ok(format!("{url}?{}", signer(&credential, &learned).presign(&Method::GET, &uri, valid.as_secs())))
    }

    fn learned(&self) -> Learned {
        self.0.learned.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, what: impl FnOnce(&mut Learned)) {
        what(&mut self.0.learned.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn credential(&self) -> Result<Arc<AwsCredential>, HttpError> {
        self.0.credentials.get_credential().await.map_err(|error| {
            let text = words::no_credentials(&error.to_string());
            HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(text))
        })
    }

    async fn send(&self, parts: &Parts, body: &Bytes) -> Result<HttpResponse, HttpError> {
        let (credential, learned) = (self.credential().await?, self.learned());
        let mut uri = parts.uri.clone().into_parts();
        let authority = self.0.bucket.authority(&learned.region);
        uri.authority = Some(authority.parse().expect("a bucket's host is one"));
        let uri = Uri::from_parts(uri).expect("another host makes no other URL");
        let mut headers = parts.headers.clone();
        if learned.takes_no_conditions {
            headers.remove(IF_MATCH);
        }
        if learned.holds_no_names {
            headers.remove(IF_NONE_MATCH);
        }
        signer(&credential, &learned).sign(&parts.method, &uri, &mut headers, body);
        let mut request = Request::new(body.clone().into());
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (parts.method.clone(), uri, headers);
        self.0.http.call(request).await
    }

    /// Whether another try may work: what was wrong is known now.
    fn correct(&self, parts: &mut Parts, status: StatusCode, headers: &HeaderMap, refusal: &Refusal) -> bool {
        let learned = self.learned();
        let said = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let region =
            said.filter(|region| words::is_region(region)).map(str::to_owned).or(refusal.region.clone());
        let is_elsewhere = status.is_redirection() || matches!(status.as_u16(), 400 | 403);
        if let Some(region) = region.filter(|region| is_elsewhere && *region != learned.region) {
            tracing::info!(
                bucket = self.0.bucket.name,
                region,
                "the bucket is in another region than AWS_REGION"
            );
            self.learn(|learned| learned.region = region);
            return true;
        }
        let is_about_time =
            refusal.code == "RequestTimeTooSkewed" || (refusal.code.is_empty() && status == 403);
        if is_about_time && let Some(clock_s) = clock(headers) {
            let change = Duration::from_secs(clock_s.abs_diff(learned.clock_s));
            if change > CLOCK_TOLERANCE {
                tracing::warn!(
                    off_by_s = -clock_s,
                    "this machine's clock and the S3 server's differ; requests carry the server's time"
                );
                self.learn(|learned| learned.clock_s = clock_s);
                return true;
            }
        }
        let cannot = matches!(status.as_u16(), 405 | 501) || refusal.code == "NotImplemented";
        if cannot && !learned.takes_no_conditions && parts.headers.contains_key(IF_MATCH) {
            self.learn(|learned| learned.takes_no_conditions = true);
            return true;
        }
        if cannot && !learned.holds_no_names && parts.headers.contains_key(IF_NONE_MATCH) {
            tracing::info!(
                bucket = self.0.bucket.name,
                "the S3 server takes no If-None-Match: a name is looked for before something is stored under it"
            );
            self.learn(|learned| learned.holds_no_names = true);
            return true;
        }
        let is_invalid = matches!(refusal.code.as_str(), "InvalidArgument" | "InvalidRequest" | "");
        if status == StatusCode::BAD_REQUEST && is_invalid && parts.headers.remove(IF_NONE_MATCH).is_some() {
            return true;
        }
        if cannot && parts.method == Method::GET && parts.headers.remove(RANGE).is_some() {
            self.learn(|learned| learned.gives_no_ranges = true);
            return true;
        }
        false
    }

    /// The refusal in words, with a status that means here what it means there.
    fn refused(
        &self,
        parts: &Parts,
        status: StatusCode,
        headers: HeaderMap,
        refusal: &Refusal,
    ) -> HttpResponse {
        let query = parts.uri.query().unwrap_or_default();
        let is_upload = query.contains("uploadId=");
        if parts.method == Method::DELETE && is_upload && matches!(status.as_u16(), 404 | 405 | 501) {
            // There is nothing to be aborted, or no way to.
            return response(StatusCode::NO_CONTENT, headers, Bytes::new().into());
        }
        let learned = self.learned();
        let bucket_path = self.0.bucket.url(&learned.region);
        let bucket_path = bucket_path.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
        let is_bucket = parts.uri.path().trim_end_matches('/') == bucket_path.trim_end_matches('/');
        let action = match (&parts.method, is_bucket) {
            (&Method::GET, true) => "list the bucket",
            (&Method::GET | &Method::HEAD, _) => "read the object",
            (&Method::PUT, _) if is_upload => "take a part of an object",
            (&Method::PUT, _) => "store an object",
            (&Method::POST, _) if is_upload => "put the parts of an object together",
            (&Method::POST, _) => "take an object in parts",
            _ => "delete an object",
        };
        let context = Context { bucket: &self.0.bucket.name, region: &learned.region, action, is_bucket };
        let sentence = refusal.sentence(status.as_u16(), &context);
        // That the bucket is missing does not mean that an object is.
        let is_misplaced = status.is_redirection() || refusal.code == "NoSuchBucket";
        let status = if is_misplaced && !status.is_server_error() { StatusCode::BAD_REQUEST } else { status };
        response(status, headers, sentence.into())
    }

    /// What `object_store` expects of an answer, where it can be made up for.
    fn mend(
        &self,
        wanted: Option<&Range<u64>>,
        parts: &Parts,
        body: &Bytes,
        answer: HttpResponse,
    ) -> HttpResponse {
        let (mut head, content) = answer.into_parts();
        if let Some(at) = head.headers.get(LAST_MODIFIED)
            && !at.to_str().is_ok_and(|text| OffsetDateTime::parse(text, &Rfc2822).is_ok())
        {
            head.headers.remove(LAST_MODIFIED);
        }
        if parts.method == Method::PUT {
            let etag = match head
                .headers
                .get(ETAG)
                .map(|etag| String::from_utf8_lossy(etag.as_bytes()).into_owned())
            {
                // Parts are named by it, and a weak tag names none.
                Some(weak) if weak.starts_with("W/") => weak.trim_start_matches("W/").to_owned(),
                Some(etag) => etag,
                // What S3 itself would say.
                None => format!("\"{}\"", hex::encode(Md5::digest(body))),
            };
            if let Ok(etag) = HeaderValue::try_from(etag) {
                head.headers.insert(ETAG, etag);
            }
        }
        let (Some(wanted), Some((given, size))) = (wanted, given(head.status, &head.headers)) else {
            return Response::from_parts(head, content);
        };
        let is_as_wanted = given == (wanted.start..wanted.end.min(size)) && head.status != StatusCode::OK;
        if is_as_wanted || !given.contains(&wanted.start) {
            return Response::from_parts(head, content);
        }
        if head.status == StatusCode::OK {
            self.learn(|learned| learned.gives_no_ranges = true);
        }
        let end = wanted.end.min(given.end);
        head.status = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {}-{}/{size}", wanted.start, end - 1);
        head.headers.insert(CONTENT_RANGE, HeaderValue::try_from(range).expect("digits make a header"));
        head.headers.insert(CONTENT_LENGTH, (end - wanted.start).into());
        Response::from_parts(head, cut(content, wanted.start - given.start..end - given.start))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let wanted = range(&parts);
        if parts.method == Method::POST && parts.uri.query().is_some_and(|query| query.contains("uploadId="))
        {
            // What is put together takes no other object's name; nobody else can say so here.
            parts.headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        for correction in 0.. {
            let answer = self.send(&parts, &body).await?;
            let status = answer.status();
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(self.mend(wanted.as_ref(), &parts, &body, answer));
            }
            let (head, content) = answer.into_parts();
            let refusal = Refusal::parse(&beginning(content).await);
            if correction == CORRECTIONS || !self.correct(&mut parts, status, &head.headers, &refusal) {
                return Ok(self.refused(&parts, status, head.headers, &refusal));
            }
        }
        unreachable!("the last correction returns")
    }
}

fn signer<'a>(credential: &'a AwsCredential, learned: &'a Learned) -> Signer<'a> {
    Signer {
        key_id: &credential.key_id,
        secret_key: &credential.secret_key,
        token: credential.token.as_deref(),
        region: &learned.region,
        at: OffsetDateTime::from(SystemTime::now()).saturating_add(time::Duration::seconds(learned.clock_s)),
    }
}

/// What has to be added to this machine's time to have the server's, in seconds.
fn clock(headers: &HeaderMap) -> Option<i64> {
    let date = OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()?;
    Some((date - OffsetDateTime::from(SystemTime::now())).whole_seconds())
}

fn range(parts: &Parts) -> Option<Range<u64>> {
    let (start, last) = parts.headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    Some(start.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?)
}

/// Which bytes of how many an answer has.
fn given(status: StatusCode, headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let text = |name| headers.get(name)?.to_str().ok();
    match status {
        StatusCode::OK => {
            let size = text(CONTENT_LENGTH)?.parse().ok()?;
            Some((0..size, size))
        }
        StatusCode::PARTIAL_CONTENT => {
            let (range, size) = text(CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
            let (start, last) = range.split_once('-')?;
            Some((start.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?))
        }
        _ => None,
    }
}

/// An error's body, as far as it is of use.
async fn beginning(content: HttpResponseBody) -> Vec<u8> {
    let (mut stream, mut bytes) = (content.bytes_stream(), Vec::new());
    while let Some(Ok(some)) = stream.next().await {
        bytes.extend_from_slice(&some[..some.len().min(MAX_ERROR_BYTES - bytes.len())]);
        if bytes.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    bytes
}

/// A part of a body that is whole.
fn cut(content: HttpResponseBody, range: Range<u64>) -> HttpResponseBody {
    let parts = futures::stream::try_unfold((content, 0_u64), move |(mut content, mut at)| {
        let range = range.clone();
        async move {
            while at < range.end {
                let Some(frame) = content.frame().await.transpose()? else { return Ok(None) };
                let Ok(bytes) = frame.into_data() else { continue };
                let len = bytes.len() as u64;
                let from = range.start.saturating_sub(at).min(len);
                let to = (range.end - at).min(len);
                at += len;
                if from < to {
                    // Both lie within a piece that is in memory.
                    let piece = bytes.slice(from as usize..to as usize);
                    return Ok(Some((Frame::data(piece), (content, at))));
                }
            }
            Ok(None)
        }
    });
    HttpResponseBody::new(StreamBody::new(parts))
}

fn response(status: StatusCode, mut headers: HeaderMap, body: HttpResponseBody) -> HttpResponse {
    headers.remove(CONTENT_LENGTH);
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}
