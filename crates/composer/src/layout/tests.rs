use proptest::prelude::*;

use super::*;

const HD: Size = Size { width: 1280, height: 720 };

fn small(count: usize) -> Vec<TileShape> {
    vec![TileShape::default(); count]
}

#[test]
fn one_person_fills_the_canvas() {
    assert_eq!(arrange(HD, &small(1)), [Rect { x: 8, y: 8, width: 1264, height: 704 }]);
}

#[test]
fn two_people_are_side_by_side() {
    let places = arrange(HD, &small(2));
    assert_eq!(places[0].y, places[1].y);
    assert!(places[0].x + places[0].width <= places[1].x);
    assert!(places[0].width > 600);
}

#[test]
fn the_last_row_is_centred() {
    let places = arrange(HD, &small(3));
    let last = places[2];
    assert!((last.x + last.width / 2).abs_diff(640) <= 2);
    assert!(last.y > places[0].y);
}

#[test]
fn a_shared_screen_gets_most_of_the_canvas() {
    let tiles = [TileShape::default(), TileShape { large: true }, TileShape::default()];
    let places = arrange(HD, &tiles);
    assert!(places[1].width > 900 && places[1].height > 650);
    assert!(places[0].x > places[1].x + places[1].width - 1);
    assert!(places[2].y > places[0].y);
}

#[test]
fn livekits_names_are_known_and_unknown_ones_are_the_grid() {
    for (name, arrangement) in [
        ("", Arrangement::Grid),
        ("grid", Arrangement::Grid),
        ("speaker", Arrangement::Speaker),
        ("single-speaker", Arrangement::SingleSpeaker),
        ("https://example.com", Arrangement::Grid),
    ] {
        assert_eq!(Layout::parse(name), Layout { arrangement, tone: Tone::Dark });
        assert_eq!(Layout::parse(&format!("{name}-dark")), Layout { arrangement, tone: Tone::Dark });
        assert_eq!(Layout::parse(&format!("{name}-light")), Layout { arrangement, tone: Tone::Light });
    }
}

#[test]
fn an_upright_canvas_stacks_people_and_puts_the_strip_below() {
    let canvas = Size { width: 720, height: 1280 };
    let two = arrange(canvas, &small(2));
    assert_eq!(two[0].x, two[1].x);
    assert!(two[0].width > 650 && two[0].height > 550, "{two:?}");
    let mut shapes = small(3);
    shapes[0].large = true;
    let places = arrange(canvas, &shapes);
    assert!(places[0].width > 690 && places[0].height > 900, "{places:?}");
    assert!(places[1].y > places[0].y + places[0].height && places[2].y == places[1].y);
}

#[test]
fn a_crowd_beside_the_stage_stays_visible() {
    let mut shapes = small(MAX_TILES);
    shapes[0].large = true;
    let places = arrange(HD, &shapes);
    assert!(places[0].width > 650);
    assert!(places[1..].iter().all(|place| place.width >= 96), "{:?}", places[1]);
}

#[test]
fn nearly_exact_scales_become_exact() {
    let tile = Size { width: 628, height: 348 };
    let same = fit(Size { width: 640, height: 360 }, tile, false);
    assert_eq!((same.source.width, same.source.height), (628, 348));
    let half = fit(HD, tile, false);
    assert_eq!((half.source.width, half.source.height), (1256, 696));
}

#[test]
fn upright_cameras_and_screens_keep_their_whole_picture() {
    let tile = Size { width: 628, height: 352 };
    for (source, whole) in
        [(Size { width: 720, height: 1280 }, false), (Size { width: 1024, height: 768 }, true)]
    {
        let fit = fit(source, tile, whole);
        assert_eq!(fit.source.size(), source);
        assert_eq!(fit.target.height, tile.height);
        assert!(fit.target.width < tile.width);
    }
}

proptest! {
    #[test]
    fn tiles_are_even_inside_and_apart(count in 1usize..60, large in 0usize..3, canvas in 0usize..4) {
        let (width, height) = [(1280, 720), (1920, 1080), (720, 1280), (1080, 1920)][canvas];
        let canvas = Size { width, height };
        let tiles: Vec<TileShape> = (0..count).map(|i| TileShape { large: i < large }).collect();
        let places = arrange(canvas, &tiles);
        prop_assert_eq!(places.len(), count);
        for (i, a) in places.iter().enumerate() {
            prop_assert!(a.x % 2 == 0 && a.y % 2 == 0 && a.width % 2 == 0 && a.height % 2 == 0);
            prop_assert!(a.width >= 2 && a.height >= 2);
            prop_assert!(a.x + a.width <= canvas.width && a.y + a.height <= canvas.height);
            for b in &places[i + 1..] {
                let apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                prop_assert!(apart, "{:?} {:?}", a, b);
            }
        }
    }

    #[test]
    fn fits_stay_inside_source_and_tile(
        sw in 1u32..200, sh in 1u32..200, tw in 8u32..200, th in 8u32..200, whole in any::<bool>()
    ) {
        let (source, tile) = (Size { width: sw * 16, height: sh * 16 }, Size { width: tw * 2, height: th * 2 });
        let fit = fit(source, tile, whole);
        prop_assert!(fit.source.x + fit.source.width <= source.width);
        prop_assert!(fit.source.y + fit.source.height <= source.height);
        prop_assert!(fit.target.x + fit.target.width <= tile.width);
        prop_assert!(fit.target.y + fit.target.height <= tile.height);
        prop_assert!(fit.target.width >= 2 && fit.target.height >= 2);
    }
}
