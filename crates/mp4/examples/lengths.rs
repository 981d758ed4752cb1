//! Where the index of files of several lengths stands, how much padding they have, and how long they take to finish:
//! `cargo run --release -p reelroom-mp4 --example lengths [FOLDER ...]`, by default the temporary folder.
//!
//! The samples are as long as those of a call in 720p, and hold nothing. A file of a day is 5 GB: the folder has to have room for it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use reelroom_mp4::{AudioSpec, MovieSpec, Mp4Writer, VideoSpec};

const LENGTHS: [(&str, u64); 6] =
    [("1 s", 1), ("15 s", 15), ("1 min", 60), ("1 h", 3600), ("24 h", 86_400), ("30 h", 108_000)];
/// A keyframe, another picture, an AAC frame: bytes.
static KEYFRAME: [u8; 40_000] = [1; 40_000];
const PICTURE: [u8; 1000] = [2; 1000];
const SOUND: [u8; 120] = [3; 120];

fn main() {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        folders.push(std::env::temp_dir());
    }
    println!(
        "folder                 length        file  index at  index    padding  of file  offsets  finished in"
    );
    for folder in folders {
        for (name, seconds) in LENGTHS {
            measure(&folder, name, seconds);
        }
    }
}

fn movie() -> MovieSpec {
    MovieSpec {
        video: Some(VideoSpec {
            width: 1280,
            height: 720,
            frames_per_second: 30,
            avcc: vec![1, 100, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 31, 1, 0, 2, 0x68, 0xce],
            bitrate_bps: 3_000_000,
        }),
        audio: Some(AudioSpec {
            sample_rate_hz: 48_000,
            channels: 2,
            samples_per_frame: 1024,
            priming_samples: 1024,
            config: vec![0x11, 0x90],
            bitrate_bps: 128_000,
        }),
    }
}

fn measure(folder: &Path, name: &str, seconds: u64) {
    let path = folder.join(format!("lengths-{}.mp4", std::process::id()));
    let mut writer = Mp4Writer::create(&path, movie()).unwrap();
    let mut sounds = 0;
    for picture in 0..seconds * 30 {
        let keyframe = picture % 60 == 0;
        writer.push_video(if keyframe { &KEYFRAME } else { &PICTURE }, keyframe).unwrap();
        while sounds < Mp4Writer::sounds_in(&movie().audio.unwrap(), picture / 30 + 1) {
            writer.push_audio(&SOUND).unwrap();
            sounds += 1;
        }
        // As a composer does every five seconds.
        if picture % 18_000 == 17_999 {
            writer.mark(writer.seconds()).unwrap();
        }
    }
    writer.mark(seconds).unwrap();
    let began = Instant::now();
    let size = writer.finish(seconds * 1_000_000_000).unwrap();
    let took = began.elapsed();
    let file = File::open(&path).unwrap();
    let boxes = boxes(&file, size);
    let bytes = |kind: &str| boxes.iter().filter(|(name, ..)| name == kind).map(|(.., len)| len).sum::<u64>();
    let index_at = boxes.iter().find(|(kind, ..)| kind == "moov").unwrap().1;
    let mut index = vec![0; bytes("moov") as usize];
    file.read_exact_at(&mut index, index_at).unwrap();
    let offsets = if index.windows(4).any(|kind| kind == b"co64") { "co64" } else { "stco" };
    let share = bytes("free") as f64 * 100.0 / size as f64;
    println!(
        "{:<22} {name:<6} {size:>12} {index_at:>9} {:>8} {:>8} {share:>6.2} % {offsets:>7} {:>8} ms",
        folder.display().to_string(),
        index.len(),
        bytes("free"),
        took.as_millis(),
    );
    std::fs::remove_file(path).unwrap();
}

/// Top boxes: kind, place, size.
fn boxes(file: &File, size: u64) -> Vec<(String, u64, u64)> {
    let (mut at, mut boxes) = (0, Vec::new());
    while at < size {
        let mut header = [0; 16];
        let there = (size - at).min(16) as usize;
        file.read_exact_at(&mut header[..there], at).unwrap();
        let len = match u32::from_be_bytes(header[..4].try_into().unwrap()) {
            1 => u64::from_be_bytes(header[8..].try_into().unwrap()),
            len => len.into(),
        };
        boxes.push((String::from_utf8_lossy(&header[4..8]).into_owned(), at, len));
        at += len;
    }
    boxes
}
