//! What requests carry. A mistake in it is answered like every other error.

use axum::extract::{FromRequest, FromRequestParts};
use reelroom_limits::signalling::NAME_BYTES;

use crate::error::ApiError;

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(crate) struct Json<T>(pub(crate) T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(crate) struct Query<T>(pub(crate) T);

/// A part of the path, decoded.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub(crate) T);

/// A name that has to be given: any Unicode text that shows something.
///
/// # Errors
/// [`ApiError::BadRequest`].
pub(crate) fn name(value: Option<String>, field: &str) -> Result<String, ApiError> {
    let value = value.filter(|value| !value.trim().is_empty()).ok_or_else(|| ApiError::required(field))?;
    if value.len() > NAME_BYTES {
        return Err(ApiError::BadRequest(format!("{field} is too long: it may have {NAME_BYTES} bytes")));
    }
    Ok(value)
}
