//! Certificates of a server: files that somebody else renews, one of an ACME server, or one of its own making.
//!
//! ```text
//!   TLS_CERT, TLS_KEY ─► files ──┐                                   ┌─► resolver ─► each handshake
//!   ACME server ─► acme ─────────┼─► pair: a chain and its key ──────┤
//!   addresses, names ─► own ─────┘   (newest that works)             └─► state: what is served, and what is wrong
//!                    ▲
//!   renewal: when to ask again, a function of time
//! ```
//!
//! # Invariants
//!
//! - A certificate that works is never given up for one that does not: what is broken, does not fit its key or could not be had changes
//!   nothing but the state, which says why.
//! - What is wrong is said once in the log, and stands in the state for as long as it is wrong.
//! - An ACME server is asked as seldom after a restart as before it: when it refused is on the disk.
//! - A challenge is answered while it is pending and at no other time.
//! - A private key is in files that their owner alone reads, and in no log and no error.

#![forbid(unsafe_code)]

mod acme;
mod certificates;
mod challenges;
mod disk;
mod error;
mod facts;
mod files;
mod own;
mod pair;
pub mod renewal;
mod resolver;

pub use acme::AcmeSettings;
pub use certificates::{Certificates, CertsConfig, Serving, Source};
pub use error::CertsError;
pub use facts::{CertFacts, facts};
pub use own::Served;
