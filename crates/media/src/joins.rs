//! How fast may be joined: from one address, and as one identity of a room.
//!
//! A join costs certificates, sessions and messages to everybody in the room. One that comes too early waits for its turn, and is refused
//! where that would take too long.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use reelroom_limits::pace::{Paces, Rate, TooFast};
use reelroom_limits::signalling::{
    JOIN_WAITS, JOINERS_REMEMBERED, JOINS_BURST_ADDRESS, JOINS_BURST_IDENTITY, JOINS_PER_SECOND_ADDRESS,
    JOINS_PER_SECOND_IDENTITY,
};
use reelroom_protocol::ids::RoomName;

/// Everybody who joined of late.
pub(crate) struct Joins {
    state: Mutex<State>,
}

struct State {
    addresses: Paces<IpAddr>,
    people: Paces<(RoomName, String)>,
}

impl Default for Joins {
    fn default() -> Self {
        let address = Rate::per_second(JOINS_BURST_ADDRESS, JOINS_PER_SECOND_ADDRESS);
        let identity = Rate::per_second(JOINS_BURST_IDENTITY, JOINS_PER_SECOND_IDENTITY);
        let state = State {
            addresses: Paces::new(address, JOINERS_REMEMBERED),
            people: Paces::new(identity, JOINERS_REMEMBERED),
        };
        Self { state: Mutex::new(state) }
    }
}

impl Joins {
    /// How long a join of `who` has to wait. `from` is what [`client`] tells.
    ///
    /// # Errors
    /// [`TooFast`].
    pub(crate) fn take(
        &self,
        from: Option<IpAddr>,
        room: &RoomName,
        who: &str,
        now: Instant,
    ) -> Result<Duration, TooFast> {
        let mut state = self.state.lock().expect("no code panics while it holds the joins");
        let of_person = state.people.take((room.clone(), who.to_owned()), 1, JOIN_WAITS, now)?;
        let of_address = match from {
            Some(from) => state.addresses.take(from, 1, JOIN_WAITS, now)?,
            None => Duration::ZERO,
        };
        Ok(of_person.max(of_address))
    }
}

/// Who connects, where that is not this machine: an address, or a network of IPv6. What a proxy on this machine says last is what it has
/// seen itself.
pub(crate) fn client(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    is_own: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !is_own(peer) {
        return Some(network(peer));
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let seen: IpAddr = forwarded.rsplit(',').next()?.trim().parse().ok()?;
    Some(seen.to_canonical()).filter(|seen| !is_own(*seen)).map(network)
}

/// Whoever has one address of IPv6 has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_one_identity_do_not_cost_others_their_turn() {
        let (joins, now) = (Joins::default(), Instant::now());
        let join = |from: &str, identity: &str| {
            joins.take(
                client(Some(from.parse().unwrap()), &HeaderMap::new(), |_| false),
                &"room".into(),
                identity,
                now,
            )
        };
        for _ in 0..JOINS_BURST_IDENTITY {
            assert_eq!(join("192.0.2.1", "ada"), Ok(Duration::ZERO));
        }
        assert_eq!(join("192.0.2.9", "ada"), Ok(Duration::from_secs(1)));
        assert!((0..10).any(|_| join("192.0.2.9", "ada").is_err()));
        assert_eq!(join("192.0.2.9", "eve"), Ok(Duration::ZERO));
        // Addresses of one network of IPv6 are one.
        let refused = (0..1000)
            .find(|index| join(&format!("2001:db8::{index:x}"), &format!("bot {index}")).is_err())
            .unwrap();
        assert_eq!(refused, JOINS_BURST_ADDRESS + 5 * JOINS_PER_SECOND_ADDRESS);
        assert_eq!(join("2001:db8:0:1::1", "zoe"), Ok(Duration::ZERO));
    }

    #[test]
    fn an_address_is_believed_from_a_proxy_on_this_machine_only() {
        let client = |peer: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            client(Some(peer.parse().unwrap()), &headers, |ip| ip.is_loopback()).map(|ip| ip.to_string())
        };
        assert_eq!(client("192.0.2.1", "203.0.113.9"), Some("192.0.2.1".to_owned()));
        assert_eq!(client("127.0.0.1", "198.51.100.1, 203.0.113.9"), Some("203.0.113.9".to_owned()));
        assert_eq!(client("::ffff:127.0.0.1", "203.0.113.9"), Some("203.0.113.9".to_owned()));
        assert_eq!(client("127.0.0.1", "127.0.0.1"), None);
        assert_eq!(client("127.0.0.1", "nonsense"), None);
    }
}
