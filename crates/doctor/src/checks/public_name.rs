//! The names that people open: whether they lead here, and whether it is this server that answers there.

use std::net::IpAddr;

use crate::checks::{is_public, list};
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { PublicName:
    UNRESOLVED = Bad "name-unresolved",
        "A name of PUBLIC_URL or PUBLIC_HOSTS leads nowhere: no resolver knows an address for it.",
        "Make an A record (and an AAAA record, if the server has IPv6) for {host} at whoever keeps the domain, or correct PUBLIC_URL.";
    TO_LOOPBACK = Warn "name-to-loopback",
        "On this machine the name leads to a loopback address, as installers write it into /etc/hosts: whether it leads here for others cannot be \
         seen.",
        "Take {host} out of the line of 127.0.1.1 in /etc/hosts, and run doctor again.";
    ELSEWHERE = Warn "name-elsewhere",
        "The name leads to addresses that are none of this machine and none of ADVERTISE_IPS. That is right behind a router or a proxy on another \
         machine, and wrong anywhere else.",
        "If a router stands in between, name its public address in ADVERTISE_IPS and let it forward the ports; if not, correct the record of {host}.";
    ANOTHER = Bad "name-another-program",
        "Somebody else answers at the public name: another web server, a router's own page, or a proxy that passes nothing on.",
        "Let the proxy pass {url} on to the address of the `http port` line (docs/nginx.conf), or stop what answers there.";
    BAD_GATEWAY = Bad "name-bad-gateway",
        "A proxy answers at the public name, and says that it does not reach the server, which runs.",
        "Let the proxy pass {url} on to the address of the `http port` line (docs/nginx.conf).";
    REFUSED = Bad "name-refused",
        "Nothing listens at the public name and its port.",
        "Start the proxy that should, or set SERVER_PORT and LISTEN so that Reelroom itself listens at {url}; behind a router, let it forward the port.";
    SILENT = Warn "name-silent",
        "Nobody answers at the public name within five seconds: a firewall drops what comes, or a router does not let this machine reach its own \
         public address (hairpin NAT), which costs nobody else anything.",
        "Open {url} on a device outside, such as a phone without Wi-Fi; if nothing comes there either, open the port in the firewall and the router.";
    NO_HTTPS = Bad "name-no-https",
        "What answers at the public name does not speak HTTPS.",
        "Set TLS=acme or TLS=files, or let the proxy in front speak HTTPS at {url}.";
    EXPIRED = Bad "name-certificate-expired",
        "The certificate that is shown at the public name has expired, or begins later.",
        "Renew it where HTTPS is made, which is this program (TLS) or a proxy; if it begins later, set the clock of this machine.";
    WRONG_NAME = Bad "name-certificate-of-another",
        "The certificate that is shown at the public name is for other names: every browser warns.",
        "Get one for {host} where HTTPS is made, which is this program (TLS) or a proxy.";
    DISTRUSTED = Warn "name-certificate-unknown",
        "The certificate that is shown at the public name is signed by nobody whom this machine knows: browsers warn, and programs refuse it.",
        "Use TLS=acme, or give TLS_CERT the whole chain (fullchain.pem); with TLS=own people accept it once, on each device.";
    UNREACHABLE = Warn "name-unreachable",
        "This machine has no way to one of the addresses of the public name; most often it has no IPv6, and the name has.",
        "Take the record of {address} from {host}, if this machine is not reached there.";
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameFacts {
    /// The name.
    pub host: String,
    /// What people open.
    pub url: String,
    /// It is an address itself.
    pub is_address: bool,
    /// Where it leads, or why nowhere.
    pub leads_to: Result<Vec<IpAddr>, String>,
    /// The addresses of this machine.
    pub own: Vec<IpAddr>,
    /// What `ADVERTISE_IPS` says.
    pub advertised: Vec<IpAddr>,
    /// A server runs with these settings.
    pub server_runs: bool,
    /// HTTPS is made by this program with a certificate of its own making.
    pub is_own_certificate: bool,
    /// Who answers there, at each address that was asked.
    pub answers: Vec<(IpAddr, Answer)>,
}

/// Who answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody, by HTTP or HTTPS.
    By {
        /// Who.
        whom: Whom,
        /// Why the certificate is not trusted.
        distrust: Option<Distrust>,
    },
    /// Nothing listens.
    Refused,
    /// Nothing in time.
    Silent,
    /// There is no way.
    Unreachable(String),
    /// Something that does not speak HTTPS.
    NoHttps(String),
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A Reelroom.
    Reelroom,
    /// A proxy that does not reach what is behind it.
    HelplessProxy(u16),
    /// Somebody else, by this status.
    Another(u16),
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It has expired or begins later.
    Time,
    /// It is for other names.
    Name,
    /// Nobody known has signed it, or for another reason.
    Unknown(String),
}

/// The verdict.
#[must_use]
pub fn check(facts: &[NameFacts]) -> Vec<Line> {
    facts.iter().flat_map(one).collect()
}

fn one(facts: &NameFacts) -> Vec<Line> {
    let host = facts.host.as_str();
    let found: &[(&str, &str)] = &[("host", host), ("url", &facts.url)];
    let addresses = match &facts.leads_to {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => return vec![UNRESOLVED.filled(format!("{host} leads nowhere"), found)],
        Err(why) => return vec![UNRESOLVED.filled(format!("{host} leads nowhere: {why}"), found)],
    };
    let mut lines = vec![leads(facts, addresses)];
    for (ip, answer) in &facts.answers {
        lines.extend(answered(facts, *ip, answer));
    }
    lines
}

fn leads(facts: &NameFacts, addresses: &[IpAddr]) -> Line {
    let host = facts.host.as_str();
    let found: &[(&str, &str)] = &[("host", host)];
    let said = match facts.is_address {
        true => format!("people open {}", facts.url),
        false => format!("{host} leads to {}", list(addresses)),
    };
    let is_ours = |ip: &&IpAddr| facts.own.contains(ip) || facts.advertised.contains(ip);
    // RFC 6761: these lead to loopback addresses everywhere.
    let is_local = host == "localhost" || host.ends_with(".localhost");
    if addresses.iter().all(|ip| ip.to_canonical().is_loopback()) && !facts.is_address && !is_local {
        return TO_LOOPBACK.filled(said, found);
    }
    let strange: Vec<_> =
        addresses.iter().filter(|ip| !is_ours(ip) && !ip.to_canonical().is_loopback()).collect();
    if strange.is_empty() {
        return Line::ok(Check::PublicName, said);
    }
    ELSEWHERE.filled(
        format!("{said}: not of this machine, and not in ADVERTISE_IPS, are {}", list(strange)),
        found,
    )
}

fn answered(facts: &NameFacts, ip: IpAddr, answer: &Answer) -> Vec<Line> {
    let (url, address) = (facts.url.as_str(), ip.to_string());
    let found: &[(&str, &str)] = &[("host", &facts.host), ("url", url), ("address", &address)];
    let at = format!("{url} at {address}");
    let later = |what: &str| {
        vec![Line::ok(
            Check::PublicName,
            format!("{at}: {what}, as no server runs; run doctor again when it does"),
        )]
    };
    match answer {
        Answer::Refused if !facts.server_runs => later("nothing answers yet"),
        Answer::Refused => vec![REFUSED.filled(format!("{at} refuses connections"), found)],
        Answer::Silent if !facts.server_runs && !is_public(ip) => later("nothing answers yet"),
        Answer::Silent => vec![SILENT.filled(format!("{at} does not answer from here"), found)],
        Answer::Unreachable(why) => {
            vec![UNREACHABLE.filled(format!("{at} cannot be reached from here: {why}"), found)]
        }
        Answer::NoHttps(why) => vec![NO_HTTPS.filled(format!("{at} speaks no HTTPS: {why}"), found)],
        Answer::By { whom, distrust } => {
            let mut lines: Vec<Line> =
                distrust.iter().filter_map(|why| distrusted(facts, &at, why, found)).collect();
            lines.push(match whom {
                Whom::Reelroom => Line::ok(Check::PublicName, format!("{at} is answered by Reelroom")),
                Whom::HelplessProxy(status) if !facts.server_runs => {
                    return [lines, later(&format!("a proxy answers {status}"))].concat();
                }
                Whom::HelplessProxy(status) => {
                    BAD_GATEWAY.filled(format!("{at} is answered {status} by a proxy"), found)
                }
                Whom::Another(status) => {
                    ANOTHER.filled(format!("{at} is answered {status}, and not by Reelroom"), found)
                }
            });
            lines
        }
    }
}

fn distrusted(facts: &NameFacts, at: &str, why: &Distrust, found: &[(&str, &str)]) -> Option<Line> {
    match why {
        Distrust::Time => {
            Some(EXPIRED.filled(format!("{at} shows a certificate that is not valid now"), found))
        }
        Distrust::Name => Some(WRONG_NAME.filled(format!("{at} shows a certificate for other names"), found)),
        // Which is what was chosen.
        Distrust::Unknown(_) if facts.is_own_certificate => None,
        Distrust::Unknown(why) => Some(
            DISTRUSTED.filled(format!("{at} shows a certificate that is not trusted here: {why}"), found),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(leads_to: &[&str], answer: Option<Answer>) -> NameFacts {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        NameFacts {
            host: "calls.example.org".into(),
            url: "https://calls.example.org".into(),
            is_address: false,
            leads_to: Ok(leads_to.iter().map(|text| ip(text)).collect()),
            own: vec![ip("10.0.0.5"), ip("203.0.113.7")],
            advertised: vec![ip("203.0.113.9")],
            server_runs: true,
            is_own_certificate: false,
            answers: answer.map(|answer| (ip("203.0.113.7"), answer)).into_iter().collect(),
        }
    }

    fn codes(facts: NameFacts) -> Vec<&'static str> {
        check(&[facts]).into_iter().filter_map(|line| line.code).collect()
    }

    fn by(whom: Whom, distrust: Option<Distrust>) -> Option<Answer> {
        Some(Answer::By { whom, distrust })
    }

    #[test]
    fn where_a_name_leads_is_compared_with_this_machine_and_what_is_advertised() {
        assert!(codes(facts(&["203.0.113.7"], None)).is_empty());
        assert!(codes(facts(&["203.0.113.9"], None)).is_empty());
        assert_eq!(codes(facts(&["198.51.100.1"], None)), ["name-elsewhere"]);
        assert_eq!(
            codes(facts(&["203.0.113.7", "2001:db8::1"], None)),
            ["name-elsewhere"],
            "of every record"
        );
        assert_eq!(codes(facts(&["127.0.1.1"], None)), ["name-to-loopback"]);
        let own = NameFacts { host: "localhost".into(), ..facts(&["127.0.0.1", "::1"], None) };
        assert!(codes(own).is_empty(), "it leads nowhere else");
        assert_eq!(codes(facts(&[], None)), ["name-unresolved"]);
        let unknown = NameFacts { leads_to: Err("no such name".into()), ..facts(&[], None) };
        assert_eq!(codes(unknown), ["name-unresolved"]);
    }

    #[test]
    fn whoever_answers_is_told_apart() {
        let of = |answer| codes(facts(&["203.0.113.7"], answer));
        assert!(of(by(Whom::Reelroom, None)).is_empty());
        assert_eq!(of(by(Whom::Another(404), None)), ["name-another-program"]);
        assert_eq!(of(by(Whom::HelplessProxy(502), None)), ["name-bad-gateway"]);
        assert_eq!(of(Some(Answer::Refused)), ["name-refused"]);
        assert_eq!(of(Some(Answer::Silent)), ["name-silent"]);
        assert_eq!(of(Some(Answer::NoHttps("plain".into()))), ["name-no-https"]);
        assert_eq!(of(Some(Answer::Unreachable("no route".into()))), ["name-unreachable"]);
    }

    #[test]
    fn a_certificate_is_judged_by_why_it_is_not_trusted() {
        let of = |distrust| codes(facts(&["203.0.113.7"], by(Whom::Reelroom, Some(distrust))));
        assert_eq!(of(Distrust::Time), ["name-certificate-expired"]);
        assert_eq!(of(Distrust::Name), ["name-certificate-of-another"]);
        assert_eq!(of(Distrust::Unknown("unknown issuer".into())), ["name-certificate-unknown"]);
        let answer = by(Whom::Reelroom, Some(Distrust::Unknown("unknown issuer".into())));
        let own = NameFacts { is_own_certificate: true, ..facts(&["203.0.113.7"], answer) };
        assert!(codes(own).is_empty(), "it was chosen");
    }

    #[test]
    fn before_the_server_runs_nobody_has_to_answer() {
        for answer in [Answer::Refused, Answer::By { whom: Whom::HelplessProxy(502), distrust: None }] {
            let facts = NameFacts { server_runs: false, ..facts(&["203.0.113.7"], Some(answer)) };
            let lines = check(&[facts]);
            assert!(lines.iter().all(|line| line.code.is_none()), "{lines:?}");
            assert!(lines[1].said.contains("run doctor again"), "{lines:?}");
        }
    }
}
