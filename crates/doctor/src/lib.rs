//! Says before the first meeting whether it will work.
//!
//! ```text
//!   Subject: what the settings say ─► probes: what the machine says ─► facts ─► checks (pure) ─► Lines ─► text, JSON, exit code
//!                                        │                                         └─► Trouble: code, when, what to do ─► docs/doctor.md
//!                                        └─► rehearsal: a recording of itself, made, composed and looked at by child processes
//! ```
//!
//! # Invariants
//!
//! - A verdict is a function of facts: [`checks`] ask nothing and nobody.
//! - Whatever is not well says what to do, in a sentence with a setting's or a command's name; and the sentence stands in the docs.
//! - A running server is not disturbed: its ports are asked and not bound, its files are read and not written, and what is written for a
//!   moment has no name, or a folder of its own that goes with this program.
//! - Nothing outside of what the settings name is contacted, unless whoever asks names it.

#![forbid(unsafe_code)]

pub mod checks;
mod examine;
pub mod line;
mod probes;
mod rehearsal;
pub mod subject;
pub mod trouble;

pub use examine::{Observer, Thoroughness, Wish, examine};
pub use line::{Check, Line, Report, Verdict};
pub use rehearsal::part::{Part, play};
pub use subject::Subject;
