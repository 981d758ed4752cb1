//! Rooms that record only those who agree.
//!
//! Participants agree and decline in the call, and the recorder of this program sees to it (`reelroom_sfu`, `consent.rs`). Where the media
//! server is another program nobody does: there such a room is not recorded at all.

use reelroom_audit::{Act, On, OnKind};
use reelroom_protocol::ids::RoomName;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::egress;
use crate::error::ApiError;

/// What whoever wants to record such a room elsewhere is told.
const CANNOT_ASK: &str = "this room records only those who agree, and the media server of LIVEKIT_URL does not see to that: switch consent off for \
                          this room, or unset LIVEKIT_URL to use the media server of this program";

/// Whether that is set of a room.
fn is_set(app: &WebApp, room: &RoomName) -> bool {
    app.rooms().settings(room).is_some_and(|settings| settings.asks_consent)
}

/// Whether those who join a room are asked.
pub(crate) fn is_asked(app: &WebApp, room: &RoomName) -> bool {
    app.media().is_some() && is_set(app, room)
}

/// Whether a room may be recorded.
///
/// # Errors
/// [`ApiError::Conflict`] for one that records only those who agree, where nobody would be asked.
pub(crate) fn check(app: &WebApp, room: &RoomName) -> Result<(), ApiError> {
    if app.media().is_none() && is_set(app, room) {
        Err(ApiError::Conflict(CANNOT_ASK.into()))
    } else {
        Ok(())
    }
}

/// Ends what records a room from which on nobody is to be recorded who was not asked.
pub(crate) async fn end_unasked(app: &WebApp, room: &RoomName) {
    if check(app, room).is_ok() {
        return;
    }
    let active = match app.livekit().active_recordings(room.as_str()).await {
        Ok(active) => active,
        Err(error) => {
            tracing::warn!(%room, %error, "whether a room is recorded that records only those who agree is not known");
            return;
        }
    };
    for info in active.iter().filter(|info| egress::is_recording(info)) {
        match app.livekit().stop_recording(&info.egress_id).await {
            Ok(_) => {
                let on = On::one(OnKind::Recording, &info.egress_id);
                let why = format!("room: {room}; nobody in it was asked for consent");
                Actor::server(app).did_so(Act::RecordingStopped, on, why);
                tracing::warn!(%room, egress = info.egress_id, "a recording ends: nobody in it was asked for consent");
            }
            Err(error) => {
                tracing::warn!(%room, egress = info.egress_id, %error, "a recording goes on in which nobody was asked for consent");
            }
        }
    }
}
