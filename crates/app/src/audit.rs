//! `/audit`: what was done to recordings and rights, and what was refused; and how the handlers note it.
//!
//! ```text
//!   a handler ─► Actor: who, from where ─► did, tried ─┐
//!   an answer of 401, 403, 410, 429 ─► refusals ───────┼─► Audit (in memory) ─► tend ─► truth.db
//!   webhook: a recording that nobody here started ─────┘                          ▲
//!   whoever may manage ─► GET /audit ─────────────────────────────────────────────┘ what waits is written first
//! ```
//!
//! # Invariants
//!
//! - An act is noted where it is done, on the thread or in the task that goes to its end: whoever breaks off their request is in the log all the
//!   same. Noting waits for nothing.
//! - Refusals are noted in one place, by what was answered: no handler can forget one.

mod actor;
pub(crate) mod log;
mod refusals;
mod starts;
mod tend;

pub(crate) use actor::{Actor, Shown};
pub(crate) use refusals::{Why, note_refusals};
pub(crate) use starts::{Starting, Starts, started_elsewhere};
pub(crate) use tend::{run, write_last};

#[cfg(test)]
mod tests;
