//! What was done to recordings and rights, newest last, and what was refused: refusals of a kind are one line with a count, so that nobody who is
//! refused often pushes anything out.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{Truth, TruthError};

/// Something that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditAct {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub act: String,
    /// Whether it is one of those that anybody makes many of.
    pub is_use: bool,
    /// How it ended.
    pub outcome: String,
    /// What kind of caller did it.
    pub who: String,
    /// Which of that kind: no secret.
    pub who_id: Option<String>,
    /// What they are called.
    pub who_name: Option<String>,
    /// From where, if that can be told.
    pub address: Option<String>,
    /// What kind of thing it was done to.
    pub on_kind: Option<String>,
    /// Which of that kind: no secret.
    pub on_id: Option<String>,
    /// What that is called.
    pub on_name: Option<String>,
    /// A few words more.
    pub detail: Option<String>,
    /// Why it did not end well.
    pub reason: Option<String>,
}

/// An act as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAuditAct {
    /// A later one has a higher one.
    pub id: i64,
    /// What was done.
    pub act: AuditAct,
}

/// Which acts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSearch {
    /// Only those with a lower id.
    pub before: Option<i64>,
    /// So many at most.
    pub most: usize,
    /// So many are looked through at most.
    pub looked_through: usize,
}

/// Some acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Newest first.
    pub acts: Vec<KeptAuditAct>,
    /// Where older ones may be: those with a lower id than this.
    pub next: Option<i64>,
}

/// What is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKept {
    /// Acts.
    pub acts: usize,
    /// Of these, uses.
    pub uses: usize,
    /// What is older may go: Unix milliseconds.
    pub since_ms: i64,
    /// So many go at once at most.
    pub at_once: usize,
}

/// Refusals of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRefusal {
    /// What was refused.
    pub act: String,
    /// To what kind of caller.
    pub who: String,
    /// Which of that kind; empty where that is not known.
    pub who_id: String,
    /// From where; empty where that is not known.
    pub address: String,
    /// What they asked for; empty where that says no more.
    pub route: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// Of the first one: Unix milliseconds.
    pub first_ms: i64,
    /// Of the last one: Unix milliseconds.
    pub last_ms: i64,
}

const ACT: &str = "id, at_ms, act, is_use, outcome, who, who_id, who_name, address, on_kind, on_id, on_name, detail, reason";

/// Who has shown nothing that holds: of these there may be any number.
const STRANGER: &str = "nobody";

impl Truth {
    /// Writes down what was done, all or none.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn add_audit_acts(&self, acts: &[AuditAct]) -> Result<(), TruthError> {
        self.write_now(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO audit_acts (at_ms, act, is_use, outcome, who, who_id, who_name, address, on_kind, on_id, on_name, detail, reason) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?;
            for act in acts {
                insert.execute(params![
                    act.at_ms,
                    act.act,
                    act.is_use,
                    act.outcome,
                    act.who,
                    act.who_id,
                    act.who_name,
                    act.address,
                    act.on_kind,
                    act.on_id,
                    act.on_name,
                    act.detail,
                    act.reason,
                ])?;
            }
            Ok(())
        })
    }

    /// Forgets the oldest acts beyond what is kept, and says how many.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn forget_audit_acts(&self, kept: AuditKept) -> Result<usize, TruthError> {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (acts, uses, at_once) = (count(kept.acts), count(kept.uses), count(kept.at_once));
        self.write_now(|db| {
            // The newest of those that are too many: it goes, with all before it.
            let last = |sql: &str, value: i64| -> rusqlite::Result<Option<i64>> {
                db.prepare_cached(sql)?.query_row([value], |row| row.get(0)).optional()
            };
            // An index counts them, and from the oldest on it is not far.
            let all: i64 =
                db.prepare_cached("SELECT count(*) FROM audit_acts")?.query_row([], |row| row.get(0))?;
            let too_many = match all - acts {
                ..=0 => None,
                beyond => last("SELECT id FROM audit_acts ORDER BY id LIMIT 1 OFFSET ?1", beyond - 1)?,
            };
            // Those are looked at that are too old, and no others.
            let young = last("SELECT id FROM audit_acts WHERE at_ms >= ?1 ORDER BY id LIMIT 1", kept.since_ms)?;
            let too_old = match young {
                Some(id) => Some(id - 1),
                None => {
                    let sql = "SELECT id FROM audit_acts WHERE at_ms < ?1 ORDER BY id DESC LIMIT 1";
                    last(sql, kept.since_ms)?
                }
            };
            let last_id = too_many.max(too_old).unwrap_or(0);
            let gone = db
                .prepare_cached(
                    "DELETE FROM audit_acts WHERE id IN (SELECT id FROM audit_acts WHERE id <= ?1 ORDER BY id LIMIT ?2)",
                )?
                .execute([last_id, at_once])?;
            let too_many_uses = last(
                "SELECT id FROM audit_acts WHERE is_use = 1 ORDER BY id DESC LIMIT 1 OFFSET ?1",
                uses,
            )?;
            let used = db
                .prepare_cached(
                    "DELETE FROM audit_acts WHERE id IN \
                     (SELECT id FROM audit_acts WHERE is_use = 1 AND id <= ?1 ORDER BY id LIMIT ?2)",
                )?
                .execute([too_many_uses.unwrap_or(0), at_once])?;
            Ok(gone + used)
        })
    }

    /// The newest acts that are meant.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn audit_acts(
        &self,
        search: AuditSearch,
        is_meant: impl Fn(&AuditAct) -> bool,
    ) -> Result<AuditPage, TruthError> {
        let rows_at_most = i64::try_from(search.looked_through.saturating_add(1)).unwrap_or(i64::MAX);
        self.read_now(|db| {
            let sql = format!("SELECT {ACT} FROM audit_acts WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
            let mut select = db.prepare_cached(&sql)?;
            let mut rows = select.query(params![search.before.unwrap_or(i64::MAX), rows_at_most])?;
            let mut page = AuditPage::default();
            let (mut looked_through, mut last_id) = (0, None);
            while let Some(row) = rows.next()? {
                if page.acts.len() >= search.most || looked_through >= search.looked_through {
                    page.next = last_id;
                    break;
                }
                let kept = act(row)?;
                looked_through += 1;
                last_id = Some(kept.id);
                if is_meant(&kept.act) {
                    page.acts.push(kept);
                }
            }
            Ok(page)
        })
    }

    /// Counts refusals: those of a kind are one line as long as `together_ms` at most are between them. Of strangers the `most` that were
    /// counted last are kept, and as many of those who are known, as far as that was after `since_ms`.
    ///
    /// # Errors
    /// [`TruthError::Failed`]: none of them is counted.
    pub fn count_audit_refusals(
        &self,
        refusals: &[AuditRefusal],
        together_ms: i64,
        most: usize,
        since_ms: i64,
    ) -> Result<(), TruthError> {
        self.write_now(|db| {
            refusals.iter().try_for_each(|refusal| count_refusal(db, refusal, together_ms))?;
            db.prepare_cached("DELETE FROM audit_refusals WHERE last_ms < ?1")?.execute([since_ms])?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            for is_stranger in [true, false] {
                db.prepare_cached(
                    "DELETE FROM audit_refusals WHERE id IN \
                     (SELECT id FROM audit_refusals WHERE (who = ?3) = ?2 ORDER BY last_ms DESC, id DESC LIMIT -1 OFFSET ?1)",
                )?
                .execute(params![most, is_stranger, STRANGER])?;
            }
            Ok(())
        })
    }

    /// All refusals that are kept, the one that was counted last in front.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn audit_refusals(&self) -> Result<Vec<AuditRefusal>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT act, who, who_id, address, route, reason, count, first_ms, last_ms FROM audit_refusals \
                 ORDER BY last_ms DESC, id DESC",
            )?
            .query_map([], |row| {
                Ok(AuditRefusal {
                    act: row.get(0)?,
                    who: row.get(1)?,
                    who_id: row.get(2)?,
                    address: row.get(3)?,
                    route: row.get(4)?,
                    reason: row.get(5)?,
                    count: row.get::<_, i64>(6)?.unsigned_abs(),
                    first_ms: row.get(7)?,
                    last_ms: row.get(8)?,
                })
            })?
            .collect()
        })
    }
}

fn count_refusal(db: &Connection, refusal: &AuditRefusal, together_ms: i64) -> rusqlite::Result<()> {
    let count = i64::try_from(refusal.count).unwrap_or(i64::MAX);
    let AuditRefusal { act, who, who_id, address, route, reason, first_ms, last_ms, .. } = refusal;
    let line: Option<i64> = db
        .prepare_cached(
            "SELECT id FROM audit_refusals WHERE act = ?1 AND who = ?2 AND who_id = ?3 AND address = ?4 AND route = ?5 AND reason = ?6 \
             AND last_ms >= ?7 ORDER BY last_ms DESC LIMIT 1",
        )?
        .query_row(
            params![act, who, who_id, address, route, reason, first_ms.saturating_sub(together_ms)],
            |row| row.get(0),
        )
        .optional()?;
    match line {
        Some(id) => db
            .prepare_cached("UPDATE audit_refusals SET count = count + ?2, last_ms = max(last_ms, ?3) WHERE id = ?1")?
            .execute([id, count, *last_ms])
            .map(drop),
        None => db
            .prepare_cached(
                "INSERT INTO audit_refusals (act, who, who_id, address, route, reason, count, first_ms, last_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![act, who, who_id, address, route, reason, count, first_ms, last_ms])
            .map(drop),
    }
}

fn act(row: &Row<'_>) -> rusqlite::Result<KeptAuditAct> {
    let act = AuditAct {
        at_ms: row.get(1)?,
        act: row.get(2)?,
        is_use: row.get(3)?,
        outcome: row.get(4)?,
        who: row.get(5)?,
        who_id: row.get(6)?,
        who_name: row.get(7)?,
        address: row.get(8)?,
        on_kind: row.get(9)?,
        on_id: row.get(10)?,
        on_name: row.get(11)?,
        detail: row.get(12)?,
        reason: row.get(13)?,
    };
    Ok(KeptAuditAct { id: row.get(0)?, act })
}
