//! Signed webhooks: the body, its signature, and the check of both.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::keys::ApiKeys;
use crate::proto::WebhookEvent;
use crate::token::{self, Claims, TokenError};

/// The content type of a webhook.
pub const CONTENT_TYPE: &str = "application/webhook+json";

/// How long a signature holds.
const VALID_S: u64 = 300;

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The token is missing, foreign or stale.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token is for another body.
    #[error("the body is not the one that was signed")]
    Body,
    /// The signed body is no webhook event.
    #[error("the body is no webhook event")]
    Malformed,
}

/// The body of `event`: proto3 JSON, camelCase, defaults left out.
pub fn event_body(event: &WebhookEvent) -> Vec<u8> {
    serde_json::to_vec(event).expect("protocol messages make JSON")
}

/// What a receiver is called where its URL, which may be a secret, is not to be said.
pub fn receiver_id(url: &str) -> String {
    format!("WR_{}", URL_SAFE_NO_PAD.encode(&Sha256::digest(url.as_bytes())[..9]))
}

/// The `Authorization` header for `body`: a bare token, without "Bearer".
pub fn sign(keys: &ApiKeys, body: &[u8], now_unix_s: u64) -> String {
    let claims = Claims {
        nbf: now_unix_s,
        exp: now_unix_s + VALID_S,
        sha256: STANDARD.encode(Sha256::digest(body)),
        ..Claims::default()
    };
    token::mint(keys, claims)
}

/// The event in `body`, if `authorization` was made for these bytes by one of `keys`.
///
/// # Errors
/// See [`WebhookError`].
pub fn verify(
    keys: &ApiKeys,
    authorization: &str,
    body: &[u8],
    now_unix_s: u64,
) -> Result<WebhookEvent, WebhookError> {
    let token = authorization.strip_prefix("Bearer ").unwrap_or(authorization);
    let claims = token::verify(keys, token, now_unix_s)?;
    let signed = STANDARD.decode(&claims.sha256).map_err(|_| WebhookError::Body)?;
    if signed != Sha256::digest(body).as_slice() {
        return Err(WebhookError::Body);
    }
    serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_signed_event_is_believed_and_an_altered_one_is_not() {
        let keys = ApiKeys::new("k", "s");
        let event = WebhookEvent {
            event: "room_started".into(),
            id: "EV_1".into(),
            created_at: 7,
            ..Default::default()
        };
        let body = event_body(&event);
        let header = sign(&keys, &body, NOW);
        assert_eq!(verify(&keys, &header, &body, NOW).unwrap().event, "room_started");
        assert_eq!(verify(&keys, &header, b"{}", NOW), Err(WebhookError::Body));
        assert!(matches!(verify(&ApiKeys::new("k", "t"), &header, &body, NOW), Err(WebhookError::Token(_))));
        assert!(matches!(verify(&keys, "", &body, NOW), Err(WebhookError::Token(_))));
    }

    #[test]
    fn defaults_are_left_out_of_the_body() {
        let event = WebhookEvent { event: "room_started".into(), created_at: 7, ..Default::default() };
        assert_eq!(
            String::from_utf8(event_body(&event)).unwrap(),
            r#"{"event":"room_started","createdAt":"7"}"#
        );
    }

    #[test]
    fn the_stock_receiver_takes_our_webhooks() {
        use livekit_api::access_token::TokenVerifier;
        use livekit_api::webhooks::WebhookReceiver;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let event = WebhookEvent { event: "room_started".into(), id: "EV_1".into(), ..Default::default() };
        let body = String::from_utf8(event_body(&event)).unwrap();
        let header = sign(&ApiKeys::new("k", "s"), body.as_bytes(), now);
        let receiver = WebhookReceiver::new(TokenVerifier::with_api_key("k", "s"));
        assert_eq!(receiver.receive(&body, &header).unwrap().id, "EV_1");
    }
}
