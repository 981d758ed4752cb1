//! Which firewalls are active, and their rules as far as this user may read them. Nothing is changed.

use super::{printed, read};
use crate::checks::firewall::{FirewallFacts, Kind, Wanted};

const UFW_SETTINGS: &str = "/etc/ufw/ufw.conf";
const UFW_RULES: [&str; 3] = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/var/lib/ufw/user.rules"];
/// Modules of the kernel that are there when tables are.
const NFT_MODULE: &str = "nf_tables ";

/// Looks.
pub(crate) fn probe(wanted: Vec<Wanted>) -> FirewallFacts {
    if wanted.is_empty() {
        return FirewallFacts::default();
    }
    let active = [ufw(), firewalld(), nft()].into_iter().flatten().collect();
    FirewallFacts { active, wanted }
}

fn ufw() -> Option<(Kind, Option<String>)> {
    let settings = read(UFW_SETTINGS)?;
    let is_on = settings.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"));
    let rules: Vec<String> = UFW_RULES.iter().filter_map(read).collect();
    is_on.then(|| (Kind::Ufw, (!rules.is_empty()).then(|| rules.join("\n"))))
}

fn firewalld() -> Option<(Kind, Option<String>)> {
    let state = printed("firewall-cmd", &["--state"])?;
    (state.trim() == "running").then(|| (Kind::Firewalld, printed("firewall-cmd", &["--list-all"])))
}

fn nft() -> Option<(Kind, Option<String>)> {
    match printed("nft", &["list", "ruleset"]) {
        Some(rules) if rules.trim().is_empty() => None,
        Some(rules) => Some((Kind::Nft, Some(rules))),
        // Whether there are any, only the superuser is told; that the kernel has what they need is a hint.
        None => read("/proc/modules")?
            .lines()
            .any(|line| line.starts_with(NFT_MODULE))
            .then_some((Kind::Nft, None)),
    }
}
