//! One peer connection for both ways, which the client alone offers.
//!
//! ```text
//!   a track is to go out, or is gone ─► MediaSectionsRequirement ─► the client's offer ─► seated, stopped ─► answer
//!                                        how many sections lack
//! ```
//!
//! What has changed waits for the next offer, whoever wanted that. The client is asked for one where it would not come by itself, and not again
//! before it has offered, nor at once: offers are as long as there are sections, and each counts against how fast it may signal.

use std::time::{Duration, Instant};

use reelroom_limits::signalling::{SIGNAL_ANSWER_BYTES, SINGLE_SECTIONS};
use reelroom_protocol::proto::{MediaSectionsRequirement, SessionDescription, TrackType};

use super::downs::{Downs, Maker, Settled};
use super::line::Line;
use crate::mux::LocalAddresses;
use crate::session::sdp::offered::{
    Offered, longest_section, narrowed, offered, without_estimates_of_received_sound,
};
use crate::session::{SessionError, Way, sdp};

/// From one question to the next, for each section that the client offers.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// So many sections are left to what the client publishes: it is not asked for them. An offer with too many would have it disconnected.
const LEFT_SECTIONS: usize = 64;
/// And so much of what an offer may be long.
const LEFT_BYTES: usize = SIGNAL_ANSWER_BYTES / 4;

pub(super) struct Single {
    pub(super) line: Line,
    pub(super) downs: Downs,
    asked: Option<Asked>,
    times_asked: u32,
    /// When it may be asked again.
    ask_at: Instant,
    now: Instant,
    /// How large the client's last offer was; none before the first one.
    offered: Option<Size>,
}

/// How large an offer is.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Those of media.
    sections: usize,
    bytes: usize,
    /// Bytes of the longest section.
    longest: usize,
}

impl Size {
    /// How many sections more the client may be asked for.
    fn may_grow_by(self) -> usize {
        let sections = SINGLE_SECTIONS.saturating_sub(LEFT_SECTIONS + self.sections);
        let bytes = (SIGNAL_ANSWER_BYTES - LEFT_BYTES).saturating_sub(self.bytes);
        sections.min(bytes / self.longest.max(1))
    }
}

/// What the client was asked for.
#[derive(Debug)]
struct Asked {
    /// So many sections to receive on its offer is to have.
    audios: usize,
    videos: usize,
    /// An offer has come that was under way as it was asked.
    is_crossed: bool,
}

impl Single {
    pub(super) fn new(addresses: &LocalAddresses, now: Instant) -> Self {
        Self {
            line: Line::new(addresses, Way::Both, now),
            downs: Downs::new(Maker::Client),
            asked: None,
            times_asked: 0,
            ask_at: now,
            now,
            offered: None,
        }
    }

    /// Time goes on.
    pub(super) fn timeout(&mut self, now: Instant) {
        self.line.timeout(now);
        self.now = now;
    }

    /// The question whose offer is awaited.
    pub(super) fn awaited(&self) -> Option<u32> {
        self.asked.as_ref().map(|_| self.times_asked)
    }

    /// Asks the client for an offer, where that settles something and it has not been asked yet.
    pub(super) fn negotiate(&mut self) -> Option<MediaSectionsRequirement> {
        if !self.downs.has_changed() || self.asked.is_some() || self.now < self.ask_at {
            return None;
        }
        let offered = self.offered?;
        let (audio, video) = (self.downs.demand(TrackType::Audio), self.downs.demand(TrackType::Video));
        let lack = |(waiting, free): (usize, usize)| waiting.saturating_sub(free);
        let can_seat = |(waiting, free): (usize, usize)| waiting > 0 && free > 0;
        // Of more tracks than it may have sections the last ones wait until others go.
        let may_add = offered.may_grow_by();
        let audios = lack(audio).min(may_add);
        let videos = lack(video).min(may_add - audios);
        let settles = can_seat(audio) || can_seat(video) || audios + videos > 0 || self.downs.has_leaving();
        if !settles {
            self.downs.rest();
            return None;
        }
        let had = |kind| self.downs.sections_of(kind);
        self.asked = Some(Asked {
            audios: had(TrackType::Audio) + audios,
            videos: had(TrackType::Video) + videos,
            is_crossed: false,
        });
        self.times_asked = self.times_asked.wrapping_add(1);
        self.ask_at = self.now + ASKED_EVERY * (offered.sections + audios + videos) as u32;
        Some(MediaSectionsRequirement { num_audios: audios as u32, num_videos: videos as u32 })
    }

    /// The answer to the client's offer, and what can flow by it.
    pub(super) fn accept_offer(
        &mut self,
        offer: &SessionDescription,
    ) -> Result<(String, Settled), SessionError> {
        // The data channels have a section of their own.
        sdp::bounds::check(&offer.sdp, SIGNAL_ANSWER_BYTES, SINGLE_SECTIONS + 1)?;
        let mut sections = offered(&offer.sdp);
        // libwebrtc's clients offer to receive on what they published by before.
        for one in &mut sections {
            one.receives &= !self.line.session.has_had_layers(&one.mid);
        }
        self.offered = Some(Size {
            sections: sections.len(),
            bytes: offer.sdp.len(),
            longest: longest_section(&offer.sdp),
        });
        self.has_been_offered(&sections);
        self.downs.follow(&sections);
        // What is stopped is answered as stopped with this offer, and carries something with the next one.
        self.downs.stop();
        for (track, _) in self.downs.waiting() {
            let Some(choice) = self.downs.choose(&track) else { continue };
            // Whatever it has carried, this is another stream.
            self.line.session.renew_stream(&choice.mid);
            self.downs.seat(&track, choice);
        }
        let carrying = self.downs.carrying();
        let narrowed = narrowed(&offer.sdp, |mid| carrying.contains(mid));
        let answer =
            self.line.session.accept_bounded_offer(&without_estimates_of_received_sound(&narrowed))?;
        self.line.dirty = true;
        self.downs.stopped();
        let line = &self.line;
        let settled = self.downs.settle(|mid| line.payload_types(mid));
        Ok((self.downs.described(&answer), settled))
    }

    fn has_been_offered(&mut self, sections: &[Offered]) {
        let count = |kind| sections.iter().filter(|one| one.receives && one.kind == kind).count();
        if let Some(asked) = &mut self.asked {
            let has_all = count(TrackType::Audio) >= asked.audios && count(TrackType::Video) >= asked.videos;
            if has_all || std::mem::replace(&mut asked.is_crossed, true) {
                self.asked = None;
            }
        }
    }

    /// The client has come back by another signalling connection, and may not have heard what it was asked for, or answered. It offers by itself.
    pub(super) fn resume(&mut self) {
        self.asked = None;
        self.downs.stop_again();
    }
}

#[cfg(test)]
mod tests {
    use reelroom_sfu::{Codec, DownTrackSpec};

    use super::*;
    use crate::session::install_crypto;

    #[test]
    fn what_the_client_is_asked_for_leaves_room_for_what_it_publishes() {
        let size = |sections, bytes, longest| Size { sections, bytes, longest };
        assert_eq!(size(6, 20_000, 1000).may_grow_by(), SINGLE_SECTIONS - LEFT_SECTIONS - 6);
        assert_eq!(size(SINGLE_SECTIONS, 20_000, 1000).may_grow_by(), 0);
        let nearly_all = SIGNAL_ANSWER_BYTES - LEFT_BYTES - 9999;
        assert_eq!(size(6, nearly_all, 5000).may_grow_by(), 1);
        assert_eq!(size(6, SIGNAL_ANSWER_BYTES, 5000).may_grow_by(), 0);
        assert_eq!(size(0, 0, 0).may_grow_by(), SINGLE_SECTIONS - LEFT_SECTIONS);
    }

    #[test]
    fn a_section_that_layers_came_by_carries_nothing() {
        install_crypto();
        let address = "192.0.2.1:7882".parse().unwrap();
        let addresses =
            LocalAddresses { bound: vec![address], told: vec![address], ..LocalAddresses::default() };
        let mut single = Single::new(&addresses, Instant::now());
        let offer = |sdp: String| SessionDescription { sdp, ..SessionDescription::default() };
        let receives = include_str!("../session/sdp/offers/libwebrtc.sdp").replace('\n', "\r\n");
        let (before, from) = receives.split_once("m=video").unwrap();
        let layers = "a=sendonly\r\na=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n";
        let publishes = format!("{before}m=video{}", from.replacen("a=recvonly\r\n", layers, 1));
        single.accept_offer(&offer(publishes)).unwrap();
        for number in 0..3 {
            single.downs.add(&DownTrackSpec {
                subscriber: "PA_me".into(),
                publisher: "PA_a".into(),
                track: format!("TR_{number}").as_str().into(),
                codec: Codec::Vp8,
                backups: Vec::new(),
                stream_id: format!("PA_a|TR_{number}"),
                is_stereo: false,
            });
        }
        let (_, settled) = single.accept_offer(&offer(receives)).unwrap();
        assert_eq!((settled.ready.len(), single.downs.mid_to_track_id().len()), (2, 2));
        let asked = single.negotiate().unwrap();
        assert_eq!((asked.num_audios, asked.num_videos), (0, 1));
    }
}
