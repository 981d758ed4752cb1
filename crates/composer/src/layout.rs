//! Layouts: which rectangle of the canvas belongs to which tile. Pure.
//!
//! ```text
//!   nobody large, 3 tiles    one of them large        the same, upright
//!   ┌───┐ ┌───┐              ┌─────────────┐ ┌──┐     ┌───────┐
//!   └───┘ └───┘              │             │ └──┘     │       │
//!      ┌───┐                 │             │ ┌──┐     └───────┘
//!      └───┘                 └─────────────┘ └──┘     ┌──┐ ┌──┐
//! ```
//!
//! Which tile is large is the [timeline](crate::timeline)'s choice. Invariants: rectangles have even corners and sizes (4:2:0
//! chroma), lie inside the canvas and do not overlap; the same input gives the same rectangles.

/// Space between tiles and around them, pixels.
pub const GAP_PX: u32 = 8;

/// No more tiles are shown at once.
pub const MAX_TILES: usize = 49;

/// How the participants are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Layout {
    /// Who is shown how large.
    pub arrangement: Arrangement,
    /// Dark or light.
    pub tone: Tone,
}

/// Who is shown how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Arrangement {
    /// Everybody the same size; shared screens large, everybody else beside them.
    #[default]
    Grid,
    /// Who speaks, or a shared screen, large; everybody else beside them.
    Speaker,
    /// Only who speaks, or a shared screen.
    SingleSpeaker,
}

/// Colours of everything that is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tone {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

impl Layout {
    /// The layout of that LiveKit name: `grid`, `speaker` or `single-speaker`, also with a `-light` or `-dark` ending. An unknown or
    /// empty name is the grid (light if it ends so), so that a recording asked for with a layout of another server still comes out.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let (bare, tone) = match name.strip_suffix("-light") {
            Some(bare) => (bare, Tone::Light),
            None => (name.strip_suffix("-dark").unwrap_or(name), Tone::Dark),
        };
        let arrangement = match bare {
            "" | "grid" => Arrangement::Grid,
            "speaker" => Arrangement::Speaker,
            "single-speaker" => Arrangement::SingleSpeaker,
            _ => {
                tracing::debug!(layout = name, "unknown layout, taking the grid");
                Arrangement::Grid
            }
        };
        Self { arrangement, tone }
    }
}

/// Width and height, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A rectangle of the canvas, pixels from the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Rect {
    /// Its size.
    #[must_use]
    pub fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }
}

/// What a layout must know of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TileShape {
    /// Gets a large place.
    pub large: bool,
}

/// How a picture is laid into a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The part of the source that is shown.
    pub source: Rect,
    /// Where in the tile it goes, relative to the tile.
    pub target: Rect,
}

/// A camera may lose this part of its picture to fill its tile; above that it gets bars.
const MAX_CROP: f64 = 0.4;

/// A picture within this part of a simple scale is cropped to it: those are sharper and almost free.
const SNAP: f64 = 0.08;
/// The simple scales.
const SIMPLE: [f64; 6] = [2.0, 1.0, 2.0 / 3.0, 0.5, 1.0 / 3.0, 0.25];

/// Lays a `source` picture into a `tile`. `whole` pictures (shared screens) are never cropped.
#[must_use]
pub fn fit(source: Size, tile: Size, whole: bool) -> Fit {
    let (sw, sh) = (f64::from(source.width), f64::from(source.height));
    let (tw, th) = (f64::from(tile.width), f64::from(tile.height));
    let cover = (tw / sw).max(th / sh);
    let kept = (tw / cover / sw) * (th / cover / sh);
    if whole || kept < 1.0 - MAX_CROP {
        let scale = (tw / sw).min(th / sh);
        let width = even((sw * scale).round() as u32).clamp(2, tile.width);
        let height = even((sh * scale).round() as u32).clamp(2, tile.height);
        return Fit {
            source: Rect { x: 0, y: 0, width: source.width, height: source.height },
            target: Rect {
                x: even((tile.width - width) / 2),
                y: even((tile.height - height) / 2),
                width,
                height,
            },
        };
    }
    let scale =
        SIMPLE.into_iter().find(|nice| *nice >= cover && *nice <= cover * (1.0 + SNAP)).unwrap_or(cover);
    let width = even((tw / scale).round() as u32).clamp(2, source.width.max(2));
    let height = even((th / scale).round() as u32).clamp(2, source.height.max(2));
    Fit {
        source: Rect {
            x: even(source.width.saturating_sub(width) / 2),
            y: even(source.height.saturating_sub(height) / 2),
            width,
            height,
        },
        target: Rect { x: 0, y: 0, width: tile.width, height: tile.height },
    }
}

/// The rectangles of `tiles`, in their order. Large ones share the stage, the others the strip beside or below it.
#[must_use]
pub fn arrange(canvas: Size, tiles: &[TileShape]) -> Vec<Rect> {
    let whole = Rect { x: 0, y: 0, width: canvas.width, height: canvas.height };
    let large = tiles.iter().filter(|tile| tile.large).count();
    let small = tiles.len() - large;
    if let [_] = tiles {
        return vec![inner(whole)];
    }
    if large == 0 || small == 0 {
        return even_grid(whole, tiles.len());
    }
    let share = strip_share(small);
    // The strip starts where the stage's margin ends, so that the gap between them is not doubled.
    let (stage, strip) = if upright(whole) {
        let height = even(canvas.height * (32 - share) / 32);
        let y = height - GAP_PX;
        (Rect { height, ..whole }, Rect { y, height: canvas.height - y, ..whole })
    } else {
        let width = even(canvas.width * (32 - share) / 32);
        let x = width - GAP_PX;
        (Rect { width, ..whole }, Rect { x, width: canvas.width - x, ..whole })
    };
    let mut stage_places = if large == 1 { vec![inner(stage)] } else { even_grid(stage, large) }.into_iter();
    let mut strip_places = even_grid(strip, small).into_iter();
    tiles
        .iter()
        .map(|tile| if tile.large { stage_places.next() } else { strip_places.next() })
        .map(|place| place.expect("as many places were made as tiles were counted"))
        .collect()
}

/// The strip's part of the canvas, in 32nds: more for a crowd, so that faces stay visible.
fn strip_share(tiles: usize) -> u32 {
    match tiles {
        0..=6 => 7,
        7..=16 => 10,
        _ => 14,
    }
}

fn upright(area: Rect) -> bool {
    area.height > area.width
}

/// The whole area but its margins.
fn inner(area: Rect) -> Rect {
    let (width, height) = (even(area.width - 2 * GAP_PX), even(area.height - 2 * GAP_PX));
    Rect { x: area.x + GAP_PX, y: area.y + GAP_PX, width, height }
}

/// `count` equal tiles, as large as possible, rows centred. They are 16:9; in an upright area they may be higher, up to what a
/// camera can fill without losing too much.
fn even_grid(area: Rect, count: usize) -> Vec<Rect> {
    let count = count as u32;
    if count == 0 {
        return Vec::new();
    }
    let highest = |width: u32| if upright(area) { width * 7 / 8 } else { width * 9 / 16 + 1 };
    let tile_for = |columns: u32| {
        let rows = count.div_ceil(columns);
        let max_width = area.width.saturating_sub(GAP_PX * (columns + 1)) / columns;
        let max_height = area.height.saturating_sub(GAP_PX * (rows + 1)) / rows;
        let width = max_width.min(max_height * 16 / 9);
        // Four pixels out of six and two out of three, in colour too: the simple scales are exact.
        let width = (width & !3).max(4);
        Size { width, height: even(max_height.min(highest(width))).max(2) }
    };
    let columns = (1..=count)
        .max_by_key(|columns| {
            let tile = tile_for(*columns);
            (tile.width * tile.height, u32::MAX - columns)
        })
        .unwrap_or(1);
    let tile = tile_for(columns);
    let rows = count.div_ceil(columns);
    let used_height = rows * tile.height + (rows - 1) * GAP_PX;
    let top = area.y + (area.height.saturating_sub(used_height)) / 2;
    (0..count)
        .map(|index| {
            let (row, column) = (index / columns, index % columns);
            let in_row = columns.min(count - row * columns);
            let used_width = in_row * tile.width + (in_row - 1) * GAP_PX;
            let left = area.x + area.width.saturating_sub(used_width) / 2;
            Rect {
                x: even(left + column * (tile.width + GAP_PX)),
                y: even(top + row * (tile.height + GAP_PX)),
                width: tile.width,
                height: tile.height,
            }
        })
        .collect()
}

fn even(value: u32) -> u32 {
    value & !1
}

#[cfg(test)]
mod tests;
