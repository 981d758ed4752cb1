//! How calls come by the port of the page, where that is all that a network lets through.

use reelroom_media::{PagePort, Passage};

use super::{Config, Tls};
use crate::app::Role;
use crate::front::sites::HostName;

impl Config {
    /// Why calls do not come by the port of the page: a clause; `None` where they do.
    pub(crate) fn no_passage(&self, role: Role) -> Option<&'static str> {
        let has_name = !self.public_hosts.is_empty() || !self.trusted_proxies.is_empty();
        let is_public = self.public_url.as_ref().is_some_and(|url| url.is_https());
        let has_proxy = self.tls_in_force(role) == Tls::Off && (has_name || is_public);
        if !self.embeds_media() {
            Some("they are those of the server that LIVEKIT_URL names")
        } else if !self.media_on_server_port {
            Some("MEDIA_ON_SERVER_PORT=false says so")
        } else if self.listen.is_loopback() {
            Some("LISTEN is a loopback address")
        } else if has_proxy {
            // It would take apart what it is sent, as HTTP.
            Some("a proxy is in front of it")
        } else {
            None
        }
    }

    /// The number by which clients reach the port of the page; 0 for any free one.
    pub(crate) fn passage_port(&self, role: Role) -> u16 {
        let has_https = self.tls_in_force(role) != Tls::Off;
        let public = self.public_url.as_ref().filter(|url| url.is_https() == has_https);
        // Behind something that forwards ports, the one outside is that of everybody's address.
        public.map_or_else(|| self.port_in_force(role), |url| url.port())
    }

    /// Whether browsers believe its certificate, as far as the settings tell.
    pub(crate) fn has_believed_certificate(&self, role: Role) -> bool {
        matches!(self.tls_in_force(role), Tls::Files | Tls::Acme)
    }

    /// What clients are offered. The port of the page is bound at `bound`, and has a certificate for `name` that browsers believe.
    pub(crate) fn passage(&self, role: Role, bound: u16, name: Option<String>) -> Passage {
        let page = self.no_passage(role).is_none().then(|| {
            let port = match self.passage_port(role) {
                0 => bound,
                port => port,
            };
            let believed = self.has_believed_certificate(role);
            let own = self.public_url.as_ref().filter(|_| believed).and_then(|url| match url.host() {
                HostName::Name(name) => Some(name.clone()),
                HostName::Address(_) => None,
            });
            PagePort { listen: self.listen, port, tls_name: own.or(name.filter(|_| believed)) }
        });
        Passage { turn_udp_port: self.turn_udp_port, page }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::for_data_dir(Path::new("data"));
        config.listen = "0.0.0.0".parse().unwrap();
        change(&mut config);
        config
    }

    #[test]
    fn calls_come_by_the_port_of_the_page_unless_nobody_reaches_it_or_a_proxy_is_in_front() {
        let why = |change: fn(&mut Config)| config(change).no_passage(Role::Everything);
        assert_eq!(why(|_| {}), None);
        assert!(why(|config| config.media_on_server_port = false).unwrap().contains("MEDIA_ON_SERVER_PORT"));
        assert!(why(|config| config.listen = "127.0.0.1".parse().unwrap()).unwrap().contains("loopback"));
        assert!(
            why(|config| config.public_hosts = vec!["calls.example.org".parse().unwrap()])
                .unwrap()
                .contains("proxy")
        );
        let is_off = |config: &mut Config| config.tls = Some(Tls::Off);
        let named = config(|config| {
            is_off(config);
            config.public_url = Some("https://calls.example.org".parse().unwrap());
        });
        assert!(named.no_passage(Role::Everything).unwrap().contains("proxy"));
        assert_eq!(config(is_off).no_passage(Role::Everything), None, "in a network that somebody trusts");
        assert!(
            why(|config| config.livekit_url = Some("wss://calls.example.org".parse().unwrap()))
                .unwrap()
                .contains("LIVEKIT_URL")
        );
    }

    #[test]
    fn what_clients_are_offered_is_the_port_and_the_name_of_everybodys_address() {
        let acme = config(|config| {
            config.server_port = Some(8443);
            config.public_url = Some("https://calls.example.org".parse().unwrap());
        });
        let page = acme.passage(Role::Everything, 8443, None).page.unwrap();
        assert_eq!((page.port, page.tls_name.as_deref()), (443, Some("calls.example.org")));
        let own = config(|_| {}).passage(Role::Everything, 40_000, Some("machine.example.org".into()));
        let page = own.page.unwrap();
        assert_eq!((page.port, page.tls_name), (40_000, None), "nobody vouches for its certificate");
        let files = config(|config| {
            config.tls_cert = Some("chain.pem".into());
            config.tls_key = Some("key.pem".into());
            config.server_port = Some(7443);
            config.turn_udp_port = Some(3478);
        });
        let passage = files.passage(Role::Everything, 7443, Some("calls.example.org".into()));
        let page = passage.page.unwrap();
        assert_eq!((page.port, page.tls_name.as_deref()), (7443, Some("calls.example.org")));
        assert_eq!(passage.turn_udp_port, Some(3478));
    }
}
