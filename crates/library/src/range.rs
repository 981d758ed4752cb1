//! HTTP ranges (RFC 9110 14): what a client asks for, and what it gets. Pure.

use std::ops::Range;

/// What a `Range` header means for a file of a known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// No range, one that is not understood, or several that are apart: the header is ignored, as the RFC allows.
    Whole,
    /// These bytes, with 206.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// How much an open range (`bytes=5-`) gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// At most so many bytes: a player asks again when it needs more.
    Portion(u64),
    /// Everything up to the end of the file.
    Rest,
}

/// More ranges than any client has a use for; a header with more of them is ignored.
const MAX_RANGES: usize = 16;

/// Reads a `Range` header. A closed or suffix range gets what it says, an open one what `open` says. Several ranges that overlap
/// or touch are one.
pub fn parse(header: Option<&str>, size: u64, open: Open) -> Requested {
    header.and_then(|header| read(header, size, open)).unwrap_or(Requested::Whole)
}

/// `None` for what has to be ignored.
fn read(header: &str, size: u64, open: Open) -> Option<Requested> {
    let (unit, list) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut wanted = Vec::new();
    // An empty element of a list means nothing (RFC 9110 5.6.1).
    for spec in list.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        if wanted.len() == MAX_RANGES {
            return None;
        }
        wanted.push(one(spec, size, open)?);
    }
    if wanted.is_empty() {
        return None;
    }
    wanted.retain(|range| !range.is_empty());
    wanted.sort_unstable_by_key(|range| range.start);
    let mut wanted = wanted.into_iter();
    let Some(first) = wanted.next() else { return Some(Requested::Unsatisfiable) };
    let joined = wanted.try_fold(first, |joined, next| {
        (next.start <= joined.end).then(|| joined.start..joined.end.max(next.end))
    })?;
    Some(Requested::Part(joined))
}

/// The bytes that one range names; an empty range where the file has none of them, `None` where it is no range.
fn one(spec: &str, size: u64, open: Open) -> Option<Range<u64>> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (first, last) = spec.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => {
            let first = number(first)?;
            match open {
                Open::Portion(portion) => first..first.saturating_add(portion).min(size),
                Open::Rest => first..size,
            }
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first..last.saturating_add(1).min(size))?
        }
    };
    Some(range.start.min(size)..range.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(header: &str) -> Requested {
        parse(Some(header), 1000, Open::Portion(100))
    }

    #[test]
    fn each_form_of_a_range_gets_what_it_asks_for() {
        assert_eq!(parse(None, 1000, Open::Portion(100)), Requested::Whole);
        for (header, expected) in [
            ("bytes=0-", 0..100),
            ("bytes=950-", 950..1000),
            ("bytes=0-499", 0..500),
            ("bytes=990-5000", 990..1000),
            ("bytes=990-99999999999999999999", 990..1000),
            ("bytes=-200", 800..1000),
            ("bytes=-5000", 0..1000),
            ("bytes=0-0", 0..1),
            ("Bytes=0-0", 0..1),
            ("BYTES = 5 - 9", 5..10),
            (" bytes=5-9 ", 5..10),
            ("bytes=5-9,", 5..10),
        ] {
            assert_eq!(of(header), Requested::Part(expected), "{header:?}");
        }
    }

    #[test]
    fn an_open_range_gets_the_rest_where_that_is_wanted() {
        let rest = |header| parse(Some(header), 1000, Open::Rest);
        assert_eq!(rest("bytes=0-"), Requested::Part(0..1000));
        assert_eq!(rest("bytes=999-"), Requested::Part(999..1000));
        assert_eq!(rest("bytes=5-9"), Requested::Part(5..10));
        assert_eq!(rest("bytes=1000-"), Requested::Unsatisfiable);
    }

    #[test]
    fn several_ranges_are_one_where_they_join_and_are_ignored_where_they_do_not() {
        for (header, expected) in [
            ("bytes=0-9,10-19", Requested::Part(0..20)),
            ("bytes=10-19, 0-9", Requested::Part(0..20)),
            ("bytes=0-99,50-60", Requested::Part(0..100)),
            ("bytes=0-9,2000-", Requested::Part(0..10)),
            ("bytes=-100,900-949", Requested::Part(900..1000)),
            ("bytes=0-0,-1", Requested::Whole),
            ("bytes=0-1,5-6", Requested::Whole),
            ("bytes=0-1,b-c", Requested::Whole),
            ("bytes=2000-,3000-", Requested::Unsatisfiable),
        ] {
            assert_eq!(of(header), expected, "{header:?}");
        }
        let many = |count: usize| format!("bytes={}", vec!["0-9"; count].join(","));
        assert_eq!(of(&many(MAX_RANGES)), Requested::Part(0..10));
        assert_eq!(of(&many(MAX_RANGES + 1)), Requested::Whole);
    }

    #[test]
    fn what_lies_outside_is_refused_and_what_is_no_range_is_ignored() {
        for outside in ["bytes=1000-", "bytes=99999999999999999999-", "bytes=-0", "bytes=1000-2000"] {
            assert_eq!(of(outside), Requested::Unsatisfiable, "{outside:?}");
        }
        assert_eq!(parse(Some("bytes=0-"), 0, Open::Rest), Requested::Unsatisfiable);
        assert_eq!(parse(Some("bytes=-5"), 0, Open::Rest), Requested::Unsatisfiable);
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=--5",
            "bytes=-",
            "bytes=5",
            "items=0-1",
            "bytes 0-1",
            "=0-1",
            "bytes=0x1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(of(ignored), Requested::Whole, "{ignored:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(
            header in "[0-9,\\- ]{0,30}|.{0,30}",
            size in any::<u64>(),
            portion in prop_oneof![(1_u64..1_000_000).prop_map(Open::Portion), Just(Open::Rest)],
        ) {
            if let Requested::Part(range) = parse(Some(&format!("bytes={header}")), size, portion) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
