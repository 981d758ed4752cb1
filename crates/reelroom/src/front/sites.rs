//! Whether a request comes by a name of this server, and from a page that may use it. Pure.
//!
//! ```text
//!   Host, X-Forwarded-Host ─► a name or an address that this server is reached by?       no: 421 (DNS rebinding)
//!   Origin                 ─► of this server, or allowed?                                no: 403
//!   no Origin              ─► Sec-Fetch-Site says that another site's page asks?         yes: 403, unless a person follows a link
//!                          └► no browser, this server's own page, or all are allowed: tokens decide
//! ```
//!
//! # Invariants
//!
//! - No page chooses `Host`, `Origin` or `Sec-Fetch-*`: browsers write them. Programs write what they like, and gain nothing by it.
//! - What proxies say is there only where it is believed ([`super::forwarded`]).
//! - A signed link carries its own right: it may stand in any page. Whether its signature holds is for whoever serves the file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, Method, Uri, Version, header};
use serde::Deserialize;

use crate::network::Network;
use crate::public_url::PublicUrl;

/// Names by which the containers of a machine reach the machine. Nobody can register a name below `.internal`.
const NAMES_OF_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// The name or address of a host, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostName {
    /// A DNS name.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// The text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host such as \"calls.example.org\": no scheme, port or path belongs to it")]
pub struct NoHost(String);

/// The text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin such as \"https://app.example.org\": it has a scheme and a host, a port where it is not the scheme's own, and no path"
)]
pub struct NoOrigin(String);

impl HostName {
    /// The host and the port of `name`, `name:port` or `[address]:port`.
    pub(crate) fn of_authority(text: &str) -> Option<(Self, Option<u16>)> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if port.is_empty() => None,
            _ => return None,
        };
        if text.starts_with('[') {
            let ip: std::net::Ipv6Addr = host.parse().ok()?;
            return Some((Self::Address(IpAddr::V6(ip).to_canonical()), port));
        }
        if let Ok(ip) = host.parse::<std::net::Ipv4Addr>() {
            return Some((Self::Address(ip.into()), port));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        is_name.then(|| (Self::Name(name.to_ascii_lowercase()), port))
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::Address(ip) => ip.is_loopback(),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Address(ip) => write!(f, "{ip}"),
        }
    }
}

impl FromStr for HostName {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let text = text.trim();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical()));
        }
        match Self::of_authority(text) {
            Some((host, None)) => Ok(host),
            _ => Err(NoHost(text.to_owned())),
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = NoHost;

    fn try_from(text: String) -> Result<Self, NoHost> {
        text.parse()
    }
}

/// The origin of a page: scheme, host, and the port where it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: HostName,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = HostName::of_authority(authority)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let scheme = is_scheme.then(|| scheme.to_ascii_lowercase())?;
        let port = port.filter(|port| Some(*port) != own_port(&scheme));
        Some(Self { scheme, host, port })
    }

    /// Whether a page of this origin stands at an authority.
    fn is_at(&self, (host, port): &(HostName, Option<u16>)) -> bool {
        self.host == *host && self.port == port.filter(|port| Some(*port) != own_port(&self.scheme))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn own_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Whose pages may use this server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AllowedOrigin {
    /// All there are.
    Any,
    /// Those of one origin.
    One(Origin),
    /// Those of a scheme and a host, at any port.
    AnyPort(Origin),
}

impl AllowedOrigin {
    fn allows(&self, origin: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == origin,
            Self::AnyPort(one) => one.scheme == origin.scheme && one.host == origin.host,
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(origin) => write!(f, "{origin}"),
            Self::AnyPort(origin) => write!(f, "{origin}:*"),
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let text = text.trim();
        let parsed = match text.strip_suffix(":*") {
            _ if text == "*" => return Ok(Self::Any),
            Some(rest) => Origin::parse(rest).filter(|origin| origin.port.is_none()).map(Self::AnyPort),
            None => Origin::parse(text.strip_suffix('/').unwrap_or(text)).map(Self::One),
        };
        parsed.ok_or_else(|| NoOrigin(text.to_owned()))
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Self, NoOrigin> {
        text.parse()
    }
}

/// What the server knows of where it is reached and who may use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sites {
    /// Names and addresses, besides loopback and those of the machine.
    pub(crate) hosts: Vec<HostName>,
    /// Those of them that a proxy in front has.
    pub(crate) public_names: Vec<HostName>,
    /// The address by which everybody reaches it.
    pub(crate) public_url: Option<PublicUrl>,
    /// The proxies on other machines whose word is believed.
    pub(crate) proxies: Vec<Network>,
    pub(crate) origins: Vec<AllowedOrigin>,
    /// Pages of localhost at any port may use it.
    pub(crate) welcomes_local_pages: bool,
    /// No page may use it, its own neither: programs of this machine alone.
    pub(crate) refuses_pages: bool,
}

/// Sites that are set anew while requests come: each request is judged by one of them alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentSites(Arc<RwLock<Arc<Sites>>>);

impl CurrentSites {
    /// Those in force.
    pub(crate) fn now(&self) -> Arc<Sites> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges by these from now on. What was let in stays.
    pub(crate) fn set(&self, sites: Sites) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sites);
    }
}

impl From<Sites> for CurrentSites {
    fn from(sites: Sites) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(sites))))
    }
}

/// What is known of a request before anybody looks at what it asks for.
pub(crate) struct Visit<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    /// It came encrypted, by this program itself: its own page came so too.
    pub(crate) is_tls: bool,
    /// Whether an address is one of this machine, or the one that the connection came to.
    pub(crate) is_own: &'a dyn Fn(IpAddr) -> bool,
}

/// Why a request is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400.
    #[error("the request says in no way, or in several, by which name it came (Host)")]
    NoHost,
    /// 421.
    #[error(
        "this server is not reached by the name {0:?}: the setting public_hosts (PUBLIC_HOSTS) has the names that it is reached by, \
         besides that of public_url (PUBLIC_URL)"
    )]
    UnknownHost(String),
    /// 403.
    #[error(
        "pages of {0} may not use this server: the setting allowed_origins (ALLOWED_ORIGINS) has the pages that may"
    )]
    ForeignPage(String),
    /// 403: of what elements of a page load, browsers say no more than that.
    #[error(
        "a page of another site, which does not say which, may not load this: in a page that is allowed (the setting allowed_origins, \
         ALLOWED_ORIGINS) the element that loads it needs the attribute crossorigin, or a signed link"
    )]
    NamelessPage,
}

impl Sites {
    /// Decides whether a request is looked at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn judge(&self, visit: &Visit<'_>) -> Result<(), Refusal> {
        let hosts = self.hosts_of(visit)?;
        if is_signed_link(visit) && !self.refuses_pages {
            return Ok(());
        }
        let header = |name: &str| visit.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let site = header("sec-fetch-site");
        let Some(text) = one(visit.headers, header::ORIGIN).map_err(|()| foreign("several origins"))? else {
            return match site {
                None | Some("none") => Ok(()),
                Some("same-origin") if !self.refuses_pages => Ok(()),
                // A person follows a link, or opens one from a mail; the page that has it sees nothing of what comes.
                Some(_) if is_opened(visit) && !self.refuses_pages => Ok(()),
                Some(_) if self.welcomes_all() => Ok(()),
                Some(_) => Err(Refusal::NamelessPage),
            };
        };
        let Some(origin) = Origin::parse(text) else {
            // "null": a sandboxed frame, a file, a redirect.
            return if self.welcomes_all() { Ok(()) } else { Err(foreign(&format!("the origin {text:?}"))) };
        };
        // A page that came in the clear may be of anybody on the way.
        let is_safe = !visit.is_tls || origin.scheme == "https";
        let is_own = match site {
            // A proxy in front may have changed Host, not who asks.
            Some("same-origin") => {
                self.knows(&origin.host, visit) || hosts.iter().any(|host| origin.is_at(host))
            }
            // Of a WebSocket, Chromium says no more than Origin.
            None | Some("none") => hosts.iter().any(|host| origin.is_at(host)) || self.is_public(&origin),
            // The same host, but not by the same scheme.
            Some(_) => false,
        };
        let is_welcome = (is_own && is_safe && !self.refuses_pages)
            || (self.welcomes_local_pages && is_local(&origin))
            || self.origins.iter().any(|allowed| allowed.allows(&origin));
        if is_welcome { Ok(()) } else { Err(foreign(&origin.to_string())) }
    }

    /// Whether all pages there are may use it.
    pub(crate) fn welcomes_all(&self) -> bool {
        self.origins.contains(&AllowedOrigin::Any)
    }

    /// All names that a request says it came by, each of which has to be one of this server.
    fn hosts_of(&self, visit: &Visit<'_>) -> Result<Vec<(HostName, Option<u16>)>, Refusal> {
        let host = one(visit.headers, header::HOST).map_err(|()| Refusal::NoHost)?;
        // Before HTTP/1.1 nobody had to say it. Every browser does.
        if host.is_none() && visit.version != Version::HTTP_10 {
            return Err(Refusal::NoHost);
        }
        let forwarded = visit.headers.get_all("x-forwarded-host").iter();
        let forwarded = forwarded.flat_map(|value| value.to_str().unwrap_or("?").split(','));
        let said = host
            .into_iter()
            .chain(visit.uri.authority().map(|authority| authority.as_str()))
            .chain(forwarded);
        said.map(|text| {
            let text = text.trim();
            let unknown = || Refusal::UnknownHost(text.chars().take(255).collect());
            let authority = HostName::of_authority(text).ok_or_else(unknown)?;
            if self.knows(&authority.0, visit) { Ok(authority) } else { Err(unknown()) }
        })
        .collect()
    }

    /// Whether an origin is the one by which a proxy in front shows this server, whatever the proxy has made of Host.
    fn is_public(&self, origin: &Origin) -> bool {
        let is_named =
            origin.scheme == "https" && origin.port.is_none() && self.public_names.contains(&origin.host);
        is_named || self.public_url.as_ref().is_some_and(|url| url.origin() == *origin)
    }

    /// Whether it is a proxy on another machine whose word is believed.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(ip))
    }

    fn knows(&self, host: &HostName, visit: &Visit<'_>) -> bool {
        let is_of_machine = match host {
            HostName::Name(name) => NAMES_OF_CONTAINERS.contains(&name.as_str()),
            HostName::Address(ip) => (visit.is_own)(*ip),
        };
        host.is_loopback() || is_of_machine || self.hosts.contains(host)
    }
}

fn foreign(who: &str) -> Refusal {
    Refusal::ForeignPage(who.chars().take(255).collect())
}

/// The pages that developers have on their own machines.
fn is_local(origin: &Origin) -> bool {
    let is_localhost = match &origin.host {
        HostName::Name(name) => name == "localhost",
        HostName::Address(IpAddr::V4(ip)) => *ip == std::net::Ipv4Addr::LOCALHOST,
        HostName::Address(IpAddr::V6(ip)) => ip.is_loopback(),
    };
    is_localhost && matches!(origin.scheme.as_str(), "http" | "https")
}

/// The one line of a header; an error where there are several, or it is no text.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, ()> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return Err(());
    }
    first.map(|value| value.to_str().map_err(drop)).transpose()
}

fn is_read(visit: &Visit<'_>) -> bool {
    matches!(*visit.method, Method::GET | Method::HEAD)
}

/// Whether a browser shows the answer in a tab, and not in somebody else's page.
fn is_opened(visit: &Visit<'_>) -> bool {
    let is = |name: &str, wanted: &str| visit.headers.get(name).is_some_and(|value| value == wanted);
    is_read(visit) && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// Whether a request is for a file by a link that was made for whoever holds it. Whoever serves files looks at the signature of each
/// that has one; nothing else does.
pub(crate) fn is_signed_link(visit: &Visit<'_>) -> bool {
    let query = visit.uri.query().unwrap_or_default();
    is_read(visit) && names_a_file(visit.uri) && query.split('&').any(|pair| pair.starts_with("signature="))
}

/// Whether it is the file of a recording that is asked for, and not what is known of it.
pub(crate) fn names_a_file(uri: &Uri) -> bool {
    uri.path().strip_prefix("/recordings/").is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// The same, by a link to that recording.
pub(crate) fn names_a_shared_file(uri: &Uri) -> bool {
    let share = uri.path().strip_prefix("/watch/").and_then(|rest| rest.strip_suffix("/file"));
    share.is_some_and(|share| !share.is_empty() && !share.contains('/'))
}

#[cfg(test)]
mod tests;
