//! Signed webhooks: the body, its signature, and the check of both.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::json::known;
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

/// The body of `event`: proto3 JSON, camelCase, defaults left out, as is what a newer client says that this version has no name for.
pub fn event_body(event: &WebhookEvent) -> Vec<u8> {
    serde_json::to_vec(event).unwrap_or_else(|_| {
        let event = WebhookEvent {
            participant: event.participant.clone().map(known::participant),
            track: event.track.clone().map(known::track),
            ..event.clone()
        };
        serde_json::to_vec(&event).expect("what clients say has names, and all else is this program's")
    })
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
    #[allow(deprecated)]
    fn what_a_newer_client_says_is_left_out_and_the_rest_is_told() {
        use crate::proto::{SimulcastCodecInfo, TrackInfo, VideoLayer, encryption};
        let layers = vec![VideoLayer { quality: 99, width: 7, ..Default::default() }];
        let codec = SimulcastCodecInfo { video_layer_mode: 99, layers: layers.clone(), ..Default::default() };
        let track = TrackInfo {
            sid: "TR_1".into(),
            source: 99,
            encryption: 99,
            layers,
            codecs: vec![codec],
            audio_features: vec![1, 99],
            packet_trailer_features: vec![-1],
            backup_codec_policy: 99,
            ..Default::default()
        };
        let event =
            WebhookEvent { event: "track_published".into(), track: Some(track), ..Default::default() };
        let told: WebhookEvent = serde_json::from_slice(&event_body(&event)).unwrap();
        let track = told.track.unwrap();
        assert_eq!((track.sid.as_str(), track.source, &track.audio_features[..]), ("TR_1", 0, &[1][..]));
        assert_eq!(
            (track.encryption, track.codecs[0].layers[0].width),
            (i32::from(encryption::Type::Custom), 7)
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
