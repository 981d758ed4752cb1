//! The door that signalling comes in by: what a client's message may cost is known before it is decoded.
//!
//! ```text
//!   bytes ─► kind, length, fields ─► Refused: told to the client; where it is too long the connection ends
//!                  └────────────────► Said: what it counts, and the message, decoded unless nobody uses it
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use reelroom_limits::pace::{Pace, Rate};
use reelroom_limits::signalling::{
    SIGNAL_ANSWER_BYTES, SIGNAL_BURST, SIGNAL_FLOOD_FOR, SIGNAL_MESSAGE_BYTES, SIGNAL_MESSAGE_FIELDS,
    SIGNAL_PER_SECOND, SYNC_STATE_BYTES, SYNC_STATE_FIELDS,
};
use reelroom_protocol::proto::{
    RequestResponse, SignalRequest, request_response, signal_request, signal_response,
};
use reelroom_protocol::wire::{self, Excess, Shaped as _};

/// The numbers of the kinds of messages, where it matters before they are decoded.
mod kind {
    pub(super) const OFFER: u32 = 1;
    pub(super) const ANSWER: u32 = 2;
    pub(super) const TRICKLE: u32 = 3;
    pub(super) const SUBSCRIPTION: u32 = 6;
    pub(super) const TRACK_SETTING: u32 = 7;
    pub(super) const SYNC_STATE: u32 = 12;
    pub(super) const PING: u32 = 14;
    pub(super) const PING_REQ: u32 = 16;
    pub(super) const UPDATE_DATA_SUBSCRIPTION: u32 = 21;
    pub(super) const GET_DATA_BLOB: u32 = 23;
    pub(super) const LAST_KNOWN: u32 = 23;
}

/// So many bytes count as another message.
const BYTES_PER_WEIGHT: usize = 4096;
/// The server asks for each answer, and for the next one when it has that; it is as long as a room is large, and not as the client likes. So is what goes
/// beyond this of an offer, where one connection goes both ways, and of what a client that comes back says of its session.
const BYTES_PER_WEIGHT_OF_ANSWER: usize = 64 * 1024;
const WEIGHT_OF_ANNOUNCED: u32 = 5;
const WEIGHT_OF_OFFER: u32 = 10;
/// Nobody else is told of it; its own connection is negotiated anew.
const WEIGHT_OF_SUBSCRIPTION: u32 = 1;
/// A few bytes are answered by as many as a blob has.
const WEIGHT_OF_BLOB: u32 = 19;

/// A message that came through the door.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What it counts in [`reelroom_limits::signalling::SIGNAL_PER_SECOND`].
    pub weight: u32,
    /// The message; `None` where it is one that nobody uses, or none at all.
    pub message: Option<signal_request::Message>,
    /// What is to be answered at once, without a room.
    pub answer: Option<signal_response::Message>,
}

/// A message that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing more is read from such a client.
    #[error("a signalling message has {bytes} bytes, {at_most} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        at_most: usize,
    },
    /// The client is told, and goes on.
    #[error("a signalling message says several things at once")]
    Several,
    /// The client is told, and goes on.
    #[error("a signalling message asks for too much: {0}")]
    TooMuch(#[from] Excess),
}

impl Said {
    /// What a client sent, decoded if that may be done.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn read(bytes: &Bytes) -> Result<Self, Refused> {
        let mut kinds = wire::numbers(bytes);
        let Some(kind) = kinds.next() else { return Ok(Self::nothing(bytes.len())) };
        let at_most = match kind {
            kind::OFFER | kind::ANSWER => SIGNAL_ANSWER_BYTES,
            kind::SYNC_STATE => SYNC_STATE_BYTES,
            _ => SIGNAL_MESSAGE_BYTES,
        };
        if bytes.len() > at_most {
            return Err(Refused::TooLong { bytes: bytes.len(), at_most });
        }
        // Of several a decoder takes the last: it would not be the one that is weighed here.
        if kinds.next().is_some() {
            return Err(Refused::Several);
        }
        let mut said = Self::nothing(bytes.len());
        let long = bytes.len() / BYTES_PER_WEIGHT_OF_ANSWER;
        said.weight = match kind {
            kind::ANSWER | kind::SYNC_STATE => 1 + long as u32,
            kind::OFFER => {
                Self::nothing(bytes.len().min(BYTES_PER_WEIGHT_OF_ANSWER)).weight
                    + long.saturating_sub(1) as u32
            }
            _ => said.weight,
        };
        said.weight += match kind {
            kind::OFFER => WEIGHT_OF_OFFER,
            kind::SUBSCRIPTION | kind::UPDATE_DATA_SUBSCRIPTION => WEIGHT_OF_SUBSCRIPTION,
            kind::GET_DATA_BLOB => WEIGHT_OF_BLOB,
            kind::ANSWER
            | kind::TRICKLE
            | kind::TRACK_SETTING
            | kind::SYNC_STATE
            | kind::PING
            | kind::PING_REQ => 0,
            _ => WEIGHT_OF_ANNOUNCED,
        };
        if kind > kind::LAST_KNOWN {
            let text = "not known to this server";
            said.answer = Some(response(request_response::Reason::UnsupportedType, text));
            return Ok(said);
        }
        let fields = if kind == kind::SYNC_STATE { SYNC_STATE_FIELDS } else { SIGNAL_MESSAGE_FIELDS };
        wire::fields(bytes, SignalRequest::SHAPE, fields)?;
        said.message = SignalRequest::decode(bytes.clone()).ok().and_then(|request| request.message);
        Ok(said)
    }

    /// What something counts that is no message of signalling: a text, a ping of the WebSocket.
    pub fn nothing(bytes: usize) -> Self {
        Self { weight: 1 + (bytes / BYTES_PER_WEIGHT) as u32, message: None, answer: None }
    }
}

/// A client that is not held back for so long has paused.
const PAUSE: Duration = Duration::from_secs(1);

/// How fast a client may go on.
#[derive(Debug)]
pub struct Turns {
    pace: Pace,
    /// Since when it has been held back without a pause, and until when the last time.
    held_back: Option<(Instant, Instant)>,
}

/// What becomes of a client that has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It goes on.
    Now,
    /// It is not read from for so long.
    After(Duration),
    /// It has been held back for too long without a pause: its connection ends.
    Never,
}

impl Turns {
    /// Of a client that has said nothing.
    pub fn new(now: Instant) -> Self {
        let rate = Rate::per_second(SIGNAL_BURST, SIGNAL_PER_SECOND);
        Self { pace: Pace::new(rate, now), held_back: None }
    }

    /// It said something that counts `weight`.
    pub fn take(&mut self, weight: u32, now: Instant) -> Turn {
        let Ok(wait) = self.pace.take(weight, Duration::MAX, now) else { return Turn::Never };
        if wait.is_zero() {
            // A server that is busy wakes up late: that is no pause of the client's.
            if self.held_back.is_some_and(|(_, until)| now.saturating_duration_since(until) >= PAUSE) {
                self.held_back = None;
            }
            return Turn::Now;
        }
        let since = self.held_back.map_or(now, |(since, _)| since);
        self.held_back = Some((since, now + wait));
        if now.saturating_duration_since(since) >= SIGNAL_FLOOD_FOR { Turn::Never } else { Turn::After(wait) }
    }
}

impl Refused {
    /// What the client is told.
    pub fn response(&self) -> signal_response::Message {
        response(request_response::Reason::LimitExceeded, &self.to_string())
    }
}

/// An answer to a request that was not decoded.
pub fn response(reason: request_response::Reason, text: &str) -> signal_response::Message {
    signal_response::Message::RequestResponse(RequestResponse {
        reason: reason.into(),
        message: text.to_owned(),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{
        AddTrackRequest, PublishDataTrackRequest, SessionDescription, SimulcastCodec, SyncState,
        TrackPublishedResponse, TrickleRequest, UpdateTrackSettings, VideoLayer,
    };

    use super::*;

    fn bytes(message: signal_request::Message) -> Bytes {
        SignalRequest { message: Some(message) }.encode_to_vec().into()
    }

    #[test]
    fn a_message_that_multiplies_is_refused_before_it_is_decoded() {
        let codec = SimulcastCodec { layers: vec![VideoLayer::default(); 1000], ..Default::default() };
        let request = AddTrackRequest { simulcast_codecs: vec![codec; 20], ..Default::default() };
        let refused = Said::read(&bytes(signal_request::Message::AddTrack(request))).unwrap_err();
        assert_eq!(refused, Refused::TooMuch(Excess::Fields { at_most: SIGNAL_MESSAGE_FIELDS }));
        let signal_response::Message::RequestResponse(told) = refused.response() else { panic!() };
        assert_eq!(told.reason, i32::from(request_response::Reason::LimitExceeded));
        assert!(told.message.contains("4096 fields"), "{}", told.message);
    }

    #[test]
    fn descriptions_may_be_as_long_as_a_room_is_large_and_nothing_else() {
        let sdp = |bytes| SessionDescription { sdp: "x".repeat(bytes), ..Default::default() };
        let long = SIGNAL_MESSAGE_BYTES + 1;
        let state =
            |bytes| SyncState { offer: Some(sdp(bytes)), answer: Some(sdp(bytes)), ..Default::default() };
        for message in [
            signal_request::Message::Answer(sdp(long)),
            signal_request::Message::Offer(sdp(long)),
            signal_request::Message::SyncState(state(SIGNAL_ANSWER_BYTES - 100)),
        ] {
            assert!(Said::read(&bytes(message)).unwrap().message.is_some());
        }
        for message in [
            signal_request::Message::Trickle(TrickleRequest {
                candidate_init: "x".repeat(long),
                ..Default::default()
            }),
            signal_request::Message::Offer(sdp(SIGNAL_ANSWER_BYTES)),
            signal_request::Message::Answer(sdp(SIGNAL_ANSWER_BYTES)),
            signal_request::Message::SyncState(state(SYNC_STATE_BYTES / 2)),
        ] {
            let refused = Said::read(&bytes(message)).unwrap_err();
            assert!(matches!(refused, Refused::TooLong { .. }), "{refused}");
        }
    }

    #[test]
    fn the_largest_offer_of_a_browser_comes_through() {
        // 34 tracks with three layers each, as long as Chromium writes them.
        let section = "a=rtpmap:96 VP8/90000\r\n".repeat(130);
        let offer = SessionDescription { sdp: section.repeat(34), ..Default::default() };
        assert!(offer.sdp.len() > 100_000);
        let said = Said::read(&bytes(signal_request::Message::Offer(offer.clone()))).unwrap();
        assert_eq!(said.message, Some(signal_request::Message::Offer(offer)));
    }

    #[test]
    fn what_is_too_much_is_not_decoded_and_what_is_not_known_is_answered() {
        let published = vec![TrackPublishedResponse::default(); SYNC_STATE_FIELDS];
        let state = SyncState { publish_tracks: published, ..Default::default() };
        let refused = Said::read(&bytes(signal_request::Message::SyncState(state))).unwrap_err();
        assert_eq!(refused, Refused::TooMuch(Excess::Fields { at_most: SYNC_STATE_FIELDS }));
        // A message of a later version of the protocol: number 24, of no bytes.
        let said = Said::read(&Bytes::from_static(&[0xc2, 0x01, 0x00])).unwrap();
        assert!(said.message.is_none() && said.answer.is_some());
        let request = signal_request::Message::PublishDataTrackRequest(PublishDataTrackRequest::default());
        let said = Said::read(&bytes(request.clone())).unwrap();
        assert_eq!((said.message, said.answer), (Some(request), None));
        let two = [
            bytes(signal_request::Message::Ping(1)),
            bytes(signal_request::Message::Mute(Default::default())),
        ];
        assert_eq!(Said::read(&two.concat().into()), Err(Refused::Several));
        for nothing in [&b""[..], b"\xff", b"text", &[0xff; 4096]] {
            let said = Said::read(&Bytes::copy_from_slice(nothing)).unwrap();
            assert!(said.message.is_none() && said.weight >= 1, "{nothing:?}");
        }
    }

    #[test]
    fn a_burst_goes_through_a_flood_is_slowed_and_one_without_end_ends() {
        let mut now = Instant::now();
        let mut turns = Turns::new(now);
        for _ in 0..SIGNAL_BURST {
            assert_eq!(turns.take(1, now), Turn::Now);
        }
        // A client that goes on as soon as it is read from is slowed for as long as allowed.
        let (began, mut said) = (now, 0);
        loop {
            match turns.take(1, now) {
                Turn::Now => panic!("it is not slowed"),
                Turn::After(wait) => now += wait,
                Turn::Never => break,
            }
            said += 1;
        }
        assert!(now.duration_since(began) < SIGNAL_FLOOD_FOR + Duration::from_secs(1));
        assert!(said <= SIGNAL_PER_SECOND * 31, "{said}");
        // Whoever pauses may go on.
        let mut turns = Turns::new(now);
        for _ in 0..20 {
            for _ in 0..SIGNAL_BURST {
                assert_ne!(turns.take(1, now), Turn::Never);
            }
            now += Duration::from_secs(11);
        }
    }

    #[test]
    fn what_others_are_told_of_counts_more() {
        let weight = |message| Said::read(&bytes(message)).unwrap().weight;
        let setting = weight(signal_request::Message::TrackSetting(UpdateTrackSettings::default()));
        let mute = weight(signal_request::Message::Mute(Default::default()));
        let offer = |bytes| SessionDescription { sdp: "x".repeat(bytes), ..Default::default() };
        let (short, long) = (offer(10), offer(40 * 1024));
        let subscription = weight(signal_request::Message::Subscription(Default::default()));
        assert_eq!((setting, mute, subscription), (1, 6, 2));
        assert_eq!(weight(signal_request::Message::Answer(offer(150 * 1024))), 3);
        assert_eq!(weight(signal_request::Message::Offer(short)), 11);
        assert_eq!(weight(signal_request::Message::Offer(long)), 21);
    }
}
