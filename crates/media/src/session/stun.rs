//! STUN (RFC 8489): which session a datagram is for, whether its peer signed it, and the server's own checks of an address.

use std::sync::OnceLock;

use str0m::crypto::Sha1HmacProvider;
use str0m::ice::{StunMessage, TransId};

/// What a datagram on a port of WebRTC is (RFC 7983, RFC 5761).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl Kind {
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        match datagram {
            [0..=3, ..] if datagram.len() >= 20 => Some(Self::Stun),
            [20..=63, ..] if datagram.len() >= 13 => Some(Self::Dtls),
            [128..=191, 192..=223, ..] if datagram.len() >= 8 => Some(Self::Rtcp),
            [128..=191, ..] if datagram.len() >= 12 => Some(Self::Rtp),
            _ => None,
        }
    }
}

/// The sender of a packet.
pub(crate) fn ssrc(datagram: &[u8], kind: Kind) -> Option<u32> {
    let place = match kind {
        Kind::Rtp => 8,
        Kind::Rtcp => 4,
        Kind::Stun | Kind::Dtls => return None,
    };
    Some(u32::from_be_bytes(datagram.get(place..place + 4)?.try_into().ok()?))
}

/// A STUN request that names a session.
pub(crate) struct Request<'a>(StunMessage<'a>);

impl<'a> Request<'a> {
    /// A binding request, with what ICE wants of one.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        if datagram.first().is_none_or(|byte| *byte > 1) {
            return None;
        }
        let message = StunMessage::parse(datagram).ok()?;
        (message.is_binding_request() && message.split_username().is_some()).then_some(Self(message))
    }

    /// The local ufrag that it is meant for.
    pub(crate) fn ufrag(&self) -> &str {
        self.0.split_username().map_or("", |(local, _)| local)
    }

    /// Whether it is signed with the session's password.
    pub(crate) fn is_signed_with(&self, password: &str) -> bool {
        self.0.verify(password.as_bytes(), hmac)
    }

    /// Whether the peer wants to use the address.
    pub(crate) fn nominates(&self) -> bool {
        self.0.use_candidate()
    }
}

/// How a peer names itself and signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) password: String,
}

impl Credentials {
    /// Those of a description; its first ones, for all its sections share one connection.
    pub(super) fn of(sdp: &str) -> Option<Self> {
        let value = |name: &str| {
            let line = sdp.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
            line.map(str::to_owned)
        };
        Some(Self { ufrag: value("a=ice-ufrag")?, password: value("a=ice-pwd")? })
    }
}

/// Asks a peer whether it is at an address: only it can answer, and only from there.
pub(super) fn check(peer: &Credentials, local_ufrag: &str, tie_breaker: u64) -> Option<(TransId, Vec<u8>)> {
    const PRIORITY: u32 = (110 << 24) | 0xff_ffff;
    // An answer proves something only where nobody can guess the number.
    let id: TransId = serde_json::from_value(rand::random::<[u8; 12]>().to_vec().into()).ok()?;
    let username = format!("{}:{local_ufrag}", peer.ufrag);
    let request = StunMessage::binding_request(&username, id, false, tie_breaker, PRIORITY, false);
    let mut bytes = vec![0; 1200];
    let len = request.to_bytes(Some(peer.password.as_bytes()), &mut bytes, hmac).ok()?;
    bytes.truncate(len);
    Some((id, bytes))
}

/// The check that a datagram answers, with the peer's signature.
pub(super) fn answers(datagram: &[u8], peer: &Credentials) -> Option<TransId> {
    let message = StunMessage::parse(datagram).ok()?;
    let is_answer =
        message.is_successful_binding_response() && message.verify(peer.password.as_bytes(), hmac);
    is_answer.then(|| message.trans_id())
}

fn hmac(key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
    static PROVIDER: OnceLock<&'static dyn Sha1HmacProvider> = OnceLock::new();
    PROVIDER.get_or_init(|| str0m::crypto::from_feature_flags().sha1_hmac_provider).sha1_hmac(key, payloads)
}

/// A signed request, as a peer makes it; for tests.
pub(crate) fn request(ufrag: &str, password: &str, nominates: bool) -> Vec<u8> {
    let username = format!("{ufrag}:peer");
    let request = StunMessage::binding_request(&username, TransId::new(), true, 7, 1, nominates);
    let mut bytes = vec![0; 1200];
    let len = request.to_bytes(Some(password.as_bytes()), &mut bytes, hmac).expect("a request fits");
    bytes.truncate(len);
    bytes
}
