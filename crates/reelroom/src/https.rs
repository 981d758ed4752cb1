//! HTTPS by the program itself: where its certificate comes from, the port beside it for whoever comes without, and what is said to whoever
//! starts it.
//!
//! ```text
//!   settings ─► TLS = files | acme | own ─► Certificates ─► the front's port
//!                                     └───► HTTP_PORT: everybody is sent on, an ACME server is answered
//! ```

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use reelroom_certs::{AcmeSettings, Certificates, CertsConfig, CertsError, Served, Source};
use reelroom_limits::http::PLAIN_CONNECTIONS;
use tokio::net::TcpListener;

use crate::app::Role;
use crate::config::{Config, Tls};
use crate::front::connections::Bounds;
use crate::front::plain::{Https, Plain};
use crate::front::sites::HostName;
use crate::urls::{self, Interface};

/// As many addresses are printed: more of them nobody reads.
const PRINTED: usize = 4;
const HTTPS_PORT: u16 = 443;

/// HTTPS at a port, ready to be served.
pub(crate) struct Opened {
    pub(crate) certificates: Certificates,
    tls: Tls,
    role: Role,
    bound: SocketAddr,
    /// The port beside it.
    plain: Option<TcpListener>,
}

/// Opens the certificates, and the port beside `bound`, at which HTTPS is spoken; `None` where there is none.
///
/// # Errors
/// What a person has to change, in words.
pub(crate) async fn open(config: &Config, role: Role, bound: SocketAddr) -> anyhow::Result<Option<Opened>> {
    let tls = config.tls_in_force(role);
    if tls == Tls::Off {
        return Ok(None);
    }
    let plain = match config.http_port_in_force(role) {
        Some(port) => plain_listener(SocketAddr::new(config.listen, port), tls).await,
        None => None,
    };
    let source = match tls {
        Tls::Off | Tls::Own => Source::Own,
        Tls::Files => {
            let missing = "tls_cert and tls_key (TLS_CERT, TLS_KEY) are needed";
            let cert = config.tls_cert.clone().context(missing)?;
            Source::Files { cert, key: config.tls_key.clone().context(missing)? }
        }
        Tls::Acme => Source::Acme(AcmeSettings {
            name: config.acme_name().context("public_url (PUBLIC_URL) has no public name")?.to_owned(),
            directory: config.acme_directory.clone(),
            email: config.acme_email.clone(),
            ca: config.acme_ca.clone(),
            has_http: plain.is_some(),
        }),
    };
    let names = config.public_names();
    let listen = config.listen;
    let served = Arc::new(move || served(listen, &names, &urls::interfaces()));
    let settings = CertsConfig { folder: config.data_dir.join("tls"), source, served };
    let opening = tokio::task::spawn_blocking(move || Certificates::open(settings));
    let certificates = opening.await?.map_err(|error| explained(&error, tls))?;
    let serving = certificates.serving();
    tracing::info!(
        tls = tls.as_str(),
        names = serving.facts.names.join(", "),
        days = serving.facts.days_left(std::time::SystemTime::now()),
        "HTTPS is served"
    );
    Ok(Some(Opened { certificates, tls, role, bound, plain }))
}

/// Where people reach a server with these settings, as far as they tell.
pub(crate) fn page(config: &Config) -> String {
    let (role, listen) = (Role::Everything, config.listen);
    let bound = SocketAddr::new(listen, config.port_in_force(role));
    let by_https = addresses(config.tls_in_force(role), bound, &[], &urls::interfaces());
    by_https.into_iter().next().unwrap_or_else(|| urls::page(bound))
}

fn explained(error: &CertsError, tls: Tls) -> anyhow::Error {
    match tls {
        Tls::Files => anyhow::anyhow!("the certificate of TLS_CERT and TLS_KEY cannot be used: {error}"),
        Tls::Off | Tls::Acme | Tls::Own => anyhow::anyhow!("{error}"),
    }
}

/// Without it HTTPS works all the same.
async fn plain_listener(wanted: SocketAddr, tls: Tls) -> Option<TcpListener> {
    match TcpListener::bind(wanted).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            let acme = if tls == Tls::Acme {
                ", and the ACME server is answered by TLS-ALPN-01 at port 443 alone"
            } else {
                ""
            };
            tracing::warn!(
                "nobody can listen on {wanted} ({error}){}: whoever comes by http:// is not sent to https://{acme}; http_port = 0 says that this is meant",
                privilege(&error).unwrap_or_default()
            );
            None
        }
    }
}

/// What helps where the system lets this user have no such port.
pub(crate) fn privilege(error: &io::Error) -> Option<&'static str> {
    (error.kind() == io::ErrorKind::PermissionDenied).then_some(
        " (ports below 1024 need a right: 'sudo setcap cap_net_bind_service=+ep' on this program, or AmbientCapabilities=CAP_NET_BIND_SERVICE in its \
         systemd unit)",
    )
}

/// What a certificate of the server's own has to be for.
///
/// Addresses of IPv6 are in it and are no reason for another one: a machine changes them every day.
fn served(listen: IpAddr, names: &[HostName], interfaces: &[Interface]) -> Served {
    let bare = |host: &HostName| match host {
        HostName::Name(name) => name.clone(),
        HostName::Address(ip) => ip.to_string(),
    };
    let typed = urls::typed(listen, interfaces);
    let is_steady = |one: &&Interface| !one.is_of_containers() && (one.ip.is_ipv4() || one.ip == listen);
    let steady = typed.iter().filter(is_steady).map(|one| one.ip.to_string());
    let machine = crate::app::machine_names();
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let also = typed.iter().map(|one| one.ip.to_string()).chain(machine.iter().map(bare)).chain(local);
    let needed: BTreeSet<String> = steady.chain(names.iter().map(bare)).collect();
    Served::new(needed, also)
}

impl Opened {
    /// For the front of its port.
    pub(crate) fn front(&self) -> Https {
        let plain = match self.role {
            Role::Everything => Plain::Refused,
            Role::Media => Plain::Served,
        };
        Https { certificates: self.certificates.clone(), plain }
    }

    /// The port beside it, which sends everybody here.
    pub(crate) fn take_plain(&mut self) -> Option<(TcpListener, Https, Bounds)> {
        let listener = self.plain.take()?;
        let https = Https { certificates: self.certificates.clone(), plain: Plain::Sent(self.bound.port()) };
        let bounds = Bounds { total: PLAIN_CONNECTIONS, of_an_address: PLAIN_CONNECTIONS / 4 };
        Some((listener, https, bounds))
    }

    /// A name for which it has a certificate that browsers believe, as far as the settings tell.
    pub(crate) fn believed_name(&self) -> Option<String> {
        match self.tls {
            Tls::Files | Tls::Acme => {
                let named = |name: &String| match name.parse() {
                    Ok(host @ HostName::Name(_)) if !host.is_loopback() => Some(host.to_string()),
                    _ => None,
                };
                self.certificates.serving().facts.names.iter().find_map(named)
            }
            Tls::Own | Tls::Off => None,
        }
    }

    /// Where it is reached from other machines, best first.
    pub(crate) fn addresses(&self) -> Vec<String> {
        addresses(self.tls, self.bound, &self.certificates.serving().facts.names, &urls::interfaces())
    }

    /// What whoever starts it has to know, in lines: which addresses there are besides the first, and why a browser warns.
    pub(crate) fn lines(&self) -> String {
        if self.tls != Tls::Own {
            return String::new();
        }
        own_lines(&self.addresses(), self.bound, &self.certificates.serving().fingerprint)
    }
}

fn addresses(tls: Tls, bound: SocketAddr, names: &[String], interfaces: &[Interface]) -> Vec<String> {
    let port = if bound.port() == HTTPS_PORT { String::new() } else { format!(":{}", bound.port()) };
    match tls {
        Tls::Off => Vec::new(),
        Tls::Own => {
            let typed = urls::typed(bound.ip(), interfaces);
            typed
                .iter()
                .take(PRINTED)
                .map(|one| format!("https://{}{port}", HostName::Address(one.ip)))
                .collect()
        }
        Tls::Files | Tls::Acme => {
            let named = names
                .iter()
                .filter(|name| !name.starts_with('*'))
                .filter_map(|name| name.parse::<HostName>().ok());
            named.take(PRINTED).map(|host| format!("https://{host}{port}")).collect()
        }
    }
}

fn own_lines(addresses: &[String], bound: SocketAddr, fingerprint: &str) -> String {
    let mut lines = String::new();
    if addresses.is_empty() {
        // A loopback address, or a machine without a network.
        lines += &format!(
            "https://localhost:{} is the same, of whose certificate a browser warns.\n",
            bound.port()
        );
        lines += &format!("Its SHA-256 fingerprint is {fingerprint}\n");
        return lines;
    }
    let which = match addresses {
        [_, others @ ..] if !others.is_empty() => {
            lines += &format!("Other addresses of this machine: {}\n", others.join(" "));
            "Type one of them"
        }
        _ => "Type this address",
    };
    lines += which;
    lines += " on another device. Its browser warns once, for nobody vouches for a certificate that this program made itself: \
              press Advanced, then Proceed (Chrome, Edge) or Accept the Risk and Continue (Firefox), or Show Details, then visit this website (Safari).\n";
    lines += &format!("Whoever wants to be sure compares its SHA-256 fingerprint there: {fingerprint}\n");
    if bound.ip().is_loopback() || bound.ip().is_unspecified() {
        lines +=
            &format!("On this machine http://localhost:{} is the same without a warning.\n", bound.port());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces() -> Vec<Interface> {
        [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("wlan0", "fe80::5"),
            ("wlan0", "2001:db8::5"),
            ("eth0", "192.168.1.5"),
        ]
        .map(|(name, ip)| Interface { name: name.into(), ip: ip.parse().unwrap() })
        .into()
    }

    #[test]
    fn what_people_type_is_printed_networks_first_and_in_the_certificate() {
        let all = "0.0.0.0:6080".parse().unwrap();
        let expected = ["https://192.168.1.5:6080", "https://172.17.0.1:6080"];
        assert_eq!(addresses(Tls::Own, all, &[], &interfaces()), expected);
        let both = "[::]:443".parse().unwrap();
        let expected = ["https://192.168.1.5", "https://[2001:db8::5]", "https://172.17.0.1"];
        assert_eq!(addresses(Tls::Own, both, &[], &interfaces()), expected);
        let one = "10.0.0.9:1".parse().unwrap();
        assert_eq!(addresses(Tls::Own, one, &[], &interfaces()), ["https://10.0.0.9:1"]);
        let names = ["*.example.org", "calls.example.org"].map(str::to_owned);
        assert_eq!(addresses(Tls::Files, both, &names, &interfaces()), ["https://calls.example.org"]);

        let served = served("::".parse().unwrap(), &["calls.example.org".parse().unwrap()], &interfaces());
        let needed: Vec<_> = served.needed.iter().map(String::as_str).collect();
        assert_eq!(
            needed,
            ["192.168.1.5", "calls.example.org"],
            "what changes by itself is no reason for another one"
        );
        for also in ["172.17.0.1", "2001:db8::5", "localhost", "127.0.0.1", "::1"] {
            assert!(served.also.contains(also), "{also}");
        }
        assert!(!served.also.contains("fe80::5"));
    }

    #[test]
    fn who_starts_it_is_told_what_to_type_and_what_to_press() {
        let bound = "0.0.0.0:6080".parse().unwrap();
        let lines =
            own_lines(&["https://192.168.1.5:6080".into(), "https://10.0.0.1:6080".into()], bound, "AB:CD");
        for part in [
            "addresses of this machine: https://10.0.0.1:6080\n",
            "Advanced",
            "AB:CD",
            "http://localhost:6080",
        ] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
        let one =
            own_lines(&["https://192.168.1.5:6080".into()], "192.168.1.5:6080".parse().unwrap(), "AB:CD");
        assert!(!one.contains("Other addresses") && !one.contains("localhost"), "{one}");
        let none = own_lines(&[], "127.0.0.1:6080".parse().unwrap(), "AB:CD");
        assert!(!none.contains("another device"), "no other one reaches it: {none}");
        assert!(none.contains("https://localhost:6080") && none.contains("AB:CD"), "{none}");
    }

    #[test]
    fn a_port_that_the_system_refuses_has_a_hint() {
        assert!(privilege(&io::ErrorKind::PermissionDenied.into()).unwrap().contains("setcap"));
        assert!(privilege(&io::ErrorKind::AddrInUse.into()).is_none());
    }
}
