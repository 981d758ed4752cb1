//! The writer's own rules; that files play is checked with real media in `tests/`.
#![allow(clippy::unwrap_used)]
use super::*;

fn movie() -> MovieSpec {
    MovieSpec {
        video: Some(VideoSpec {
            width: 640,
            height: 360,
            frames_per_second: 30,
            avcc: vec![1, 66, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 31, 1, 0, 2, 0x68, 0xce],
            bitrate_bps: 1000,
        }),
        audio: Some(AudioSpec {
            sample_rate_hz: 48_000,
            channels: 2,
            samples_per_frame: 1024,
            priming_samples: 1024,
            config: vec![0x11, 0x90],
            bitrate_bps: 1000,
        }),
    }
}

fn write(path: &Path, seconds: u64, reserve: u64) -> u64 {
    let mut writer = Mp4Writer::create(path, movie(), reserve).unwrap();
    for frame in 0..seconds * 30 {
        writer.push_video(&frame.to_be_bytes(), frame % 60 == 0).unwrap();
        while writer.audio.sizes.len() + writer.pending_audio.sizes.len() < (frame as usize * 1600) / 1024 + 2
        {
            writer.push_audio(b"sound").unwrap();
        }
    }
    writer.finish(seconds * 1_000_000_000).unwrap()
}

/// Types and sizes of the top boxes; fails unless they fill the file exactly.
fn top(bytes: &[u8]) -> Vec<(String, u64)> {
    let (mut at, mut boxes) = (0u64, Vec::new());
    while at < bytes.len() as u64 {
        let rest = &bytes[at as usize..];
        let mut size = u64::from(u32::from_be_bytes(rest[..4].try_into().unwrap()));
        if size == 1 {
            size = u64::from_be_bytes(rest[8..16].try_into().unwrap());
        }
        assert!(size >= 8, "box of size {size} at {at}");
        boxes.push((String::from_utf8(rest[4..8].to_vec()).unwrap(), size));
        at += size;
    }
    assert_eq!(at, bytes.len() as u64);
    boxes
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    top(bytes).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn a_finished_file_has_its_index_in_front_and_one_media_box() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let size = write(&path, 3, INDEX_RESERVE_BYTES);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(kinds(&bytes), ["ftyp", "moov", "free", "mdat"]);
}

#[test]
fn an_index_too_large_for_the_reserve_goes_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let size = write(&path, 3, 64);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(kinds(&bytes), ["ftyp", "free", "mdat", "moov"]);
}

#[test]
fn a_growing_file_is_whole_fragments_and_never_patched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let mut writer = Mp4Writer::create(&path, movie(), 4096).unwrap();
    let mut before = Vec::new();
    for frame in 0..95u64 {
        writer.push_video(&frame.to_be_bytes(), frame == 0).unwrap();
        writer.push_audio(b"sound").unwrap();
        writer.push_audio(b"sound").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(&before));
        top(&bytes);
        before = bytes;
    }
    let wanted = ["ftyp", "free", "moov", "moof", "mdat", "moof", "mdat", "moof", "mdat"];
    assert_eq!(kinds(&before), wanted);
    assert_eq!(writer.written_ns(), 3_000_000_000);
}

#[test]
fn chunk_offsets_lead_to_the_samples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    write(&path, 2, 4096);
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|window| window == b"stco").unwrap();
    let first = u32::from_be_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize;
    assert_eq!(&bytes[first..first + 16], [0u64.to_be_bytes(), 1u64.to_be_bytes()].concat());
}

#[test]
fn equal_samples_give_equal_files() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.mp4"), dir.path().join("b.mp4"));
    write(&a, 2, 4096);
    write(&b, 2, 4096);
    assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
}
