//! What a viewer's line is found to carry, in virtual time.

#![allow(clippy::unwrap_used)]

use reelroom_sfu::Codec;
use str0m::change::SdpOffer;
use str0m::media::Pt;
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;

use super::super::*;
use crate::mux::Incoming;

const STEP: Duration = Duration::from_millis(1);
/// From one end to the other.
const DELAY: Duration = Duration::from_millis(20);

fn server() -> SocketAddr {
    "192.0.2.1:7000".parse().unwrap()
}

fn viewer() -> SocketAddr {
    "10.0.0.5:4000".parse().unwrap()
}

struct Line {
    session: Session,
    client: Rtc,
    mid: String,
    start: Instant,
    now: Instant,
    /// What is under way to the viewer, and from there.
    down: VecDeque<(Instant, Vec<u8>)>,
    up: VecDeque<(Instant, Vec<u8>)>,
    /// How much longer it takes at present.
    waits: Duration,
    estimate_bps: u64,
    sent: u64,
}

impl Line {
    fn connect() -> Self {
        install_crypto();
        let now = Instant::now();
        let addresses =
            LocalAddresses { bound: vec![server()], told: vec![server()], ..LocalAddresses::default() };
        let mut session = Session::new(&addresses, Way::Out, now);
        let mut client = Rtc::builder()
            .set_rtp_mode(true)
            .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
            .build(now);
        client.add_local_candidate(Candidate::host(viewer(), "udp").unwrap()).unwrap();
        let add =
            vec![NewMedia { codec: Codec::Vp8, stream_id: "PA_a|TR_v".into(), track_id: "TR_v".into() }];
        let (offer, mids) = session.offer(&Changes { add, ..Changes::default() }).unwrap();
        let answer = client.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer).unwrap()).unwrap();
        session.accept_answer(&answer.to_sdp_string()).unwrap();
        let mut line = Self {
            session,
            client,
            mid: mids[0].clone(),
            start: now,
            now,
            down: VecDeque::new(),
            up: VecDeque::new(),
            waits: Duration::ZERO,
            estimate_bps: 0,
            sent: 0,
        };
        line.run(2000, 0, |_| {});
        line
    }

    /// Lets time pass while a picture of `bytes` goes out every 40 ms.
    fn run(&mut self, ms: u64, bytes: usize, mut each: impl FnMut(&mut Self)) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            self.now += STEP;
            each(self);
            if bytes > 0 && self.now.duration_since(self.start).as_millis().is_multiple_of(40) {
                self.send(bytes);
            }
            self.exchange();
        }
    }

    fn send(&mut self, bytes: usize) {
        let payload_type = self.session.payload_types(&self.mid)[0].1;
        self.session.clock = self.now;
        for piece in 0..bytes.div_ceil(1100) {
            self.sent += 1;
            let is_last = (piece + 1) * 1100 >= bytes;
            let rtp = u32::try_from(self.now.duration_since(self.start).as_millis() * 90).unwrap();
            let payload = vec![0x10; (bytes - piece * 1100).min(1100)];
            let mut direct = self.session.rtc.direct_api();
            let stream = direct.stream_tx_by_mid(Mid::from(&*self.mid), None).unwrap();
            stream.write_rtp(
                RtpWrite::new(Pt::from(payload_type), self.sent.into(), rtp, self.now, payload)
                    .marker(is_last),
            );
            self.session.drain();
        }
    }

    fn exchange(&mut self) {
        while self.down.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, bytes) = self.down.pop_front().unwrap();
            let receive = Receive::new(Protocol::Udp, server(), viewer(), &bytes).unwrap();
            self.client.handle_input(Input::Receive(self.now, receive)).unwrap();
            self.drain();
        }
        self.client.handle_input(Input::Timeout(self.now)).unwrap();
        self.drain();
        while self.up.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, bytes) = self.up.pop_front().unwrap();
            self.session.receive(&Incoming::udp(viewer(), server(), bytes, self.now));
        }
        if self.session.next_timeout() <= self.now {
            self.session.timeout(self.now);
        }
        let (datagrams, events) = self.session.take();
        for datagram in datagrams {
            // None overtakes another.
            let at = (self.now + DELAY + self.waits).max(self.down.back().map_or(self.now, |(at, _)| *at));
            self.down.push_back((at, datagram.bytes));
        }
        for event in events {
            if let SessionEvent::Estimate { bits_per_second, .. } = event {
                self.estimate_bps = bits_per_second;
            }
        }
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    self.up.push_back((self.now + DELAY, transmit.contents.to_vec()))
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// A machine that was busy, a Wi-Fi that was scanned: packets waited for two seconds, and nothing is the matter afterwards. The viewer gets the lowest
/// layer by then, of which its estimate would not grow.
#[test]
fn a_line_that_faltered_once_is_found_to_carry_the_best_layer_again_within_seconds() {
    for low_layer_bytes in [500, 750, 1000, 1500, 2500] {
        let mut line = Line::connect();
        line.session.desire(2_000_000);
        line.run(3000, 8000, |_| {});
        let first = line.estimate_bps;
        assert!(first > 1_500_000, "{first}");
        line.run(2000, 3000, |line| line.waits += STEP / 2);
        line.waits = Duration::ZERO;
        line.run(3000, low_layer_bytes, |_| {});
        let faltered = line.estimate_bps;
        let mut found = Vec::new();
        for second in 0..10 {
            if [0, 2, 6].contains(&second) {
                line.session.desire(2_000_000);
            }
            line.run(1000, low_layer_bytes, |_| {});
            found.push(line.estimate_bps / 1000);
        }
        assert!(found[6] > 1_700, "{low_layer_bytes}: {first}, {faltered}, {found:?}");
    }
}
