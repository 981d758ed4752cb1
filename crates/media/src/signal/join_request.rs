//! What a client says of itself in the address of `/rtc/v1`. Pure.
//!
//! ```text
//!   join_request ─► base64 ─► WrappedJoinRequest ─► gzip ─► JoinRequest ─► the parameters of `/rtc`, and what these cannot say
//! ```
//!
//! It is bounded before it is unpacked, and counted before it is decoded.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::GzDecoder;
use prost::Message as _;
use reelroom_limits::signalling::{JOIN_REQUEST_BYTES, SIGNAL_MESSAGE_FIELDS};
use reelroom_protocol::proto::{
    AddTrackRequest, ClientInfo, JoinRequest, SessionDescription, WrappedJoinRequest, wrapped_join_request,
};
use reelroom_protocol::wire::{self, Excess, Shaped as _};

use crate::introduction;

/// Clients pad it or not.
const EITHER: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER);

/// Fields of what wraps it: it has two.
const WRAPPING_FIELDS: usize = 16;

/// Why it is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("join_request is no base64: encode it with the alphabet for addresses")]
    Encoding,
    #[error("join_request is longer than {} bytes", JOIN_REQUEST_BYTES)]
    TooLong,
    #[error("join_request cannot be decompressed")]
    Compression,
    #[error("join_request is compressed in a way that is not known here: use none or gzip")]
    UnknownCompression,
    #[error("join_request asks for too much: {0}")]
    TooMuch(#[from] Excess),
    #[error("join_request is no JoinRequest")]
    Malformed,
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wishes {
    /// As the query of `/rtc` would say it, but for what the client is.
    pub(super) params: HashMap<String, String>,
    /// What the client is.
    pub(super) client: ClientInfo,
    /// Instead of the token's, unless it is empty.
    pub(super) metadata: String,
    /// Beside the token's.
    pub(super) attributes: HashMap<String, String>,
    /// What it announces.
    pub(super) tracks: Vec<AddTrackRequest>,
    /// Its first offer.
    pub(super) offer: Option<SessionDescription>,
}

/// Reads it.
pub(super) fn read(text: &str) -> Result<Wishes, Unreadable> {
    if text.len() > JOIN_REQUEST_BYTES {
        return Err(Unreadable::TooLong);
    }
    // In an address a plus may have become a space on its way.
    let text = text.replace(' ', "+");
    let engine = if text.contains(['+', '/']) { STANDARD } else { URL_SAFE };
    let wrapped = engine.decode(text).map_err(|_| Unreadable::Encoding)?;
    wire::fields(&wrapped, WrappedJoinRequest::SHAPE, WRAPPING_FIELDS)?;
    let wrapped = WrappedJoinRequest::decode(&wrapped[..]).map_err(|_| Unreadable::Malformed)?;
    let bytes = match wrapped_join_request::Compression::try_from(wrapped.compression) {
        Ok(wrapped_join_request::Compression::None) => wrapped.join_request,
        Ok(wrapped_join_request::Compression::Gzip) => unpacked(&wrapped.join_request)?,
        Err(_) => return Err(Unreadable::UnknownCompression),
    };
    wire::fields(&bytes, JoinRequest::SHAPE, SIGNAL_MESSAGE_FIELDS)?;
    let request = JoinRequest::decode(&bytes[..]).map_err(|_| Unreadable::Malformed)?;
    Ok(Wishes {
        params: params(&request),
        client: introduction::bounded(request.client_info.unwrap_or_default()),
        metadata: request.metadata,
        attributes: request.participant_attributes,
        tracks: request.add_track_requests,
        offer: request.publisher_offer.filter(|offer| !offer.sdp.is_empty()),
    })
}

/// A little can be packed so that it is very much: no more of it is unpacked than may be.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    let bounded = GzDecoder::new(packed).take(JOIN_REQUEST_BYTES as u64 + 1).read_to_end(&mut bytes);
    bounded.map_err(|_| Unreadable::Compression)?;
    if bytes.len() > JOIN_REQUEST_BYTES { Err(Unreadable::TooLong) } else { Ok(bytes) }
}

/// What the query of `/rtc` says by names.
fn params(request: &JoinRequest) -> HashMap<String, String> {
    let flag = |is_set: bool| String::from(if is_set { "1" } else { "0" });
    let mut params = HashMap::new();
    let mut say = |name: &str, value: String| {
        if !value.is_empty() {
            params.insert(name.to_owned(), value);
        }
    };
    if let Some(settings) = &request.connection_settings {
        say("auto_subscribe", flag(settings.auto_subscribe));
        say("adaptive_stream", flag(settings.adaptive_stream));
        say("disable_ice_lite", flag(settings.disable_ice_lite));
        say("subscriber_allow_pause", settings.subscriber_allow_pause.map(flag).unwrap_or_default());
        say("auto_subscribe_data_track", settings.auto_subscribe_data_track.map(flag).unwrap_or_default());
    }
    if request.reconnect {
        say("reconnect", flag(true));
        say("reconnect_reason", request.reconnect_reason.to_string());
        say("sid", request.participant_sid.clone());
    }
    params
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use reelroom_protocol::proto::{ConnectionSettings, client_info};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn wrapped(compression: i32, join_request: Vec<u8>) -> Vec<u8> {
        WrappedJoinRequest { compression, join_request }.encode_to_vec()
    }

    fn request() -> JoinRequest {
        let offer =
            SessionDescription { sdp: "v=0\r\n???>>>".repeat(99), id: 1, ..SessionDescription::default() };
        JoinRequest {
            client_info: Some(ClientInfo {
                sdk: client_info::Sdk::Js.into(),
                version: "2.23.0".into(),
                protocol: 17,
                client_protocol: 2,
                ..Default::default()
            }),
            connection_settings: Some(ConnectionSettings {
                auto_subscribe: true,
                adaptive_stream: true,
                ..Default::default()
            }),
            metadata: "about me".into(),
            participant_attributes: [("a".to_owned(), "b".to_owned())].into(),
            publisher_offer: Some(offer),
            ..Default::default()
        }
    }

    #[test]
    fn it_is_read_in_every_alphabet_padded_or_not_packed_or_not() {
        let plain = request().encode_to_vec();
        for wrapped in [wrapped(0, plain.clone()), wrapped(1, gzip(&plain))] {
            for text in [
                BASE64_URL_SAFE.encode(&wrapped),
                BASE64_URL_SAFE_NO_PAD.encode(&wrapped),
                BASE64_STANDARD.encode(&wrapped),
                BASE64_STANDARD_NO_PAD.encode(&wrapped),
                BASE64_STANDARD.encode(&wrapped).replace('+', " "),
            ] {
                let wishes = read(&text).unwrap();
                assert_eq!(wishes.offer, request().publisher_offer);
                assert_eq!((wishes.metadata.as_str(), &wishes.attributes["a"][..]), ("about me", "b"));
                let param = |name: &str| wishes.params.get(name).map(String::as_str);
                assert_eq!(param("auto_subscribe"), Some("1"));
                assert_eq!(param("disable_ice_lite"), Some("0"));
                assert_eq!(wishes.client, request().client_info.unwrap());
                assert_eq!((param("reconnect"), param("sid"), param("sdk")), (None, None, None));
            }
        }
    }

    #[test]
    fn who_comes_back_says_as_whom() {
        let resuming = JoinRequest {
            reconnect: true,
            participant_sid: "PA_a".into(),
            connection_settings: Some(ConnectionSettings::default()),
            ..Default::default()
        };
        let wishes = read(&BASE64_URL_SAFE.encode(wrapped(0, resuming.encode_to_vec()))).unwrap();
        assert_eq!((wishes.params["reconnect"].as_str(), wishes.params["sid"].as_str()), ("1", "PA_a"));
        assert_eq!(wishes.params["auto_subscribe"], "0");
        assert_eq!(wishes.offer, None);
    }

    #[test]
    fn a_client_that_says_nothing_wishes_nothing() {
        assert_eq!(read(""), Ok(Wishes::default()));
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_is_unpacked_or_decoded() {
        let text = |wrapped: Vec<u8>| BASE64_URL_SAFE.encode(wrapped);
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(bomb.len() < JOIN_REQUEST_BYTES);
        assert_eq!(read(&text(wrapped(1, bomb))), Err(Unreadable::TooLong));
        assert_eq!(read(&"A".repeat(JOIN_REQUEST_BYTES + 1)), Err(Unreadable::TooLong));
        let many = JoinRequest {
            add_track_requests: vec![AddTrackRequest::default(); SIGNAL_MESSAGE_FIELDS + 1],
            ..Default::default()
        };
        let refused = read(&text(wrapped(1, gzip(&many.encode_to_vec()))));
        assert_eq!(refused, Err(Unreadable::TooMuch(Excess::Fields { at_most: SIGNAL_MESSAGE_FIELDS })));
        assert!(matches!(read(&text([0x10, 1].repeat(100))), Err(Unreadable::TooMuch(_))));
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        let text = |wrapped: Vec<u8>| BASE64_URL_SAFE.encode(wrapped);
        assert_eq!(read("%%%"), Err(Unreadable::Encoding));
        assert_eq!(read(&text(wrapped(1, b"no gzip".to_vec()))), Err(Unreadable::Compression));
        let cut = gzip(&request().encode_to_vec());
        assert_eq!(read(&text(wrapped(1, cut[..cut.len() / 2].to_vec()))), Err(Unreadable::Compression));
        assert_eq!(read(&text(wrapped(7, Vec::new()))), Err(Unreadable::UnknownCompression));
        assert_eq!(read(&text(wrapped(0, vec![0x0a, 0xff]))), Err(Unreadable::Malformed));
        assert_eq!(read(&text(vec![0x12, 0xff])), Err(Unreadable::Malformed));
        assert!(!Unreadable::Malformed.to_string().is_empty());
    }
}
