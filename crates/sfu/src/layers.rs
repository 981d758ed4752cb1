//! Simulcast layers: which one a subscriber should get.
//!
//! ```text
//!  f  | |      a still screen      |            f  | | | |
//!  q  | |                          |            q  | | | | | | | | |
//!     both are being sent: nothing was drawn    f is not, since it stays behind q
//! ```
//!
//! A source that draws nothing sends nothing, on no layer, for minutes: silence alone says nothing about a layer. It is not being
//! sent (any more) when another layer of its track brings several newer pictures, for a while, and it does not follow. Both count: a
//! screen that is drawn every two seconds brings one picture in which a large layer may need longer than a small one.
//!
//! Keyframes are asked for layer by layer: a wish stays until one comes, and is repeated, but no more often than the layer allows.

use std::time::{Duration, Instant};

use reelroom_protocol::proto::{UpdateTrackSettings, VideoLayer, VideoQuality};

/// What another layer brings within this time may be of the same picture.
const SAME_PICTURE: Duration = Duration::from_millis(500);
/// How long a layer may stay behind another one of its track until it counts as not being sent, ...
const LAYER_BEHIND_FOR: Duration = Duration::from_millis(1000);
/// ... and by how many pictures.
const PICTURES_BEHIND: u32 = 3;
/// A keyframe of the lowest layer is small; those of the others are asked for less often, ...
const KEYFRAME_INTERVAL_LOW: Duration = Duration::from_millis(500);
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(1000);
/// ... except for a recorder: where a keyframe gets lost on its way to it, pictures shall be back within a second.
const KEYFRAME_INTERVAL_RECORDER: Duration = Duration::from_millis(500);
/// A request to which no keyframe has come may be lost: it is repeated once sooner than another one is asked for.
const KEYFRAME_RETRY: Duration = Duration::from_millis(500);
/// A publisher that answers no request for so long ...
const PATIENT_FOR: Duration = Duration::from_secs(10);
/// ... is asked only so often.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Bitrates are counted over such times.
const RATE_WINDOW: Duration = Duration::from_millis(500);
/// What is assumed of a layer whose bitrate is neither known nor announced.
const ASSUMED_BPS: [u64; 3] = [150_000, 500_000, 1_700_000];

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
    /// What comes first where not everything fits: 0 where nothing is said, else 1 before 2.
    pub priority: u32,
    /// How large it is shown, in pixels; 0 where nothing is said.
    pub pixels: u64,
}

impl Default for TrackSettings {
    fn default() -> Self {
        Self { disabled: false, max: Layer::High, priority: 0, pixels: 0 }
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
        Self {
            disabled: request.disabled,
            max: by_size.unwrap_or(by_quality),
            priority: request.priority,
            pixels: u64::from(request.width) * u64::from(request.height),
        }
    }
}

/// Which layers arrive, how much they are, and which keyframes are missing.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    arrived: [Option<Arrived>; 3],
    keyframes: [Keyframes; 3],
}

/// A layer of which packets arrived.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    last: Instant,
    /// Another layer is ahead: it brought pictures of which this one has sent nothing.
    behind: Option<Behind>,
    rate: Rate,
}

#[derive(Clone, Copy, Debug)]
struct Behind {
    since: Instant,
    pictures: u32,
    /// The layer that is ahead, by place, and the RTP time of its newest picture.
    newest: (usize, u32),
}

impl Behind {
    fn is_gone(&self, now: Instant) -> bool {
        self.pictures >= PICTURES_BEHIND && now.saturating_duration_since(self.since) >= LAYER_BEHIND_FOR
    }
}

/// How much arrives of a layer.
#[derive(Clone, Copy, Debug)]
struct Rate {
    since: Instant,
    bytes: u64,
    bps: Option<u64>,
}

impl Rate {
    /// It grows at once, so that nobody is sent more than they can take, and sinks slowly: a picture that stands still may move again.
    fn count(&mut self, bytes: usize, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= RATE_WINDOW {
            let bps = (self.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            self.bps =
                Some(self.bps.map_or(bps, |known| if bps > known { bps } else { (7 * known + bps) / 8 }));
            (self.since, self.bytes) = (now, 0);
        }
        self.bytes += bytes as u64;
    }
}

/// When keyframes of a layer are missing and were asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Keyframes {
    asked: Option<Instant>,
    /// How often since one came.
    asks: u32,
    /// Since when one is missing that was asked for.
    missing_since: Option<Instant>,
}

impl Keyframes {
    /// Asks for one, unless `interval` has to pass until then since the last time.
    fn ask(&mut self, interval: Duration, now: Instant) -> bool {
        let wait = if self.asks == 1 { interval.min(KEYFRAME_RETRY) } else { interval };
        let is_due = self.asked.is_none_or(|at| now.saturating_duration_since(at) >= wait);
        if is_due {
            (self.asked, self.asks) = (Some(now), self.asks.saturating_add(1));
        }
        is_due
    }
}

impl Layers {
    /// A packet with media; `rtp` is its RTP time.
    pub(crate) fn packet(&mut self, layer: Layer, rtp: u32, bytes: usize, now: Instant) {
        for (index, arrived) in self.arrived.iter_mut().enumerate() {
            if index == layer.index() {
                let rate = Rate { since: now, bytes: 0, bps: None };
                let arrived = arrived.get_or_insert(Arrived { last: now, behind: None, rate });
                (arrived.last, arrived.behind) = (now, None);
                arrived.rate.count(bytes, now);
            } else if let Some(arrived) = arrived
                && now.saturating_duration_since(arrived.last) > SAME_PICTURE
            {
                let newest = (layer.index(), rtp);
                let behind = arrived.behind.get_or_insert(Behind { since: now, pictures: 1, newest });
                // Of several layers that are ahead one is counted.
                if behind.newest.0 == newest.0 && behind.newest.1 != rtp {
                    (behind.newest, behind.pictures) = (newest, behind.pictures.saturating_add(1));
                }
            }
        }
    }

    /// When something of any of them arrived last.
    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.arrived.iter().flatten().map(|arrived| arrived.last).max()
    }

    pub(crate) fn is_live(&self, layer: Layer, now: Instant) -> bool {
        self.arrived[layer.index()]
            .is_some_and(|arrived| arrived.behind.is_none_or(|behind| !behind.is_gone(now)))
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

    /// Bits a second of a layer: as they arrive, else as announced in `said`, else as such layers have.
    pub(crate) fn bitrate(&self, layer: Layer, said: &[VideoLayer]) -> u64 {
        let measured = self.arrived[layer.index()].and_then(|arrived| arrived.rate.bps);
        let announced = || {
            let of_layer = said.iter().find(|info| info.quality == i32::from(layer.quality()));
            of_layer.map(|info| u64::from(info.bitrate)).filter(|bps| *bps > 0)
        };
        measured.or_else(announced).unwrap_or(ASSUMED_BPS[layer.index()])
    }

    /// A keyframe of a layer is needed. Whether it is to be asked for now; if not, [`Layers::overdue_keyframes`] has it later.
    pub(crate) fn needs_keyframe(&mut self, layer: Layer, whom: KeyframeFor, now: Instant) -> bool {
        let interval = interval_of(layer, whom);
        let state = &mut self.keyframes[layer.index()];
        state.missing_since.get_or_insert(now);
        state.ask(interval, now)
    }

    /// Whether a keyframe of a layer is missing that was asked for, or will be.
    pub(crate) fn awaits_keyframe(&self, layer: Layer) -> bool {
        self.keyframes[layer.index()].missing_since.is_some()
    }

    /// A keyframe of a layer is about to begin: none has to be asked for.
    pub(crate) fn keyframe_comes(&mut self, layer: Layer, now: Instant) {
        self.keyframes[layer.index()].missing_since.get_or_insert(now);
    }

    /// A keyframe of a layer begins.
    pub(crate) fn keyframe_came(&mut self, layer: Layer) {
        let state = &mut self.keyframes[layer.index()];
        (state.missing_since, state.asks) = (None, 0);
    }

    /// Asks for no keyframe of layers that are not sent any more: none comes, and publishers may answer with one of each other layer. Whoever
    /// wants such a layer when it is back has it asked for anew.
    pub(crate) fn give_up_keyframes_of_ended(&mut self, now: Instant) {
        for (arrived, keyframes) in self.arrived.iter().zip(&mut self.keyframes) {
            let behind = arrived.as_ref().and_then(|arrived| arrived.behind);
            if behind.is_some_and(|behind| behind.is_gone(now)) {
                keyframes.missing_since = None;
            }
        }
    }

    /// The layers whose keyframes were asked for, did not come, and may be asked for again; they count as asked.
    pub(crate) fn overdue_keyframes(&mut self, now: Instant) -> impl Iterator<Item = Layer> + use<> {
        let mut due = [None; 3];
        for (layer, due) in Layer::ALL.into_iter().zip(&mut due) {
            let state = &mut self.keyframes[layer.index()];
            let Some(since) = state.missing_since else { continue };
            let is_patient = now.saturating_duration_since(since) < PATIENT_FOR;
            let wait = if is_patient { interval_of(layer, KeyframeFor::Subscriber) } else { ASK_EVERY };
            *due = state.ask(wait, now).then_some(layer);
        }
        due.into_iter().flatten()
    }
}

fn interval_of(layer: Layer, whom: KeyframeFor) -> Duration {
    match (whom, layer) {
        (KeyframeFor::Recorder, _) => KEYFRAME_INTERVAL_RECORDER,
        (KeyframeFor::Subscriber, Layer::Low) => KEYFRAME_INTERVAL_LOW,
        (KeyframeFor::Subscriber, _) => KEYFRAME_INTERVAL,
    }
}

#[cfg(test)]
mod tests;
