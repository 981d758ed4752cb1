//! All routes of the media server, and what holds for each of them.

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use reelroom_limits as limits;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::server::MediaServer;
use crate::{room_service, signal};

const CORS_MAX_AGE: Duration = Duration::from_secs(86_400);

impl MediaServer {
    /// `/rtc…` and `/twirp/livekit.RoomService/…`, for any origin.
    pub fn router(&self) -> Router {
        signal::router()
            .merge(room_service::router())
            .layer(DefaultBodyLimit::max(limits::http::TWIRP_BODY_BYTES))
            .layer(cors())
            .with_state(self.clone())
    }
}

/// LiveKit's APIs may be called from any page: what protects them is the token.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(CORS_MAX_AGE)
}
