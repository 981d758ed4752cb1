//! The settings as what doctor looks at: plain data, without a choice of its own.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use reelroom_doctor::checks::settings::Meaning;
use reelroom_doctor::subject::{
    BackupStore, Bucket, CertificateFiles, CertificateSays, DataFolder, Http, Https, LiveKit, Maker, Media,
    PublicAddress, Subject,
};
use reelroom_media::{SOCKET_BUFFER_BYTES, receives_at};
use url::{Host, Url};

use crate::app::Role;
use crate::config::{Access, Config, Tls};
use crate::front::sites::HostName;
use crate::installed;
use crate::public_url::PublicUrl;
use crate::secrets::{DEV_KEY, DEV_SECRET};

/// Of HTTPS by a proxy, whose port nothing here says.
const HTTPS_PORT: u16 = 443;
/// `reelroom media` is no page that people meet on.
const ROLE: Role = Role::Everything;
/// Below the data folder.
const TLS_FOLDER: &str = "tls";

/// Everything that is looked at.
pub(super) fn subject(config: &Config, program: PathBuf) -> Subject {
    let prefix = &config.recordings_path;
    let bucket = |s3| Bucket { config: s3, prefix: prefix.clone() };
    let backup = config.backup_s3().map(|s3| BackupStore::Bucket(Box::new(bucket(s3))));
    Subject {
        data: DataFolder { path: config.data_dir.clone(), reserve_bytes: config.disk_reserve },
        http: Http {
            listen: config.listen,
            port: config.port_in_force(ROLE),
            redirect_port: config.http_port_in_force(ROLE),
        },
        media: config.embeds_media().then(|| media(config)),
        public: public(config),
        https: https(config),
        bucket: config.s3().map(bucket),
        backup: backup.or_else(|| config.backup_path.clone().map(BackupStore::Folder)),
        livekit: config.livekit_url.as_ref().map(|url| LiveKit { url: url.clone(), keys: keys(config, url) }),
        program,
        maker: installed::owner_instead_of_root(&config.data_dir)
            .map(|(uid, gid)| Maker { uid: uid.as_raw(), gid: gid.as_raw() }),
    }
}

/// What they mean together.
pub(super) fn meaning(config: &Config) -> Meaning {
    let tls = config.tls_in_force(ROLE);
    let url = config.public_url.as_ref();
    // Names are of a proxy that speaks HTTPS; an address by http:// is opened as it is.
    let has_names = !config.public_hosts.is_empty() || url.is_some_and(PublicUrl::is_https);
    let is_plain = url.is_some_and(|url| !url.is_https() && !url.host().is_loopback());
    let https = match tls {
        Tls::Off if has_names => "left to a proxy in front",
        Tls::Off if is_plain => "off, as PUBLIC_URL says",
        Tls::Off if config.listen.is_loopback() => "off, which browsers forgive pages of this machine",
        Tls::Off => "off",
        Tls::Files => "made with the files of TLS_CERT and TLS_KEY",
        Tls::Acme => "made with a certificate that is got by ACME",
        Tls::Own => "made with a certificate of our own, which each browser asks about once",
    };
    Meaning {
        is_open: config.access_in_force() == Access::Open,
        reached: config.reached().map(|reached| reached.to_string()),
        listens_to_others: !config.listen.is_loopback() || is_plain,
        https: https.to_owned(),
        is_https: tls != Tls::Off,
        has_names,
    }
}

fn media(config: &Config) -> Media {
    Media {
        port: config.udp_port,
        at: receives_at(&config.receives_media()),
        advertise: config
            .advertise_ips
            .iter()
            .map(IpAddr::to_canonical)
            .chain(config.advertise_hosts.iter().flat_map(looked_up))
            .collect(),
        socket_buffer_bytes: SOCKET_BUFFER_BYTES as u64,
    }
}

/// The addresses of a name, as the server looks them up; none where that fails, as clients are told none then.
fn looked_up(name: &HostName) -> Vec<IpAddr> {
    let found = (host(name).as_str(), 0).to_socket_addrs();
    found.map(|all| all.map(|at| at.ip().to_canonical()).collect()).unwrap_or_default()
}

/// The address that is set as a whole, and names by which a proxy, or this program itself, is reached by HTTPS.
fn public(config: &Config) -> Vec<PublicAddress> {
    let url = config.public_url.as_ref().map(|url| PublicAddress {
        host: host(url.host()),
        port: url.port(),
        is_https: url.is_https(),
        prefix: url.prefix().to_owned(),
    });
    let port = if config.tls_in_force(ROLE) == Tls::Off { HTTPS_PORT } else { config.port_in_force(ROLE) };
    let other =
        |name: &HostName| PublicAddress { host: host(name), port, is_https: true, prefix: String::new() };
    let others = config.public_hosts.iter().map(other);
    let others = others.filter(|one| url.as_ref().is_none_or(|url| url.host != one.host)).collect::<Vec<_>>();
    url.into_iter().chain(others).collect()
}

fn host(name: &HostName) -> String {
    match name {
        HostName::Name(name) => name.clone(),
        HostName::Address(ip) => ip.to_string(),
    }
}

fn https(config: &Config) -> Https {
    let folder = config.data_dir.join(TLS_FOLDER);
    match config.tls_in_force(ROLE) {
        Tls::Off => Https::Off,
        Tls::Files => {
            let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
            Https::Files(files(&path(&config.tls_cert), &path(&config.tls_key)))
        }
        Tls::Own => Https::Own(files(&folder.join("own/cert.pem"), &folder.join("own/key.pem"))),
        Tls::Acme => {
            let authority = authority(&config.acme_directory);
            let folder = folder.join("acme").join(folder_of(authority));
            let name = config.acme_name().unwrap_or_default();
            // Chain and key stand in one file.
            let path = folder.join(format!("{name}.pem"));
            Https::Acme {
                certificate: files(&path, &path),
                tries: folder.join(format!("{name}.json")),
                authority: authority.to_owned(),
            }
        }
    }
}

/// Host and port of an ACME server's directory.
fn authority(directory: &str) -> &str {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// The folder that is named after them.
fn folder_of(authority: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    authority.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

fn files(certificate: &Path, key: &Path) -> CertificateFiles {
    CertificateFiles { certificate: certificate.to_owned(), key: key.to_owned(), read: says }
}

fn says(pem: &[u8]) -> Result<CertificateSays, String> {
    let facts = reelroom_certs::facts(pem).map_err(|error| error.to_string())?;
    let reelroom_certs::CertFacts { names, not_before, not_after, is_self_signed } = facts;
    Ok(CertificateSays { names, not_before, not_after, is_self_signed })
}

/// As the server itself chooses them: those that are set, and the well-known ones of a developer's server on this machine.
fn keys(config: &Config, url: &Url) -> Option<(String, String)> {
    let set = config.livekit_api_key.clone().zip(config.livekit_api_secret.clone());
    let is_local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    set.or_else(|| is_local.then(|| (DEV_KEY.to_owned(), DEV_SECRET.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        change(&mut config);
        config
    }

    #[test]
    fn the_defaults_are_of_one_machine() {
        let config = config(|_| {});
        let subject = subject(&config, "reelroom".into());
        assert!(subject.public.is_empty() && !subject.https.is_on() && subject.bucket.is_none());
        assert!(subject.media.is_some_and(|media| media.at.iter().any(IpAddr::is_loopback)));
        let meaning = meaning(&config);
        assert!(meaning.is_open && meaning.reached.is_none() && !meaning.listens_to_others);
    }

    #[test]
    fn names_are_opened_by_https_at_the_proxys_port() {
        let config = config(|config| config.public_hosts = vec!["calls.example.org".parse().unwrap()]);
        let public = public(&config);
        assert_eq!(public.iter().map(PublicAddress::url).collect::<Vec<_>>(), ["https://calls.example.org"]);
        let meaning = meaning(&config);
        assert!(!meaning.is_open && meaning.has_names && meaning.https.contains("proxy"), "{meaning:?}");
        let config = self::config(|config| {
            config.public_url = Some("https://example.org:8443/calls".parse().unwrap());
            config.public_hosts = vec!["example.org".parse().unwrap(), "other.example.org".parse().unwrap()];
        });
        let urls: Vec<String> = super::public(&config).iter().map(PublicAddress::url).collect();
        assert_eq!(urls, ["https://example.org:8443/calls", "https://other.example.org"]);
    }

    #[test]
    fn an_address_without_https_has_none_whoever_listens() {
        for (listen, url, has_camera) in [
            ("0.0.0.0", "http://192.168.1.5:6080", false),
            ("127.0.0.1", "http://192.168.1.5:6080", false),
            ("127.0.0.1", "http://localhost:6080", true),
            ("127.0.0.1", "https://calls.example.org", true),
        ] {
            let meaning = meaning(&config(|config| {
                config.listen = listen.parse().unwrap();
                config.public_url = Some(url.parse().unwrap());
            }));
            let is_plain = meaning.listens_to_others && !meaning.is_https && !meaning.has_names;
            assert_eq!(!is_plain, has_camera, "{listen} {url}: {meaning:?}");
        }
    }

    #[test]
    fn certificates_are_looked_for_where_they_are_kept() {
        let config = config(|config| {
            config.listen = "0.0.0.0".parse().unwrap();
            config.public_url = Some("https://calls.example.org".parse().unwrap());
            config.acme_directory = "https://acme.example:14000/dir".into();
        });
        let Https::Acme { certificate, tries, authority } = https(&config) else {
            panic!("it is got by ACME")
        };
        let folder = config.data_dir.join("tls/acme/acme.example_14000");
        assert_eq!(certificate.certificate, folder.join("calls.example.org.pem"));
        assert_eq!(
            (tries, authority.as_str()),
            (folder.join("calls.example.org.json"), "acme.example:14000")
        );
    }

    #[test]
    fn a_developers_server_has_the_key_that_everybody_knows() {
        let keys = |url: &str| keys(&config(|_| {}), &url.parse().unwrap());
        assert_eq!(keys("ws://localhost:7880"), Some(("devkey".into(), "secret".into())));
        assert_eq!(keys("wss://livekit.example.org"), None);
    }
}
