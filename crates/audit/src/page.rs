//! The log, as it is read.

use reelroom_limits::audit::{AUDIT_LOOKED_THROUGH, AUDIT_SEARCH_BYTES};
use reelroom_truth::{AuditAct, AuditRefusal, AuditSearch, KeptAuditAct};

use crate::error::AuditError;
use crate::{Audit, Whole};

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// So many acts at most.
    pub most: usize,
    /// Only acts with a lower id.
    pub before: Option<i64>,
    /// A text in any field, in upper or lower case.
    pub text: Option<String>,
}

/// An act as it is kept.
pub type Entry = KeptAuditAct;
/// Refusals of a kind, as they are kept: what is not known of them is empty.
pub type Refused = AuditRefusal;

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// `before` of the next page; `None`: there are no older ones.
    pub next: Option<i64>,
    /// With the first page: the one that was counted last in front.
    pub refusals: Vec<Refused>,
}

impl Audit {
    /// Reads a page. What waits is written first, as far as the disk takes it: whoever did something sees it.
    ///
    /// # Errors
    /// [`AuditError::LongSearch`], [`AuditError::Truth`].
    pub fn page(&self, query: &Query, now_ms: i64) -> Result<Page, AuditError> {
        if query.text.as_ref().is_some_and(|text| text.len() > AUDIT_SEARCH_BYTES) {
            return Err(AuditError::LongSearch);
        }
        // What it did not take is told by the standing.
        let _ = self.write(Whole::Everything, now_ms);
        let text = query.text.as_ref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let is_wanted = |field: &str| text.as_ref().is_none_or(|text| field.to_lowercase().contains(text));
        let search = AuditSearch {
            before: query.before,
            most: query.most,
            looked_through: if text.is_some() { AUDIT_LOOKED_THROUGH } else { query.most },
        };
        let found = self.truth.audit_acts(search, |act| fields(act).into_iter().any(is_wanted))?;
        let refusals = match query.before {
            Some(_) => Vec::new(),
            None => {
                let all = self.truth.audit_refusals()?.into_iter();
                let meant = all.filter(|refused| fields_of(refused).into_iter().any(is_wanted));
                meant.take(query.most).collect()
            }
        };
        Ok(Page { entries: found.acts, next: found.next, refusals })
    }
}

/// What can be looked for in an act.
fn fields(act: &AuditAct) -> [&str; 11] {
    [
        &act.act,
        &act.outcome,
        &act.who,
        text(&act.who_id),
        text(&act.who_name),
        text(&act.address),
        text(&act.on_kind),
        text(&act.on_id),
        text(&act.on_name),
        text(&act.detail),
        text(&act.reason),
    ]
}

/// What can be looked for in refusals.
fn fields_of(refused: &AuditRefusal) -> [&str; 6] {
    let AuditRefusal { act, who, who_id, address, route, reason, .. } = refused;
    [act, who, who_id, address, route, reason]
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}
