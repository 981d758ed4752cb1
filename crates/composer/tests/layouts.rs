//! Who is to be seen where: layouts, presets, crowds, labels, placeholders, phones.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    BLUE, GREEN, MS, Person, RED, S, Shot, View, add_pictures, coded_pictures, halves, person, pictures,
    probe, rewatched, watched,
};
use reelroom_composer::{
    ComposeOptions, Layout, Preset, Size,
    layout::{TileShape, Tone, arrange},
    theme,
};
use reelroom_take::{Codec, Speaker, TakeEvent, TrackSource, testing::SyntheticTake};

/// Small and seldom: these tests look at places, not at quality.
fn small(layout: &str) -> ComposeOptions {
    let size = Size { width: 640, height: 360 };
    let preset = Preset { size, frames_per_second: 10, ..Preset::default() };
    ComposeOptions { layout: Some(Layout::parse(layout)), preset, ..ComposeOptions::default() }
}

fn speaks(take: &mut SyntheticTake, at_ns: u64, who: &Person, level: f32) {
    let speakers = vec![Speaker { participant: who.participant.clone(), level }];
    take.event(at_ns, TakeEvent::Speakers { speakers });
}

/// The middles of the tiles, in the order of the scene.
fn middles(size: Size, large: &[bool]) -> Vec<[usize; 2]> {
    let shapes: Vec<TileShape> = large.iter().map(|large| TileShape { large: *large }).collect();
    arrange(size, &shapes)
        .iter()
        .map(|rect| [(rect.x + rect.width / 2) as usize, (rect.y + rect.height / 3) as usize])
        .collect()
}

#[test]
fn each_layout_shows_each_person_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 6, Codec::Vp8);
    let bob = person(&mut take, ["bob", "Bob"], (BLUE, 700.0), 0, 6, Codec::Vp8);
    person(&mut take, ["cat", "Cat"], (GREEN, 900.0), 0, 6, Codec::Vp8);
    speaks(&mut take, 500 * MS, &ann, 0.5);
    // Bob says "yes" at 2 s, and takes over at 3 s.
    speaks(&mut take, 2 * S, &bob, 0.9);
    speaks(&mut take, 2400 * MS, &ann, 0.5);
    speaks(&mut take, 3 * S, &bob, 0.5);
    take.write(&dir.path().join("take"), 5 * S).unwrap();

    let asked = [1500, 2300, 2900, 3400, 3800, 4800];
    for tone in ["", "-dark", "-light"] {
        for layout in ["grid", "speaker", "single-speaker"] {
            let options = small(&format!("{layout}{tone}"));
            let (eyes, _) = rewatched(dir.path(), &options, &asked);
            for ms in asked {
                let view = eyes.saw(ms);
                let bob_speaks = ms >= 3600;
                match layout {
                    "grid" => {
                        let places = middles(options.preset.size, &[false; 3]);
                        [RED, BLUE, GREEN]
                            .iter()
                            .zip(places)
                            .for_each(|(colour, at)| view.assert_colour(at, *colour));
                    }
                    "speaker" => {
                        let places = middles(options.preset.size, &[!bob_speaks, bob_speaks, false]);
                        [RED, BLUE, GREEN]
                            .iter()
                            .zip(places)
                            .for_each(|(colour, at)| view.assert_colour(at, *colour));
                    }
                    _ => {
                        for at in [[100, 60], [320, 180], [540, 60]] {
                            view.assert_colour(at, if bob_speaks { BLUE } else { RED });
                        }
                    }
                }
                let background = view.yuv([2, 2])[0];
                assert_eq!(background > 200, tone == "-light", "{layout}{tone}: {background}");
            }
        }
    }
}

#[test]
fn a_change_of_layout_shows_at_its_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    take.header_mut().layout = "grid-light".to_owned();
    let ann = person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 4, Codec::Vp8);
    person(&mut take, ["bob", "Bob"], (BLUE, 700.0), 0, 4, Codec::Vp8);
    speaks(&mut take, 100 * MS, &ann, 0.5);
    take.event(1500 * MS, TakeEvent::Layout { layout: "single-speaker".into() });
    take.event(2500 * MS, TakeEvent::Layout { layout: "grid".into() });
    let options = ComposeOptions { layout: None, ..small("") };
    let (eyes, _) = watched(take, dir.path(), 3 * S, &options, &[1400, 1500, 2400, 2500]);
    let beside = |view: &View, light: bool| {
        view.assert_colour([160, 150], RED);
        view.assert_colour([480, 150], BLUE);
        assert_eq!(view.yuv([2, 2])[0] > 200, light);
    };
    beside(eyes.saw(1400), true);
    eyes.saw(1500).assert_colour([480, 150], RED);
    eyes.saw(2400).assert_colour([480, 150], RED);
    beside(eyes.saw(2500), false);
}

#[test]
fn every_preset_has_its_size_and_rate_and_every_layout_its_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let size = [160, 90];
    let everybody = [("ann", RED), ("bob", BLUE), ("cat", GREEN)];
    for (identity, colour) in everybody {
        let someone = take.join(0, identity, identity);
        let camera = take.publish(0, &someone, TrackSource::Camera);
        add_pictures(&mut take, &camera, Codec::Vp8, size, 0, pictures(Codec::Vp8, size, 5, |_| colour));
    }
    let speakers = vec![Speaker { participant: "PA_bob".into(), level: 0.5 }];
    take.event(0, TakeEvent::Speakers { speakers });
    take.write(&dir.path().join("take"), 200 * MS).unwrap();
    let layouts =
        [("grid", [false; 3]), ("speaker", [false, true, false]), ("single-speaker", [false, true, false])];
    // Each size in both orientations with each layout, the tones in turn; the rate has no part in where things are.
    for (number, name) in Preset::names().enumerate() {
        let preset = Preset::named(name).unwrap();
        let layouts = if preset.frames_per_second == 30 { &layouts[..] } else { &layouts[..1] };
        for &(arrangement, large) in layouts {
            let is_light = (number + arrangement.len()) % 2 == 0;
            let layout = format!("{arrangement}{}", if is_light { "-light" } else { "" });
            let options =
                ComposeOptions { layout: Some(Layout::parse(&layout)), preset, ..ComposeOptions::default() };
            let (eyes, _) = rewatched(dir.path(), &options, &[150]);
            let view = eyes.saw(150);
            if arrangement == "single-speaker" {
                let Size { width, height } = preset.size;
                let (width, height) = (width as usize, height as usize);
                for at in [[width / 8, height / 2], [width / 2, height / 2], [width * 7 / 8, height / 2]] {
                    view.assert_colour(at, BLUE);
                }
            } else {
                for ((_, colour), at) in everybody.iter().zip(middles(preset.size, &large)) {
                    view.assert_colour(at, *colour);
                }
            }
            assert_eq!(view.yuv([2, 2])[0] > 200, is_light, "{name}, {layout}");
        }
        let (rate, Size { width, height }) = (preset.frames_per_second, preset.size);
        let said = probe(&dir.path().join("out.mp4"), "stream=width,height,r_frame_rate,nb_frames");
        let wanted = format!("{width},{height},{rate}/1,{}", rate / 5);
        assert_eq!(said.lines().next(), Some(&*wanted), "{name}");
    }
}

#[test]
fn forty_nine_people_are_all_in_their_places_and_the_fiftieth_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let size = [160, 90];
    let colours: Vec<[u8; 3]> = (0..7)
        .map(|number| [40 + number * 30, 220 - number * 30, [60, 200][usize::from(number) % 2]])
        .collect();
    let clips: Vec<_> = colours.iter().map(|colour| pictures(Codec::Vp8, size, 20, |_| *colour)).collect();
    for number in 0..50usize {
        let someone = take.join(0, &format!("p{number}"), &format!("Person {number}"));
        let camera = take.publish(0, &someone, TrackSource::Camera);
        add_pictures(&mut take, &camera, Codec::Vp8, size, 0, clips[number % 7].clone());
    }
    let options = ComposeOptions::default();
    let (eyes, _) = watched(take, dir.path(), 600 * MS, &options, &[500]);
    let places = middles(options.preset.size, &[false; 49]);
    for (number, at) in places.into_iter().enumerate() {
        eyes.saw(500).assert_colour(at, colours[number % 7]);
    }
}

#[test]
fn a_late_first_picture_is_a_placeholder_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann Lee");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let clip = |colour| pictures(Codec::Vp8, [320, 180], 15, move |_| colour);
    add_pictures(&mut take, &camera, Codec::Vp8, [320, 180], 1500 * MS, clip(RED));
    take.event(2200 * MS, TakeEvent::TrackMuted { track: camera.clone(), muted: true });
    take.event(2600 * MS, TakeEvent::TrackMuted { track: camera.clone(), muted: false });
    add_pictures(&mut take, &camera, Codec::Vp8, [320, 180], 3 * S, clip(BLUE));
    let (eyes, _) =
        watched(take, dir.path(), 3500 * MS, &small("grid"), &[1400, 1600, 2100, 2300, 2800, 3100]);
    let corner = [60, 60];
    let placeholder = |ms| {
        eyes.saw(ms).assert_colour(corner, [0x22, 0x26, 0x30]);
        let initials = eyes.saw(ms).luma([290, 150, 60, 60]).iter().filter(|luma| **luma > 220).count();
        assert!(initials > 100, "{initials} white pixels of initials at {ms} ms");
    };
    placeholder(1400);
    eyes.saw(1600).assert_colour(corner, RED);
    eyes.saw(2100).assert_colour(corner, RED);
    placeholder(2300);
    placeholder(2800);
    eyes.saw(3100).assert_colour(corner, BLUE);
}

#[test]
fn a_phone_that_is_turned_is_upright_from_that_picture_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let size = [640, 360];
    let clip = coded_pictures(Codec::Vp8, size, 90, |_| halves(size, RED, BLUE));
    add_pictures(&mut take, &camera, Codec::Vp8, size, 0, clip);
    // The frames are 30 ms under way, with jitter; the orientation comes with a frame's last packet.
    for (at_ms, degrees) in [(1034, 90), (1534, 180), (2034, 270)] {
        take.event(at_ms * MS, TakeEvent::Orientation { track: camera.clone(), degrees });
    }
    let mut options = small("grid");
    options.preset.frames_per_second = 30;
    let (eyes, _) = watched(take, dir.path(), 2500 * MS, &options, &[900, 1100, 1600, 2200]);
    let colours = |ms: u64, places: [[usize; 2]; 2]| {
        eyes.saw(ms).assert_colour(places[0], RED);
        eyes.saw(ms).assert_colour(places[1], BLUE);
    };
    let (left, right, top, bottom) = ([160, 180], [480, 180], [320, 90], [320, 270]);
    colours(900, [left, right]);
    colours(1100, [top, bottom]);
    colours(1600, [right, left]);
    colours(2200, [bottom, top]);
}

/// How alike two pieces of luma are: 1 is the same up to brightness and contrast.
fn likeness(a: &[u8], b: &[u8]) -> f64 {
    let mean =
        |values: &[u8]| values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        product += a * b;
        squares_a += a * a;
        squares_b += b * b;
    }
    product / (squares_a * squares_b).sqrt().max(f64::EPSILON)
}

#[test]
fn labels_say_the_names_of_those_above_them_in_any_script() {
    let names = ["Ann Example", "שרה כהן", "مريم العلي", "Δημήτρης", "李小明", "Zoë Müller"];
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    for (number, name) in names.iter().enumerate() {
        let identity = format!("p{number}");
        person(&mut take, [&identity, name], (GREEN, 300.0), 0, 1, Codec::Vp8);
    }
    take.write(&dir.path().join("take"), S).unwrap();
    for (layout, tone) in [("grid", Tone::Dark), ("grid-light", Tone::Light)] {
        let options = ComposeOptions { layout: Some(Layout::parse(layout)), ..ComposeOptions::default() };
        rewatched(dir.path(), &options, &[]);
        let shot = Shot::at(&dir.path().join("out.mp4"), 800);
        for (number, rect) in arrange(options.preset.size, &[TileShape::default(); 6]).iter().enumerate() {
            let alike = names.map(|name| {
                let label = theme::name_label(name, false, rect.size(), tone).unwrap().unwrap();
                let (width, height) = (label.sprite.width(), label.sprite.height());
                let mut wanted = vec![100; width * height];
                label.sprite.blend(0, &mut wanted, width, 0, 0);
                let (left, top) = (rect.x as usize + label.left, rect.y as usize + label.top);
                let found: Vec<u8> = (top..top + height)
                    .flat_map(|y| (left..left + width).map(move |x| (x, y)))
                    .map(|(x, y)| shot.pixel(x, y)[1])
                    .collect();
                likeness(&found, &wanted)
            });
            for (other, likeness) in alike.iter().enumerate() {
                if other == number {
                    assert!(*likeness > 0.9, "{} under tile {number}: {likeness}", names[number]);
                } else {
                    assert!(
                        *likeness < 0.8,
                        "{} also looks like {}: {likeness}",
                        names[number],
                        names[other]
                    );
                }
            }
        }
    }
}

/// White on black, drawn by ffmpeg (FriBidi and FreeType), without empty columns and rows.
fn drawn_by_another(text: &str, letter_px: u32) -> (usize, Vec<u8>) {
    const WIDTH: usize = 640;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("text");
    std::fs::write(&file, text).unwrap();
    let family = if text.chars().any(|c| ('\u{3000}'..'\u{a000}').contains(&c)) {
        "Droid Sans Fallback"
    } else {
        "DejaVu Sans"
    };
    let drawing = format!(
        "drawtext=font='{family}':textfile={}:fontsize={letter_px}:fontcolor=white:x=8:y=8",
        file.display()
    );
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &format!("color=black:size={WIDTH}x64")])
        .args(["-vf", &drawing, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    trimmed(WIDTH, &output.stdout)
}

/// Cuts off what is empty on all sides.
fn trimmed(width: usize, coverage: &[u8]) -> (usize, Vec<u8>) {
    let inked = |value: &u8| *value > 60;
    let rows: Vec<&[u8]> = coverage.chunks_exact(width).skip_while(|row| !row.iter().any(inked)).collect();
    let height = rows.iter().rposition(|row| row.iter().any(inked)).map_or(0, |last| last + 1);
    let rows = &rows[..height];
    let column = |x: &usize| rows.iter().any(|row| inked(&row[*x]));
    let left = (0..width).find(column).unwrap_or(0);
    let right = (0..width).rev().find(column).map_or(left, |x| x + 1);
    (right - left, rows.iter().flat_map(|row| row[left..right].to_vec()).collect())
}

/// Likeness of two drawings of a line, allowing for a pixel or two of difference in spacing.
fn likeness_of_lines((width_a, a): &(usize, Vec<u8>), (width_b, b): &(usize, Vec<u8>)) -> f64 {
    let (width, height) = ((*width_a).max(*width_b), (a.len() / width_a).max(b.len() / width_b));
    let placed = |width_own: usize, own: &[u8], dx: usize, dy: usize| {
        let mut whole = vec![0u8; (width + 4) * (height + 4)];
        for (y, row) in own.chunks_exact(width_own).enumerate() {
            let at = (y + dy) * (width + 4) + dx;
            whole[at..at + width_own].copy_from_slice(row);
        }
        whole
    };
    let middle = |own: usize| (width - own) / 2 + 2;
    let wanted = placed(*width_a, a, middle(*width_a), 2);
    let mut best = -1f64;
    for dx in 0..5 {
        for dy in 0..5 {
            let found = placed(*width_b, b, middle(*width_b) + dx - 2, dy);
            best = best.max(likeness(&wanted, &found));
        }
    }
    best
}

#[test]
fn names_are_written_as_another_program_writes_them() {
    let size = Size { width: 1264, height: 704 };
    let letter_px = 18;
    let labelled = |name: &str| {
        let label = theme::name_label(name, false, size, Tone::Dark).unwrap().unwrap();
        let (width, height) = (label.sprite.width(), label.sprite.height());
        let mut luma = vec![16; width * height];
        label.sprite.blend(0, &mut luma, width, 0, 0);
        trimmed(width, &luma)
    };
    for (name, plain) in [
        ("Ann Example", "Ann Example"),
        ("שרה כהן", "שרה כהן"),
        ("مريم العلي", "مريم العلي"),
        ("李小明", "李小明"),
        ("Δημήτρης", "Δημήτρης"),
        ("Dana שרה 42", "Dana שרה 42"),
        // Without what has no letters.
        ("Zoë 🎉 Müller", "Zoë Müller"),
        ("🎉מרים", "מרים"),
    ] {
        let found = labelled(name);
        let right = likeness_of_lines(&drawn_by_another(plain, letter_px), &found);
        // What it would be if letters ran the wrong way.
        let backwards: String = plain.chars().rev().collect();
        let wrong = likeness_of_lines(&drawn_by_another(&backwards, letter_px), &found);
        assert!(right > 0.8, "{name}: {right}, backwards {wrong}");
        assert!(wrong < right - 0.25, "{name}: {right}, backwards {wrong}");
    }
}
