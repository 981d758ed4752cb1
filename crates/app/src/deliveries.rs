//! `/webhooks`: what others were told of recordings and what became of it, once more on request, and a test of who is to be told.
//!
//! The media server of this program sends webhooks, and tells of them by [`Receivers`]; one outside keeps a log of its own.

use axum::extract::State;
use reelroom_audit::{Act, On, OnKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::audit::Actor;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Path, Query};
use crate::owner::to_its_end;
use crate::receivers::{DeliveryBody, ReceiverBody, Receivers, Replay, TestBody};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesParams {
    /// 1 to 1000, of which 100 is the default.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveriesAnswer {
    /// Newest first.
    deliveries: Vec<DeliveryBody>,
    /// Those that the settings name.
    receivers: Vec<ReceiverBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// The id of the delivery by which it is made once more.
    delivery: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TestAnswer {
    /// One for each receiver.
    results: Vec<TestBody>,
}

/// Lists webhooks of recordings: those that wait, and the last of those that are over.
#[utoipa::path(get, path = "/webhooks/deliveries", params(DeliveriesParams), responses(
    (status = 200, body = DeliveriesAnswer),
    (status = 400, description = "A parameter cannot be what it says", body = ErrorBody),
    (status = 404, description = "Another server sends the webhooks", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn deliveries(
    State(app): State<WebApp>,
    Query(params): Query<DeliveriesParams>,
) -> Result<axum::Json<DeliveriesAnswer>, ApiError> {
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::BadRequest(format!("limit has to be 1 to {MAX_LIMIT}")));
    }
    let receivers = receivers(&app)?;
    let deliveries = receivers.deliveries(limit).await.map_err(ApiError::Unavailable)?;
    Ok(axum::Json(DeliveriesAnswer { deliveries, receivers: receivers.standing() }))
}

/// Makes a delivery once more, also one that was delivered: as another one, with the same event in it.
#[utoipa::path(post, path = "/webhooks/deliveries/{id}/replay", params(("id" = String, Path)), responses(
    (status = 200, body = ReplayAnswer),
    (status = 404, description = "There is no such delivery, or another server sends the webhooks", body = ErrorBody),
    (status = 409, description = "Its receiver is not set any more", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn replay(
    State(app): State<WebApp>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<axum::Json<ReplayAnswer>, ApiError> {
    let unknown = || ApiError::NotFound("There is no such delivery".into());
    receivers(&app)?;
    let id: i64 = id.parse().map_err(|_| unknown())?;
    let replaying = to_its_end(async move {
        let outcome = receivers(&app)?.replay(id).await.map_err(ApiError::Unavailable)?;
        if let Replay::Queued(delivery) = outcome {
            let on = On::one(OnKind::Webhook, delivery);
            actor.did_so(Act::WebhookReplayed, on, format!("delivery {id} once more"));
        }
        Ok::<_, ApiError>(outcome)
    });
    match replaying.await? {
        Replay::Queued(delivery) => {
            tracing::info!(of = id, delivery, "a webhook is delivered once more");
            Ok(axum::Json(ReplayAnswer { delivery }))
        }
        Replay::Unknown => Err(unknown()),
        Replay::NoReceiver => Err(ApiError::Conflict("The receiver is not set any more".into())),
    }
}

/// Sends each receiver an event of the kind "test", once, and says what came of it.
#[utoipa::path(post, path = "/webhooks/test", responses(
    (status = 200, body = TestAnswer),
    (status = 404, description = "Another server sends the webhooks", body = ErrorBody),
))]
pub(crate) async fn test(
    State(app): State<WebApp>,
    actor: Actor,
) -> Result<axum::Json<TestAnswer>, ApiError> {
    let testing = to_its_end(async move {
        let results = receivers(&app)?.test().await;
        let failed = results.iter().filter(|result| result.error.is_some()).count();
        let detail = format!("receivers: {}, of which {failed} took nothing", results.len());
        actor.did_so(Act::WebhookTested, On::the(OnKind::Webhook), detail);
        Ok::<_, ApiError>(results)
    });
    Ok(axum::Json(TestAnswer { results: testing.await? }))
}

fn receivers(app: &WebApp) -> Result<&dyn Receivers, ApiError> {
    let elsewhere =
        || ApiError::NotFound("the LiveKit server outside this program sends the webhooks".into());
    app.media().and_then(|media| media.receivers()).ok_or_else(elsewhere)
}
