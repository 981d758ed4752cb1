//! What a firewall of this machine keeps off, as far as its rules can be read: hints, no proof.

use std::fmt;

use crate::checks::list;
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Firewall:
    CLOSED = Warn "firewall-closed",
        "A firewall of this machine is active, and none of its rules that can be read lets these ports in.",
        "Open them: {commands}.";
    UNREAD = Warn "firewall-unread",
        "A firewall of this machine is active, and this user may not read its rules.",
        "See that it lets these ports in, or run doctor as root: {commands}.";
}

/// A kind of firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ubuntu's.
    Ufw,
    /// Fedora's and Red Hat's.
    Firewalld,
    /// The kernel's own, by whoever fills it.
    Nft,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Nft => "nftables",
        })
    }
}

/// A port that has to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its number.
    pub port: u16,
    /// "udp" or "tcp".
    pub protocol: &'static str,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// What is known of firewalls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirewallFacts {
    /// Those that are active, each with its rules as it writes them, if they may be read.
    pub active: Vec<(Kind, Option<String>)>,
    /// What has to be let in; nothing where only this machine's own people come.
    pub wanted: Vec<Wanted>,
}

/// The verdict.
#[must_use]
pub fn check(facts: &FirewallFacts) -> Vec<Line> {
    if facts.wanted.is_empty() {
        return vec![Line::ok(Check::Firewall, "nothing has to be let in for people on this machine")];
    }
    if facts.active.is_empty() {
        return vec![Line::ok(
            Check::Firewall,
            "none is seen on this machine; a router's or a cloud's cannot be seen from here",
        )];
    }
    // Both write their rules into nftables, in a form that only they explain.
    let is_explained = facts.active.iter().any(|(kind, _)| *kind != Kind::Nft);
    let explained = facts.active.iter().filter(|(kind, _)| *kind != Kind::Nft || !is_explained);
    explained.map(|(kind, rules)| one(*kind, rules.as_deref(), &facts.wanted)).collect()
}

fn one(kind: Kind, rules: Option<&str>, wanted: &[Wanted]) -> Line {
    let Some(rules) = rules else {
        let said = format!("{kind} is active, and its rules cannot be read");
        return UNREAD.filled(said, &[("commands", &commands(kind, wanted))]);
    };
    let closed: Vec<Wanted> =
        wanted.iter().copied().filter(|wanted| !lets_in(kind, rules, *wanted)).collect();
    if closed.is_empty() {
        return Line::ok(Check::Firewall, format!("{kind} lets {} in", list(wanted)));
    }
    let said = format!("{kind} is active, and no rule for {} is seen", list(&closed));
    CLOSED.filled(said, &[("commands", &commands(kind, &closed))])
}

fn commands(kind: Kind, ports: &[Wanted]) -> String {
    let command = |wanted: &Wanted| match kind {
        Kind::Ufw => format!("`ufw allow {wanted}`"),
        Kind::Firewalld => format!("`firewall-cmd --permanent --add-port={wanted}`"),
        Kind::Nft => {
            format!("`nft add rule inet filter input {} dport {} accept`", wanted.protocol, wanted.port)
        }
    };
    let all = list(ports.iter().map(command));
    if kind == Kind::Firewalld { format!("{all}, `firewall-cmd --reload`") } else { all }
}

fn lets_in(kind: Kind, rules: &str, wanted: Wanted) -> bool {
    match kind {
        Kind::Ufw => rules.lines().any(|line| ufw_lets_in(line, wanted)),
        Kind::Firewalld => rules.split_whitespace().any(|item| {
            let item = item.split_once('/').filter(|(_, protocol)| *protocol == wanted.protocol);
            item.is_some_and(|(ports, _)| covers(ports, wanted.port)) || is_its_service(rules, wanted)
        }),
        Kind::Nft => nft_lets_in(rules, wanted),
    }
}

/// A line such as `### tuple ### allow udp 7882 0.0.0.0/0 any 0.0.0.0/0 in`, as ufw keeps them in its files.
fn ufw_lets_in(line: &str, wanted: Wanted) -> bool {
    let Some(rule) = line.trim().strip_prefix("### tuple ###") else { return false };
    let mut words = rule.split_whitespace();
    let (verdict, protocol, ports) = (words.next(), words.next(), words.next().unwrap_or_default());
    let is_allowed =
        verdict.is_some_and(|verdict| verdict.starts_with("allow") || verdict.starts_with("limit"));
    let is_protocol = protocol.is_some_and(|protocol| protocol == "any" || protocol == wanted.protocol);
    is_allowed && is_protocol && (ports == "any" || ports.split(',').any(|part| covers(part, wanted.port)))
}

/// firewalld calls the two ports of the web by names.
fn is_its_service(rules: &str, wanted: Wanted) -> bool {
    let service = match (wanted.port, wanted.protocol) {
        (80, "tcp") => "http",
        (443, "tcp") => "https",
        _ => return false,
    };
    rules.split_whitespace().any(|item| item == service)
}

/// Whether nothing is dropped at the input, or something is accepted that has the port.
fn nft_lets_in(rules: &str, wanted: Wanted) -> bool {
    let mut closes = false;
    let mut is_input = false;
    for line in rules.lines().map(str::trim) {
        if line.starts_with("chain ") {
            is_input = false;
        }
        if line.contains("hook input") {
            is_input = true;
            closes |= line.contains("policy drop");
        }
        // A rule for everything that is left.
        closes |= is_input
            && (line == "drop"
                || line == "reject"
                || line.starts_with("reject with")
                || line.starts_with("counter drop"));
        let is_about = line.contains(&format!("{} dport", wanted.protocol)) || line.contains("th dport");
        if is_about && line.contains("accept") && dports(line).any(|ports| covers(ports, wanted.port)) {
            return true;
        }
    }
    !closes
}

/// What stands behind `dport`: a number, a range, or a set of these.
fn dports(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split_once("dport").map_or("", |(_, behind)| behind).trim_start();
    let set = behind.strip_prefix('{').and_then(|set| set.split_once('}')).map(|(set, _)| set);
    let ports = set.or_else(|| behind.split_whitespace().next()).unwrap_or_default();
    ports.split(',').map(str::trim)
}

/// Whether "7882", "7000-8000" or "7000:8000" has the port.
fn covers(ports: &str, port: u16) -> bool {
    match ports.split_once(['-', ':']) {
        None => ports.parse() == Ok(port),
        Some((first, last)) => match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&port),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UFW: &str = "*filter\n### tuple ### allow any 22 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 22 -j ACCEPT\n\
                       ### tuple ### allow udp 7800:7900 0.0.0.0/0 any 0.0.0.0/0 in\n### tuple ### deny tcp 7882 0.0.0.0/0 any 0.0.0.0/0 in\n";
    const NFT: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
                       \t\ttcp dport { 22, 80, 443 } accept\n\t\tudp dport 7000-8000 accept\n\t}\n}\n";

    fn wanted(port: u16, protocol: &'static str) -> Wanted {
        Wanted { port, protocol }
    }

    #[test]
    fn rules_are_read_as_each_firewall_writes_them() {
        for (port, protocol, expected) in
            [(7882, "udp", true), (7882, "tcp", false), (22, "tcp", true), (443, "tcp", false)]
        {
            assert_eq!(lets_in(Kind::Ufw, UFW, wanted(port, protocol)), expected, "ufw {port}/{protocol}");
        }
        for (port, protocol, expected) in
            [(7882, "udp", true), (7882, "tcp", false), (443, "tcp", true), (6080, "tcp", false)]
        {
            assert_eq!(lets_in(Kind::Nft, NFT, wanted(port, protocol)), expected, "nft {port}/{protocol}");
        }
        let firewalld = "public (active)\n  services: ssh https\n  ports: 7882/udp 8000-8010/tcp\n";
        for (port, protocol, expected) in
            [(7882, "udp", true), (7882, "tcp", false), (443, "tcp", true), (8005, "tcp", true)]
        {
            assert_eq!(
                lets_in(Kind::Firewalld, firewalld, wanted(port, protocol)),
                expected,
                "firewalld {port}/{protocol}"
            );
        }
        let open = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t}\n}\n";
        assert!(lets_in(Kind::Nft, open, wanted(7882, "tcp")));
        let last = "table inet f {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t\ttcp dport 22 accept\n\t\tdrop\n\t}\n}\n";
        assert!(!lets_in(Kind::Nft, last, wanted(7882, "tcp")));
    }

    #[test]
    fn the_command_is_that_of_the_firewall() {
        let media = vec![wanted(7882, "udp"), wanted(7882, "tcp")];
        let of =
            |active: Vec<(Kind, Option<String>)>| check(&FirewallFacts { active, wanted: media.clone() });
        assert!(of(Vec::new())[0].code.is_none());
        let closed = &of(vec![(Kind::Ufw, Some(UFW.into())), (Kind::Nft, None)]);
        assert_eq!((closed.len(), closed[0].code), (1, Some("firewall-closed")));
        assert!(closed[0].said.contains("7882/tcp") && !closed[0].said.contains("7882/udp"), "{closed:?}");
        assert_eq!(closed[0].todo.as_deref(), Some("Open them: `ufw allow 7882/tcp`."));
        assert_eq!(of(vec![(Kind::Nft, None)])[0].code, Some("firewall-unread"));
        let alone = FirewallFacts { active: vec![(Kind::Nft, None)], wanted: Vec::new() };
        assert!(check(&alone)[0].code.is_none());
    }
}
