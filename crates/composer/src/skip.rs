//! What is left out of a composition because composers died of it. Pure.
//!
//! A *frame* that is skipped is not decoded: a track of pictures is blind until its next keyframe, its tile keeps what it showed; a
//! packet of sound is concealed. A *picture* of a skipped span is the last one before it, with silence, so that the file is as long
//! as the take.

use std::str::FromStr;

use reelroom_take::TrackId;
use serde::{Deserialize, Serialize};

/// A damaged place, as `reelroom compose --skip` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The track whose frames are skipped; without one, everything is.
    #[serde(default)]
    pub track: Option<TrackId>,
    /// Arrival of the first frame; of everything: take time. Nanoseconds.
    pub from_ns: u64,
    /// The same of the last one, itself skipped too.
    pub to_ns: u64,
    /// Why, for the report.
    #[serde(default)]
    pub why: String,
}

/// The text is no [`Skip`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "wanted is a JSON object such as {{\"track\":\"TR_x\",\"from_ns\":1,\"to_ns\":2,\"why\":\"it crashed\"}}: {0}"
)]
pub struct BadSkip(String);

impl FromStr for Skip {
    type Err = BadSkip;

    fn from_str(text: &str) -> Result<Self, BadSkip> {
        let skip: Self = serde_json::from_str(text).map_err(|error| BadSkip(error.to_string()))?;
        if skip.from_ns > skip.to_ns {
            return Err(BadSkip("it ends before it begins".into()));
        }
        Ok(skip)
    }
}

/// What was skipped, in take time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The track; absent where everything was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackId>,
    /// Whose track; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// From the first thing that is missing.
    pub from_ns: u64,
    /// To the first one that is there again, or the end.
    pub to_ns: u64,
    /// Why.
    pub why: String,
}

/// Decides what is skipped, and remembers what was.
#[derive(Debug, Default)]
pub(crate) struct Skips {
    wanted: Vec<Skip>,
    /// For each of the wanted, what came of it.
    done: Vec<Option<Skipped>>,
    /// Those whose tracks have shown nothing since.
    open: Vec<usize>,
}

/// What became of one of the wanted skips so far, for a composer that goes on later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SkipState {
    wanted: Skip,
    done: Option<Skipped>,
    is_open: bool,
}

impl Skips {
    pub(crate) fn new(wanted: &[Skip]) -> Self {
        Self { wanted: wanted.to_vec(), done: vec![None; wanted.len()], open: Vec::new() }
    }

    /// What became of them so far.
    pub(crate) fn state(&self) -> Vec<SkipState> {
        let state = |index: usize| SkipState {
            wanted: self.wanted[index].clone(),
            done: self.done[index].clone(),
            is_open: self.open.contains(&index),
        };
        (0..self.wanted.len()).map(state).collect()
    }

    /// Goes on where others were. What has been added or made wider since begins anew.
    pub(crate) fn go_on(&mut self, states: &[SkipState]) {
        for state in states {
            let is_it =
                |skip: &Skip| (&skip.track, skip.from_ns) == (&state.wanted.track, state.wanted.from_ns);
            let Some(index) = self.wanted.iter().position(is_it) else { continue };
            self.done[index].clone_from(&state.done);
            self.open.retain(|open| *open != index);
            if state.is_open {
                self.open.push(index);
            }
        }
    }

    /// Nothing is to be skipped.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether a frame of `track` that arrived at `arrived_ns` and belongs to `at_ns` is skipped.
    pub(crate) fn frame(&mut self, track: &TrackId, arrived_ns: u64, at_ns: u64) -> bool {
        let wanted = |skip: &Skip| {
            skip.track.as_ref() == Some(track) && (skip.from_ns..=skip.to_ns).contains(&arrived_ns)
        };
        let Some(index) = self.wanted.iter().position(wanted) else { return false };
        self.note(index, at_ns, at_ns);
        if !self.open.contains(&index) {
            self.open.push(index);
        }
        true
    }

    /// Whether the picture from `from_ns` to `to_ns` is skipped.
    pub(crate) fn picture(&mut self, from_ns: u64, to_ns: u64) -> bool {
        let wanted = |skip: &Skip| skip.track.is_none() && (skip.from_ns..=skip.to_ns).contains(&from_ns);
        let Some(index) = self.wanted.iter().position(wanted) else { return false };
        self.note(index, from_ns, to_ns);
        true
    }

    /// `track` shows or sounds again.
    pub(crate) fn recovered(&mut self, track: &TrackId, at_ns: u64) {
        if self.open.is_empty() {
            return;
        }
        let (wanted, done) = (&self.wanted, &mut self.done);
        self.open.retain(|index| {
            let is_it = wanted[*index].track.as_ref() == Some(track);
            if is_it && let Some(done) = &mut done[*index] {
                done.to_ns = done.to_ns.max(at_ns);
            }
            !is_it
        });
    }

    /// `track` has ended, or the take has.
    pub(crate) fn ended(&mut self, at_ns: u64) {
        for index in std::mem::take(&mut self.open) {
            if let Some(done) = &mut self.done[index] {
                done.to_ns = done.to_ns.max(at_ns);
            }
        }
    }

    fn note(&mut self, index: usize, from_ns: u64, to_ns: u64) {
        let skip = &self.wanted[index];
        let done = self.done[index].get_or_insert_with(|| Skipped {
            track: skip.track.clone(),
            participant: None,
            from_ns,
            to_ns,
            why: skip.why.clone(),
        });
        done.to_ns = done.to_ns.max(to_ns);
    }

    /// What was skipped, in the order of time; `owner` says whose a track is.
    pub(crate) fn finish(self, owner: impl Fn(&TrackId) -> Option<String>) -> Vec<Skipped> {
        let mut all: Vec<_> = self.done.into_iter().flatten().collect();
        for skipped in &mut all {
            skipped.participant = skipped.track.as_ref().and_then(&owner);
        }
        all.sort_by_key(|skipped| skipped.from_ns);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written_and_nonsense_is_refused() {
        let skip = Skip { track: Some("TR_x".into()), from_ns: 1, to_ns: 2, why: "\"boom\"".into() };
        let text = serde_json::to_string(&skip).expect("plain JSON");
        assert_eq!(text.parse(), Ok(skip));
        let whole: Skip = "{\"from_ns\":5,\"to_ns\":5}".parse().expect("a span of everything");
        assert_eq!((whole.track, whole.why.as_str()), (None, ""));
        for bad in ["", "7", "{}", "{\"from_ns\":2,\"to_ns\":1}", "{\"from_ns\":1,\"to_ns\":2,\"x\":3}"] {
            assert!(bad.parse::<Skip>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_track_counts_as_skipped_until_it_is_back() {
        let track = TrackId::from("TR_x");
        let mut skips = Skips::new(&[
            Skip { track: Some(track.clone()), from_ns: 10, to_ns: 10, why: "a".into() },
            Skip { track: None, from_ns: 100, to_ns: 120, why: "b".into() },
            Skip { track: None, from_ns: 900, to_ns: 920, why: "never reached".into() },
        ]);
        assert!(!skips.frame(&track, 9, 7) && !skips.frame(&"TR_y".into(), 10, 8));
        assert!(skips.frame(&track, 10, 8));
        skips.recovered(&"TR_y".into(), 20);
        skips.recovered(&track, 40);
        skips.recovered(&track, 50);
        assert!(skips.picture(100, 110) && skips.picture(110, 130) && !skips.picture(130, 140));
        let done = skips.finish(|_| Some("Ann".into()));
        let told: Vec<_> = done.iter().map(|s| (s.from_ns, s.to_ns, s.participant.as_deref())).collect();
        assert_eq!(told, [(8, 40, Some("Ann")), (100, 130, None)]);
    }
}
