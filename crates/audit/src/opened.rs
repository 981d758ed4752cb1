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
    /// When it was told: Unix milliseconds.
    told: HashMap<Opening, i64>,
    order: VecDeque<Opening>,
}

impl Opened {
    /// Whether this is to be told.
    pub(crate) fn is_news(&mut self, deed: &Deed, now_ms: i64) -> bool {
        let opening =
            Opening { act: deed.act, who: deed.who.clone(), address: deed.address, on: deed.on.clone() };
        if let Some(told_ms) = self.told.get_mut(&opening) {
            // A clock that was set back tells it anew.
            if (0..TOGETHER_MS).contains(&(now_ms - *told_ms)) {
                return false;
            }
            *told_ms = now_ms;
            return true;
        }
        if self.told.len() >= AUDIT_OPENED
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
        self.order.push_back(opening.clone());
        self.told.insert(opening, now_ms);
        true
    }
}
