//! Recordings that were opened of late, so that opening one is told once.

use std::collections::{HashMap, VecDeque};

use reelroom_limits::audit::{AUDIT_OPENED, AUDIT_OPENED_TOGETHER};

use crate::act::Act;
use crate::deed::{Deed, On, Who};

const TOGETHER_MS: i64 = AUDIT_OPENED_TOGETHER.as_millis() as i64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Opening {
    act: Act,
    who: Who,
    address: Option<std::net::IpAddr>,
    on: On,
}

/// What was opened of late.
#[derive(Default)]
pub(crate) struct Opened {
    /// When it was asked for last: Unix milliseconds.
    seen: HashMap<Opening, i64>,
    order: VecDeque<Opening>,
}

impl Opened {
    /// Whether this is to be told.
    pub(crate) fn is_news(&mut self, deed: &Deed, now_ms: i64) -> bool {
        let opening =
            Opening { act: deed.act, who: deed.who.clone(), address: deed.address, on: deed.on.clone() };
        if let Some(seen_ms) = self.seen.get_mut(&opening) {
            // A clock that was set back tells it anew.
            let is_going_on = (0..TOGETHER_MS).contains(&(now_ms - *seen_ms));
            *seen_ms = now_ms;
            return !is_going_on;
        }
        if self.seen.len() >= AUDIT_OPENED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(opening.clone());
        self.seen.insert(opening, now_ms);
        true
    }
}
