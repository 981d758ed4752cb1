//! A call in which everything happens, looked at in every layout and listened to: who is in which tile at which second, who is
//! heard when.
//!
//! ```text
//!  second  0       1       2       3       4       5       6       7       8
//!  Ann     red ─────────────────────────────────────────────────────────────
//!    440   ~~~~~~~~~~~~~~~~~~~~ muted ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
//!  Dan     neither camera nor microphone ──────────────────────────────────
//!  Bob             blue ── muted ─ blue ───────────────────
//!    1000          ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
//!  screen                                  white ──────
//!    1500                                  ~~~~~~~~~~~~
//!  Cat                             late─green|yellow ─ turned ──────────────
//!    700                           ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
//!  speaks  Ann ───────────────────────── Cat ───────────────────────────────
//! ```
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    BLUE, GREEN, MS, RED, S, View, YELLOW, add_packets, add_pictures, coded_pictures, halves, heard, packets,
    pictures, rewatched, sound, tone,
};
use reelroom_composer::{
    ComposeOptions, Layout, Preset, Size,
    layout::{Arrangement, TileShape, arrange},
    theme,
};
use reelroom_take::{Codec, ParticipantId, Speaker, TakeEvent, TrackId, TrackSource, testing::SyntheticTake};

const CAMERA: [u32; 2] = [160, 90];
const SCREEN: [u32; 2] = [192, 144];
const WHITE: [u8; 3] = [240, 240, 240];

/// The tones and when they are to be heard, milliseconds.
const TONES: [(f32, &[[u64; 2]]); 4] = [
    (440.0, &[[0, 2500], [3500, 8000]]),
    (1000.0, &[[1000, 6000]]),
    (1500.0, &[[4000, 5500]]),
    (700.0, &[[3000, 8000]]),
];

#[derive(Debug, Clone, Copy)]
enum Tile {
    Flat([u8; 3]),
    Nobody,
    /// Two colours, the first one on the left.
    Beside([u8; 3], [u8; 3]),
    /// The first one on top.
    Stacked([u8; 3], [u8; 3]),
}

/// A moment: the tiles in their order, who is looked at, the shared screen.
struct Moment {
    ms: u64,
    tiles: &'static [Tile],
    main: usize,
    screen: Option<usize>,
}

const MOMENTS: [Moment; 9] = {
    use Tile::{Beside, Flat, Nobody, Stacked};
    const ANN: Tile = Flat(RED);
    const BOB: Tile = Flat(BLUE);
    const CAT: Tile = Beside(GREEN, YELLOW);
    const TURNED: Tile = Stacked(GREEN, YELLOW);
    const fn moment(ms: u64, tiles: &'static [Tile], main: usize, screen: Option<usize>) -> Moment {
        Moment { ms, tiles, main, screen }
    }
    [
        moment(500, &[ANN, Nobody], 0, None),
        moment(1500, &[ANN, Nobody, BOB], 0, None),
        moment(2300, &[ANN, Nobody, Nobody], 0, None),
        moment(3300, &[ANN, Nobody, BOB, Nobody], 0, None),
        moment(3900, &[ANN, Nobody, BOB, CAT], 3, None),
        moment(4500, &[ANN, Nobody, Flat(WHITE), BOB, CAT], 2, Some(2)),
        moment(5300, &[ANN, Nobody, Flat(WHITE), BOB, TURNED], 2, Some(2)),
        moment(5700, &[ANN, Nobody, BOB, TURNED], 3, None),
        moment(6500, &[ANN, Nobody, TURNED], 2, None),
    ]
};

fn film(take: &mut SyntheticTake, track: &TrackId, codec: Codec, from_ms: u64, to_ms: u64, colour: [u8; 3]) {
    let size = if colour == WHITE { SCREEN } else { CAMERA };
    let clip = pictures(codec, size, (to_ms - from_ms) * 30 / 1000, |_| colour);
    add_pictures(take, track, codec, size, from_ms * MS, clip);
}

fn voice(take: &mut SyntheticTake, track: &TrackId, from_ms: u64, to_ms: u64, hz: f32) {
    let sound = packets(&tone(hz, (to_ms - from_ms) as f32 / 1000.0));
    add_packets(take, track, from_ms * MS, sound, |_| false);
}

fn speaks(take: &mut SyntheticTake, at_ms: u64, who: &ParticipantId) {
    let speakers = vec![Speaker { participant: who.clone(), level: 0.6 }];
    take.event(at_ms * MS, TakeEvent::Speakers { speakers });
}

fn golden() -> SyntheticTake {
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann");
    let ann_camera = take.publish(0, &ann, TrackSource::Camera);
    let ann_microphone = take.publish(0, &ann, TrackSource::Microphone);
    film(&mut take, &ann_camera, Codec::Vp8, 0, 8000, RED);
    // She goes on talking while she is muted.
    voice(&mut take, &ann_microphone, 0, 8000, 440.0);
    for (at_ms, muted) in [(2500, true), (3500, false)] {
        take.event(at_ms * MS, TakeEvent::TrackMuted { track: ann_microphone.clone(), muted });
    }
    take.join(0, "dan", "Dan");

    let bob = take.join(S, "bob", "Bob");
    let bob_camera = take.publish(S, &bob, TrackSource::Camera);
    let bob_microphone = take.publish(S, &bob, TrackSource::Microphone);
    film(&mut take, &bob_camera, Codec::H264, 1000, 2000, BLUE);
    film(&mut take, &bob_camera, Codec::H264, 3000, 6000, BLUE);
    voice(&mut take, &bob_microphone, 1000, 6000, 1000.0);
    for (at_ms, muted) in [(2000, true), (3000, false)] {
        take.event(at_ms * MS, TakeEvent::TrackMuted { track: bob_camera.clone(), muted });
    }
    let screen = take.publish(4 * S, &bob, TrackSource::ScreenShare);
    let screen_sound = take.publish(4 * S, &bob, TrackSource::ScreenShareAudio);
    film(&mut take, &screen, Codec::Vp9, 4000, 5500, WHITE);
    voice(&mut take, &screen_sound, 4000, 5500, 1500.0);
    for track in [screen, screen_sound] {
        take.event(5500 * MS, TakeEvent::TrackUnpublished { track });
    }
    take.event(6 * S, TakeEvent::ParticipantLeft { participant: bob });

    let cat = take.join(3 * S, "cat", "Cat");
    let cat_camera = take.publish(3 * S, &cat, TrackSource::Camera);
    let cat_microphone = take.publish(3 * S, &cat, TrackSource::Microphone);
    let clip = coded_pictures(Codec::Vp8, CAMERA, 132, |_| halves(CAMERA, GREEN, YELLOW));
    add_pictures(&mut take, &cat_camera, Codec::Vp8, CAMERA, 3600 * MS, clip);
    take.event(5030 * MS, TakeEvent::Orientation { track: cat_camera, degrees: 90 });
    voice(&mut take, &cat_microphone, 3000, 8000, 700.0);

    speaks(&mut take, 200, &ann);
    speaks(&mut take, 3200, &cat);
    take
}

impl Moment {
    /// Looks whether everybody is where they belong.
    fn assert_seen(&self, view: &View, size: Size, layout: Layout) {
        let of_main = layout.arrangement != Arrangement::Grid;
        let mut tiles: Vec<(Tile, bool)> = self
            .tiles
            .iter()
            .enumerate()
            .map(|(number, tile)| {
                (*tile, if of_main { number == self.main } else { Some(number) == self.screen })
            })
            .collect();
        if layout.arrangement == Arrangement::SingleSpeaker {
            tiles.retain(|(_, large)| *large);
        }
        let shapes: Vec<TileShape> = tiles.iter().map(|(_, large)| TileShape { large: *large }).collect();
        for ((tile, _), rect) in tiles.iter().zip(arrange(size, &shapes)) {
            let [x, y, width, height] = [rect.x, rect.y, rect.width, rect.height].map(|side| side as usize);
            let (middle, step) = ([x + width / 2, y + height / 2], width.min(height) / 8);
            let left = [middle[0] - step, middle[1]];
            let right = [middle[0] + step, middle[1]];
            let (above, below) = ([middle[0], middle[1] - step], [middle[0], middle[1] + step]);
            match *tile {
                Tile::Flat(colour) => {
                    for at in [middle, left, right, above, below] {
                        view.assert_colour(at, colour);
                    }
                }
                Tile::Nobody => {
                    let theme::Palette { placeholder, .. } = theme::palette(layout.tone);
                    let wanted = [placeholder.0, placeholder.1, placeholder.2];
                    view.assert_colour([x + width / 8, y + height / 8], wanted);
                    view.assert_colour([x + width * 7 / 8, y + height / 8], wanted);
                }
                Tile::Beside(first, second) => {
                    for at in [left, [left[0], above[1]], [left[0], below[1]]] {
                        view.assert_colour(at, first);
                    }
                    view.assert_colour(right, second);
                }
                Tile::Stacked(first, second) => {
                    for at in [above, [left[0], above[1]], [right[0], above[1]]] {
                        view.assert_colour(at, first);
                    }
                    view.assert_colour(below, second);
                }
            }
        }
        assert_eq!(view.yuv([1, 1])[0] > 200, layout.tone == reelroom_composer::layout::Tone::Light);
    }
}

fn assert_heard(sound: &[f32]) {
    for ms in (50..7800).step_by(150) {
        for (hz, times) in TONES {
            let apart = |time: u64| time.abs_diff(ms).min(time.abs_diff(ms + 100)) >= 60;
            // Close to a change it may be either.
            if !times.iter().flatten().all(|time| apart(*time) && !(ms..ms + 100).contains(time)) {
                continue;
            }
            let wanted = times.iter().any(|[from, to]| (*from..*to).contains(&ms));
            let level = heard(sound, ms as usize, hz);
            assert!(if wanted { level > 0.1 } else { level < 0.02 }, "{hz} Hz at {ms} ms: {level}");
        }
    }
}

#[test]
fn everybody_is_in_their_place_at_every_moment_of_every_layout() {
    let dir = tempfile::tempdir().unwrap();
    golden().write(&dir.path().join("take"), 8 * S).unwrap();
    let asked = MOMENTS.each_ref().map(|moment| moment.ms);
    let (wide, upright) = (Size { width: 640, height: 360 }, Size { width: 360, height: 640 });
    let layouts = ["grid", "speaker", "single-speaker"];
    let all = layouts
        .iter()
        .flat_map(|layout| [(wide, (*layout).to_owned()), (upright, (*layout).to_owned())])
        .chain(layouts.iter().map(|layout| (wide, format!("{layout}-light"))));
    let mut sounds = Vec::new();
    for (size, name) in all {
        let preset = Preset { size, frames_per_second: 10, ..Preset::default() };
        let layout = Layout::parse(&name);
        let options = ComposeOptions { layout: Some(layout), preset, ..ComposeOptions::default() };
        let (eyes, composed) = rewatched(dir.path(), &options, &asked);
        for moment in &MOMENTS {
            let seen = std::panic::AssertUnwindSafe(|| moment.assert_seen(eyes.saw(moment.ms), size, layout));
            assert!(std::panic::catch_unwind(seen).is_ok(), "{name}, {size:?}, {} ms", moment.ms);
        }
        sounds.push(composed.sound_hash);
    }
    // Layouts are for the eye.
    assert!(sounds.iter().all(|hash| *hash == sounds[0]));
    assert_heard(&sound(&dir.path().join("out.mp4")));
}
