//! What a request is refused with: `{errorMessage}` and a status.

use std::time::Duration;

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_RANGE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use reelroom_accounts::AccountsError;
use reelroom_library::LibraryError;
use reelroom_rooms::RoomsError;
use reelroom_routes::Refusal;
use reelroom_shares::SharesError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::Why;
use crate::livekit::LiveKitError;

/// The body of every refusal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    /// For a person to read.
    pub(crate) error_message: String,
}

/// An error of a request, by what whoever asked can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Ask differently.
    #[error("{0}")]
    BadRequest(String),
    /// The caller is nobody that is known, or not who they say.
    #[error("{0}")]
    Unauthorized(String),
    /// The caller may not, or their link does not hold, or no longer.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It was there, and is gone for good.
    #[error("{0}")]
    Gone(String),
    /// Not in the state that things are in.
    #[error("{0}")]
    Conflict(String),
    /// Too large, of another type, …: as the framework found.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// 412: what the client goes on with is not there any more.
    #[error("the recording's file is another one by now")]
    Changed,
    /// 429: come back after so long.
    #[error("too much is asked for from this address: try again shortly")]
    TooFast(Duration),
    /// 429: a host did not let them in; come back after so long.
    #[error("you were not let in: you can ask again in {} s", .0.as_secs() + 1)]
    NotYet(Duration),
    /// 429: whoever is wrong about the password waits so long.
    #[error("too many wrong passwords: try again in {} s", .0.as_secs() + 1)]
    WrongTooOften(Duration),
    /// 416: the file has only so many bytes.
    #[error("this range lies outside the recording, which has {0} bytes")]
    Range(u64),
    /// The LiveKit server is not there or does not let us in: its operator has to look.
    #[error("{0}")]
    BadGateway(String),
    /// The store or the disk fails: try again later.
    #[error("{0}")]
    Unavailable(String),
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Refused(status, _) => *status,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooFast(_) | Self::NotYet(_) | Self::WrongTooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the audit log says of it, where it may be one that is counted there: the same for all of a kind.
    fn why(&self) -> Option<Why> {
        match self {
            Self::Unauthorized(text) | Self::Forbidden(text) | Self::Gone(text) => Some(Why(text.clone())),
            Self::TooFast(_) => Some(Why(self.to_string())),
            Self::WrongTooOften(_) => Some(Why("too many wrong passwords".into())),
            _ => None,
        }
    }

    /// A field that has to be there.
    pub(crate) fn required(what: &str) -> Self {
        Self::BadRequest(format!("{what} is required"))
    }

    /// JSON of the wrong shape is the caller's error like any other: 400, and not the framework's 422.
    fn from_rejection(status: StatusCode, text: String) -> Self {
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::BadRequest(text),
            status => Self::Refused(status, text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::warn!(status = self.status().as_u16(), error = %self, "a request failed");
        }
        let mut response = respond(self.status(), &self.to_string());
        if let Some(why) = self.why() {
            response.extensions_mut().insert(why);
        }
        if let Self::Range(size) = self {
            let value = HeaderValue::try_from(format!("bytes */{size}")).expect("digits make a header");
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
        if let Self::TooFast(wait) | Self::NotYet(wait) | Self::WrongTooOften(wait) = self {
            response.headers_mut().insert(RETRY_AFTER, (wait.as_secs() + 1).into());
        }
        response
    }
}

/// A refusal.
pub(crate) fn respond(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(ErrorBody { error_message: message.to_owned() })).into_response()
}

macro_rules! from_rejections {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for ApiError {
            fn from(rejection: $rejection) -> Self {
                Self::from_rejection(rejection.status(), rejection.body_text())
            }
        }
    )*};
}

from_rejections!(JsonRejection, QueryRejection, PathRejection, BytesRejection);

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Nobody => Self::Unauthorized(text),
            Refusal::Forbidden | Refusal::Owners | Refusal::Forged => Self::Forbidden(text),
            Refusal::Unasked => Self::Refused(refusal.status(), text),
        }
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        let text = error.to_string();
        match error {
            AccountsError::Wrong | AccountsError::SessionOver => Self::Unauthorized(text),
            AccountsError::TooFast { wait } => Self::WrongTooOften(wait),
            AccountsError::NoPassword | AccountsError::Full => Self::Conflict(text),
            AccountsError::LinkGone => Self::Gone(text),
            AccountsError::Invalid(_) => Self::BadRequest(text),
            AccountsError::Unknown => Self::NotFound(text),
            AccountsError::Busy | AccountsError::Truth(_) => Self::Unavailable(text),
        }
    }
}

impl From<SharesError> for ApiError {
    fn from(error: SharesError) -> Self {
        let text = error.to_string();
        match error {
            SharesError::Gone => Self::Gone(text),
            SharesError::PasswordNeeded | SharesError::Wrong => Self::Unauthorized(text),
            SharesError::WrongTooOften { wait } => Self::WrongTooOften(wait),
            SharesError::TooFast { wait } => Self::TooFast(wait),
            SharesError::Full => Self::Conflict(text),
            SharesError::Invalid(_) => Self::BadRequest(text),
            SharesError::Unknown => Self::NotFound(text),
            SharesError::Busy | SharesError::Truth(_) => Self::Unavailable(text),
        }
    }
}

impl From<RoomsError> for ApiError {
    fn from(error: RoomsError) -> Self {
        let text = error.to_string();
        match error {
            RoomsError::Invalid(_) => Self::BadRequest(text),
            RoomsError::Taken | RoomsError::Closed | RoomsError::Full | RoomsError::Crowded => {
                Self::Conflict(text)
            }
            RoomsError::NotYet { wait } => Self::NotYet(wait),
            RoomsError::Unknown => Self::NotFound(text),
            RoomsError::Truth(_) => Self::Unavailable(text),
        }
    }
}

impl From<LibraryError> for ApiError {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::NotFound(_) | LibraryError::BadName(_) => {
                Self::NotFound("Recording not found".into())
            }
            LibraryError::NotFinished(_) => Self::Conflict("The recording is not finished yet".into()),
            LibraryError::Deleted(_) => Self::NotFound("Recording not found".into()),
            LibraryError::NotWaiting(_) => Self::Conflict("The recording is stored already".into()),
            LibraryError::Unnameable { .. } | LibraryError::Taken(_) => Self::Conflict(error.to_string()),
            LibraryError::BadCursor | LibraryError::LongSearch(_) => Self::BadRequest(error.to_string()),
            LibraryError::Busy
            | LibraryError::Index(_)
            | LibraryError::Truth(_)
            | LibraryError::Store(_)
            | LibraryError::Unreadable { .. }
            | LibraryError::Incomplete { .. }
            | LibraryError::Different
            | LibraryError::Local { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<LiveKitError> for ApiError {
    fn from(error: LiveKitError) -> Self {
        match error {
            LiveKitError::NotFound(text) => Self::NotFound(text),
            LiveKitError::NotNow(text) | LiveKitError::Impossible(text) => Self::Conflict(text),
            LiveKitError::Invalid(text) => Self::BadRequest(text),
            LiveKitError::Busy(text) => Self::Unavailable(text),
            LiveKitError::Unreachable(_) | LiveKitError::Refused(_) | LiveKitError::Failed(_) => {
                Self::BadGateway(error.to_string())
            }
        }
    }
}
