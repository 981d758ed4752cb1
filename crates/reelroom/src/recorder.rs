//! How the embedded recorder and media server are doing, for the app's metrics and health.

use reelroom_app::{Media, Recorder, RecorderFigures};
use reelroom_egress::Egress;
use reelroom_media::MediaServer;

/// The recorder, as the app's operator sees it.
pub(crate) struct EgressRecorder(pub(crate) Egress);

impl Recorder for EgressRecorder {
    fn figures(&self) -> RecorderFigures {
        let figures = self.0.figures();
        RecorderFigures { more: figures.more, disk_stalled: figures.disk_stalled, trouble: figures.trouble }
    }
}

/// The media server, as the app's operator sees it.
pub(crate) struct OwnMedia(pub(crate) MediaServer);

impl Media for OwnMedia {
    fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.0.dropped()
    }
}
