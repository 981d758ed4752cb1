//! What the session and its peer agree on: descriptions, their sections, candidates, and how the session is named.

use reelroom_limits::signalling::{SDP_BYTES, SDP_SECTIONS, SIGNAL_ANSWER_BYTES};
use reelroom_sfu::Codec;
use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, MediaKind, Mid, Rids};

use super::receiving::codec;
use super::sdp;
use super::sdp::bounds::{self, Candidates};
use super::stun::Credentials;
use super::{DATA_TRACK, LOSSY, RELIABLE, Session, SessionError, SessionEvent, own_credentials, receive_at};
use crate::mux::LocalAddresses;

/// What the next offer changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Open the data channels.
    pub(crate) channels: bool,
    /// Sections to stop.
    pub(crate) stop: Vec<String>,
    /// Sections that were stopped, and carry another track now.
    pub(crate) again: Vec<String>,
    /// Sections to add.
    pub(crate) add: Vec<NewMedia>,
    /// Find out anew how the peer is reached.
    pub(crate) restart: bool,
}

/// A section to add.
#[derive(Debug)]
pub(crate) struct NewMedia {
    pub(crate) codec: Codec,
    /// `PA_…|TR_…`: how clients know whose track it is.
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
}

impl Session {
    /// Names this connection in incoming STUN requests, and signs them.
    pub(crate) fn credentials(&mut self) -> (String, String) {
        (self.own.ufrag.clone(), self.own.password.clone())
    }

    /// Tells all names by which the peer may ask for this session.
    pub(super) fn tell_names(&mut self) {
        let names = [Some(&self.own), self.older.as_ref(), self.coming.as_ref()];
        let names = names.into_iter().flatten().map(|one| (one.ufrag.clone(), one.password.clone()));
        self.events.push(SessionEvent::Names(names.collect()));
    }

    /// A description was taken up: where it restarted ICE the peer names this session by another name.
    pub(super) fn look_at_names(&mut self) {
        let now = own_credentials(&mut self.rtc);
        if now == self.own {
            return;
        }
        self.older = Some(std::mem::replace(&mut self.own, now));
        self.coming = None;
        // Those of before belong to what was restarted, and str0m has forgotten them too.
        self.candidates = Candidates::default();
        self.tell_names();
        // While nobody has come by the new name, str0m counts the peer neither as found nor as lost.
        self.events.push(SessionEvent::Restarts);
    }

    /// The answer to a peer's offer.
    pub(crate) fn accept_offer(&mut self, sdp: &str) -> Result<String, SessionError> {
        bounds::check(sdp, SDP_BYTES, SDP_SECTIONS)?;
        self.accept_bounded_offer(sdp)
    }

    /// The same, of an offer that is known to ask for no more than anybody may.
    pub(crate) fn accept_bounded_offer(&mut self, sdp: &str) -> Result<String, SessionError> {
        let offer = SdpOffer::from_sdp_string(&self.candidates.of_sdp(sdp)).map_err(SessionError::new)?;
        self.flush();
        self.peer = Credentials::of(sdp);
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(SessionError::new);
        self.drain();
        self.look_at_names();
        let answer = answer?;
        // By some of them the peer may offer to be sent something as well.
        let offered = sdp::sections(sdp);
        self.reports.sections(offered.iter().map(|section| Mid::from(section.mid.as_str())).collect());
        if self.is_paced {
            self.sends_by(sdp);
        }
        Ok(sdp::with_candidates(&answer.to_sdp_string(), &self.told, &self.told_tcp))
    }

    /// This machine's addresses may be others than when the session began: the peer is told them with the next description.
    pub(crate) fn moves_to(&mut self, addresses: &LocalAddresses) {
        self.told.clone_from(&addresses.told);
        self.told_tcp.clone_from(&addresses.told_tcp);
        receive_at(&mut self.rtc, addresses);
        self.drain();
    }

    /// Whether a section is there, and not given up by the peer.
    pub(crate) fn has_section(&self, mid: &str) -> bool {
        self.rtc.media(Mid::from(mid)).is_some_and(|media| !media.disabled())
    }

    /// Whether the peer has sent layers by a section of its own: whatever becomes of that, str0m sends nothing by it.
    pub(crate) fn has_had_layers(&self, mid: &str) -> bool {
        self.rtc.media(Mid::from(mid)).is_some_and(|media| matches!(media.rids_rx(), Rids::Specific(_)))
    }

    /// An offer with the wanted changes, unless one is waiting for its answer or nothing is to change. The mids of
    /// added sections are in the order of `add`.
    pub(crate) fn offer(&mut self, changes: &Changes) -> Option<(String, Vec<String>)> {
        if self.pending.is_some() {
            return None;
        }
        self.flush();
        for mid in &changes.again {
            self.renew_stream(mid);
        }
        let mut api = self.rtc.sdp_api();
        if changes.channels {
            let lossy = Reliability::MaxRetransmits { retransmits: 0 };
            let channel = |label: &str, reliability| ChannelConfig {
                label: label.to_owned(),
                ordered: reliability == Reliability::Reliable,
                reliability,
                ..Default::default()
            };
            self.reliable = Some(api.add_channel_with_config(channel(RELIABLE, Reliability::Reliable)));
            self.lossy = Some(api.add_channel_with_config(channel(LOSSY, lossy)));
            self.tracks = Some(api.add_channel_with_config(channel(DATA_TRACK, lossy)));
        }
        for mid in &changes.stop {
            api.set_direction(Mid::from(mid.as_str()), Direction::Inactive);
        }
        for mid in &changes.again {
            api.set_direction(Mid::from(mid.as_str()), Direction::SendOnly);
        }
        let restarted = changes.restart.then(|| api.ice_restart(true));
        let mut mids = Vec::new();
        for media in &changes.add {
            let kind = if media.codec == Codec::Opus { MediaKind::Audio } else { MediaKind::Video };
            let mid = api.add_media(
                kind,
                Direction::SendOnly,
                Some(media.stream_id.clone()),
                Some(media.track_id.clone()),
                None,
            );
            mids.push(mid.to_string());
            self.reports.section(mid);
        }
        let applied = api.apply();
        for (mid, _) in mids.iter().zip(&changes.add).filter(|(_, media)| media.codec != Codec::Opus) {
            self.pictures.push(Mid::from(mid.as_str()));
        }
        self.pace();
        self.drain();
        let (offer, pending) = applied?;
        self.pending = Some(pending);
        self.sections += mids.len();
        if let Some(coming) = restarted {
            self.coming = Some(Credentials { ufrag: coming.ufrag, password: coming.pass });
            self.tell_names();
        }
        let offer = sdp::without_estimates_of_sound(&offer.to_sdp_string());
        Some((sdp::with_candidates(&offer, &self.told, &self.told_tcp), mids))
    }

    /// Whether the peer is to be told that candidates of it are left out: once.
    pub(crate) fn has_to_tell_of_candidates(&mut self) -> bool {
        self.candidates.has_to_tell()
    }

    /// How many sections our own offers have had, those that the peer gave up included: they stay.
    pub(crate) fn offered_sections(&self) -> usize {
        self.sections
    }

    pub(crate) fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn accept_answer(&mut self, sdp: &str) -> Result<(), SessionError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        // The data channels have a section of their own.
        bounds::check(sdp, SIGNAL_ANSWER_BYTES, self.sections + 1)?;
        let sdp = &self.candidates.of_sdp(sdp);
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(SessionError::new)?;
        self.peer = Credentials::of(sdp);
        self.flush();
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer).map_err(SessionError::new);
        self.asks_for_lost(sdp);
        // Streams are there by now, if they were not before.
        self.pace();
        self.drain();
        self.look_at_names();
        accepted
    }

    /// A candidate of the peer; what cannot be used (names of mDNS) is left out, for the peer's own checks find us.
    pub(crate) fn add_remote_candidate(&mut self, candidate: &str) {
        if !self.candidates.take(candidate) {
            return;
        }
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.rtc.add_remote_candidate(candidate);
            self.drain();
        }
    }

    /// The payload types that the peer takes on a section of ours.
    pub(crate) fn payload_types(&self, mid: &str) -> Vec<(Codec, u8)> {
        let Some(media) = self.rtc.media(Mid::from(mid)) else { return Vec::new() };
        let params = self.rtc.codec_config().params().iter();
        params
            .filter(|params| media.remote_pts().contains(&params.pt()))
            .filter_map(|params| Some((codec(params.spec().codec)?, *params.pt())))
            .collect()
    }

    /// The payload type by which the peer takes redundant sound.
    pub(crate) fn red_payload_type(&self, mid: &str) -> Option<u8> {
        let media = self.rtc.media(Mid::from(mid))?;
        let mut params = self.rtc.codec_config().params().iter();
        params
            .find(|params| media.remote_pts().contains(&params.pt()) && params.red().is_some())?
            .red()
            .map(|pt| *pt)
    }
}
