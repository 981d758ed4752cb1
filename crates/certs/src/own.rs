//! A certificate of the server's own making, for addresses and names for which nobody else gives one.
//!
//! A browser warns of it once, and remembers this very certificate: so it is kept as long as it can be used. It is made anew when somebody
//! may come to an address that is not in it, and before it is over; those of before stay in it, as a laptop comes back to its networks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use reelroom_limits::tls::OWN_NAMES;
use time::OffsetDateTime;

use crate::disk;
use crate::error::CertsError;
use crate::facts::CertFacts;
use crate::pair::{Pair, provider};
use crate::renewal::is_sane;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Phones of Apple's take none that lives for longer than 825 days, and nobody is surprised by one of a year.
const LIVES: Duration = Duration::from_secs(397 * 24 * 60 * 60);
/// So long before its end it is made anew.
const BEFORE_ITS_END: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What a server is reached by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// What people type: a certificate without one of them is made anew.
    pub needed: BTreeSet<String>,
    /// What may be typed, too: it is in a certificate that is made for another reason.
    pub also: BTreeSet<String>,
}

impl Served {
    /// Of addresses and names.
    pub fn new(needed: impl IntoIterator<Item = String>, also: impl IntoIterator<Item = String>) -> Self {
        Self { needed: needed.into_iter().collect(), also: also.into_iter().collect() }
    }
}

/// Where it is kept.
pub(crate) struct Own {
    cert: PathBuf,
    key: PathBuf,
}

impl Own {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { cert: folder.join("own/cert.pem"), key: folder.join("own/key.pem") }
    }

    /// The one that is kept where it can be used for `served`, and a new one otherwise.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub(crate) fn open(&self, served: &Served, now: SystemTime) -> Result<Pair, CertsError> {
        let kept = self.kept()?;
        match kept {
            Some(pair) if why_anew(&pair.facts, served, now).is_none() => Ok(pair),
            kept => self.make(kept.as_ref(), served, now),
        }
    }

    /// A new one, where `pair` cannot be used any more.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub(crate) fn renew(
        &self,
        pair: &CertFacts,
        served: &Served,
        now: SystemTime,
    ) -> Result<Option<Pair>, CertsError> {
        let Some(why) = why_anew(pair, served, now) else { return Ok(None) };
        tracing::info!("the server's own certificate is made anew, for {why}: browsers warn of it once more");
        self.make(self.kept()?.as_ref(), served, now).map(Some)
    }

    fn kept(&self) -> Result<Option<Pair>, CertsError> {
        let (Some(cert), Some(key)) = (disk::read_if_there(&self.cert)?, disk::read_if_there(&self.key)?)
        else {
            return Ok(None);
        };
        match Pair::of_pem(&cert, &key, |error| error.of(&self.cert), |error| error.of(&self.key)) {
            Ok(pair) => Ok(Some(pair)),
            Err(error) => {
                tracing::warn!("the server's own certificate is made anew: {error}");
                Ok(None)
            }
        }
    }

    fn make(&self, before: Option<&Pair>, served: &Served, now: SystemTime) -> Result<Pair, CertsError> {
        let not_made = |error: rcgen::Error| CertsError::NotMade(error.to_string());
        if let Some(folder) = self.key.parent() {
            disk::folder(folder)?;
        }
        let kept = disk::read_if_there(&self.key)?.and_then(|text| String::from_utf8(text).ok());
        let key = match kept.and_then(|text| KeyPair::from_pem(&text).ok()) {
            Some(key) => key,
            None => KeyPair::generate().map_err(not_made)?,
        };
        let mut params = CertificateParams::new(names(before, served)).map_err(not_made)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Reelroom");
        // A day for clocks that are slow.
        params.not_before = OffsetDateTime::from(now.checked_sub(DAY).unwrap_or(UNIX_EPOCH));
        params.not_after = OffsetDateTime::from(now + LIVES - DAY);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Firefox refuses two certificates of one issuer with the same number for good.
        params.serial_number = Some(serial_number()?);
        let cert = params.self_signed(&key).map_err(not_made)?.pem();
        let key = key.serialize_pem();
        disk::write(&self.key, key.as_bytes())?;
        disk::write(&self.cert, cert.as_bytes())?;
        Pair::of_pem(
            cert.as_bytes(),
            key.as_bytes(),
            |error| error.of(&self.cert),
            |error| error.of(&self.key),
        )
    }
}

/// Why one cannot be used any more.
fn why_anew(facts: &CertFacts, served: &Served, now: SystemTime) -> Option<String> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if facts.not_after <= now + BEFORE_ITS_END {
        return Some("it is soon over".to_owned());
    }
    // A clock that is behind makes none anew; one that was ahead has made one that nobody takes.
    if now < facts.not_before && is_sane(since) {
        return Some("it was made by a clock that was ahead".to_owned());
    }
    let missing = served.needed.iter().filter(|name| is_certifiable(name)).find(|name| !facts.covers(name));
    missing.map(|name| format!("{name} is not in it"))
}

/// What is served, and behind it what was.
fn names(before: Option<&Pair>, served: &Served) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let was = before.map(|pair| pair.facts.names.as_slice()).unwrap_or_default();
    for name in served.needed.iter().chain(&served.also).chain(was) {
        if names.len() < OWN_NAMES && is_certifiable(name) && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Whether it can stand in a certificate: machines may be called anything.
fn is_certifiable(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(is_letter);
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

fn serial_number() -> Result<SerialNumber, CertsError> {
    let mut bytes = [0; 16];
    provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| CertsError::NotMade("the system has no random numbers".to_owned()))?;
    // Positive, and never shorter than it is.
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(needed: &[&str]) -> Served {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Served::new(texts(needed), texts(&["localhost", "172.17.0.1"]))
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn it_is_what_browsers_take_once_they_were_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let pair =
            Own::new(folder.path()).open(&served(&["192.168.1.5", "fd00::5", "box.local"]), now()).unwrap();
        for name in ["192.168.1.5", "fd00::5", "box.local", "localhost", "172.17.0.1"] {
            assert!(pair.facts.covers(name), "{name}");
        }
        let life = pair.facts.not_after.duration_since(pair.facts.not_before).unwrap();
        assert!(life <= DAY * 397 && life > DAY * 390);
        assert!(pair.facts.is_self_signed && pair.facts.is_valid_at(now()));
        assert_eq!(pair.warnings(now()), Vec::<String>::new());
        let (_, read) = x509_parser::parse_x509_certificate(&pair.key.cert[0]).unwrap();
        assert!(read.extended_key_usage().unwrap().unwrap().value.server_auth);
        assert!(!read.is_ca());
    }

    #[test]
    fn it_stays_the_same_until_an_address_is_missing_or_its_end_is_near() {
        let folder = tempfile::tempdir().unwrap();
        let own = Own::new(folder.path());
        let home = served(&["192.168.1.5"]);
        let first = own.open(&home, now()).unwrap();
        let open = |served: &Served, now| Own::new(folder.path()).open(served, now).unwrap();
        assert_eq!(open(&home, now() + DAY * 300).fingerprint, first.fingerprint);
        let mut more = home.clone();
        more.also.insert("172.18.0.1".to_owned());
        more.needed.insert("no_name for anybody".to_owned());
        assert_eq!(
            open(&more, now()).fingerprint,
            first.fingerprint,
            "a container's network is nobody's address"
        );
        assert!(own.renew(&first.facts, &home, now()).unwrap().is_none());
        let work = own.renew(&first.facts, &served(&["10.0.0.7"]), now()).unwrap().unwrap();
        assert_ne!(work.fingerprint, first.fingerprint);
        assert!(work.facts.covers("192.168.1.5"), "the laptop comes home again");
        assert_eq!(open(&home, now()).fingerprint, work.fingerprint);
        let later = open(&home, now() + DAY * 390);
        assert_ne!(later.fingerprint, work.fingerprint);
        let key = |pair: &Pair| pair.key.key.public_key().unwrap().to_vec();
        assert_eq!(key(&later), key(&first), "the key is the same");
        let number = |pair: &Pair| {
            x509_parser::parse_x509_certificate(&pair.key.cert[0]).unwrap().1.raw_serial().to_vec()
        };
        assert_ne!(number(&later), number(&first));
    }

    #[test]
    fn clocks_that_are_wrong_leave_it_alone_and_what_they_made_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let own = Own::new(folder.path());
        let home = served(&["192.168.1.5"]);
        let first = own.open(&home, now()).unwrap();
        let at_boot = UNIX_EPOCH + DAY;
        assert_eq!(own.open(&home, at_boot).unwrap().fingerprint, first.fingerprint);
        std::fs::remove_dir_all(folder.path().join("own")).unwrap();
        let of_boot = own.open(&home, at_boot).unwrap();
        let right = own.renew(&of_boot.facts, &home, now()).unwrap().unwrap();
        assert!(right.facts.is_valid_at(now()));
        let ahead = own.open(&home, now() + DAY * 3000).unwrap();
        assert!(own.renew(&ahead.facts, &home, now()).unwrap().unwrap().facts.is_valid_at(now()));
    }

    #[test]
    fn what_is_broken_is_made_anew_and_names_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let own = Own::new(folder.path());
        own.open(&served(&["192.168.1.5"]), now()).unwrap();
        std::fs::write(folder.path().join("own/key.pem"), "no key").unwrap();
        assert!(own.open(&served(&["192.168.1.5"]), now()).is_ok());
        for network in 0..OWN_NAMES + 10 {
            let ip = format!("10.0.{network}.1");
            let pair = own.open(&served(&[&ip]), now()).unwrap();
            assert!(pair.facts.covers(&ip) && pair.facts.names.len() <= OWN_NAMES);
        }
    }
}
