//! Simulcast layers: which one a subscriber should get.
//!
//! ```text
//!  f  | |      a still screen      |            f  | | | |
//!  q  | |                          |            q  | | | | | | | | |
//!     both are being sent: nothing was drawn    f is not, since it stays behind q
//! ```
//!
//! A source that draws nothing sends nothing, on no layer, for minutes: silence alone says nothing about a layer. It is not being
//! sent (any more) when another layer of its track brings something newer and it does not follow.

use std::time::{Duration, Instant};

use reelroom_protocol::proto::{UpdateTrackSettings, VideoLayer, VideoQuality};

/// What another layer brings within this time may be of the same picture.
const SAME_PICTURE: Duration = Duration::from_millis(500);
/// How long a layer may stay behind another one of its track until it counts as not being sent.
const LAYER_BEHIND_FOR: Duration = Duration::from_millis(1000);
/// A keyframe of the lowest layer is small; those of the others are asked for less often, ...
const KEYFRAME_INTERVAL_LOW: Duration = Duration::from_millis(500);
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(1000);
/// ... except for a recorder: where a keyframe gets lost on its way to it, pictures shall be back within a second.
const KEYFRAME_INTERVAL_RECORDER: Duration = Duration::from_millis(500);

/// Who needs a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyframeFor {
    /// Of many: one with a bad line must not cost all others their picture's quality.
    Subscriber,
    /// It receives all that the publisher sends.
    Recorder,
}

/// A simulcast layer, by rid: `q`, `h`, `f`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// `q`, a quarter of the size.
    Low,
    /// `h`, half the size.
    Medium,
    /// `f`, the full size; also the only stream of a track without simulcast.
    High,
}

impl Layer {
    /// All of them, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// From a rid; anything else than LiveKit's `q` and `h` is the full stream.
    pub fn from_rid(rid: Option<&str>) -> Self {
        match rid {
            Some("q") => Self::Low,
            Some("h") => Self::Medium,
            _ => Self::High,
        }
    }

    /// Its rid.
    pub fn rid(self) -> &'static str {
        match self {
            Self::Low => "q",
            Self::Medium => "h",
            Self::High => "f",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn quality(self) -> VideoQuality {
        match self {
            Self::Low => VideoQuality::Low,
            Self::Medium => VideoQuality::Medium,
            Self::High => VideoQuality::High,
        }
    }
}

/// What a subscriber said it wants of a track (`UpdateTrackSettings`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackSettings {
    /// Send nothing for now.
    pub disabled: bool,
    /// The best layer wanted.
    pub max: Layer,
}

impl Default for TrackSettings {
    fn default() -> Self {
        Self { disabled: false, max: Layer::High }
    }
}

impl TrackSettings {
    /// Dimensions win over quality: the smallest layer that is at least as large as what is shown.
    pub(crate) fn from_request(request: &UpdateTrackSettings, layers: &[VideoLayer]) -> Self {
        let by_size = (request.width > 0 && request.height > 0).then(|| {
            Layer::ALL
                .into_iter()
                .find(|layer| {
                    layers
                        .iter()
                        .find(|info| info.quality == i32::from(layer.quality()))
                        .is_some_and(|info| info.width >= request.width && info.height >= request.height)
                })
                .unwrap_or(Layer::High)
        });
        let by_quality = match VideoQuality::try_from(request.quality) {
            Ok(VideoQuality::Low) => Layer::Low,
            Ok(VideoQuality::Medium) => Layer::Medium,
            _ => Layer::High,
        };
        Self { disabled: request.disabled, max: by_size.unwrap_or(by_quality) }
    }
}

/// Which layers arrive, and when a keyframe of each was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    arrived: [Option<Arrived>; 3],
    last_keyframe_request: [Option<Instant>; 3],
}

/// A layer of which packets arrived.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    last: Instant,
    /// Since when another layer is ahead: it brought a picture of which this one has sent nothing.
    behind_since: Option<Instant>,
}

impl Layers {
    /// A packet with media.
    pub(crate) fn packet(&mut self, layer: Layer, now: Instant) {
        for (index, arrived) in self.arrived.iter_mut().enumerate() {
            if index == layer.index() {
                *arrived = Some(Arrived { last: now, behind_since: None });
            } else if let Some(arrived) = arrived
                && now.saturating_duration_since(arrived.last) > SAME_PICTURE
            {
                arrived.behind_since.get_or_insert(now);
            }
        }
    }

    pub(crate) fn is_live(&self, layer: Layer, now: Instant) -> bool {
        self.arrived[layer.index()].is_some_and(|arrived| {
            arrived.behind_since.is_none_or(|since| now.saturating_duration_since(since) < LAYER_BEHIND_FOR)
        })
    }

    /// The best live layer up to `max`, else the lowest live one above it.
    pub(crate) fn choose(&self, max: Layer, now: Instant) -> Option<Layer> {
        let live = |layer: &Layer| self.is_live(*layer, now);
        Layer::ALL
            .into_iter()
            .filter(|layer| *layer <= max)
            .rfind(live)
            .or_else(|| Layer::ALL.into_iter().find(live))
    }

    /// Whether a keyframe may be asked for now; remembers that it was.
    pub(crate) fn may_request_keyframe(&mut self, layer: Layer, whom: KeyframeFor, now: Instant) -> bool {
        let interval = match (whom, layer) {
            (KeyframeFor::Recorder, _) => KEYFRAME_INTERVAL_RECORDER,
            (KeyframeFor::Subscriber, Layer::Low) => KEYFRAME_INTERVAL_LOW,
            (KeyframeFor::Subscriber, _) => KEYFRAME_INTERVAL,
        };
        let last = &mut self.last_keyframe_request[layer.index()];
        if last.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return false;
        }
        *last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<VideoLayer> {
        [(VideoQuality::Low, 320, 180), (VideoQuality::Medium, 640, 360), (VideoQuality::High, 1280, 720)]
            .map(|(quality, width, height)| VideoLayer {
                quality: quality.into(),
                width,
                height,
                ..Default::default()
            })
            .into()
    }

    #[test]
    fn the_smallest_layer_that_fills_the_tile_is_taken() {
        let want = |width, height, quality: VideoQuality| {
            let request =
                UpdateTrackSettings { width, height, quality: quality.into(), ..Default::default() };
            TrackSettings::from_request(&request, &layers()).max
        };
        assert_eq!(want(300, 170, VideoQuality::High), Layer::Low);
        assert_eq!(want(400, 300, VideoQuality::High), Layer::Medium);
        assert_eq!(want(4000, 3000, VideoQuality::Low), Layer::High);
        assert_eq!(want(0, 0, VideoQuality::Medium), Layer::Medium);
    }

    #[test]
    fn only_layers_that_arrive_are_chosen() {
        let start = Instant::now();
        let mut state = Layers::default();
        assert_eq!(state.choose(Layer::High, start), None);
        state.packet(Layer::Low, start);
        assert_eq!(state.choose(Layer::High, start), Some(Layer::Low));
        state.packet(Layer::High, start);
        assert_eq!(state.choose(Layer::High, start), Some(Layer::High));
        assert_eq!(state.choose(Layer::Medium, start), Some(Layer::Low));
        let at = |ms| start + Duration::from_millis(ms);
        for ms in (0..=1_560).step_by(40) {
            state.packet(Layer::High, at(ms));
        }
        assert_eq!(state.choose(Layer::Low, at(1_500)), Some(Layer::Low), "it may still follow");
        assert_eq!(state.choose(Layer::Low, at(1_560)), Some(Layer::High), "better than nothing");
        state.packet(Layer::Low, at(1_570));
        assert_eq!(state.choose(Layer::Low, at(1_570)), Some(Layer::Low), "it is back");
    }

    #[test]
    fn a_source_that_draws_rarely_keeps_its_layers() {
        let start = Instant::now();
        let mut state = Layers::default();
        let mut now = start;
        for pause_s in [0, 2, 5, 60, 600, 1, 30] {
            now += Duration::from_secs(pause_s);
            for (layer, late_ms) in [(Layer::Low, 0), (Layer::Medium, 40), (Layer::High, 300)] {
                state.packet(layer, now + Duration::from_millis(late_ms));
                let seen = now + Duration::from_millis(late_ms);
                if pause_s > 0 {
                    assert_eq!(state.choose(Layer::High, seen), Some(Layer::High), "after {pause_s} s");
                }
            }
        }
        assert_eq!(state.choose(Layer::Medium, now + Duration::from_secs(3600)), Some(Layer::Medium));
        // The publisher's line gets worse: the best layer is not sent any more.
        for layer in [Layer::Low, Layer::Medium] {
            state.packet(layer, now + Duration::from_secs(60));
        }
        let soon = now + Duration::from_millis(60_500);
        assert_eq!(state.choose(Layer::High, soon), Some(Layer::High));
        assert_eq!(state.choose(Layer::High, soon + LAYER_BEHIND_FOR), Some(Layer::Medium));
    }

    #[test]
    fn keyframes_are_not_asked_for_too_often() {
        let start = Instant::now();
        let mut state = Layers::default();
        let (subscriber, recorder) = (KeyframeFor::Subscriber, KeyframeFor::Recorder);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(state.may_request_keyframe(Layer::High, subscriber, at(0)));
        assert!(!state.may_request_keyframe(Layer::High, subscriber, at(900)));
        assert!(!state.may_request_keyframe(Layer::High, recorder, at(499)));
        assert!(state.may_request_keyframe(Layer::High, recorder, at(500)));
        assert!(!state.may_request_keyframe(Layer::High, subscriber, at(1499)));
        assert!(state.may_request_keyframe(Layer::High, subscriber, at(1500)));
        assert!(state.may_request_keyframe(Layer::Low, subscriber, at(0)));
    }
}
