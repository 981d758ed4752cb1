#![allow(clippy::unwrap_used)]

use time::macros::datetime;

use super::*;

fn path(filepath: &str, room_name: &str) -> Result<String, BadPath> {
    let at = datetime!(2026-01-02 03:04:05.678 UTC);
    resolve(filepath, "mp4", &Facts { room_name, room_id: "RM_abc", at })
}

#[test]
fn the_tutorials_template_gives_its_names() {
    let name = path("recordings/{room_name}-{room_id}-{time}", "Test Room").unwrap();
    assert_eq!(name, "recordings/Test Room-RM_abc-2026-01-02T030405.mp4");
    assert_eq!(path("{utc}", "r").unwrap(), "20260102030405678.mp4");
}

#[test]
fn no_name_and_a_folder_get_the_default_name() {
    assert_eq!(path("", "r").unwrap(), "r-2026-01-02T030405.mp4");
    assert_eq!(path("a/b/", "r").unwrap(), "a/b/r-2026-01-02T030405.mp4");
    assert_eq!(path("/", "r").unwrap(), "r-2026-01-02T030405.mp4");
}

#[test]
fn extensions_are_appended_or_corrected() {
    assert_eq!(path("a.mp4", "r").unwrap(), "a.mp4");
    assert_eq!(path("a.OGG", "r").unwrap(), "a.mp4");
    assert_eq!(path("v1.0", "r").unwrap(), "v1.0.mp4");
    assert_eq!(path(".mp4", "r").unwrap(), ".mp4.mp4");
}

#[test]
fn a_room_name_is_never_a_path() {
    assert_eq!(path("x/{room_name}", "a/../../b\\c").unwrap(), "x/a-..-..-b-c.mp4");
    assert_eq!(path("{room_name}/f", "..").unwrap(), "_/f.mp4");
    assert_eq!(path("{room_name}", "a\n\u{1b}[2J\0").unwrap(), "a__[2J_.mp4");
    assert_eq!(path("{room_name}", "Büro 会議 🎥").unwrap(), "Büro 会議 🎥.mp4");
    assert_eq!(path("{room_name}-{room_id}", "{room_id}").unwrap(), "{room_id}-RM_abc.mp4", "one pass");
}

#[test]
fn a_long_room_name_still_gives_a_file_name_and_ends_at_a_character() {
    let name = path("{room_name}-{room_id}-{time}", &"ü".repeat(128)).unwrap();
    assert!(name.len() < 200 && name.contains("RM_abc"), "{name}");
}

#[test]
fn paths_are_cleaned_as_livekit_cleans_them() {
    for (given, cleaned) in [
        // The basic tutorial's.
        ("recordings//{room_name}-{time}-{room_id}", "recordings/r-2026-01-02T030405-RM_abc.mp4"),
        ("a//b", "a/b.mp4"),
        ("a///b//c.mp4", "a/b/c.mp4"),
        ("//a", "a.mp4"),
        ("/abs/x", "abs/x.mp4"),
        ("./a/./b", "a/b.mp4"),
        ("a/../b", "b.mp4"),
        ("a/b/../../c", "c.mp4"),
        ("a/../../x", "x.mp4"),
        ("../../etc/x", "etc/x.mp4"),
        ("/../x", "x.mp4"),
        ("a/b/..", "a.mp4"),
        ("a/..", "r-2026-01-02T030405.mp4"),
        ("..", "r-2026-01-02T030405.mp4"),
        (".", "r-2026-01-02T030405.mp4"),
        ("//", "r-2026-01-02T030405.mp4"),
        ("a//", "a/r-2026-01-02T030405.mp4"),
        ("a/../", "r-2026-01-02T030405.mp4"),
        ("../a/", "a/r-2026-01-02T030405.mp4"),
        ("{room_name}/../x", "x.mp4"),
        ("a\nb\tc", "a_b_c.mp4"),
        ("...", "....mp4"),
        ("a b/räume 会議", "a b/räume 会議.mp4"),
    ] {
        assert_eq!(path(given, "r").unwrap(), cleaned, "{given:?}");
    }
    for long in ["x".repeat(300), "x/".repeat(600) + "y", format!("{}/{}", "x".repeat(240), "y")] {
        assert_eq!(path(&long, "r"), Err(BadPath));
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_asked_for_is_a_path_inside_of_the_store(
        given in "([a./{} \n]|\\.\\.|\\{room_name\\}|//){0,20}",
        room in "[./a\n]{1,6}",
    ) {
        let key = path(&given, &room).unwrap();
        proptest::prop_assert!(key.ends_with(".mp4"), "{}", key);
        for part in key.split('/') {
            proptest::prop_assert!(!matches!(part, "" | "." | ".."), "{}", key);
            proptest::prop_assert!(!part.chars().any(char::is_control), "{}", key);
        }
    }
}

#[test]
fn templates_of_other_kinds_of_egress_stay() {
    assert_eq!(path("{track_id}-{x", "r").unwrap(), "{track_id}-{x.mp4");
}

#[test]
fn a_number_goes_before_the_extension() {
    assert_eq!(numbered("a/b.c.mp4", 2), "a/b.c-2.mp4");
}

#[test]
fn a_name_that_no_other_file_has_is_the_egress_ids() {
    let unused = unique("a/b.mp4", "EG_1", 2);
    assert_eq!(unused, "a/b-EG_1.mp4");
    assert_eq!(unique(&unused, "EG_1", 3), "a/b-EG_1-3.mp4");
}
