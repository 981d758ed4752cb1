//! Stores: whether they take a small object, give it back and delete it.

pub mod backup;
pub mod main;

use crate::line::{Check, Line};
use crate::trouble::Trouble;

/// What is known of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// What it is, for people; without secrets.
    pub what: String,
    /// How far it was tried.
    pub tried: Tried,
}

/// How far a store was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Recordings stay in the data folder: there is nothing to try.
    NotNeeded,
    /// It does not answer, or lets nobody in.
    NoAnswer(String),
    /// It takes nothing, or gives back something else.
    NotWritten(String),
    /// It deletes nothing.
    NotDeleted {
        /// What is left there.
        name: String,
        /// Why.
        reason: String,
    },
    /// All of that.
    Works,
}

struct Troubles {
    check: Check,
    no_answer: Trouble,
    not_written: Trouble,
    not_deleted: Trouble,
}

fn judged(facts: &StoreFacts, troubles: &Troubles) -> Line {
    let what = &facts.what;
    match &facts.tried {
        Tried::NotNeeded => Line::ok(troubles.check, what),
        Tried::NoAnswer(why) => troubles.no_answer.said(format!("{what}: {why}")),
        Tried::NotWritten(why) => troubles.not_written.said(format!("{what}: {why}")),
        Tried::NotDeleted { name, reason } => {
            troubles.not_deleted.filled(format!("{what}: {reason}"), &[("name", name)])
        }
        Tried::Works => {
            Line::ok(troubles.check, format!("{what} takes an object, gives it back and deletes it"))
        }
    }
}
