//! How the embedded recorder and media server are doing, for the app's metrics and health; and what the app and the media server ask each other
//! of those who came by invitation.

use std::pin::Pin;

use reelroom_app::{Media, Receivers, Recorder, RecorderFigures, Standing, Tickets};
use reelroom_egress::Egress;
use reelroom_media::{Gate, MediaServer};
use reelroom_protocol::ids::{RoomName, Ticket};

use crate::receivers::OwnReceivers;

/// The recorder, as the app's operator sees it.
pub(crate) struct EgressRecorder(pub(crate) Egress);

impl Recorder for EgressRecorder {
    fn figures(&self) -> RecorderFigures {
        let figures = self.0.figures();
        RecorderFigures { more: figures.more, disk_stalled: figures.disk_stalled, trouble: figures.trouble }
    }
}

/// The media server, as the app's operator sees it.
pub(crate) struct OwnMedia {
    media: MediaServer,
    receivers: OwnReceivers,
}

impl OwnMedia {
    pub(crate) fn new(media: MediaServer) -> Self {
        let receivers = OwnReceivers(media.webhooks().clone());
        Self { media, receivers }
    }
}

impl Media for OwnMedia {
    fn warnings(&self) -> Vec<String> {
        self.media.warnings()
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.media.dropped()
    }

    fn receivers(&self) -> Option<&dyn Receivers> {
        Some(&self.receivers)
    }

    fn recheck(&self, room: &RoomName) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (media, room) = (self.media.clone(), room.clone());
        Box::pin(async move { media.rooms().recheck(&room).await })
    }
}

/// The app, as the media server asks it about its tickets.
pub(crate) struct AppGate(pub(crate) Tickets);

impl Gate for AppGate {
    fn standing(&self, ticket: &Ticket, room: &RoomName) -> reelroom_media::Standing {
        match self.0.standing(ticket, room) {
            Standing::AsSaid => reelroom_media::Standing::AsSaid,
            Standing::AtMost(grants) => reelroom_media::Standing::AtMost(grants),
            Standing::StaysAtMost(grants) => reelroom_media::Standing::StaysAtMost(grants),
            Standing::NotAgain => reelroom_media::Standing::NotAgain,
            Standing::Over => reelroom_media::Standing::Over,
        }
    }

    fn asks_consent(&self, room: &RoomName) -> bool {
        self.0.asks_consent(room)
    }
}
