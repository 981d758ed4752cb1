//! The innermost loops for every machine: words of eight bytes, and what the compiler makes of plain loops.

use super::mixed;

/// See [`Loops::blend`](super::Loops).
pub(super) fn blend(upper: &[u8], lower: &[u8], weight: u16, out: &mut [u8]) {
    for ((out, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
        *out = mixed(*upper, *lower, weight);
    }
}

/// The averages of two by two pixels, four at a time in the lanes of a word.
pub(super) fn halve(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
    let (mut words, mut fours) = (upper.chunks_exact(8).zip(lower.chunks_exact(8)), out.chunks_exact_mut(4));
    for ((upper, lower), out) in (&mut words).zip(&mut fours) {
        let (upper, lower) = (word(upper), word(lower));
        let sum = (upper & EVEN) + (upper >> 8 & EVEN) + (lower & EVEN) + (lower >> 8 & EVEN);
        let lanes = (sum + 0x0002_0002_0002_0002) >> 2 & EVEN;
        out.copy_from_slice(&packed(lanes).to_le_bytes());
    }
    let done = out.len() / 4 * 4;
    for (index, out) in out.iter_mut().enumerate().skip(done) {
        let [a, b, c, d] = [upper[2 * index], upper[2 * index + 1], lower[2 * index], lower[2 * index + 1]];
        *out = ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) >> 2) as u8;
    }
}

/// Two columns out of three, four out of six at a time in the lanes of a word.
pub(super) fn two_thirds(row: &[u8], out: &mut [u8]) {
    let mut done = 0;
    // A word has two bytes more than are used.
    let words = row.windows(8).step_by(6);
    for (out, word) in out.chunks_exact_mut(4).zip(words) {
        let word = u64::from_le_bytes(word.try_into().expect("windows of eight"));
        let outer = word & 0xff_00ff | (word & 0xff00_0000) << 8 | (word & 0xff00_0000_0000) << 8;
        let middle =
            word >> 8 & 0xff | (word & 0xff00) << 8 | word & 0xff_0000_0000 | (word & 0xff_0000_0000) << 16;
        let lanes = (3 * outer + middle + 0x0002_0002_0002_0002) >> 2 & EVEN;
        out.copy_from_slice(&packed(lanes).to_le_bytes());
        done += 4;
    }
    let rest = out[done..].chunks_exact_mut(2).zip(row[done / 2 * 3..].chunks_exact(3));
    for (pair, three) in rest {
        pair[0] = mixed(three[0], three[1], 32);
        pair[1] = mixed(three[1], three[2], 96);
    }
}

/// Every other byte of a word.
const EVEN: u64 = 0x00ff_00ff_00ff_00ff;

/// The even bytes, side by side.
fn packed(lanes: u64) -> u32 {
    let pairs = (lanes | lanes >> 8) & 0x0000_ffff_0000_ffff;
    (pairs | pairs >> 16) as u32
}
