//! All routes of the media server, and what holds for each of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use reelroom_limits as limits;

use crate::server::MediaServer;
use crate::{room_service, signal};

impl MediaServer {
    /// `/rtc…` and `/twirp/livekit.RoomService/…`. Whose pages may call them is decided in front of all routers.
    pub fn router(&self) -> Router {
        signal::router()
            .merge(room_service::router())
            .layer(DefaultBodyLimit::max(limits::http::TWIRP_BODY_BYTES))
            .with_state(self.clone())
    }
}
