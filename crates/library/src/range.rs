//! HTTP ranges (RFC 9110 14): what a player asks for, and what it gets.

use std::ops::Range;

/// What a `Range` header means for a file of a known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// No range, or one that is not understood and therefore ignored: the whole file.
    Whole,
    /// These bytes, with 206.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// Reads a `Range` header. An open range (`bytes=5-`) gets at most `portion` bytes, for that is what a player that seeks
/// asks for over and over; a closed or suffix range gets what it says. Of several ranges the header is ignored, as the
/// RFC allows.
pub fn parse(header: Option<&str>, size: u64, portion: u64) -> Requested {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Requested::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-') else { return Requested::Whole };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(len) => size.saturating_sub(len)..size,
            None => return Requested::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..first.saturating_add(portion).min(size),
            None => return Requested::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Requested::Whole,
        },
    };
    if range.start >= size || range.is_empty() { Requested::Unsatisfiable } else { Requested::Part(range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_of_a_range_gets_what_it_asks_for() {
        let of = |header| parse(Some(header), 1000, 100);
        assert_eq!(parse(None, 1000, 100), Requested::Whole);
        assert_eq!(of("bytes=0-"), Requested::Part(0..100));
        assert_eq!(of("bytes=950-"), Requested::Part(950..1000));
        assert_eq!(of("bytes=0-499"), Requested::Part(0..500));
        assert_eq!(of("bytes=990-5000"), Requested::Part(990..1000));
        assert_eq!(of("bytes=-200"), Requested::Part(800..1000));
        assert_eq!(of("bytes=-5000"), Requested::Part(0..1000));
        assert_eq!(of("bytes=0-0"), Requested::Part(0..1));
    }

    #[test]
    fn what_lies_outside_is_refused_and_what_is_no_range_is_ignored() {
        let of = |header| parse(Some(header), 1000, 100);
        assert_eq!(of("bytes=1000-"), Requested::Unsatisfiable);
        assert_eq!(of("bytes=99999999999999999999-"), Requested::Unsatisfiable);
        assert_eq!(of("bytes=-0"), Requested::Unsatisfiable);
        assert_eq!(parse(Some("bytes=0-"), 0, 100), Requested::Unsatisfiable);
        for ignored in
            ["", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=--5", "items=0-1", "bytes=0-1,5-6"]
        {
            assert_eq!(of(ignored), Requested::Whole, "{ignored:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in ".{0,30}", size in any::<u64>(), portion in 1_u64..1_000_000) {
            if let Requested::Part(range) = parse(Some(&format!("bytes={header}")), size, portion) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
