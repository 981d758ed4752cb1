#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use reelroom_limits::media::{
    TURN_BYTES_PER_S, TURN_CREDENTIALS_LAST, TURN_NONCE_LASTS, TURN_PERMISSION_LASTS, TURN_REQUESTS_BURST,
    TURN_UNUSED_LASTS,
};

use super::*;
use crate::testing::{Ask, Said, TestClient, on_channel};

const UNIX_S: u64 = 1_795_000_000;
const OWN: &str = "10.0.0.5:7882";
const PUBLIC: &str = "203.0.113.7:7882";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client(port: u16) -> Client {
    let remote = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port));
    Client { transport: Transport::Udp, remote, local: at("10.0.0.5:3478") }
}

/// A server whose media is at [`OWN`] and is told as [`PUBLIC`], and the time there.
struct House {
    server: Server,
    start: Instant,
    passed: Duration,
}

impl House {
    fn new() -> Self {
        let mut server = Server::new(Secret::new([7; 32]));
        server.set_peers(Peers::new(&[at(OWN)], &[at(PUBLIC)]));
        Self { server, start: Instant::now(), passed: Duration::ZERO }
    }

    fn now(&self) -> Now {
        Now { at: self.start + self.passed, unix_s: UNIX_S + self.passed.as_secs() }
    }

    fn guest(&self, participant: &str) -> TestClient {
        TestClient::new(self.server.issue(participant, self.now().unix_s))
    }

    fn said(&mut self, from: Client, speaker: &mut TestClient, ask: &Ask) -> Said {
        let message = speaker.ask(ask);
        let now = self.now();
        match self.server.receive(from, &message, now) {
            Heard::Answer(answer) => speaker.read(&answer),
            other => panic!("{ask:?} comes to {other:?}"),
        }
    }

    /// An allocation of somebody who was told what to sign with.
    fn allocate(&mut self, from: Client, speaker: &mut TestClient) -> Said {
        assert_eq!(self.said(from, speaker, &Ask::Allocate), Said::Refused(401));
        self.said(from, speaker, &Ask::Allocate)
    }

    fn allocated(&mut self, from: Client, speaker: &mut TestClient) -> SocketAddr {
        match self.allocate(from, speaker) {
            Said::Allocated(relayed) => relayed,
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.passed += time;
        self.server.timeout(self.now().at);
        self.server.check();
    }
}

#[test]
fn a_client_reaches_media_and_is_reached_as_it_knows_it() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    assert!(crate::is_relayed(relayed.ip()));
    assert_eq!(house.server.client_of(relayed), Some(ada));
    let now = house.now().at;
    // Nothing goes either way that was not asked for.
    let message = speaker.send(at(PUBLIC), b"hello");
    assert_eq!(house.server.receive(ada, &message, house.now()), Heard::Dropped(Dropped::NoPermission));
    assert_eq!(house.server.send(relayed, at(OWN), b"hello", now), Err(Dropped::NoPermission));
    assert_eq!(house.said(ada, &mut speaker, &Ask::Permit(vec![at(PUBLIC)])), Said::Done(None));
    let message = speaker.send(at(PUBLIC), b"hello");
    let heard = house.server.receive(ada, &message, house.now());
    assert_eq!(heard, Heard::ToMedia { relayed, local: at(OWN), bytes: b"hello" });
    let (to, sent) = house.server.send(relayed, at(OWN), b"welcome", now).unwrap();
    assert_eq!((to, speaker.read(&sent)), (ada, Said::Data(at(PUBLIC), b"welcome".to_vec())));
    // The same by a channel, which costs four bytes.
    assert_eq!(house.said(ada, &mut speaker, &Ask::Bind(0x4001, at(PUBLIC))), Said::Done(None));
    let message = on_channel(0x4001, b"again");
    let heard = house.server.receive(ada, &message, house.now());
    assert_eq!(heard, Heard::ToMedia { relayed, local: at(OWN), bytes: b"again" });
    let (_, sent) = house.server.send(relayed, at(OWN), b"welcome", now).unwrap();
    assert_eq!(sent, [&[0x40, 1, 0, 7][..], b"welcome"].concat());
    assert_eq!(
        house.server.receive(ada, &on_channel(0x4002, b"x"), house.now()),
        Heard::Dropped(Dropped::NoPermission)
    );
}

#[test]
fn on_a_stream_channels_are_filled_up_to_four_bytes() {
    let mut house = House::new();
    let ada = Client { transport: Transport::Stream, ..client(5000) };
    let mut speaker = house.guest("PA_ada");
    let relayed = house.allocated(ada, &mut speaker);
    house.said(ada, &mut speaker, &Ask::Bind(0x4000, at(OWN)));
    let (_, sent) = house.server.send(relayed, at(OWN), b"12345", house.now().at).unwrap();
    assert_eq!(sent, [&[0x40, 0, 0, 5][..], b"12345", &[0; 3]].concat());
    assert_eq!(crate::len_on_stream(*sent.first_chunk().unwrap()), Some(sent.len()));
    let message = on_channel(0x4000, b"12345");
    let heard = house.server.receive(ada, &message, house.now());
    assert_eq!(heard, Heard::ToMedia { relayed, local: at(OWN), bytes: b"12345" });
}

#[test]
fn nobody_reaches_anything_but_this_servers_media() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    for (ask, code) in [
        (Ask::Permit(vec![at("198.51.100.1:7882")]), 403),
        (Ask::Permit(vec![at("127.0.0.1:7882")]), 403),
        (Ask::Permit(vec![at("169.254.169.254:80")]), 403),
        (Ask::Permit(vec![relayed]), 403),
        (Ask::Permit(vec![at(OWN), at("198.51.100.1:1")]), 403),
        (Ask::Permit(vec![at("[2001:db8::1]:7882")]), 443),
        (Ask::Permit(Vec::new()), 400),
        (Ask::Bind(0x4000, at("198.51.100.1:7882")), 403),
        (Ask::Bind(0x4000, at("10.0.0.5:22")), 403),
        (Ask::Bind(0x4000, at("[2001:db8::1]:7882")), 443),
        (Ask::Bind(0x3fff, at(OWN)), 400),
        (Ask::Bind(0x5000, at(OWN)), 400),
    ] {
        assert_eq!(house.said(ada, &mut speaker, &ask), Said::Refused(code), "{ask:?}");
    }
    // One refusal of several takes none of them.
    let message = speaker.send(at(OWN), b"x");
    assert_eq!(house.server.receive(ada, &message, house.now()), Heard::Dropped(Dropped::NoPermission));
    // A permission is for an address; another port of it is nobody's media.
    assert_eq!(house.said(ada, &mut speaker, &Ask::Permit(vec![at("10.0.0.5:22")])), Said::Done(None));
    let message = speaker.send(at("10.0.0.5:22"), b"x");
    assert_eq!(house.server.receive(ada, &message, house.now()), Heard::Dropped(Dropped::NoPermission));
}

#[test]
fn who_shows_nothing_that_holds_gets_nothing() {
    let mut house = House::new();
    let now_s = house.now().unix_s;
    let given = house.server.issue("PA_ada", now_s);
    let elsewhere = Server::new(Secret::new([8; 32])).issue("PA_ada", now_s);
    let of_another = Credentials { username: house.server.issue("PA_bob", now_s).username, ..given.clone() };
    let longer = Credentials { username: given.username.replacen("17", "27", 1), ..given.clone() };
    let guessed = Credentials { password: "guessed".into(), ..given.clone() };
    let nameless = Credentials { username: "nobody".into(), ..given.clone() };
    for (port, credentials) in (5000..).zip([elsewhere, of_another, longer, guessed, nameless]) {
        let mut speaker = TestClient::new(credentials);
        assert_eq!(house.allocate(client(port), &mut speaker), Said::Refused(401));
    }
    // What another client was told to sign with is nobody else's.
    let mut speaker = TestClient::new(given);
    assert_eq!(house.said(client(5000), &mut speaker, &Ask::Allocate), Said::Refused(401));
    assert_eq!(house.said(client(5001), &mut speaker, &Ask::Allocate), Said::Refused(438));
    assert!(matches!(house.said(client(5001), &mut speaker, &Ask::Allocate), Said::Allocated(_)));
    assert_eq!(house.server.len(), 1);
    // And an allocation is of whoever made it.
    let mut other = house.guest("PA_bob");
    house.said(client(5001), &mut other, &Ask::Refresh(0));
    assert_eq!(house.said(client(5001), &mut other, &Ask::Refresh(0)), Said::Refused(441));
    assert_eq!(house.server.len(), 1);
}

#[test]
fn credentials_that_are_over_make_no_allocation_and_one_that_is_made_goes_on() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    house.said(ada, &mut speaker, &Ask::Permit(vec![at(OWN)]));
    let until = house.passed + TURN_CREDENTIALS_LAST + TURN_NONCE_LASTS;
    let mut has_new_nonce = false;
    while house.passed < until {
        house.pass(Duration::from_secs(240));
        if let Said::Refused(code) = house.said(ada, &mut speaker, &Ask::Refresh(600)) {
            assert_eq!(code, 438);
            has_new_nonce = true;
            assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(600)), Said::Done(Some(600)));
        }
        assert_eq!(house.said(ada, &mut speaker, &Ask::Permit(vec![at(OWN)])), Said::Done(None));
        house.server.send(relayed, at(OWN), b"media", house.now().at).unwrap();
    }
    assert!(has_new_nonce);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(0)), Said::Done(Some(0)));
    assert_eq!(house.server.take_ended(), [relayed]);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Allocate), Said::Refused(401), "an hour has passed");
}

#[test]
fn what_nobody_refreshes_or_uses_ends() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    house.said(ada, &mut speaker, &Ask::Permit(vec![at(OWN)]));
    house.pass(TURN_PERMISSION_LASTS);
    let message = speaker.send(at(OWN), b"late");
    assert_eq!(house.server.receive(ada, &message, house.now()), Heard::Dropped(Dropped::NoPermission));
    assert_eq!(house.server.send(relayed, at(OWN), b"late", house.now().at), Err(Dropped::NoPermission));
    house.pass(TURN_LASTS - TURN_PERMISSION_LASTS);
    assert!(house.server.is_empty());
    assert_eq!(house.server.take_ended(), [relayed]);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(600)), Said::Refused(437));
    assert_eq!(house.said(ada, &mut speaker, &Ask::Permit(vec![at(OWN)])), Said::Refused(437));
    assert_eq!(house.said(ada, &mut speaker, &Ask::Bind(0x4000, at(OWN))), Said::Refused(437));
    // One that is refreshed, and to which no session ever says anything, is held by nobody for good.
    let Said::Allocated(second) = house.said(ada, &mut speaker, &Ask::Allocate) else {
        panic!("no allocation")
    };
    assert_ne!(second, relayed, "datagrams for who had it before are not for who has it now");
    house.pass(TURN_UNUSED_LASTS / 2);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(600)), Said::Done(Some(600)));
    house.pass(TURN_UNUSED_LASTS / 2);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(600)), Said::Refused(437));
    assert!(house.server.is_empty());
    // A stream that is closed takes its allocation along.
    let Said::Allocated(third) = house.said(ada, &mut speaker, &Ask::Allocate) else {
        panic!("no allocation")
    };
    house.server.closed(&ada);
    assert_eq!(house.server.take_ended(), [second, third]);
}

#[test]
fn a_request_that_comes_twice_is_answered_twice_and_makes_one() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    let now = house.now();
    let Heard::Answer(answer) = house.server.receive(ada, &speaker.again(&Ask::Allocate), now) else {
        panic!("it is answered");
    };
    assert_eq!(speaker.read(&answer), Said::Allocated(relayed));
    assert_eq!(house.said(ada, &mut speaker, &Ask::Allocate), Said::Refused(437));
    // A channel that is bound again lasts; its number is no other's, nor its peer.
    for (ask, expected) in [
        (Ask::Bind(0x4000, at(OWN)), Said::Done(None)),
        (Ask::Bind(0x4000, at(OWN)), Said::Done(None)),
        (Ask::Bind(0x4000, at(PUBLIC)), Said::Refused(400)),
        (Ask::Bind(0x4001, at(OWN)), Said::Refused(400)),
    ] {
        assert_eq!(house.said(ada, &mut speaker, &ask), expected, "{ask:?}");
    }
}

#[test]
fn families_are_those_of_the_servers_media() {
    use crate::testing::AddressFamily::{IPV4, IPV6};
    for (bound, ask, expected) in [
        (vec![OWN], Ask::Allocate, Ok(true)),
        (vec![OWN], Ask::AllocateOf(IPV6), Err(440)),
        (vec!["[2001:db8::5]:7882"], Ask::Allocate, Ok(false)),
        (vec!["[2001:db8::5]:7882"], Ask::AllocateOf(IPV4), Err(440)),
        (vec![OWN, "[2001:db8::5]:7882"], Ask::AllocateOf(IPV6), Ok(false)),
        (vec![], Ask::Allocate, Err(440)),
        (vec![OWN], Ask::AllocateFor(6), Err(442)),
    ] {
        let mut house = House::new();
        let bound: Vec<_> = bound.into_iter().map(at).collect();
        house.server.set_peers(Peers::new(&bound, &[]));
        let mut speaker = house.guest("PA_ada");
        assert_eq!(house.said(client(1), &mut speaker, &ask), Said::Refused(401));
        let said = match house.said(client(1), &mut speaker, &ask) {
            Said::Allocated(relayed) => Ok(relayed.is_ipv4()),
            Said::Refused(code) => Err(code),
            other => panic!("{other:?}"),
        };
        assert_eq!(said, expected, "{bound:?} {ask:?}");
    }
}

#[test]
fn allocations_are_bounded_for_a_participant_and_an_address() {
    let mut house = House::new();
    let mut made = 0;
    for number in 0..=TURN_OF_ADDRESS as u16 {
        // More requests than an address has at once.
        house.passed += Duration::from_millis(50);
        let mut speaker = house.guest(&format!("PA_{}", usize::from(number) / TURN_OF_PARTICIPANT));
        let said = house.allocate(client(2000 + number), &mut speaker);
        made += usize::from(matches!(said, Said::Allocated(_)));
        if usize::from(number) == TURN_OF_ADDRESS {
            assert_eq!(said, Said::Refused(486));
        }
    }
    house.server.check();
    assert_eq!(made, TURN_OF_ADDRESS);
    let mut house = House::new();
    for number in 0..=TURN_OF_PARTICIPANT as u16 {
        let mut speaker = house.guest("PA_eve");
        let said = house.allocate(client(2000 + number), &mut speaker);
        assert_eq!(matches!(said, Said::Allocated(_)), usize::from(number) < TURN_OF_PARTICIPANT, "{said:?}");
    }
    let mut speaker = house.guest("PA_ada");
    assert!(
        matches!(house.allocate(client(1), &mut speaker), Said::Allocated(_)),
        "others are not bounded by that"
    );
}

#[test]
fn an_allocation_has_a_bandwidth_each_way() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    let relayed = house.allocated(ada, &mut speaker);
    house.said(ada, &mut speaker, &Ask::Bind(0x4000, at(OWN)));
    let datagram = on_channel(0x4000, &[9; 1000]);
    let now = house.now();
    let up =
        (0..10_000).filter(|_| matches!(house.server.receive(ada, &datagram, now), Heard::ToMedia { .. }));
    assert_eq!(up.count(), TURN_BYTES_PER_S as usize / 1000);
    let down = (0..10_000).filter(|_| house.server.send(relayed, at(OWN), &[9; 1000], now.at).is_ok());
    assert_eq!(down.count(), TURN_BYTES_PER_S as usize / 1000);
    house.passed += Duration::from_secs(1);
    assert!(house.server.send(relayed, at(OWN), &[9; 1000], house.now().at).is_ok());
}

#[test]
fn a_flood_of_requests_of_one_address_costs_no_other_one() {
    let mut house = House::new();
    let mut speaker = house.guest("PA_eve");
    let now = house.now();
    let answered = (0..10_000).filter(|_| {
        let message = speaker.ask(&Ask::Allocate);
        matches!(house.server.receive(client(5000), &message, now), Heard::Answer(_))
    });
    assert_eq!(answered.count(), TURN_REQUESTS_BURST as usize);
    let neighbour = Client { remote: at("192.0.2.2:5000"), ..client(5000) };
    assert_eq!(house.said(neighbour, &mut speaker, &Ask::Binding), Said::Seen(neighbour.remote));
}

#[test]
fn a_flood_that_names_somebodys_address_ends_no_allocation_and_keeps_no_stream_out() {
    let mut house = House::new();
    let (ada, mut speaker) = (client(5000), house.guest("PA_ada"));
    house.allocated(ada, &mut speaker);
    let mut eve = house.guest("PA_eve");
    let (forged, now) = (client(6000), house.now());
    let answered = (0..10_000).filter(|_| {
        house.server.receive(forged, &eve.ask(&Ask::Binding), now) != Heard::Dropped(Dropped::TooFast)
    });
    assert!(answered.count() < 10_000);
    assert_eq!(house.said(ada, &mut speaker, &Ask::Refresh(600)), Said::Done(Some(600)));
    let stream = Client { transport: Transport::Stream, ..client(6001) };
    assert!(matches!(house.allocate(stream, &mut eve), Said::Allocated(_)));
    // Who has one is bounded by itself.
    let answered = (0..10_000).filter(|_| {
        matches!(house.server.receive(ada, &speaker.ask(&Ask::Refresh(600)), now), Heard::Answer(_))
    });
    assert!(answered.count() <= TURN_REQUESTS_BURST as usize);
}

#[test]
fn a_port_whose_allocation_is_over_is_open_to_the_next_one_at_once() {
    let mut house = House::new();
    let mut speaker = house.guest("PA_ada");
    let relayed = house.allocated(client(5000), &mut speaker);
    // Nobody has looked yet which of them are over.
    house.passed += TURN_LASTS;
    let mut next = house.guest("PA_bob");
    let given = house.allocated(client(5000), &mut next);
    assert_ne!(given, relayed);
    assert_eq!(house.server.take_ended(), [relayed]);
    house.server.check();
}

proptest::proptest! {
    #[test]
    fn no_bytes_of_a_stranger_are_relayed_or_kept(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        head in 0usize..4,
    ) {
        let mut house = House::new();
        let heads: [&[u8]; 4] = [&[], &[0x40, 0], &[0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42], &[0, 0x16, 0, 8, 0x21, 0x12, 0xa4, 0x42]];
        let message = [heads[head], &bytes].concat();
        let now = house.now();
        let heard = house.server.receive(client(1), &message, now);
        let is_relayed = matches!(heard, Heard::ToMedia { .. });
        proptest::prop_assert!(!is_relayed);
        proptest::prop_assert!(house.server.is_empty());
    }
}
