//! Players we did not write open a take's files, whole and cut. Skipped where ffmpeg is not installed.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reelroom_take::{
    CaptureConfig, Codec, EndReason, Packet, Take, TakeHeader, TakeRecorder, TrackId, export_track, recover,
    testing::rtp,
};

const MS: u64 = 1_000_000;

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(args).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap() + &errors)
}

/// Frames ffprobe decodes, codec, size.
fn probe(file: &Path) -> Option<(String, u64)> {
    let text = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=codec_name,width,height,nb_read_frames",
            "-of",
            "csv=p=0",
            file.to_str()?,
        ],
    )?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    let (stream, frames) = line.rsplit_once(',').unwrap_or_else(|| panic!("{text}"));
    Some((stream.to_owned(), frames.parse().unwrap()))
}

/// Encoded packets of a synthetic picture or tone, made by ffmpeg: IVF for VP8, Annex B for H.264, Ogg pages for Opus.
fn encode(dir: &Path, name: &str, args: &[&str]) -> Option<Vec<u8>> {
    let path = dir.join(name);
    let mut all = vec!["-v", "error", "-y"];
    all.extend(args);
    all.push(path.to_str()?);
    run("ffmpeg", &all)?;
    fs::read(path).ok()
}

fn record(dir: &Path, codec: Codec, packets: &[(u64, bool, Vec<u8>)], finish: bool) -> PathBuf {
    let handle = Take::create(dir, TakeHeader::new("EG_x", "room", "RM_x", 1)).unwrap();
    let mut recorder = TakeRecorder::new(handle.clone());
    let track = TrackId::from("TR_x");
    let config = CaptureConfig::new(codec);
    let rate = u64::from(config.clock_rate_hz);
    assert!(recorder.add_track(track.clone(), config));
    let mut now = 0;
    for (seq, (rtp, marker, payload)) in (0..).zip(packets) {
        now = rtp * 1_000_000_000 / rate;
        let _ = recorder.packet(
            now,
            &track,
            &Packet { ssrc: 7, seq, rtp: 5_000 + rtp, marker: *marker, payload },
        );
    }
    if finish {
        recorder.finish(now + 100 * MS, EndReason::Stopped).unwrap();
    }
    dir.join("TR_x-0.mkv")
}

fn ivf_frames(ivf: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut frames) = (&ivf[32..], Vec::new());
    while rest.len() > 12 {
        let len = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        frames.push(&rest[12..12 + len]);
        rest = &rest[12 + len..];
    }
    frames
}

/// Payloads of frames that follow each other 3000 ticks apart, with their RTP time and marker.
fn packets(frames: impl IntoIterator<Item = Vec<Vec<u8>>>) -> Vec<(u64, bool, Vec<u8>)> {
    let mut packets = Vec::new();
    for (number, payloads) in (0..).zip(frames) {
        let last = payloads.len() - 1;
        packets.extend(payloads.into_iter().enumerate().map(|(i, data)| (number * 3_000, i == last, data)));
    }
    packets
}

fn ivf_packets(codec: Codec, ivf: &[u8]) -> Vec<(u64, bool, Vec<u8>)> {
    packets(ivf_frames(ivf).into_iter().map(|frame| rtp::payloads(codec, frame)))
}

fn h264_packets(annex_b: &[u8]) -> Vec<(u64, bool, Vec<u8>)> {
    let mut starts: Vec<_> = (0..annex_b.len() - 3).filter(|i| annex_b[*i..*i + 3] == [0, 0, 1]).collect();
    starts.push(annex_b.len());
    let (mut frames, mut units) = (Vec::new(), Vec::new());
    for pair in starts.windows(2) {
        let mut unit = &annex_b[pair[0] + 3..pair[1]];
        if pair[1] != annex_b.len() {
            unit = unit.strip_suffix(&[0]).unwrap_or(unit);
        }
        units.push(unit);
        // One slice per picture: a slice ends its access unit.
        if matches!(unit[0] & 0x1f, 1 | 5) {
            frames.push(rtp::h264(&std::mem::take(&mut units)));
        }
    }
    packets(frames)
}

fn opus_packets(ogg: &[u8]) -> Vec<(u64, bool, Vec<u8>)> {
    let (mut rest, mut packets, mut open) = (ogg, Vec::new(), Vec::new());
    while rest.len() > 27 {
        let segments = rest[26] as usize;
        let (mut at, table) = (27 + segments, &rest[27..27 + segments]);
        for &len in table {
            open.extend_from_slice(&rest[at..at + len as usize]);
            at += len as usize;
            if len < 255 {
                packets.push(std::mem::take(&mut open));
            }
        }
        rest = &rest[at..];
    }
    (0..).zip(packets.into_iter().skip(2)).map(|(n, packet)| (n * 960, true, packet)).collect()
}

const PICTURE: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30:duration=3"];

fn opens_everywhere(codec: Codec, stream: &str, packets: &[(u64, bool, Vec<u8>)]) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let file = record(&dir, codec, packets, true);
    let Some((found, frames)) = probe(&file) else { return };
    let sent = packets.iter().filter(|(_, marker, _)| *marker).count() as u64;
    assert_eq!(found, stream);
    assert!(frames == sent || codec == Codec::Opus && frames + 1 >= sent, "{frames} of {sent}");
    // The decoder is content, too.
    let said = run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]).unwrap();
    assert_eq!(said, "");

    // Cut anywhere, it opens and plays as far as it goes.
    let bytes = fs::read(&file).unwrap();
    for part in [3, 5, 8] {
        let cut = root.path().join(format!("cut-{part}.mkv"));
        fs::write(&cut, &bytes[..bytes.len() * part / 9]).unwrap();
        let (found, frames) = probe(&cut).unwrap();
        assert_eq!(found, stream);
        assert!(frames > 0 && frames < sent, "{frames} of {sent}");
    }

    // Without an end, recovered, exported: the same again.
    let open = root.path().join("open");
    record(&open, codec, packets, false);
    // The writer notices that nobody holds it any more, writes what it has, and goes.
    std::thread::sleep(std::time::Duration::from_millis(500));
    recover(&open).unwrap();
    let out = root.path().join("out.mkv");
    assert_eq!(export_track(&open, &"TR_x".into(), &out).unwrap(), std::slice::from_ref(&out));
    assert!(probe(&out).unwrap().1 + 2 >= frames);
}

#[test]
fn vp8_opens_in_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        [&PICTURE[..], &["-c:v", "libvpx", "-b:v", "500k", "-deadline", "realtime", "-auto-alt-ref", "0"]]
            .concat();
    if let Some(ivf) = encode(dir.path(), "x.ivf", &args) {
        opens_everywhere(Codec::Vp8, "vp8,160,120", &ivf_packets(Codec::Vp8, &ivf));
    }
}

#[test]
fn vp9_opens_in_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let vp9 = ["-c:v", "libvpx-vp9", "-b:v", "500k", "-deadline", "realtime", "-cpu-used", "8"];
    let args = [&PICTURE[..], &vp9, &["-auto-alt-ref", "0", "-lag-in-frames", "0"]].concat();
    if let Some(ivf) = encode(dir.path(), "x.ivf", &args) {
        opens_everywhere(Codec::Vp9, "vp9,160,120", &ivf_packets(Codec::Vp9, &ivf));
    }
}

#[test]
fn av1_opens_in_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let aom =
        ["-c:v", "libaom-av1", "-b:v", "300k", "-usage", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p"];
    if let Some(ivf) = encode(dir.path(), "x.ivf", &[&PICTURE[..], &aom].concat()) {
        opens_everywhere(Codec::Av1, "av1,160,120", &ivf_packets(Codec::Av1, &ivf));
    }
}

#[test]
fn h264_opens_in_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let x264 = [
        "-c:v",
        "libx264",
        "-profile:v",
        "baseline",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "30",
        "-x264-params",
        "slices=1:threads=1",
    ];
    if let Some(annex_b) = encode(dir.path(), "x.h264", &[&PICTURE[..], &x264].concat()) {
        opens_everywhere(Codec::H264, "h264,160,120", &h264_packets(&annex_b));
    }
}

#[test]
fn opus_opens_in_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["-f", "lavfi", "-i", "sine=frequency=440:duration=3", "-c:a", "libopus", "-b:a", "32k", "-ac", "2"];
    if let Some(ogg) = encode(dir.path(), "x.ogg", &args) {
        opens_everywhere(Codec::Opus, "opus", &opus_packets(&ogg));
    }
}
