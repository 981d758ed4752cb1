//! The recordings library: where recordings are kept, and how they are read.
//!
//! ```text
//!   publish, read, delete ─► store ─► a folder, or an S3 bucket
//!   what players ask for ──► range
//! ```
//!
//! The store is the truth; names are data and never paths.

mod error;
pub mod range;
mod store;

pub use error::LibraryError;
pub use store::{Object, S3Config, Store, StoreConfig};
