//! A writer killed at any moment costs at most a second.
//!
//! The child is this test program itself, told by an environment variable to write a take and to print, for every frame it has
//! handed over, when. It is killed for real, after waits drawn from a fixed seed.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reelroom_take::{
    CaptureConfig, Codec, Packet, Take, TakeHeader, TakeItem, TakeReader, TakeRecorder, TrackId, recover,
};

const CHILD: &str = "REELROOM_TAKE_KILL_CHILD";
const SEED: u64 = 0x5EED_0001;
const ROUNDS: u32 = 8;
const ALLOWED_LOSS_NS: u64 = 1_000_000_000;

/// An Opus packet of 10 ms as far as its first byte says.
fn payload(number: u64) -> [u8; 700] {
    let mut payload = [number as u8; 700];
    payload[0] = 0xf0;
    payload
}

fn write_forever(dir: &Path) {
    let handle = Take::create(dir, TakeHeader::new("EG_kill", "room", "RM_kill", 0)).unwrap();
    let mut recorder = TakeRecorder::new(handle);
    let tracks: Vec<TrackId> = (0..4).map(|n| TrackId::from(format!("TR_{n}"))).collect();
    for track in &tracks {
        assert!(recorder.add_track(track.clone(), CaptureConfig::new(Codec::Opus)));
    }
    let start = Instant::now();
    let mut out = std::io::stdout();
    for n in 0..3_000u64 {
        let now_ns = start.elapsed().as_nanos() as u64;
        for (ssrc, track) in (0..).zip(&tracks) {
            let payload = payload(n);
            let _ = recorder.packet(
                now_ns,
                track,
                &Packet { ssrc, seq: n, rtp: n * 480, marker: false, payload: &payload },
            );
        }
        writeln!(out, "handed {now_ns}").unwrap();
        out.flush().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_writer_loses_at_most_a_second() {
    if let Some(dir) = std::env::var_os(CHILD) {
        write_forever(Path::new(&dir));
        return;
    }
    let mut random = SEED;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = Duration::from_millis(150 + (random >> 33) % 1_200);
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("take");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_loses_at_most_a_second", "--nocapture"])
            .env(CHILD, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let handed = std::thread::spawn(move || {
            let times = stdout
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("handed ")?.parse().ok());
            times.max().unwrap_or(0u64)
        });
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        let handed_ns = handed.join().unwrap();

        let found = match recover(&dir) {
            Ok(found) => found,
            Err(error) => {
                assert_eq!(handed_ns, 0, "round {round}: {error}");
                continue;
            }
        };
        assert!(!found.was_ended);
        let mut reader = TakeReader::open(&dir).unwrap();
        let (mut newest_ns, mut counts) = (0, [0u64; 4]);
        while reader.ended().is_none() {
            for item in reader.poll().unwrap() {
                if let TakeItem::Frame(frame) = item {
                    let count = &mut counts[frame.segment.0 as usize];
                    assert_eq!(
                        (frame.rtp, &frame.data[..]),
                        (*count * 480, &payload(*count)[..]),
                        "round {round}"
                    );
                    *count += 1;
                    newest_ns = newest_ns.max(frame.at_ns);
                }
            }
        }
        let lost_ns = handed_ns.saturating_sub(newest_ns);
        println!(
            "round {round}: killed after {wait:?}, lost {} ms, cut {} bytes",
            lost_ns / 1_000_000,
            found.cut_bytes
        );
        assert!(lost_ns <= ALLOWED_LOSS_NS, "round {round}: lost {lost_ns} ns");
    }
}
