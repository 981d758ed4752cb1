//! Conditional requests (RFC 9110 13): whether what a client knows of a file still holds. Pure.
//!
//! ```text
//!  If-Match ─► If-Unmodified-Since ─► If-None-Match ─► If-Modified-Since ─► If-Range
//!     412              412                 304                304           the whole file
//! ```
//!
//! # Invariants
//!
//! - A condition is looked at only where the RFC's order (13.2.2) says so: a date never overrules a tag.
//! - What is no tag or no date holds nothing, and breaks nothing.

use std::time::{Duration, SystemTime};

use axum::http::header::{
    AsHeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use axum::http::{HeaderMap, HeaderName};

/// A date says for sure that nothing has changed once it is so old (RFC 9110 8.8.2.2): dates have whole seconds.
const DATE_IS_STRONG_AFTER: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// With its quotes, and `W/` before them where it is a weak one.
    pub(crate) etag: String,
    /// Whole seconds.
    pub(crate) modified: SystemTime,
}

/// What the conditions of a GET or HEAD come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client wants to go on with.
    Failed,
}

/// Judges everything but `If-Range`.
pub(crate) fn judge(headers: &HeaderMap, current: &Validators) -> Verdict {
    if let Some(wanted) = tags(headers, IF_MATCH) {
        if !wanted.holds(|tag| is_strong_match(tag, &current.etag)) {
            return Verdict::Failed;
        }
    } else if let Some(date) = date(headers, IF_UNMODIFIED_SINCE)
        && current.modified > date
    {
        return Verdict::Failed;
    }
    if let Some(known) = tags(headers, IF_NONE_MATCH) {
        if known.holds(|tag| opaque(tag) == opaque(&current.etag)) {
            return Verdict::NotModified;
        }
    } else if let Some(date) = date(headers, IF_MODIFIED_SINCE)
        && current.modified <= date
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a `Range` counts: `If-Range` is not there, or names this very state of the file.
pub(crate) fn is_range_wanted(headers: &HeaderMap, current: &Validators, now: SystemTime) -> bool {
    let Some(value) = headers.get(IF_RANGE) else { return true };
    let Ok(value) = value.to_str().map(str::trim) else { return false };
    if value.starts_with('"') || value.starts_with("W/") {
        return is_strong_match(value, &current.etag);
    }
    let age = now.duration_since(current.modified).unwrap_or_default();
    age >= DATE_IS_STRONG_AFTER && httpdate::parse_http_date(value).is_ok_and(|date| date == current.modified)
}

/// Whether the client goes on with a file of which it has the beginning.
pub(crate) fn goes_on(headers: &HeaderMap) -> bool {
    [IF_RANGE, IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name))
}

/// The tags of a condition.
enum Tags {
    Any,
    These(Vec<String>),
}

impl Tags {
    fn holds(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| matches(tag)),
        }
    }
}

/// Of all lines of a header; `None` where there is none.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let lines = text(headers, name)?;
    if lines.iter().any(|line| line.trim() == "*") {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    for line in lines {
        let mut rest = line.as_str();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let weak = if rest.starts_with("W/") { "W/" } else { "" };
            // A tag may have commas inside of its quotes.
            let Some(quoted) = rest.strip_prefix(weak).and_then(|rest| rest.strip_prefix('"')) else { break };
            let Some((opaque, after)) = quoted.split_once('"') else { break };
            tags.push(format!("{weak}\"{opaque}\""));
            rest = after;
        }
    }
    Some(Tags::These(tags))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let lines = text(headers, name)?;
    let [line] = lines.as_slice() else { return None };
    httpdate::parse_http_date(line.trim()).ok()
}

/// Every line of a header; what is no text is an empty one.
fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Vec<String>> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default().to_owned()).collect();
    (!lines.is_empty()).then_some(lines)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// RFC 9110 8.8.3.2: a weak tag is never the same bytes.
fn is_strong_match(a: &str, b: &str) -> bool {
    a == b && !a.starts_with("W/")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn current(etag: &str) -> Validators {
        Validators { etag: etag.into(), modified: httpdate::parse_http_date(MODIFIED).unwrap() }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn each_condition_is_judged_as_the_rfc_says() {
        use Verdict::{Failed, NotModified, Proceed};
        for (line, expected) in [
            (("if-match", "\"a\""), Proceed),
            (("if-match", "\"b\", \"a\""), Proceed),
            (("if-match", "\"b,\"  ,  ,\"a\""), Proceed),
            (("if-match", "*"), Proceed),
            (("if-match", "\"b\""), Failed),
            (("if-match", "W/\"a\""), Failed),
            (("if-match", "\"A\""), Failed),
            (("if-match", "a"), Failed),
            (("if-match", ""), Failed),
            (("if-none-match", "\"a\""), NotModified),
            (("if-none-match", "W/\"a\""), NotModified),
            (("if-none-match", "\"b\",W/\"a\""), NotModified),
            (("if-none-match", "*"), NotModified),
            (("if-none-match", "\"b\""), Proceed),
            (("if-none-match", "\"b,a\""), Proceed),
            (("if-none-match", "a"), Proceed),
            (("if-unmodified-since", MODIFIED), Proceed),
            (("if-unmodified-since", LATER), Proceed),
            (("if-unmodified-since", OLD), Failed),
            (("if-unmodified-since", "yesterday"), Proceed),
            (("if-unmodified-since", "Sunday, 06-Nov-94 08:49:36 GMT"), Failed),
            (("if-unmodified-since", "Sun Nov  6 08:49:36 1994"), Failed),
            (("if-modified-since", MODIFIED), NotModified),
            (("if-modified-since", LATER), NotModified),
            (("if-modified-since", OLD), Proceed),
            (("if-modified-since", "tomorrow"), Proceed),
        ] {
            assert_eq!(judge(&headers(&[line]), &current("\"a\"")), expected, "{line:?}");
        }
    }

    #[test]
    fn a_date_never_overrules_a_tag_and_a_match_comes_first() {
        use Verdict::{Failed, NotModified, Proceed};
        for (lines, expected) in [
            ([("if-match", "\"a\""), ("if-unmodified-since", OLD)], Proceed),
            ([("if-match", "\"b\""), ("if-unmodified-since", LATER)], Failed),
            ([("if-none-match", "\"b\""), ("if-modified-since", LATER)], Proceed),
            ([("if-none-match", "\"a\""), ("if-modified-since", OLD)], NotModified),
            ([("if-match", "\"b\""), ("if-none-match", "\"a\"")], Failed),
            ([("if-match", "\"a\""), ("if-none-match", "\"a\"")], NotModified),
            ([("if-unmodified-since", OLD), ("if-none-match", "\"a\"")], Failed),
            ([("if-match", "\"b\""), ("if-match", "\"a\"")], Proceed),
        ] {
            assert_eq!(judge(&headers(&lines), &current("\"a\"")), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_weak_tag_is_known_again_but_never_gone_on_with() {
        let weak = current("W/\"a\"");
        for value in ["\"a\"", "W/\"a\""] {
            assert_eq!(judge(&headers(&[("if-none-match", value)]), &weak), Verdict::NotModified);
            assert_eq!(judge(&headers(&[("if-match", value)]), &weak), Verdict::Failed);
            assert!(!is_range_wanted(&headers(&[("if-range", value)]), &weak, SystemTime::now()));
        }
    }

    #[test]
    fn a_range_counts_only_for_the_very_file_that_if_range_names() {
        let (tag, now) = (current("\"a\""), SystemTime::now());
        for (value, expected) in [
            ("\"a\"", true),
            (" \"a\" ", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("a", false),
            ("*", false),
            ("", false),
            (MODIFIED, true),
            ("Sunday, 06-Nov-94 08:49:37 GMT", true),
            (LATER, false),
            (OLD, false),
            ("yesterday", false),
        ] {
            assert_eq!(is_range_wanted(&headers(&[("if-range", value)]), &tag, now), expected, "{value:?}");
        }
        assert!(is_range_wanted(&HeaderMap::new(), &tag, now));
        let at_once = headers(&[("if-range", MODIFIED)]);
        assert!(!is_range_wanted(&at_once, &tag, tag.modified), "it may change within the second");
    }
}
