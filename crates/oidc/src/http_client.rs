//! How the provider is asked: bounded in time and bytes, by https, and nowhere else than where it was asked.

use std::error::Error as _;
use std::pin::Pin;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reelroom_limits::accounts::{OIDC_ANSWER_BYTES, OIDC_ANSWER_WITHIN};
use url::Url;

use crate::config::is_plain_and_local;
use crate::error::{OidcError, Said};

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{0}")]
    Away(Said),
    #[error("it has more than {most} bytes", most = OIDC_ANSWER_BYTES)]
    TooLarge,
    #[error("it is to be had by a way that others can read ({0})")]
    Unsafe(Said),
}

impl From<HttpError> for OidcError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Away(said) => Self::Away(said),
            error => Self::Odd(Said::new(error)),
        }
    }
}

/// Whoever asks.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    /// Whether the provider is one of this machine that has no certificate.
    is_plain: bool,
}

impl HttpClient {
    pub(crate) fn new(is_plain: bool) -> Self {
        let client = reqwest::Client::builder()
            .timeout(OIDC_ANSWER_WITHIN)
            .user_agent(concat!("reelroom/", env!("CARGO_PKG_VERSION")))
            // What follows one may be had to ask anything of anybody.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without special settings can be built");
        Self { client, is_plain }
    }

    /// Whether nobody on the way sees or changes what is said there.
    pub(crate) fn takes(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.is_plain && is_plain_and_local(url))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|_| HttpError::Unsafe(Said::new("it has no address")))?;
        if !self.takes(request.url()) {
            let origin = request.url().origin().ascii_serialization();
            return Err(HttpError::Unsafe(Said::new(origin)));
        }
        let mut response = self.client.execute(request).await.map_err(away)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(away)? {
            if body.len() + part.len() > OIDC_ANSWER_BYTES {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        let mut answer = HttpResponse::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

/// The innermost reason, which is what a person understands, and which has no URL in it.
fn away(error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Away(Said::new(format!("it does not answer within {OIDC_ANSWER_WITHIN:?}")));
    }
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(std::error::Error::source) {
        innermost = Some(source);
    }
    HttpError::Away(innermost.map_or_else(|| Said::new("the request cannot be made"), Said::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_where_others_can_read_it() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let url = |text: &str| text.parse::<Url>().unwrap();
        let (safe, local) = (HttpClient::new(false), HttpClient::new(true));
        for (text, by_safe, by_local) in [
            ("https://accounts.example.org/token", true, true),
            ("http://accounts.example.org/token", false, false),
            ("http://localhost:9000/token", false, true),
            ("http://127.0.0.1:9000/token", false, true),
            ("http://192.0.2.1/token", false, false),
            ("ftp://localhost/token", false, false),
        ] {
            assert_eq!((safe.takes(&url(text)), local.takes(&url(text))), (by_safe, by_local), "{text}");
        }
    }
}
