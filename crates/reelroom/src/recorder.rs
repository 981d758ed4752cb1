//! How the embedded recorder is doing, for the app's metrics and health.

use reelroom_app::{Recorder, RecorderFigures};
use reelroom_egress::Egress;

/// The recorder, as the app's operator sees it.
pub(crate) struct EgressRecorder(pub(crate) Egress);

impl Recorder for EgressRecorder {
    fn figures(&self) -> RecorderFigures {
        let figures = self.0.figures();
        RecorderFigures { more: figures.more, disk_stalled: figures.disk_stalled, trouble: figures.trouble }
    }
}
