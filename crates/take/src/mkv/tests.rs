#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::format::Codec;

fn spec(codec: Codec) -> MkvSpec {
    let clock_rate_hz = if codec == Codec::Opus { 48_000 } else { 90_000 };
    MkvSpec { codec, clock_rate_hz, width: 64, height: 48, codec_private: vec![] }
}

type Owned = (u64, u64, bool, Vec<u8>);

fn read_all(bytes: &[u8]) -> (Vec<Owned>, usize, Option<MkvError>) {
    let (mut parser, mut position, mut frames) = (MkvParser::new(), 0, Vec::new());
    loop {
        match parser.step(&bytes[position..]) {
            Ok(Step::Need(_)) => return (frames, position, None),
            Ok(Step::Skip(n)) => position += n,
            Ok(Step::Block(n, b)) => {
                frames.push((b.tick, b.at_ns, b.keyframe, b.data.to_vec()));
                position += n;
            }
            Err(error) => return (frames, position, Some(error)),
        }
    }
}

#[test]
fn crc_is_the_ieee_one() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn times_may_go_back_and_clusters_hardly_do() {
    let mut out = Vec::new();
    let mut writer = MkvWriter::begin(&spec(Codec::H264), &mut out);
    // Five pictures a second, two of which decode after the third.
    let ticks: Vec<u64> = (0..20u64)
        .flat_map(|group| {
            [group * 54_000, (group * 54_000).saturating_sub(36_000), (group * 54_000).saturating_sub(18_000)]
        })
        .collect();
    for (at_ns, tick) in (0..).zip(&ticks) {
        writer.frame(&mut out, *tick, at_ns, false, b"x").unwrap();
    }
    let read: Vec<_> = read_all(&out).0.iter().map(|frame| frame.0).collect();
    assert_eq!(read, ticks);
    let len = out.len();
    assert_eq!(writer.frame(&mut out, 1 << 49, 0, true, b"x"), Err(OutOfRange));
    assert_eq!(out.len(), len);
}

#[test]
fn a_torn_frame_is_noticed() {
    let mut out = Vec::new();
    let mut writer = MkvWriter::begin(&spec(Codec::Vp8), &mut out);
    writer.frame(&mut out, 0, 1, true, &[7; 50]).unwrap();
    let last = out.len() - 1;
    out[last] = 0;
    assert_eq!(read_all(&out).2, Some(MkvError::BadChecksum));
    assert_eq!(read_all(&[0; 100]).2, Some(MkvError::BadElement));
}

proptest! {
    #[test]
    fn what_is_written_is_read_at_any_cut(
        frames in prop::collection::vec((0i64..60_000, -20_000..20_000i64, any::<u64>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..20),
        cut in 0.0..1.0f64,
    ) {
        let mut out = Vec::new();
        let mut writer = MkvWriter::begin(&spec(Codec::Vp8), &mut out);
        let mut time = 0i64;
        let (mut expected, mut ends) = (Vec::new(), Vec::new());
        for (step, aside, at, keyframe, data) in frames {
            time += step;
            let tick = (time + aside).max(0).unsigned_abs();
            writer.frame(&mut out, tick, at, keyframe, &data).unwrap();
            expected.push((tick, at, keyframe, data));
            ends.push(out.len());
        }
        let (read, position, error) = read_all(&out);
        prop_assert_eq!((&read, position, error), (&expected, out.len(), None));
        let cut = (out.len() as f64 * cut) as usize;
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (read, _, error) = read_all(&out[..cut]);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&read[..], &expected[..whole]);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }
}
