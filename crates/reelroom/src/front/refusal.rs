//! Refusals in the form that clients of each API read: `{errorMessage}`, and Twirp's own below `/twirp`.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use reelroom_limits::http::{REST_BODY_BYTES, TWIRP_BODY_BYTES};
use serde_json::json;

/// A refusal of axum's own is a line; what is longer is none, and is left out.
const LINE_BYTES: usize = 4096;

/// What clients of an address read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{errorMessage}`.
    Rest,
    /// `{code, msg}`.
    Twirp,
    /// `{errorMessage}` too, but for LiveKit's own words, which its clients show as they come.
    Signalling,
}

impl Form {
    pub(crate) fn of(path: &str) -> Self {
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is_below("/twirp") {
            Self::Twirp
        } else if is_below("/rtc") || is_below("/agent") {
            Self::Signalling
        } else {
            Self::Rest
        }
    }

    /// How large the body of a request may be.
    pub(crate) fn body_bytes(self) -> usize {
        match self {
            Self::Twirp => TWIRP_BODY_BYTES,
            Self::Rest | Self::Signalling => REST_BODY_BYTES,
        }
    }

    /// A refusal.
    pub(crate) fn refuse(self, status: StatusCode, message: &str) -> Response {
        let mut response = Response::new(self.body(status, message));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn body(self, status: StatusCode, message: &str) -> Body {
        let value = match self {
            Self::Twirp => json!({ "code": twirp_code(status), "msg": message }),
            Self::Rest | Self::Signalling => json!({ "errorMessage": message }),
        };
        Body::from(value.to_string())
    }

    /// Gives a refusal that has no form the one of this API: what frameworks answer of themselves.
    pub(crate) async fn finish(self, response: Response) -> Response {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_line = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        if !is_error || !is_line || (self == Self::Signalling && kind.is_some()) {
            return response;
        }
        let (mut head, body) = response.into_parts();
        let text = axum::body::to_bytes(body, LINE_BYTES).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let message = if text.trim().is_empty() { usual_words(head.status) } else { text.trim() };
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = self.body(head.status, message);
        Response::from_parts(head, body)
    }
}

fn usual_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is nothing here",
        StatusCode::METHOD_NOT_ALLOWED => "this address does not take this method",
        status => status.canonical_reason().unwrap_or("the request was refused"),
    }
}

/// Twirp has a code for each kind of refusal; the status says more than that.
fn twirp_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => "permission_denied",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "bad_route",
        StatusCode::REQUEST_TIMEOUT => "deadline_exceeded",
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG => "resource_exhausted",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "malformed",
        _ => "internal",
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    async fn finished(path: &str, response: Response) -> (StatusCode, String) {
        let response = Form::of(path).finish(response).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_a_framework_refuses_gets_the_form_of_its_api() {
        const NOT_ALLOWED: StatusCode = StatusCode::METHOD_NOT_ALLOWED;
        for (path, expected) in [
            ("/recordings", r#"{"errorMessage":"this address does not take this method"}"#),
            ("/rtc/v1", r#"{"errorMessage":"this address does not take this method"}"#),
            ("/agent", r#"{"errorMessage":"this address does not take this method"}"#),
            (
                "/twirp/livekit.Egress/ListEgress",
                r#"{"code":"bad_route","msg":"this address does not take this method"}"#,
            ),
            ("/twirpy", r#"{"errorMessage":"this address does not take this method"}"#),
        ] {
            assert_eq!(
                finished(path, NOT_ALLOWED.into_response()).await,
                (NOT_ALLOWED, expected.into()),
                "{path}"
            );
        }
        let line = || (StatusCode::UNAUTHORIZED, "permissions \"denied\"").into_response();
        assert_eq!(finished("/token", line()).await.1, r#"{"errorMessage":"permissions \"denied\""}"#);
        assert_eq!(
            finished("/rtc", line()).await.1,
            "permissions \"denied\"",
            "LiveKit's words are shown as they are"
        );
        let own = || (StatusCode::NOT_FOUND, axum::Json(json!({ "errorMessage": "x" }))).into_response();
        assert_eq!(finished("/token", own()).await.1, r#"{"errorMessage":"x"}"#);
        assert_eq!(finished("/token", "fine".into_response()).await.1, "fine");
    }
}
