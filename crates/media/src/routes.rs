//! All routes of the media server, and what holds for each of them.

use axum::extract::DefaultBodyLimit;
use reelroom_limits as limits;
use reelroom_routes::{Keeper, Part, Row};

use crate::server::MediaServer;
use crate::{agents, room_service, signal, unoffered};

impl MediaServer {
    /// `/rtc…`, `/agent`, `/twirp/livekit.RoomService/…` and `/twirp/livekit.AgentDispatchService/…`, and services that are refused. Whose pages may call them
    /// is decided in front of all routes.
    pub fn routes(&self) -> Part {
        rows().layer(DefaultBodyLimit::max(limits::http::TWIRP_BODY_BYTES)).with_state(self.clone())
    }

    /// Its rows of the table.
    pub fn table() -> Vec<Row> {
        rows().rows().to_vec()
    }
}

/// Every route looks at a token of its own.
impl Keeper for MediaServer {}

fn rows() -> Part<MediaServer> {
    signal::rows().join(room_service::rows()).join(agents::rows()).join(unoffered::rows())
}
