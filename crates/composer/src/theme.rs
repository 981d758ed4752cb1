//! What the recording looks like: colours, labels, placeholders, rounded corners. Paints sprites, places nothing.

use crate::{
    error::ComposeError,
    label::{self, Weight},
    layout::{Size, Tone},
    sprite::{Colour, Drawing, Sprite},
};

/// Colours of one tone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palette {
    /// Behind everything.
    pub background: Colour,
    /// Bars beside a picture that does not fill its tile.
    pub bars: Colour,
    /// A tile without a picture.
    pub placeholder: Colour,
    /// Behind a name.
    pub label: Colour,
    /// How much of the picture a label covers.
    pub label_opacity: f32,
    /// A name.
    pub text: Colour,
    /// The sign of a closed microphone.
    pub muted: Colour,
}

const DARK: Palette = Palette {
    background: Colour(0x12, 0x14, 0x19),
    bars: Colour(0x1c, 0x1f, 0x27),
    placeholder: Colour(0x22, 0x26, 0x30),
    label: Colour(0, 0, 0),
    label_opacity: 0.62,
    text: WHITE,
    muted: Colour(0xff, 0x6b, 0x6b),
};

const LIGHT: Palette = Palette {
    background: Colour(0xf5, 0xf6, 0xf8),
    bars: Colour(0xdf, 0xe2, 0xe8),
    placeholder: Colour(0xe4, 0xe7, 0xed),
    label: WHITE,
    label_opacity: 0.82,
    text: Colour(0x16, 0x19, 0x20),
    muted: Colour(0xc9, 0x2a, 0x2a),
};

/// The colours of a tone.
#[must_use]
pub fn palette(tone: Tone) -> &'static Palette {
    match tone {
        Tone::Dark => &DARK,
        Tone::Light => &LIGHT,
    }
}

const WHITE: Colour = Colour(0xff, 0xff, 0xff);
/// Behind initials; calm, and white is readable on all of them.
const AVATARS: [Colour; 8] = [
    Colour(0x4c, 0x6e, 0xf5),
    Colour(0x0c, 0x85, 0x99),
    Colour(0x7a, 0x4f, 0xc9),
    Colour(0xc2, 0x55, 0x2d),
    Colour(0x2b, 0x8a, 0x3e),
    Colour(0xb0, 0x3a, 0x76),
    Colour(0x5f, 0x6b, 0x7c),
    Colour(0x99, 0x6b, 0x14),
];

/// A sprite and where in its tile it goes (even pixels from the tile's top left).
#[derive(Debug, Clone)]
pub struct Placed {
    /// Pixels from the left.
    pub left: usize,
    /// Pixels from the top.
    pub top: usize,
    /// What.
    pub sprite: Sprite,
}

/// The label of a tile, in its lower left corner; `None` where the tile is too small for one or there is nothing to say.
pub fn name_label(name: &str, muted: bool, tile: Size, tone: Tone) -> Result<Option<Placed>, ComposeError> {
    let colours = palette(tone);
    if tile.width < 96 || tile.height < 64 {
        return Ok(None);
    }
    let letter = (tile.height / 24).clamp(12, 18);
    let (pad, height) = ((letter / 2) as f32, (letter * 17 / 10).next_multiple_of(2));
    let icon = if muted { letter as f32 * 1.25 } else { 0.0 };
    let margin = (letter / 2).next_multiple_of(2);
    let room = tile.width.saturating_sub(2 * margin + 2 * pad as u32 + icon as u32);
    let text = label::render(name, Weight::Medium, letter, room)?;
    if text.width == 0 && !muted {
        return Ok(None);
    }
    let width = text.width as f32 + 2.0 * pad + icon;
    let mut drawing = Drawing::new(width.ceil() as usize, height as usize);
    let (full_width, full_height) = (drawing.width() as f32, drawing.height() as f32);
    drawing.rounded(
        [0.0, 0.0, full_width, full_height],
        full_height * 0.35,
        colours.label,
        colours.label_opacity,
    );
    if muted {
        closed_microphone(
            &mut drawing,
            [pad + letter as f32 * 0.42, full_height / 2.0],
            letter as f32 * 1.05,
            colours,
        );
    }
    if text.width > 0 {
        // The mask is two letters high with the text at its top: the middle of a line is at 0.6 letters below its top.
        let top = (full_height / 2.0 - letter as f32 * 0.6).max(0.0).round() as usize;
        drawing.mask((pad + icon).round() as usize, top, &text, colours.text);
    }
    let sprite = drawing.finish();
    let top = (tile.height - margin) as usize - sprite.height();
    Ok(Some(Placed { left: margin as usize, top: top & !1, sprite }))
}

fn closed_microphone(drawing: &mut Drawing, [x, y]: [f32; 2], size: f32, colours: &Palette) {
    let thin = (size * 0.1).max(1.2);
    drawing.line([x, y - size * 0.27], [x, y - size * 0.02], size * 0.3, colours.muted, 1.0);
    drawing.arc([x, y - size * 0.02], size * 0.29, [0.0, std::f32::consts::PI], thin, colours.muted);
    drawing.line([x, y + size * 0.28], [x, y + size * 0.44], thin, colours.muted, 1.0);
    let slash = [[x - size * 0.38, y - size * 0.4], [x + size * 0.38, y + size * 0.4]];
    drawing.line(slash[0], slash[1], thin * 2.6, colours.label, 0.7);
    drawing.line(slash[0], slash[1], thin, colours.muted, 1.0);
}

/// The tile of a participant without a picture: initials on a disc.
pub fn placeholder(name: &str, tile: Size, tone: Tone) -> Result<Sprite, ComposeError> {
    let (width, height) = (tile.width as f32, tile.height as f32);
    let mut drawing = Drawing::new(tile.width as usize, tile.height as usize);
    drawing.rounded([0.0, 0.0, width, height], 0.0, palette(tone).placeholder, 1.0);
    let radius = (width.min(height) * 0.24).min(120.0);
    // In a small tile the label would cover the disc.
    let middle = if tile.height < 160 { height * 0.4 } else { height / 2.0 };
    let disc = [width / 2.0 - radius, middle - radius, 2.0 * radius, 2.0 * radius];
    drawing.rounded(disc, radius, avatar_colour(name), 1.0);
    let letter = (radius * 0.8) as u32;
    if letter >= 6 {
        let text = label::render(&initials(name), Weight::Bold, letter, (radius * 1.7) as u32)?;
        // A capital's middle is about 0.58 letters below the line's top.
        let (left, top) = (width / 2.0 - text.width as f32 / 2.0, middle - letter as f32 * 0.58);
        drawing.mask(left.max(0.0).round() as usize, top.max(0.0).round() as usize, &text, WHITE);
    }
    Ok(drawing.finish())
}

/// The four corners that make a tile look rounded.
#[must_use]
pub fn corners(tile: Size, tone: Tone) -> Vec<Placed> {
    let radius = (tile.height.min(tile.width) / 24).clamp(4, 14).next_multiple_of(2) as usize;
    let (right, bottom) = (tile.width as usize - radius, tile.height as usize - radius);
    let whole = radius as f32 * 2.0;
    [(0, 0), (right, 0), (0, bottom), (right, bottom)]
        .into_iter()
        .map(|(left, top)| {
            let mut drawing = Drawing::new(radius, radius);
            let x = if left == 0 { 0.0 } else { -(radius as f32) };
            let y = if top == 0 { 0.0 } else { -(radius as f32) };
            drawing.outside_rounded([x, y, whole, whole], radius as f32, palette(tone).background);
            Placed { left, top, sprite: drawing.finish() }
        })
        .collect()
}

fn avatar_colour(name: &str) -> Colour {
    // FNV-1a: the same name has the same colour in every recording.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // FNV's high bits hardly know the last letters, in which neighbours differ.
    AVATARS[((hash ^ (hash >> 17) ^ (hash >> 35)).wrapping_mul(0x9e37_79b1_85eb_ca87) >> 61) as usize]
}

/// The first letters of the first and last word.
fn initials(name: &str) -> String {
    let mut words = name
        .split(|c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.' | '@'))
        .filter(|word| !word.is_empty());
    let first = words.next().and_then(|word| word.chars().find(|c| c.is_alphanumeric()));
    let last = words.next_back().and_then(|word| word.chars().find(|c| c.is_alphanumeric()));
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn initials_are_of_the_first_and_last_word() {
        for (name, wanted) in [
            ("Ann Mary Lee", "AL"),
            ("bob", "B"),
            ("Participant42", "P"),
            ("李 明", "李明"),
            ("!!", ""),
            ("", ""),
        ] {
            assert_eq!(initials(name), wanted, "{name}");
        }
    }

    #[test]
    fn neighbours_have_different_colours() {
        let colours: std::collections::HashSet<_> = (0..8)
            .map(|number| avatar_colour(&format!("Participant{number}")))
            .map(|Colour(r, g, b)| (r, g, b))
            .collect();
        assert!(colours.len() >= 4, "{}", colours.len());
    }

    #[test]
    fn every_part_lies_inside_its_tile() {
        for tile in [
            Size { width: 128, height: 72 },
            Size { width: 628, height: 352 },
            Size { width: 1264, height: 704 },
        ] {
            let label = name_label(&"Someone with quite a long name ".repeat(9), true, tile, Tone::Dark)
                .unwrap()
                .unwrap();
            for placed in corners(tile, Tone::Light).into_iter().chain([label]) {
                assert!(placed.left + placed.sprite.width() <= tile.width as usize);
                assert!(placed.top + placed.sprite.height() <= tile.height as usize);
                assert!(placed.left % 2 == 0 && placed.top % 2 == 0);
            }
        }
    }
}
