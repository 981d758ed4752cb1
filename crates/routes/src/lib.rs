//! The table of routes: by which method and path, what that needs, who answers.
//!
//! ```text
//!   Part ─┬─ rows: method x path x Needs x handler ─► Part::rows ─► docs/access.md, the test of access
//!         └─ each handler behind its guard
//!   parts ─ join ─► Part ─► Doors ─► the front ─► a request ─► guard ─► handler
//!                                                   │ who asks: Keeper ─► Caller
//!                                                   │ may they?  no: 401, 403
//!                                                   └ Visitor: asks on inside, where only the handler knows what it is about
//! ```
//!
//! # Invariants
//!
//! - Every handler is behind a row, and a row that does not say what it needs does not compile.
//! - No router gets into a [`Part`] or out of it, and the front takes [`Doors`] alone: a route beside the table is not reached.
//! - Where a row's right is on something that only its handler knows, a handler that answers without asking is not heard.

#![forbid(unsafe_code)]

mod cut;
mod doors;
mod guard;
mod keeper;
mod needs;
mod part;
mod refusal;
mod row;
mod visitor;

pub use cut::{Cut, Cutter};
pub use doors::Doors;
pub use keeper::Keeper;
pub use needs::{Needs, On, Proof};
pub use part::Part;
pub use refusal::Refusal;
pub use row::{REST, Row};
pub use visitor::Visitor;

#[cfg(test)]
mod tests;
