//! Sends one webhook to one receiver, signed for this very try.

use std::error::Error as _;
use std::time::Duration;

use http::StatusCode;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::webhook;
use url::Url;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to a receiver that stay open for what comes next.
const IDLE_CONNECTIONS: usize = 4;

/// Whoever sends.
#[derive(Clone)]
pub(super) struct Poster {
    keys: ApiKeys,
    client: reqwest::Client,
}

impl Poster {
    /// Signs with the first of `keys`.
    pub(super) fn new(keys: ApiKeys) -> Self {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .user_agent("LiveKit")
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()
            .expect("a client without special settings can be built");
        Self { keys, client }
    }

    /// Sends `body`, and says what was answered, or why nothing was.
    pub(super) async fn post(&self, url: &Url, body: Vec<u8>) -> Result<StatusCode, String> {
        let signature = webhook::sign(&self.keys, &body, unix_s());
        let response = self
            .client
            .post(url.clone())
            .header(http::header::CONTENT_TYPE, webhook::CONTENT_TYPE)
            .header(http::header::AUTHORIZATION, signature)
            .body(body)
            .send()
            .await
            .map_err(|error| cause(&error))?;
        Ok(response.status())
    }
}

/// What the log says of a receiver: everything but its host may be a secret.
pub(super) fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost reason, which is what a person understands, and which has no URL in it.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(std::error::Error::source) {
        innermost = Some(source);
    }
    match innermost {
        _ if error.is_timeout() => "it does not answer in time".to_owned(),
        Some(reason) => reason.to_string(),
        None => "the request cannot be made".to_owned(),
    }
}

pub(super) fn unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
