//! Access tokens: JWT with HS256, signed by an API secret, carrying an identity and what it may do.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::Sha256;

use crate::ids::Ticket;
use crate::json;
use crate::keys::ApiKeys;
use crate::proto::{ParticipantPermission, RoomConfiguration, TrackSource, participant_info};

/// How far clocks may differ, applied to `nbf` and `exp`.
const LEEWAY_S: u64 = 60;

/// Why a token is not accepted. The text is what LiveKit answers with, for SDKs compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT, or not one of ours.
    #[error("invalid authorization token")]
    Malformed,
    /// Signed by a key that is not known here.
    #[error("invalid API key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("invalid authorization token: signature mismatch")]
    Signature,
    /// `exp` has passed, or is absent.
    #[error("invalid authorization token: token is expired")]
    Expired,
    /// `nbf` has not come.
    #[error("invalid authorization token: token is not valid yet")]
    NotYetValid,
}

/// What a token says. Fields are LiveKit's claims; unknown ones are ignored, and one that is `null` is as good as absent: libraries write
/// those that nobody has set so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Claims {
    /// The API key.
    pub iss: String,
    /// The identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub: String,
    /// Stands in for `sub` where that is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// Not valid before, unix seconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "seconds")]
    pub nbf: u64,
    /// When it was made, unix seconds; few libraries say it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "seconds")]
    pub iat: u64,
    /// Not valid after, unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub exp: u64,
    /// The participant's display name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// "standard", "egress", "agent", …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The participant's metadata.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// The participant's attributes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// SHA-256 of a webhook's body, standard base64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// What the bearer may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrants>,
    /// Which person the bearer is, where several may be given the same identity: this server's own claim, which LiveKit's ignore. A bearer
    /// with another ticket than whoever has the identity joins beside them, and not in their place.
    #[serde(skip_serializing_if = "is_default")]
    pub ticket: Ticket,
    /// How many tokens of this ticket were made before and with this one, where each of them is good for one session at a time; 0 where they
    /// are not counted. This server's own claim, too.
    #[serde(skip_serializing_if = "is_default")]
    pub serial: u32,
    /// Settings for a room that this token creates by joining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_config: Option<RoomConfiguration>,
    /// The name of such settings that the server has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room_preset: String,
    /// What kind of an agent or connector the participant is: "cloud_agent", "forwarded", …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<String>,
}

/// Libraries write times as floats, with or without a fraction of a second. A second that has begun counts as the one before.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    // A cast of a float ends at the bounds: a time before 1970 is 0, and one that never comes is the last there is.
    f64::deserialize(deserializer).map(|seconds| seconds as u64)
}

/// What a token allows. The three-valued fields have defaults: see the methods of the same names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, clippy::struct_excessive_bools)]
pub struct VideoGrants {
    #[serde(skip_serializing_if = "is_default")]
    pub room_create: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub room_list: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub room_record: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub room_admin: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub room_join: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub room: String,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_room: String,
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub can_subscribe: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish_data: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub can_update_own_metadata: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub can_subscribe_metrics: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub can_publish_sources: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub ingress_admin: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub hidden: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub recorder: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub agent: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl VideoGrants {
    /// Allowed where nothing is said.
    pub fn may_publish(&self) -> bool {
        self.can_publish.unwrap_or(true)
    }

    /// An empty list of sources allows all of them; `canPublish: false` beats any list.
    pub fn may_publish_source(&self, source: TrackSource) -> bool {
        self.may_publish()
            && (self.can_publish_sources.is_empty() || self.publish_sources().contains(&source))
    }

    /// Allowed where nothing is said.
    pub fn may_subscribe(&self) -> bool {
        self.can_subscribe.unwrap_or(true)
    }

    /// As publishing where nothing is said.
    pub fn may_publish_data(&self) -> bool {
        self.can_publish_data.unwrap_or_else(|| self.may_publish())
    }

    /// Refused where nothing is said.
    pub fn may_update_own_metadata(&self) -> bool {
        self.can_update_own_metadata.unwrap_or(false)
    }

    /// Of these grants what `other` allows as well. It gives nobody more than they have.
    #[must_use]
    pub fn narrowed_to(&self, other: &Self) -> Self {
        let sources = if self.can_publish_sources.is_empty() {
            other.can_publish_sources.clone()
        } else {
            let stays = |source: &&String| {
                other.can_publish_sources.is_empty()
                    || other.can_publish_sources.iter().any(|other| other.eq_ignore_ascii_case(source))
            };
            self.can_publish_sources.iter().filter(stays).cloned().collect()
        };
        // An empty list would mean all of them.
        let is_limited = !self.can_publish_sources.is_empty() || !other.can_publish_sources.is_empty();
        let publishes = self.may_publish() && other.may_publish() && !(is_limited && sources.is_empty());
        Self {
            room_create: self.room_create && other.room_create,
            room_list: self.room_list && other.room_list,
            room_record: self.room_record && other.room_record,
            room_admin: self.room_admin && other.room_admin,
            ingress_admin: self.ingress_admin && other.ingress_admin,
            room_join: self.room_join && other.room_join,
            can_publish: Some(publishes),
            can_publish_sources: sources,
            can_publish_data: Some(self.may_publish_data() && other.may_publish_data()),
            can_subscribe: Some(self.may_subscribe() && other.may_subscribe()),
            can_update_own_metadata: Some(self.may_update_own_metadata() && other.may_update_own_metadata()),
            hidden: self.hidden && other.hidden,
            recorder: self.recorder && other.recorder,
            agent: self.agent && other.agent,
            ..self.clone()
        }
    }

    fn publish_sources(&self) -> Vec<TrackSource> {
        let source = |name: &String| match name.to_ascii_lowercase().as_str() {
            "camera" => Some(TrackSource::Camera),
            "microphone" => Some(TrackSource::Microphone),
            "screen_share" => Some(TrackSource::ScreenShare),
            "screen_share_audio" => Some(TrackSource::ScreenShareAudio),
            _ => None,
        };
        self.can_publish_sources.iter().filter_map(source).collect()
    }

    /// The grants as clients see them.
    #[allow(deprecated)]
    pub fn permission(&self) -> ParticipantPermission {
        ParticipantPermission {
            can_subscribe: self.may_subscribe(),
            can_publish: self.may_publish(),
            can_publish_data: self.may_publish_data(),
            can_publish_sources: self.publish_sources().into_iter().map(i32::from).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.may_update_own_metadata(),
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            ..Default::default()
        }
    }

    /// Replaces what a participant may do, as `UpdateParticipant.permission` says it: all of it, not a change.
    #[allow(deprecated)]
    pub fn apply(&mut self, permission: &ParticipantPermission) {
        self.can_subscribe = Some(permission.can_subscribe);
        self.can_publish = Some(permission.can_publish);
        self.can_publish_data = Some(permission.can_publish_data);
        self.can_update_own_metadata = Some(permission.can_update_metadata);
        self.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
        self.hidden = permission.hidden;
        self.can_publish_sources = permission
            .can_publish_sources()
            .filter_map(|source| match source {
                TrackSource::Camera => Some("camera"),
                TrackSource::Microphone => Some("microphone"),
                TrackSource::ScreenShare => Some("screen_share"),
                TrackSource::ScreenShareAudio => Some("screen_share_audio"),
                TrackSource::Unknown => None,
            })
            .map(str::to_owned)
            .collect();
    }
}

impl Claims {
    /// `sub`, or `jti` where that is empty.
    pub fn identity(&self) -> &str {
        if self.sub.is_empty() { &self.jti } else { &self.sub }
    }

    /// When it was made, unix seconds, as far as it says so.
    pub fn issued_unix_s(&self) -> u64 {
        if self.iat > 0 { self.iat } else { self.nbf }
    }

    /// What kind of participant joins with this token.
    pub fn participant_kind(&self) -> participant_info::Kind {
        use participant_info::Kind;
        match self.kind.as_str() {
            "ingress" => Kind::Ingress,
            "egress" => Kind::Egress,
            "sip" => Kind::Sip,
            "agent" => Kind::Agent,
            _ => Kind::Standard,
        }
    }
}

impl Claims {
    /// The details of its kind as they are told; those that are not known, and what is said twice, are left out.
    pub fn kind_details(&self) -> Vec<i32> {
        let known = self.kind_details.iter();
        let mut known: Vec<i32> = known
            .filter_map(|name| participant_info::KindDetail::from_str_name(&name.to_ascii_uppercase()))
            .map(i32::from)
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    }
}

/// The claims `kindDetails` of a participant.
pub fn kind_detail_names(details: &[i32]) -> Vec<String> {
    let known = details.iter().filter_map(|detail| participant_info::KindDetail::try_from(*detail).ok());
    known.map(|detail| detail.as_str_name().to_ascii_lowercase()).collect()
}

/// The claim `kind` of a participant of that kind.
pub fn kind_name(kind: participant_info::Kind) -> &'static str {
    use participant_info::Kind;
    match kind {
        Kind::Ingress => "ingress",
        Kind::Egress => "egress",
        Kind::Sip => "sip",
        Kind::Agent => "agent",
        _ => "",
    }
}

/// Signs `claims` with the first key, which becomes `iss`.
pub fn mint(keys: &ApiKeys, mut claims: Claims) -> String {
    let (key, secret) = keys.first();
    key.clone_into(&mut claims.iss);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let body = serde_json::to_vec(&claims).expect("claims are plain data with text keys");
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
    let signature = URL_SAFE_NO_PAD.encode(mac(secret, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// What `token` says, if it is signed by one of `keys` and valid at `now_unix_s`.
///
/// # Errors
/// See [`TokenError`]. The signature is checked before any claim but `iss` is believed.
pub fn verify(keys: &ApiKeys, token: &str, now_unix_s: u64) -> Result<Claims, TokenError> {
    verify_late(keys, token, now_unix_s, 0)
}

/// The same, also of a token that expired no more than `late_s` seconds ago.
///
/// # Errors
/// [`TokenError`].
pub fn verify_late(keys: &ApiKeys, token: &str, now_unix_s: u64, late_s: u64) -> Result<Claims, TokenError> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, body) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let decode =
        |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| TokenError::Malformed);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    if header.alg != "HS256" {
        return Err(TokenError::Malformed);
    }
    let claims: Claims = json::read(&decode(body)?).map_err(|_| TokenError::Malformed)?;
    let secret = keys.secret(&claims.iss).ok_or(TokenError::UnknownKey)?;
    mac(secret, signed).verify_slice(&decode(signature)?).map_err(|_| TokenError::Signature)?;
    if claims.exp.saturating_add(LEEWAY_S).saturating_add(late_s) < now_unix_s {
        return Err(TokenError::Expired);
    }
    if claims.nbf > now_unix_s.saturating_add(LEEWAY_S) {
        return Err(TokenError::NotYetValid);
    }
    Ok(claims)
}

fn mac(secret: &str, signed: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
