//! What was done to recordings and rights, and what was refused: who, when, from where.
//!
//! ```text
//!   a handler ─► Deed ────► note ─────┐                        ┌─► acts       numbered, bounded; uses have a bound of their own
//!   a refusal ─► Refusal ─► refused ──┤ in memory, bounded     │
//!                                     └────► write ─► truth.db ┴─► refusals   of a kind together, with a count
//! ```
//!
//! # Invariants
//!
//! - Noting an act waits for nothing and fails in nothing: whoever may do something does it, whatever becomes of the log. It is written
//!   immediately after; what the disk does not take waits and is tried again, and what finds no place then is counted and told.
//! - What strangers, or anybody, are refused pushes out no act, and costs a line for each kind and a write once in a while, however often.
//! - What anybody makes many of (tokens, recordings that are opened) pushes out nothing else.
//! - No secret comes in: ids, names and addresses do, cut to a length.
//! - Time comes in as an argument.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod act;
mod deed;
mod error;
mod opened;
mod page;
mod refusals;
mod standing;
mod text;
mod waiting;

use std::sync::{Mutex, MutexGuard};

use reelroom_limits::audit::{
    AUDIT_ACTS, AUDIT_FORGETS_AFTER, AUDIT_FORGOTTEN_AT_ONCE, AUDIT_LASTS, AUDIT_REFUSALS,
    AUDIT_REFUSALS_TOGETHER, AUDIT_USES,
};
use reelroom_truth::{AuditKept, Truth};
use tokio::sync::Notify;

pub use act::Act;
pub use deed::{Deed, On, OnKind, Outcome, Refusal, Who, WhoKind};
pub use error::AuditError;
pub use page::{Entry, Page, Query, Refused};
pub use standing::Standing;
pub use text::shown;

use crate::waiting::Waiting;

const LASTS_MS: i64 = AUDIT_LASTS.as_millis() as i64;
const TOGETHER_MS: i64 = AUDIT_REFUSALS_TOGETHER.as_millis() as i64;

/// The audit log. [`Audit::note`] and [`Audit::refused`] wait for nothing; [`Audit::write`] and [`Audit::page`] wait for the disk: callers run
/// these on a thread that may block.
pub struct Audit {
    truth: Truth,
    news: Notify,
    /// Held by who writes the truth: what waits is written in order.
    writing: Mutex<Forgetting>,
    /// Never held over anything that waits.
    waiting: Mutex<Waiting>,
}

/// When it is looked again what is to be forgotten.
#[derive(Default)]
struct Forgetting {
    written: usize,
    /// Unix milliseconds.
    looked_ms: Option<i64>,
}

impl Audit {
    /// The log in a truth.
    pub fn new(truth: Truth) -> Self {
        Self { truth, news: Notify::new(), writing: Mutex::default(), waiting: Mutex::default() }
    }

    /// Notes what was done; it is written by the next [`Audit::write`].
    pub fn note(&self, deed: Deed, now_ms: i64) {
        if self.waiting().note(deed, now_ms) {
            self.news.notify_one();
        }
    }

    /// Counts a refusal.
    pub fn refused(&self, refusal: Refusal, now_ms: i64) {
        self.waiting().refusals.count(refusal, now_ms);
    }

    /// Waits until an act was noted that is not to wait.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Writes what waits. Of refusals what is due; with [`Whole::Everything`] all of them. Old acts are forgotten from time to time.
    ///
    /// # Errors
    /// [`AuditError::Truth`]: nothing is lost, and a later call tries it again.
    pub fn write(&self, whole: Whole, now_ms: i64) -> Result<(), AuditError> {
        let mut forgetting = self.writing.lock().expect("no code panics while it writes the audit log");
        let written = self.write_acts(now_ms).and_then(|acts| {
            forgetting.written += acts;
            self.write_refusals(whole, now_ms)?;
            self.forget(&mut forgetting, now_ms)
        });
        self.waiting().trouble = written.as_ref().err().map(ToString::to_string);
        written
    }

    fn write_acts(&self, now_ms: i64) -> Result<usize, AuditError> {
        let taken = self.waiting().take(now_ms);
        if taken.is_empty() {
            return Ok(0);
        }
        match self.truth.add_audit_acts(&taken.acts) {
            Ok(()) => {
                self.waiting().written();
                Ok(taken.acts.len())
            }
            Err(error) => {
                self.waiting().put_back(taken);
                Err(error.into())
            }
        }
    }

    fn write_refusals(&self, whole: Whole, now_ms: i64) -> Result<(), AuditError> {
        let counted = self.waiting().refusals.take(whole, now_ms);
        if counted.is_empty() {
            return Ok(());
        }
        let since_ms = now_ms.saturating_sub(LASTS_MS);
        let counting = self.truth.count_audit_refusals(&counted, TOGETHER_MS, AUDIT_REFUSALS, since_ms);
        counting.map_err(|error| {
            self.waiting().refusals.put_back(counted);
            error.into()
        })
    }

    fn forget(&self, forgetting: &mut Forgetting, now_ms: i64) -> Result<(), AuditError> {
        /// What is only too old is looked for so often, in milliseconds.
        const EVERY_MS: i64 = 60 * 60 * 1000;
        let is_due = forgetting.looked_ms.is_none_or(|at_ms| (now_ms - at_ms).abs() >= EVERY_MS);
        if !is_due && forgetting.written < AUDIT_FORGETS_AFTER {
            return Ok(());
        }
        let kept = AuditKept {
            acts: AUDIT_ACTS,
            uses: AUDIT_USES,
            since_ms: now_ms.saturating_sub(LASTS_MS),
            at_once: AUDIT_FORGOTTEN_AT_ONCE,
        };
        self.truth.forget_audit_acts(kept)?;
        *forgetting = Forgetting { written: 0, looked_ms: Some(now_ms) };
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics while it holds what waits for the audit log")
    }
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Refusals once in a while.
    WhatIsDue,
    /// All there is: somebody looks, or the program ends.
    Everything,
}

#[cfg(test)]
mod tests;
