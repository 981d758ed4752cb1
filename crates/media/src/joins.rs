//! How fast may be joined: from one address, and as one identity of a room.
//!
//! A join costs certificates, sessions and messages to everybody in the room. One that comes too early waits for its turn, and is refused
//! where that would take too long.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
    /// How long a join of `who` has to wait. `from` is the address that it counts for, if there is one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_one_identity_do_not_cost_others_their_turn() {
        let (joins, now) = (Joins::default(), Instant::now());
        let join = |from: &str, identity: &str| joins.take(from.parse().ok(), &"room".into(), identity, now);
        for _ in 0..JOINS_BURST_IDENTITY {
            assert_eq!(join("192.0.2.1", "ada"), Ok(Duration::ZERO));
        }
        assert_eq!(join("192.0.2.9", "ada"), Ok(Duration::from_secs(1)));
        assert!((0..10).any(|_| join("192.0.2.9", "ada").is_err()));
        assert_eq!(join("192.0.2.9", "eve"), Ok(Duration::ZERO));
        let refused = (0..1000).find(|index| join("2001:db8::", &format!("bot {index}")).is_err()).unwrap();
        assert_eq!(refused, JOINS_BURST_ADDRESS + 5 * JOINS_PER_SECOND_ADDRESS);
        assert_eq!(join("2001:db8:0:1::", "zoe"), Ok(Duration::ZERO));
    }
}
