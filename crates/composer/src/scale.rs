//! Scaling of 4:2:0 planes. Pure, whole numbers only: the same picture on every machine.
//!
//! ```text
//!   source rows ──> box of k x k ──> rows blended by height ──> columns blended by width ──> target row
//!                   (where less than half remains)
//! ```
//!
//! Bilinear between pixel centres, after averaging whole boxes where the picture shrinks to half or less: nothing is skipped, so
//! nothing flickers. Widths in the ratios 1, 2, 2/3, 1/2, 1/3 ... have loops of their own, in which the machine's vectors do the
//! work; [`fit`](crate::layout::fit) prefers those. The three loops that nearly all pictures of a call go through are there twice:
//! for every machine, and for those with wide vectors. Both give the same bytes.

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vectors are loaded, stored and used on machines that have them")]
mod avx2;
mod portable;

/// Weights are 128ths.
const ONE: u16 = 128;

/// The innermost loops.
#[derive(Debug, Clone, Copy)]
struct Loops {
    /// A row between two: the weight is the lower one's, neither 0 nor [`ONE`]. All rows have one length.
    blend: fn(upper: &[u8], lower: &[u8], weight: u16, out: &mut [u8]),
    /// The averages of two by two pixels: both rows are twice as long as the target.
    halve: fn(upper: &[u8], lower: &[u8], out: &mut [u8]),
    /// Two columns out of three: the row is at least half as long again as the target.
    two_thirds: fn(row: &[u8], out: &mut [u8]),
}

impl Loops {
    /// For every machine.
    const PORTABLE: Self =
        Self { blend: portable::blend, halve: portable::halve, two_thirds: portable::two_thirds };

    /// The fastest this machine has.
    fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(loops) = avx2::loops() {
            return loops;
        }
        Self::PORTABLE
    }
}

/// Scales one plane from one size to another, as often as wanted.
#[derive(Debug, Clone)]
pub struct Scaler {
    loops: Loops,
    target: [usize; 2],
    /// Width and height, in pixels, of the boxes that become one pixel before anything else.
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
            loops: Loops::of_this_machine(),
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
        if self.inner == self.target && matches!(self.boxes, [1, 1] | [2, 2]) {
            return self.whole(from, from_stride, to, to_stride);
        }
        for row in &mut self.boxed {
            row.0 = usize::MAX;
        }
        for y in 0..height {
            let (upper, weight) = self.rows[y];
            let lower = (upper + 1).min(inner_height - 1);
            let target = &mut to[y * to_stride..][..width];
            if self.boxes == [1, 1] {
                let row = |number: usize| &from[number * from_stride..][..inner_width];
                blend(&self.loops, row(upper), row(lower), weight, &mut self.blended);
            } else {
                for number in [upper, lower] {
                    // Rows are asked for in ascending order: of two neighbours each has its place.
                    let (known, row) = &mut self.boxed[number % 2];
                    if *known != number {
                        *known = number;
                        row.resize(inner_width, 0);
                        if self.boxes == [2, 2] {
                            let [one, two] = [0, 1]
                                .map(|index| &from[(2 * number + index) * from_stride..][..2 * inner_width]);
                            (self.loops.halve)(one, two, row);
                        } else {
                            average(from, from_stride, number, self.boxes, &mut self.sums, row);
                        }
                    }
                }
                let [upper, lower] = [upper, lower].map(|number| &self.boxed[number % 2].1);
                blend(&self.loops, upper, lower, weight, &mut self.blended);
            }
            self.columns.stretch(&self.loops, &self.blended, target);
        }
    }
}

impl Scaler {
    /// Where every target row is one source row, or made of two, nothing is kept in between.
    fn whole(&self, from: &[u8], from_stride: usize, to: &mut [u8], to_stride: usize) {
        let [width, height] = self.target;
        for y in 0..height {
            let target = &mut to[y * to_stride..][..width];
            if self.boxes == [1, 1] {
                target.copy_from_slice(&from[y * from_stride..][..width]);
            } else {
                let [upper, lower] = [2 * y, 2 * y + 1].map(|row| &from[row * from_stride..][..2 * width]);
                (self.loops.halve)(upper, lower, target);
            }
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

/// One row between two. Its last column stands there twice, because `columns` reads one column further.
fn blend(loops: &Loops, upper: &[u8], lower: &[u8], weight: u16, out: &mut Vec<u8>) {
    let width = upper.len();
    out.resize(width + 1, 0);
    match weight {
        0 => out[..width].copy_from_slice(upper),
        ONE => out[..width].copy_from_slice(lower),
        _ => (loops.blend)(upper, lower, weight, &mut out[..width]),
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
    sums: &mut Vec<u16>,
    out: &mut [u8],
) {
    let width = out.len();
    let row = |index: usize| &from[(number * down + index) * stride..][..width * across];
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

impl Columns {
    /// `row` has one column more than there are.
    fn stretch(&self, loops: &Loops, row: &[u8], out: &mut [u8]) {
        match self {
            Self::Same => out.copy_from_slice(&row[..out.len()]),
            Self::Double => double(row, out),
            Self::TwoThirds => (loops.two_thirds)(row, out),
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

    #[test]
    fn every_machine_makes_the_same_of_a_picture() {
        let noise = |count: usize, seed: usize| -> Vec<u8> {
            (0..count).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
        };
        let machine = Loops::of_this_machine();
        // Lengths on both sides of every whole vector.
        for width in (0..140).chain([320, 426, 428, 640]) {
            let (upper, lower) = (noise(2 * width + 1, width), noise(2 * width + 1, 7 * width + 3));
            let made = |work: &dyn Fn(&Loops, &mut [u8])| {
                [Loops::PORTABLE, machine].map(|loops| {
                    let mut out = vec![0; width];
                    work(&loops, &mut out);
                    out
                })
            };
            for weight in [1, 2, 32, 64, 96, 126, 127] {
                let rows = made(&|loops, out| (loops.blend)(&upper[..width], &lower[..width], weight, out));
                assert_eq!(rows[0], rows[1], "{width} blended by {weight}");
            }
            let rows = made(&|loops, out| (loops.halve)(&upper[..2 * width], &lower[..2 * width], out));
            assert_eq!(rows[0], rows[1], "{width} halved");
            let even = width / 2 * 2;
            let rows = made(&|loops, out| (loops.two_thirds)(&upper[..even / 2 * 3 + 1], &mut out[..even]));
            assert_eq!(rows[0], rows[1], "{even} out of three halves");
        }
        let white = [255; 200];
        let mut out = [0; 100];
        (machine.blend)(&white[..100], &white[..100], 1, &mut out);
        assert_eq!(out, [255; 100], "nothing overflows");
        (machine.halve)(&white, &white, &mut out);
        assert_eq!(out, [255; 100], "nothing overflows");
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
