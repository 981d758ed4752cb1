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
//! `kind` is one of [`Kind`]; without `for` it strikes until another is set; without `method` it strikes requests of every
//! method that it can strike. `struck` counts since it was set. `_fault` needs no signature.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use percent_encoding::percent_decode_str;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub(crate) const ACCESS_KEY: &str = "access";
pub(crate) const SECRET_KEY: &str = "secret-of-s3";
pub(crate) const BUCKET: &str = "reelroom";

const CONTROL: &str = "/_fault";

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
}

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
}

impl Faults {
    pub(crate) fn set(&self, fault: impl Into<Fault>) {
        *self.current.lock().expect("nobody panics while holding the fault") = fault.into();
    }

    pub(crate) fn current(&self) -> Fault {
        self.current.lock().expect("nobody panics while holding the fault").clone()
    }

    /// What is to happen to a request.
    fn strike(&self, request: &Request<Incoming>) -> Kind {
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
            Kind::LieSize => *method == Method::HEAD,
            Kind::Truncate | Kind::Corrupt => makes_object,
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
        let (mut keys, mut folders) = (Vec::new(), vec![bucket.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("it is a folder") {
                let path = entry.expect("it can be read").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        keys.push(path.strip_prefix(&bucket).expect("it is below").display().to_string())
                    }
                }
            }
        }
        keys.sort();
        keys
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
    let server = Server { inner: service.build(), faults, root: root.to_owned() };
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
}

impl Server {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        if request.uri().path() == CONTROL {
            return self.control(request).await;
        }
        let kind = self.faults.strike(&request);
        let file = self.file(request.uri().path());
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
            Kind::Truncate | Kind::Corrupt => {
                let response = self.pass(request).await?;
                if response.status().is_success() {
                    damage(&file, kind)?;
                }
                Ok(response)
            }
        }
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let response =
            self.inner.call(request.map(s3s::Body::from)).await.map_err(|error| format!("{error:?}"))?;
        Ok(response.map(|body| body.map_err(|error| format!("{error:?}").into()).boxed_unsync()))
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

    fn file(&self, path: &str) -> PathBuf {
        self.root.join(percent_decode_str(path).decode_utf8_lossy().trim_start_matches('/'))
    }
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
