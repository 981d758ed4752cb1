//! The recordings library: where recordings are kept, how they are found, and how they are read.
//!
//! ```text
//!              truth (what waits, what was deleted)
//!                 │
//!   publish ─► outbox ─► store (a folder, or an S3 bucket) ─► scan ─► index (SQLite) ─► list, find
//!                 └────► backup store, when that refuses ─────►│
//!   note ──────── what is being recorded ──────────────────►│ └─► feed: what changed, for whoever follows
//!   grows ─► growing: what is there of a file in the making, as whole files
//!   a player's Range ─► range ─► store      link: signed URLs
//! ```
//!
//! # Invariants
//!
//! - The store is the truth, and the index can be deleted: an MP4 in the store is a recording, described as well as what
//!   stands beside it allows. What the store cannot tell stands in `reelroom-truth`, and never in the index alone.
//! - Names are data: any Unicode text below the prefix, and never a way out of it.

#![forbid(unsafe_code)]

mod error;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod feed;
#[doc(hidden)]
pub mod fuzzing;
mod growing;
mod index;
mod library;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod link;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod mp4;
mod outbox;
mod publication;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod query;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod range;
mod recording;
mod scan;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod sidecar;
mod store;

pub use error::LibraryError;
pub use feed::{Behind, Change, ChangeNumber, Gone, What};
pub use growing::{Unfinished, Wanted};
pub use library::{Backup, File, Library, LibraryConfig, Manifest};
pub use link::{LinkError, LinkKey, path};
pub use outbox::{Upload, UploadState};
pub use publication::{Publication, Published};
pub use query::{ListQuery, Page, Sort, SortKey, UnknownSort};
pub use recording::{Recording, Status, UnknownStatus, Usage};
pub use store::{FolderConfig, Limits, ListingTrouble, Object, Readers, S3Config, Store, StoreConfig};

#[cfg(test)]
#[path = "../tests/common/s3.rs"]
mod s3_server;
