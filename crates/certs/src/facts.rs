//! What a certificate says: for which names it is, and from when until when.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

use crate::error::CertsError;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertFacts {
    /// The names and addresses that it is for, as a person writes them: "calls.example.org", "*.example.org", "192.0.2.1".
    pub names: Vec<String>,
    /// Before that nobody takes it.
    pub not_before: SystemTime,
    /// After that nobody takes it.
    pub not_after: SystemTime,
    /// Nobody but itself vouches for it: browsers warn.
    pub is_self_signed: bool,
}

impl CertFacts {
    /// Whether a browser takes it for a host, which is a name or an address without brackets and port.
    pub fn covers(&self, host: &str) -> bool {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.names.iter().any(|name| name.parse() == Ok(ip));
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.names.iter().any(|name| {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("*.") {
                Some(rest) => host.split_once('.').is_some_and(|(first, of)| !first.is_empty() && of == rest),
                None => name == host,
            }
        })
    }

    /// Whether it can be used at a time.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whole days until it is over; below zero when it is.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        const DAY: i64 = 24 * 60 * 60;
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match self.not_after.duration_since(now) {
            Ok(left) => seconds(left) / DAY,
            Err(over) => -(seconds(over.duration()) / DAY) - 1,
        }
    }
}

/// What the first certificate of a PEM says, which is the server's own.
///
/// # Errors
/// [`CertsError::NoCertificate`], [`CertsError::Broken`].
pub fn facts(pem: &[u8]) -> Result<CertFacts, CertsError> {
    let first = CertificateDer::pem_slice_iter(pem).next().ok_or(CertsError::NoCertificate)?;
    of_der(&first.map_err(|error| CertsError::Broken(error.to_string()))?)
}

pub(crate) fn of_der(der: &CertificateDer<'_>) -> Result<CertFacts, CertsError> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|error| CertsError::Broken(error.to_string()))?;
    Ok(CertFacts {
        names: names(&certificate)?,
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
        is_self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, CertsError> {
    let alternatives = certificate
        .subject_alternative_name()
        .map_err(|error| CertsError::Broken(format!("the names that it is for cannot be read ({error})")))?;
    let all = alternatives.map(|found| found.value.general_names.as_slice()).unwrap_or_default();
    Ok(all.iter().filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
            Some(ip.to_string())
        }
        _ => None,
    }
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let since = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) };
    at.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> CertFacts {
        CertFacts {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH + Duration::from_secs(10 * 86_400),
            is_self_signed: false,
        }
    }

    #[test]
    fn a_certificate_is_for_its_names_and_for_one_label_of_a_star() {
        let facts = of(&["calls.example.org", "*.example.net", "192.0.2.1", "fd00::1"]);
        for host in ["calls.example.org", "CALLS.example.org.", "a.example.net", "192.0.2.1", "fd00:0::1"] {
            assert!(facts.covers(host), "{host}");
        }
        for host in [
            "example.org",
            "a.calls.example.org",
            "a.b.example.net",
            "example.net",
            ".example.net",
            "192.0.2.2",
        ] {
            assert!(!facts.covers(host), "{host}");
        }
    }

    #[test]
    fn days_are_counted_down_and_below_zero() {
        let facts = of(&[]);
        let at = |hours: u64| facts.days_left(UNIX_EPOCH + Duration::from_secs(hours * 3600));
        assert_eq!((at(0), at(1), at(240 - 1), at(240), at(241), at(240 + 25)), (10, 9, 0, 0, -1, -2));
        assert!(facts.is_valid_at(UNIX_EPOCH) && !facts.is_valid_at(facts.not_after));
    }

    #[test]
    fn what_is_none_is_told_from_what_is_broken() {
        assert!(matches!(facts(b""), Err(CertsError::NoCertificate)));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(facts(broken), Err(CertsError::Broken(_))));
    }
}
