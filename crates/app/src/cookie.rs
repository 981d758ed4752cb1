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
//! # Invariants
//!
//! - No script reads them, and no page of another site has a browser show them with what changes something.
//! - By https they have names that no other host can set, and no eavesdropper sees them. Such a name goes before a plain one.
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
/// Browsers take a cookie of this name from its own host alone, and by https alone.
const OF_HOST: &str = "__Host-";
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
    /// As a proxy says it, or else the page that asks.
    ///
    /// Whoever says it is believed, a proxy on another machine too: it decides only how a browser keeps its own cookie, and a program that
    /// lies gets one that is of less use to it.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = text("x-forwarded-proto").split(',').next().unwrap_or_default().trim();
        let is_https = said.eq_ignore_ascii_case("https") || text("origin").starts_with("https://");
        if is_https { Self::Https } else { Self::Http }
    }

    fn cookie(self, name: &str, value: &str, lasts: Duration) -> String {
        let (prefix, secure) = match self {
            Self::Http => ("", ""),
            Self::Https => (OF_HOST, "; Secure"),
        };
        let seconds = lasts.as_secs();
        format!("{prefix}{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }
}

/// What a browser is told to keep of a session that began.
pub(crate) fn kept(signed_in: &SignedIn, scheme: Scheme) -> [String; 2] {
    [
        scheme.cookie(SESSION, &signed_in.token.reveal(), SESSION_LASTS),
        scheme.cookie(MARK, signed_in.mark.reveal(), MARK_LASTS),
    ]
}

/// What a browser is told to forget with its session. The mark stays.
pub(crate) fn forgotten() -> [String; 2] {
    [Scheme::Http, Scheme::Https].map(|scheme| scheme.cookie(SESSION, "", Duration::ZERO))
}

/// What a browser is told to keep of a sign-in at an OpenID provider that is under way. The provider sends it back by following a link, with
/// which `SameSite=Lax` lets it come.
pub(crate) fn under_way(flow: &str, scheme: Scheme) -> String {
    scheme.cookie(SIGN_IN, flow, OIDC_SIGN_IN_LASTS)
}

/// What a browser is told to forget when it has ended.
pub(crate) fn over() -> [String; 2] {
    [Scheme::Http, Scheme::Https].map(|scheme| scheme.cookie(SIGN_IN, "", Duration::ZERO))
}

/// What a browser shows for sign-ins that are under way.
pub(crate) fn flows(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    values(headers, SIGN_IN)
}

/// What a browser is told to keep of a link to a recording that it opened, until it is closed: for what is at `path` and below it alone.
///
/// A name with `__Host-` would be for all paths. Whoever sets another one here has its viewer shown the same link or nothing.
pub(crate) fn view(path: &str, ticket: &Shown, scheme: Scheme) -> String {
    let secure = match scheme {
        Scheme::Http => "",
        Scheme::Https => "; Secure",
    };
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
    let of_host = pairs(headers).filter(move |(found, _)| found.strip_prefix(OF_HOST) == Some(name));
    let plain = pairs(headers).filter(move |(found, _)| *found == name);
    of_host.chain(plain).map(|(_, value)| value).take(LOOKED_AT)
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
        let plain = Scheme::Http.cookie(SESSION, "abc", Duration::from_secs(60));
        assert_eq!(plain, "reelroom=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax");
        let secure = Scheme::Https.cookie(MARK, "abc", Duration::from_secs(60));
        assert_eq!(secure, "__Host-reelroom-mark=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(
            forgotten(),
            [
                "reelroom=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
                "__Host-reelroom=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
            ]
        );
    }

    #[test]
    fn a_sign_in_that_is_under_way_is_kept_for_as_long_as_it_may_take() {
        let kept = under_way("1.a.b.c", Scheme::Https);
        assert_eq!(kept, "__Host-reelroom-oidc=1.a.b.c; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure");
        let shown = headers(&[("cookie", "reelroom=x; reelroom-oidc=plain; __Host-reelroom-oidc=own")]);
        assert_eq!(flows(&shown).collect::<Vec<_>>(), ["own", "plain"]);
        assert!(over().iter().all(|cookie| cookie.contains("reelroom-oidc=; Max-Age=0; ")));
    }

    #[test]
    fn the_name_that_nobody_else_can_set_goes_before_a_plain_one() {
        let shown = headers(&[
            ("cookie", "a=1; reelroom-mark=plain;  __Host-reelroom-mark=own"),
            ("cookie", "x__Host-reelroom-mark=other; reelroom=; reelroom"),
        ]);
        assert_eq!(values(&shown, MARK).collect::<Vec<_>>(), ["own", "plain"]);
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
