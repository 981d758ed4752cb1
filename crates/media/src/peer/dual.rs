//! Two peer connections: the publisher's, which the client offers, and the subscriber's, which the server does.

use std::time::Instant;

use reelroom_limits::signalling::IDLE_SECTIONS;
use reelroom_protocol::proto::SessionDescription;

use super::downs::{Downs, Maker, Settled};
use super::line::Line;
use crate::mux::LocalAddresses;
use crate::session::{Changes, NewMedia, SessionError, Way};

/// The data channels that the server opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    /// Nothing ever goes to this participant.
    None,
    /// With them in it, the first offer has something to connect for.
    Wanted,
    Offered,
    Open,
}

pub(super) struct Dual {
    pub(super) publisher: Line,
    pub(super) subscriber: Line,
    pub(super) downs: Downs,
    pub(super) subscribes: bool,
    channels: Channels,
    /// ICE is to be restarted with the next offer.
    restarts: bool,
    /// An offer has been answered: before that there is nothing to restart.
    is_answered: bool,
    offer_id: u32,
    /// The offer whose answer is awaited.
    offered: Option<SessionDescription>,
    /// That is to be said again.
    repeats: bool,
}

impl Dual {
    pub(super) fn new(addresses: &LocalAddresses, subscribes: bool, now: Instant) -> Self {
        Self {
            publisher: Line::new(addresses, Way::In, now),
            subscriber: Line::new(addresses, Way::Out, now),
            downs: Downs::new(Maker::Server),
            subscribes,
            channels: if subscribes { Channels::Wanted } else { Channels::None },
            restarts: false,
            is_answered: false,
            offer_id: 0,
            offered: None,
            repeats: false,
        }
    }

    /// Whether so many tracks came and went that the offers to this participant have become dear.
    pub(super) fn is_worn_out(&self) -> bool {
        self.subscriber.session.offered_sections().saturating_sub(self.downs.len()) > IDLE_SECTIONS
    }

    /// The offer whose answer is awaited.
    pub(super) fn awaited(&self) -> Option<u32> {
        self.subscriber.session.awaits_answer().then_some(self.offer_id)
    }

    /// Offers what has changed, unless an answer is still awaited.
    pub(super) fn negotiate(&mut self) -> Option<SessionDescription> {
        if self.subscriber.session.awaits_answer() {
            return std::mem::take(&mut self.repeats).then(|| self.offered.clone()).flatten();
        }
        let begins = self.restarts || self.channels == Channels::Wanted;
        if !begins && !self.downs.has_changed() {
            return None;
        }
        self.downs.rest();
        let waiting = self.downs.waiting();
        if !begins && waiting.is_empty() && !self.downs.has_leaving() {
            return None;
        }
        let mut changes = Changes {
            channels: self.channels == Channels::Wanted,
            restart: std::mem::take(&mut self.restarts),
            stop: self.downs.stop(),
            ..Changes::default()
        };
        let mut new = Vec::new();
        for (track, codec) in waiting {
            match self.downs.choose(&track) {
                Some(choice) => {
                    changes.again.push(choice.mid.clone());
                    self.downs.seat(&track, choice);
                }
                None => {
                    // The text is given its names below, as that of each other section is.
                    let (stream_id, track_id) = (track.to_string(), track.to_string());
                    changes.add.push(NewMedia { codec, stream_id, track_id });
                    new.push(track);
                }
            }
        }
        self.subscriber.dirty = true;
        let (sdp, mids) = self.subscriber.session.offer(&changes)?;
        if changes.channels {
            self.channels = Channels::Offered;
        }
        for (track, mid) in new.iter().zip(mids) {
            self.downs.seat_on_new(track, mid);
        }
        self.offer_id += 1;
        self.offered = Some(SessionDescription {
            r#type: "offer".to_owned(),
            sdp: self.downs.described(&sdp),
            id: self.offer_id,
            mid_to_track_id: self.downs.mid_to_track_id(),
        });
        self.offered.clone()
    }

    /// What can flow now. An answer to an older offer says nothing; clients that count no offers say 0.
    pub(super) fn accept_answer(&mut self, answer: &SessionDescription) -> Result<Settled, SessionError> {
        let is_older = answer.id != 0 && answer.id != self.offer_id;
        if is_older || !self.subscriber.session.awaits_answer() {
            return Ok(Settled::default());
        }
        (self.offered, self.repeats) = (None, false);
        self.subscriber.session.accept_answer(&answer.sdp)?;
        self.subscriber.dirty = true;
        self.is_answered = true;
        if self.channels == Channels::Offered {
            self.channels = Channels::Open;
        }
        let line = &self.subscriber;
        let mut refused = self.downs.give_up(|mid| line.session.has_section(mid));
        self.downs.stopped();
        let mut settled = self.downs.settle(|mid| line.payload_types(mid));
        settled.refused.append(&mut refused);
        Ok(settled)
    }

    /// The client has come back by another signalling connection, and how it is reached is found out anew. It may have heard the offer that was made
    /// last, or not, and its answer may be lost: so that offer is said again. Another one in its place would have other sections, which a client that
    /// took the first one up refuses.
    pub(super) fn resume(&mut self) {
        self.repeats = self.subscriber.session.awaits_answer();
        self.restarts = self.is_answered;
    }
}
