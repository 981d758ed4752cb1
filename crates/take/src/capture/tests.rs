#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

struct Rtp {
    seq: u64,
    rtp: u64,
    marker: bool,
    payload: Vec<u8>,
}

fn vp8_frame(number: u64, packets: usize) -> (Vec<Rtp>, Vec<u8>) {
    let keyframe = number == 0;
    let mut frame = vec![if keyframe { 0x10 } else { 0x11 }, 0, 0];
    if keyframe {
        frame.extend_from_slice(&[0x9d, 0x01, 0x2a, 64, 0, 48, 0]);
    }
    frame.extend((0..packets * 10).map(|i| (i as u64 + number) as u8));
    let chunk = frame.len().div_ceil(packets);
    let chunks: Vec<_> = frame.chunks(chunk).collect();
    let rtp = chunks.iter().enumerate().map(|(i, part)| {
        let mut payload =
            vec![if i == 0 { 0x90 } else { 0x80 }, 0x80, 0x80 | (number >> 8) as u8, number as u8];
        payload.extend_from_slice(part);
        Rtp { seq: 0, rtp: 9_000 + number * 3_000, marker: i + 1 == chunks.len(), payload }
    });
    (rtp.collect(), frame)
}

fn vp8_stream(frames: u64, packets: usize) -> (Vec<Rtp>, Vec<Vec<u8>>) {
    let (mut stream, mut whole) = (Vec::new(), Vec::new());
    for number in 0..frames {
        let (rtp, frame) = vp8_frame(number, packets);
        stream.extend(rtp);
        whole.push(frame);
    }
    for (seq, packet) in (65_530..).zip(&mut stream) {
        packet.seq = seq;
    }
    (stream, whole)
}

fn give(capture: &mut Capture, now: u64, ssrc: u32, packet: &Rtp) -> Wish {
    let Rtp { seq, rtp, marker, ref payload } = *packet;
    capture.packet(now, &Packet { ssrc, seq, rtp, marker, payload })
}

fn outputs(capture: &mut Capture) -> Vec<Output> {
    std::iter::from_fn(|| capture.poll_output()).collect()
}

fn frames(outputs: &[Output]) -> Vec<&Frame> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Frame(frame) = output { Some(frame) } else { None })
        .collect()
}

/// Of an ended capture's packets it is known what became of each.
fn accounts_for_all(capture: &Capture) -> bool {
    let counts = capture.counts();
    counts.known() == counts.packets && !counts.dropped.contains_key(&DropReason::Other)
}

#[test]
fn every_packet_is_kept_or_dropped_for_a_reason() {
    let (stream, _) = vp8_stream(4, 3);
    let mut capture = capture(Codec::Vp8);
    for (i, packet) in stream.iter().enumerate().filter(|(i, _)| *i != 4) {
        let _ = give(&mut capture, i as u64 * 10 * MS, 1, packet);
    }
    let _ = give(&mut capture, 120 * MS, 1, &stream[11]);
    capture.tick(1_000 * MS);
    let _ = give(&mut capture, 1_000 * MS, 1, &stream[4]);
    let padding = Rtp { seq: stream[11].seq + 1, rtp: 0, marker: false, payload: Vec::new() };
    let _ = give(&mut capture, 1_010 * MS, 1, &padding);
    capture.finish(2_000 * MS);
    let counts = capture.counts();
    assert_eq!((counts.packets, counts.kept), (14, 3), "the keyframe");
    let dropped = [
        (DropReason::Duplicate, 1),
        (DropReason::Straggler, 1),
        (DropReason::Padding, 1),
        // What is left of the second frame, and the two behind it.
        (DropReason::Incomplete, 2),
        (DropReason::BeforeKeyframe, 6),
    ];
    assert_eq!(counts.dropped, BTreeMap::from(dropped));
    assert!(accounts_for_all(&capture));
}

#[test]
fn a_frame_that_either_end_of_the_capture_cuts_is_no_loss() {
    let (stream, _) = vp8_stream(4, 6);
    let (keyframe, _) = vp8_frame(0, 6);
    let anew = |(i, packet): (usize, Rtp)| Rtp { seq: 65_554 + i as u64, rtp: 21_000, ..packet };
    let keyframe: Vec<_> = keyframe.into_iter().enumerate().map(anew).collect();
    // It begins within the third frame, and ends within the keyframe, which was asked for, or within a frame behind it.
    for last in 1..6 {
        let mut capture = capture(Codec::Vp8);
        for (i, packet) in stream[14..].iter().chain(&keyframe).enumerate() {
            let _ = give(&mut capture, i as u64 * 10 * MS, 1, packet);
        }
        let (rest, _) = vp8_frame(5, 6);
        for (i, packet) in rest.into_iter().take(last).enumerate() {
            let packet = Rtp { seq: 65_560 + i as u64, ..packet };
            let _ = give(&mut capture, 160 * MS, 1, &packet);
        }
        capture.finish(170 * MS);
        let counts = capture.counts();
        let dropped = [(DropReason::BeforeKeyframe, 10), (DropReason::AfterEnd, last as u64)];
        assert_eq!((counts.kept, &counts.dropped), (6, &BTreeMap::from(dropped)));
        assert!(accounts_for_all(&capture));
        assert!(!outputs(&mut capture).iter().any(|output| matches!(output, Output::Gap { .. })));
    }
    // What was lost is told as such: of the first keyframe of all, and of a frame that nothing comes behind.
    for lost in 1..5 {
        let mut capture = capture(Codec::Vp8);
        for (i, packet) in stream.iter().enumerate().take(12).filter(|(i, _)| *i != lost) {
            let _ = give(&mut capture, i as u64 * 10 * MS, 1, packet);
        }
        capture.tick(1_000 * MS);
        capture.finish(2_000 * MS);
        let counts = capture.counts();
        assert_eq!(counts.dropped.get(&DropReason::Incomplete), Some(&5), "{:?}", counts.dropped);
    }
    let mut capture = capture(Codec::Vp8);
    for (i, packet) in stream.iter().enumerate().take(8) {
        let _ = give(&mut capture, i as u64 * 10 * MS, 1, packet);
    }
    capture.tick(2_000 * MS);
    capture.finish(2_000 * MS);
    assert_eq!(capture.counts().dropped, BTreeMap::from([(DropReason::Incomplete, 2)]));
}

#[test]
fn a_sender_that_numbers_its_packets_anew_is_heard_at_once() {
    for (seq, rtp) in [(900, 960_000 + 300 * 960), (900, 4_000), (64_000, 960_000_000), (20, 0)] {
        let mut capture = capture(Codec::Opus);
        let sound = |seq, rtp| Rtp { seq, rtp, marker: false, payload: vec![0x78, 1, 2] };
        for number in 0..300 {
            let _ = give(&mut capture, number * 20 * MS, 1, &sound(1_000 + number, 960_000 + number * 960));
        }
        // Those that are late are still known as such.
        let _ = give(&mut capture, 6_000 * MS, 1, &sound(1_200, 960_000 + 200 * 960));
        let _ = give(&mut capture, 6_000 * MS, 1, &sound(1_201, 960_000 + 201 * 960));
        for number in 0..50 {
            let packet = sound(seq + number, rtp + number * 960);
            let _ = give(&mut capture, (6_000 + number * 20) * MS, 1, &packet);
        }
        capture.finish(8_000 * MS);
        let out = outputs(&mut capture);
        let kept = frames(&out).iter().filter(|frame| frame.at_ns >= 6_000 * MS).count();
        assert!(kept >= 49, "{seq}, {rtp}: {kept} of 50");
        assert!(accounts_for_all(&capture));
    }
}

fn capture(codec: Codec) -> Capture {
    Capture::new(CaptureConfig::new(codec)).unwrap()
}

#[test]
fn vp8_frames_come_out_whole_in_one_segment() {
    let (stream, whole) = vp8_stream(5, 3);
    let mut capture = capture(Codec::Vp8);
    for (i, packet) in stream.iter().enumerate() {
        let _ = give(&mut capture, i as u64 * 10 * MS, 1, packet);
    }
    capture.finish(1_000 * MS);
    let out = outputs(&mut capture);
    let Output::Segment(segment) = &out[0] else { panic!("{out:?}") };
    assert_eq!((segment.first_rtp, segment.width, segment.height), (9_000, 64, 48));
    let frames = frames(&out);
    assert_eq!(out.len(), 6);
    assert!(frames.iter().map(|f| &f.data[..]).eq(whole.iter().map(|f| &f[..])));
    assert!(frames.iter().map(|f| f.keyframe).eq([true, false, false, false, false]));
    assert!(frames.iter().map(|f| f.at_ns).eq([0, 30, 60, 90, 120].map(|ms| ms * MS)));
}

#[test]
fn a_lost_packet_is_a_gap_and_a_wish_until_the_next_keyframe() {
    let (mut stream, _) = vp8_stream(10, 2);
    let keyframe = vp8_frame(0, 2).0;
    for (late, key) in stream[14..16].iter_mut().zip(keyframe) {
        late.payload = key.payload;
    }
    let mut capture = capture(Codec::Vp8);
    let mut wishes = Vec::new();
    for (i, packet) in stream.iter().enumerate().filter(|(i, _)| *i != 5) {
        let now = i as u64 * 200 * MS;
        if give(&mut capture, now, 1, packet) == Wish::Keyframe {
            wishes.push(i);
        }
        capture.tick(now);
    }
    let out = outputs(&mut capture);
    let numbers: Vec<_> = frames(&out).iter().map(|frame| (frame.rtp - 9_000) / 3_000).collect();
    assert_eq!(numbers, [0, 1, 7, 8, 9]);
    assert!(out.contains(&Output::Gap { from_ns: 400 * MS, to_ns: 2_800 * MS, missing: 1 }), "{out:?}");
    assert!(
        wishes.len() >= 3 && wishes[0] == 0 && wishes.windows(2).all(|pair| pair[1] - pair[0] >= 2),
        "{wishes:?}"
    );
}

#[test]
fn a_retransmission_within_the_hold_closes_the_hole() {
    let (stream, whole) = vp8_stream(6, 2);
    let mut capture = capture(Codec::Vp8);
    for (i, packet) in stream.iter().enumerate().filter(|(i, _)| *i != 5) {
        let _ = give(&mut capture, 50 * MS + i as u64 * 20 * MS, 1, packet);
    }
    capture.tick(500 * MS);
    assert!(capture.complete_to_ns() < 200 * MS, "what is held is not complete");
    let _ = give(&mut capture, 510 * MS, 1, &stream[5]);
    let out = outputs(&mut capture);
    assert_eq!(frames(&out).len(), whole.len());
    assert!(!out.iter().any(|output| matches!(output, Output::Gap { .. })));
    assert_eq!(capture.complete_to_ns(), 510 * MS - 1);
}

/// A publisher of 30 VP8 pictures a second behind a line that loses packets, and a media server between it and the capture.
struct Line {
    /// In 65536 packets, also of those sent again.
    loss: u64,
    /// Frames of which nothing ever arrives, by their number and that of keyframes so far.
    swallowed: fn(u64, u64) -> bool,
    random: u64,
}

impl Line {
    /// There and back.
    const ROUND_NS: u64 = 80 * MS;

    fn loses(&mut self) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 48 < self.loss
    }

    /// The longest gap in milliseconds, how many there were, and how many keyframes were sent.
    fn record(mut self, frames: u64) -> (u64, usize, u64) {
        let mut capture = capture(Codec::Vp8);
        // Arrivals by time: sequence number, frame, and the packet.
        let mut arriving: BTreeMap<(u64, u64), Rtp> = BTreeMap::new();
        let (mut seq, mut keyframes) = (0, 0);
        // When the server's request is at the publisher, and when it sent the last one.
        let (mut asked_at, mut last_asked_at) = (None::<u64>, None::<u64>);
        let mut outputs = Vec::new();
        for number in 0..frames {
            let sent_at = number * 100 * MS / 3;
            let is_key = number == 0 || asked_at.is_some_and(|at| at <= sent_at);
            let (packets, _) = vp8_frame(if is_key { 0 } else { 1 }, if is_key { 20 } else { 6 });
            if is_key {
                (asked_at, keyframes) = (None, keyframes + 1);
            }
            for mut packet in packets {
                (packet.seq, packet.rtp) = (seq, number * 3_000);
                seq += 1;
                // What is missing is asked for when the next one is there, three times.
                let mut at = sent_at + Self::ROUND_NS / 2;
                let arrives = (0..4).any(|_| {
                    let arrives = !self.loses();
                    at += if arrives { 0 } else { Self::ROUND_NS + 20 * MS };
                    arrives
                });
                if arrives && !(self.swallowed)(number, keyframes) {
                    arriving.insert((at, packet.seq), packet);
                }
            }
            let later = arriving.split_off(&(sent_at + 100 * MS / 3, 0));
            for ((at, _), packet) in std::mem::replace(&mut arriving, later) {
                if give(&mut capture, at, 1, &packet) == Wish::Keyframe
                    && last_asked_at.is_none_or(|last| at >= last + 500 * MS)
                {
                    last_asked_at = Some(at);
                    asked_at.get_or_insert(at + Self::ROUND_NS / 2);
                }
            }
            capture.tick(sent_at + 100 * MS / 3);
            outputs.extend(std::iter::from_fn(|| capture.poll_output()));
        }
        let gaps: Vec<_> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Gap { from_ns, to_ns, .. } => Some((to_ns - from_ns) / MS),
                _ => None,
            })
            .collect();
        (gaps.iter().copied().max().unwrap_or(0), gaps.len(), keyframes)
    }
}

#[test]
fn pictures_go_on_within_a_second_on_a_line_that_loses_a_tenth() {
    for random in 1..=5 {
        let line = Line { loss: 65_536 / 10, swallowed: |_, _| false, random };
        let (longest_ms, gaps, keyframes) = line.record(30 * 120);
        assert!(gaps > 0, "the line was too good");
        assert!(longest_ms < 1_000, "seed {random}: {longest_ms} ms");
        // Packets that get lost three times are doubted, and most come at last.
        assert!((2..=30).contains(&keyframes), "{keyframes} keyframes in two minutes");
    }
}

#[test]
fn a_lost_keyframe_is_asked_for_again_within_a_second() {
    // The first keyframe begins the track, and one is wished for before it is whole. The third answers the loss of frame 100.
    let is_lost = |frame, keyframes| frame == 100 || (keyframes == 3 && frame < 115);
    let (longest_ms, gaps, keyframes) = Line { loss: 0, swallowed: is_lost, random: 1 }.record(300);
    assert_eq!((gaps, keyframes), (1, 4), "the first answer got lost, the second did not");
    assert!(longest_ms < 1_000, "{longest_ms} ms");
}

#[test]
fn a_packet_that_comes_soon_enough_costs_no_keyframe() {
    // A fiftieth gets lost, and nothing more than twice.
    let line = Line { loss: 65_536 / 50, swallowed: |_, _| false, random: 7 };
    let (longest_ms, gaps, keyframes) = line.record(30 * 20);
    assert_eq!((longest_ms, gaps, keyframes), (0, 0, 2), "those of the beginning");
}

#[test]
fn another_ssrc_is_another_segment_and_its_elders_stragglers_are_dropped() {
    let (stream, _) = vp8_stream(4, 1);
    let mut capture = capture(Codec::Vp8);
    for (i, packet) in stream.iter().enumerate() {
        let _ = give(&mut capture, i as u64 * 100 * MS, 1, packet);
    }
    for (i, packet) in stream.iter().enumerate() {
        let _ = give(&mut capture, (i as u64 + 10) * 100 * MS, 2, packet);
        let _ = give(&mut capture, (i as u64 + 10) * 100 * MS, 1, &stream[2]);
    }
    capture.finish(2_000 * MS);
    let out = outputs(&mut capture);
    assert_eq!(out.iter().filter(|output| matches!(output, Output::Segment(_))).count(), 2);
    assert_eq!(frames(&out).len(), 8);
}

#[test]
fn opus_packets_are_frames_and_padding_is_none() {
    let mut capture = capture(Codec::Opus);
    for seq in 0..10u64 {
        let payload: &[u8] = if seq % 2 == 0 { b"\xfcsound" } else { b"" };
        let packet = Packet { ssrc: 1, seq, rtp: seq * 960, marker: false, payload };
        assert_eq!(capture.packet(seq * 20 * MS, &packet), Wish::Nothing);
    }
    let out = outputs(&mut capture);
    assert_eq!(frames(&out).len(), 5);
    let Output::Segment(segment) = &out[0] else { panic!("{out:?}") };
    assert_eq!(&segment.codec_private[..8], b"OpusHead");
}

/// x264's baseline parameter sets for 640x360.
const SPS: [u8; 24] = [
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x61, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00,
    0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2e, 0x48,
];
const PPS: [u8; 4] = [0x68, 0xcb, 0x83, 0xcb];

#[test]
fn h264_single_aggregated_and_fragmented_units_become_one_avcc_access_unit() {
    let mut stap = vec![0x78];
    for unit in [&SPS[..], &PPS[..]] {
        stap.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        stap.extend_from_slice(unit);
    }
    let payloads: [&[u8]; 5] =
        [&stap, &[0x06, 9, 9], &[0x7c, 0x85, 0x88, 0x80], &[0x7c, 0x05, 3], &[0x7c, 0x45, 4, 5]];
    let mut capture = capture(Codec::H264);
    for (seq, payload) in payloads.into_iter().enumerate() {
        let packet = Packet { ssrc: 1, seq: seq as u64, rtp: 0, marker: seq == 4, payload };
        let _ = capture.packet(seq as u64 * 50 * MS, &packet);
    }
    let _ = capture
        .packet(300 * MS, &Packet { ssrc: 1, seq: 5, rtp: 3_000, marker: true, payload: &[0x41, 0xe0, 7] });
    let out = outputs(&mut capture);
    let Output::Segment(segment) = &out[0] else { panic!("{out:?}") };
    assert_eq!((segment.width, segment.height), (640, 360));
    assert_eq!(&segment.codec_private[..6], &[1, 0x42, 0xc0, 0x1e, 0xff, 0xe1]);
    let mut expected = Vec::new();
    for unit in [&SPS[..], &PPS[..], &[0x06, 9, 9], &[0x65, 0x88, 0x80, 3, 4, 5]] {
        expected.extend_from_slice(&(unit.len() as u32).to_be_bytes());
        expected.extend_from_slice(unit);
    }
    let frames = frames(&out);
    assert_eq!(&frames[0].data[..], &expected[..]);
    assert!(frames[0].keyframe && !frames[1].keyframe);
    assert_eq!(&frames[1].data[..], &[0, 0, 0, 3, 0x41, 0xe0, 7]);
}

#[test]
fn h264_keyframes_without_parameter_sets_get_those_seen_before() {
    let mut capture = capture(Codec::H264);
    let payloads: [(&[u8], u64, bool); 5] =
        [(&SPS, 0, false), (&PPS, 0, false), (&IDR, 0, true), (&P, 3_000, true), (&IDR, 6_000, true)];
    for (seq, (payload, rtp, marker)) in payloads.into_iter().enumerate() {
        let _ =
            capture.packet(seq as u64 * 50 * MS, &Packet { ssrc: 1, seq: seq as u64, rtp, marker, payload });
    }
    let out = outputs(&mut capture);
    let frames = frames(&out);
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[2].data.len(), 4 + SPS.len() + 4 + PPS.len() + 4 + IDR.len());
    assert_eq!(out.len(), 4, "the same parameter sets do not open a new segment");
}

/// The beginnings of slices that need the parameter sets above: of an IDR picture, a predicted one, and one of intra slices.
const IDR: [u8; 3] = [0x65, 0x88, 0x80];
const P: [u8; 2] = [0x41, 0xe0];
const I: [u8; 3] = [0x41, 0x88, 0x80];
/// Later slices of such pictures: their first macroblock is not 0.
const IDR_GOES_ON: [u8; 3] = [0x65, 0x44, 0x40];
const P_GOES_ON: [u8; 2] = [0x41, 0x5c];
/// A recovery point: type 6, one byte, "1" for no pictures in between.
const RECOVERY_POINT: [u8; 5] = [0x06, 6, 1, 0x84, 0x80];

/// An H.264 stream of one payload each: RTP time in pictures, marker, payload. One packet every 33 ms.
fn h264_stream(capture: &mut Capture, packets: &[(u64, bool, &[u8])]) -> Vec<Output> {
    let first = capture.highest_seq;
    for (number, (picture, marker, payload)) in (1..).zip(packets) {
        let packet =
            Packet { ssrc: 1, seq: first + number, rtp: 90_000 + picture * 3_000, marker: *marker, payload };
        let now = capture.now_ns + 33 * MS;
        let _ = capture.packet(now, &packet);
        capture.tick(now);
    }
    // The first packets wait for their elders.
    capture.tick(capture.now_ns + 50 * MS);
    outputs(capture)
}

fn pictures(outputs: &[Output]) -> Vec<u64> {
    frames(outputs).iter().map(|frame| (frame.rtp - 90_000) / 3_000).collect()
}

#[test]
fn pictures_that_decode_after_a_later_one_stay_in_one_segment_in_the_order_they_decode() {
    let mut capture = capture(Codec::H264);
    let order = [0, 4, 2, 1, 3, 8, 6, 5, 7];
    let mut packets: Vec<(u64, bool, &[u8])> = vec![(0, false, &SPS), (0, false, &PPS), (0, true, &IDR)];
    packets.extend(order[1..].iter().map(|picture| (*picture, true, &P[..])));
    let out = h264_stream(&mut capture, &packets);
    assert_eq!(pictures(&out), order);
    assert_eq!(out.len(), order.len() + 1, "one segment, no gap: {out:?}");
    // A picture that begins anew, and time that goes back by more than any reordering does, are another time line.
    let out = h264_stream(&mut capture, &[(7, true, &IDR), (8, true, &P)]);
    assert!(matches!(out[0], Output::Segment(_)) && pictures(&out) == [7, 8], "{out:?}");
    let _ = h264_stream(&mut capture, &[(9, true, &P[..]); 6]);
    let out = h264_stream(&mut capture, &[(200, true, &P), (139, true, &P), (140, true, &IDR)]);
    assert_eq!(pictures(&out), [200, 140]);
    assert!(out.iter().any(|output| matches!(output, Output::Gap { .. })));
}

#[test]
fn pictures_shown_before_the_first_one_are_left_out() {
    let mut capture = capture(Codec::H264);
    let out = h264_stream(
        &mut capture,
        &[
            (3, false, &SPS),
            (3, false, &PPS),
            (3, false, &RECOVERY_POINT),
            (3, true, &I),
            (1, true, &P),
            (2, true, &P),
            (6, true, &P),
            (4, true, &P),
        ],
    );
    assert_eq!(pictures(&out), [3, 6, 4]);
    assert_eq!(out.len(), 4, "no gap: there was nothing before: {out:?}");
}

#[test]
fn a_stream_without_idr_pictures_begins_at_a_recovery_point_or_at_last_at_an_intra_picture() {
    let mut refreshing = capture(Codec::H264);
    refreshing.parameter_sets(1, [&SPS[..], &PPS]);
    let out = h264_stream(
        &mut refreshing,
        &[(0, true, &P), (1, false, &RECOVERY_POINT), (1, true, &P), (2, true, &P)],
    );
    assert_eq!(pictures(&out), [1, 2]);
    let mut plain = capture(Codec::H264);
    plain.parameter_sets(1, [&SPS[..], &PPS]);
    let packets: Vec<(u64, bool, &[u8])> =
        (0..200).map(|picture| (picture, true, if picture % 30 == 0 { &I[..] } else { &P[..] })).collect();
    let out = h264_stream(&mut plain, &packets);
    assert_eq!(pictures(&out).first(), Some(&90), "two seconds are waited for a better one");
    assert_eq!(frames(&out).len(), 110);
    assert!(frames(&out)[0].keyframe && frames(&out)[0].data.len() > SPS.len());
}

#[test]
fn parameter_sets_said_once_serve_keyframes_after_a_loss() {
    let mut capture = capture(Codec::H264);
    capture.parameter_sets(1, [&SPS[..], &PPS]);
    let out = h264_stream(&mut capture, &[(0, true, &IDR), (1, true, &P)]);
    let Output::Segment(segment) = &out[0] else { panic!("{out:?}") };
    assert_eq!((segment.width, segment.height), (640, 360));
    assert_eq!(pictures(&out), [0, 1]);
    capture.highest_seq += 1;
    let mut packets: Vec<(u64, bool, &[u8])> = vec![(3, true, &P_GOES_ON), (4, true, &P)];
    packets.extend((5..40).map(|picture| (picture, true, &P[..])));
    packets.extend([(40, false, &IDR[..]), (40, true, &IDR_GOES_ON), (41, true, &P)]);
    let out = h264_stream(&mut capture, &packets);
    assert_eq!(pictures(&out), [40, 41], "no delimiter and no parameter set shows where it begins: {out:?}");
}

#[test]
fn information_may_stand_before_parameter_sets_but_not_for_them() {
    const INFORMATION: [u8; 5] = [6, 5, 1, 0, 0x80];
    let mut capture = capture(Codec::H264);
    let whole: Vec<(u64, bool, &[u8])> =
        vec![(0, false, &INFORMATION), (0, false, &SPS), (0, false, &PPS), (0, true, &IDR), (1, true, &P)];
    assert_eq!(pictures(&h264_stream(&mut capture, &whole)), [0, 1]);
    // Something is missing: it may have been other parameter sets.
    capture.highest_seq += 1;
    let bare: Vec<(u64, bool, &[u8])> = vec![(3, false, &INFORMATION), (3, true, &IDR), (4, true, &P)];
    assert_eq!(pictures(&h264_stream(&mut capture, &bare)), [0; 0]);
    capture.tick(capture.now_ns + 2_000 * MS);
    assert_eq!(pictures(&outputs(&mut capture)), [0; 0]);
    let whole = whole.iter().map(|(picture, marker, unit)| (picture + 5, *marker, *unit)).collect::<Vec<_>>();
    assert_eq!(pictures(&h264_stream(&mut capture, &whole)), [5, 6]);
}

#[test]
fn parameter_sets_of_another_stream_are_not_taken() {
    let mut capture = capture(Codec::H264);
    capture.parameter_sets(2, [&SPS[..], &PPS]);
    assert!(h264_stream(&mut capture, &[(0, true, &IDR), (1, true, &P)]).is_empty());
}

#[test]
fn parameter_sets_that_come_alone_are_no_picture_and_reach_the_decoder_with_the_next_one() {
    let mut capture = capture(Codec::H264);
    let mut set = PPS;
    // Its id is 1, that of its sequence 0: "010" "1".
    set[1] = 0b0101_0011;
    let out = h264_stream(
        &mut capture,
        &[(0, true, &SPS), (0, true, &PPS), (1, true, &IDR), (2, true, &set), (3, true, &P)],
    );
    assert_eq!(pictures(&out), [1, 3]);
    let frames = frames(&out);
    assert_eq!(frames[1].data.len(), 4 + set.len() + 4 + P.len());
}

#[test]
fn frames_are_told_apart_without_markers_and_with_markers_on_every_slice() {
    let mut unmarked = capture(Codec::H264);
    unmarked.parameter_sets(1, [&SPS[..], &PPS]);
    let out = h264_stream(
        &mut unmarked,
        &[(0, false, &IDR), (0, false, &IDR_GOES_ON), (1, false, &P), (1, false, &P_GOES_ON), (2, false, &P)],
    );
    assert_eq!(pictures(&out), [0, 1]);
    // A source that draws nothing more: its last picture is not waited for until the next one comes.
    unmarked.tick(unmarked.now_ns + 700 * MS);
    assert_eq!(pictures(&outputs(&mut unmarked)), [2]);

    let mut marked = capture(Codec::H264);
    marked.parameter_sets(1, [&SPS[..], &PPS]);
    let packets: Vec<(u64, bool, &[u8])> = (0..20)
        .flat_map(|picture| match picture % 5 {
            0 => [(picture, true, &IDR[..]), (picture, true, &IDR_GOES_ON)],
            _ => [(picture, true, &P[..]), (picture, true, &P_GOES_ON)],
        })
        .collect();
    let out = h264_stream(&mut marked, &packets);
    assert_eq!(pictures(&out), (0..19).collect::<Vec<_>>());
    let slices = |frame: &&&Frame| frame.data.len() >= 4 + P.len() + 4 + P_GOES_ON.len();
    assert_eq!(frames(&out).iter().filter(slices).count(), 19, "each with both of its slices");
    marked.finish(marked.now_ns);
    assert_eq!(pictures(&outputs(&mut marked)), [19], "the last one is whole when the stream is over");
}

#[test]
fn a_marker_on_every_fragment_and_one_on_filler_behind_a_picture_cost_nothing() {
    let mut fragments = capture(Codec::H264);
    fragments.parameter_sets(1, [&SPS[..], &PPS]);
    let packets: Vec<(u64, bool, &[u8])> = (0..10)
        .flat_map(|picture| match picture {
            0 => [[0x7c, 0x85, 0x88, 0x80].as_slice(), &[0x7c, 0x05, 3], &[0x7c, 0x45, 4]]
                .map(|part| (0, true, part)),
            _ => [[0x5c, 0x81, 0xe0].as_slice(), &[0x5c, 0x01, 3], &[0x5c, 0x41, 4]]
                .map(|part| (picture, true, part)),
        })
        .collect();
    assert_eq!(pictures(&h264_stream(&mut fragments, &packets)), (0..9).collect::<Vec<_>>());

    let mut filled = capture(Codec::H264);
    filled.parameter_sets(1, [&SPS[..], &PPS]);
    let packets: Vec<(u64, bool, &[u8])> = (0..10)
        .flat_map(|picture| {
            let slice = if picture == 0 { &IDR[..] } else { &P[..] };
            [(picture, true, slice), (picture, true, &[0x0c, 0xff, 0xff, 0x80])]
        })
        .collect();
    let out = h264_stream(&mut filled, &packets);
    assert_eq!(pictures(&out), (0..10).collect::<Vec<_>>());
    assert!(!out.iter().any(|output| matches!(output, Output::Gap { .. })), "{out:?}");
    filled.finish(filled.now_ns);
    assert!(accounts_for_all(&filled));
}

#[test]
fn interleaved_packets_are_no_pictures_and_leave_a_gap() {
    let mut capture = capture(Codec::H264);
    capture.parameter_sets(1, [&SPS[..], &PPS]);
    let packets: [(u64, bool, &[u8]); 6] = [
        (0, true, &IDR),
        (1, true, &[25, 0, 1, 0, 2, 0x41, 0xe0]),
        (2, true, &[26, 0, 1, 0, 2, 0, 0, 0, 0x41, 0xe0]),
        (3, true, &[29, 0x81, 0, 1, 0xe0]),
        (4, true, &[30, 1, 2, 3]),
        (5, true, &IDR),
    ];
    let out = h264_stream(&mut capture, &packets);
    assert_eq!(pictures(&out), [0, 5]);
    assert!(out.iter().any(|output| matches!(output, Output::Gap { missing: 0, .. })), "{out:?}");
}

#[test]
fn sender_reports_are_extended_only_onto_the_present_time_line() {
    let mut capture = capture(Codec::Opus);
    let base = (3 << 32) + u64::from(u32::MAX) - 100;
    for seq in 0..5u64 {
        let packet = Packet { ssrc: 1, seq, rtp: base + seq * 960, marker: false, payload: b"x" };
        let _ = capture.packet(seq * 20 * MS, &packet);
    }
    assert_eq!(capture.extend_report(100 * MS, (base + 4_000) as u32), Some(base + 4_000));
    assert_eq!(capture.extend_report(100 * MS, (base as u32).wrapping_add(1 << 30)), None);
}

proptest! {
    #[test]
    fn reordered_and_doubled_packets_change_nothing(
        jitter in prop::collection::vec((0u64..400, prop::option::of(0u64..300)), 60),
    ) {
        let (stream, whole) = vp8_stream(20, 3);
        let mut arrivals = Vec::new();
        for (i, (late, again)) in jitter.iter().enumerate() {
            // The very first packets may not be late by more than the start hold.
            let late = if i < 2 { 0 } else { *late };
            let at = i as u64 * 11 + late;
            arrivals.push((at, i));
            arrivals.extend(again.map(|more| (at + more, i)));
        }
        arrivals.sort_unstable();
        let mut capture = capture(Codec::Vp8);
        let mut out = Vec::new();
        let mut complete = 0;
        for (at, i) in arrivals {
            let _ = give(&mut capture, at * MS, 1, &stream[i]);
            let new = outputs(&mut capture);
            prop_assert!(frames(&new).iter().all(|frame| frame.at_ns > complete || complete == 0));
            out.extend(new);
            complete = capture.complete_to_ns();
        }
        capture.finish(10_000 * MS);
        prop_assert!(accounts_for_all(&capture), "{:?}", capture.counts());
        out.extend(outputs(&mut capture));
        prop_assert!(frames(&out).iter().map(|f| &f.data[..]).eq(whole.iter().map(|f| &f[..])));
    }

    #[test]
    fn under_loss_only_whole_frames_come_out_in_order_from_keyframes_on(
        lost in prop::collection::vec(prop::bool::weighted(0.1), 90),
    ) {
        let (stream, whole) = vp8_stream(30, 3);
        let mut capture = capture(Codec::Vp8);
        for (i, packet) in stream.iter().enumerate().filter(|(i, _)| !lost[*i]) {
            let _ = give(&mut capture, i as u64 * 100 * MS, 1, packet);
            capture.tick(i as u64 * 100 * MS);
        }
        capture.finish(100_000 * MS);
        prop_assert!(accounts_for_all(&capture), "{:?}", capture.counts());
        let out = outputs(&mut capture);
        let intact = (0..30).take_while(|frame| !lost[frame * 3..frame * 3 + 3].contains(&true)).count();
        let got = frames(&out);
        prop_assert_eq!(got.len(), intact, "this stream has one keyframe only");
        prop_assert!(got.iter().zip(&whole).all(|(got, sent)| got.data[..] == sent[..]));
    }

    #[test]
    fn hostile_packets_do_no_harm(
        codec in prop::sample::select(vec![Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus]),
        packets in prop::collection::vec(
            (0u32..2, prop_oneof![0u64..200, any::<u64>()], prop_oneof![0u64..9_000, any::<u64>()], any::<bool>(),
             prop_oneof![prop::collection::vec(any::<u8>(), 0..40),
                         prop::collection::vec(prop::sample::select(vec![0u8, 1, 5, 7, 8, 0x10, 0x18, 0x1c, 0x45, 0x65, 0x67, 0x68, 0x78, 0x7c, 0x80, 0x85, 0x90, 0x9d, 0x2a, 0xff]), 0..60)],
             0u64..900 * MS),
            0..120),
    ) {
        let mut capture = capture(codec);
        let (mut now, mut last, mut complete) = (0, None::<(u64, u64)>, 0);
        let back = if codec == Codec::H264 { MAX_REORDER_NS * 9 / 100_000 } else { 0 };
        for (ssrc, seq, rtp, marker, payload, passed) in packets {
            now += passed;
            let _ = capture.packet(now, &Packet { ssrc, seq, rtp, marker, payload: &payload });
            capture.tick(now);
            for output in outputs(&mut capture) {
                match output {
                    Output::Segment(segment) => last = Some((segment.first_rtp, segment.first_rtp)),
                    Output::Frame(frame) => {
                        let (first, highest) = last.unwrap();
                        prop_assert!(first <= frame.rtp && highest <= frame.rtp.saturating_add(back));
                        prop_assert!(frame.at_ns > complete || complete == 0);
                        last = Some((first, highest.max(frame.rtp)));
                    }
                    Output::Gap { from_ns, to_ns, .. } => prop_assert!(from_ns <= to_ns),
                    Output::Dimensions { width, height } => prop_assert!(width > 0 && height > 0),
                    Output::LeftOut { .. } | Output::LeftOutUntil { .. } => {}
                }
            }
            complete = capture.complete_to_ns();
            let _ = capture.extend_report(now, rtp as u32);
        }
        capture.finish(now);
        prop_assert!(accounts_for_all(&capture), "{:?}", capture.counts());
    }

    #[test]
    fn hostile_parameter_sets_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = sps::dimensions(&bytes);
        let _ = sps::chroma_format(&bytes);
    }
}

/// Packets of one ssrc, 11 ms apart: which picture, marker, payload.
fn stream(capture: &mut Capture, packets: &[(u64, bool, Vec<u8>)]) -> Vec<Output> {
    let borrowed: Vec<_> =
        packets.iter().map(|(picture, marker, payload)| (*picture, *marker, &payload[..])).collect();
    let mut out = h264_stream(capture, &borrowed);
    capture.finish(capture.now_ns);
    assert!(accounts_for_all(capture));
    out.extend(outputs(capture));
    out
}

/// A frame of VP9: a keyframe of 64x48, or one that is predicted.
fn vp9_frame(keyframe: bool) -> Vec<u8> {
    let sizes = 0b0010u64 << 36 | 63 << 20 | 47 << 4;
    match keyframe {
        true => [&[0b1000_0010, 0x49, 0x83, 0x42], &sizes.to_be_bytes()[3..], &[1, 2]].concat(),
        false => vec![0b1000_0110, 9, 9],
    }
}

/// A frame of a spatial layer in one packet: flexible mode, with layer indices.
fn vp9_layer(layer: u8, keyframe: bool, needs_lower: bool) -> Vec<u8> {
    let head = if keyframe { vec![0xbc] } else { vec![0xfc] };
    let ids = vec![5, layer << 1 | u8::from(needs_lower)];
    let references = if keyframe { vec![] } else { vec![0b10] };
    [head, ids, references, vp9_frame(keyframe && layer == 0)].concat()
}

/// An AV1 temporal unit in two packets, each with whole units: a sequence header (64x48) where it is a keyframe, and two tile groups.
fn av1_unit(keyframe: bool, is_said: bool) -> [Vec<u8>; 2] {
    let sequence = [0x08, 0b0000_1010, 0b0001_0101, 0b0111_1111, 0b1011_1100, 0, 0, 0];
    let new = if keyframe && is_said { 0x08 } else { 0 };
    let first = match keyframe {
        true => [&[0x20 | new, 8][..], &sequence, &[0x18, 0x10, 7]].concat(),
        false => vec![0x10, 0x18, 0x20, 7],
    };
    [first, vec![0x10, 0x20, 1, 2, 3]]
}

#[test]
fn frames_of_any_codec_are_whole_where_markers_stand_on_every_packet_or_layer() {
    let (vp8, whole) = vp8_stream(10, 3);
    let packets = vp8.into_iter().map(|packet| ((packet.rtp - 9_000) / 3_000, true, packet.payload));
    let out = stream(&mut capture(Codec::Vp8), &packets.collect::<Vec<_>>());
    assert!(frames(&out).iter().map(|frame| &frame.data[..]).eq(whole.iter().map(|frame| &frame[..])));

    let packets: Vec<_> = (0..10)
        .flat_map(|picture| [0, 1].map(|layer| (picture, true, vp9_layer(layer, picture == 0, layer > 0))))
        .collect();
    let out = stream(&mut capture(Codec::Vp9), &packets);
    assert_eq!(pictures(&out), (0..10).collect::<Vec<_>>());
    let has_both = |frame: &&Frame| frame.data.len() > vp9_frame(frame.keyframe).len();
    assert!(frames(&out).iter().all(has_both), "both layers");

    let packets: Vec<_> = (0..10)
        .flat_map(|picture| av1_unit(picture == 0, true).map(|payload| (picture, true, payload)))
        .collect();
    let out = stream(&mut capture(Codec::Av1), &packets);
    assert_eq!(pictures(&out), (0..10).collect::<Vec<_>>());
    assert!(frames(&out).iter().all(|frame| frame.data.ends_with(&[0x22, 3, 1, 2, 3])), "both tile groups");
}

#[test]
fn a_hidden_frame_may_have_the_time_of_the_one_behind_it_from_the_first_on() {
    let (packets, whole) = vp8_stream(6, 2);
    let packets =
        packets.into_iter().map(|packet| ((packet.rtp - 9_000) / 6_000, packet.marker, packet.payload));
    let out = stream(&mut capture(Codec::Vp8), &packets.collect::<Vec<_>>());
    assert!(frames(&out).iter().map(|frame| &frame.data[..]).eq(whole.iter().map(|frame| &frame[..])));
}

#[test]
fn a_first_frame_whose_next_one_is_lost_or_slow_is_taken_and_no_other_is_asked_for() {
    let (packets, _) = vp8_stream(4, 1);
    for is_lost in [false, true] {
        let mut capture = capture(Codec::Vp8);
        let mut wishes = 0;
        let _ = give(&mut capture, 0, 1, &packets[0]);
        for ms in 0..40 {
            capture.tick(ms * 10 * MS);
            wishes += u64::from(ms > 10 && capture.wants_keyframe());
        }
        assert_eq!(wishes, 0, "it is there");
        if is_lost {
            let _ = give(&mut capture, 400 * MS, 1, &packets[2]);
        }
        capture.tick(1_500 * MS);
        assert_eq!(frames(&outputs(&mut capture)).len(), 1, "{is_lost}");
    }
}

#[test]
fn vp9_pictures_may_lack_the_base_layer() {
    // It comes at a third of the rate.
    let packets: Vec<_> = (0..12)
        .flat_map(|picture| match picture % 3 {
            0 => vec![
                (picture, false, vp9_layer(0, picture == 0, false)),
                (picture, true, vp9_layer(1, false, picture == 0)),
            ],
            _ => vec![(picture, true, vp9_layer(1, false, false))],
        })
        .collect();
    let out = stream(&mut capture(Codec::Vp9), &packets);
    assert_eq!(pictures(&out), (0..12).collect::<Vec<_>>());
    assert!(!out.iter().any(|output| matches!(output, Output::Gap { .. })), "{out:?}");
}

#[test]
fn an_av1_stream_begins_at_a_sequence_header_that_nobody_announces() {
    let packets: Vec<_> = (0..5)
        .flat_map(|picture| {
            let [first, second] = av1_unit(picture == 0, false);
            [(picture, false, first), (picture, true, second)]
        })
        .collect();
    assert_eq!(pictures(&stream(&mut capture(Codec::Av1), &packets)), (0..5).collect::<Vec<_>>());
    // With what stands in front of it, which senders shall leave out.
    let mut packets = packets;
    packets[0].2 = [&[0x30, 1, 0x10][..], &packets[0].2[1..]].concat();
    assert_eq!(pictures(&stream(&mut capture(Codec::Av1), &packets)), (0..5).collect::<Vec<_>>());
    // A frame whose beginning is missing is none.
    assert_eq!(pictures(&stream(&mut capture(Codec::Av1), &packets[1..])), [] as [u64; 0]);
}

#[test]
fn padding_between_the_packets_of_a_frame_may_have_any_time() {
    let (packets, whole) = vp8_stream(5, 3);
    let packets: Vec<_> = packets
        .into_iter()
        .flat_map(|packet| {
            let picture = (packet.rtp - 9_000) / 3_000;
            [(picture, packet.marker, packet.payload), (picture + 7, false, Vec::new())]
        })
        .collect();
    let out = stream(&mut capture(Codec::Vp8), &packets);
    assert_eq!(frames(&out).len(), whole.len());
}

#[test]
fn a_sender_that_goes_back_to_an_ssrc_or_to_low_numbers_loses_no_picture() {
    for ssrcs in [[1, 2, 1], [1, 1, 1]] {
        let mut capture = capture(Codec::Vp8);
        let mut now = 0;
        for (part, ssrc) in (0..).zip(ssrcs) {
            let (packets, _) = vp8_stream(10, 2);
            for packet in packets {
                // A lower number each time, and a later time.
                let (seq, rtp) = (packet.seq - part * 10_000, packet.rtp + part * 900_000);
                now += 50 * MS;
                let _ = give(&mut capture, now, ssrc, &Rtp { seq, rtp, ..packet });
                capture.tick(now);
            }
        }
        capture.finish(now);
        let out = outputs(&mut capture);
        assert_eq!(frames(&out).len(), 30, "{ssrcs:?}: {:?}", capture.counts());
        assert!(accounts_for_all(&capture));
    }
}

#[test]
fn a_stray_packet_is_not_waited_for() {
    let (packets, _) = vp8_stream(10, 1);
    let mut capture = capture(Codec::Vp8);
    for (number, packet) in (0..).zip(&packets) {
        let _ = give(&mut capture, number * 100 * MS, 1, packet);
    }
    let stray = Rtp { seq: packets[0].seq - 100, rtp: 900_000_000, marker: false, payload: vec![0x10, 1] };
    let _ = give(&mut capture, 1_000 * MS, 1, &stray);
    capture.tick(1_500 * MS);
    assert!(capture.complete_to_ns() < 1_000 * MS, "it may still be the first one of another line");
    capture.tick(1_700 * MS);
    assert_eq!(capture.complete_to_ns(), 1_700 * MS - 1);
    capture.finish(2_000 * MS);
    assert_eq!(capture.counts().dropped, BTreeMap::from([(DropReason::Straggler, 1)]));
}

#[test]
fn a_camera_whose_layers_start_mixed_begins_with_the_best_ones_keyframe() {
    for packets_of_lower in [1, 2] {
        let (stream, whole) = vp8_stream(10, 2);
        let mut capture = capture(Codec::Vp8);
        for (ssrc, ms) in [(1, 0), (2, 3)] {
            for packet in &stream[..packets_of_lower] {
                let _ = give(&mut capture, ms * MS, ssrc, packet);
            }
        }
        for (number, packet) in (0..).zip(&stream) {
            let now = (5 + number / 2 * 33) * MS;
            let _ = give(&mut capture, now, 3, packet);
            capture.tick(now);
        }
        capture.finish(400 * MS);
        let (out, counts) = (outputs(&mut capture), capture.counts());
        assert!(!counts.dropped.contains_key(&DropReason::TimeLine), "{counts:?}");
        assert!(accounts_for_all(&capture));
        let best: Vec<_> = frames(&out).into_iter().rev().take(10).rev().collect();
        assert!(best.iter().map(|frame| &frame.data[..]).eq(whole.iter().map(|frame| &frame[..])));
        assert_eq!(frames(&out).len(), if packets_of_lower == 1 { 10 } else { 12 }, "no piece is a picture");
    }
}

#[test]
fn a_frame_that_comes_slowly_is_whole() {
    for (slow, every_ms) in [(0, 100), (1, 100), (0, 1_000), (1, 1_000)] {
        let mut capture = capture(Codec::Vp8);
        let mut now = 0;
        let mut seq = 65_530;
        for number in 0..3 {
            for packet in vp8_frame(number, 8).0 {
                let _ = give(&mut capture, now, 1, &Rtp { seq, ..packet });
                seq += 1;
                for _ in 0..if number == slow { every_ms / 50 } else { 0 } {
                    now += 50 * MS;
                    capture.tick(now);
                }
            }
            now += 33 * MS;
        }
        capture.finish(now);
        let out = outputs(&mut capture);
        assert_eq!(frames(&out).len(), 3, "{slow}, {every_ms}: {:?}", capture.counts());
        assert!(!out.iter().any(|output| matches!(output, Output::Gap { .. })));
    }
}

#[test]
fn a_frame_without_end_is_given_up() {
    let mut capture = capture(Codec::Vp8);
    let (stream, _) = vp8_stream(2, 1);
    let _ = give(&mut capture, 0, 1, &stream[0]);
    let begin = |seq: u64| Rtp { seq, rtp: stream[1].rtp, marker: false, payload: stream[1].payload.clone() };
    let _ = give(&mut capture, 33 * MS, 1, &begin(stream[1].seq));
    for number in 1..150 {
        let payload = vec![0x80, 0x80, 0x80, 1, 7];
        let packet = Rtp { seq: stream[1].seq + number, rtp: stream[1].rtp, marker: false, payload };
        let _ = give(&mut capture, number * 100 * MS, 1, &packet);
        capture.tick(number * 100 * MS);
    }
    assert!(capture.wants_keyframe());
    assert!(capture.complete_to_ns() > 10_000 * MS, "nothing waits for it any more");
}

#[test]
fn numbers_that_begin_anew_long_after_their_time_are_no_late_ones() {
    let mut capture = capture(Codec::Opus);
    let sound = |seq, rtp| Rtp { seq, rtp, marker: false, payload: vec![0x78, 1, 2] };
    for number in 0..1_000 {
        let _ = give(&mut capture, number * 20 * MS, 1, &sound(1_000 + number, 960_000 + number * 960));
    }
    let padding = Rtp { payload: Vec::new(), ..sound(2_000, 0) };
    let _ = give(&mut capture, 20_000 * MS, 1, &padding);
    for number in 0..50 {
        let packet = sound(900 + number, 960_000 + (100 + number) * 960);
        let _ = give(&mut capture, (20_000 + number * 20) * MS, 1, &packet);
    }
    capture.finish(22_000 * MS);
    let out = outputs(&mut capture);
    assert_eq!(frames(&out).len(), 1_050);
    assert!(accounts_for_all(&capture));
}
