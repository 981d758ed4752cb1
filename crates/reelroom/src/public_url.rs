//! The address by which everybody reaches the server, as `PUBLIC_URL` says it. Pure.
//!
//! ```text
//!   https :// calls.example.org [:8443] [/calls]
//!   scheme    host               port    prefix: what stands before every path of the server in the address bar
//! ```
//!
//! # Invariants
//!
//! - A prefix is empty, or begins with "/" and does not end with it; nothing in it has to be escaped in an address, a header or a cookie.
//! - No path of the server begins as the prefix does: whether a request has the prefix is seen from its path alone.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use url::{Host, Url};

use crate::front::sites::{HostName, Origin};

/// A prefix stands in the path of each cookie and in front of each path that is asked for.
const MAX_PREFIX_BYTES: usize = 200;
/// With these the server's own paths begin, and what stands at the root of every site.
const TAKEN: [&str; 30] = [
    ".well-known",
    "agent",
    "assets",
    "audit",
    "events",
    "favicon.ico",
    "healthz",
    "icon.svg",
    "index.html",
    "join",
    "join.html",
    "link",
    "livekit",
    "metrics",
    "openapi.json",
    "overview",
    "owner",
    "owner.html",
    "readyz",
    "recordings",
    "recordings.html",
    "robots.txt",
    "rooms",
    "rtc",
    "settings.json",
    "token",
    "twirp",
    "watch",
    "watch.html",
    "webhooks",
];

/// The address by which everybody reaches the server. Shown without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl {
    is_https: bool,
    host: HostName,
    /// Where it is not the scheme's own.
    port: Option<u16>,
    prefix: String,
}

/// The text is no address by which a server can be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPublicUrl {
    /// What it is instead is not said: a password may stand in it.
    #[error(
        "it has to be an address such as \"https://calls.example.org\" or \"https://example.org/calls\", without a name, a password, \
         a query or a fragment"
    )]
    Form,
    /// By http, and not on this machine or in a private network.
    #[error(
        "by http:// browsers give no page a camera, and a password is read by whoever is in between: name it by https://{0} \
         (http:// is for localhost and addresses of private networks)"
    )]
    Plain(HostName),
    /// Something in the path would have to be escaped, or it is too long.
    #[error(
        "its path {0:?} cannot stand before the paths of a server: between its slashes are letters, digits, \"-\", \"_\", \".\" and \"~\", \
         and it has {most} characters at most",
        most = MAX_PREFIX_BYTES
    )]
    Path(String),
    /// The server has paths of its own that begin so.
    #[error(
        "its path begins with \"/{0}\", as paths of the server itself do: choose another one, such as \"/calls\""
    )]
    Taken(String),
}

impl PublicUrl {
    /// Whether it is reached by https.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Its name or address.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Its port, the scheme's own where it says none.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// What stands before every path of the server: "" or "/calls".
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The address of something of the server.
    pub fn at(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The origin of its pages.
    pub(crate) fn origin(&self) -> Origin {
        Origin::parse(&self.origin_text()).expect("a scheme, a host and a port make an origin")
    }

    /// Whether what a request says of the name by which it came is this one. A proxy may leave out the port.
    pub(crate) fn is_at(&self, authority: &str) -> bool {
        HostName::of_authority(authority.trim())
            .is_some_and(|(host, port)| host == self.host && port.is_none_or(|port| port == self.port()))
    }

    fn origin_text(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}", self.host)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin_text(), self.prefix)
    }
}

impl From<&PublicUrl> for Url {
    fn from(url: &PublicUrl) -> Self {
        url.to_string().parse().expect("a scheme, a host, a port and a plain path make a URL")
    }
}

impl FromStr for PublicUrl {
    type Err = NoPublicUrl;

    fn from_str(text: &str) -> Result<Self, NoPublicUrl> {
        let url: Url = text.trim().parse().map_err(|_| NoPublicUrl::Form)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(NoPublicUrl::Form),
        };
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.port() != Some(0);
        let host = match url.host().filter(|_| is_bare).ok_or(NoPublicUrl::Form)? {
            Host::Domain(name) => name.parse::<HostName>().map_err(|_| NoPublicUrl::Form)?,
            Host::Ipv4(ip) => HostName::Address(ip.into()),
            Host::Ipv6(ip) => HostName::Address(IpAddr::V6(ip).to_canonical()),
        };
        let is_anywhere = matches!(&host, HostName::Address(ip) if ip.is_unspecified() || ip.is_multicast());
        if is_anywhere {
            return Err(NoPublicUrl::Form);
        }
        if !is_https && !is_near(&host) {
            return Err(NoPublicUrl::Plain(host));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        check_prefix(&prefix)?;
        Ok(Self { is_https, host, port: url.port(), prefix })
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = NoPublicUrl;

    fn try_from(text: String) -> Result<Self, NoPublicUrl> {
        text.parse()
    }
}

/// Whether it is on this machine or in a private network: nobody else is in between.
fn is_near(host: &HostName) -> bool {
    host.is_loopback()
        || match host {
            HostName::Name(_) => false,
            HostName::Address(IpAddr::V4(ip)) => ip.is_private() || ip.is_link_local(),
            HostName::Address(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
        }
}

fn check_prefix(prefix: &str) -> Result<(), NoPublicUrl> {
    let Some(path) = prefix.strip_prefix('/') else { return Ok(()) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    // "." and ".." are resolved by whoever reads the address.
    let are_plain = path.split('/').all(|part| !part.is_empty() && part.bytes().all(is_plain));
    if !are_plain || prefix.len() > MAX_PREFIX_BYTES {
        return Err(NoPublicUrl::Path(prefix.chars().take(MAX_PREFIX_BYTES).collect()));
    }
    let first = path.split('/').next().unwrap_or_default();
    if TAKEN.contains(&first) {
        return Err(NoPublicUrl::Taken(first.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<PublicUrl, NoPublicUrl> {
        text.parse()
    }

    #[test]
    fn an_address_has_a_scheme_a_host_a_port_and_a_prefix() {
        for (text, shown, port, prefix) in [
            ("https://calls.example.org", "https://calls.example.org", 443, ""),
            (" https://Calls.Example.org./ ", "https://calls.example.org", 443, ""),
            ("https://calls.example.org:443/", "https://calls.example.org", 443, ""),
            ("https://calls.example.org:8443", "https://calls.example.org:8443", 8443, ""),
            ("https://example.org/calls", "https://example.org/calls", 443, "/calls"),
            ("https://example.org/calls/", "https://example.org/calls", 443, "/calls"),
            (
                "https://example.org/a/../of/us.b-c_d~e//",
                "https://example.org/of/us.b-c_d~e",
                443,
                "/of/us.b-c_d~e",
            ),
            ("https://192.0.2.1", "https://192.0.2.1", 443, ""),
            ("https://[2001:db8::1]:8443/c", "https://[2001:db8::1]:8443/c", 8443, "/c"),
            ("http://localhost:6080", "http://localhost:6080", 6080, ""),
            ("http://rooms.localhost", "http://rooms.localhost", 80, ""),
            ("http://192.168.1.5:6080/calls", "http://192.168.1.5:6080/calls", 6080, "/calls"),
            ("http://[fd00::5]", "http://[fd00::5]", 80, ""),
        ] {
            let url = parsed(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.port(), url.prefix()), (shown, port, prefix), "{text}");
            assert_eq!(url.is_https(), shown.starts_with("https"), "{text}");
            assert_eq!(parsed(&url.to_string()).unwrap(), url, "it is read as it is shown");
            assert_eq!(Url::from(&url).as_str().trim_end_matches('/'), shown);
            assert_eq!(url.at("/join#a"), format!("{shown}/join#a"));
        }
    }

    #[test]
    fn what_nobody_can_open_is_refused_and_no_password_is_told() {
        for text in [
            "",
            "calls.example.org",
            "ftp://calls.example.org",
            "https://",
            "https://a:hunter2@calls.example.org",
            "https://a@calls.example.org",
            "https://calls.example.org/?a=hunter2",
            "https://calls.example.org/#hunter2",
            "https://calls.example.org:0",
            "https://0.0.0.0",
            "https://[::]",
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error, NoPublicUrl::Form, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        for text in ["http://calls.example.org", "http://203.0.113.9", "http://[2001:db8::1]", "http://box"] {
            assert!(matches!(parsed(text), Err(NoPublicUrl::Plain(_))), "{text}");
        }
        let long = format!("/{}", "a".repeat(MAX_PREFIX_BYTES));
        for path in ["/a//b", "/ä", "/a%20b", "/a;b", "/a,b", "/a'b", "//evil.example.org", long.as_str()] {
            let refused = parsed(&format!("https://example.org{path}"));
            assert!(matches!(refused, Err(NoPublicUrl::Path(_))), "{path}: {refused:?}");
        }
    }

    #[test]
    fn no_path_of_the_server_begins_as_a_prefix_does() {
        let table = crate::routes::table();
        let rows = table.iter().map(|row| row.path.as_str());
        let pages =
            ["/", "/assets/a.js", "/icon.svg", "/join", "/join.html", "/index.html", "/recordings.html"];
        for path in rows.chain(pages) {
            let first = path.split('/').nth(1).unwrap_or_default();
            if first.is_empty() || first.starts_with('{') {
                continue;
            }
            let refused = parsed(&format!("https://example.org/{first}/calls"));
            assert_eq!(refused, Err(NoPublicUrl::Taken(first.to_owned())), "{path} is a path of the server");
        }
        parsed("https://example.org/calls/recordings").unwrap();
        assert!(TAKEN.is_sorted(), "so that one that is missing is seen");
    }

    #[test]
    fn a_request_came_by_it_where_host_and_port_are_its_own() {
        let plain = parsed("https://example.org/calls").unwrap();
        for (authority, expected) in [
            ("example.org", true),
            ("Example.org.:443", true),
            ("example.org:6080", false),
            ("www.example.org", false),
            ("example.org.evil.example", false),
            ("a@example.org", false),
            ("", false),
        ] {
            assert_eq!(plain.is_at(authority), expected, "{authority}");
        }
        let other = parsed("https://example.org:8443").unwrap();
        assert!(
            other.is_at("example.org:8443") && other.is_at("example.org") && !other.is_at("example.org:443")
        );
        assert_eq!(other.origin().to_string(), "https://example.org:8443");
    }
}
