//! `GET /audit`: the log, for whoever manages the server.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reelroom_audit::{AuditError, Entry, Query as Wanted, Refused, shown};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::Query;
use crate::owner::{blocking, told};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditParams {
    /// 1 to 200, of which 50 is the default.
    limit: Option<usize>,
    /// next of the answer before: only older acts.
    before: Option<i64>,
    /// A text in any field, in upper or lower case.
    q: Option<String>,
}

/// Who did something, or was refused it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoBody {
    /// owner, key, host, guest, viewer, everybody, nobody, api, machine or server.
    kind: String,
    /// Of the session, the key or the link. It is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Of the key, or what they said that they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// What something was done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OnBody {
    /// session, password, key, room, participant, recording, share, webhook, settings, log or route.
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryBody {
    /// A later one has a higher one.
    id: i64,
    /// Milliseconds since 1970.
    at: i64,
    /// docs/owner.md says what each of them is.
    act: String,
    /// done, or failed: the server failed while it was done, and the reason says how.
    outcome: String,
    who: WhoBody,
    /// From where; of IPv6 the network. Absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<OnBody>,
    /// A few words more.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Refusals of one kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefusalBody {
    /// docs/owner.md says what each of them is.
    act: String,
    who: WhoBody,
    /// From where; of IPv6 the network; "many" where there were too many to tell apart. Absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<OnBody>,
    reason: String,
    /// How often.
    count: u64,
    /// Milliseconds since 1970.
    first_at: i64,
    /// Milliseconds since 1970.
    last_at: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditAnswer {
    /// Newest first.
    entries: Vec<EntryBody>,
    /// before, for older ones; absent where there are none. An answer to a search may have fewer than there are, and go on all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
    /// Where before is absent: the one that was counted last in front.
    refusals: Vec<RefusalBody>,
    /// Acts that wait for the disk.
    unwritten: usize,
    /// Acts that found no place since the program began, as the disk took nothing.
    lost: u64,
    /// Why nothing is written at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl From<Entry> for EntryBody {
    fn from(Entry { id, act }: Entry) -> Self {
        let on = act.on_kind.map(|kind| OnBody { kind, id: escaped(act.on_id), name: escaped(act.on_name) });
        Self {
            id,
            at: act.at_ms,
            act: act.act,
            outcome: act.outcome,
            who: WhoBody { kind: act.who, id: escaped(act.who_id), name: escaped(act.who_name) },
            address: act.address,
            on,
            detail: escaped(act.detail),
            reason: escaped(act.reason),
        }
    }
}

impl From<Refused> for RefusalBody {
    fn from(refused: Refused) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let route = given(refused.route);
        Self {
            act: refused.act,
            who: WhoBody { kind: refused.who, id: escaped(given(refused.who_id)), name: None },
            address: given(refused.address),
            on: route.map(|route| OnBody { kind: "route".into(), id: None, name: escaped(Some(route)) }),
            reason: shown(&refused.reason),
            count: refused.count,
            first_at: refused.first_ms,
            last_at: refused.last_ms,
        }
    }
}

fn escaped(text: Option<String>) -> Option<String> {
    text.map(|text| shown(&text))
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::LongSearch => Self::BadRequest(error.to_string()),
            AuditError::Truth(_) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Tells what was done to recordings and rights: who, when, from where; and what was refused.
#[utoipa::path(get, path = "/audit", params(AuditParams), responses(
    (status = 200, body = AuditAnswer),
    (status = 400, description = "A parameter cannot be what it says", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn read_audit(
    State(app): State<WebApp>,
    Query(params): Query<AuditParams>,
) -> Result<Response, ApiError> {
    let most = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&most) {
        return Err(ApiError::BadRequest(format!("limit has to be 1 to {MAX_LIMIT}")));
    }
    let wanted = Wanted { most, before: params.before, text: params.q };
    let audit = Arc::clone(app.audit());
    let page = blocking(move || audit.page(&wanted, clock::now().unix_ms)).await?;
    let standing = app.audit().standing();
    Ok(told(AuditAnswer {
        entries: page.entries.into_iter().map(EntryBody::from).collect(),
        next: page.next,
        refusals: page.refusals.into_iter().map(RefusalBody::from).collect(),
        unwritten: standing.unwritten,
        lost: standing.lost,
        trouble: standing.trouble,
    }))
}
