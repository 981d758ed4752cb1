//! Puts a recording of so many minutes, whose writer died, in the place of a take: `crashed TAKE MINUTES`. The take's header stays, and
//! with it the job that it belongs to. Two people, VP8 640x360 and Opus, as `examples/stop.rs` records them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{fs, path::PathBuf, thread, time::Duration};

use bytes::Bytes;
use common::{Coded, MS, S, coded_pictures, packets, person_joins, tone};
use reelroom_take::{Codec, Frame, Take, TakeOptions, TakeReader};

const SIZE: [u32; 2] = [640, 360];
const MARK_NS: u64 = 200 * MS;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (take, minutes): (PathBuf, f64) = (arguments[0].clone().into(), arguments[1].parse().unwrap());
    let header = TakeReader::open(&take).unwrap().header().clone();
    fs::remove_dir_all(&take).unwrap();
    let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
    let handle = Take::create_with(&take, header, unbounded).unwrap();
    let mut tracks = Vec::new();
    for person in 0..2u64 {
        let segments = person_joins(&handle, person as usize, SIZE);
        let pictures = coded_pictures(Codec::Vp8, SIZE, 60, |number| moving(person, number));
        let sounds: Vec<Bytes> =
            packets(&tone(300.0 + 200.0 * person as f32, 2.0)).into_iter().map(Bytes::from).collect();
        tracks.push((segments, pictures, sounds));
    }
    let end_ns = (minutes * 60e9) as u64 / MARK_NS * MARK_NS;
    let mut from_ns = 0;
    while from_ns < end_ns {
        let to_ns = from_ns + MARK_NS;
        for ([seen, heard], pictures, sounds) in &tracks {
            for number in from_ns * 30 / S..to_ns * 30 / S {
                let Coded { data, keyframe, .. } = &pictures[(number % 60) as usize];
                let (rtp, at_ns, data) = (number * 3000, number * S / 30, Bytes::copy_from_slice(data));
                handle.frame(*seen, Frame { rtp, at_ns, keyframe: *keyframe, data });
            }
            for number in from_ns / (20 * MS)..to_ns / (20 * MS) {
                let data = sounds[(number % 100) as usize].clone();
                handle.frame(
                    *heard,
                    Frame { rtp: number * 960, at_ns: number * 20 * MS, keyframe: true, data },
                );
            }
        }
        handle.complete(to_ns, to_ns - 1);
        from_ns = to_ns;
        // A writer's queue holds what the disk has not taken yet.
        if from_ns.is_multiple_of(60 * S) {
            thread::sleep(Duration::from_millis(50));
        }
    }
    // All of it is written; its end is not: as if the writer had been killed.
    let mut reader = TakeReader::open(&take).unwrap();
    while reader.complete_to_ns() + 1 < end_ns {
        if reader.poll().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(50));
        }
    }
    println!("{}", end_ns as f64 / 1e9);
    std::process::exit(0);
}

/// Stripes that wander, with the grain of a camera, I420.
fn moving(person: u64, number: u64) -> Vec<u8> {
    let [width, height] = SIZE.map(u64::from);
    let mut noise = (number * 7 + person + 1) as u32;
    let mut picture: Vec<u8> = (0..width * height)
        .map(|i| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = ((i % width + number * 4) as f32 / 40.0).sin() + ((i / width) as f32 / 25.0).cos();
            (120.0 + 40.0 * wave) as u8 + (noise >> 29) as u8
        })
        .collect();
    picture.resize(picture.len() * 5 / 4, 100 + 20 * person as u8);
    picture.resize(SIZE[0] as usize * SIZE[1] as usize * 3 / 2, 140);
    picture
}
