//! HTTPS by the program itself: where the certificate comes from, and which ports that means.

use std::net::IpAddr;

use serde::Deserialize;

use super::Config;
use crate::app::{MEDIA_PORT, PAGE_PORT, Role};
use crate::front::sites::HostName;

const HTTPS_PORT: u16 = 443;
const PLAIN_PORT: u16 = 80;

/// Where the certificate of HTTPS comes from. See [`Config::tls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// There is none: this machine alone comes, or a proxy in front has one.
    Off,
    /// Files.
    Files,
    /// An ACME server.
    Acme,
    /// The server makes one for itself.
    Own,
}

impl Tls {
    /// Its name in the settings.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Files => "files",
            Self::Acme => "acme",
            Self::Own => "own",
        }
    }
}

impl Config {
    /// Where the certificate comes from: as it is set, or as it follows from the rest.
    pub fn tls_in_force(&self, role: Role) -> Tls {
        self.tls_with_reason(role).0
    }

    /// The same, and why: a clause.
    pub(crate) fn tls_with_reason(&self, role: Role) -> (Tls, &'static str) {
        if let Some(tls) = self.tls {
            return (tls, "TLS says so");
        }
        // Whoever has a proxy in front, or said where media goes, as in a container, has had it working without.
        let has_proxy = !self.public_hosts.is_empty() || !self.trusted_proxies.is_empty();
        let is_plain = self.public_url.as_ref().is_some_and(|url| !url.is_https());
        if self.tls_cert.is_some() {
            (Tls::Files, "TLS_CERT is set")
        } else if self.listen.is_loopback() {
            (Tls::Off, "LISTEN is a loopback address")
        } else if has_proxy {
            (Tls::Off, "PUBLIC_HOSTS and TRUSTED_PROXIES mean that a proxy is in front")
        } else if is_plain {
            (Tls::Off, "PUBLIC_URL begins with http://")
        } else if self.acme_name().is_some() {
            (Tls::Acme, "PUBLIC_URL is https with a public name")
        } else if role == Role::Media {
            (Tls::Off, "reelroom media has a certificate only where one is set")
        } else if self.advertise_ips.is_empty() {
            (Tls::Own, "LISTEN is no loopback address")
        } else {
            (Tls::Off, "ADVERTISE_IPS is set, as in a container")
        }
    }

    /// The name for which an ACME server gives a certificate: that of `public_url`, where everybody can look it up.
    pub(crate) fn acme_name(&self) -> Option<&str> {
        let url = self.public_url.as_ref().filter(|url| url.is_https())?;
        match url.host() {
            HostName::Name(name) if is_public(name) => Some(name),
            HostName::Name(_) | HostName::Address(_) => None,
        }
    }

    /// The port of the page and every API; 0 for any free one.
    pub(crate) fn port_in_force(&self, role: Role) -> u16 {
        let has_name = matches!(self.tls_in_force(role), Tls::Acme | Tls::Files);
        let is_usual = self.public_url.as_ref().is_some_and(|url| url.is_https() && url.port() == HTTPS_PORT);
        self.server_port.unwrap_or(match role {
            _ if has_name && is_usual => HTTPS_PORT,
            Role::Everything => PAGE_PORT,
            Role::Media => MEDIA_PORT,
        })
    }

    /// The port at which everybody is sent to HTTPS, and an ACME server asks.
    pub(crate) fn http_port_in_force(&self, role: Role) -> Option<u16> {
        if self.tls_in_force(role) == Tls::Off {
            return None;
        }
        match self.http_port {
            Some(0) => None,
            Some(port) => Some(port),
            None => (self.port_in_force(role) == HTTPS_PORT).then_some(PLAIN_PORT),
        }
    }

    /// What of these settings cannot work together: all of it goes to `troubles`.
    pub(super) fn check_tls(&self, troubles: &mut Vec<anyhow::Error>) {
        macro_rules! trouble {
            ($($text:tt)+) => { troubles.push(anyhow::anyhow!($($text)+)) };
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => trouble!(
                "tls_cert (TLS_CERT) is set and tls_key (TLS_KEY) is not: name the file of its private key, which may be the same file"
            ),
            (None, Some(_)) => trouble!(
                "tls_key (TLS_KEY) is set and tls_cert (TLS_CERT) is not: name the file of the certificate, the whole chain (fullchain.pem)"
            ),
            (None, None) if self.tls == Some(Tls::Files) => trouble!(
                "tls = \"files\" needs tls_cert and tls_key (TLS_CERT, TLS_KEY): the PEM files of a certificate and of its private key"
            ),
            // With "off" they are there for later.
            (Some(_), Some(_)) if matches!(self.tls, Some(Tls::Acme | Tls::Own)) => trouble!(
                "tls_cert and tls_key are set, and tls (TLS) says that the certificate comes from elsewhere: remove the one or the other"
            ),
            (None, None) | (Some(_), Some(_)) => {}
        }
        if self.tls == Some(Tls::Acme) && self.acme_name().is_none() {
            trouble!(
                "tls = \"acme\" needs public_url (PUBLIC_URL) with a name that everybody can look up, such as \"https://calls.example.org\": \
                 no ACME server gives a certificate for less; \"own\" makes one for a local network"
            );
        }
        if let Some(email) = &self.acme_email
            && (!email.contains('@')
                || email.contains(|letter: char| letter.is_whitespace() || letter == ','))
        {
            trouble!(
                "acme_email (ACME_EMAIL) is no e-mail address: one such as \"ann@example.org\", or none"
            );
        }
        match self.acme_directory.parse::<url::Url>() {
            Err(error) => trouble!("acme_directory (ACME_DIRECTORY) is no URL: {error}"),
            Ok(directory) if directory.scheme() != "https" || directory.host().is_none() => {
                trouble!("acme_directory (ACME_DIRECTORY) has to begin with https://");
            }
            Ok(_) => {}
        }
        if self.http_port.is_some_and(|port| port != 0 && Some(port) == self.server_port) {
            trouble!(
                "http_port and server_port are the same: the one is for whoever comes without HTTPS, and server_port speaks both; http_port = 0 opens none"
            );
        }
    }
}

fn is_public(name: &str) -> bool {
    const PRIVATE: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];
    let is_below = |of: &str| name == of || name.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    name.contains('.') && name.parse::<IpAddr>().is_err() && !PRIVATE.iter().any(|of| is_below(of))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The settings of a text, of which each line is "name value".
    fn config(text: &str) -> Config {
        let mut config = Config::for_data_dir(Path::new("data"));
        config.server_port = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(' ').unwrap();
            match name {
                "listen" => config.listen = value.parse().unwrap(),
                "url" => config.public_url = Some(value.parse().unwrap()),
                "host" => config.public_hosts.push(value.parse().unwrap()),
                "advertise" => config.advertise_ips.push(value.parse().unwrap()),
                "port" => config.server_port = Some(value.parse().unwrap()),
                "http" => config.http_port = Some(value.parse().unwrap()),
                "cert" => config.tls_cert = Some(value.into()),
                "key" => config.tls_key = Some(value.into()),
                "email" => config.acme_email = Some(value.into()),
                "directory" => config.acme_directory = value.into(),
                "tls" => {
                    config.tls = Some(match value {
                        "off" => Tls::Off,
                        "files" => Tls::Files,
                        "acme" => Tls::Acme,
                        _ => Tls::Own,
                    });
                }
                name => panic!("{name}"),
            }
        }
        config
    }

    /// One in each line.
    fn troubles(config: &Config) -> String {
        let mut troubles = Vec::new();
        config.check_tls(&mut troubles);
        troubles.iter().map(|trouble| format!("{trouble:#}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_not_set_follows_from_who_comes() {
        for (text, role, tls, port, plain) in [
            ("", Role::Everything, Tls::Off, 6080, None),
            ("listen 0.0.0.0", Role::Everything, Tls::Own, 6080, None),
            ("listen 0.0.0.0", Role::Media, Tls::Off, 7880, None),
            ("listen 0.0.0.0\nadvertise 192.0.2.1", Role::Everything, Tls::Off, 6080, None),
            ("listen 0.0.0.0\nhost calls.example.org", Role::Everything, Tls::Off, 6080, None),
            ("listen 0.0.0.0\nurl https://calls.example.org", Role::Everything, Tls::Acme, 443, Some(80)),
            ("listen 0.0.0.0\nurl https://calls.example.org:8443", Role::Everything, Tls::Acme, 6080, None),
            (
                "listen 0.0.0.0\nurl https://calls.example.org\nport 8443",
                Role::Everything,
                Tls::Acme,
                8443,
                None,
            ),
            (
                "listen 0.0.0.0\nurl https://calls.example.org\nhost calls.example.org",
                Role::Everything,
                Tls::Off,
                6080,
                None,
            ),
            ("url https://calls.example.org", Role::Everything, Tls::Off, 6080, None),
            ("listen 0.0.0.0\nurl https://box.local:6080", Role::Everything, Tls::Own, 6080, None),
            ("listen 0.0.0.0\nurl http://192.168.1.5:6080", Role::Everything, Tls::Off, 6080, None),
            ("cert a\nkey b", Role::Everything, Tls::Files, 6080, None),
            ("cert a\nkey b\nurl https://calls.example.org", Role::Media, Tls::Files, 443, Some(80)),
            ("cert a\nkey b\nurl https://calls.example.org\nhttp 0", Role::Media, Tls::Files, 443, None),
            ("tls own", Role::Everything, Tls::Own, 6080, None),
            ("tls own\nhttp 8080", Role::Everything, Tls::Own, 6080, Some(8080)),
            ("tls off\nlisten 0.0.0.0\nhttp 8080", Role::Everything, Tls::Off, 6080, None),
        ] {
            let config = config(text);
            let found =
                (config.tls_in_force(role), config.port_in_force(role), config.http_port_in_force(role));
            assert_eq!(found, (tls, port, plain), "{text}");
            assert_eq!(troubles(&config), "", "{text}");
        }
    }

    #[test]
    fn what_cannot_work_says_what_is_missing() {
        for (text, expected) in [
            ("cert a", "TLS_KEY"),
            ("key a", "TLS_CERT"),
            ("tls files", "TLS_CERT"),
            ("tls own\ncert a\nkey b", "remove"),
            ("tls acme", "PUBLIC_URL"),
            ("tls acme\nurl https://192.0.2.1", "PUBLIC_URL"),
            ("tls acme\nurl https://box.local", "PUBLIC_URL"),
            ("email ann", "ACME_EMAIL"),
            ("directory acme.example", "ACME_DIRECTORY"),
            ("directory http://acme.example/", "https://"),
            ("port 6080\nhttp 6080", "http_port"),
        ] {
            let error = troubles(&config(text));
            assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
        }
        let all = troubles(&config("tls acme\nemail ann\ndirectory x\nport 80\nhttp 80\ncert a"));
        assert_eq!(all.lines().count(), 5, "all of it at once: {all}");
    }

    #[test]
    fn files_may_wait_while_there_is_no_https() {
        assert_eq!(troubles(&config("tls off\ncert a\nkey b")), "");
    }
}
