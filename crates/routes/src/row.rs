//! A route as the table lists it.

use axum::http::Method;

use crate::needs::Needs;

/// The path of the row for whatever no other row is for.
pub const REST: &str = "/{*rest}";

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is a part of.
    pub part: &'static str,
    /// `None`: by every method. What is asked for by GET may be asked for by HEAD too.
    pub method: Option<Method>,
    /// In axum's words: `/recordings/{name}`.
    pub path: String,
    /// What it needs.
    pub needs: Needs,
}
