//! Layouts: which rectangle of the canvas belongs to which tile. Pure.
//!
//! ```text
//!   grid, 3 tiles            grid, one of them large (screen share)
//!   ┌───┐ ┌───┐              ┌─────────────┐ ┌──┐
//!   └───┘ └───┘              │             │ └──┘
//!      ┌───┐                 │             │ ┌──┐
//!      └───┘                 └─────────────┘ └──┘
//! ```
//!
//! Invariants: rectangles have even corners and sizes (4:2:0 chroma), lie inside the canvas and do not overlap; the same input
//! gives the same rectangles.

/// Space between tiles and around them, pixels.
pub const GAP_PX: u32 = 8;

/// How the participants are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// Everybody the same size; screen shares large, everybody else beside them.
    #[default]
    Grid,
}

impl Layout {
    /// The layout of that LiveKit name (`grid`, also with a `-light` or `-dark` ending). An unknown or empty name is the grid,
    /// so that a recording asked for with a layout of another server still comes out.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let bare = name.trim_end_matches("-light").trim_end_matches("-dark");
        if !matches!(bare, "" | "grid") {
            tracing::debug!(layout = name, "unknown layout, taking the grid");
        }
        Self::Grid
    }

    /// The rectangles of `tiles`, in their order.
    #[must_use]
    pub fn arrange(self, canvas: Size, tiles: &[TileShape]) -> Vec<Rect> {
        match self {
            Self::Grid => grid(canvas, tiles),
        }
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
    /// Wants the large place (a shared screen).
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

/// A picture within this part of an exact 1:1, 2:1 or 3:1 scale is cropped to it: exact scales are sharper and almost free.
const SNAP: f64 = 0.05;

/// Crops begin at multiples of this.
const CROP_STEP_PX: u32 = 16;

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
    let scale = [1.0, 0.5, 1.0 / 3.0]
        .into_iter()
        .find(|nice| *nice >= cover && *nice <= cover * (1.0 + SNAP))
        .unwrap_or(cover);
    let width = even((tw / scale).round() as u32).clamp(2, source.width.max(2));
    let height = even((th / scale).round() as u32).clamp(2, source.height.max(2));
    Fit {
        source: Rect {
            // GStreamer's vector code reads whole vectors: a crop must begin on one, in the chroma planes too.
            x: source.width.saturating_sub(width) / 2 / CROP_STEP_PX * CROP_STEP_PX,
            y: even(source.height.saturating_sub(height) / 2),
            width,
            height,
        },
        target: Rect { x: 0, y: 0, width: tile.width, height: tile.height },
    }
}

fn grid(canvas: Size, tiles: &[TileShape]) -> Vec<Rect> {
    let whole = Rect { x: 0, y: 0, width: canvas.width, height: canvas.height };
    let large = tiles.iter().filter(|tile| tile.large).count();
    let small = tiles.len() - large;
    if let [_] = tiles {
        let (width, height) = (even(canvas.width - 2 * GAP_PX), even(canvas.height - 2 * GAP_PX));
        return vec![Rect { x: GAP_PX, y: GAP_PX, width, height }];
    }
    if large == 0 || small == 0 {
        return even_grid(whole, tiles.len());
    }
    let stage_width = even(canvas.width * 25 / 32);
    let stage = Rect { width: stage_width, ..whole };
    // The strip starts where the stage's right margin ends, so that the gap between them is not doubled.
    let strip_x = stage_width - GAP_PX;
    let strip = Rect { x: strip_x, width: canvas.width - strip_x, ..whole };
    let alone = Rect {
        x: GAP_PX,
        y: GAP_PX,
        width: even(stage_width - 2 * GAP_PX),
        height: even(canvas.height - 2 * GAP_PX),
    };
    let mut stage_places = if large == 1 { vec![alone] } else { even_grid(stage, large) }.into_iter();
    let mut strip_places = even_grid(strip, small).into_iter();
    tiles
        .iter()
        .map(|tile| if tile.large { stage_places.next() } else { strip_places.next() })
        .map(|place| place.expect("as many places were made as tiles were counted"))
        .collect()
}

/// `count` equal 16:9 tiles, as large as possible, rows centred.
fn even_grid(area: Rect, count: usize) -> Vec<Rect> {
    let count = count as u32;
    if count == 0 {
        return Vec::new();
    }
    let tile_for = |columns: u32| {
        let rows = count.div_ceil(columns);
        let max_width = area.width.saturating_sub(GAP_PX * (columns + 1)) / columns;
        let max_height = area.height.saturating_sub(GAP_PX * (rows + 1)) / rows;
        let width = max_width.min(max_height * 16 / 9);
        Size { width: even(width).max(2), height: even(max_height.min(width * 9 / 16 + 1)).max(2) }
    };
    let columns =
        (1..=count).max_by_key(|columns| (tile_for(*columns).width, u32::MAX - columns)).unwrap_or(1);
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
