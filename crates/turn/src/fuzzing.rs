//! What fuzzers give bytes of strangers to; see docs/fuzzing.md.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::testing::{Ask, Said, TestClient};
use crate::{Client, HEADER_BYTES, Heard, Now, Peers, Secret, Server, Transport, len_on_stream};

/// A name, and what takes an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 1] = [("turn", turn)];

const UNIX_S: u64 = 1_795_000_000;

/// Messages of a few clients, some of which have credentials, while time passes: what is relayed goes to this server's media and nowhere else,
/// what is kept is bounded, and nothing is left at the end.
///
/// The input is pieces with a length in front. The first byte of a piece says who speaks and what it does, the second how much time
/// passes; the rest is the message, or changes the one that a client that means it would send.
///
/// # Panics
/// A promise of this crate is broken.
pub fn turn(bytes: &[u8]) {
    let media = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 5), 7882));
    let told = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 7), 7882));
    let foreign = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 1), 80));
    let mut server = Server::new(Secret::new([7; 32]));
    server.set_peers(Peers::new(&[media], &[told]));
    let credentials = server.issue("PA_fuzz", UNIX_S);
    #[allow(clippy::disallowed_methods, reason = "a time to begin with: all others are counted from it")]
    let start = Instant::now();
    let mut clients: Vec<_> = (0..4u16)
        .map(|number| {
            let remote = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5000 + number));
            let transport = if number < 2 { Transport::Udp } else { Transport::Stream };
            (Client { transport, remote, local: media }, TestClient::new(credentials.clone()), None)
        })
        .collect();
    let mut passed = Duration::ZERO;
    let mut rest = bytes;
    while let [len, after @ ..] = rest {
        let (piece, next) = after.split_at(after.len().min(usize::from(*len)));
        rest = next;
        let [what, wait, said @ ..] = piece else { continue };
        passed += Duration::from_secs(u64::from(*wait));
        let now = Now { at: start + passed, unix_s: UNIX_S + passed.as_secs() };
        let (client, speaker, relayed) = &mut clients[usize::from(what >> 6)];
        let mut message = match what & 0x0f {
            0 => speaker.ask(&Ask::Allocate),
            1 => speaker.ask(&Ask::Refresh(u32::from(*wait))),
            2 => speaker.ask(&Ask::Permit(vec![media, told])),
            3 => speaker.ask(&Ask::Permit(vec![foreign])),
            4 => speaker.ask(&Ask::Bind(0x4000 + u16::from(*wait), told)),
            5 => speaker.send(told, said),
            6 => crate::testing::on_channel(0x4000 + u16::from(*wait), said),
            7 => {
                server.closed(client);
                continue;
            }
            8 => {
                server.timeout(now.at);
                continue;
            }
            9 => {
                if let Some(relayed) = *relayed
                    && let Ok((to, sent)) = server.send(relayed, media, said, now.at)
                {
                    assert!(sent.len() >= said.len() && to.local == media);
                }
                continue;
            }
            _ => said.to_vec(),
        };
        // Rightly made, but for what the input changes.
        if what & 0x10 != 0 && !message.is_empty() {
            for pair in said.chunks_exact(2) {
                let place = usize::from(pair[0]) % message.len();
                message[place] ^= pair[1];
            }
        }
        if let Some(header) = message.first_chunk::<HEADER_BYTES>() {
            assert!(len_on_stream(*header).is_none_or(|len| len >= HEADER_BYTES && len.is_multiple_of(4)));
        }
        match server.receive(*client, &message, now) {
            Heard::Answer(answer) => {
                assert!(answer.len() < 1200, "an answer fits in a datagram");
                match speaker.read(&answer) {
                    Said::Allocated(address) => *relayed = Some(address),
                    Said::Seen(address) => assert_eq!(address, client.remote),
                    Said::Refused(_) | Said::Done(_) => {}
                    said @ (Said::Data(..) | Said::Channel(..)) => panic!("{said:?} is no answer"),
                }
            }
            Heard::ToMedia { relayed, local, .. } => {
                assert_eq!(local, media);
                assert!(crate::is_relayed(relayed.ip()));
                assert_eq!(server.client_of(relayed), Some(*client));
            }
            Heard::Dropped(_) => {}
        }
        server.check();
        assert!(server.len() <= clients.len());
    }
    for (client, ..) in &clients {
        server.closed(client);
    }
    server.check();
    assert!(server.is_empty());
    let mut ended = server.take_ended();
    let count = ended.len();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!(ended.len(), count, "each once, for no port comes again so soon");
}
