//! `/owner/sessions`: all browsers in which the owner is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use reelroom_accounts::{Session, SessionId};
use reelroom_audit::{Act, On, OnKind};
use reelroom_routes::Visitor;
use serde::Serialize;
use utoipa::ToSchema;

use super::{blocking, own_session, told};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::Path;

/// A browser in which the owner is signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionBody {
    /// For ending it.
    id: String,
    /// Milliseconds since 1970.
    begun_at: i64,
    /// Of the last request: milliseconds since 1970.
    seen_at: i64,
    /// When it ends if nothing more is done in it: milliseconds since 1970.
    ends_at: i64,
    /// Where it began; of IPv6 the network. Absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What its browser calls itself.
    user_agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsAnswer {
    /// The one that was seen last in front.
    sessions: Vec<SessionBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EndedAnswer {
    /// The ids of those that ended.
    ended: Vec<String>,
}

impl SessionBody {
    fn of(session: Session, current: Option<&SessionId>) -> Self {
        Self {
            current: current == Some(&session.id),
            begun_at: session.begun_ms,
            seen_at: session.seen_ms,
            ends_at: session.ends_ms(),
            address: session.address.map(|address| address.to_string()),
            user_agent: session.agent,
            id: session.id.into(),
        }
    }
}

/// Lists the browsers in which the owner is signed in.
#[utoipa::path(get, path = "/owner/sessions", responses((status = 200, body = SessionsAnswer)))]
pub(crate) async fn list_sessions(
    State(app): State<WebApp>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    let own = own_session(&app, &visitor, &headers).map(|(_, id)| id);
    let all = app.accounts().sessions(clock::now());
    let sessions = all.into_iter().map(|session| SessionBody::of(session, own.as_ref())).collect();
    told(SessionsAnswer { sessions })
}

/// Ends a session at once.
#[utoipa::path(delete, path = "/owner/sessions/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = EndedAnswer),
    (status = 404, description = "There is no such session", body = ErrorBody),
    (status = 503, description = "It has ended, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn end_session(
    State(app): State<WebApp>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (accounts, session) = (Arc::clone(app.accounts()), SessionId::from(id));
    let ended = session.clone();
    blocking(move || {
        let outcome = accounts.end_session(&session);
        actor.tried(Act::SessionEnded, On::one(OnKind::Session, &session), None, &outcome);
        outcome
    })
    .await?;
    tracing::info!(session = %ended, "a session of the owner was ended");
    Ok(told(EndedAnswer { ended: vec![ended.into()] }))
}

/// Ends all sessions but the one that asks.
#[utoipa::path(delete, path = "/owner/sessions", responses(
    (status = 200, body = EndedAnswer),
    (status = 503, description = "They have ended, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn end_other_sessions(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // For an API key all are others: no session has an empty id.
    let own = own_session(&app, &visitor, &headers).map_or_else(|| SessionId::from(""), |(_, id)| id);
    let accounts = Arc::clone(app.accounts());
    let ended = blocking(move || {
        let outcome = accounts.end_other_sessions(&own);
        let count = outcome.as_ref().map(|ended| format!("sessions that ended: {}", ended.len())).ok();
        actor.tried(Act::OtherSessionsEnded, On::the(OnKind::Session), count, &outcome);
        outcome
    })
    .await?;
    tracing::info!(count = ended.len(), "all other sessions of the owner were ended");
    Ok(told(EndedAnswer { ended: ended.into_iter().map(String::from).collect() }))
}
