//! Text to coverage masks, in any script (`textrender`, i.e. Pango, shapes it).

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;

use crate::{elements::TEXT, error::ComposeError, filter::Filter, sprite::Mask};

/// Weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weight {
    /// For names.
    Medium,
    /// For initials.
    Bold,
}

/// Renders `text` on one line, `height_px` letters high, cut with an ellipsis where it would be wider than `max_width_px`.
/// An empty mask if nothing is to be seen of it.
pub fn render(text: &str, weight: Weight, height_px: u32, max_width_px: u32) -> Result<Mask, ComposeError> {
    // Names are data: control characters and newlines would change the line, not only its text.
    // Coloured emoji have no coverage mask; fonts without them show a box of hex digits. Direction is the text's own: marks that
    // turn it round could make one name look like another.
    let clean: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{fe00}'..='\u{fe0f}'))
        .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let clean = without_towers(&clean);
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if clean.is_empty() || max_width_px < 4 {
        return Ok(Mask::default());
    }
    // Nobody reads more of a name, and a hostile one must not cost more.
    let mut letters: Vec<char> = clean.chars().take(120).collect();
    let mut whole = letters.len() == clean.chars().count();
    loop {
        let mut line: String = letters.iter().collect();
        if !whole {
            line = format!("{}…", line.trim_end());
        }
        let mask = render_line(&line, weight, height_px, max_width_px + 64)?;
        if mask.width <= max_width_px as usize || letters.len() <= 1 {
            return Ok(mask);
        }
        let keep = (letters.len() * max_width_px as usize / mask.width).clamp(1, letters.len() - 1);
        letters.truncate(keep);
        whole = false;
    }
}

/// Letters carry three accents at most: a name must not cover the picture.
fn without_towers(text: &str) -> String {
    let mut accents = 0;
    let is_kept = |c: &char| {
        let is_accent = matches!(
            c,
            '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        );
        accents = if is_accent { accents + 1 } else { 0 };
        accents <= 3
    };
    text.chars().filter(is_kept).collect()
}

fn render_line(line: &str, weight: Weight, height_px: u32, width: u32) -> Result<Mask, ComposeError> {
    crate::filter::start()?;
    // Lines of some scripts are far higher than their letters, and textrender garbles what is higher than its frame.
    let (width, height) = (width.next_multiple_of(2), height_px * 4);
    let wanted = gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::Argb)
        .width(width as i32)
        .height(height as i32)
        .build();
    let weight = match weight {
        Weight::Medium => "Medium",
        Weight::Bold => "Bold",
    };
    let mut filter = Filter::new(TEXT.factory, TEXT.package, wanted, |element| {
        // The same Latin letters on every machine; what DejaVu lacks comes from whatever has it.
        element.set_property("font-desc", format!("DejaVu Sans, Sans {weight} {height_px}px"));
        element.set_property_from_str("halignment", "left");
        element.set_property_from_str("valignment", "top");
        element.set_property("xpad", 0i32);
        element.set_property("ypad", 0i32);
    })?;
    let caps = gst::Caps::builder("text/x-raw").field("format", "utf8").build();
    let mut buffer = gst::Buffer::from_slice(line.to_owned().into_bytes());
    {
        let buffer = buffer.get_mut().expect("a new buffer has one owner");
        buffer.set_pts(gst::ClockTime::ZERO);
        buffer.set_duration(gst::ClockTime::SECOND);
    }
    let caught =
        filter.push(buffer, &caps).map_err(|refused| ComposeError::element("textrender", refused))?;
    let Some(caught) = caught.into_iter().next() else { return Ok(Mask::default()) };
    let map = caught.buffer.map_readable().map_err(|error| ComposeError::element("textrender", error))?;
    // White text on nothing, premultiplied, with a dark outline: red is how much white there is.
    let (width, height) = (width as usize, height as usize);
    let coverage: Vec<u8> =
        map.chunks_exact(4).take(width * height).map(|pixel| pixel[1].min(pixel[0])).collect();
    let mask = trimmed(&coverage, width);
    let rows = (height_px as usize * 2).next_multiple_of(2);
    Ok(if line.chars().any(is_of_another_font) {
        centred(&mask, height_px, rows)
    } else {
        cut(&mask, 0, rows)
    })
}

/// DejaVu has the scripts up to Arabic, and Georgian; those of other fonts have base lines of their own.
fn is_of_another_font(c: char) -> bool {
    c >= '\u{700}' && !matches!(c, '\u{10a0}'..='\u{10ff}' | '\u{1e00}'..='\u{2bff}')
}

/// `rows` rows of a mask in which the ink is in the middle of where a line is, 0.6 letters below the top.
fn centred(mask: &Mask, height_px: u32, rows: usize) -> Mask {
    let inked: Vec<_> = mask
        .coverage
        .chunks_exact(mask.width.max(1))
        .enumerate()
        .filter(|(_, row)| row.iter().any(|coverage| *coverage > 24))
        .map(|(row, _)| row as isize)
        .collect();
    let (Some(top), Some(bottom)) = (inked.first(), inked.last()) else { return Mask::default() };
    cut(mask, (top + bottom) / 2 - (height_px * 6 / 10) as isize, rows)
}

/// `rows` rows of a mask from row `from` on; what lies outside is empty.
fn cut(mask: &Mask, from: isize, rows: usize) -> Mask {
    let row = |row: isize| {
        let start = usize::try_from(row).ok().map(|row| row * mask.width);
        start.and_then(|start| mask.coverage.get(start..start + mask.width))
    };
    let empty = vec![0; mask.width];
    let coverage = (0..rows as isize).flat_map(|at| row(from + at).unwrap_or(&empty).to_vec()).collect();
    Mask { width: mask.width, height: if mask.width == 0 { 0 } else { rows }, coverage }
}

/// Cuts off the empty columns on both sides. Rows stay: the base line must not depend on the letters.
fn trimmed(coverage: &[u8], width: usize) -> Mask {
    let rows = || coverage.chunks_exact(width);
    let inked = |x: &usize| rows().any(|row| row[*x] > 24);
    let Some(left) = (0..width).find(inked) else { return Mask::default() };
    let right = (0..width).rev().find(inked).map_or(width, |x| x + 1);
    Mask {
        width: right - left,
        height: coverage.len() / width,
        coverage: rows().flat_map(|row| row[left..right].iter().copied()).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_any_script_leave_ink() {
        for name in ["Ann", "Zoë Müller", "مريم", "שרה", "Αθηνά", "Ольга"] {
            let mask = render(name, Weight::Medium, 16, 300).unwrap();
            assert!(mask.width > 8 && mask.width < 200, "{name}: {}", mask.width);
            assert!(mask.coverage.iter().any(|c| *c > 200), "{name}");
        }
    }

    #[test]
    fn names_run_in_the_direction_of_their_script() {
        let text = |text: &str| render(text, Weight::Medium, 24, 400).unwrap();
        // The first letter of a Hebrew name is its rightmost one, so a longer name keeps the right edge of a shorter one.
        let (short, long) = (text("שר"), text("שרה"));
        let edge = |mask: &Mask, width: usize, right: bool| -> Vec<u8> {
            let from = if right { mask.width - width } else { 0 };
            mask.coverage.chunks_exact(mask.width).flat_map(|row| row[from..from + width].to_vec()).collect()
        };
        let alike =
            |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 64).count() < a.len() / 50;
        let width = short.width - 2;
        assert!(alike(&edge(&short, width, true), &edge(&long, width, true)));
        assert!(!alike(&edge(&short, width, false), &edge(&long, width, false)));
        let (short, long) = (text("An"), text("Ann"));
        let width = short.width - 2;
        assert!(alike(&edge(&short, width, false), &edge(&long, width, false)));
    }

    #[test]
    fn a_direction_mark_does_not_disguise_a_name() {
        let plain = render("abc", Weight::Medium, 16, 300).unwrap();
        assert_eq!(render("\u{202e}abc\u{202c}", Weight::Medium, 16, 300).unwrap(), plain);
    }

    #[test]
    fn long_names_are_cut_to_the_width() {
        let mask = render(&"long name ".repeat(100), Weight::Medium, 16, 120).unwrap();
        assert!(mask.width <= 120 && mask.width > 60, "{}", mask.width);
    }

    #[test]
    fn lines_of_every_script_lie_where_latin_ones_do() {
        let ink = |text: &str| {
            let mask = render(text, Weight::Medium, 20, 400).unwrap();
            let rows = mask.coverage.chunks_exact(mask.width);
            let inked: Vec<_> =
                rows.enumerate().filter(|(_, row)| row.iter().any(|c| *c > 128)).map(|(at, _)| at).collect();
            (mask.height, inked[0], inked[inked.len() - 1])
        };
        for name in ["Ann", "李明", "김한국", "สมชาย", "สุขา", "អោយ", "အောင်", "अमित", "அமில்", "ሰላም"]
        {
            let (height, top, bottom) = ink(name);
            assert_eq!(height, 40, "{name}");
            let middle = (top + bottom) / 2;
            assert!((8..=16).contains(&middle) && bottom < 32, "{name}: {top} to {bottom}");
        }
    }

    #[test]
    fn accents_do_not_make_towers() {
        let plain = render("e\u{301}\u{302}\u{303}", Weight::Medium, 16, 300).unwrap();
        let tower = format!("e\u{301}\u{302}\u{303}{}", "\u{301}".repeat(100));
        assert_eq!(render(&tower, Weight::Medium, 16, 300).unwrap(), plain);
    }

    #[test]
    fn nothing_to_see_is_an_empty_mask() {
        assert_eq!(render(" \n\t🎉", Weight::Bold, 16, 100).unwrap(), Mask::default());
    }
}
