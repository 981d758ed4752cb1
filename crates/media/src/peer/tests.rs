//! Participants whose clients are another kind of WebRTC, in virtual time: somebody who speaks, and somebody who hears them.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reelroom_protocol::proto::MediaSectionsRequirement;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::ChannelConfig;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::*;
use crate::mux::Incoming;
use crate::session::{SessionEvent, install_crypto};

const STEP: Duration = Duration::from_millis(10);

fn server() -> SocketAddr {
    "192.0.2.1:7000".parse().unwrap()
}

/// One connection of a participant, from both sides.
struct Person {
    client: Rtc,
    peer: Peer,
    target: Target,
    home: SocketAddr,
    mids: Vec<Mid>,
    /// The senders of the packets that came, in order.
    heard: Vec<u32>,
    events: Vec<SessionEvent>,
}

impl Person {
    fn new(connections: Connections, target: Target, port: u16, now: Instant) -> Self {
        install_crypto();
        let home = SocketAddr::from(([198, 51, 100, 7], port));
        let addresses =
            LocalAddresses { bound: vec![server()], told: vec![server()], ..LocalAddresses::default() };
        let (outbox, _) = outbox::new();
        let mut client = Rtc::builder()
            .set_rtp_mode(true)
            .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
            .build(now);
        client.add_local_candidate(Candidate::host(home, "udp").unwrap()).unwrap();
        let peer = Peer::new(&addresses, outbox, connections, true, now);
        Self { client, peer, target, home, mids: Vec::new(), heard: Vec::new(), events: Vec::new() }
    }

    /// The client offers these sections beside those that it has, and wants to receive on all.
    fn offers(&mut self, new: usize, direction: Direction, restarts: bool) -> Answered {
        let mut api = self.client.sdp_api();
        for mid in &self.mids {
            api.set_direction(*mid, direction);
        }
        if self.mids.is_empty() {
            api.add_channel_with_config(ChannelConfig { label: "_reliable".into(), ..Default::default() });
        }
        for _ in 0..new {
            self.mids.push(api.add_media(MediaKind::Audio, direction, None, None, None));
        }
        if restarts {
            api.ice_restart(true);
        }
        let (offer, pending) = api.apply().expect("something changes");
        let offer = SessionDescription { sdp: offer.to_sdp_string(), id: 7, ..Default::default() };
        let answered = self.peer.accept_offer(&offer, |_| None).unwrap();
        assert_eq!(answered.description.id, 7);
        let answer = SdpAnswer::from_sdp_string(&answered.description.sdp).unwrap();
        self.client.sdp_api().accept_answer(pending, answer).unwrap();
        answered
    }

    /// What the client is told so that it offers.
    fn required(&mut self) -> Option<(u32, u32)> {
        match self.peer.link.negotiate()? {
            signal_response::Message::MediaSectionsRequirement(MediaSectionsRequirement {
                num_audios,
                num_videos,
            }) => Some((num_audios, num_videos)),
            other => panic!("{other:?}"),
        }
    }

    /// What the server offers.
    fn offered(&mut self) -> Option<SessionDescription> {
        match self.peer.link.negotiate()? {
            signal_response::Message::Offer(offer) => Some(offer),
            other => panic!("{other:?}"),
        }
    }

    /// The client answers that.
    fn answers(&mut self, offer: &SessionDescription) -> Vec<TrackSid> {
        let parsed = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
        let answer = self.client.sdp_api().accept_offer(parsed).unwrap();
        let answer = SessionDescription { sdp: answer.to_sdp_string(), id: offer.id, ..Default::default() };
        self.peer.accept_answer(&answer).unwrap().ready
    }

    fn add(&mut self, track: &str) {
        self.peer.add_down_track(&DownTrackSpec {
            subscriber: "PA_me".into(),
            publisher: "PA_a".into(),
            track: track.into(),
            codec: Codec::Opus,
            backups: Vec::new(),
            stream_id: format!("PA_a|{track}"),
            is_stereo: false,
        });
    }

    fn exchange(&mut self, now: Instant) {
        self.client.handle_input(Input::Timeout(now)).unwrap();
        for _ in 0..20 {
            let mut is_quiet = self.drain(now);
            self.peer.timeouts(now);
            let (datagrams, events) = self.peer.line_mut(self.target).session.take();
            self.events.extend(events);
            for datagram in datagrams {
                is_quiet = false;
                let receive =
                    Receive::new(Protocol::Udp, datagram.source, self.home, &datagram.bytes).unwrap();
                self.client.handle_input(Input::Receive(now, receive)).unwrap();
                self.drain(now);
            }
            if is_quiet {
                break;
            }
        }
    }

    /// Hands over what the client has to send, and says whether that was nothing.
    fn drain(&mut self, now: Instant) -> bool {
        let mut is_quiet = true;
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(_) => return is_quiet,
                Output::Transmit(transmit) => {
                    is_quiet = false;
                    let incoming = Incoming::udp(self.home, server(), transmit.contents.to_vec(), now);
                    self.peer.line_mut(self.target).session.receive(&incoming);
                }
                Output::Event(Event::RtpPacket(packet)) => self.heard.push(*packet.header.ssrc),
                Output::Event(_) => {}
            }
        }
    }

    /// By which names its session went, the last time that they changed.
    fn names(&self) -> usize {
        let names = self.events.iter().rev().find_map(|event| match event {
            SessionEvent::Names(names) => Some(names.len()),
            _ => None,
        });
        names.unwrap_or(1)
    }
}

/// Somebody who speaks without a pause, and somebody who may hear it.
struct Call {
    ada: Person,
    bob: Person,
    now: Instant,
    spoken: u64,
    /// As which track Bob gets it.
    track: Option<TrackSid>,
    seq: u64,
}

impl Call {
    fn new(connections: Connections, target: Target) -> Self {
        let now = Instant::now();
        let mut ada = Person::new(Connections::Two, Target::Publisher, 4000, now);
        ada.offers(1, Direction::SendOnly, false);
        let bob = Person::new(connections, target, 5000, now);
        Self { ada, bob, now, spoken: 0, track: None, seq: 0 }
    }

    /// Bob gets what Ada says as this track from now on.
    fn carry(&mut self, track: &str) {
        (self.track, self.seq) = (Some(track.into()), 0);
    }

    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.now += STEP;
            self.speak();
            self.ada.exchange(self.now);
            for event in std::mem::take(&mut self.ada.events) {
                let (SessionEvent::Packet(packet), Some(track)) = (event, &self.track) else { continue };
                let rtp = (self.seq * 960) as u32;
                let rewrite = Rewrite { seq: self.seq, free: 0, rtp, vp8: None, ends_picture: false };
                self.seq += 1;
                let load = Load {
                    payload: packet.shared_payload(),
                    marker: packet.marker(),
                    is_red: packet.is_red,
                    is_own: true,
                };
                self.bob.peer.forward(track, &packet, rewrite, load, self.now);
            }
            self.bob.exchange(self.now);
        }
    }

    fn speak(&mut self) {
        let mid = self.ada.mids[0];
        let Some(pt) = self.ada.client.media(mid).and_then(|media| media.remote_pts().first().copied())
        else {
            return;
        };
        if !self.ada.client.is_connected() {
            return;
        }
        let mut api = self.ada.client.direct_api();
        if let Some(stream) = api.stream_tx_by_mid(mid, None) {
            self.spoken += 1;
            let rtp = u32::try_from(self.spoken * 480).unwrap();
            stream.write_rtp(RtpWrite::new(pt, self.spoken.into(), rtp, self.now, vec![7u8; 50]));
        }
    }

    /// What Bob hears in a while: how many packets, and of how many senders.
    fn hears(&mut self, ms: u64) -> (usize, Vec<u32>) {
        self.bob.heard.clear();
        self.run(ms);
        let mut senders = self.bob.heard.clone();
        senders.sort_unstable();
        senders.dedup();
        (self.bob.heard.len(), senders)
    }
}

fn sections(sdp: &str) -> usize {
    sdp.matches("\r\nm=").count()
}

#[test]
fn by_one_connection_tracks_come_and_go_on_the_clients_own_sections() {
    let mut call = Call::new(Connections::One, Target::Publisher);
    let answered = call.bob.offers(3, Direction::RecvOnly, false);
    assert_eq!(answered.description.sdp.matches("a=inactive").count(), 3);
    assert!(answered.description.mid_to_track_id.is_empty() && answered.settled.ready.is_empty());
    call.run(1000);
    assert!(call.bob.events.iter().any(|event| matches!(event, SessionEvent::Connected)));
    assert_eq!(call.bob.required(), None, "nothing has changed");
    let (mut senders, mut at_first) = (Vec::new(), None);
    for round in 0..12 {
        let track = format!("TR_{}", round % 5);
        call.bob.add(&track);
        assert_eq!(call.bob.required(), Some((0, 0)), "it has room, and is to offer");
        assert_eq!(call.bob.required(), None, "it is asked once");
        let answered = call.bob.offers(0, Direction::RecvOnly, false);
        assert_eq!(answered.settled.ready, [TrackSid::from(track.as_str())]);
        let sdp = &answered.description.sdp;
        assert!(sdp.contains(&format!("a=msid:PA_a|{track} {track}\r\n")), "{sdp}");
        assert_eq!(sdp.matches("a=msid:").count(), 1, "{sdp}");
        let told: Vec<_> = answered.description.mid_to_track_id.values().cloned().collect();
        assert_eq!(told, std::slice::from_ref(&track));
        assert_eq!(*at_first.get_or_insert(sections(sdp)), sections(sdp), "it does not grow");
        call.carry(&track);
        let (heard, of) = call.hears(500);
        assert!(heard >= 40, "{heard} in round {round}");
        assert_eq!(of.len(), 1);
        assert!(!senders.contains(&of[0]), "another stream, so that its numbers may begin anew");
        senders.extend(of);
        call.track = None;
        call.bob.peer.remove_down_track(&track.as_str().into());
        assert_eq!(call.bob.required(), Some((0, 0)));
        let answered = call.bob.offers(0, Direction::RecvOnly, false);
        assert_eq!(answered.description.sdp.matches("a=inactive").count(), 3);
        assert_eq!(call.hears(100).0, 0);
    }
}

#[test]
fn a_client_is_asked_for_as_many_sections_as_it_lacks_and_no_more() {
    let mut call = Call::new(Connections::One, Target::Publisher);
    for number in 0..5 {
        call.bob.add(&format!("TR_{number}"));
    }
    assert_eq!(call.bob.required(), None, "it has not offered anything yet");
    assert_eq!(call.bob.offers(3, Direction::RecvOnly, false).settled.ready.len(), 3);
    assert_eq!(call.bob.required(), Some((2, 0)));
    call.run(300);
    // An offer of its own was under way.
    assert!(call.bob.offers(0, Direction::RecvOnly, true).settled.ready.is_empty());
    assert_eq!(call.bob.required(), None, "what was asked for is awaited");
    let answered = call.bob.offers(2, Direction::RecvOnly, false);
    assert_eq!((answered.settled.ready.len(), answered.description.mid_to_track_id.len()), (2, 5));
    assert_eq!(call.bob.required(), None);
    // One that does not do what it is asked is asked again; none is asked at every moment.
    call.bob.add("TR_5");
    call.run(300);
    assert_eq!(call.bob.required(), Some((1, 0)));
    for _ in 0..2 {
        call.bob.offers(0, Direction::RecvOnly, true);
    }
    assert_eq!(call.bob.required(), None);
    call.run(300);
    assert_eq!(call.bob.required(), Some((1, 0)));
}

#[test]
fn by_two_connections_sections_are_used_again() {
    let mut call = Call::new(Connections::Two, Target::Subscriber);
    let first = call.bob.offered().unwrap();
    assert!(call.bob.answers(&first).is_empty());
    call.run(1000);
    assert!(call.bob.events.iter().any(|event| matches!(event, SessionEvent::Connected)));
    let mut names = std::collections::BTreeSet::new();
    for round in 0..20 {
        // Some come once, and one comes again and again.
        let track = if round % 2 == 0 { "TR_again".to_owned() } else { format!("TR_{round}") };
        call.bob.add(&track);
        let offer = call.bob.offered().unwrap();
        assert!(sections(&offer.sdp) <= 3, "{round}: {}", offer.sdp);
        let (mid, told) = offer.mid_to_track_id.iter().next().unwrap();
        assert_eq!(told, &track);
        let msid = offer.sdp.lines().find(|line| line.starts_with("a=msid:")).unwrap();
        assert!(msid.starts_with("a=msid:PA_a|") && msid.ends_with(&format!(" {track}")), "{msid}");
        assert!(names.insert((mid.clone(), msid.to_owned())), "{msid} on {mid} again");
        assert_eq!(call.bob.answers(&offer), [TrackSid::from(track.as_str())]);
        call.carry(&track);
        let (heard, of) = call.hears(300);
        assert!(heard >= 20 && of.len() == 1, "{heard} of {of:?} in round {round}");
        call.track = None;
        call.bob.peer.remove_down_track(&track.as_str().into());
        let offer = call.bob.offered().unwrap();
        assert!(!offer.sdp.contains("a=msid:") && offer.mid_to_track_id.is_empty(), "{}", offer.sdp);
        assert!(call.bob.offered().is_none(), "an answer is awaited");
        call.bob.answers(&offer);
        assert!(call.bob.offered().is_none(), "nothing has changed");
    }
}

#[test]
fn the_client_restarts_ice_of_its_only_connection_and_media_goes_on() {
    let mut call = Call::new(Connections::One, Target::Publisher);
    call.bob.offers(1, Direction::RecvOnly, false);
    call.run(1000);
    call.bob.add("TR_1");
    call.bob.required();
    call.bob.offers(0, Direction::RecvOnly, false);
    call.carry("TR_1");
    assert!(call.hears(500).0 >= 40);
    for _ in 0..3 {
        call.bob.peer.link.resume();
        let answered = call.bob.offers(0, Direction::RecvOnly, true);
        assert!(answered.settled.ready.is_empty(), "it flows already");
        call.run(1000);
        assert_eq!(call.bob.names(), 1, "the name of before is given up once the new one is used");
        let (heard, of) = call.hears(500);
        assert!(heard >= 40, "{heard} of {of:?}");
    }
}

#[test]
fn the_server_restarts_ice_of_whoever_comes_back_by_two_connections() {
    let mut call = Call::new(Connections::Two, Target::Subscriber);
    call.bob.add("TR_1");
    let first = call.bob.offered().unwrap();
    assert_eq!(call.bob.answers(&first).len(), 1);
    call.carry("TR_1");
    call.run(1000);
    let ufrag = |offer: &SessionDescription| {
        offer.sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap().to_owned()
    };
    call.bob.peer.link.resume();
    let unheard = call.bob.offered().unwrap();
    assert_ne!(ufrag(&unheard), ufrag(&first));
    // It does not come through, for the client's connection broke again; meanwhile another track has come.
    call.bob.add("TR_2");
    call.bob.peer.link.resume();
    assert_eq!(call.bob.offered().as_ref(), Some(&unheard), "it is said again");
    assert!(call.bob.offered().is_none(), "once");
    assert!(call.bob.answers(&unheard).is_empty());
    call.run(1000);
    // And as the client has come by another way again, that is found out once more.
    let offer = call.bob.offered().unwrap();
    assert!(offer.id > unheard.id && ufrag(&offer) != ufrag(&unheard));
    assert_eq!(offer.mid_to_track_id.len(), 2);
    // An answer to what is not awaited any more says nothing.
    let late = SessionDescription { sdp: "late".into(), id: unheard.id, ..Default::default() };
    assert_eq!(call.bob.peer.accept_answer(&late).unwrap(), Settled::default());
    assert_eq!(call.bob.answers(&offer), [TrackSid::from("TR_2")]);
    call.run(1000);
    assert_eq!(call.bob.names(), 1);
    assert!(call.hears(500).0 >= 40);
}

#[test]
fn an_offer_whose_answer_is_lost_is_said_again_as_it_was() {
    let mut call = Call::new(Connections::Two, Target::Subscriber);
    call.bob.add("TR_1");
    let offer = call.bob.offered().unwrap();
    // The client has taken it up, and would not take one with other sections in their places.
    let heard = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
    call.bob.client.sdp_api().accept_offer(heard).unwrap();
    call.bob.peer.link.resume();
    assert_eq!(call.bob.offered().as_ref(), Some(&offer));
    assert_eq!(call.bob.answers(&offer), [TrackSid::from("TR_1")]);
    call.carry("TR_1");
    call.run(1500);
    assert!(call.hears(500).0 >= 40);
}

#[test]
fn a_client_that_gives_up_a_section_is_offered_no_other_one_for_it() {
    let mut call = Call::new(Connections::Two, Target::Subscriber);
    let first = call.bob.offered().unwrap();
    call.bob.answers(&first);
    call.bob.add("TR_1");
    let offer = call.bob.offered().unwrap();
    let mid = offer.mid_to_track_id.keys().next().unwrap();
    let parsed = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
    let answer = call.bob.client.sdp_api().accept_offer(parsed).unwrap().to_sdp_string();
    let sdp = answer.replace("m=audio 9 ", "m=audio 0 ").replace(&format!(" {mid}\r\n"), "\r\n");
    let answer = SessionDescription { sdp, id: offer.id, ..Default::default() };
    let Settled { ready, refused } = call.bob.peer.accept_answer(&answer).unwrap();
    assert_eq!((ready, refused), (vec![], vec![TrackSid::from("TR_1")]));
    assert!(call.bob.offered().is_none(), "it cannot have it");
    assert!(!call.bob.peer.link.is_worn_out());
}

#[test]
fn a_section_that_the_client_took_back_for_a_while_carries_another_stream() {
    let mut call = Call::new(Connections::One, Target::Publisher);
    call.bob.offers(1, Direction::RecvOnly, false);
    call.run(1000);
    call.bob.add("TR_1");
    assert_eq!(call.bob.offers(0, Direction::RecvOnly, false).settled.ready.len(), 1);
    call.carry("TR_1");
    let (heard, first) = call.hears(300);
    assert!(heard >= 20, "{heard}");
    call.track = None;
    assert!(call.bob.offers(0, Direction::Inactive, false).settled.ready.is_empty());
    assert_eq!(call.bob.offers(0, Direction::RecvOnly, false).settled.ready.len(), 1, "it has waited");
    call.carry("TR_1");
    let (heard, then) = call.hears(300);
    assert!(heard >= 20, "its numbers begin anew: {heard}");
    assert!(then.len() == 1 && then != first, "{first:?} {then:?}");
}
