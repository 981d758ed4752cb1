//! What waits to be written down.

use std::collections::VecDeque;

use reelroom_limits::audit::{AUDIT_UNWRITTEN, AUDIT_UNWRITTEN_USES};
use reelroom_truth::AuditAct;

use crate::act::Act;
use crate::deed::{Deed, On, OnKind, Outcome, Who, WhoKind};
use crate::opened::Opened;
use crate::refusals::Refusals;
use crate::text::cut;

/// What waits to be written down.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Oldest first.
    pub(crate) acts: VecDeque<AuditAct>,
    /// How many of them are uses.
    uses: usize,
    pub(crate) refusals: Refusals,
    opened: Opened,
    /// Acts that found no place since the program began.
    pub(crate) lost: u64,
    /// Of those, the ones of which the log does not tell yet.
    lost_untold: u64,
    /// Acts that were taken and are being written.
    pub(crate) under_way: usize,
    /// How many of those are uses.
    uses_under_way: usize,
    /// Why the last write failed.
    pub(crate) trouble: Option<String>,
}

/// Acts that somebody writes.
pub(crate) struct Taken {
    pub(crate) acts: Vec<AuditAct>,
    /// How many the last of them tells to be lost.
    tells_lost: u64,
}

impl Taken {
    pub(crate) fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }
}

impl Waiting {
    /// Notes an act; false where it may wait, or is none.
    pub(crate) fn note(&mut self, deed: Deed, now_ms: i64) -> bool {
        if deed.act.is_opening() && !self.opened.is_news(&deed, now_ms) {
            return false;
        }
        let is_use = deed.act.is_use();
        let is_full = self.acts.len() + self.under_way >= AUDIT_UNWRITTEN;
        let are_uses_full = self.uses + self.uses_under_way >= AUDIT_UNWRITTEN_USES;
        if is_full || (is_use && are_uses_full) {
            self.lost += 1;
            self.lost_untold += 1;
            return false;
        }
        self.uses += usize::from(is_use);
        self.acts.push_back(row(deed, now_ms));
        // Many at once are written before they have no place.
        !is_use || self.uses >= AUDIT_UNWRITTEN_USES / 2
    }

    /// Everything that waits, for somebody who writes it.
    pub(crate) fn take(&mut self, now_ms: i64) -> Taken {
        let mut acts: Vec<AuditAct> = std::mem::take(&mut self.acts).into();
        let tells_lost = std::mem::take(&mut self.lost_untold);
        if tells_lost > 0 {
            let lost = Deed {
                act: Act::AuditLost,
                outcome: Outcome::Failed,
                who: Who::of(WhoKind::Server),
                address: None,
                on: On::the(OnKind::Log),
                detail: None,
                reason: Some(format!("{tells_lost} acts are not in this log: the disk took nothing")),
            };
            acts.push(row(lost, now_ms));
        }
        self.under_way = acts.len();
        self.uses_under_way = std::mem::take(&mut self.uses);
        Taken { acts, tells_lost }
    }

    /// They are written.
    pub(crate) fn written(&mut self) {
        (self.under_way, self.uses_under_way) = (0, 0);
    }

    /// They could not be written: they go before what has come since.
    pub(crate) fn put_back(&mut self, mut taken: Taken) {
        self.under_way = 0;
        self.uses += std::mem::take(&mut self.uses_under_way);
        self.lost_untold += taken.tells_lost;
        if taken.tells_lost > 0 {
            taken.acts.pop();
        }
        let since = std::mem::replace(&mut self.acts, taken.acts.into());
        self.acts.extend(since);
    }
}

fn row(deed: Deed, now_ms: i64) -> AuditAct {
    let kept = |text: Option<String>| text.map(|text| cut(&text));
    AuditAct {
        at_ms: now_ms,
        act: deed.act.word().into(),
        is_use: deed.act.is_use(),
        outcome: deed.outcome.word().into(),
        who: deed.who.kind.word().into(),
        who_id: kept(deed.who.id),
        who_name: kept(deed.who.name),
        address: deed.address.map(|address| address.to_string()),
        on_kind: Some(deed.on.kind.word().into()),
        on_id: kept(deed.on.id),
        on_name: kept(deed.on.name),
        detail: kept(deed.detail),
        reason: kept(deed.reason),
    }
}
