use proptest::prelude::*;

use super::*;

const OPUS: u8 = 111;

/// A packet with the sound of packets before it, oldest first: ticks ago and bytes; then its own.
fn packet(redundant: &[(u32, &[u8])], own: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (ticks, block) in redundant {
        let bits = ticks << 10 | block.len() as u32;
        bytes.push(0x80 | OPUS);
        bytes.extend(&bits.to_be_bytes()[1..]);
    }
    bytes.push(OPUS);
    redundant.iter().for_each(|(_, block)| bytes.extend(*block));
    bytes.extend(own);
    bytes
}

#[test]
fn a_packet_has_its_own_sound_and_that_of_those_before_it() {
    let bytes = packet(&[(1920, b"older"), (960, b"old")], b"new");
    let blocks = Blocks::read(&bytes).unwrap();
    assert_eq!(blocks.own().of(&bytes), b"new");
    let before: Vec<_> = blocks
        .redundant()
        .map(|block| (block.packets_ago, block.ticks_ago, block.of(&bytes).to_vec()))
        .collect();
    assert_eq!(before, [(2, 1920, b"older".to_vec()), (1, 960, b"old".to_vec())]);
    let alone = packet(&[], b"new");
    let blocks = Blocks::read(&alone).unwrap();
    assert_eq!((blocks.own().of(&alone), blocks.redundant().count()), (&b"new"[..], 0));
    let empty = packet(&[(960, b"")], b"new");
    assert_eq!(Blocks::read(&empty).unwrap().redundant().count(), 0, "nothing is nothing");
    let mut foreign = packet(&[(960, b"old")], b"new");
    foreign[0] = 0x80 | 9;
    let blocks = Blocks::read(&foreign).unwrap();
    assert_eq!((blocks.own().of(&foreign), blocks.redundant().count()), (&b"new"[..], 0), "another codec's");
}

#[test]
fn what_is_cut_short_or_has_too_many_blocks_is_not_read() {
    let bytes = packet(&[(960, b"old")], b"");
    for len in 0..bytes.len() {
        assert!(Blocks::read(&bytes[..len]).is_none(), "{len} bytes");
    }
    let many = vec![(960, &b"x"[..]); RED_BLOCKS];
    assert!(Blocks::read(&packet(&many, b"new")).is_none());
    assert!(Blocks::read(&packet(&many[1..], b"new")).is_some());
}

/// What is given out of a track of which some packets are lost: numbers, in the order in which they are given out.
fn given_out(redundancy: u64, lost: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut recovery = Recovery::default();
    let mut out = Vec::new();
    for seq in 100..200_u64 {
        if lost(seq) {
            continue;
        }
        let rtp = (seq as u32).wrapping_mul(960).wrapping_sub(100_000);
        let older: Vec<(u32, &[u8])> =
            (1..=redundancy).rev().map(|ago| (ago as u32 * 960, &b"old"[..])).collect();
        let bytes = packet(&older, b"new");
        let blocks = Blocks::read(&bytes).unwrap();
        out.extend(
            blocks.redundant().filter_map(|block| recovery.recovers(&block, seq, rtp)).map(|(seq, _)| seq),
        );
        out.extend(recovery.give(seq, rtp).then_some(seq));
    }
    out
}

#[test]
fn lost_packets_are_given_out_in_their_places_once() {
    let all: Vec<u64> = (100..200).collect();
    assert_eq!(given_out(2, |_| false), all);
    assert_eq!(given_out(2, |seq| seq % 3 == 2), all, "one in three is lost");
    assert_eq!(given_out(2, |seq| seq % 10 >= 8 && seq < 190), all, "two in a row");
    let without: Vec<u64> = all.iter().copied().filter(|seq| *seq != 150).collect();
    assert_eq!(given_out(1, |seq| (150..152).contains(&seq)), without, "the older of two is gone");
}

#[test]
fn a_packet_that_comes_late_was_given_out_by_then() {
    let mut recovery = Recovery::default();
    let bytes = packet(&[(960, b"old")], b"new");
    let block = Blocks::read(&bytes).unwrap().redundant().next().unwrap();
    assert!(recovery.give(1, 960));
    assert_eq!(recovery.recovers(&block, 3, 2880), Some((2, 1920)));
    assert!(recovery.give(3, 2880));
    assert!(!recovery.give(2, 1920), "it comes after all");
    assert_eq!(recovery.recovers(&block, 1, 960), None, "from before the beginning");
    // Silence is not sent: the sound before it has another time than its number says.
    assert!(recovery.give(5, 96_000));
    assert_eq!(recovery.recovers(&Block { ticks_ago: 95_000, ..block }, 5, 96_000), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_blocks_lie_within(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        seqs in proptest::collection::vec((any::<u64>(), any::<u32>()), 0..20),
    ) {
        let mut recovery = Recovery::default();
        if let Some(blocks) = Blocks::read(&payload) {
            let own = blocks.own();
            prop_assert!(own.from <= own.to && own.to == payload.len());
            for block in blocks.redundant() {
                prop_assert!(block.from <= block.to && block.to <= own.from);
                for (seq, rtp) in &seqs {
                    recovery.recovers(&block, *seq, *rtp);
                    recovery.give(*seq, *rtp);
                }
            }
        }
    }
}
