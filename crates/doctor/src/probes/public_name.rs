//! Where the public names lead, by the system's own resolver, and who answers there.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::Duration;

use super::ask::{Deaf, Heard, Question, ask};
use super::server::says_access;
use super::tls::Trust;
use crate::checks::public_name::{Answer, NameFacts, Whom};
use crate::subject::{Https, PublicAddress, Subject};

/// For a resolver.
const WITHIN: Duration = Duration::from_secs(6);
/// Of a name with many addresses, so many are asked.
const MOST_ASKED: usize = 4;

/// Looks at each.
pub(crate) fn probe(subject: &Subject, server_runs: bool, trust: &Trust) -> Vec<NameFacts> {
    let own = super::own_addresses();
    let advertised = subject.media.as_ref().map(|media| media.advertise.clone()).unwrap_or_default();
    let look = |public: &PublicAddress| {
        let leads_to = resolve(&public.host);
        let addresses = leads_to.clone().unwrap_or_default();
        let asked = addresses.iter().take(MOST_ASKED);
        NameFacts {
            host: public.host.clone(),
            url: public.url(),
            is_address: public.host.parse::<IpAddr>().is_ok(),
            answers: asked.map(|ip| (*ip, answer(public, *ip, trust))).collect(),
            leads_to,
            own: own.clone(),
            advertised: advertised.clone(),
            server_runs,
            is_own_certificate: matches!(subject.https, Https::Own(_)),
        }
    };
    subject.public.iter().map(look).collect()
}

/// The addresses of a name, each once. A resolver that does not answer is left behind in a thread of its own.
pub(crate) fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let (tell, told) = mpsc::channel();
    let wanted = (host.to_owned(), 0);
    std::thread::spawn(move || {
        let found = wanted.to_socket_addrs().map(|all| all.map(|address| address.ip()).collect::<Vec<_>>());
        let _ = tell.send(found.map_err(|error| error.to_string()));
    });
    let found: Vec<IpAddr> = told
        .recv_timeout(WITHIN)
        .map_err(|_| format!("the resolver does not answer in {} s", WITHIN.as_secs()))??;
    let mut once = Vec::new();
    for ip in found {
        if !once.contains(&ip) {
            once.push(ip);
        }
    }
    Ok(once)
}

fn answer(public: &PublicAddress, ip: IpAddr, trust: &Trust) -> Answer {
    let host = public.host_header();
    let ask = |path: &str| {
        let path = format!("{}{path}", public.prefix);
        ask(
            &Question {
                to: SocketAddr::new(ip, public.port),
                is_https: public.is_https,
                name: &public.host,
                host: &host,
                method: "GET",
                path: &path,
                call: None,
            },
            trust,
        )
    };
    let heard = match ask("/settings.json") {
        Ok(heard) => heard,
        Err(Deaf::Refused) => return Answer::Refused,
        Err(Deaf::Silent) => return Answer::Silent,
        Err(Deaf::Unreachable(why)) => return Answer::Unreachable(why),
        Err(Deaf::NoTls(why)) => return Answer::NoHttps(why),
        // Something that is no web server at all.
        Err(Deaf::NoHttp(_)) => return Answer::By { whom: Whom::Another(0), distrust: None },
    };
    Answer::By { whom: whom(&heard), distrust: heard.shown.and_then(|shown| shown.distrust) }
}

fn whom(heard: &Heard) -> Whom {
    match heard.status {
        _ if says_access(heard) => Whom::Reelroom,
        502..=504 => Whom::HelplessProxy(heard.status),
        status => Whom::Another(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_as_the_system_does_it() {
        let found = resolve("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
        assert_eq!(resolve("192.0.2.7"), Ok(vec!["192.0.2.7".parse().unwrap()]));
        // RFC 1035: no label has more than 63 letters, so that no resolver asks anybody.
        assert!(resolve(&format!("{}.invalid", "x".repeat(64))).is_err());
    }
}
