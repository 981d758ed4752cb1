//! How fast those who ask get tokens.
//!
//! A token costs a question to the media server, and a name that is remembered for a while.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reelroom_limits::asker::Asker;
use reelroom_limits::http::{
    ASKERS_REMEMBERED, TOKEN_WAITS, TOKENS_BURST_ADDRESS, TOKENS_PER_SECOND_ADDRESS,
};
use reelroom_limits::pace::{Paces, Rate, TooFast};

/// Everybody who asked for tokens of late.
pub(crate) struct Askers {
    addresses: Mutex<Paces<IpAddr>>,
}

impl Default for Askers {
    fn default() -> Self {
        let rate = Rate::per_second(TOKENS_BURST_ADDRESS, TOKENS_PER_SECOND_ADDRESS);
        Self { addresses: Mutex::new(Paces::new(rate, ASKERS_REMEMBERED)) }
    }
}

impl Askers {
    /// How long a token for `asker` has to wait.
    ///
    /// # Errors
    /// [`TooFast`].
    pub(crate) fn take(&self, asker: Asker, now: Instant) -> Result<Duration, TooFast> {
        let Asker(Some(address)) = asker else { return Ok(Duration::ZERO) };
        let mut addresses = self.addresses.lock().expect("no code panics while it holds the addresses");
        addresses.take(address, 1, TOKEN_WAITS, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_tokens_at_its_pace_and_costs_others_nothing() {
        let (askers, now) = (Askers::default(), Instant::now());
        let take = |ip: Option<&str>| askers.take(Asker(ip.map(|ip| ip.parse().unwrap())), now);
        for _ in 0..TOKENS_BURST_ADDRESS {
            assert_eq!(take(Some("192.0.2.1")), Ok(Duration::ZERO));
        }
        assert!(take(Some("192.0.2.1")).unwrap() > Duration::ZERO, "then it waits");
        assert!((0..1000).any(|_| take(Some("192.0.2.1")).is_err()), "and is refused where that is too long");
        assert_eq!(take(Some("192.0.2.2")), Ok(Duration::ZERO));
        for _ in 0..1000 {
            assert_eq!(take(None), Ok(Duration::ZERO), "a program of this machine stands for anybody");
        }
    }
}
