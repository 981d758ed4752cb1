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
fn paths_out_of_the_store_are_dropped_or_refused() {
    assert_eq!(path("../../etc/x", "r").unwrap(), "etc/x.mp4");
    assert_eq!(path("/abs/x", "r").unwrap(), "abs/x.mp4");
    for bad in ["a/../../x", "a//b", "a/./b", "a\nb", "a/.."] {
        assert_eq!(path(bad, "r"), Err(BadPath), "{bad:?}");
    }
    assert_eq!(path(&"x".repeat(300), "r"), Err(BadPath));
}

#[test]
fn templates_of_other_kinds_of_egress_stay() {
    assert_eq!(path("{track_id}-{x", "r").unwrap(), "{track_id}-{x.mp4");
}

#[test]
fn a_number_goes_before_the_extension() {
    assert_eq!(numbered("a/b.c.mp4", 2), "a/b.c-2.mp4");
}
