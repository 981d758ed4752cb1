//! What others are told by webhook: each delivery until its receiver has it, and some that are over, for whoever looks what became of them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{Truth, TruthError};

/// Of a delivery; a later one has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried, again and again.
    Waiting,
    /// Its receiver has it.
    Delivered,
    /// It waited for too long.
    Expired,
    /// Others needed its place, or its receiver is not set any more.
    Dropped,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Expired, Self::Dropped];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

/// An event for one receiver.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Whom it is for: no secret, and the same as long as their URL is.
    pub receiver: String,
    /// Where that is, as far as it is no secret.
    pub place: String,
    /// What it is of: of that everything is told in order.
    pub subject: String,
    /// Its kind.
    pub event: String,
    /// The id in it.
    pub event_id: String,
    /// What is sent.
    pub body: Vec<u8>,
}

/// A delivery that is still to be made, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// Which.
    pub id: DeliveryId,
    /// Whom it is for.
    pub receiver: String,
    /// What it is of.
    pub subject: String,
    /// Its kind.
    pub event: String,
    /// Of its body.
    pub bytes: u64,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// So far.
    pub tries: u32,
    /// Unix milliseconds.
    pub next_try_ms: i64,
}

/// A delivery, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What is known of it as long as it waits.
    pub waiting: WaitingDelivery,
    /// Where its receiver is, as far as it is no secret.
    pub place: String,
    /// The id in it.
    pub event_id: String,
    /// How far it is.
    pub state: DeliveryState,
    /// When it was over: Unix milliseconds.
    pub settled_ms: Option<i64>,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
    /// Why the last try failed, or why it was given up.
    pub error: Option<String>,
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub struct Settled {
    /// How it is over, or that it is not.
    pub state: DeliveryState,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// All of them, this one included.
    pub tries: u32,
    /// While it waits: Unix milliseconds of the next one.
    pub next_try_ms: i64,
    /// Of the last answer, where there was one.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<String>,
}

const WAITING: &str = "id, receiver, subject, event, length(body), made_ms, tries, next_try_ms";

impl Truth {
    /// Since when deliveries are kept: from the first call on. Unix milliseconds.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn webhooks_kept_since(&self, now_ms: i64) -> Result<i64, TruthError> {
        self.write_now(|db| {
            db.execute("INSERT OR IGNORE INTO webhooks_kept (one, since_ms) VALUES (1, ?1)", [now_ms])?;
            db.query_row("SELECT since_ms FROM webhooks_kept", [], |row| row.get(0))
        })
    }

    /// Keeps deliveries that were made now, and that of `ended` everything is told by them; what of that is older than `forget_before_ms` is
    /// forgotten.
    ///
    /// # Errors
    /// [`TruthError::Failed`]: none of them is kept.
    pub fn add_deliveries(
        &self,
        new: &[NewDelivery],
        ended: &[String],
        now_ms: i64,
        forget_before_ms: i64,
    ) -> Result<Vec<WaitingDelivery>, TruthError> {
        self.write_now(|db| {
            db.prepare_cached("DELETE FROM webhooks_told WHERE at_ms < ?1")?.execute([forget_before_ms])?;
            let mut told = db.prepare_cached("INSERT OR REPLACE INTO webhooks_told VALUES (?1, ?2)")?;
            for subject in ended {
                told.execute(params![subject, now_ms])?;
            }
            new.iter().map(|one| add(db, one, now_ms)).collect()
        })
    }

    /// Whether it is kept that of this everything was told.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn is_told(&self, subject: &str) -> Result<bool, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT 1 FROM webhooks_told WHERE subject = ?1")?.exists([subject])
        })
    }

    /// Those that are still to be made, oldest first.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn waiting_deliveries(&self) -> Result<Vec<WaitingDelivery>, TruthError> {
        self.read_now(|db| {
            db.prepare(&format!(
                "SELECT {WAITING} FROM webhook_deliveries WHERE state = 'waiting' ORDER BY id"
            ))?
            .query_map([], waiting)?
            .collect()
        })
    }

    /// What is sent.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn delivery_body(&self, id: DeliveryId) -> Result<Option<Vec<u8>>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT body FROM webhook_deliveries WHERE id = ?1")?
                .query_row([id.0], |row| row.get(0))
                .optional()
        })
    }

    /// Writes down what became of a delivery. Of those of its receiver that are over the newest `kept` stay.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn settle_delivery(&self, id: DeliveryId, settled: &Settled, kept: usize) -> Result<(), TruthError> {
        let is_over = settled.state != DeliveryState::Waiting;
        self.write_now(|db| {
            db.prepare_cached(
                "UPDATE webhook_deliveries SET state = ?2, settled_ms = ?3, tries = ?4, next_try_ms = ?5, status = ?6, error = ?7 \
                 WHERE id = ?1",
            )?
            .execute(params![
                id.0,
                settled.state.as_str(),
                is_over.then_some(settled.at_ms),
                settled.tries,
                settled.next_try_ms,
                settled.status,
                settled.error,
            ])?;
            if is_over {
                forget_old(db, id, kept)?;
            }
            Ok(())
        })
    }

    /// Gives up those that wait, all or none; of what is over of their receivers the newest `kept` stay.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn drop_deliveries(
        &self,
        ids: &[DeliveryId],
        why: &str,
        now_ms: i64,
        kept: usize,
    ) -> Result<(), TruthError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write_now(|db| {
            let mut dropped = db.prepare_cached(
                "UPDATE webhook_deliveries SET state = ?2, settled_ms = ?3, error = ?4 WHERE id = ?1 AND state = 'waiting'",
            )?;
            for id in ids {
                dropped.execute(params![id.0, DeliveryState::Dropped.as_str(), now_ms, why])?;
            }
            let newest: Vec<i64> = db
                .prepare("SELECT max(id) FROM webhook_deliveries WHERE state <> 'waiting' GROUP BY receiver")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            newest.into_iter().try_for_each(|id| forget_old(db, DeliveryId(id), kept))
        })
    }

    /// Deliveries are not kept for now: what waits is given up, and what ends from here on is nobody's to be told.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn keep_no_webhooks(&self, why: &str, now_ms: i64) -> Result<(), TruthError> {
        let is_kept = self.read_now(|db| db.prepare_cached("SELECT 1 FROM webhooks_kept")?.exists([]))?;
        if !is_kept {
            return Ok(());
        }
        self.write_now(|db| {
            db.execute(
                "UPDATE webhook_deliveries SET state = ?1, settled_ms = ?2, error = ?3 WHERE state = 'waiting'",
                params![DeliveryState::Dropped.as_str(), now_ms, why],
            )?;
            db.execute("DELETE FROM webhooks_kept", []).map(drop)
        })
    }

    /// The newest, newest first: `most` at most.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn deliveries(&self, most: usize) -> Result<Vec<Delivery>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(&format!(
                "SELECT {WAITING}, place, event_id, state, settled_ms, status, error FROM webhook_deliveries ORDER BY id DESC LIMIT ?1"
            ))?
            .query_map([i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                let state: String = row.get(10)?;
                let known = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state);
                Ok(Delivery {
                    waiting: waiting(row)?,
                    place: row.get(8)?,
                    event_id: row.get(9)?,
                    state: known.unwrap_or(DeliveryState::Dropped),
                    settled_ms: row.get(11)?,
                    status: row.get(12)?,
                    error: row.get(13)?,
                })
            })?
            .collect()
        })
    }

    /// Makes a delivery once more, as another one with the same event in it. `None` where there is no such delivery.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn replay_delivery(
        &self,
        id: DeliveryId,
        now_ms: i64,
    ) -> Result<Option<WaitingDelivery>, TruthError> {
        self.write_now(|db| {
            let sql = "SELECT receiver, place, subject, event, event_id, body FROM webhook_deliveries WHERE id = ?1";
            let known = db.prepare_cached(sql)?.query_row([id.0], |row| {
                Ok(NewDelivery {
                    receiver: row.get(0)?,
                    place: row.get(1)?,
                    subject: row.get(2)?,
                    event: row.get(3)?,
                    event_id: row.get(4)?,
                    body: row.get(5)?,
                })
            });
            known.optional()?.map(|known| add(db, &known, now_ms)).transpose()
        })
    }
}

fn add(db: &Connection, new: &NewDelivery, now_ms: i64) -> rusqlite::Result<WaitingDelivery> {
    db.prepare_cached(
        "INSERT INTO webhook_deliveries (receiver, place, subject, event, event_id, body, made_ms, tries, next_try_ms, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?7, 'waiting')",
    )?
    .execute(params![new.receiver, new.place, new.subject, new.event, new.event_id, new.body, now_ms])?;
    Ok(WaitingDelivery {
        id: DeliveryId(db.last_insert_rowid()),
        receiver: new.receiver.clone(),
        subject: new.subject.clone(),
        event: new.event.clone(),
        bytes: new.body.len() as u64,
        made_ms: now_ms,
        tries: 0,
        next_try_ms: now_ms,
    })
}

/// Of the receiver of `id`.
fn forget_old(db: &Connection, id: DeliveryId, kept: usize) -> rusqlite::Result<()> {
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    db.prepare_cached(
        "DELETE FROM webhook_deliveries WHERE state <> 'waiting' \
         AND receiver = (SELECT receiver FROM webhook_deliveries WHERE id = ?1) \
         AND id NOT IN (SELECT id FROM webhook_deliveries WHERE state <> 'waiting' \
             AND receiver = (SELECT receiver FROM webhook_deliveries WHERE id = ?1) ORDER BY id DESC LIMIT ?2)",
    )?
    .execute([id.0, kept])
    .map(drop)
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<WaitingDelivery> {
    Ok(WaitingDelivery {
        id: DeliveryId(row.get(0)?),
        receiver: row.get(1)?,
        subject: row.get(2)?,
        event: row.get(3)?,
        bytes: row.get::<_, i64>(4)?.unsigned_abs(),
        made_ms: row.get(5)?,
        tries: row.get(6)?,
        next_try_ms: row.get(7)?,
    })
}
