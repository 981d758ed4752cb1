//! Draws names as recordings show them, to look at: `cargo run --example names -- OUT.ppm NAME...`

use std::io::Write as _;

use reelroom_composer::Size;
use reelroom_composer::layout::Tone;
use reelroom_composer::sprite::Sprite;
use reelroom_composer::theme::{name_label, placeholder};

const TILE: Size = Size { width: 320, height: 180 };
const COLUMNS: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: names OUT.ppm NAME...")?;
    let names: Vec<_> = arguments.collect();
    let rows = names.len().div_ceil(COLUMNS);
    let (width, height) = (TILE.width as usize * COLUMNS, TILE.height as usize * rows);
    let mut planes =
        [vec![16u8; width * height], vec![128; width * height / 4], vec![128; width * height / 4]];
    let mut draw = |sprite: &Sprite, left: usize, top: usize| {
        for (number, plane) in planes.iter_mut().enumerate() {
            sprite.blend(number, plane, if number == 0 { width } else { width / 2 }, left, top);
        }
    };
    for (number, name) in names.iter().enumerate() {
        let (left, top) = (number % COLUMNS * TILE.width as usize, number / COLUMNS * TILE.height as usize);
        draw(&placeholder(name, TILE, Tone::Dark)?, left, top);
        if let Some(label) = name_label(name, number % 2 == 1, TILE, Tone::Dark)? {
            draw(&label.sprite, left + label.left, top + label.top);
        }
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create(out)?);
    writeln!(file, "P6 {width} {height} 255")?;
    for y in 0..height {
        for x in 0..width {
            let chroma = y / 2 * (width / 2) + x / 2;
            let [luma, u, v] =
                [planes[0][y * width + x], planes[1][chroma], planes[2][chroma]].map(f32::from);
            let (luma, u, v) = (1.164 * (luma - 16.0), u - 128.0, v - 128.0);
            let rgb = [luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u];
            file.write_all(&rgb.map(|value| value.clamp(0.0, 255.0) as u8))?;
        }
    }
    Ok(())
}
