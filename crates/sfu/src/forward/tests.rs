use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const KEY: &[u8] = &[0x10, 0x00, 0, 0];
const DELTA: &[u8] = &[0x10, 0x01, 0, 0];

fn packet(layer: Layer, seq: u64, payload: &[u8], arrived: Instant) -> Incoming<'_> {
    let keyframe = crate::is_keyframe(Codec::Vp8, payload);
    Incoming {
        layer,
        ssrc: layer as u32,
        seq,
        rtp: (seq as u32).wrapping_mul(3000),
        payload,
        keyframe,
        lacks: 0,
        arrived,
    }
}

#[test]
fn nothing_goes_before_the_first_keyframe_and_numbers_begin_low() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    assert_eq!(down.forward(&packet(Layer::High, 70_000, KEY, now)), None, "no target yet");
    down.set_target(Some(Layer::High));
    assert_eq!(down.wants_keyframe(), Some(Layer::High));
    assert_eq!(down.forward(&packet(Layer::High, 70_001, DELTA, now)), None);
    assert_eq!(down.forward(&packet(Layer::High, 70_002, KEY, now)).unwrap().seq, 1);
    assert_eq!(down.wants_keyframe(), None);
    assert_eq!(down.forward(&packet(Layer::High, 70_004, DELTA, now)).unwrap().seq, 3);
    assert_eq!(
        down.forward(&packet(Layer::High, 70_003, DELTA, now)).unwrap().seq,
        2,
        "late, but its own number"
    );
    assert_eq!(down.forward(&packet(Layer::High, 70_001, DELTA, now)), None, "from before the keyframe");
}

#[test]
fn a_layer_changes_at_its_keyframe_without_a_hole_and_with_time_going_on() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::Low));
    let first = down.forward(&packet(Layer::Low, 10, KEY, now)).unwrap();
    down.set_target(Some(Layer::High));
    let later = now + Duration::from_millis(100);
    assert_eq!(down.forward(&packet(Layer::High, 900, DELTA, later)), None);
    assert_eq!(down.forward(&packet(Layer::Low, 11, DELTA, later)).unwrap().seq, 2, "the old one goes on");
    let last_rtp = down.last.unwrap().rtp;
    let switched = down.forward(&packet(Layer::High, 901, KEY, later + Duration::from_millis(50))).unwrap();
    assert_eq!(switched.seq, 3);
    assert_eq!(switched.rtp.wrapping_sub(last_rtp), 4500);
    assert!(switched.rtp.wrapping_sub(first.rtp) < 90_000);
    assert_eq!(down.forward(&packet(Layer::Low, 12, DELTA, later)), None, "the old layer is over");
}

#[test]
fn padding_leaves_no_hole() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::High));
    down.forward(&packet(Layer::High, 1, KEY, now)).unwrap();
    assert_eq!(down.forward(&packet(Layer::High, 2, &[], now)), None);
    assert_eq!(down.forward(&packet(Layer::High, 4, DELTA, now)).unwrap().seq, 3);
    assert_eq!(down.forward(&packet(Layer::High, 3, DELTA, now)).unwrap().seq, 2);
}

#[test]
fn what_begins_with_nothing_goes_on_behind_it() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::High));
    let empty: Vec<_> = (0..3).map(|_| down.empty(now)).collect();
    assert_eq!(empty.iter().map(|rewrite| rewrite.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let later = now + Duration::from_secs(2);
    assert_eq!(down.wants_keyframe(), Some(Layer::High));
    assert_eq!(down.forward(&packet(Layer::High, 70_001, DELTA, later)), None);
    let first = down.forward(&packet(Layer::High, 70_002, KEY, later)).unwrap();
    assert_eq!((first.seq, first.rtp.wrapping_sub(empty[2].rtp)), (4, 180_000));
    // On another section what was sent before is not sent again.
    down.set_target(None);
    assert_eq!(down.empty(later).seq, 5);
}

#[test]
fn a_pause_ends_with_a_keyframe_and_the_next_number() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::High));
    down.forward(&packet(Layer::High, 1, KEY, now)).unwrap();
    down.set_target(None);
    assert_eq!(down.forward(&packet(Layer::High, 2, DELTA, now)), None);
    down.set_target(Some(Layer::High));
    assert_eq!(down.forward(&packet(Layer::High, 3, DELTA, now)), None);
    assert_eq!(down.forward(&packet(Layer::High, 4, KEY, now)).unwrap().seq, 2);
}

#[test]
fn a_layer_for_which_there_is_no_room_ends_before_the_next_one_begins() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::High));
    down.forward(&packet(Layer::High, 1, KEY, now)).unwrap();
    down.cut();
    assert!(down.forward(&packet(Layer::High, 2, DELTA, now)).is_some(), "it is the one that is wanted");
    down.set_target(Some(Layer::Low));
    assert!(down.forward(&packet(Layer::High, 3, DELTA, now)).is_some(), "it goes on until the other begins");
    down.cut();
    assert_eq!(down.forward(&packet(Layer::High, 4, DELTA, now)), None);
    assert_eq!(down.wants_keyframe(), Some(Layer::Low));
    assert_eq!(down.forward(&packet(Layer::Low, 50, KEY, now)).unwrap().seq, 4);
}

#[test]
fn vp8_numbers_go_on_over_a_change_of_layer() {
    let now = Instant::now();
    // X, then I and L, a long picture id and a TL0PICIDX.
    let with =
        |id: u16, tl0: u8, key: bool| vec![0x90, 0xc0, 0x80 | (id >> 8) as u8, id as u8, tl0, u8::from(!key)];
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::Low));
    let first = down.forward(&packet(Layer::Low, 1, &with(0x7fff, 255, true), now)).unwrap().vp8.unwrap();
    assert_eq!((first.picture_id, first.tl0_pic_idx), (Some(0x7fff), Some(255)));
    down.set_target(Some(Layer::High));
    let next = down.forward(&packet(Layer::High, 1, &with(77, 3, true), now)).unwrap().vp8.unwrap();
    assert_eq!((next.picture_id, next.tl0_pic_idx), (Some(0), Some(0)));
    let after = down.forward(&packet(Layer::High, 2, &with(78, 4, false), now)).unwrap().vp8.unwrap();
    assert_eq!((after.picture_id, after.tl0_pic_idx), (Some(1), Some(1)));
}

#[test]
fn what_a_keyframe_lacks_has_room_in_front_of_it_where_a_subscriber_begins() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::H264);
    down.set_target(Some(Layer::Low));
    let key = |layer, seq| Incoming {
        lacks: 2,
        keyframe: true,
        payload: &[0x65, 0x88],
        ..packet(layer, seq, &[0x65, 0x88], now)
    };
    let first = down.forward(&key(Layer::Low, 500)).unwrap();
    assert_eq!((first.seq, first.free), (3, 2));
    let next = down.forward(&key(Layer::Low, 501)).unwrap();
    assert_eq!((next.seq, next.free), (4, 0), "it has them by now");
    down.set_target(Some(Layer::High));
    let other = down.forward(&key(Layer::High, 70)).unwrap();
    assert_eq!((other.seq, other.free), (7, 2), "another layer has its own");
}

#[test]
fn a_stream_in_the_place_of_another_one_goes_on_from_a_keyframe_under_new_numbers() {
    let now = Instant::now();
    let mut down = DownTrack::new(Codec::Vp8);
    down.set_target(Some(Layer::High));
    let at = |ms| now + Duration::from_millis(ms);
    let of = |ssrc, seq, payload, ms| Incoming { ssrc, ..packet(Layer::High, seq, payload, at(ms)) };
    for seq in 5000..5010 {
        let payload = if seq == 5000 { KEY } else { DELTA };
        assert!(down.forward(&of(1, seq, payload, seq - 5000)).is_some());
    }
    // Lower, higher, and among those that were used.
    for (ssrc, first) in [(2, 100), (3, 60_000), (4, 5005)] {
        let before = down.last.unwrap().seq;
        let ms = u64::from(ssrc) * 3000;
        assert_eq!(down.forward(&of(ssrc, first, DELTA, ms)), None);
        assert_eq!(down.wants_keyframe(), Some(Layer::High));
        assert_eq!(down.forward(&of(ssrc, first + 1, KEY, ms + 10)).unwrap().seq, before + 1);
        assert_eq!(down.forward(&of(ssrc, first + 2, DELTA, ms + 20)).unwrap().seq, before + 2);
        assert_eq!(down.forward(&of(ssrc - 1, 5010, KEY, ms + 30)), None, "late");
        assert_eq!(down.forward(&of(ssrc, first + 3, DELTA, ms + 40)).unwrap().seq, before + 3);
    }
    let mut sound = DownTrack::new(Codec::Opus);
    sound.set_target(Some(Layer::High));
    let of = |ssrc, seq| Incoming { keyframe: true, ..of(ssrc, seq, &[1], seq) };
    assert_eq!(sound.forward(&of(1, 700)).unwrap().seq, 1);
    assert_eq!(sound.forward(&of(2, 30)).unwrap().seq, 2);
    assert_eq!(sound.forward(&of(2, 31)).unwrap().seq, 3);
}

#[test]
fn audio_starts_at_once() {
    let mut down = DownTrack::new(Codec::Opus);
    down.set_target(Some(Layer::High));
    assert_eq!(down.wants_keyframe(), None);
    let incoming = Incoming {
        layer: Layer::High,
        ssrc: 1,
        seq: 9,
        rtp: 1,
        payload: &[1],
        keyframe: true,
        lacks: 0,
        arrived: Instant::now(),
    };
    assert!(down.forward(&incoming).is_some());
}

proptest! {
    /// Whatever is lost, reordered, padded, switched or begun anew: no number is used for two packets, and per stream the order of
    /// numbers is the order of packets.
    #[test]
    fn numbers_are_unique_and_ordered(
        steps in proptest::collection::vec((0_usize..3, 0_u64..6, 0_u8..10, 0_usize..3), 1..400),
        anew in proptest::collection::vec(1_usize..400, 0..4),
    ) {
        let start = Instant::now();
        let mut down = DownTrack::new(Codec::Vp8);
        let mut base = [1_000_u64, 2_000_000, 65_530];
        let mut streams = [0, 1, 2];
        let mut sent: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut in_front: Vec<u64> = Vec::new();
        for (step, (layer, advance, what, target)) in steps.into_iter().enumerate() {
            if step % 17 == 0 {
                down.set_target((what != 9).then_some(Layer::ALL[target]));
            }
            if anew.contains(&step) {
                streams[layer] += 3;
                base[layer] = (base[layer] / 2).max(1_000);
            }
            base[layer] += 3;
            let (ssrc, seq) = (streams[layer], base[layer] + advance);
            if !seen.insert((ssrc, seq)) {
                continue;
            }
            let payload: &[u8] = match what { 0 => KEY, 1 => &[], _ => DELTA };
            let lacks = advance as u16 % 3;
            let arrived = start + Duration::from_millis(step as u64 * 5);
            let incoming = Incoming { lacks, ssrc, ..packet(Layer::ALL[layer], seq, payload, arrived) };
            if let Some(rewrite) = down.forward(&incoming) {
                let before = rewrite.seq - u64::from(rewrite.free)..rewrite.seq;
                let is_last = before.is_empty() || sent.range(before.start..).next().is_none();
                prop_assert!(is_last, "something was sent behind number {}", before.start);
                in_front.extend(before);
                prop_assert!(sent.insert(rewrite.seq, (ssrc, seq)).is_none(), "number {} used twice", rewrite.seq);
            }
        }
        prop_assert!(in_front.iter().all(|number| !sent.contains_key(number)), "a number used twice");
        prop_assert!(in_front.is_sorted_by(|one, next| one < next), "a number used twice");
        let all: Vec<_> = sent.values().collect();
        for pair in all.windows(2) {
            if pair[0].0 == pair[1].0 {
                prop_assert!(pair[0].1 < pair[1].1);
            }
        }
    }
}
