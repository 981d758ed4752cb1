//! The cookies of the owner's browser: that of its session, its mark, which outlives the session, and that of a sign-in at an OpenID provider,
//! as long as it is under way; and that of a viewer's. Pure.
//!
//! ```text
//!              by http          by https
//!   session    reelroom         __Host-reelroom;      Secure      ─┐
//!   mark       reelroom-mark    __Host-reelroom-mark; Secure      ─┼─ HttpOnly; SameSite=Lax; Path=/
//!   sign-in    reelroom-oidc    __Host-reelroom-oidc; Secure      ─┘
//!   view       reelroom-view    reelroom-view;        Secure      ─── HttpOnly; SameSite=Strict; Path=/watch/SH_…
//! ```
//!
//! Where the server is found below a path of its address (`/calls`), they hold there alone: `Path=/calls/`, `Path=/calls/watch/SH_…`, and by
//! https the first three are called `__Secure-…`, for a name with `__Host-` holds for a whole host, and another server may be beside this one.
//!
//! # Invariants
//!
//! - No script reads them, and no page of another site has a browser show them with what changes something.
//! - By https they have names that no other host can set (below a path: none without https), and no eavesdropper sees them. Such a name goes
//!   before a plain one.
//! - Nothing of them is said in an error or in a log.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use reelroom_accounts::{SessionToken, Shown, SignedIn};
use reelroom_limits::accounts::{OIDC_SIGN_IN_LASTS, SESSION_LASTS};

const SESSION: &str = "reelroom";
const MARK: &str = "reelroom-mark";
const VIEW: &str = "reelroom-view";
const SIGN_IN: &str = "reelroom-oidc";
/// Browsers take a cookie of this name from its own host alone, for all of that, and by https alone.
const OF_HOST: &str = "__Host-";
/// Browsers take a cookie of this name by https alone.
const BY_HTTPS: &str = "__Secure-";
/// As the front says below which path a browser finds the server.
const PREFIX: &str = "x-forwarded-prefix";
/// As long as browsers keep a cookie at most.
const MARK_LASTS: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// A browser has one of each name; others may have put some of the plain name beside it.
const LOOKED_AT: usize = 8;

/// By which scheme a browser came to whoever stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As a proxy says it that the front believes, or else the page that asks.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = text("x-forwarded-proto").split(',').next().unwrap_or_default().trim();
        let is_https = said.eq_ignore_ascii_case("https") || text("origin").starts_with("https://");
        if is_https { Self::Https } else { Self::Http }
    }
}

/// How a browser came to whoever stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way<'a> {
    pub(crate) scheme: Scheme,
    /// What its address has before each path of the server: "" or "/calls".
    prefix: &'a str,
}

impl<'a> Way<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let prefix = headers.get(PREFIX).and_then(|prefix| prefix.to_str().ok()).unwrap_or_default();
        let is_path = prefix.starts_with('/')
            && !prefix.ends_with('/')
            && !prefix.starts_with("//")
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
        Self { scheme: Scheme::of(headers), prefix: if is_path { prefix } else { "" } }
    }

    /// The same, but for the scheme.
    pub(crate) fn by(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// What a browser calls a path of this server.
    pub(crate) fn path(self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn cookie(self, name: &str, value: &str, lasts: Duration) -> String {
        let (first, secure) = match (self.scheme, self.prefix) {
            (Scheme::Http, _) => ("", ""),
            (Scheme::Https, "") => (OF_HOST, "; Secure"),
            (Scheme::Https, _) => (BY_HTTPS, "; Secure"),
        };
        let (path, seconds) = (self.path("/"), lasts.as_secs());
        format!("{first}{name}={value}; Max-Age={seconds}; Path={path}; HttpOnly; SameSite=Lax{secure}")
    }

    /// Whatever a browser may have kept of a name here: it may have come by the other scheme before. Above the path another server may be.
    fn forgotten(self, name: &str) -> [String; 2] {
        [Scheme::Http, Scheme::Https].map(|scheme| self.by(scheme).cookie(name, "", Duration::ZERO))
    }
}

/// What a browser is told to keep of a session that began.
pub(crate) fn kept(signed_in: &SignedIn, way: Way<'_>) -> [String; 2] {
    [
        way.cookie(SESSION, &signed_in.token.reveal(), SESSION_LASTS),
        way.cookie(MARK, signed_in.mark.reveal(), MARK_LASTS),
    ]
}

/// What a browser is told to forget with its session. The mark stays.
pub(crate) fn forgotten(way: Way<'_>) -> [String; 2] {
    way.forgotten(SESSION)
}

/// What a browser is told to keep of a sign-in at an OpenID provider that is under way. The provider sends it back by following a link, with
/// which `SameSite=Lax` lets it come.
pub(crate) fn under_way(flow: &str, way: Way<'_>) -> String {
    way.cookie(SIGN_IN, flow, OIDC_SIGN_IN_LASTS)
}

/// What a browser is told to forget when it has ended.
pub(crate) fn over(way: Way<'_>) -> [String; 2] {
    way.forgotten(SIGN_IN)
}

/// What a browser shows for sign-ins that are under way.
pub(crate) fn flows(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    values(headers, SIGN_IN)
}

/// What a browser is told to keep of a link to a recording that it opened, until it is closed: for what is at `path` of this server and
/// below it alone.
///
/// A name with `__Host-` would be for all paths. Whoever sets another one here has its viewer shown the same link or nothing.
pub(crate) fn view(path: &str, ticket: &Shown, way: Way<'_>) -> String {
    let secure = match way.scheme {
        Scheme::Http => "",
        Scheme::Https => "; Secure",
    };
    let path = way.path(path);
    format!("{VIEW}={}; Path={path}; HttpOnly; SameSite=Strict{secure}", ticket.reveal())
}

/// What a browser shows for tickets of links.
pub(crate) fn tickets(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    values(headers, VIEW)
}

/// What a browser shows for the tokens of sessions.
pub(crate) fn tokens(headers: &HeaderMap) -> impl Iterator<Item = SessionToken> {
    values(headers, SESSION).filter_map(SessionToken::parse)
}

/// What a browser shows for its mark.
pub(crate) fn mark(headers: &HeaderMap) -> Option<&str> {
    values(headers, MARK).next()
}

fn values<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let named = move |first: &'static str| {
        pairs(headers).filter(move |(found, _)| found.strip_prefix(first) == Some(name))
    };
    named(OF_HOST).chain(named(BY_HTTPS)).chain(named("")).map(|(_, value)| value).take(LOOKED_AT)
}

/// Name and value of each cookie.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    // What others set beside them need not be text. Of blanks only ASCII's go: others may stand in a name that looks like one of ours.
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| str::from_utf8(pair.trim_ascii()).ok()?.split_once('='))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_browser_came_by_https_where_a_proxy_or_its_page_says_so() {
        for (lines, expected) in [
            (vec![], Scheme::Http),
            (vec![("x-forwarded-proto", "https")], Scheme::Https),
            (vec![("x-forwarded-proto", "HTTPS, http")], Scheme::Https),
            (vec![("x-forwarded-proto", "http, https")], Scheme::Http),
            (vec![("x-forwarded-proto", "http")], Scheme::Http),
            (vec![("origin", "https://calls.example.org")], Scheme::Https),
            (vec![("origin", "http://calls.example.org")], Scheme::Http),
            (vec![("origin", "null")], Scheme::Http),
        ] {
            assert_eq!(Scheme::of(&headers(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_hidden_from_scripts_and_other_sites_and_by_https_from_all_but_its_host() {
        let none = HeaderMap::new();
        let way = Way::of(&none);
        let plain = way.cookie(SESSION, "abc", Duration::from_secs(60));
        assert_eq!(plain, "reelroom=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax");
        let secure = way.by(Scheme::Https).cookie(MARK, "abc", Duration::from_secs(60));
        assert_eq!(secure, "__Host-reelroom-mark=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(
            forgotten(way),
            [
                "reelroom=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
                "__Host-reelroom=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
            ]
        );
    }

    #[test]
    fn below_a_path_a_cookie_holds_there_alone() {
        let by_https = headers(&[("x-forwarded-prefix", "/calls"), ("x-forwarded-proto", "https")]);
        let way = Way::of(&by_https);
        assert_eq!(
            way.cookie(SESSION, "abc", Duration::from_secs(60)),
            "__Secure-reelroom=abc; Max-Age=60; Path=/calls/; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = way.by(Scheme::Http).cookie(SESSION, "abc", Duration::from_secs(60));
        assert_eq!(plain, "reelroom=abc; Max-Age=60; Path=/calls/; HttpOnly; SameSite=Lax");
        assert_eq!(
            forgotten(way),
            [
                "reelroom=; Max-Age=0; Path=/calls/; HttpOnly; SameSite=Lax",
                "__Secure-reelroom=; Max-Age=0; Path=/calls/; HttpOnly; SameSite=Lax; Secure"
            ]
        );
        assert_eq!(way.path("/owner"), "/calls/owner");
        for odd in ["//evil.example", "/calls/", "calls", "/a b", "/a;Path=/", "/%2e"] {
            let said = headers(&[("x-forwarded-prefix", odd)]);
            assert_eq!(Way::of(&said).path("/owner"), "/owner", "{odd}");
        }
    }

    #[test]
    fn a_sign_in_that_is_under_way_is_kept_for_as_long_as_it_may_take() {
        let none = HeaderMap::new();
        let way = Way::of(&none).by(Scheme::Https);
        let kept = under_way("1.a.b.c", way);
        assert_eq!(kept, "__Host-reelroom-oidc=1.a.b.c; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure");
        let shown = headers(&[("cookie", "reelroom=x; reelroom-oidc=plain; __Host-reelroom-oidc=own")]);
        assert_eq!(flows(&shown).collect::<Vec<_>>(), ["own", "plain"]);
        assert!(over(way).iter().all(|cookie| cookie.contains("reelroom-oidc=; Max-Age=0; ")));
    }

    #[test]
    fn the_name_that_nobody_else_can_set_goes_before_a_plain_one() {
        let shown = headers(&[
            ("cookie", "a=1; reelroom-mark=plain; __Secure-reelroom-mark=below;  __Host-reelroom-mark=own"),
            ("cookie", "x__Host-reelroom-mark=other; reelroom=; reelroom"),
        ]);
        assert_eq!(values(&shown, MARK).collect::<Vec<_>>(), ["own", "below", "plain"]);
        assert_eq!(mark(&shown), Some("own"));
        assert_eq!(tokens(&shown).count(), 0, "an empty value is no token");
        assert_eq!(mark(&HeaderMap::new()), None);
    }

    #[test]
    fn what_others_set_beside_them_hides_none() {
        let token = "A".repeat(43);
        for line in [
            format!("x=\u{e9}; __Host-reelroom={token}"),
            format!("reelroom={token}; \u{e9}=x"),
            format!("\u{2000}__Host-reelroom=x;reelroom={token}"),
        ] {
            let mut shown = HeaderMap::new();
            shown.append("cookie", HeaderValue::from_bytes(line.as_bytes()).unwrap());
            assert_eq!(tokens(&shown).count(), 1, "{line}");
        }
        let mut shown = HeaderMap::new();
        shown.append("cookie", HeaderValue::from_bytes(b"x=\xff\xfe; reelroom-mark=own").unwrap());
        assert_eq!(mark(&shown), Some("own"));
    }

    #[test]
    fn however_many_cookies_come_few_are_looked_at() {
        let token = "A".repeat(43);
        let many = vec![format!("reelroom={token}"); 1000].join("; ");
        assert_eq!(tokens(&headers(&[("cookie", &many)])).count(), LOOKED_AT);
    }
}
