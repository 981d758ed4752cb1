//! What fuzzers give bytes of strangers to; see docs/fuzzing.md.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use reelroom_protocol::proto::SessionDescription;
use reelroom_sfu::{Codec, DownTrackSpec};

use crate::mux::addresses::Reach;
use crate::mux::routes::{Registration, Routes};
use crate::mux::{Incoming, LocalAddresses, SessionId, Transport};
use crate::peer::{self, Connections, Peer};
use crate::session::stun::{self, Kind};
use crate::session::{self, Session, Way};
use crate::signal::{self, outbox};

/// A name, and what takes an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 4] =
    [("routing", routing), ("datagram", datagram), ("sdp", sdp), ("join_request", join_request)];

/// Pieces of an input, each with a length in front.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first()?;
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        bytes = rest;
        Some(piece)
    })
}

/// Datagrams of many sources, some of them signed, to sessions that come and go: the table stays whole and bounded.
pub fn routing(bytes: &[u8]) {
    let start = Instant::now();
    let mut routes = Routes::new(start);
    let mut sessions: Vec<SessionId> = Vec::new();
    for (time, piece) in pieces(bytes).enumerate() {
        let now = start + Duration::from_millis(time as u64 * 700);
        let [what, which, port, datagram @ ..] = piece else { continue };
        let from = (
            if what & 0x80 == 0 { Transport::Udp } else { Transport::Tcp },
            SocketAddr::from((Ipv4Addr::new(192, 0, 2, port >> 6), u16::from(*port))),
        );
        let name = format!("{}", which % 16);
        let session = sessions.get(usize::from(*which) % sessions.len().max(1)).copied();
        match what & 0x0f {
            0 => {
                let password = "secret".into();
                let registration = Registration {
                    ufrag: name,
                    password,
                    person: u64::from(which / 4),
                    reach: Reach::Anywhere,
                    inbox: (),
                };
                sessions.push(routes.register(registration, now));
            }
            1 => {
                // Rightly signed, but for what the input changes.
                let mut request = stun::request(&name, "secret", true);
                for pair in datagram.chunks_exact(2) {
                    let place = usize::from(pair[0]) % request.len();
                    request[place] ^= pair[1];
                }
                requested(&mut routes, &request, from, now);
            }
            2 => {
                if let Some(session) = session {
                    routes.flows(session, from);
                    routes.sends(session, u32::from(*port));
                }
            }
            3 => routes.closed(from),
            4 => {
                if let Some(session) = session {
                    routes.unregister(session);
                }
            }
            5 => {
                if let Some(session) = session {
                    routes.proven(session, from, now);
                }
            }
            _ => {
                requested(&mut routes, datagram, from, now);
                if let Some(kind) = Kind::of(datagram)
                    && routes.at(from, now).next().is_none()
                {
                    routes.moved(from.1, stun::ssrc(datagram, kind), now);
                }
            }
        }
        routes.check();
    }
    for session in sessions {
        routes.unregister(session);
    }
    assert_eq!(routes.len(), (0, 0), "nothing is left of what is over");
}

fn requested(routes: &mut Routes<()>, datagram: &[u8], from: (Transport, SocketAddr), now: Instant) {
    let Some(request) = stun::Request::parse(datagram) else { return };
    let Some((session, password, _)) = routes.named(request.ufrag()) else { return };
    if request.is_signed_with(&password) {
        let _ = routes.requested(session, from, now);
    }
}

/// Datagrams that nobody has signed, to a session: it lives on and sends nothing.
pub fn datagram(bytes: &[u8]) {
    session::install_crypto();
    let now = Instant::now();
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
    let addresses = LocalAddresses { bound: vec![local], told: vec![local], ..LocalAddresses::default() };
    let mut session = Session::new(&addresses, Way::In, now);
    for (time, piece) in pieces(bytes).enumerate() {
        let now = now + Duration::from_millis(time as u64);
        let source =
            SocketAddr::from((Ipv4Addr::LOCALHOST, 1 + u16::from(piece.first().copied().unwrap_or(0))));
        let heard = session.receive(&Incoming::udp(source, local, piece.to_vec(), now));
        assert!(!heard.is_proven && heard.new_ssrc.is_none());
        let (datagrams, _) = session.take();
        assert!(datagrams.is_empty(), "nobody is answered who has not signed");
    }
    assert!(session.is_alive());
}

/// What somebody says in the address that they join by.
pub fn join_request(bytes: &[u8]) {
    signal::read_join_request(&String::from_utf8_lossy(bytes));
}

/// What is said to one participant's connections, in parts that end with a zero; the first byte of a part says what it is.
pub fn sdp(bytes: &[u8]) {
    session::install_crypto();
    let now = Instant::now();
    let address = "127.0.0.1:7882".parse().expect("an address");
    let addresses = LocalAddresses { bound: vec![address], told: vec![address], ..LocalAddresses::default() };
    // The same by two connections, and by one that receives.
    for connections in [Connections::Two, Connections::One] {
        let (outbox, _outgoing) = outbox::new();
        let mut peer = Peer::new(&addresses, outbox, connections, true, now);
        for (number, codec) in [Codec::Opus, Codec::Vp8, Codec::H264].into_iter().enumerate() {
            peer.add_down_track(&DownTrackSpec {
                subscriber: "PA_b".into(),
                publisher: "PA_a".into(),
                track: format!("TR_{number}").as_str().into(),
                codec,
                backups: Vec::new(),
                stream_id: format!("PA_a|TR_{number}"),
                is_stereo: codec == Codec::Opus,
            });
        }
        negotiated(&mut peer, bytes, now);
    }
}

fn negotiated(peer: &mut Peer, bytes: &[u8], now: Instant) {
    for part in bytes.split(|byte| *byte == 0) {
        let Some((kind, text)) = part.split_first() else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        let description = |sdp| SessionDescription { sdp, ..Default::default() };
        match kind % 4 {
            0 => {
                let answer = peer.accept_offer(&description(text), |_| None);
                if let Ok(answered) = answer {
                    let sdp = answered.description.sdp;
                    assert!(sdp.starts_with("v=0"), "{sdp}");
                }
            }
            1 => {
                peer.negotiate();
                let _ = peer.accept_answer(&description(text));
            }
            2 => peer.add_remote_candidate(peer::Target::Publisher, &text),
            _ => peer.add_remote_candidate(peer::Target::Subscriber, &text),
        }
        peer.timeouts(now);
        assert!(peer.sections.len() <= reelroom_limits::signalling::SINGLE_SECTIONS + 1);
    }
}
