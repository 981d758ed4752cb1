//! What is done about a composer that dies: run it again, skip what it dies of, or give up. Pure.
//!
//! ```text
//!  death at a place ──1st, 2nd──► again      ──3rd──► again, with the place skipped (wider, where it had to be before)
//!  death elsewhere ─────────────► again, for as long as it gets further now and then
//! ```
//!
//! A place is a frame of a track, or a picture where no track can be blamed. Somebody who kills composers from outside hits ever new
//! places: deaths alone end nothing, and they are forgiven when the composer gets further.

use std::collections::BTreeMap;
use std::time::Duration;

use reelroom_take::{SegmentId, TrackId};
use serde::{Deserialize, Serialize};

/// How often a composer may die at a place.
const PATIENCE: u32 = 3;
/// How often it may end with an error, or die at a place where there is nothing to skip.
const FRUITLESS: u32 = 4;
/// How often it may die at all without getting further.
const MAX_DEATHS: u32 = 100;
/// A composer that gets this much further has made progress.
const PROGRESS_NS: u64 = 1_000_000_000;
/// Damage this near to what was skipped before is the same damage.
const NEAR_NS: u64 = 30_000_000_000;
/// How much of a track is skipped: a frame at first, more each time the composer dies near it, and the rest of the track at last.
const TRACK_WIDTHS_NS: [u64; 5] = [0, 1_000_000_000, 10_000_000_000, 100_000_000_000, u64::MAX];
/// The same where no track can be blamed.
const WHOLE_WIDTHS_NS: [u64; 4] = [500_000_000, 5_000_000_000, 50_000_000_000, u64::MAX];
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where a composer was: a crumb of `reelroom compose --crumb`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub(crate) enum Place {
    Decode {
        track: TrackId,
        segment: SegmentId,
        frame: u64,
        at_ns: u64,
    },
    Picture {
        number: u64,
        at_ns: u64,
    },
    Repeat {
        number: u64,
        at_ns: u64,
    },
    Read {
        at_ns: u64,
    },
    Finish,
    /// Before the first of them, or unknown.
    #[default]
    #[serde(other)]
    Start,
}

impl Place {
    /// Out of the crumb's file.
    pub(crate) fn parse(crumb: &[u8]) -> Self {
        let line = crumb.split(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(line).unwrap_or_default()
    }
}

/// How a composer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// By a signal, a panic, an element that gave up; or it was killed because it hung.
    Died,
    /// It said itself why it cannot go on.
    Refused,
}

/// A composer's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) place: Place,
    pub(crate) how: How,
    /// For people: "it crashed (signal 6)".
    pub(crate) reason: String,
}

/// What is not composed, as `reelroom compose --skip` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skip {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) track: Option<TrackId>,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    pub(crate) why: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again(Duration),
    /// Again, and this is skipped from now on.
    Skip(Skip),
    GiveUp,
}

/// The deaths of one recording's composers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths {
    places: BTreeMap<Place, u32>,
    skips: Vec<Damage>,
    /// Deaths since there was progress.
    deaths: u32,
    /// Deaths for which nothing can be skipped. A composer that ends with an error does so wherever it is.
    fruitless: BTreeMap<Option<Place>, u32>,
    furthest_ns: u64,
}

#[derive(Clone, Debug)]
struct Damage {
    skip: Skip,
    /// How often it was found too narrow.
    widened: usize,
}

impl Deaths {
    /// With what is known to be skipped.
    pub(crate) fn knowing(skips: Vec<Skip>) -> Self {
        let skips = skips.into_iter().map(|skip| Damage { skip, widened: 0 }).collect();
        Self { skips, ..Self::default() }
    }

    pub(crate) fn skips(&self) -> impl Iterator<Item = &Skip> {
        self.skips.iter().map(|damage| &damage.skip)
    }

    /// What to do after a death; `reached_ns` is how far the composer had come.
    pub(crate) fn died(&mut self, death: &Death, reached_ns: u64) -> Verdict {
        if reached_ns >= self.furthest_ns.saturating_add(PROGRESS_NS) {
            self.furthest_ns = reached_ns;
            self.deaths = 0;
            self.fruitless.clear();
        }
        self.deaths += 1;
        if self.deaths >= MAX_DEATHS {
            return Verdict::GiveUp;
        }
        let damage = match (&death.place, death.how) {
            (Place::Decode { track, at_ns, .. }, How::Died) => Some((Some(track), *at_ns)),
            (Place::Picture { at_ns, .. }, How::Died) => Some((None, *at_ns)),
            _ => None,
        };
        let Some((track, at_ns)) = damage else {
            let place = (death.how == How::Died).then(|| death.place.clone());
            let times = self.fruitless.entry(place).or_default();
            *times += 1;
            return match *times {
                FRUITLESS.. => Verdict::GiveUp,
                times => Verdict::Again(pause(times)),
            };
        };
        let times = self.places.entry(death.place.clone()).or_default();
        *times += 1;
        if *times < PATIENCE {
            return Verdict::Again(pause(*times));
        }
        self.places.remove(&death.place);
        match self.skip(track, at_ns, &death.reason) {
            Some(skip) => Verdict::Skip(skip),
            None => Verdict::GiveUp,
        }
    }

    /// Skips what is at `at_ns`; `None` if that is being skipped already.
    fn skip(&mut self, track: Option<&TrackId>, at_ns: u64, why: &str) -> Option<Skip> {
        let widths: &[u64] = if track.is_some() { &TRACK_WIDTHS_NS } else { &WHOLE_WIDTHS_NS };
        let near = self.skips.iter_mut().find(|damage| {
            let skip = &damage.skip;
            skip.track.as_ref() == track
                && (skip.from_ns..=skip.to_ns.saturating_add(NEAR_NS)).contains(&at_ns)
        });
        if let Some(damage) = near {
            if at_ns <= damage.skip.to_ns {
                return None;
            }
            damage.widened += 1;
            let width = widths.get(damage.widened).copied().unwrap_or(u64::MAX);
            damage.skip.to_ns = at_ns.saturating_add(width);
            return Some(damage.skip.clone());
        }
        let to_ns = at_ns.saturating_add(widths[0]);
        let skip = Skip { track: track.cloned(), from_ns: at_ns, to_ns, why: why.to_owned() };
        self.skips.push(Damage { skip: skip.clone(), widened: 0 });
        Some(skip)
    }
}

fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (times - 1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const S: u64 = 1_000_000_000;

    fn frame(track: &str, at_ns: u64) -> Death {
        let frame = at_ns / 1_000_000;
        let place = Place::Decode { track: track.into(), segment: SegmentId(0), frame, at_ns };
        Death { place, how: How::Died, reason: "it crashed".into() }
    }

    fn at(place: Place) -> Death {
        Death { place, how: How::Died, reason: "it crashed".into() }
    }

    #[test]
    fn crumbs_are_places_and_anything_else_is_none() {
        let crumb = br#"{"doing":"decode","track":"TR_x","segment":3,"frame":88,"at_ns":5}
what a longer line left"#;
        let place = Place::Decode { track: "TR_x".into(), segment: SegmentId(3), frame: 88, at_ns: 5 };
        assert_eq!(Place::parse(crumb), place);
        assert_eq!(Place::parse(b"{\"doing\":\"finish\"}\n"), Place::Finish);
        for other in [&b""[..], b"{\"doing\":\"dance\"}\n", b"{\"doing\":\"dec", b"\xff\n"] {
            assert_eq!(Place::parse(other), Place::Start, "{other:?}");
        }
    }

    #[test]
    fn the_third_death_at_a_place_skips_it_and_deaths_elsewhere_count_anew() {
        let mut deaths = Deaths::default();
        let wanted =
            Skip { track: Some("TR_a".into()), from_ns: 7 * S, to_ns: 7 * S, why: "it crashed".into() };
        for death in [frame("TR_a", 7 * S), frame("TR_b", 7 * S), frame("TR_a", 7 * S), frame("TR_b", 9 * S)]
        {
            assert!(matches!(deaths.died(&death, 0), Verdict::Again(_)), "{death:?}");
        }
        assert_eq!(deaths.died(&frame("TR_a", 7 * S), 0), Verdict::Skip(wanted.clone()));
        assert_eq!(deaths.skips().collect::<Vec<_>>(), [&wanted]);
    }

    #[test]
    fn where_no_track_can_be_blamed_a_span_is_skipped() {
        let mut deaths = Deaths::default();
        let picture = at(Place::Picture { number: 60, at_ns: 2 * S });
        assert!(matches!(deaths.died(&picture, 0), Verdict::Again(_)));
        assert!(matches!(deaths.died(&picture, 0), Verdict::Again(_)));
        let Verdict::Skip(skip) = deaths.died(&picture, 0) else { panic!() };
        assert_eq!((skip.track, skip.from_ns, skip.to_ns), (None, 2 * S, 2 * S + S / 2));
    }

    #[test]
    fn a_track_that_kills_with_every_keyframe_is_left_out_soon() {
        let mut deaths = Deaths::default();
        let (mut at_ns, mut count) = (0, 0);
        while at_ns < 7_200 * S {
            let death = frame("TR_a", at_ns);
            count += 1;
            if let Verdict::Skip(skip) = deaths.died(&death, at_ns) {
                assert_eq!(skip.from_ns, 0);
                // The next keyframe after it.
                at_ns = skip.to_ns.saturating_add(3 * S);
            }
        }
        assert_eq!(count, 15);
        assert_eq!(deaths.skips().count(), 1);
    }

    #[test]
    fn damages_far_from_each_other_are_skipped_each_for_itself() {
        let mut deaths = Deaths::default();
        for minute in 0..60 {
            for _ in 0..3 {
                assert_ne!(deaths.died(&frame("TR_a", minute * 60 * S), minute * 60 * S), Verdict::GiveUp);
            }
        }
        assert_eq!(deaths.skips().filter(|skip| skip.from_ns == skip.to_ns).count(), 60);
    }

    #[test]
    fn kills_from_outside_do_not_end_what_gets_further() {
        let mut deaths = Deaths::default();
        for kill in 0..2_000u64 {
            let place = match kill % 3 {
                0 => Place::Read { at_ns: kill * 3 * S },
                1 => Place::Picture { number: kill, at_ns: kill * 3 * S },
                _ => frame("TR_a", kill * 3 * S).place,
            };
            assert!(matches!(deaths.died(&at(place), kill * 3 * S), Verdict::Again(_)));
        }
    }

    #[test]
    fn kills_from_outside_while_it_waits_for_a_call_that_goes_on_end_nothing() {
        let mut deaths = Deaths::default();
        for kill in 0..20u64 {
            let waiting = at(Place::Read { at_ns: kill * S / 25 });
            assert!(matches!(deaths.died(&waiting, kill * S / 25), Verdict::Again(_)), "{kill}");
        }
        // Who says itself that it cannot go on says so everywhere.
        let refusals = (0..4).map(|n| Death { how: How::Refused, ..at(Place::Read { at_ns: S + n }) });
        let verdicts: Vec<_> = refusals.map(|death| deaths.died(&death, S)).collect();
        assert_eq!(verdicts[3], Verdict::GiveUp, "{verdicts:?}");
    }

    #[test]
    fn what_gets_no_further_is_given_up_some_time() {
        let mut deaths = Deaths::default();
        let elsewhere = (0u64..).map(|kill| at(Place::Picture { number: kill, at_ns: kill * S }));
        let lived = elsewhere.take_while(|death| deaths.died(death, 5 * S) != Verdict::GiveUp).count();
        assert!((50..200).contains(&lived), "{lived}");
        let refusal = Death { how: How::Refused, ..frame("TR_a", S) };
        for place in [at(Place::Start), at(Place::Finish), refusal, at(Place::Repeat { number: 1, at_ns: S })]
        {
            let mut deaths = Deaths::default();
            let verdicts: Vec<_> = (0..4).map(|_| deaths.died(&place, 0)).collect();
            assert!(verdicts[..3].iter().all(|verdict| matches!(verdict, Verdict::Again(_))), "{verdicts:?}");
            assert_eq!(verdicts[3], Verdict::GiveUp);
        }
    }
}
