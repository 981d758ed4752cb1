//! Which provider, and whom of its people.

use std::fmt;

use url::{Host, Url};

use crate::owner_name::OwnerName;

/// How the owner signs in at a provider.
#[derive(Clone)]
pub struct OidcConfig {
    /// The provider.
    pub issuer: Issuer,
    /// What the provider calls this server.
    pub client_id: String,
    /// What proves to the provider that this server asks. It goes there, and into no log.
    pub client_secret: String,
    /// Who is the owner; nobody else is.
    pub owners: Vec<OwnerName>,
}

impl fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a provider calls itself: a URL, which is compared letter by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// The text is no issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no URL such as \"https://accounts.example.org\": https:// (http:// on this machine alone), and no password, \"?\" or \"#\""
)]
pub struct NoIssuer;

impl Issuer {
    /// The issuer of this name.
    ///
    /// # Errors
    /// [`NoIssuer`].
    pub fn parse(text: &str) -> Result<Self, NoIssuer> {
        let text = text.trim();
        let url: Url = text.parse().map_err(|_| NoIssuer)?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_issuer = is_bare && (url.scheme() == "https" || is_plain_and_local(&url));
        if is_issuer { Ok(Self { text: text.to_owned(), url }) } else { Err(NoIssuer) }
    }

    /// As the provider says it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a person knows it by.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether what is said to it can be read by this machine alone, and is not encrypted.
    pub(crate) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }
}

/// Whether it is plain http that does not leave this machine.
pub(crate) fn is_plain_and_local(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_safely_and_keeps_its_letters() {
        for (text, host) in [
            ("https://accounts.example.org", "accounts.example.org"),
            (" https://example.org/realms/calls/ ", "example.org"),
            ("https://example.org:8443", "example.org"),
            ("http://localhost:9000", "localhost"),
            ("http://127.0.0.1:9000", "127.0.0.1"),
            ("http://[::1]:9000/", "[::1]"),
        ] {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!((issuer.as_str(), issuer.host()), (text.trim(), host));
        }
        for text in [
            "",
            "accounts.example.org",
            "http://accounts.example.org",
            "http://localhost.example.org",
            "https://user:word@example.org",
            "https://example.org/?a=b",
            "https://example.org/#a",
            "ftp://localhost",
            "file:///etc/passwd",
        ] {
            assert_eq!(Issuer::parse(text), Err(NoIssuer), "{text}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let config = OidcConfig {
            issuer: Issuer::parse("https://accounts.example.org").unwrap(),
            client_id: "reelroom".into(),
            client_secret: "hunter2".into(),
            owners: vec!["sub:1".parse().unwrap()],
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
