//! What proxies say of whom they speak for and how they were reached. Pure.
//!
//! ```text
//!   X-Forwarded-For, Forwarded, X-Real-IP ─► clients: whom a request counts for, from where media is taken
//!   X-Forwarded-Proto, Forwarded          ─► settle ─► X-Forwarded-Proto: how cookies are kept
//!   X-Forwarded-Host                      ─► sites: by which name
//!   X-Reelroom-Path: what the page says; X-Forwarded-Prefix, path, names
//!                                         ─► settle ─► X-Forwarded-Prefix: where cookies hold, where redirects lead
//! ```
//!
//! # Invariants
//!
//! - Behind the front these headers hold. What nobody says who is believed is taken away before anything looks at it.
//! - Behind the front `X-Forwarded-Prefix` is there where a browser has the prefix of `PUBLIC_URL` in its address bar, and is that prefix. The
//!   page that asks knows: whoever opens the server by its name, but not below the prefix, looks to all others like a proxy that took it off.
//! - A prefix is taken off a path only as a whole: "/callsx" does not begin with "/calls", and "/%63alls" neither.

use std::net::IpAddr;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri};
use reelroom_limits::asker::forwarded_ip;

use crate::front::sites::Origin;
use crate::public_url::PublicUrl;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// What a page of ours says of where a browser has it: the path up to its own name.
const PAGE: HeaderName = HeaderName::from_static("x-reelroom-path");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Takes away what proxies say, where a request comes from nobody who is believed.
pub(crate) fn forget(headers: &mut HeaderMap) {
    for name in [FOR, HOST, PREFIX, PROTO, REAL_IP, header::FORWARDED] {
        headers.remove(name);
    }
}

/// Has the headers say how a browser came, as far as that is known: of whoever is believed, and of its address. `had_prefix`: a proxy has passed
/// the prefix on.
pub(crate) fn settle(headers: &mut HeaderMap, uri: &Uri, public: Option<&PublicUrl>, had_prefix: bool) {
    if !headers.contains_key(PROTO)
        && let Some(proto) = proto(headers)
    {
        headers.insert(PROTO, proto);
    }
    let (said, page) = (headers.remove(PREFIX), headers.remove(PAGE));
    let Some(public) = public else { return };
    let is_named = came_by_name(headers, uri, public);
    // A page of http:// knows better than the name does by which it came.
    let is_plain =
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"http://"));
    if is_named && !is_plain && !headers.contains_key(PROTO) && public.is_https() {
        headers.insert(PROTO, HeaderValue::from_static("https"));
    }
    let prefix = public.prefix();
    if prefix.is_empty() {
        return;
    }
    let is_prefix = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path) == prefix.as_bytes();
    let is_said = said.is_some_and(|said| is_prefix(said.as_bytes()));
    let is_below = match page.as_ref().map(HeaderValue::as_bytes) {
        // Somebody came by the name, and past the proxy or whatever else is there at the prefix: cookies for that would be of no use here.
        Some(b"/") => false,
        Some(page) if is_prefix(page) => true,
        // Programs, links that are followed, and pages that a proxy shows below another path.
        Some(_) | None => had_prefix || is_said || is_named,
    };
    if is_below {
        headers
            .insert(PREFIX, HeaderValue::from_str(prefix).expect("a prefix has nothing to be escaped in it"));
    }
}

/// Whether a request says that it came by the server's own address. A proxy may have changed `Host`: then it may say so, or the page does.
fn came_by_name(headers: &HeaderMap, uri: &Uri, public: &PublicUrl) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = text(HOST).and_then(|hosts| hosts.split(',').next());
    let hosts = [forwarded, text(header::HOST), uri.authority().map(|authority| authority.as_str())];
    let origin = text(header::ORIGIN).and_then(Origin::parse);
    hosts.into_iter().flatten().any(|host| public.is_at(host))
        || origin.is_some_and(|origin| origin == public.origin())
}

/// The scheme that a client came by to the first proxy, where that is said by `Forwarded` alone.
fn proto(headers: &HeaderMap) -> Option<HeaderValue> {
    let first = headers.get(header::FORWARDED)?.to_str().ok()?.split(',').next()?;
    let proto = pair(first, "proto")?.trim().trim_matches('"');
    ["http", "https"]
        .into_iter()
        .find(|known| proto.eq_ignore_ascii_case(known))
        .map(HeaderValue::from_static)
}

/// The addresses that proxies name, that of the nearest one's client first. Nothing is told of whoever is behind one that is hidden.
pub(crate) fn clients(headers: &HeaderMap) -> impl Iterator<Item = IpAddr> {
    let has_list = headers.contains_key(FOR);
    let has_elements = !has_list && headers.contains_key(header::FORWARDED);
    let list = items(
        headers,
        if has_elements {
            header::FORWARDED
        } else if has_list {
            FOR
        } else {
            REAL_IP
        },
    );
    list.map_while(move |item| {
        let name = if has_elements { pair(item, "for") } else { Some(item) };
        name.and_then(forwarded_ip)
    })
}

/// The members of a list that may be in several lines, the last one first.
fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().rev();
    let items = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    // What is no text does not hide what a proxy wrote behind it, and nobody is looked for before it.
    items.map(|item| str::from_utf8(item).unwrap_or("?")).filter(|item| !item.trim().is_empty())
}

/// The value of a pair of an element of `Forwarded` (RFC 7239): names are in any case.
fn pair<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The same address without the prefix; `None` where it does not have it.
pub(crate) fn without_prefix(uri: &Uri, prefix: &str) -> Option<Uri> {
    if prefix.is_empty() {
        return None;
    }
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    let rest = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None | Some(b'?') => format!("/{rest}"),
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

/// The same with one slash at its beginning, of a path of LiveKit's API that has more: clients put `/twirp/…` behind an address that ends with a
/// slash itself. Any other path is as it is.
pub(crate) fn with_one_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path_and_query()?.as_str().strip_prefix("//")?.trim_start_matches('/');
    let is_below = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    if !["twirp", "rtc", "agent"].into_iter().any(is_below) {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{path}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each character of a value is a byte of it.
    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let bytes: Vec<_> = value.chars().map(|char| u8::try_from(char).unwrap()).collect();
            headers.append(*name, HeaderValue::from_bytes(&bytes).unwrap());
        }
        headers
    }

    #[test]
    fn proxies_name_their_clients_in_many_ways() {
        for (lines, expected) in [
            (vec![], vec![]),
            (vec![("x-forwarded-for", "203.0.113.9")], vec!["203.0.113.9"]),
            (vec![("x-forwarded-for", "198.51.100.1, 203.0.113.9")], vec!["203.0.113.9", "198.51.100.1"]),
            // IIS and Azure write the port, too.
            (vec![("x-forwarded-for", "203.0.113.9:5123")], vec!["203.0.113.9"]),
            (
                vec![("x-forwarded-for", "[2001:db8::7]:5123, 2001:db8::8")],
                vec!["2001:db8::8", "2001:db8::7"],
            ),
            (vec![("x-forwarded-for", "[2001:db8::7]")], vec!["2001:db8::7"]),
            (vec![("x-forwarded-for", "203.0.113.9, , ")], vec!["203.0.113.9"]),
            (vec![("x-forwarded-for", "198.51.100.1, unknown, 203.0.113.9")], vec!["203.0.113.9"]),
            (vec![("x-forwarded-for", "198.51.100.1, _hidden")], vec![]),
            (vec![("x-forwarded-for", "999.1.1.1"), ("x-real-ip", "203.0.113.9")], vec![]),
            (vec![("x-forwarded-for", "198.51.100.1, \u{ff}, 203.0.113.9")], vec!["203.0.113.9"]),
            (vec![("x-forwarded-for", "\u{ff}"), ("x-forwarded-for", "203.0.113.9")], vec!["203.0.113.9"]),
            (vec![("x-forwarded-for", "fe80::1%eth0")], vec![]),
            (vec![("x-real-ip", "203.0.113.9")], vec!["203.0.113.9"]),
            (vec![("x-real-ip", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], vec!["198.51.100.1"]),
            (
                vec![("forwarded", "for=198.51.100.1;proto=https, For=\"[2001:db8::7]:4711\";by=_x")],
                vec!["2001:db8::7", "198.51.100.1"],
            ),
            (
                vec![("forwarded", "for=198.51.100.1, for=unknown"), ("forwarded", "for=203.0.113.9")],
                vec!["203.0.113.9"],
            ),
            (vec![("forwarded", "for=198.51.100.1, proto=https")], vec![]),
            (vec![("forwarded", "for=203.0.113.9"), ("x-real-ip", "198.51.100.1")], vec!["203.0.113.9"]),
            (vec![("forwarded", ";;=,=;for")], vec![]),
        ] {
            let found: Vec<_> = clients(&headers(&lines)).map(|ip| ip.to_string()).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn of_whoever_is_not_believed_nothing_is_left() {
        let all = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "1.2.3.5"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-prefix", "//evil.example"),
            ("host", "localhost"),
        ];
        let mut headers = headers(&all);
        forget(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["host"]);
    }

    fn settled(
        public: &str,
        uri: &str,
        had_prefix: bool,
        lines: &[(&'static str, &str)],
    ) -> (String, String) {
        let mut headers = headers(lines);
        let public: Option<PublicUrl> = (!public.is_empty()).then(|| public.parse().unwrap());
        settle(&mut headers, &uri.parse().unwrap(), public.as_ref(), had_prefix);
        let text = |name: HeaderName| {
            headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        (text(PROTO), text(PREFIX))
    }

    #[test]
    fn the_prefix_is_that_of_the_setting_or_none() {
        const PUBLIC: &str = "https://example.org/calls";
        for (had_prefix, lines, expected) in [
            (false, vec![], ""),
            (true, vec![], "/calls"),
            (false, vec![("x-forwarded-prefix", "/calls")], "/calls"),
            (false, vec![("x-forwarded-prefix", "/calls/")], "/calls"),
            (false, vec![("x-forwarded-prefix", "//evil.example")], ""),
            (true, vec![("x-forwarded-prefix", "/x; Path=/")], "/calls"),
            (false, vec![("host", "example.org")], "/calls"),
            (false, vec![("host", "example.org:443")], "/calls"),
            (false, vec![("host", "localhost:6080")], ""),
            (false, vec![("host", "127.0.0.1:6080"), ("x-forwarded-host", "example.org")], "/calls"),
            (false, vec![("host", "127.0.0.1:6080"), ("origin", "https://example.org")], "/calls"),
            (false, vec![("host", "127.0.0.1:6080"), ("origin", "http://example.org")], ""),
            // The page is where it says that it is.
            (false, vec![("host", "example.org"), ("x-reelroom-path", "/")], ""),
            (true, vec![("host", "example.org"), ("x-reelroom-path", "/")], ""),
            (false, vec![("host", "10.0.0.5:6080"), ("x-reelroom-path", "/calls/")], "/calls"),
            (false, vec![("host", "localhost:6080"), ("x-reelroom-path", "/")], ""),
            (false, vec![("host", "localhost:6080"), ("x-reelroom-path", "//evil.example/")], ""),
            (false, vec![("host", "example.org"), ("x-reelroom-path", "/elsewhere/")], "/calls"),
            (false, vec![("host", "example.org"), ("x-reelroom-path", "")], "/calls"),
        ] {
            assert_eq!(settled(PUBLIC, "/owner", had_prefix, &lines).1, expected, "{lines:?}");
            assert_eq!(settled("", "/owner", had_prefix, &lines).1, "", "{lines:?}");
            assert_eq!(settled("https://example.org", "/owner", had_prefix, &lines).1, "", "{lines:?}");
        }
        assert_eq!(settled(PUBLIC, "https://example.org/owner", false, &[]).1, "/calls");
    }

    #[test]
    fn the_scheme_is_what_a_proxy_says_or_that_of_the_address() {
        const PUBLIC: &str = "https://example.org";
        for (lines, expected) in [
            (vec![], ""),
            (vec![("x-forwarded-proto", "http"), ("host", "example.org")], "http"),
            (vec![("host", "example.org")], "https"),
            (vec![("host", "example.org"), ("origin", "https://example.org")], "https"),
            (vec![("host", "example.org"), ("origin", "http://example.org")], ""),
            (vec![("forwarded", "for=1.2.3.4;Proto=HTTPS, for=1.2.3.5;proto=http")], "https"),
            (vec![("forwarded", "proto=\"http\""), ("host", "example.org")], "http"),
            (vec![("forwarded", "proto=gopher")], ""),
        ] {
            assert_eq!(settled(PUBLIC, "/", false, &lines).0, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_prefix_is_taken_off_as_a_whole_and_nothing_else_is_changed() {
        for (uri, expected) in [
            ("/calls", Some("/")),
            ("/calls?a=b", Some("/?a=b")),
            ("/calls/", Some("/")),
            ("/calls/recordings/a%2Fb.mp4?x=%2F", Some("/recordings/a%2Fb.mp4?x=%2F")),
            ("/calls//evil.example", Some("//evil.example")),
            ("/calls/calls/owner", Some("/calls/owner")),
            ("http://example.org/calls/owner", Some("http://example.org/owner")),
            ("/callsx", None),
            ("/calls%2Fowner", None),
            ("/calls;a/owner", None),
            ("/%63alls/owner", None),
            ("//calls/owner", None),
            ("/Calls/owner", None),
            ("/owner", None),
            ("*", None),
        ] {
            let found = without_prefix(&uri.parse().unwrap(), "/calls").map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
            assert_eq!(without_prefix(&uri.parse().unwrap(), ""), None);
        }
    }

    #[test]
    fn a_path_of_livekits_api_may_begin_with_several_slashes() {
        for (uri, expected) in [
            ("//twirp/livekit.Egress/ListEgress", Some("/twirp/livekit.Egress/ListEgress")),
            ("///rtc/validate?a=//b", Some("/rtc/validate?a=//b")),
            ("//rtc?a=b", Some("/rtc?a=b")),
            ("//agent", Some("/agent")),
            ("/twirp//x", None),
            ("//twirpx", None),
            ("//recordings", None),
            ("//evil.example.org/twirp", None),
            ("//", None),
        ] {
            let found = with_one_slash(&uri.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{uri}");
        }
    }
}
