//! The state behind a part of the table, as far as its guards need it.

use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use reelroom_access::Caller;

use crate::refusal::Refusal;

/// A state that knows who asks, and how its API refuses.
///
/// A state without accounts, keys and links implements nothing: each caller is nobody, and no row that needs a right lets them in.
pub trait Keeper: Clone + Send + Sync + 'static {
    /// Works out who asks. What is asked in somebody's name by others is refused.
    fn caller(&self, _head: &Parts) -> impl Future<Output = Result<Caller, Refusal>> + Send {
        std::future::ready(Ok(Caller::Nobody))
    }

    /// A refusal in the form of its API.
    fn refuse(refusal: Refusal) -> Response {
        refusal.into_response()
    }
}

/// Rows that need no state.
impl Keeper for () {}
