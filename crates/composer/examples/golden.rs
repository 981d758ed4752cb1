//! Files to be played by players nobody here wrote: `cargo run --example golden DIR`.
//!
//! ```text
//!  DIR/film.mp4    12 seconds, 1280x720: on the left a grey that is brighter each second, on the right red; a tone
//!  DIR/killed.mp4  the same as its composer would leave it if it were killed after some seconds
//!  DIR/codecs/     a take of one second of each codec
//! ```
#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use common::{GREEN, RED, S, add_packets, add_pictures, coded_pictures, halves, packets, person, tone};
use reelroom_composer::{ComposeOptions, Follow, Progress, compose};
use reelroom_take::{Codec, TrackSource, testing::SyntheticTake};

const SECONDS: u64 = 12;
const SIZE: [u32; 2] = [640, 360];

fn main() {
    let dir = PathBuf::from(std::env::args_os().nth(1).expect("usage: golden DIR"));
    let take = dir.join("take");
    film().write(&take, SECONDS * S).unwrap();
    compose(&take, &dir.join("film.mp4"), &ComposeOptions::default(), &mut |_| {}).unwrap();
    killed(&dir, &take);
    fs::remove_dir_all(&take).unwrap();

    let mut codecs = SyntheticTake::new("Codecs");
    for (identity, codec) in
        [("vp8", Codec::Vp8), ("h264", Codec::H264), ("vp9", Codec::Vp9), ("av1", Codec::Av1)]
    {
        person(&mut codecs, [identity, identity], (GREEN, 440.0), 0, 1, codec);
    }
    codecs.write(&dir.join("codecs"), S + S / 5).unwrap();
}

fn film() -> SyntheticTake {
    let mut take = SyntheticTake::new("Film");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let microphone = take.publish(0, &ann, TrackSource::Microphone);
    let grey = |number: u64| [20 + 18 * (number / 30) as u8; 3];
    let pictures = coded_pictures(Codec::Vp8, SIZE, SECONDS * 30, |number| halves(SIZE, grey(number), RED));
    add_pictures(&mut take, &camera, Codec::Vp8, SIZE, 0, pictures);
    add_packets(&mut take, &microphone, 0, packets(&tone(440.0, SECONDS as f32)), |_| false);
    take
}

/// What a composer has written that waits for a take that never ends.
fn killed(dir: &Path, take: &Path) {
    let (endless, growing) = (dir.join("endless"), dir.join("growing.mp4"));
    fs::create_dir(&endless).unwrap();
    for entry in fs::read_dir(take).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), endless.join(entry.file_name())).unwrap();
    }
    let facts = fs::read_to_string(take.join("events.jsonl")).unwrap();
    let (open, _end) = facts.trim_end().rsplit_once('\n').unwrap();
    fs::write(endless.join("events.jsonl"), format!("{open}\n")).unwrap();
    let options = ComposeOptions { follow: Follow::Live, ..ComposeOptions::default() };
    let (rests, resting) = std::sync::mpsc::channel();
    thread::spawn({
        let (endless, growing) = (endless.clone(), growing.clone());
        let mut before = None;
        // It tells the same position again when it waits for more.
        let mut progress = move |progress: Progress| {
            if before.replace(progress.position_ns) == Some(progress.position_ns) {
                let _ = rests.send(());
            }
        };
        move || compose(&endless, &growing, &options, &mut progress)
    });
    resting.recv().unwrap();
    fs::rename(growing, dir.join("killed.mp4")).unwrap();
    fs::remove_dir_all(endless).unwrap();
}
