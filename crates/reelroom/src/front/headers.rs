//! Headers that keep a browser from doing more with an answer than is meant, on every answer.

use axum::http::header::{
    HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// Half a year. Not for names below, which may be other servers, and in no browser's own list.
const HTTPS_ALONE: &str = "max-age=15768000";

/// What is known of who may load an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Pages of others may load it.
    pub(super) is_for_all: bool,
    /// It came by https, by a public name for which somebody whom browsers believe vouches.
    pub(super) is_https_alone: bool,
}

/// Sets what is not set by whoever answered.
pub(super) fn secure(status: StatusCode, headers: &mut HeaderMap, told: Told) {
    // Whoever talks by a WebSocket reads no headers.
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let mut set = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    set(
        PERMISSIONS_POLICY,
        HeaderValue::from_static("camera=(self), microphone=(self), display-capture=(self)"),
    );
    // What may stand in anybody's page may stand in a frame of it.
    if !told.is_for_all {
        set(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    if told.is_https_alone {
        set(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ALONE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_them_and_what_was_said_before_stays() {
        let of = |status, is_for_all, is_https_alone| {
            let mut headers = HeaderMap::new();
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("origin"));
            secure(status, &mut headers, Told { is_for_all, is_https_alone });
            headers
        };
        let own = of(StatusCode::NOT_FOUND, false, false);
        assert_eq!(own[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(own[X_FRAME_OPTIONS], "DENY");
        assert_eq!(own[REFERRER_POLICY], "origin");
        assert!(own.contains_key(PERMISSIONS_POLICY) && !own.contains_key(STRICT_TRANSPORT_SECURITY));
        let signed = of(StatusCode::OK, true, true);
        assert!(!signed.contains_key(X_FRAME_OPTIONS) && signed.contains_key(STRICT_TRANSPORT_SECURITY));
        assert_eq!(of(StatusCode::SWITCHING_PROTOCOLS, false, true).len(), 1);
    }
}
