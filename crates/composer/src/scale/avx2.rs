//! The innermost loops for x86-64 with AVX2: 32 bytes at a time, the rest as everywhere.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_loadu_si256, _mm256_loadu2_m128i, _mm256_maddubs_epi16,
    _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use super::{Loops, ONE, portable};

/// Bytes in a vector.
const WIDE: usize = 32;
/// Two columns out of three: each half of a vector makes 8 of the first 12 of its 16 bytes.
const FROM: usize = 12;

/// The loops, where the machine has what they need.
pub(super) fn loops() -> Option<Loops> {
    is_x86_feature_detected!("avx2").then_some(Loops {
        // SAFETY, of all three: this machine has AVX2.
        blend: |upper, lower, weight, out| unsafe { blend(upper, lower, weight, out) },
        halve: |upper, lower, out| unsafe { halve(upper, lower, out) },
        two_thirds: |row, out| unsafe { two_thirds(row, out) },
    })
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; WIDE]) -> __m256i {
    // SAFETY: as many bytes are read as there are; they may lie anywhere.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Two times 16 bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn load_halves(low: &[u8; WIDE / 2], high: &[u8; WIDE / 2]) -> __m256i {
    // SAFETY: as many bytes are read as there are; they may lie anywhere.
    unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(value: __m256i, bytes: &mut [u8; WIDE]) {
    // SAFETY: as many bytes are written as there are; they may lie anywhere.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), value) }
}

#[target_feature(enable = "avx2")]
fn blend(upper: &[u8], lower: &[u8], weight: u16, out: &mut [u8]) {
    let width = out.len();
    let done = width / WIDE * WIDE;
    let ([uppers, lowers], outs) =
        ([upper, lower].map(|row| row[..done].as_chunks().0), out[..done].as_chunks_mut().0);
    // Weights are 1 to 127, so they are signed bytes, and no sum of two products leaves 15 bits.
    let weights = _mm256_set1_epi16((weight << 8 | (ONE - weight)).cast_signed());
    let half = _mm256_set1_epi16((ONE / 2).cast_signed());
    for ((upper, lower), out) in uppers.iter().zip(lowers).zip(outs) {
        let (upper, lower) = (load(upper), load(lower));
        let low = weighed::<7>(_mm256_unpacklo_epi8(upper, lower), weights, half);
        let high = weighed::<7>(_mm256_unpackhi_epi8(upper, lower), weights, half);
        store(_mm256_packus_epi16(low, high), out);
    }
    portable::blend(&upper[done..], &lower[done..], weight, &mut out[done..]);
}

#[target_feature(enable = "avx2")]
fn halve(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let done = out.len() / WIDE * WIDE;
    let [uppers, lowers] = [upper, lower].map(|row| row[..2 * done].as_chunks().0.as_chunks::<2>().0);
    for ((upper, lower), out) in uppers.iter().zip(lowers).zip(out[..done].as_chunks_mut().0) {
        let first = average(load(&upper[0]), load(&lower[0]));
        let second = average(load(&upper[1]), load(&lower[1]));
        store(in_order(first, second), out);
    }
    portable::halve(&upper[2 * done..], &lower[2 * done..], &mut out[done..]);
}

#[target_feature(enable = "avx2")]
fn two_thirds(row: &[u8], out: &mut [u8]) {
    // Pairs of an outer column and the middle one of three.
    let pairs = _mm256_setr_epi8(
        0, 1, 2, 1, 3, 4, 5, 4, 6, 7, 8, 7, 9, 10, 11, 10, 0, 1, 2, 1, 3, 4, 5, 4, 6, 7, 8, 7, 9, 10, 11, 10,
    );
    let weights = _mm256_set1_epi16(1 << 8 | 3);
    let two = _mm256_set1_epi16(2);
    let mut done = 0;
    let (targets, _) = out.as_chunks_mut();
    for (target, from) in targets.iter_mut().zip(row.windows(3 * FROM + WIDE / 2).step_by(4 * FROM)) {
        let first = _mm256_shuffle_epi8(load_halves(part(from, 0), part(from, 1)), pairs);
        let second = _mm256_shuffle_epi8(load_halves(part(from, 2), part(from, 3)), pairs);
        store(in_order(weighed::<2>(first, weights, two), weighed::<2>(second, weights, two)), target);
        done += WIDE;
    }
    portable::two_thirds(&row[done / 2 * 3..], &mut out[done..]);
}

/// Sixteen bytes from the `index`th twelve on.
#[inline(always)]
fn part(row: &[u8], index: usize) -> &[u8; WIDE / 2] {
    row[index * FROM..].first_chunk().expect("the window holds four of them")
}

/// Of each pair of bytes the weighed sum, rounded, without its last `BITS`.
#[target_feature(enable = "avx2")]
#[inline]
fn weighed<const BITS: i32>(pairs: __m256i, weights: __m256i, half: __m256i) -> __m256i {
    _mm256_srli_epi16::<BITS>(_mm256_add_epi16(_mm256_maddubs_epi16(pairs, weights), half))
}

/// The averages of two by two bytes.
#[target_feature(enable = "avx2")]
#[inline]
fn average(upper: __m256i, lower: __m256i) -> __m256i {
    let one = _mm256_set1_epi8(1);
    let sum = _mm256_add_epi16(_mm256_maddubs_epi16(upper, one), _mm256_maddubs_epi16(lower, one));
    _mm256_srli_epi16::<2>(_mm256_add_epi16(sum, _mm256_set1_epi16(2)))
}

/// Words of two vectors as bytes of one. Packing works on halves of vectors, so the quarters come out as 0, 2, 1, 3.
#[target_feature(enable = "avx2")]
#[inline]
fn in_order(first: __m256i, second: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(first, second))
}
