//! How often somebody may be wrong about the owner's password.
//!
//! ```text
//!   a browser with a mark ───────► its own pace:        10 at once, then one in a minute
//!   who changes the password ────► their session's own pace, likewise
//!   everybody else ─► all strangers: 30 at once, then one in a minute ─► the address: 5 at once, then one in two minutes
//! ```
//!
//! A try is taken before the password is looked at, so that tries at the same time count too, and given back when it is the right one.
//!
//! # Why it is this way
//!
//! - A lock after some wrong passwords is a gift to strangers: whoever knows that there is an owner locks the owner out, for as long as they
//!   like. Users of products that lock an account, by name or by its key, tell of just that. Here nothing is ever locked: a pace refills.
//! - A pace for addresses alone lets a botnet guess without end. One for the account alone is the lock again, only slower. OWASP's answer is
//!   taken ("Slow Down Online Guessing Attacks with Device Cookies"): a browser in which the owner signed in gets a mark, and has a pace that
//!   no stranger can use up; all strangers together share the account's.
//! - 30 at once and one in a minute are at most 90 in an hour, below the 100 for an account that OWASP's verification standard (ASVS 4,
//!   2.2.1) allows. One address alone cannot use it up: it may be wrong half as often as the account's pace refills.
//! - While many addresses guess without a pause, an owner in a new browser may find no try left. The ways past them: a browser that was
//!   signed in before, a session that is still open, an API key, and a new link (`reelroom owner`), for which nobody has to guess.
//! - An owner behind a proxy that does not say for whom it asks has no address. Such tries count for all strangers alone: one pace for the
//!   proxy's address would make everybody behind it one guesser, which users of products that do this complain of most.
//!
//! # Invariants
//!
//! - Memory is bounded: so many addresses, so many browsers. Those that are rested give their places away, and those that find no place share
//!   one. Nothing here is written to the disk.
//! - Who is refused uses nothing up, neither of their own pace nor of the others'.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reelroom_limits::accounts::{
    SIGN_IN_ADDRESSES, SIGN_IN_EVERY_ADDRESS, SIGN_IN_EVERY_KNOWN, SIGN_IN_EVERY_STRANGERS, SIGN_IN_KNOWN,
    SIGN_INS_BURST_ADDRESS, SIGN_INS_BURST_KNOWN, SIGN_INS_BURST_STRANGERS,
};
use reelroom_limits::asker::Asker;
use reelroom_limits::pace::{Pace, Paces, Rate, TooFast};

use crate::ids::SessionId;
use crate::mark::Browser;

/// Whose try it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A browser with a mark.
    Browser(Browser),
    /// Somebody who is signed in.
    Session(SessionId),
    /// Anybody else, at an address if that can be told.
    Stranger(Option<IpAddr>),
}

impl Who {
    pub(crate) fn stranger(Asker(address): Asker) -> Self {
        Self::Stranger(address)
    }
}

/// A try that was taken.
pub(crate) struct Try(Who);

/// Everybody who was wrong of late.
pub(crate) struct Throttle {
    strangers: Option<Pace>,
    addresses: Paces<IpAddr>,
    known: Paces<Who>,
}

impl Default for Throttle {
    fn default() -> Self {
        let address = Rate::one_in(SIGN_INS_BURST_ADDRESS, SIGN_IN_EVERY_ADDRESS);
        let known = Rate::one_in(SIGN_INS_BURST_KNOWN, SIGN_IN_EVERY_KNOWN);
        Self {
            strangers: None,
            addresses: Paces::new(address, SIGN_IN_ADDRESSES),
            known: Paces::new(known, SIGN_IN_KNOWN),
        }
    }
}

impl Throttle {
    /// One more try of theirs.
    ///
    /// # Errors
    /// [`TooFast`]: then nothing is taken.
    pub(crate) fn take(&mut self, who: Who, now: Instant) -> Result<Try, TooFast> {
        const AT_ONCE: Duration = Duration::ZERO;
        match &who {
            Who::Browser(_) | Who::Session(_) => self.known.take(who.clone(), 1, AT_ONCE, now).map(drop)?,
            Who::Stranger(address) => {
                let rate = || Rate::one_in(SIGN_INS_BURST_STRANGERS, SIGN_IN_EVERY_STRANGERS);
                let strangers = self.strangers.get_or_insert_with(|| Pace::new(rate(), now));
                // First, as it takes no search: a flood that has used it up costs next to nothing.
                strangers.take(1, AT_ONCE, now)?;
                if let Some(address) = address
                    && let Err(too_fast) = self.addresses.take(*address, 1, AT_ONCE, now)
                {
                    strangers.give_back(1);
                    return Err(too_fast);
                }
            }
        }
        Ok(Try(who))
    }

    /// It was the right password, or it was not looked at.
    pub(crate) fn give_back(&mut self, Try(who): Try) {
        match &who {
            Who::Browser(_) | Who::Session(_) => self.known.give_back(&who, 1),
            Who::Stranger(address) => {
                if let Some(strangers) = &mut self.strangers {
                    strangers.give_back(1);
                }
                if let Some(address) = address {
                    self.addresses.give_back(address, 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn at(number: u32) -> Who {
        Who::Stranger(Some(IpAddr::V4(Ipv4Addr::from_bits(number))))
    }

    #[test]
    fn an_address_is_slowed_down_and_told_for_how_long() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..SIGN_INS_BURST_ADDRESS {
            assert!(throttle.take(at(1), now).is_ok());
        }
        let refused = throttle.take(at(1), now).map(drop).unwrap_err();
        assert_eq!(refused.wait, SIGN_IN_EVERY_ADDRESS);
        assert!(throttle.take(at(2), now).is_ok());
        assert!(throttle.take(at(1), now + SIGN_IN_EVERY_ADDRESS + MOMENT).is_ok());
    }

    #[test]
    fn an_address_alone_never_uses_up_what_all_strangers_have() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for second in 0..24 * 60 * 60 {
            let now = start + Duration::from_secs(second);
            let _ = throttle.take(at(1), now);
            if second % 600 == 0 {
                let other = throttle.take(at(2), now).map_err(|_| second).unwrap();
                throttle.give_back(other);
            }
        }
    }

    #[test]
    fn all_strangers_together_get_fewer_than_100_tries_in_any_hour() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut taken = Vec::new();
        for second in 0..6 * 60 * 60_u32 {
            let now = start + Duration::from_secs(second.into());
            for address in 0..3 {
                if throttle.take(at(second * 3 + address), now).is_ok() {
                    taken.push(second);
                }
            }
        }
        assert!(taken.len() > 6 * 55, "{}: they are never locked out for good", taken.len());
        for (index, first) in taken.iter().enumerate() {
            let in_an_hour = taken[index..].iter().filter(|second| **second - first < 3600).count();
            assert!(in_an_hour < 100, "{in_an_hour} from {first} s on");
        }
    }

    #[test]
    fn strangers_cost_a_known_browser_no_try() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..10_000 {
            let _ = throttle.take(at(number), now);
            let _ = throttle.take(Who::Stranger(None), now);
        }
        assert!(throttle.take(at(20_000), now).is_err());
        for who in [Who::Browser([1; 16]), Who::Browser([2; 16]), Who::Session("SE_1".into())] {
            for _ in 0..SIGN_INS_BURST_KNOWN {
                assert!(throttle.take(who.clone(), now).is_ok());
            }
            assert!(throttle.take(who.clone(), now).is_err(), "but it does not guess without end either");
            assert!(throttle.take(who, now + SIGN_IN_EVERY_KNOWN + MOMENT).is_ok());
        }
    }

    #[test]
    fn a_refusal_and_a_right_password_use_nothing_up() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..1000 {
            for who in [at(1), Who::Stranger(None), Who::Browser([1; 16])] {
                let right = throttle.take(who, now).unwrap();
                throttle.give_back(right);
            }
        }
        let wrong = (0..1000).filter(|_| throttle.take(at(1), now).is_ok()).count();
        assert_eq!(wrong, SIGN_INS_BURST_ADDRESS as usize);
        let others = (0..1000).filter(|_| throttle.take(Who::Stranger(None), now).is_ok()).count();
        assert_eq!(others, (SIGN_INS_BURST_STRANGERS - SIGN_INS_BURST_ADDRESS) as usize);
    }

    #[test]
    fn addresses_and_browsers_without_number_cost_no_memory() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..3 * SIGN_IN_ADDRESSES as u32 {
            // Slow enough for all strangers' pace, and far too many for the table.
            let now = start + SIGN_IN_EVERY_STRANGERS.mul_f64(1.01) * number;
            assert!(throttle.take(at(number), now).is_ok(), "{number}");
            let mut browser = [0; 16];
            browser[..4].copy_from_slice(&number.to_be_bytes());
            let _ = throttle.take(Who::Browser(browser), now);
        }
        assert!(throttle.addresses.len() <= SIGN_IN_ADDRESSES && throttle.known.len() <= SIGN_IN_KNOWN);
    }
}
