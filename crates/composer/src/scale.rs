//! Scaling of 4:2:0 planes. Pure, whole numbers only: the same picture on every machine.
//!
//! ```text
//!   source rows ──> box of k x k ──> rows blended by height ──> columns blended by width ──> target row
//!                   (where less than half remains)
//! ```
//!
//! Bilinear between pixel centres, after averaging whole boxes where the picture shrinks to half or less: nothing is skipped, so
//! nothing flickers. Widths in the ratios 1, 2, 2/3, 1/2, 1/3 ... have loops of their own, in which the machine's vectors do the
//! work; [`fit`](crate::layout::fit) prefers those.

/// Weights are 128ths.
const ONE: u16 = 128;

/// Scales one plane from one size to another, as often as wanted.
#[derive(Debug, Clone)]
pub struct Scaler {
    target: [usize; 2],
    /// Boxes of so many pixels become one, before anything else.
    boxes: [usize; 2],
    /// Size after the boxes.
    inner: [usize; 2],
    columns: Columns,
    /// For each target row, the upper one of two inner rows and the lower one's weight.
    rows: Vec<(usize, u16)>,
    /// The last two rows made of boxes, with their numbers.
    boxed: [(usize, Vec<u8>); 2],
    blended: Vec<u8>,
    sums: Vec<u16>,
}

/// How target columns come out of inner ones.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Columns {
    Same,
    Double,
    TwoThirds,
    /// For each target column, the left one of two inner columns and the right one's weight.
    Any(Vec<(u32, u16)>),
}

impl Scaler {
    /// From `source` to `target`, each width and height; none of them zero.
    #[must_use]
    pub fn new(source: [usize; 2], target: [usize; 2]) -> Self {
        let boxes = [0, 1].map(|axis| (source[axis] / target[axis]).clamp(1, 16));
        let inner = [0, 1].map(|axis| (source[axis] / boxes[axis]).max(1));
        let columns = match (inner[0], target[0]) {
            (from, to) if from == to => Columns::Same,
            (from, to) if from * 2 == to => Columns::Double,
            (from, to) if from * 2 == to * 3 => Columns::TwoThirds,
            (from, to) => Columns::Any(
                places(from, to).into_iter().map(|(index, weight)| (index as u32, weight)).collect(),
            ),
        };
        Self {
            target,
            boxes,
            inner,
            columns,
            rows: places(inner[1], target[1]),
            boxed: [(usize::MAX, Vec::new()), (usize::MAX, Vec::new())],
            blended: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Scales `from` (rows `from_stride` apart) into `to` (rows `to_stride` apart).
    pub fn run(&mut self, from: &[u8], from_stride: usize, to: &mut [u8], to_stride: usize) {
        let [width, height] = self.target;
        let [inner_width, inner_height] = self.inner;
        for row in &mut self.boxed {
            row.0 = usize::MAX;
        }
        for y in 0..height {
            let (upper, weight) = self.rows[y];
            let lower = (upper + 1).min(inner_height - 1);
            let target = &mut to[y * to_stride..][..width];
            if self.boxes == [1, 1] {
                let row = |number: usize| &from[number * from_stride..][..inner_width];
                blend(row(upper), row(lower), weight, &mut self.blended);
            } else {
                for number in [upper, lower] {
                    // Rows are asked for in ascending order: of two neighbours each has its place.
                    let (known, row) = &mut self.boxed[number % 2];
                    if *known != number {
                        *known = number;
                        average(from, from_stride, number, self.boxes, inner_width, &mut self.sums, row);
                    }
                }
                blend(&self.boxed[upper % 2].1, &self.boxed[lower % 2].1, weight, &mut self.blended);
            }
            self.columns.stretch(&self.blended, target);
        }
    }
}

/// For each of `to` places, the first of two neighbours among `from` and the weight of the second.
fn places(from: usize, to: usize) -> Vec<(usize, u16)> {
    (0..to)
        .map(|place| {
            // Twice the centre's position, in `to`ths of a neighbour.
            let twice = ((2 * place + 1) * from).saturating_sub(to);
            let (index, rest) = (twice / (2 * to), twice % (2 * to));
            let weight = ((rest * usize::from(ONE) + to) / (2 * to)) as u16;
            if index + 1 < from {
                (index, weight)
            } else if from > 1 {
                (from - 2, ONE)
            } else {
                (0, 0)
            }
        })
        .collect()
}

/// One row between two, with a last column twice for who looks one further.
fn blend(upper: &[u8], lower: &[u8], weight: u16, out: &mut Vec<u8>) {
    let width = upper.len();
    out.resize(width + 1, 0);
    match weight {
        0 => out[..width].copy_from_slice(upper),
        ONE => out[..width].copy_from_slice(lower),
        _ => {
            for ((out, upper), lower) in out[..width].iter_mut().zip(upper).zip(&lower[..width]) {
                *out = mixed(*upper, *lower, weight);
            }
        }
    }
    out[width] = out[width - 1];
}

#[inline(always)]
fn mixed(first: u8, second: u8, weight: u16) -> u8 {
    ((u16::from(first) * (ONE - weight) + u16::from(second) * weight + ONE / 2) >> 7) as u8
}

/// Row `number` of the averages of boxes.
fn average(
    from: &[u8],
    stride: usize,
    number: usize,
    [across, down]: [usize; 2],
    width: usize,
    sums: &mut Vec<u16>,
    out: &mut Vec<u8>,
) {
    out.resize(width, 0);
    let row = |index: usize| &from[(number * down + index) * stride..][..width * across];
    if (across, down) == (2, 2) {
        return halve(row(0), row(1), out);
    }
    sums.clear();
    sums.resize(width * across, 0);
    for index in 0..down {
        for (sum, value) in sums.iter_mut().zip(row(index)) {
            *sum += u16::from(*value);
        }
    }
    let share = 65_536 / (across * down) as u32;
    match across {
        1 => gather::<1>(sums, share, out),
        2 => gather::<2>(sums, share, out),
        3 => gather::<3>(sums, share, out),
        4 => gather::<4>(sums, share, out),
        _ => {
            for (out, sums) in out.iter_mut().zip(sums.chunks_exact(across)) {
                *out = part(sums.iter().map(|sum| u32::from(*sum)).sum(), share);
            }
        }
    }
}

/// Averages of `N` neighbours each.
fn gather<const N: usize>(sums: &[u16], share: u32, out: &mut [u8]) {
    for (out, sums) in out.iter_mut().zip(sums.as_chunks::<N>().0) {
        *out = part(sums.iter().map(|sum| u32::from(*sum)).sum(), share);
    }
}

/// A sum's part of one pixel, in 65536ths.
fn part(sum: u32, share: u32) -> u8 {
    ((sum * share + 32_768) >> 16).min(255) as u8
}

/// The averages of two by two pixels, four at a time in the lanes of a word.
fn halve(upper: &[u8], lower: &[u8], out: &mut [u8]) {
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

/// Two columns out of one, in blocks: first the left ones and the right ones, then both in turn.
fn double(row: &[u8], out: &mut [u8]) {
    const BLOCK: usize = 128;
    let (mut left, mut right) = ([0u8; BLOCK], [0u8; BLOCK]);
    let width = out.len() / 2;
    for from in (0..width).step_by(BLOCK) {
        let to = (from + BLOCK).min(width);
        let (left, right) = (&mut left[..to - from], &mut right[..to - from]);
        let here = &row[from..to];
        left[0] = mixed(row[from.saturating_sub(1)], here[0], 96);
        for ((left, before), here) in left[1..].iter_mut().zip(here).zip(&here[1..]) {
            *left = mixed(*before, *here, 96);
        }
        for ((right, here), after) in right.iter_mut().zip(here).zip(&row[from + 1..]) {
            *right = mixed(*here, *after, 32);
        }
        let pairs = out[2 * from..2 * to].as_chunks_mut::<2>().0;
        for ((pair, left), right) in pairs.iter_mut().zip(left).zip(right) {
            *pair = [*left, *right];
        }
    }
}

/// Two columns out of three, four out of six at a time in the lanes of a word.
fn two_thirds(row: &[u8], out: &mut [u8]) {
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

impl Columns {
    /// `row` has one column more than there are.
    fn stretch(&self, row: &[u8], out: &mut [u8]) {
        match self {
            Self::Same => out.copy_from_slice(&row[..out.len()]),
            Self::Double => double(row, out),
            Self::TwoThirds => two_thirds(row, out),
            Self::Any(places) => {
                for (out, (index, weight)) in out.iter_mut().zip(places) {
                    let index = *index as usize;
                    let pair = &row[index..index + 2];
                    *out = mixed(pair[0], pair[1], *weight);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scaled(from: &[u8], source: [usize; 2], target: [usize; 2]) -> Vec<u8> {
        let mut to = vec![0; target[0] * target[1]];
        Scaler::new(source, target).run(from, source[0], &mut to, target[0]);
        to
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let from: Vec<u8> = (0..48).collect();
        assert_eq!(scaled(&from, [8, 6], [8, 6]), from);
    }

    #[test]
    fn half_is_the_average_of_four() {
        assert_eq!(scaled(&[0, 10, 200, 100, 20, 30, 0, 101], [4, 2], [2, 1]), [15, 100]);
        // Also where several are done at once.
        let from: Vec<u8> = (0..2 * 26u32).map(|i| (i * 91 % 256) as u8).collect();
        let wanted: Vec<u8> = (0..13)
            .map(|x| {
                let sum: u32 =
                    [2 * x, 2 * x + 1, 26 + 2 * x, 27 + 2 * x].iter().map(|i| u32::from(from[*i])).sum();
                ((sum + 2) / 4) as u8
            })
            .collect();
        assert_eq!(scaled(&from, [26, 2], [13, 1]), wanted);
    }

    #[test]
    fn a_third_is_the_average_of_nine() {
        assert_eq!(scaled(&[9, 0, 0, 0, 0, 0, 0, 0, 90], [3, 3], [1, 1]), [11]);
    }

    #[test]
    fn double_and_two_thirds_lie_between_their_neighbours() {
        assert_eq!(scaled(&[0, 128], [2, 1], [4, 1]), [0, 32, 96, 128]);
        assert_eq!(scaled(&[0, 40, 80], [3, 1], [2, 1]), [10, 70]);
    }

    #[test]
    fn the_loops_of_their_own_do_what_the_general_one_does() {
        let from: Vec<u8> = (0..300u32).map(|i| (i * 37 % 256) as u8).collect();
        for (source, target) in [
            ([9, 10], [6, 10]),
            ([9, 10], [18, 10]),
            ([45, 2], [30, 2]),
            ([42, 2], [28, 2]),
            ([300, 1], [600, 1]),
        ] {
            let mut general = Scaler::new(source, target);
            general.columns = Columns::Any(
                places(source[0], target[0]).into_iter().map(|(i, weight)| (i as u32, weight)).collect(),
            );
            let mut to = vec![0; target[0] * target[1]];
            general.run(&from, source[0], &mut to, target[0]);
            assert_eq!(scaled(&from, source, target), to);
        }
    }

    proptest! {
        #[test]
        fn a_flat_colour_stays_and_nothing_leaves_the_range(
            sw in 1usize..70, sh in 1usize..70, tw in 1usize..70, th in 1usize..70, low in 0u8..100, seed in any::<u32>()
        ) {
            prop_assert!(scaled(&vec![low; sw * sh], [sw, sh], [tw, th]).iter().all(|value| *value == low));
            let noisy: Vec<u8> = (0..sw * sh).map(|i| low + ((i as u32).wrapping_mul(seed | 1) >> 25) as u8).collect();
            let (least, most) = (*noisy.iter().min().unwrap_or(&0), *noisy.iter().max().unwrap_or(&0));
            for value in scaled(&noisy, [sw, sh], [tw, th]) {
                prop_assert!(value >= least && value <= most);
            }
        }
    }
}
