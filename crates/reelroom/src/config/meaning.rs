//! What the settings mean together, in sentences, for whoever wrote them.
//!
//! Each sentence is of the settings alone: nothing is opened, asked or looked up, and no secret is told.

use std::net::IpAddr;
use std::path::PathBuf;

use reelroom_media::MediaListen;

use super::in_force::place;
use super::{Access, Config, PlaybackStrategy, RecordingsReaders, Tls};
use crate::app::Role;
use crate::secrets::Pair;

/// What is said of one matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// A few words.
    pub(crate) about: &'static str,
    /// One or more sentences.
    pub(crate) says: String,
}

/// All that is to be said.
pub(crate) fn meaning(config: &Config, role: Role) -> Vec<Meaning> {
    let page = role == Role::Everything;
    let all = [
        Some(("who is let in", if page { letting_in(config) } else { letting_in_media(config, role) })),
        Some(("where it is reached", reached_at(config, role))),
        Some(("encryption", encryption(config, role))),
        Some(("proxies", proxies(config))),
        Some(("media", media(config, role))),
        Some(("who records", recorder(config))),
        Some(("recordings", recordings(config))),
        Some(("when storing fails", failing(config))),
        page.then(|| ("playing", playing(config))),
        Some(("webhooks", webhooks(config))),
        page.then(|| ("signing in", signing_in(config))),
        Some(("stopping", stopping(config))),
        Some(("log", format!("Logged is {:?}, to standard error.", config.log))),
    ];
    all.into_iter().flatten().map(|(about, says)| Meaning { about, says }).collect()
}

fn letting_in(config: &Config) -> String {
    let why = match (config.access, config.reached()) {
        (Some(Access::Open), _) => "ACCESS=open says so".to_owned(),
        (Some(Access::Invite), _) => "ACCESS=invite says so".to_owned(),
        (None, Some(reached)) => format!("{reached}, and ACCESS is not set"),
        (None, None) => "only this machine reaches it, and ACCESS is not set".to_owned(),
    };
    match (config.access_in_force(), config.reached()) {
        (Access::Invite, _) => format!(
            "The owner, whoever has a link, and programs with an API key are let in, and nobody else, for {why}."
        ),
        (Access::Open, None) => format!("Whoever uses this machine may do everything, for {why}."),
        (Access::Open, Some(reached)) => format!(
            "Whoever reaches it may join, record, play and delete everything, for {why}; and others do reach it, for {reached}."
        ),
    }
}

fn letting_in_media(config: &Config, role: Role) -> String {
    let key = match Pair::of(config, role) {
        Ok(Pair::WellKnown) => "devkey and secret, for only this machine reaches it",
        Ok(Pair::Given(..)) => "the API key and secret that are set",
        Ok(Pair::Generated) => {
            "the API key and secret that are generated at the first start (secrets.json of the data folder)"
        }
        Err(_) => "an API key and secret that cannot be used",
    };
    format!("Whoever has a token that is signed with {key}.")
}

fn reached_at(config: &Config, role: Role) -> String {
    let port = match config.port_in_force(role) {
        0 => "any free port".to_owned(),
        port => format!("port {port}"),
    };
    let at = match config.listen {
        ip if ip.is_loopback() => format!("At {ip}, {port}: from this machine, and by a proxy on it."),
        ip if ip.is_unspecified() => format!("At all addresses of this machine, {port}."),
        ip => format!("At {ip}, {port}."),
    };
    let names = match config.public_names().as_slice() {
        [] => "By localhost, and the addresses and the host name of this machine; a request for any other name is refused, for \
               PUBLIC_URL and PUBLIC_HOSTS are empty."
            .to_owned(),
        names => format!(
            "By {}, and by localhost, and the addresses and the host name of this machine; a request for any other name is refused.",
            join(names)
        ),
    };
    let links = match &config.public_url {
        Some(url) if url.prefix().is_empty() => format!(" Links begin with {url}."),
        Some(url) => format!(
            " Links begin with {url}, and it is found below {} whether a proxy passes that on or takes it off.",
            url.prefix()
        ),
        None => String::new(),
    };
    let is_welcoming = role == Role::Media && config.listen.is_loopback();
    let pages = match config.allowed_origins.as_slice() {
        [] if is_welcoming => "Pages of localhost at any port may use it.".to_owned(),
        [] => "Only its own page may use it.".to_owned(),
        origins if is_welcoming => {
            format!("Pages of localhost at any port may use it, and of {}.", join(origins))
        }
        origins => format!("Besides its own page, those of {} may use it.", join(origins)),
    };
    format!("{at} {names}{links} {pages}")
}

fn encryption(config: &Config, role: Role) -> String {
    let (tls, why) = config.tls_with_reason(role);
    let path =
        |path: &Option<PathBuf>| path.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let https = match tls {
        Tls::Off => return plain(config, why),
        Tls::Files => format!(
            "The port speaks HTTPS, for {why}: with the certificate of {} and the key of {}, which are read again when they change.",
            path(&config.tls_cert),
            path(&config.tls_key)
        ),
        Tls::Acme => format!(
            "The port speaks HTTPS, for {why}: with a certificate that {} gives for {}, and that is renewed by itself.",
            place(&config.acme_directory),
            config.acme_name().unwrap_or_default()
        ),
        Tls::Own => format!(
            "The port speaks HTTPS, for {why}: with a certificate that this program makes for the addresses of this machine, and of which \
             a browser warns once."
        ),
    };
    let others = match role {
        Role::Everything => {
            "Pages that other machines ask for without it are sent to it, and what else of theirs may have a secret in it is refused"
        }
        Role::Media => "Pages that other machines ask for without it are sent to it; programs are served",
    };
    let beside = match (config.http_port_in_force(role), tls) {
        (Some(port), Tls::Acme) => {
            format!("; port {port} sends everybody to it, and answers the ACME server")
        }
        (Some(port), _) => format!("; port {port} sends everybody to it"),
        (None, _) => String::new(),
    };
    format!("{https} {others}{beside}.")
}

/// Of a port without HTTPS.
fn plain(config: &Config, why: &str) -> String {
    let port =
        format!("The port speaks HTTP without encryption, for {why} (media is encrypted in any case).");
    let url = config.public_url.as_ref().filter(|url| url.is_https()).map(ToString::to_string);
    let host = || config.public_hosts.first().map(|host| format!("https://{host}"));
    match url.or_else(host) {
        Some(address) => format!("{port} HTTPS is a matter of the proxy in front, at {address}."),
        None if config.listen.is_loopback() => {
            format!(
                "{port} Browsers of this machine give camera and microphone at http://localhost all the same."
            )
        }
        None => format!(
            "{port} Browsers of other devices give neither camera nor microphone there: TLS=own changes that, or a proxy with HTTPS in \
             front, whose address is PUBLIC_URL."
        ),
    }
}

fn proxies(config: &Config) -> String {
    match config.trusted_proxies.as_slice() {
        [] => "Those of this machine are believed about whom they speak for, and nobody else, for TRUSTED_PROXIES is empty.".to_owned(),
        networks => format!(
            "Those of this machine, and of {}, are believed about whom they speak for, and nobody else.",
            join(networks)
        ),
    }
}

fn stopping(config: &Config) -> String {
    if let Some(url) = &config.livekit_url {
        return format!("Calls and recordings are those of {}, and go on.", place(url.as_str()));
    }
    let calls = match config.drain_seconds {
        0 => "clients are told at once to come back".to_owned(),
        seconds => format!(
            "calls may go on for {seconds} seconds while no room opens, then clients are told to come back"
        ),
    };
    let recordings = match config.resume_seconds {
        0 => "recordings are finished".to_owned(),
        seconds => format!(
            "recordings are suspended, and go on at the next start where their room opens within {seconds} seconds"
        ),
    };
    format!(
        "At SIGTERM (systemctl restart) {calls}, and {recordings}. At SIGINT (Ctrl-C) calls end and recordings are finished."
    )
}

fn media(config: &Config, role: Role) -> String {
    if let Some(url) = &config.livekit_url {
        return format!("Calls are those of {}: no media comes here.", place(url.as_str()));
    }
    let port = match config.udp_port {
        0 => "any free port".to_owned(),
        port => format!("port {port}"),
    };
    let at = match config.receives_media() {
        MediaListen::AsSignalled => format!(
            "Received at all addresses of this machine, {port} of UDP and TCP: participants of this machine are heard from it alone, \
             others, who come by a proxy, from anywhere."
        ),
        MediaListen::At(all) if all.iter().any(IpAddr::is_unspecified) => {
            format!("Received at all addresses of this machine, {port} of UDP and TCP.")
        }
        MediaListen::At(all) => format!("Received at {}, {port} of UDP and TCP.", join(&all)),
    };
    let told = match (config.advertise_ips.as_slice(), config.advertise_hosts.as_slice()) {
        ([], []) => "Clients are told those of networks (behind NAT, set ADVERTISE_IPS).".to_owned(),
        (ips, []) => format!("Clients are told to send it to {}.", join(ips)),
        ([], hosts) => format!("Clients are told to send it to the addresses of {}.", join(hosts)),
        (ips, hosts) => {
            format!("Clients are told to send it to {}, and to the addresses of {}.", join(ips), join(hosts))
        }
    };
    let page = match config.no_passage(role) {
        None => {
            let port = match config.passage_port(role) {
                0 => "the port of the page".to_owned(),
                port => format!("port {port}, that of the page,"),
            };
            let within = if config.has_believed_certificate(role) { " within TLS" } else { "" };
            format!(
                " Where a network lets nothing else through, it goes by {port} over TCP, and by TURN{within} there."
            )
        }
        Some(why) => format!(" It does not go by the port of the page, for {why}."),
    };
    let turn = match config.turn_udp_port {
        Some(port) => format!(" TURN is spoken at UDP port {port}, too."),
        None => String::new(),
    };
    format!("{at} {told}{page}{turn}")
}

fn recorder(config: &Config) -> String {
    match &config.livekit_url {
        Some(url) => format!(
            "The recorder of {}, which has to write to the store that is set here, below {:?}.",
            place(url.as_str()),
            config.recordings_path
        ),
        None => {
            let most = match config.max_recordings {
                0 => "as many at once as this machine can capture".to_owned(),
                most => format!("{most} at once at most"),
            };
            let takes = match config.keep_takes_days {
                0 => "What was captured is deleted once the recording is stored.".to_owned(),
                days => {
                    format!("What was captured is kept for {days} days more, in kept/ of the data folder.")
                }
            };
            format!(
                "This program, {most}; none begins while the disk of {} has less than {} free. {takes}",
                config.data_dir.display(),
                bytes(config.disk_reserve)
            )
        }
    }
}

fn recordings(config: &Config) -> String {
    match &config.s3_bucket {
        Some(bucket) => {
            let server = match config.s3_endpoint.as_deref() {
                Some(endpoint) => place(endpoint),
                None => "Amazon".to_owned(),
            };
            let key = match (&config.s3_access_key, &config.aws_access_key_id) {
                (Some(_), _) => "with the access key that is set",
                (None, Some(_)) => "with the access key of AWS_ACCESS_KEY_ID",
                (None, None) => "with the role that Amazon's platform gives",
            };
            format!(
                "Go to the bucket {bucket} of {server} (region {}), below {:?}, {key}.",
                config.aws_region, config.recordings_path
            )
        }
        None => {
            let readers = match config.recordings_readers {
                RecordingsReaders::Owner => "readable by the user that the program runs as alone",
                RecordingsReaders::Group => "readable by the group of the folder too",
            };
            format!("Are kept in {}, {readers}.", config.data_dir.join(&config.recordings_path).display())
        }
    }
}

fn failing(config: &Config) -> String {
    let after = match config.backup_after {
        0 => "once".to_owned(),
        seconds => format!("for {seconds} seconds"),
    };
    let backup = match (&config.backup_path, &config.backup_s3_bucket) {
        (Some(path), _) => Some(format!("the folder {}", path.display())),
        (None, Some(bucket)) => Some(match config.backup_s3_endpoint.as_deref() {
            Some(endpoint) => format!("the bucket {bucket} of {}", place(endpoint)),
            None => format!("the bucket {bucket} of Amazon"),
        }),
        (None, None) => None,
    };
    let waits = match &config.livekit_url {
        Some(_) => "What the store refuses is a matter of that recorder.",
        None => {
            "A recording that the store refuses waits in the data folder and plays from there; it is tried again until it is stored."
        }
    };
    match backup {
        Some(backup) if config.embeds_media() => format!(
            "{waits} One that was refused {after} is stored in {backup}, and moved when the first store takes it."
        ),
        Some(backup) => format!("{waits} Recordings of {backup} are listed and played too."),
        None => waits.to_owned(),
    }
}

fn playing(config: &Config) -> String {
    match config.recording_playback_strategy {
        PlaybackStrategy::Proxy => format!(
            "Through this server, in portions of at most {}.",
            bytes(config.recording_file_portion_size)
        ),
        PlaybackStrategy::S3 => {
            "From the bucket itself, by links that this server signs: browsers have to reach it.".to_owned()
        }
    }
}

fn webhooks(config: &Config) -> String {
    if config.livekit_url.is_some() {
        return "Sent by the LiveKit server, by its own settings: it has to tell this one at /livekit/webhook.".to_owned();
    }
    let mut places: Vec<String> = config.webhook_urls.iter().map(|url| place(url.as_str())).collect();
    places.dedup();
    match places.as_slice() {
        [] => "Nobody is told of rooms and recordings by webhook, for WEBHOOK_URLS is empty.".to_owned(),
        places => format!("Rooms and recordings are told of to {}.", join(places)),
    }
}

fn signing_in(config: &Config) -> String {
    match (&config.oidc_issuer, config.access_in_force()) {
        (Some(issuer), _) => format!(
            "The owner signs in with a password, or at {}, as {}.",
            place(issuer),
            join(&config.oidc_owners)
        ),
        (None, Access::Invite) => {
            "The owner signs in with a password, which a link sets: the first start prints one, and reelroom owner another.".to_owned()
        }
        (None, Access::Open) => "Nobody has to; the owner's page is for whoever has set a password (reelroom owner).".to_owned(),
    }
}

fn join<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An amount as people say it.
fn bytes(amount: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match UNITS.iter().find(|(_, unit)| amount >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", amount as f64 / *unit as f64).replace(".0 ", " "),
        None => format!("{amount} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn said(about: &str, role: Role, change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::for_data_dir(Path::new("/data"));
        change(&mut config);
        meaning(&config, role)
            .into_iter()
            .find(|one| one.about == about)
            .map(|one| one.says)
            .unwrap_or_default()
    }

    #[test]
    fn who_is_let_in_is_said_with_the_reason() {
        let of = |change: fn(&mut Config)| said("who is let in", Role::Everything, change);
        assert!(of(|_| {}).contains("Whoever uses this machine may do everything, for only this machine"));
        let named = of(|config| config.public_hosts = vec!["calls.example.org".parse().unwrap()]);
        assert!(
            named.contains(
                "nobody else, for PUBLIC_HOSTS or PUBLIC_URL has names for others, and ACCESS is not set"
            ),
            "{named}"
        );
        let open = of(|config| {
            config.access = Some(Access::Open);
            config.listen = "0.0.0.0".parse().unwrap();
        });
        assert!(
            open.contains("everything, for ACCESS=open") && open.contains("others do reach it"),
            "{open}"
        );
        assert!(said("who is let in", Role::Media, |_| {}).contains("devkey and secret"));
    }

    #[test]
    fn where_calls_and_recordings_go_is_said() {
        let here = |about| said(about, Role::Everything, |_| {});
        assert!(here("where it is reached").contains("At 127.0.0.1, any free port: from this machine"));
        assert!(here("media").contains("participants of this machine are heard from it alone"));
        assert!(here("recordings").contains("/data/recordings/, readable by the user"));
        assert!(here("when storing fails").contains("waits in the data folder"));
        assert!(here("who records").contains("less than 1 GB free"));
        assert!(here("playing").contains("at most 5.2 MB"));
        assert!(here("webhooks").starts_with("Nobody is told"));
        assert!(here("encryption").contains("http://localhost"));
        let elsewhere = |about| {
            said(about, Role::Everything, |config| {
                config.livekit_url = Some("wss://calls.example.org/x".parse().unwrap());
                config.s3_bucket = Some("b".into());
                config.s3_endpoint = Some("http://k:hunter2@s3.example.org:9000/hunter2".into());
                config.s3_access_key = Some("hunter2".into());
                config.s3_secret_key = Some("hunter2".into());
            })
        };
        assert!(elsewhere("media").contains("those of wss://calls.example.org: no media"));
        assert!(
            elsewhere("recordings").contains("the bucket b of http://s3.example.org:9000 (region us-east-1)")
        );
        assert!(elsewhere("webhooks").contains("/livekit/webhook"));
        let backup =
            said("when storing fails", Role::Everything, |config| config.backup_path = Some("/b".into()));
        assert!(backup.contains("refused for 300 seconds is stored in the folder /b"), "{backup}");
    }

    #[test]
    fn which_https_there_is_is_said_with_the_reason_and_what_becomes_of_who_comes_without() {
        let of = |role, change: fn(&mut Config)| said("encryption", role, change);
        let own = of(Role::Everything, |config| config.listen = "0.0.0.0".parse().unwrap());
        for part in [
            "for LISTEN is no loopback address",
            "makes for the addresses",
            "may have a secret in it is refused.",
        ] {
            assert!(own.contains(part), "{part}: {own}");
        }
        let acme = of(Role::Everything, |config| {
            config.listen = "0.0.0.0".parse().unwrap();
            config.server_port = None;
            config.public_url = Some("https://calls.example.org".parse().unwrap());
        });
        for part in
            ["https://acme-v02.api.letsencrypt.org gives for calls.example.org", "port 80 sends everybody"]
        {
            assert!(acme.contains(part), "{part}: {acme}");
        }
        let files = of(Role::Media, |config| {
            (config.tls_cert, config.tls_key) = (Some("/c.pem".into()), Some("/k.pem".into()));
        });
        assert!(
            files.contains("for TLS_CERT is set: with the certificate of /c.pem and the key of /k.pem")
                && files.contains("programs are served."),
            "{files}"
        );
        let proxy = of(Role::Everything, |config| {
            config.public_url = Some("https://example.org:8443/calls".parse().unwrap());
        });
        assert!(proxy.ends_with("the proxy in front, at https://example.org:8443/calls."), "{proxy}");
        let none = of(Role::Everything, |config| {
            config.listen = "0.0.0.0".parse().unwrap();
            config.advertise_ips = vec!["192.0.2.1".parse().unwrap()];
        });
        assert!(none.contains("ADVERTISE_IPS is set") && none.contains("neither camera"), "{none}");
    }

    #[test]
    fn where_it_is_reached_is_said_with_its_port_and_its_path() {
        let at = said("where it is reached", Role::Everything, |config| {
            config.server_port = None;
            config.listen = "0.0.0.0".parse().unwrap();
            config.public_url = Some("https://calls.example.org".parse().unwrap());
        });
        for part in [
            "all addresses of this machine, port 443.",
            "By calls.example.org, and",
            "Links begin with https://calls.example.org.",
        ] {
            assert!(at.contains(part), "{part}: {at}");
        }
        let below = said("where it is reached", Role::Everything, |config| {
            config.public_url = Some("https://example.org/calls".parse().unwrap());
        });
        assert!(
            below.contains("with https://example.org/calls, and it is found below /calls whether"),
            "{below}"
        );
    }

    #[test]
    fn what_a_stop_does_and_whom_proxies_speak_for_is_said() {
        let stop = |change: fn(&mut Config)| said("stopping", Role::Everything, change);
        let planned = stop(|_| {});
        assert!(
            planned.contains("told at once to come back") && planned.contains("within 60 seconds"),
            "{planned}"
        );
        let slow = stop(|config| (config.drain_seconds, config.resume_seconds) = (600, 0));
        assert!(
            slow.contains("go on for 600 seconds") && slow.contains("recordings are finished. At SIGINT"),
            "{slow}"
        );
        let outside = stop(|config| config.livekit_url = Some("wss://calls.example.org".parse().unwrap()));
        assert!(outside.contains("those of wss://calls.example.org, and go on"), "{outside}");
        let proxies = |change: fn(&mut Config)| said("proxies", Role::Everything, change);
        assert!(proxies(|_| {}).contains("TRUSTED_PROXIES is empty"));
        let named = proxies(|config| config.trusted_proxies = vec!["10.1.0.0/24".parse().unwrap()]);
        assert!(named.contains("and of 10.1.0.0/24, are believed"), "{named}");
    }

    #[test]
    fn nothing_that_may_be_a_secret_is_said() {
        let config = {
            let mut config = Config::for_data_dir(Path::new("/data"));
            let url = |text: &str| text.parse::<url::Url>().unwrap();
            config.webhook_urls = vec![url("https://u:hunter2@example.org/hunter2?k=hunter2")];
            config.livekit_api_key = Some("hunter2".into());
            config.livekit_api_secret = Some("hunter2".into());
            config.backup_s3_bucket = Some("b".into());
            config.backup_s3_endpoint = Some("k:hunter2@s3.example.org".into());
            config.oidc_issuer = Some("https://accounts.example.org/hunter2".into());
            config.oidc_client_secret = Some("hunter2".into());
            config.tls = Some(Tls::Acme);
            config.acme_directory = "https://u:hunter2@acme.example.org/hunter2".into();
            config
        };
        for role in [Role::Everything, Role::Media] {
            for Meaning { about, says } in meaning(&config, role) {
                assert!(!says.contains("hunter2") && says.ends_with('.'), "{about}: {says}");
            }
        }
    }
}
