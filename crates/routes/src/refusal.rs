//! Why nobody answers.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelroom_access::Caller;

/// Why a caller is not let in, by what they can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: show who you are.
    #[error("this needs somebody who has signed in, an API key, or a link that was sent to you")]
    Nobody,
    /// 403: somebody else may.
    #[error("you may not do this")]
    Forbidden,
    /// 403: access is open to everybody, but for what its owner manages.
    #[error(
        "this is for the owner of this server alone: its rooms and the links into them come with ACCESS=invite, and until then its owner signs in on \
         /owner by the link that 'reelroom owner' prints"
    )]
    Owners,
    /// 403: say with the request what only a page of this server can say.
    #[error(
        "a browser that is signed in asks, and its page does not say so: load the page again (the header X-CSRF-Token is missing or wrong)"
    )]
    Forged,
    /// 500: the program is wrong, and tells nothing.
    #[error("the server made a mistake; its log says which")]
    Unasked,
}

impl Refusal {
    /// What a caller is told who may not do something.
    pub fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Nobody => Self::Nobody,
            Caller::Everybody => Self::Owners,
            Caller::Owner
            | Caller::Key { .. }
            | Caller::Host { .. }
            | Caller::Guest { .. }
            | Caller::Viewer { .. } => Self::Forbidden,
        }
    }

    /// Its status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Nobody => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::Owners | Self::Forged => StatusCode::FORBIDDEN,
            Self::Unasked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A line, which whoever stands in front gives the form of its API.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}
