//! SDP and candidates of strangers, as a target of a fuzzer and of tests; see docs/fuzzing.md.

use std::time::Instant;

use reelroom_protocol::proto::SessionDescription;

use crate::mux::LocalAddresses;
use crate::peer::{Peer, Target};
use crate::session;
use crate::signal::outbox;

/// The targets by their names.
pub const TARGETS: [(&str, fn(&[u8])); 1] = [("sdp", sdp)];

/// What is said to one participant's connections, in parts that end with a zero; the first byte of a part says what it is.
pub fn sdp(bytes: &[u8]) {
    session::install_crypto();
    let now = Instant::now();
    let address = "127.0.0.1:7882".parse().expect("an address");
    let addresses = LocalAddresses { bound: vec![address], told: vec![address] };
    let (outbox, _outgoing) = outbox::new();
    let mut peer = Peer::new(&addresses, outbox, true, now);
    for part in bytes.split(|byte| *byte == 0) {
        let Some((kind, text)) = part.split_first() else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        let description = |sdp| SessionDescription { sdp, ..Default::default() };
        match kind % 4 {
            0 => {
                let answer = peer.accept_offer(&description(text), |_| None);
                if let Ok(answer) = answer {
                    assert!(answer.starts_with("v=0"), "{answer}");
                }
            }
            1 => {
                peer.negotiate();
                let _ = peer.accept_answer(&description(text));
            }
            2 => peer.add_remote_candidate(Target::Publisher, &text),
            _ => peer.add_remote_candidate(Target::Subscriber, &text),
        }
        peer.timeouts(now);
        assert!(peer.sections.len() <= reelroom_limits::signalling::SDP_SECTIONS);
    }
}
