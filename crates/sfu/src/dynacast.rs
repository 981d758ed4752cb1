//! Dynacast: publishers encode only the layers that somebody wants.
//!
//! ```text
//!   the best layer that a subscriber or a recorder wants ─► more: told at once
//!                                                        └─► less: told once it has been less for a while
//! ```
//!
//! What a subscriber's line has no room for is wanted all the same: it is told apart, or a bad line would take everybody's picture.
//!
//! Each codec of a track is wanted for itself. Of a backup codec nothing is said until somebody needs it: with that word its publisher begins to
//! send it.

use std::time::{Duration, Instant};

use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::{
    SubscribedCodec, SubscribedQuality, SubscribedQualityUpdate, signal_response,
};

use crate::codec::Codec;
use crate::layers::Layer;
use crate::room::{Now, Room};
use crate::subscription::Subscription;

/// For so long less has to be wanted until the publisher is told.
const LESS_FOR: Duration = Duration::from_secs(5);
/// A publisher whose track nobody wants is told after so long at the earliest: subscribers come in a moment.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// What a publisher was told that is wanted of a track.
#[derive(Debug, Default)]
pub(crate) struct Dynacast {
    /// Since when its media arrives.
    published: Option<Instant>,
    /// Nothing yet, or the best layer, which may be none.
    told: Option<Option<Layer>>,
    /// It was told anything at all, whether it has heard that or not.
    was_told: bool,
    less_since: Option<Instant>,
}

impl Dynacast {
    /// The track comes; its publisher sends all layers of it.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.published = Some(now);
    }

    /// The publisher may not have heard what it was told.
    pub(crate) fn forget(&mut self) {
        (self.told, self.less_since) = (None, None);
    }

    /// The best layer that is wanted now; what the publisher is to be told comes back.
    pub(crate) fn wants(&mut self, wanted: Option<Layer>, now: Instant) -> Option<Option<Layer>> {
        let is_more = wanted > self.told.unwrap_or(None);
        if !is_more {
            if self.told == Some(wanted) {
                self.less_since = None;
                return None;
            }
            let (since, wait) = match self.told {
                None => (*self.published.get_or_insert(now), FIRST_WITHIN),
                Some(_) => (*self.less_since.get_or_insert(now), LESS_FOR),
            };
            if now.saturating_duration_since(since) < wait {
                return None;
            }
        }
        (self.told, self.was_told, self.less_since) = (Some(wanted), true, None);
        Some(wanted)
    }
}

/// Which layers of a codec are wanted, as clients are told.
fn subscribed_codec(codec: Codec, most: Option<Layer>) -> SubscribedCodec {
    let quality = |layer: Layer| SubscribedQuality {
        quality: layer.quality().into(),
        enabled: most.is_some_and(|most| layer <= most),
    };
    SubscribedCodec {
        codec: codec.mime().rsplit('/').next().unwrap_or_default().to_ascii_lowercase(),
        qualities: Layer::ALL.map(quality).into(),
    }
}

impl Room {
    /// Tells the publisher of a track which layers are wanted of it, where that has changed.
    pub(crate) fn report_wanted(&mut self, sid: &TrackSid, now: Now) {
        let is_recorded = !self.recordings.is_empty() && self.is_recorded(sid);
        let Some(track) = self.tracks.get_mut(sid).filter(|track| track.is_video()) else { return };
        if track.codings.iter().all(|coding| coding.codec.is_none()) {
            return;
        }
        let recorded = is_recorded.then(|| track.main());
        let mut is_news = false;
        for (place, coding) in track.codings.iter_mut().enumerate() {
            let subscribed = track.down.values().filter(|subscription| subscription.coding == place);
            let most = subscribed.filter_map(Subscription::asks_for).max();
            let wanted = if recorded == Some(place) { Some(Layer::High) } else { most };
            if wanted.is_some() || place == 0 || coding.dynacast.was_told {
                is_news |= coding.dynacast.wants(wanted, now.at).is_some();
            }
        }
        if !is_news {
            return;
        }
        let told = track.codings.iter().enumerate();
        // The primary codec comes with all that there is of it until its publisher is told anything else.
        let told = told.filter_map(|(place, coding)| {
            let most = coding.dynacast.told.or((place == 0).then_some(Some(Layer::High)))?;
            Some(subscribed_codec(coding.name().unwrap_or_else(|| track.expected_codec(place)), most))
        });
        let codecs: Vec<_> = told.collect();
        let update = SubscribedQualityUpdate {
            track_sid: sid.to_string(),
            // Clients that know of no backup codecs read this alone.
            subscribed_qualities: codecs.first().map(|codec| codec.qualities.clone()).unwrap_or_default(),
            subscribed_codecs: codecs,
        };
        let publisher = track.publisher.clone();
        self.signal(&publisher, signal_response::Message::SubscribedQualityUpdate(update));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_at_once_and_less_after_a_while() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (low, high) = (Some(Layer::Low), Some(Layer::High));
        let mut state = Dynacast::default();
        state.begins(start);
        assert_eq!(state.wants(None, at(9_999)), None, "somebody may come");
        assert_eq!(state.wants(None, at(10_000)), Some(None));
        assert_eq!(state.wants(low, at(10_001)), Some(low));
        assert_eq!(state.wants(high, at(10_002)), Some(high));
        assert_eq!(state.wants(high, at(11_000)), None);
        assert_eq!(state.wants(low, at(12_000)), None);
        assert_eq!(state.wants(None, at(16_999)), None);
        assert_eq!(state.wants(high, at(16_999)), None, "it is as it was told");
        assert_eq!(state.wants(low, at(17_000)), None);
        assert_eq!(state.wants(None, at(21_999)), None);
        assert_eq!(state.wants(low, at(22_000)), Some(low), "less for 5 s, whatever it was");
        assert_eq!(state.wants(low, at(60_000)), None);
    }

    #[test]
    fn the_first_subscriber_has_it_told_at_once() {
        let start = Instant::now();
        let mut state = Dynacast::default();
        state.begins(start);
        assert_eq!(state.wants(Some(Layer::Medium), start), Some(Some(Layer::Medium)));
    }
}
