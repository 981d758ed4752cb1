//! A session and a client of another kind of ICE, with a NAT between them, in virtual time.

#![allow(clippy::unwrap_used)]

use reelroom_limits::media::DATA_CHANNELS;
use str0m::Event;
use str0m::change::SdpAnswer;
use str0m::channel::ChannelConfig;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;

use super::super::receiving::Heard;
use super::super::*;
use crate::drops::Reason;
use crate::mux::Incoming;

const STEP: Duration = Duration::from_millis(10);

fn server() -> SocketAddr {
    "192.0.2.1:7000".parse().unwrap()
}

fn at_home() -> SocketAddr {
    "10.0.0.5:4000".parse().unwrap()
}

struct Call {
    client: Rtc,
    session: Session,
    now: Instant,
    /// Where the server sees the client.
    nat: SocketAddr,
    mid: Mid,
    channels: Vec<(String, ChannelId)>,
    sent: u64,
    /// How long what it says is.
    packet_bytes: usize,
    events: Vec<SessionEvent>,
    /// What the client sent last, by what it is.
    last: Vec<(Kind, Vec<u8>)>,
    /// Datagrams that went to where nobody is.
    astray: usize,
    /// Tries what comes from a new address, as the mux does.
    known: Vec<SocketAddr>,
}

impl Call {
    fn connect() -> Self {
        install_crypto();
        let now = Instant::now();
        let addresses =
            LocalAddresses { bound: vec![server()], told: vec![server()], ..LocalAddresses::default() };
        let mut session = Session::new(&addresses, Way::In, now);
        let mut client = Rtc::builder()
            .set_rtp_mode(true)
            .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
            .build(now);
        client.add_local_candidate(Candidate::host(at_home(), "udp").unwrap()).unwrap();
        let mut api = client.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        api.add_channel_with_config(ChannelConfig { label: RELIABLE.into(), ..Default::default() });
        let (offer, pending) = api.apply().unwrap();
        let answer = session.accept_offer(&offer.to_sdp_string()).unwrap();
        client.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
        let mut call = Self {
            client,
            session,
            now,
            nat: "198.51.100.7:5000".parse().unwrap(),
            mid,
            channels: Vec::new(),
            sent: 0,
            packet_bytes: 50,
            events: Vec::new(),
            last: Vec::new(),
            astray: 0,
            known: Vec::new(),
        };
        call.known.push(call.nat);
        call.run(2000);
        assert!(call.events.iter().any(|event| matches!(event, SessionEvent::Connected)));
        assert_eq!(call.channels.len(), 1);
        call
    }

    /// Lets time pass; the client speaks every 20 ms once it can.
    fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.now += STEP;
            self.speak();
            self.exchange();
        }
    }

    fn speak(&mut self) {
        let is_up = !self.channels.is_empty();
        let pt = self.client.media(self.mid).map(|media| media.remote_pts()[0]);
        let mut api = self.client.direct_api();
        if let (true, Some(pt), Some(stream)) = (is_up, pt, api.stream_tx_by_mid(self.mid, None)) {
            self.sent += 1;
            let rtp = u32::try_from(self.sent * 960).unwrap();
            stream.write_rtp(RtpWrite::new(
                pt,
                self.sent.into(),
                rtp,
                self.now,
                vec![7u8; self.packet_bytes],
            ));
        }
    }

    fn exchange(&mut self) {
        self.client.handle_input(Input::Timeout(self.now)).unwrap();
        for _ in 0..20 {
            let mut is_quiet = self.drain();
            if self.session.next_timeout() <= self.now {
                self.session.timeout(self.now);
            }
            let (datagrams, events) = self.session.take();
            self.events.extend(events);
            for datagram in datagrams {
                is_quiet = false;
                if datagram.destination != self.nat {
                    self.astray += 1;
                    continue;
                }
                let receive =
                    Receive::new(Protocol::Udp, datagram.source, at_home(), &datagram.bytes).unwrap();
                self.client.handle_input(Input::Receive(self.now, receive)).unwrap();
                self.drain();
            }
            if is_quiet {
                break;
            }
        }
    }

    /// Hands over what the client has to send, and says whether that was nothing.
    fn drain(&mut self) -> bool {
        let mut is_quiet = true;
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(_) => return is_quiet,
                Output::Transmit(transmit) => {
                    is_quiet = false;
                    let bytes = transmit.contents.to_vec();
                    self.last.extend(Kind::of(&bytes).map(|kind| (kind, bytes.clone())));
                    self.deliver(self.nat, bytes);
                }
                Output::Event(Event::ChannelOpen(id, label)) => self.channels.push((label, id)),
                Output::Event(_) => {}
            }
        }
    }

    fn deliver(&mut self, source: SocketAddr, bytes: Vec<u8>) -> Heard {
        let is_request = stun::Request::parse(&bytes).is_some();
        let mut incoming = Incoming::udp(source, server(), bytes, self.now);
        incoming.is_trial = !is_request && !self.known.contains(&source);
        let heard = self.session.receive(&incoming);
        if is_request || heard.is_proven {
            self.known.push(source);
        }
        heard
    }

    fn last(&self, kind: Kind) -> Vec<u8> {
        self.last.iter().rev().find(|(one, _)| *one == kind).unwrap().1.clone()
    }

    fn packets(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, SessionEvent::Packet(_))).count()
    }

    fn data_bytes(&self) -> usize {
        let len = |event: &SessionEvent| match event {
            SessionEvent::Data { bytes, .. } => bytes.len(),
            _ => 0,
        };
        self.events.iter().map(len).sum()
    }
}

#[test]
fn a_forged_sender_takes_no_track_away() {
    let mut call = Call::connect();
    call.run(500);
    let before = call.packets();
    assert!(before > 20);
    let nat = call.nat;
    for number in 0..200u32 {
        // A real packet, so that its section is right, of another sender.
        let mut forged = call.last(Kind::Rtp);
        forged[8..12].copy_from_slice(&(0x0101_0101 + number).to_be_bytes());
        assert_eq!(call.deliver(nat, forged), Heard::dropped(Reason::Forged));
    }
    call.run(500);
    assert!(call.packets() >= before + 45, "{} {before}", call.packets());
}

#[test]
fn a_packet_that_would_not_fit_with_what_is_put_in_front_of_it_is_dropped() {
    let mut call = Call::connect();
    call.run(200);
    let before = call.packets();
    call.packet_bytes = 1900;
    call.run(500);
    assert_eq!(call.packets(), before);
    call.packet_bytes = 1500;
    call.run(500);
    assert!(call.packets() > before + 40, "{} {before}", call.packets());
    let nat = call.nat;
    let too_long = [call.last(Kind::Rtp), vec![0; 200]].concat();
    assert_eq!(call.deliver(nat, too_long), Heard::dropped(Reason::TooLong));
}

#[test]
fn forged_records_do_not_end_a_connection() {
    let mut call = Call::connect();
    call.run(200);
    let nat = call.nat;
    let mut random = 1u32;
    for kind in [20, 21, 22, 23, 24, 25, 26, 40, 63] {
        for epoch in [0, 1, 2] {
            for len in [0u16, 1, 2, 16, 25, 200] {
                let mut record = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0];
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                record.extend(random.to_be_bytes()[..2].iter());
                record.extend(len.to_be_bytes());
                record.extend((0..len).map(|place| (u32::from(place) ^ random) as u8));
                // A fatal alert, and a first handshake, in plain text.
                if len >= 2 {
                    record[13] = 2;
                }
                call.deliver(nat, record.repeat(1 + usize::from(epoch)));
            }
        }
    }
    call.run(500);
    assert!(call.session.is_alive());
    let id = call.channels[0].1;
    assert!(call.client.channel(id).unwrap().write(true, &[9; 5000]).unwrap());
    call.run(200);
    assert_eq!(call.data_bytes(), 5000);
}

#[test]
fn a_client_whose_nat_moved_is_heard_at_once_and_answered_within_half_a_second() {
    let mut call = Call::connect();
    call.run(1000);
    let before = call.packets();
    call.nat = "198.51.100.7:6000".parse().unwrap();
    call.run(100);
    assert!(call.packets() >= before + 9, "{} {before}", call.packets());
    call.astray = 0;
    call.run(400);
    assert!(
        call.events.iter().any(|event| matches!(event, SessionEvent::FlowsOn((_, to)) if *to == call.nat))
    );
    call.astray = 0;
    let id = call.channels[0].1;
    assert!(call.client.channel(id).unwrap().write(true, &[9; 50_000]).unwrap());
    call.run(300);
    assert_eq!((call.data_bytes(), call.astray), (50_000, 0), "acknowledged at the new address");
    // And back.
    call.nat = "198.51.100.7:5000".parse().unwrap();
    call.run(500);
    call.astray = 0;
    call.run(500);
    assert_eq!(call.astray, 0);
}

#[test]
fn nobody_gets_media_at_an_address_that_does_not_answer() {
    let mut call = Call::connect();
    call.run(1000);
    // The client itself writes somebody else's address on its datagrams, and falls silent.
    let victim: SocketAddr = "203.0.113.9:9".parse().unwrap();
    let real = call.nat;
    call.nat = "0.0.0.0:1".parse().unwrap();
    let mut to_victim = 0;
    for _ in 0..300 {
        call.now += STEP;
        call.speak();
        call.client.handle_input(Input::Timeout(call.now)).unwrap();
        while let Output::Transmit(transmit) = call.client.poll_output().unwrap() {
            call.deliver(victim, transmit.contents.to_vec());
        }
        if call.session.next_timeout() <= call.now {
            call.session.timeout(call.now);
        }
        let (datagrams, events) = call.session.take();
        call.events.extend(events);
        for datagram in datagrams.iter().filter(|datagram| datagram.destination == victim) {
            assert_eq!(Kind::of(&datagram.bytes), Some(Kind::Stun));
            to_victim += datagram.bytes.len();
        }
    }
    assert!(to_victim < 5000, "{to_victim} bytes in 3 s");
    call.nat = real;
    call.run(300);
    assert!(call.session.is_alive());
}

#[test]
fn a_foreign_packet_proves_nothing() {
    let mut call = Call::connect();
    // Until it has sent feedback, too.
    call.run(8000);
    let elsewhere: SocketAddr = "203.0.113.9:9".parse().unwrap();
    let before = call.packets();
    for kind in [Kind::Rtp, Kind::Rtcp, Kind::Dtls] {
        let mut foreign = call.last(kind);
        let end = foreign.len() - 1;
        foreign[end] ^= 1;
        assert!(!call.deliver(elsewhere, foreign).is_proven, "{kind:?}");
    }
    // What was heard already is heard from nowhere else.
    let replayed = call.last(Kind::Rtp);
    assert!(!call.deliver(elsewhere, replayed).is_proven);
    let (_, events) = call.session.take();
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(call.packets(), before);
}

#[test]
fn a_sender_of_data_keeps_to_the_window_that_it_is_told() {
    let mut call = Call::connect();
    call.run(200);
    let id = call.channels[0].1;
    call.session.set_data_window(0);
    let mut written = 0;
    let run = |call: &mut Call, steps: u32, written: &mut usize| {
        for _ in 0..steps {
            while call.client.channel(id).unwrap().write(true, &[9; 10_000]).unwrap() {
                *written += 10_000;
            }
            call.run(10);
        }
    };
    run(&mut call, 50, &mut written);
    // What was under way as it was told has come.
    let before = call.data_bytes();
    run(&mut call, 800, &mut written);
    let trickle = call.data_bytes() - before;
    assert!(written > 100_000, "{written}");
    assert!((10_000..60_000).contains(&trickle), "{trickle} bytes in 8 s");
    call.session.set_data_window(1 << 20);
    call.run(3000);
    assert_eq!(call.data_bytes(), written);
}

#[test]
fn a_connection_with_too_many_data_channels_is_closed() {
    let mut call = Call::connect();
    for number in 0..DATA_CHANNELS {
        let config = ChannelConfig { label: format!("channel {number}"), ..Default::default() };
        call.client.direct_api().create_data_channel(config);
    }
    call.run(1000);
    assert!(!call.session.is_alive());
}

#[test]
fn what_comes_by_a_channel_is_told_apart_by_its_label() {
    let mut call = Call::connect();
    for label in [LOSSY, DATA_TRACK, "chat of our own"] {
        let config = ChannelConfig { label: label.into(), ..Default::default() };
        call.client.direct_api().create_data_channel(config);
    }
    call.run(500);
    assert_eq!(call.channels.len(), 4);
    call.events.clear();
    let channels = call.channels.clone();
    for (label, id) in &channels {
        assert!(call.client.channel(*id).unwrap().write(true, label.as_bytes()).unwrap());
        assert!(call.client.channel(*id).unwrap().write(false, b"text").unwrap());
    }
    call.run(500);
    let mut came: Vec<_> = call
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Data { kind, bytes } => {
                Some((String::from_utf8_lossy(bytes).into_owned(), format!("{kind:?}")))
            }
            _ => None,
        })
        .collect();
    came.sort();
    let expected = [
        (DATA_TRACK, "Track"),
        (LOSSY, "Lossy"),
        (RELIABLE, "Reliable"),
        ("chat of our own", "Other"),
        ("text", "Other"),
    ];
    let expected = expected.map(|(label, kind)| (label.to_owned(), kind.to_owned()));
    assert_eq!(came, expected, "packets of LiveKit's channels are no texts");
}

#[test]
fn data_goes_back_by_the_channels_that_the_client_opened() {
    let mut call = Call::connect();
    for label in [LOSSY, DATA_TRACK] {
        let config = ChannelConfig { label: label.into(), ..Default::default() };
        call.client.direct_api().create_data_channel(config);
    }
    call.run(500);
    let now = call.now;
    for kind in [DataKind::Reliable, DataKind::Lossy, DataKind::Track] {
        assert_eq!(call.session.send_data(kind, b"hello", now), Written::Yes, "{kind:?}");
    }
    // A client that reads nothing more: what is lossy waits in small measure, and what is reliable up to its own bound.
    let bytes = [7; 1000];
    let most = |call: &mut Call, kind| {
        let is_sent = |_: &usize| call.session.send_data(kind, &bytes, now) == Written::Yes;
        (0..2000).filter(is_sent).count() * bytes.len()
    };
    assert!(most(&mut call, DataKind::Lossy) <= LOSSY_BUFFER_BYTES);
    assert!(most(&mut call, DataKind::Track) <= LOSSY_BUFFER_BYTES);
    let reliable = most(&mut call, DataKind::Reliable);
    assert!(reliable > RELIABLE_BUFFER_BYTES / 2 && reliable <= RELIABLE_BUFFER_BYTES, "{reliable}");
}

#[test]
fn what_is_too_long_for_the_peer_is_told_apart_from_what_has_to_wait() {
    let mut call = Call::connect();
    let now = call.now;
    for len in [300_000, RELIABLE_BUFFER_BYTES + 1] {
        assert_eq!(call.session.send_data(DataKind::Reliable, &vec![7; len], now), Written::TooLong);
    }
    assert_eq!(
        call.session.send_data(DataKind::Reliable, b"hello", now),
        Written::Yes,
        "and the rest goes on"
    );
    assert_eq!(
        call.session.send_data(DataKind::Lossy, b"hello", now),
        Written::NotNow,
        "it has no such channel"
    );
}
