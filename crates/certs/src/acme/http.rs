//! How an ACME server is asked: by https, bounded in time and bytes, and nowhere else than where it says.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error};
use reelroom_limits::tls::{ACME_ANSWER_BYTES, ACME_ANSWER_WITHIN};
use reqwest::header::RETRY_AFTER;

use crate::disk;
use crate::error::CertsError;

/// What the refusals of an order said beside their text.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    retry_after: Arc<Mutex<Option<Duration>>>,
}

impl Asked {
    /// After how long the server wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        *self.lock()
    }

    fn note(&self, response: &reqwest::Response) {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let text = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            *self.lock() = text.and_then(|text| seconds(text, SystemTime::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Duration>> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds, or a date as HTTP writes it.
fn seconds(text: &str, now: SystemTime) -> Option<Duration> {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'static>] = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = time::PrimitiveDateTime::parse(text, FORMAT).ok()?.assume_utc();
    SystemTime::from(at).duration_since(now).ok()
}

/// Whoever asks.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    asked: Asked,
}

impl HttpClient {
    /// One that believes the roots in the file `ca`, or those of this machine where there is none.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, CertsError> {
        let mut builder = reqwest::Client::builder()
            .timeout(ACME_ANSWER_WITHIN)
            .https_only(true)
            .user_agent(concat!("reelroom/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca {
            let roots = reqwest::Certificate::from_pem_bundle(&disk::read(path)?)
                .map_err(|error| CertsError::Broken(error.to_string()).of(path))?;
            if roots.is_empty() {
                return Err(CertsError::NoCertificate.of(path));
            }
            builder = builder.tls_certs_only(roots);
        }
        let client = builder.build().map_err(|error| {
            CertsError::Acme(format!(
                "no ACME server can be asked: {} (those whom this machine believes are in the package ca-certificates; acme_ca names others)",
                reason(&error)
            ))
        })?;
        Ok(Self { client, asked: Asked::default() })
    }

    /// The same, and what refusals say is noted there.
    pub(crate) fn noting(self, asked: &Asked) -> Self {
        Self { asked: asked.clone(), ..self }
    }
}

impl instant_acme::HttpClient for HttpClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (client, asked) = (self.client.clone(), self.asked.clone());
        Box::pin(async move { ask(&client, &asked, request).await.map_err(Error::Other) })
    }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

async fn ask(
    client: &reqwest::Client,
    asked: &Asked,
    request: http::Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Trouble> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let request = reqwest::Request::try_from(http::Request::from_parts(head, body))?;
    let mut response = client.execute(request).await.map_err(innermost)?;
    asked.note(&response);
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(innermost)? {
        if bytes.len() + part.len() > ACME_ANSWER_BYTES {
            return Err(format!("its answer has more than {ACME_ANSWER_BYTES} bytes").into());
        }
        bytes.extend_from_slice(&part);
    }
    let mut answer = http::Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(BytesResponse::from(answer))
}

fn innermost(error: reqwest::Error) -> Trouble {
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the ACME server");
    format!("{host} does not answer: {}", reason(&error)).into()
}

/// The innermost reason, which is what a person understands.
fn reason(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut reason = error.source();
    while let Some(inner) = reason.and_then(|inner| inner.source()) {
        reason = Some(inner);
    }
    reason.map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_to_come_again_by_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        assert_eq!(seconds(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(seconds("Sun, 06 Nov 1993 08:49:37 GMT", now), None);
        assert_eq!(seconds("soon", now), None);
    }
}
