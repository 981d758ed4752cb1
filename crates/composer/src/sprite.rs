//! Small drawings with transparency (labels, placeholders, rounded corners) and blending them onto 4:2:0 pictures. Pure.
//!
//! A [`Drawing`] is painted once in RGBA by signed distances, turned into a [`Sprite`] with premultiplied Y, U, V and alpha
//! planes, and then blended as often as its tile is redrawn with one multiplication per sample.

/// A colour, 8 bits per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// Y, U, V in BT.601, limited range (ITU-R BT.601, 2.5.3).
    #[must_use]
    pub fn yuv(self) -> [u8; 3] {
        self.exact_yuv().map(|value| value.round() as u8)
    }

    fn exact_yuv(self) -> [f32; 3] {
        let [r, g, b] = [self.0, self.1, self.2].map(|value| f32::from(value) / 255.0);
        [
            16.0 + 65.481 * r + 128.553 * g + 24.966 * b,
            128.0 - 37.797 * r - 74.203 * g + 112.0 * b,
            128.0 + 112.0 * r - 93.786 * g - 18.214 * b,
        ]
    }
}

/// How much of each pixel is covered, 0 to 255, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// `width * height` values.
    pub coverage: Vec<u8>,
}

/// A picture being painted: premultiplied Y, U, V and alpha per pixel.
#[derive(Debug, Clone)]
pub struct Drawing {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

impl Drawing {
    /// A transparent drawing; the size is rounded up to even numbers.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        Self { width, height, pixels: vec![[0.0; 4]; width * height] }
    }

    /// Pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    fn paint(&mut self, colour: Colour, opacity: f32, coverage: impl Fn(f32, f32) -> f32) {
        let yuv = colour.exact_yuv();
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let (x, y) = ((index % self.width) as f32 + 0.5, (index / self.width) as f32 + 0.5);
            let alpha = (coverage(x, y) * opacity).clamp(0.0, 1.0);
            if alpha > 0.0 {
                over(pixel, yuv, alpha);
            }
        }
    }

    /// Paints a rectangle with round corners.
    pub fn rounded(&mut self, [x, y, width, height]: [f32; 4], radius: f32, colour: Colour, opacity: f32) {
        self.paint(colour, opacity, |px, py| {
            covered(rounded_distance([x, y, width, height], radius, px, py))
        });
    }

    /// Paints what lies outside a rectangle with round corners.
    pub fn outside_rounded(&mut self, [x, y, width, height]: [f32; 4], radius: f32, colour: Colour) {
        self.paint(colour, 1.0, |px, py| {
            1.0 - covered(rounded_distance([x, y, width, height], radius, px, py))
        });
    }

    /// Paints a line with round ends.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], thickness: f32, colour: Colour, opacity: f32) {
        self.paint(colour, opacity, |x, y| covered(line_distance(from, to, x, y) - thickness / 2.0));
    }

    /// Paints a circle's rim between two directions (clockwise from the right, radians).
    pub fn arc(
        &mut self,
        centre: [f32; 2],
        radius: f32,
        [from, to]: [f32; 2],
        thickness: f32,
        colour: Colour,
    ) {
        self.paint(colour, 1.0, |x, y| {
            let (dx, dy) = (x - centre[0], y - centre[1]);
            let angle = dy.atan2(dx).rem_euclid(std::f32::consts::TAU);
            let inside = angle >= from && angle <= to;
            let rim = ((dx * dx + dy * dy).sqrt() - radius).abs() - thickness / 2.0;
            if inside { covered(rim) } else { 0.0 }
        });
    }

    /// Paints a mask at a place.
    pub fn mask(&mut self, left: usize, top: usize, mask: &Mask, colour: Colour) {
        let yuv = colour.exact_yuv();
        for (y, row) in mask.coverage.chunks_exact(mask.width.max(1)).enumerate() {
            for (x, coverage) in row.iter().enumerate() {
                if *coverage > 0 && left + x < self.width && top + y < self.height {
                    over(
                        &mut self.pixels[(top + y) * self.width + left + x],
                        yuv,
                        f32::from(*coverage) / 255.0,
                    );
                }
            }
        }
    }

    /// The drawing, ready to be blended.
    #[must_use]
    pub fn finish(self) -> Sprite {
        let chroma = |channel: usize| -> Vec<u8> {
            let mut plane = Vec::with_capacity(self.pixels.len() / 4);
            for y in (0..self.height).step_by(2) {
                for x in (0..self.width).step_by(2) {
                    let at = y * self.width + x;
                    let sum: f32 = [at, at + 1, at + self.width, at + self.width + 1]
                        .into_iter()
                        .map(|index| self.pixels[index][channel])
                        .sum();
                    let scale = if channel == 3 { 255.0 } else { 1.0 };
                    plane.push((sum / 4.0 * scale).round() as u8);
                }
            }
            plane
        };
        Sprite {
            width: self.width,
            y: self.pixels.iter().map(|pixel| pixel[0].round() as u8).collect(),
            alpha: self.pixels.iter().map(|pixel| (pixel[3] * 255.0).round() as u8).collect(),
            u: chroma(1),
            v: chroma(2),
            chroma_alpha: chroma(3),
        }
    }
}

fn over(pixel: &mut [f32; 4], yuv: [f32; 3], alpha: f32) {
    for (channel, value) in pixel.iter_mut().zip(yuv.into_iter().chain([1.0])) {
        *channel = value * alpha + *channel * (1.0 - alpha);
    }
}

fn covered(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

fn rounded_distance([x, y, width, height]: [f32; 4], radius: f32, px: f32, py: f32) -> f32 {
    let dx = (px - x - width / 2.0).abs() - width / 2.0 + radius;
    let dy = (py - y - height / 2.0).abs() - height / 2.0 + radius;
    let outside = (dx.max(0.0).powi(2) + dy.max(0.0).powi(2)).sqrt();
    outside + dx.max(dy).min(0.0) - radius
}

fn line_distance([ax, ay]: [f32; 2], [bx, by]: [f32; 2], x: f32, y: f32) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(f32::EPSILON)).clamp(0.0, 1.0);
    ((x - ax - along * dx).powi(2) + (y - ay - along * dy).powi(2)).sqrt()
}

/// A drawing as premultiplied planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    width: usize,
    y: Vec<u8>,
    alpha: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    chroma_alpha: Vec<u8>,
}

impl Sprite {
    /// Pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.y.len() / self.width
    }

    /// Blends plane `plane` (0 = Y, 1 = U, 2 = V) onto a picture's plane with `stride` bytes per row. `left` and `top` are even,
    /// in pixels of the picture; the sprite must lie inside it.
    pub fn blend(&self, plane: usize, onto: &mut [u8], stride: usize, left: usize, top: usize) {
        let (values, alphas, shift) = match plane {
            0 => (&self.y, &self.alpha, 0),
            1 => (&self.u, &self.chroma_alpha, 1),
            _ => (&self.v, &self.chroma_alpha, 1),
        };
        let (width, left, top) = (self.width >> shift, left >> shift, top >> shift);
        for (row, (values, alphas)) in values.chunks_exact(width).zip(alphas.chunks_exact(width)).enumerate()
        {
            let at = (top + row) * stride + left;
            let target = &mut onto[at..at + width];
            for ((target, value), alpha) in target.iter_mut().zip(values).zip(alphas) {
                let rest = u32::from(*target) * (255 - u32::from(*alpha));
                // Exact division by 255 with rounding.
                let rest = (rest + 128 + ((rest + 128) >> 8)) >> 8;
                *target = value.saturating_add(rest as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_sprite_replaces_and_a_clear_one_keeps() {
        let mut drawing = Drawing::new(4, 2);
        drawing.rounded([0.0, 0.0, 2.0, 2.0], 0.0, Colour(255, 255, 255), 1.0);
        let sprite = drawing.finish();
        let mut plane = vec![50u8; 8];
        sprite.blend(0, &mut plane, 4, 0, 0);
        assert_eq!(plane, [235, 235, 50, 50, 235, 235, 50, 50]);
    }

    #[test]
    fn half_coverage_is_half_way() {
        let mut drawing = Drawing::new(2, 2);
        drawing.rounded([0.0, 0.0, 2.0, 2.0], 0.0, Colour(0, 0, 0), 0.5);
        let mut plane = vec![216u8; 4];
        drawing.finish().blend(0, &mut plane, 2, 0, 0);
        assert!(plane.iter().all(|value| value.abs_diff(116) <= 1), "{plane:?}");
    }

    #[test]
    fn grey_has_no_colour() {
        assert_eq!(Colour(128, 128, 128).yuv(), [126, 128, 128]);
        assert_eq!(Colour(255, 0, 0).yuv(), [81, 90, 240]);
    }
}
