//! Which settings hold without a restart, once the file is read again. docs/settings.md has this table.
//!
//! # Invariants
//!
//! - What is not listed here holds from the next start on.
//! - A change lets nobody in who is kept out by what cannot change while the program runs: who is let in, and the pair of API key and secret,
//!   go by names, addresses and pages as well, and are those of the start. So is HTTPS, which goes by names and proxies.

use super::{Config, Tls};
use crate::app::Role;
use crate::front::sites::HostName;
use crate::secrets::Pair;

/// A setting that holds without a restart.
pub(crate) struct Live {
    /// As the file has it.
    pub(crate) name: &'static str,
    /// From when on it holds.
    pub(crate) from: &'static str,
    /// Has the first settings have that one of the second.
    copy: fn(&mut Config, &Config),
    /// What keeps it from that.
    guard: Guard,
}

/// What has to stay as it is for a setting to hold at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    Nothing,
    /// Who is let in, the API key, and HTTPS.
    LettingIn,
    /// The same, and the name of `public_url`: one that goes over from here to there is kept until both hold.
    Names,
    /// The OpenID provider.
    Provider,
}

/// All of them, in the file's order.
pub(crate) static LIVE: [Live; 12] = [
    Live {
        name: "public_hosts",
        from: "at once, unless it changes who is let in (`ACCESS` is not set), whether the well-known API key is allowed, or HTTPS (`TLS` is not set, or \
               `own`), or `PUBLIC_URL` changes too",
        copy: |to, from| to.public_hosts.clone_from(&from.public_hosts),
        guard: Guard::Names,
    },
    Live {
        name: "trusted_proxies",
        from: "at once, for what comes by connections that are open too, unless it changes whether there is HTTPS (`TLS` is not set)",
        copy: |to, from| to.trusted_proxies.clone_from(&from.trusted_proxies),
        guard: Guard::LettingIn,
    },
    Live {
        name: "allowed_origins",
        from: "at once, unless it changes whether the well-known API key is allowed; a call that is connected goes on",
        copy: |to, from| to.allowed_origins.clone_from(&from.allowed_origins),
        guard: Guard::LettingIn,
    },
    Live {
        name: "keep_takes_days",
        from: "within the hour, for takes that are kept already too",
        copy: |to, from| to.keep_takes_days = from.keep_takes_days,
        guard: Guard::Nothing,
    },
    Live {
        name: "disk_reserve",
        from: "at once, for recordings that run too",
        copy: |to, from| to.disk_reserve = from.disk_reserve,
        guard: Guard::Nothing,
    },
    Live {
        name: "max_participants",
        from: "for rooms that open from then on",
        copy: |to, from| to.max_participants = from.max_participants,
        guard: Guard::Nothing,
    },
    Live {
        name: "max_rooms",
        from: "at once; rooms that are open stay open",
        copy: |to, from| to.max_rooms = from.max_rooms,
        guard: Guard::Nothing,
    },
    Live {
        name: "max_recordings",
        from: "at once; recordings that run go on",
        copy: |to, from| to.max_recordings = from.max_recordings,
        guard: Guard::Nothing,
    },
    Live {
        name: "recording_file_portion_size",
        from: "at once",
        copy: |to, from| to.recording_file_portion_size = from.recording_file_portion_size,
        guard: Guard::Nothing,
    },
    Live {
        name: "webhook_urls",
        from: "at once; what waits for a receiver that is gone is given up, and the log says how much that is",
        copy: |to, from| to.webhook_urls.clone_from(&from.webhook_urls),
        guard: Guard::Nothing,
    },
    Live {
        name: "oidc_owners",
        from: "at once, unless the provider changes; whoever is signed in stays so",
        copy: |to, from| to.oidc_owners.clone_from(&from.oidc_owners),
        guard: Guard::Provider,
    },
    Live {
        name: "log",
        from: "at once",
        copy: |to, from| to.log.clone_from(&from.log),
        guard: Guard::Nothing,
    },
];

impl Live {
    /// The setting of this name, if it holds without a restart.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        LIVE.iter().find(|live| live.name == name)
    }

    /// Has `now` have this one of `next`, unless it has to wait for a restart; whether it has.
    pub(crate) fn apply(&self, now: &mut Config, next: &Config, role: Role) -> bool {
        let mut then = now.clone();
        (self.copy)(&mut then, next);
        let may = match self.guard {
            Guard::Nothing => true,
            Guard::LettingIn => lets_in_the_same(&then, now, role),
            Guard::Names => lets_in_the_same(&then, now, role) && now.public_url == next.public_url,
            Guard::Provider => {
                let provider = |config: &Config| (config.oidc_issuer.clone(), config.oidc_client_id.clone());
                now.oidc_issuer.is_some() && provider(now) == provider(next)
            }
        };
        if may {
            *now = then;
        }
        may
    }
}

fn lets_in_the_same(then: &Config, now: &Config, role: Role) -> bool {
    let lets_in = |config: &Config| (config.access_in_force(), Pair::of(config, role).ok());
    lets_in(then) == lets_in(now) && https(then, role) == https(now, role)
}

/// What HTTPS there is, and for which names the server makes a certificate.
fn https(config: &Config, role: Role) -> (Tls, Vec<HostName>) {
    match config.tls_in_force(role) {
        Tls::Own => (Tls::Own, config.public_names()),
        tls => (tls, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::in_force::{fields, variable};
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::for_data_dir(Path::new("data"));
        change(&mut config);
        config
    }

    fn holds(name: &str, now: &Config, next: &Config, role: Role) -> bool {
        let mut then = now.clone();
        Live::of(name).unwrap().apply(&mut then, next, role)
    }

    #[test]
    fn the_table_is_in_the_files_order_and_in_the_docs() {
        let order: Vec<&str> =
            fields().map(|(name, _)| name).filter(|name| Live::of(name).is_some()).collect();
        assert_eq!(LIVE.iter().map(|live| live.name).collect::<Vec<_>>(), order);
        let rows =
            LIVE.iter().map(|live| format!("| `{}` | {} |\n", variable(live.name).unwrap(), live.from));
        let table: String = rows.collect();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let docs = std::fs::read_to_string(file).unwrap();
        assert!(docs.contains(&table), "docs/settings.md has another table than:\n{table}");
        let (_, those) = docs.split_once("| setting | when it holds |").unwrap();
        let others = those.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(others, LIVE.len(), "docs/settings.md has rows for no such setting");
    }

    #[test]
    fn what_is_set_anew_is_that_one_setting_and_nothing_else() {
        let next = config(|next| {
            next.max_rooms = 7;
            next.udp_port = 1;
        });
        let mut now = config(|_| {});
        assert!(Live::of("max_rooms").unwrap().apply(&mut now, &next, Role::Everything));
        assert_eq!((now.max_rooms, now.udp_port), (7, 0));
        assert!(Live::of("udp_port").is_none() && Live::of("access").is_none());
    }

    #[test]
    fn a_name_for_others_waits_where_it_would_change_who_is_let_in() {
        let host = || vec!["calls.example.org".parse().unwrap()];
        let (open, named) = (config(|_| {}), config(|next| next.public_hosts = host()));
        assert!(
            !holds("public_hosts", &open, &named, Role::Everything),
            "everybody would be let in by that name"
        );
        assert!(!holds("public_hosts", &named, &open, Role::Everything));
        let said = |access, hosts: bool| {
            config(|config| {
                config.access = Some(access);
                config.public_hosts = if hosts { host() } else { Vec::new() };
            })
        };
        use crate::config::Access::{Invite, Open};
        for access in [Invite, Open] {
            assert!(holds("public_hosts", &said(access, false), &said(access, true), Role::Everything));
        }
    }

    #[test]
    fn a_name_that_goes_over_to_the_address_of_everybody_is_kept_until_both_hold() {
        let of = |url: Option<&str>, hosts: &[&str]| {
            config(|config| {
                config.access = Some(crate::config::Access::Invite);
                config.public_url = url.map(|url| url.parse().unwrap());
                config.public_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
            })
        };
        let (url, host) = (Some("https://calls.example.org"), "calls.example.org");
        let named = |now: &Config, next: &Config| holds("public_hosts", now, next, Role::Everything);
        assert!(!named(&of(None, &[host]), &of(url, &[])), "nobody would get in by it until the restart");
        assert!(named(&of(url, &[host]), &of(url, &[])));
        assert!(named(&of(None, &[host]), &of(None, &[])));
    }

    #[test]
    fn names_and_proxies_wait_where_they_would_change_https() {
        let of = |tls: Option<Tls>, host: Option<&str>, proxy: Option<&str>| {
            config(|config| {
                config.listen = "0.0.0.0".parse().unwrap();
                config.tls = tls;
                config.public_hosts = host.map(|host| host.parse().unwrap()).into_iter().collect();
                config.trusted_proxies = proxy.map(|proxy| proxy.parse().unwrap()).into_iter().collect();
            })
        };
        let (host, proxy, other) = (Some("calls.example.org"), Some("10.1.0.0/24"), Some("10.2.0.7"));
        let named = |now: &Config, next: &Config| holds("public_hosts", now, next, Role::Everything);
        let proxied = |now: &Config, next: &Config| holds("trusted_proxies", now, next, Role::Everything);
        assert!(!named(&of(None, None, None), &of(None, host, None)), "a proxy would be in front");
        assert!(
            !named(&of(Some(Tls::Own), None, None), &of(Some(Tls::Own), host, None)),
            "it is no name of the certificate"
        );
        assert!(named(&of(Some(Tls::Off), None, None), &of(Some(Tls::Off), host, None)));
        assert!(!proxied(&of(None, None, None), &of(None, None, proxy)), "HTTPS would be off");
        assert!(proxied(&of(None, None, proxy), &of(None, None, other)));
        assert!(proxied(&of(Some(Tls::Own), None, None), &of(Some(Tls::Own), None, proxy)));
        let mut then = of(None, None, proxy);
        Live::of("trusted_proxies").unwrap().apply(&mut then, &of(None, None, other), Role::Everything);
        assert_eq!(then.trusted_proxies, of(None, None, other).trusted_proxies);
    }

    #[test]
    fn pages_of_everybody_wait_where_the_key_is_the_one_that_everybody_knows() {
        let now = config(|_| {});
        let all = config(|next| next.allowed_origins = vec!["*".parse().unwrap()]);
        let one = config(|next| next.allowed_origins = vec!["https://app.example.org".parse().unwrap()]);
        assert!(!holds("allowed_origins", &now, &all, Role::Media), "its pair is devkey and secret");
        assert!(holds("allowed_origins", &now, &one, Role::Media));
        assert!(holds("allowed_origins", &now, &all, Role::Everything), "its pair was generated");
        let set = |mut config: Config| {
            config.livekit_api_key = Some("devkey".into());
            config.livekit_api_secret = Some("secret".into());
            config
        };
        assert!(!holds("allowed_origins", &set(now), &set(all), Role::Everything), "a start would refuse it");
    }

    #[test]
    fn owners_are_those_of_the_provider_that_is_asked() {
        let of = |issuer: Option<&str>, owner: &str| {
            config(|config| {
                config.oidc_issuer = issuer.map(str::to_owned);
                config.oidc_client_id = Some("reelroom".into());
                config.oidc_owners = vec![owner.parse().unwrap()];
            })
        };
        let now = of(Some("https://one.example.org"), "sub:1");
        assert!(holds("oidc_owners", &now, &of(Some("https://one.example.org"), "sub:2"), Role::Everything));
        assert!(!holds("oidc_owners", &now, &of(Some("https://two.example.org"), "sub:2"), Role::Everything));
        assert!(!holds("oidc_owners", &of(None, "sub:1"), &now, Role::Everything));
    }
}
