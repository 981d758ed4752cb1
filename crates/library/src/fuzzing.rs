//! What the fuzzers run, and what `tests/corpus.rs` replays: each takes any bytes, and panics when a promise of this crate is
//! broken.

use bytes::Bytes;

use crate::mp4;
use crate::range::{self, Open, Requested};
use crate::recording::Recording;
use crate::sidecar::{self, Sidecar};

/// Its name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its corpus.
pub const TARGETS: [Target; 3] = [("sidecar", sidecar), ("mp4", mp4), ("range", range)];

/// Whatever stands beside an MP4, and its name.
fn sidecar(bytes: &[u8]) {
    let mut recording = Recording::named("a.mp4");
    if let Some(sidecar) = Sidecar::parse(bytes) {
        let again = Sidecar::parse(&sidecar.to_json()).expect("what we write we read");
        let (first, second) = (sidecar.to_recording("a.mp4"), again.to_recording("a.mp4"));
        assert_eq!(first, second, "what was written says the same");
        sidecar.describe(&mut recording);
    }
    let _ = sidecar::describe_advanced(bytes, &mut recording);
    if let Ok(name) = std::str::from_utf8(bytes) {
        let mut recording = Recording::named(name);
        sidecar::describe_by_name(&mut recording);
        let _ = (sidecar::is_manifest(name), sidecar::recording_of(name));
        if sidecar::is_recording(name) {
            let _ = sidecar::advanced(name);
            assert_eq!(sidecar::recording_of(&sidecar::own(name)), Some(name));
        }
    }
}

/// An MP4's length.
fn mp4(bytes: &[u8]) {
    let file = Bytes::copy_from_slice(bytes);
    let read = |range: std::ops::Range<u64>| {
        let part = file.slice(range.start as usize..range.end as usize);
        async move { Ok(part) }
    };
    let length = futures::executor::block_on(mp4::duration_ms(bytes.len() as u64, read));
    length.expect("nothing is read beyond the end");
}

/// A size, a portion, and a player's wish.
fn range(bytes: &[u8]) {
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((portion, wish)) = rest.split_first_chunk::<8>() else { return };
    let (size, portion) = (u64::from_le_bytes(*size), u64::from_le_bytes(*portion).max(1));
    for open in [Open::Portion(portion), Open::Rest] {
        if let Requested::Part(part) = range::parse(std::str::from_utf8(wish).ok(), size, open) {
            assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
        }
    }
}
