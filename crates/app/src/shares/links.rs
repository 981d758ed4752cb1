//! `/recordings/{name}/shares`: links to a recording, for those who may share it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reelroom_access::Right;
use reelroom_audit::{Act, On};
use reelroom_library::Status;
use reelroom_routes::Visitor;
use reelroom_shares::{Change, Gives, MadeShare, NewShare, Set, Share, ShareId, SharesError, View};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::rights;
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path};
use crate::owner::{blocking, told};
use crate::subject::Subject;

/// A link to a recording, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShareBody {
    /// For changing and revoking it.
    id: String,
    /// What it is called; may be empty.
    name: String,
    /// Whether the file may be kept, and not only played.
    download: bool,
    /// Whether whoever opens it has to know a password.
    has_password: bool,
    /// Milliseconds since 1970.
    made_at: i64,
    /// Milliseconds since 1970; absent where it lasts until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// Milliseconds since 1970; absent where it was not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
    /// How often it was opened.
    views: u64,
    /// When it was opened last: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    viewed_at: Option<i64>,
    /// How many watch by it now.
    watching: usize,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SharesAnswer {
    /// Those that are over too, the newest in front.
    shares: Vec<ShareBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MakeShareRequest {
    /// What it is called.
    name: Option<String>,
    /// Whether the file may be kept, and not only played.
    download: Option<bool>,
    /// What whoever opens it has to know besides: at least 6 characters.
    password: Option<String>,
    /// Milliseconds since 1970; absent: it lasts until it is revoked.
    expires_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MadeShareAnswer {
    share: ShareBody,
    /// The page that whoever has it opens. It begins with PUBLIC_URL; where that is not set, it is a path of this server. It is shown this
    /// once.
    link: String,
    /// The id of a link, long over, that is not listed any more to make room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<String>,
}

/// What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeShareRequest {
    /// What it is called.
    name: Option<String>,
    /// Whether the file may be kept, and not only played.
    download: Option<bool>,
    /// What whoever opens it has to know besides; null: nothing.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
    /// Milliseconds since 1970; null: it lasts until it is revoked.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Option<i64>>,
}

impl ChangeShareRequest {
    /// Whether a link gives nobody more than before: it lasts no longer, gives no more, and is opened as it was.
    fn only_takes_from(&self, before: &Share) -> bool {
        let ends_no_later = match self.expires_at {
            None => true,
            Some(None) => before.expires_ms.is_none(),
            Some(Some(at_ms)) => before.expires_ms.is_none_or(|before_ms| at_ms <= before_ms),
        };
        self.name.is_none() && self.password.is_none() && self.download != Some(true) && ends_no_later
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ShareAnswer {
    share: ShareBody,
}

/// Somebody opened a link.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShareViewBody {
    id: String,
    /// Milliseconds since 1970.
    begun_at: i64,
    /// Of the last sign of them: milliseconds since 1970.
    seen_at: i64,
    /// From where; of IPv6 the network. Absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Bytes that were sent to them, some perhaps more than once.
    sent_bytes: u64,
    /// The end of the furthest part of the file that was sent to them, in bytes.
    reached_bytes: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ShareViewsAnswer {
    /// How often the link was opened.
    count: u64,
    /// The last times, the newest in front.
    views: Vec<ShareViewBody>,
}

/// What is said of a field that may be absent, or null.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl From<Share> for ShareBody {
    fn from(share: Share) -> Self {
        Self {
            id: share.id.into(),
            name: share.name,
            download: share.gives == Gives::Download,
            has_password: share.has_password,
            made_at: share.made_ms,
            expires_at: share.expires_ms,
            revoked_at: share.revoked_ms,
            views: share.views,
            viewed_at: share.viewed_ms,
            watching: share.watching,
        }
    }
}

impl From<View> for ShareViewBody {
    fn from(view: View) -> Self {
        Self {
            id: view.id.into(),
            begun_at: view.begun_ms,
            seen_at: view.seen_ms,
            address: view.address.map(|address| address.to_string()),
            sent_bytes: view.sent_bytes,
            reached_bytes: view.reached_bytes,
        }
    }
}

/// Whether somebody may share a recording, and give what a link is to give: a link gives no more than whoever makes it has.
async fn may_share(
    app: &WebApp,
    visitor: &Visitor,
    name: &str,
    gives: Option<Gives>,
) -> Result<(), ApiError> {
    let subject = Subject::of(app, visitor, name).await?;
    visitor.ask(Right::Share, &subject.resource())?;
    for right in gives.map(rights).unwrap_or_default() {
        visitor.ask(*right, &subject.resource())?;
    }
    Ok(())
}

fn gives(download: bool) -> Gives {
    if download { Gives::Download } else { Gives::Play }
}

/// Lists the links to a recording.
#[utoipa::path(get, path = "/recordings/{name}/shares", params(("name" = String, Path)), responses(
    (status = 200, body = SharesAnswer),
))]
pub(crate) async fn list_shares(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    may_share(&app, &visitor, &name, None).await?;
    let shares = app.shares().of_recording(&name).into_iter().map(ShareBody::from).collect();
    Ok(told(SharesAnswer { shares }))
}

/// Makes a link to a recording.
#[utoipa::path(post, path = "/recordings/{name}/shares", params(("name" = String, Path)), request_body = MakeShareRequest, responses(
    (status = 200, body = MadeShareAnswer),
    (status = 400, description = "The name, the password or the time is none", body = ErrorBody),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "As many links as there may be are in force, or the recording has failed", body = ErrorBody),
    (status = 503, description = "A password is hashed already, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn make_share(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
    Json(request): Json<MakeShareRequest>,
) -> Result<Response, ApiError> {
    may_share(&app, &visitor, &name, None).await?;
    let recording = app.library().find(&name).await?;
    let gives = gives(request.download.unwrap_or_default());
    may_share(&app, &visitor, &name, Some(gives)).await?;
    if recording.status == Status::Failed {
        return Err(ApiError::Conflict("The recording has failed: there is nothing to watch".into()));
    }
    let shares = Arc::clone(app.shares());
    let made = blocking(move || {
        let new = NewShare {
            recording: &recording.name,
            recording_id: &recording.id,
            name: request.name.as_deref().unwrap_or_default(),
            password: request.password.as_deref(),
            gives,
            expires_ms: request.expires_at,
        };
        let made = shares.make(new, clock::now(), &mut rand::rng())?;
        actor.did_so(Act::ShareMade, On::share(&made.share.id, &recording.name), said_of(&made.share));
        Ok::<_, SharesError>(made)
    });
    let MadeShare { share, secret, forgotten } = made.await?;
    if let Some(forgotten) = &forgotten {
        tracing::info!(share = %forgotten, "a link that was over is not listed any more");
    }
    tracing::info!(share = %share.id, recording = name, "a link to a recording was made");
    Ok(told(MadeShareAnswer {
        share: share.into(),
        link: app.link_to(&format!("/watch#{}", secret.reveal())),
        forgotten: forgotten.map(String::from),
    }))
}

/// Changes a link. Whoever watches by it has to open it again where it gives less than before.
#[utoipa::path(patch, path = "/recordings/{name}/shares/{id}", params(("name" = String, Path), ("id" = String, Path)), request_body = ChangeShareRequest, responses(
    (status = 200, body = ShareAnswer),
    (status = 400, description = "The name, the password or the time is none", body = ErrorBody),
    (status = 404, description = "There is no such link to this recording", body = ErrorBody),
    (status = 410, description = "It is over", body = ErrorBody),
    (status = 503, description = "A password is hashed already, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn change_share(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path((name, id)): Path<(String, String)>,
    Json(request): Json<ChangeShareRequest>,
) -> Result<Response, ApiError> {
    may_share(&app, &visitor, &name, None).await?;
    let (recording, share) = (name.clone(), ShareId::from(id));
    let before = app.shares().of_recording(&name).into_iter().find(|known| known.id == share);
    let before = before.ok_or(SharesError::Unknown)?;
    // What is given already may be taken away by whoever shares.
    let wanted = if request.only_takes_from(&before) {
        request.download.map(gives)
    } else {
        let after = request.download.map_or(before.gives, gives);
        may_share(&app, &visitor, &name, Some(after)).await?;
        // What was asked about, whatever somebody else makes of the link meanwhile.
        Some(after)
    };
    let shares = Arc::clone(app.shares());
    let changed = blocking(move || {
        let change = Change {
            name: request.name.as_deref(),
            password: set(request.password.as_ref().map(Option::as_deref)),
            gives: wanted,
            expires_ms: set(request.expires_at),
        };
        let outcome = shares.change(&recording, &share, change, clock::now(), &mut rand::rng());
        let detail = outcome.as_ref().map(said_of).ok();
        actor.tried(Act::ShareChanged, On::share(&share, &recording), detail, &outcome);
        outcome
    });
    let share = changed.await?;
    tracing::info!(share = %share.id, recording = name, "a link to a recording was changed");
    Ok(told(ShareAnswer { share: share.into() }))
}

/// What a link is, in a few words.
fn said_of(share: &Share) -> String {
    let gives = match share.gives {
        Gives::Play => "to play",
        Gives::Download => "to play and to download",
    };
    let password = if share.has_password { ", with a password" } else { "" };
    let name = if share.name.is_empty() { String::new() } else { format!(", called {:?}", share.name) };
    let ends = if share.expires_ms.is_some() { ", with an end" } else { "" };
    format!("{gives}{password}{ends}{name}")
}

fn set<T>(said: Option<Option<T>>) -> Set<T> {
    match said {
        None => Set::Keep,
        Some(None) => Set::Clear,
        Some(Some(value)) => Set::To(value),
    }
}

/// Revokes a link at once: whoever watches by it is sent nothing more.
#[utoipa::path(delete, path = "/recordings/{name}/shares/{id}", params(("name" = String, Path), ("id" = String, Path)), responses(
    (status = 200, body = ShareAnswer),
    (status = 404, description = "There is no such link to this recording", body = ErrorBody),
    (status = 503, description = "It is revoked, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn revoke_share(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    may_share(&app, &visitor, &name, None).await?;
    let shares = Arc::clone(app.shares());
    let (recording, share) = (name.clone(), ShareId::from(id));
    let share = blocking(move || {
        let outcome = shares.revoke(&recording, &share, clock::now());
        actor.tried(Act::ShareRevoked, On::share(&share, &recording), None, &outcome);
        outcome
    })
    .await?;
    tracing::info!(share = %share.id, recording = name, "a link to a recording was revoked");
    Ok(told(ShareAnswer { share: share.into() }))
}

/// Says who watched by a link: when, from where, and how far.
#[utoipa::path(get, path = "/recordings/{name}/shares/{id}/views", params(("name" = String, Path), ("id" = String, Path)), responses(
    (status = 200, body = ShareViewsAnswer),
    (status = 404, description = "There is no such link to this recording", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn list_views(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    may_share(&app, &visitor, &name, None).await?;
    let (shares, share) = (Arc::clone(app.shares()), ShareId::from(id));
    let views = blocking(move || shares.views(&name, &share, clock::now())).await?;
    let listed = views.listed.into_iter().map(ShareViewBody::from).collect();
    Ok(told(ShareViewsAnswer { count: views.count, views: listed }))
}
