//! Refusals until they are written down: those of a kind are one, with a count.

use std::collections::BTreeMap;

use reelroom_limits::audit::{AUDIT_REFUSALS_APART, AUDIT_REFUSALS_EVERY};
use reelroom_truth::AuditRefusal;

use crate::Whole;
use crate::act::Act;
use crate::deed::{Refusal, WhoKind};
use crate::text::cut;

const EVERY_MS: i64 = AUDIT_REFUSALS_EVERY.as_millis() as i64;
/// Of those that are counted together.
const MANY: &str = "many";

/// What makes refusals one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    act: Act,
    who: WhoKind,
    who_id: String,
    address: String,
    route: String,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    first_ms: i64,
    last_ms: i64,
}

/// Refusals that are still to be written down.
#[derive(Default)]
pub(crate) struct Refusals {
    counts: BTreeMap<Kind, Count>,
    /// What failed to be written, whose kinds have places already.
    left: Vec<AuditRefusal>,
    /// Unix milliseconds.
    written_ms: Option<i64>,
}

impl Refusals {
    pub(crate) fn count(&mut self, refusal: Refusal, now_ms: i64) {
        let mut kind = Kind {
            act: refusal.act,
            who: refusal.who.kind,
            who_id: cut(&refusal.who.id.unwrap_or_default()),
            address: refusal.address.map(|address| address.to_string()).unwrap_or_default(),
            route: cut(&refusal.route.unwrap_or_default()),
            reason: cut(&refusal.reason),
        };
        if self.is_full_for(&kind) {
            // Of acts and of kinds of callers there are few.
            kind = Kind {
                act: kind.act,
                who: kind.who,
                who_id: String::new(),
                address: MANY.into(),
                route: String::new(),
                reason: String::new(),
            };
        }
        let count = self.counts.entry(kind).or_insert(Count { count: 0, first_ms: now_ms, last_ms: now_ms });
        count.count += 1;
        count.last_ms = now_ms;
    }

    /// Whether a kind is counted together with others. Strangers take no place from those who are known.
    fn is_full_for(&self, kind: &Kind) -> bool {
        let is_alike = |known: &Kind| (known.who == WhoKind::Nobody) == (kind.who == WhoKind::Nobody);
        self.counts.len() >= AUDIT_REFUSALS_APART
            && !self.counts.contains_key(kind)
            && self.counts.keys().filter(|known| is_alike(known)).count() >= AUDIT_REFUSALS_APART
    }

    /// Those that are to be written now.
    pub(crate) fn take(&mut self, whole: Whole, now_ms: i64) -> Vec<AuditRefusal> {
        let is_due = self.written_ms.is_none_or(|at_ms| !(0..EVERY_MS).contains(&(now_ms - at_ms)));
        if whole == Whole::WhatIsDue && !is_due {
            return Vec::new();
        }
        let mut all = std::mem::take(&mut self.left);
        all.extend(std::mem::take(&mut self.counts).into_iter().map(|(kind, count)| line(kind, count)));
        if !all.is_empty() {
            self.written_ms = Some(now_ms);
        }
        all
    }

    /// They could not be written. Beyond their bound they are given up: how often a stranger was refused is not worth more.
    pub(crate) fn put_back(&mut self, mut taken: Vec<AuditRefusal>) {
        taken.truncate(2 * AUDIT_REFUSALS_APART);
        self.left = taken;
    }
}

fn line(kind: Kind, count: Count) -> AuditRefusal {
    AuditRefusal {
        act: kind.act.word().into(),
        who: kind.who.word().into(),
        who_id: kind.who_id,
        address: kind.address,
        route: kind.route,
        reason: kind.reason,
        count: count.count,
        first_ms: count.first_ms,
        last_ms: count.last_ms,
    }
}
