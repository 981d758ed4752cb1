//! What is seen and heard in the file: which colour is where and when, which tone is heard, and whether both turn at one moment.

use std::path::Path;

use bytes::Bytes;
use gstreamer as gst;
use reelroom_composer::filter::{Caught, Filter};
use reelroom_composer::sprite::Colour;
use reelroom_composer::video::{Picture, Showing, Shown, VideoDecoder};
use reelroom_take::{Codec, SegmentId, SegmentOpened, TrackId};

use super::film::{
    BLUE, FILM, GREEN, Hue, LEFT, LEFT_HZ, RED, RIGHT, RIGHT_HZ, SAMPLES_PER_S, SECONDS, SILENT_HZ, TURN_MS,
    loudness,
};
use super::mp4::Film;
use crate::checks::recording::Seen;

/// Of the file.
const FRAMES_PER_SECOND: u64 = 30;
/// At these moments pictures and sound are looked at, milliseconds, with what the left one shows and whether it is heard.
const MOMENTS: [(u64, Hue, bool); 4] =
    [(500, RED, false), (2_500, RED, false), (3_500, GREEN, true), (5_500, GREEN, true)];
/// Steps of brightness and colour that coding may cost.
const NEAR: u8 = 24;
/// Loudness of a tone that is there, and of one that is not.
const LOUD: f32 = 0.1;
const QUIET: f32 = 0.05;
const HEARD_MS: u64 = 100;
/// A tone is looked for in windows of this length, at steps of that.
const WINDOW_MS: u64 = 20;
const STEP_MS: u64 = 2;

/// Looks.
pub(super) fn file(path: &Path) -> Result<Seen, String> {
    gst::init().map_err(|error| error.to_string())?;
    let film = Film::read(path)?;
    let mut wrong = Vec::new();
    if (film.seconds - SECONDS as f64).abs() > 0.1 {
        wrong.push(format!("it is {:.2} s long and not {SECONDS}", film.seconds));
    }
    let turned_ms = look(&film, &mut wrong)?;
    let heard_ms = listen(&film, &mut wrong)?;
    let sound_later_ms = turned_ms.zip(heard_ms).map(|(turned, heard)| heard - turned);
    Ok(Seen { seconds: film.seconds, wrong, sound_later_ms })
}

/// Gives back when the left one turns green.
fn look(film: &Film, wrong: &mut Vec<String>) -> Result<Option<i64>, String> {
    let segment = SegmentOpened {
        segment: SegmentId(0),
        track: TrackId::from("film"),
        file: String::new(),
        codec: Codec::H264,
        clock_rate_hz: 90_000,
        first_rtp: 0,
        first_at_ns: 0,
        width: 0,
        height: 0,
        codec_private: film.avcc.clone(),
    };
    let decoder = VideoDecoder::new(&segment).map_err(|error| error.to_string())?;
    let mut decoder = decoder.ok_or("there is no decoder of H.264")?;
    let mut eyes = Eyes { pictures: 0, turned: None, wrong };
    for (number, data) in (0u64..).zip(&film.pictures) {
        let showing = Showing {
            rtp: number * 90_000 / FRAMES_PER_SECOND,
            at_ns: number * 1_000_000_000 / FRAMES_PER_SECOND,
            degrees: 0,
        };
        // Whether it is one only matters for the first, which has to be.
        for shown in decoder.decode(Bytes::from(data.clone()), number == 0, showing) {
            eyes.see(&shown);
        }
    }
    let (rest, damage) = decoder.finish();
    rest.iter().for_each(|shown| eyes.see(shown));
    let Eyes { pictures, turned, wrong } = eyes;
    let expected = SECONDS * FRAMES_PER_SECOND;
    if pictures != expected || damage.broken() > 0 {
        wrong.push(format!(
            "it has {pictures} pictures that can be seen, {} that cannot, and not {expected}",
            damage.broken()
        ));
    }
    Ok(turned.map(|number| (number * 1000 / FRAMES_PER_SECOND).cast_signed()))
}

struct Eyes<'a> {
    pictures: u64,
    turned: Option<u64>,
    wrong: &'a mut Vec<String>,
}

impl Eyes<'_> {
    fn see(&mut self, shown: &Shown) {
        let number = self.pictures;
        self.pictures += 1;
        let size = shown.picture.size();
        if [size.width as usize, size.height as usize] != FILM {
            if number == 0 {
                self.wrong.push(format!("its pictures are {}x{}", size.width, size.height));
            }
            return;
        }
        let left = yuv(&shown.picture, LEFT);
        // Before the first picture of the camera there is a placeholder, which is neither.
        if self.turned.is_none() && distance(left, GREEN) <= NEAR {
            self.turned = Some(number);
        }
        for (ms, hue, _) in MOMENTS.iter().filter(|(ms, ..)| ms * FRAMES_PER_SECOND / 1000 == number) {
            for (side, at, hue) in [("left", LEFT, *hue), ("right", RIGHT, BLUE)] {
                let found = yuv(&shown.picture, at);
                if distance(found, hue) > NEAR {
                    let name = hue.name;
                    self.wrong.push(format!(
                        "at {:.1} s the {side} one is {found:?} in Y, U, V and not {name}",
                        *ms as f64 / 1e3
                    ));
                }
            }
        }
    }
}

fn yuv(picture: &Picture, [x, y]: [usize; 2]) -> [u8; 3] {
    [0, 1, 2].map(|plane| {
        let shift = usize::from(plane > 0);
        let (data, stride) = picture.plane(plane);
        data.get((y >> shift) * stride + (x >> shift)).copied().unwrap_or_default()
    })
}

/// The largest of the differences in brightness and colour.
fn distance(found: [u8; 3], hue: Hue) -> u8 {
    let [red, green, blue] = hue.rgb;
    let wanted = Colour(red, green, blue).yuv();
    found.iter().zip(wanted).map(|(found, wanted)| found.abs_diff(wanted)).max().unwrap_or_default()
}

/// Gives back when the left one is heard.
fn listen(film: &Film, wrong: &mut Vec<String>) -> Result<Option<i64>, String> {
    let sound = decoded(film)?;
    let at = |ms: u64| usize::try_from(ms).unwrap_or(usize::MAX).saturating_mul(SAMPLES_PER_S / 1000);
    let heard = |ms: u64, length_ms: u64, hz: f32| {
        sound.get(at(ms)..at(ms + length_ms)).map_or(0.0, |samples| loudness(samples, hz))
    };
    for (ms, _, is_left_heard) in MOMENTS {
        for (hz, is_wanted) in [(LEFT_HZ, is_left_heard), (RIGHT_HZ, true), (SILENT_HZ, false)] {
            let found = heard(ms, HEARD_MS, hz);
            let is_right = if is_wanted { found > LOUD } else { found < QUIET };
            if !is_right {
                let should = if is_wanted { "should be heard" } else { "should not be heard" };
                wrong.push(format!(
                    "at {:.1} s a tone of {hz} Hz {should}, and its loudness is {found:.3}",
                    ms as f64 / 1e3
                ));
            }
        }
    }
    let all_ms = (sound.len() / (SAMPLES_PER_S / 1000)) as u64;
    let from_ms = TURN_MS.saturating_sub(1_000);
    let begins = (from_ms..all_ms.saturating_sub(WINDOW_MS))
        .step_by(STEP_MS as usize)
        .find(|ms| heard(*ms, WINDOW_MS, LEFT_HZ) > LOUD);
    // A quarter of the window is enough to be so loud.
    Ok(begins.map(|ms| (ms + WINDOW_MS * 3 / 4).cast_signed()))
}

/// The left channel, from where the file says that it begins.
fn decoded(film: &Film) -> Result<Vec<f32>, String> {
    let wanted = gst::Caps::builder("audio/x-raw").field("format", "F32LE").build();
    let mut decoder =
        Filter::new("avdec_aac", "gstreamer1.0-libav", wanted, |_| {}).map_err(|error| error.to_string())?;
    let caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4i32)
        .field("stream-format", "raw")
        .field("framed", true)
        .field("rate", SAMPLES_PER_S as i32)
        .field("channels", 2i32)
        .field("codec_data", gst::Buffer::from_slice(film.aac.clone()))
        .build();
    let mut sound = Vec::new();
    for (number, frame) in (0u64..).zip(&film.sounds) {
        let mut buffer = gst::Buffer::from_slice(frame.clone());
        let time =
            |number: u64| gst::ClockTime::from_nseconds(number * 1024 * 1_000_000_000 / SAMPLES_PER_S as u64);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            buffer.set_pts(time(number));
            buffer.set_duration(time(number + 1) - time(number));
        }
        let caught = decoder.push(buffer, &caps).map_err(|refused| refused.to_string())?;
        caught.iter().for_each(|caught| sound.extend(left(caught)));
    }
    decoder.finish().iter().for_each(|caught| sound.extend(left(caught)));
    Ok(sound.split_off(film.sound_begins_at.min(sound.len())))
}

/// The samples of the first channel.
fn left(caught: &Caught) -> Vec<f32> {
    let text = |name: &str| caught.caps.structure(0).and_then(|caps| caps.get::<String>(name).ok());
    let channels = caught.caps.structure(0).and_then(|caps| caps.get::<i32>("channels").ok()).unwrap_or(2);
    let channels = usize::try_from(channels).unwrap_or(2).max(1);
    let Ok(map) = caught.buffer.map_readable() else { return Vec::new() };
    let samples: Vec<f32> =
        map.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
    // Either all channels of a moment stand beside each other, or each channel stands for itself.
    match text("layout").as_deref() {
        Some("non-interleaved") => samples[..samples.len() / channels].to_vec(),
        _ => samples.into_iter().step_by(channels).collect(),
    }
}

#[cfg(test)]
mod tests {
    use reelroom_composer::{ComposeOptions, compose};

    use super::super::make;
    use super::*;

    #[test]
    fn what_is_made_and_composed_is_seen_and_heard_and_another_film_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (take, film) = (folder.path().join("take"), folder.path().join("film.mp4"));
        make::take(&take).unwrap();
        compose(&take, &film, &ComposeOptions::default(), &mut |_| {}).unwrap();
        let seen = file(&film).unwrap();
        assert_eq!(seen.wrong, Vec::<String>::new());
        assert!(seen.sound_later_ms.unwrap().abs() <= 60, "{seen:?}");

        // Sound alone: there is nothing to be seen.
        let options = ComposeOptions { audio_only: true, ..ComposeOptions::default() };
        compose(&take, &film, &options, &mut |_| {}).unwrap();
        let seen = file(&film).unwrap();
        assert!(seen.wrong.iter().any(|wrong| wrong.contains("0 pictures")), "{seen:?}");
        assert_eq!(seen.sound_later_ms, None);
        // A cut file has no index or not all that it names.
        let bytes = std::fs::read(&film).unwrap();
        std::fs::write(&film, &bytes[..bytes.len() / 2]).unwrap();
        assert!(file(&film).is_err());
    }
}
