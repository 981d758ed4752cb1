#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn udp(ip: u8, port: u16) -> Address {
    (Transport::Udp, SocketAddr::from((Ipv4Addr::new(192, 0, 2, ip), port)))
}

fn register(routes: &mut Routes<()>, name: &str, person: u64, now: Instant) -> SessionId {
    let registration = Registration {
        ufrag: name.to_owned(),
        password: "secret".into(),
        person,
        reach: Reach::Anywhere,
        inbox: (),
    };
    routes.register(registration, now)
}

fn at(routes: &mut Routes<()>, from: Address, now: Instant) -> Vec<SessionId> {
    routes.at(from, now).map(|(session, ())| session).collect()
}

#[test]
fn an_address_is_a_sessions_after_a_signed_request_and_until_its_end() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let session = register(&mut routes, "one", 1, now);
    assert_eq!(routes.named("one").unwrap().0, session);
    assert!(at(&mut routes, udp(1, 1), now).is_empty());
    routes.requested(session, udp(1, 1), now).unwrap();
    assert_eq!(at(&mut routes, udp(1, 1), now), [session]);
    assert!(at(&mut routes, (Transport::Tcp, udp(1, 1).1), now).is_empty());
    assert_eq!(routes.unregister(session), [udp(1, 1)]);
    assert!(at(&mut routes, udp(1, 1), now).is_empty());
    assert!(routes.named("one").is_none());
    assert_eq!(routes.requested(session, udp(1, 1), now), Err(Unused::SessionOver));
    assert_eq!(routes.len(), (0, 0));
}

#[test]
fn a_session_goes_by_several_names_while_ice_is_restarted() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let session = register(&mut routes, "one", 1, now);
    let other = register(&mut routes, "another's", 2, now);
    routes.requested(session, udp(1, 1), now).unwrap();
    let name = |ufrag: &str, password: &str| (ufrag.to_owned(), Arc::<str>::from(password));
    routes.rename(session, vec![name("two", "new"), name("one", "secret")]);
    for (ufrag, password) in [("one", "secret"), ("two", "new")] {
        let (named, signs, _) = routes.named(ufrag).unwrap();
        assert_eq!((named, &*signs), (session, password));
    }
    assert_eq!(at(&mut routes, udp(1, 1), now), [session], "it is where it was");
    routes.check();
    routes.rename(session, vec![name("two", "new")]);
    assert!(routes.named("one").is_none());
    assert_eq!(routes.named("another's").unwrap().0, other);
    // Of one that is over nothing is left, and no name is taken from another one.
    routes.unregister(other);
    routes.rename(other, vec![name("two", "stolen")]);
    assert_eq!(routes.named("two").unwrap().0, session);
    routes.unregister(session);
    assert!(routes.named("two").is_none());
    assert_eq!(routes.len(), (0, 0));
}

#[test]
fn nobody_takes_an_address_away_that_another_session_has() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let victim = register(&mut routes, "victim", 1, now);
    routes.requested(victim, udp(1, 1), now).unwrap();
    routes.flows(victim, udp(1, 1));
    // Peers with sessions of their own write the victim's address on what they sign.
    for number in 0..50 {
        let thief = register(&mut routes, &format!("thief {number}"), 2 + number, now);
        routes.requested(thief, udp(1, 1), now + Duration::from_millis(number)).unwrap();
        let sharing = at(&mut routes, udp(1, 1), now);
        assert!(sharing.contains(&victim) && sharing.len() <= SESSIONS_OF_ADDRESS);
        routes.check();
    }
}

#[test]
fn a_session_has_few_addresses_and_keeps_the_one_that_media_flows_on() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let session = register(&mut routes, "one", 1, now);
    routes.requested(session, udp(1, 1), now).unwrap();
    routes.flows(session, udp(1, 1));
    for number in 0..100u32 {
        let later = now + NEW_ADDRESS_EVERY * number;
        routes.requested(session, udp(2, number as u16), later).unwrap();
        assert!(at(&mut routes, udp(2, number as u16), later).contains(&session));
        routes.check();
    }
    assert_eq!(at(&mut routes, udp(1, 1), now), [session]);
    assert_eq!(routes.len(), (1, ADDRESSES_OF_SESSION));
}

#[test]
fn new_addresses_come_as_seldom_as_a_peer_moves_and_requests_as_often_as_it_asks() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let session = register(&mut routes, "one", 1, now);
    let used = |result: &Result<(), Unused>| result.is_ok();
    let taken = (0..1000).map(|port| routes.requested(session, udp(3, port), now)).filter(used).count();
    assert_eq!(taken, NEW_ADDRESSES as usize);
    let later = now + Duration::from_secs(1);
    let asked = (0..1000).map(|_| routes.requested(session, udp(3, 31), later)).filter(used).count();
    assert_eq!(asked, REQUESTS_PER_S as usize);
    assert_eq!(routes.requested(session, udp(3, 31), later), Err(Unused::TooManyRequests));
}

#[test]
fn who_may_have_moved_is_known_by_its_media_or_by_where_its_person_is() {
    let now = Instant::now();
    let mut routes = Routes::new(now);
    let up = register(&mut routes, "up", 1, now);
    let down = register(&mut routes, "down", 1, now);
    let other = register(&mut routes, "other", 2, now);
    for (session, from) in [(up, udp(1, 1)), (down, udp(1, 2)), (other, udp(2, 1))] {
        routes.requested(session, from, now).unwrap();
    }
    routes.sends(up, 77);
    let moved = |routes: &mut Routes<()>, ip, ssrc, now| -> Vec<SessionId> {
        routes.moved(udp(ip, 999).1, ssrc, now).into_iter().map(|(session, ())| session).collect()
    };
    assert_eq!(moved(&mut routes, 9, Some(77), now), [up], "wherever it is");
    assert_eq!(moved(&mut routes, 1, Some(1), now), [up, down]);
    assert_eq!(moved(&mut routes, 2, Some(1), now), [other]);
    assert!(moved(&mut routes, 9, Some(1), now).is_empty());
    // One session of a person has moved to another network: the other one will follow.
    routes.proven(up, udp(9, 5), now);
    assert_eq!(moved(&mut routes, 9, Some(1), now), [up, down]);
    // Nobody is searched for without end.
    let found = (0..1000).filter(|_| !moved(&mut routes, 9, Some(77), now).is_empty()).count();
    assert!(found <= SEARCHES_PER_S as usize);
    let late = now + 2 * MOVED_WITHIN;
    assert!(moved(&mut routes, 9, Some(77), late).is_empty(), "long silent is not just moved");
}

proptest! {
    #[test]
    fn the_table_holds_together_and_is_bounded(
        steps in prop::collection::vec((0..8u8, 0..12u64, 0..3u8, 0..40u16), 1..400),
    ) {
        let start = Instant::now();
        let mut routes = Routes::new(start);
        let mut sessions = Vec::new();
        for (time, (what, which, ip, port)) in steps.into_iter().enumerate() {
            let now = start + Duration::from_secs(time as u64);
            let from = udp(ip, port);
            let session = sessions.get(which as usize % sessions.len().max(1)).copied().unwrap_or(SessionId(99));
            match what {
                0 => sessions.push(register(&mut routes, &format!("{which}"), which / 2, now)),
                1 | 2 => {
                let _ = routes.requested(session, from, now);
            }
                3 => routes.flows(session, from),
                4 => routes.sends(session, u32::from(port)),
                5 => drop(routes.moved(from.1, Some(u32::from(port)), now)),
                6 => routes.closed(from),
                _ if time % 3 == 0 => drop(routes.unregister(session)),
                _ => routes.proven(session, from, now),
            }
            routes.check();
        }
        for session in sessions {
            routes.unregister(session);
        }
        prop_assert_eq!(routes.len(), (0, 0));
    }
}
