//! How a participant's media is connected.
//!
//! ```text
//!   Link ─┬─ Dual    client ──offers──► publisher's line      (`/rtc`)
//!         │          client ◄──offers── subscriber's line
//!         └─ Single  client ──offers──► the only line         (`/rtc/v1`)
//! ```
//!
//! Whoever uses it names a line by what goes by it, and need not know whether the other way has the same one.

use std::time::Instant;

use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::{AddTrackRequest, SessionDescription, signal_response};
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{Codec, DownTrackSpec};

use super::downs::{Downs, Encoding, Settled};
use super::dual::Dual;
use super::line::Line;
use super::single::Single;
use crate::mux::LocalAddresses;
use crate::session::{Load, Packet, SessionError};

/// Which of the connections: that by which media comes, or that by which it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Publisher,
    Subscriber,
}

/// How many connections a participant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    One,
    Two,
}

/// How the media of whoever joins begins.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    Two,
    One {
        /// What they announce with their request to join.
        tracks: Vec<AddTrackRequest>,
        /// Their first offer, if it came with that.
        offer: Option<SessionDescription>,
    },
}

impl Opening {
    pub(crate) fn connections(&self) -> Connections {
        match self {
            Self::Two => Connections::Two,
            Self::One { .. } => Connections::One,
        }
    }
}

/// See the module.
pub(super) enum Link {
    Dual(Box<Dual>),
    Single(Box<Single>),
}

impl Link {
    pub(super) fn new(
        addresses: &LocalAddresses,
        connections: Connections,
        subscribes: bool,
        now: Instant,
    ) -> Self {
        match connections {
            Connections::Two => Self::Dual(Box::new(Dual::new(addresses, subscribes, now))),
            Connections::One => Self::Single(Box::new(Single::new(addresses, now))),
        }
    }

    pub(super) fn connections(&self) -> Connections {
        match self {
            Self::Dual(_) => Connections::Two,
            Self::Single(_) => Connections::One,
        }
    }

    /// Its lines, each once.
    pub(super) fn targets(&self) -> &'static [Target] {
        match self {
            Self::Dual(_) => &[Target::Publisher, Target::Subscriber],
            Self::Single(_) => &[Target::Publisher],
        }
    }

    pub(super) fn line(&self, target: Target) -> &Line {
        match (self, target) {
            (Self::Dual(dual), Target::Publisher) => &dual.publisher,
            (Self::Dual(dual), Target::Subscriber) => &dual.subscriber,
            (Self::Single(single), _) => &single.line,
        }
    }

    pub(super) fn line_mut(&mut self, target: Target) -> &mut Line {
        match (self, target) {
            (Self::Dual(dual), Target::Publisher) => &mut dual.publisher,
            (Self::Dual(dual), Target::Subscriber) => &mut dual.subscriber,
            (Self::Single(single), _) => &mut single.line,
        }
    }

    pub(super) fn timeouts(&mut self, now: Instant) {
        match self {
            Self::Dual(dual) => {
                dual.publisher.timeout(now);
                dual.subscriber.timeout(now);
            }
            Self::Single(single) => single.timeout(now),
        }
    }

    /// The line that decides whether a participant is there, as [`Link::targets`] names it.
    pub(super) fn primary(&self) -> Target {
        match self {
            Self::Dual(dual) if dual.subscribes => Target::Subscriber,
            Self::Dual(_) | Self::Single(_) => Target::Publisher,
        }
    }

    fn downs(&self) -> &Downs {
        match self {
            Self::Dual(dual) => &dual.downs,
            Self::Single(single) => &single.downs,
        }
    }

    fn downs_mut(&mut self) -> &mut Downs {
        match self {
            Self::Dual(dual) => &mut dual.downs,
            Self::Single(single) => &mut single.downs,
        }
    }

    pub(super) fn add_down_track(&mut self, spec: &DownTrackSpec) {
        self.downs_mut().add(spec);
    }

    pub(super) fn remove_down_track(&mut self, track: &TrackSid) {
        self.downs_mut().remove(track);
    }

    /// The track that goes out on a section.
    pub(super) fn track_on(&self, mid: &str) -> Option<TrackSid> {
        self.downs().track_on(mid)
    }

    /// Whether so many tracks came and went that what is negotiated with this participant has become dear.
    pub(super) fn is_worn_out(&self) -> bool {
        match self {
            Self::Dual(dual) => dual.is_worn_out(),
            Self::Single(_) => false,
        }
    }

    /// What the client is to answer, by a number; none where it has answered everything.
    pub(super) fn awaited(&self) -> Option<u32> {
        match self {
            Self::Dual(dual) => dual.awaited(),
            Self::Single(single) => single.awaited(),
        }
    }

    /// What the client is told so that what has changed is negotiated.
    pub(super) fn negotiate(&mut self) -> Option<signal_response::Message> {
        match self {
            Self::Dual(dual) => dual.negotiate().map(signal_response::Message::Offer),
            Self::Single(single) => {
                single.negotiate().map(signal_response::Message::MediaSectionsRequirement)
            }
        }
    }

    /// The answer to an offer of the client's: its text, the tracks that the client is sent by it, and what can flow now.
    pub(super) fn accept_offer(
        &mut self,
        offer: &SessionDescription,
    ) -> Result<(SessionDescription, Settled), SessionError> {
        let answer = |sdp| SessionDescription {
            r#type: "answer".to_owned(),
            sdp,
            id: offer.id,
            ..SessionDescription::default()
        };
        match self {
            Self::Dual(dual) => {
                let sdp = dual.publisher.session.accept_offer(&offer.sdp)?;
                dual.publisher.dirty = true;
                Ok((answer(sdp), Settled::default()))
            }
            Self::Single(single) => {
                let (sdp, settled) = single.accept_offer(offer)?;
                let mid_to_track_id = single.downs.mid_to_track_id();
                Ok((SessionDescription { mid_to_track_id, ..answer(sdp) }, settled))
            }
        }
    }

    /// What can flow after an answer of the client's to an offer of the server's; there is none where the client alone offers.
    pub(super) fn accept_answer(&mut self, answer: &SessionDescription) -> Result<Settled, SessionError> {
        match self {
            Self::Dual(dual) => dual.accept_answer(answer),
            Self::Single(_) => Ok(Settled::default()),
        }
    }

    /// The client has come back by another signalling connection.
    pub(super) fn resume(&mut self) {
        match self {
            Self::Dual(dual) => dual.resume(),
            Self::Single(single) => single.resume(),
        }
    }

    /// What the client can decode on the section of a track.
    pub(super) fn takes(&self, track: &TrackSid) -> Vec<Codec> {
        self.downs().takes(track)
    }

    /// Whether the client reads redundant sound of a track.
    pub(super) fn takes_red(&self, track: &TrackSid) -> bool {
        self.downs().takes_red(track)
    }

    /// Sends a packet without content of a track.
    pub(super) fn send_empty(&mut self, track: &TrackSid, codec: Codec, rewrite: Rewrite, now: Instant) {
        let (downs, line) = self.way_out();
        let Some(outlet) = downs.outlet(track, Encoding::Of(codec), rewrite) else { return };
        line.session.send_empty(outlet.mid, outlet.payload_type, outlet.rewrite, now);
        line.dirty = true;
    }

    /// The tracks that go to the client, and the line that they go by.
    fn way_out(&mut self) -> (&mut Downs, &mut Line) {
        match self {
            Self::Dual(dual) => (&mut dual.downs, &mut dual.subscriber),
            Self::Single(single) => (&mut single.downs, &mut single.line),
        }
    }

    /// Sends something of a packet of a track.
    pub(super) fn forward(
        &mut self,
        track: &TrackSid,
        packet: &Packet,
        rewrite: Rewrite,
        load: Load,
        now: Instant,
    ) {
        let (downs, line) = self.way_out();
        let wanted = if load.is_red { Encoding::Red } else { Encoding::Of(packet.codec) };
        let Some(outlet) = downs.outlet(track, wanted, rewrite) else { return };
        line.session.send(outlet.mid, outlet.payload_type, packet, outlet.rewrite, load, now);
        line.dirty = true;
    }
}
