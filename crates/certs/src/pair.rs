//! A chain of certificates and the key that fits its first one, ready for handshakes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

use crate::error::CertsError;
use crate::facts::{self, CertFacts};

/// What is shown to whoever connects, and what it says.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) facts: CertFacts,
    /// SHA-256 of the first certificate, as browsers show it: "AB:CD:…".
    pub(crate) fingerprint: String,
}

impl Pair {
    /// Of two PEMs, which may be the same text. What is wrong is said of each by `of_chain` and `of_key`.
    ///
    /// # Errors
    /// Any but those of files.
    pub(crate) fn of_pem(
        chain: &[u8],
        key: &[u8],
        of_chain: impl Fn(CertsError) -> CertsError,
        of_key: impl Fn(CertsError) -> CertsError,
    ) -> Result<Self, CertsError> {
        let certificates = certificates(chain).map_err(&of_chain)?;
        let facts = facts::of_der(&certificates[0]).map_err(&of_chain)?;
        let fingerprint = fingerprint(&certificates[0]);
        let private = private_key(key).map_err(&of_key)?;
        let key =
            CertifiedKey::from_der(certificates, private, &provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => CertsError::KeyDoesNotFit,
                rustls::Error::InvalidCertificate(error) => {
                    of_chain(CertsError::Broken(format!("{error:?}")))
                }
                error => of_key(CertsError::BadKey(error.to_string())),
            })?;
        Ok(Self { key: Arc::new(key), facts, fingerprint })
    }

    /// What works all the same, and not for everybody.
    pub(crate) fn warnings(&self, now: SystemTime) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.facts.not_after <= now {
            warnings.push(format!(
                "the certificate is over since {} days: browsers refuse it",
                -self.facts.days_left(now)
            ));
        }
        if now < self.facts.not_before {
            warnings.push(
                "the certificate is not valid yet: the clock of this machine is wrong, or it was made by a machine whose clock is".to_owned(),
            );
        }
        if self.facts.names.is_empty() {
            warnings.push("the certificate is for no name (subjectAltName): browsers refuse it".to_owned());
        }
        if self.key.cert.len() == 1 && !self.facts.is_self_signed {
            warnings.push(
                "the certificate comes without those of who vouches for it: many programs and phones refuse it, so name the file of the whole chain \
                 (fullchain.pem)"
                    .to_owned(),
            );
        }
        if self.key.key.algorithm() == SignatureAlgorithm::ED25519 {
            warnings.push(
                "its key is of Ed25519, which browsers do not take: order one with ECDSA P-256 or RSA"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// How this program encrypts.
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertsError> {
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(|error| CertsError::Broken(error.to_string()))?;
    if all.is_empty() { Err(CertsError::NoCertificate) } else { Ok(all) }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertsError> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(_) if contains(text, b"ENCRYPTED") => Err(CertsError::EncryptedKey),
        Err(pem::Error::NoItemsFound) => Err(CertsError::NoKey),
        Err(error) => Err(CertsError::BadKey(error.to_string())),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

fn fingerprint(der: &CertificateDer<'_>) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(der) {
        let colon = if text.is_empty() { "" } else { ":" };
        write!(text, "{colon}{byte:02X}").expect("a text takes everything");
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, Issuer, KeyPair};
    use time::OffsetDateTime;

    use super::*;

    /// Chain and key of a certificate that another one vouches for.
    pub(crate) fn made(names: &[&str], not_before: SystemTime, not_after: SystemTime) -> (String, String) {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
        root.distinguished_name.push(rcgen::DnType::CommonName, "a root");
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a server");
        params.not_before = OffsetDateTime::from(not_before);
        params.not_after = OffsetDateTime::from(not_after);
        let own = params.signed_by(&key, &Issuer::from_params(&root, &root_key)).unwrap();
        let chain = format!("{}{}", own.pem(), root.self_signed(&root_key).unwrap().pem());
        (chain, key.serialize_pem())
    }

    fn read(chain: &str, key: &str) -> Result<Pair, CertsError> {
        Pair::of_pem(chain.as_bytes(), key.as_bytes(), |error| error, |error| error)
    }

    #[test]
    fn a_pair_is_what_fits_and_says_what_not_everybody_takes() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        let (chain, key) = made(&["calls.example.org", "192.0.2.1"], now - day, now + day * 10);
        let pair = read(&chain, &key).unwrap();
        assert_eq!(pair.facts.names, ["calls.example.org", "192.0.2.1"]);
        assert!(!pair.facts.is_self_signed);
        assert_eq!(pair.warnings(now), Vec::<String>::new());
        assert_eq!(pair.fingerprint.len(), 32 * 3 - 1);
        let told = |at| pair.warnings(at).join("\n");
        assert!(told(now + day * 11).contains("is over"));
        assert!(told(now - day * 2).contains("not valid yet"));
        let end = "-----END CERTIFICATE-----\n";
        let alone = chain.split_inclusive(end).next().unwrap();
        assert!(read(alone, &key).unwrap().warnings(now).join("\n").contains("fullchain.pem"));
        let both = format!("{key}{chain}");
        assert!(read(&both, &both).is_ok(), "both may stand in one file");
    }

    #[test]
    fn what_does_not_fit_is_told_apart() {
        let now = SystemTime::now();
        let (chain, key) = made(&["a.example"], now, now + Duration::from_secs(86_400));
        let (_, other) = made(&["a.example"], now, now + Duration::from_secs(86_400));
        assert!(matches!(read(&chain, &other), Err(CertsError::KeyDoesNotFit)));
        assert!(matches!(read("", &key), Err(CertsError::NoCertificate)));
        assert!(matches!(read(&chain, ""), Err(CertsError::NoKey)));
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert!(matches!(read(&chain, &locked), Err(CertsError::EncryptedKey)));
        let cut = &chain[..chain.len() / 4];
        assert!(read(cut, &key).is_err());
        let error = read(&chain, &key.replace('A', "B")).err().map(|error| error.to_string());
        assert!(error.is_none_or(|text| !text.contains(&key[60..80])), "no key is in an error");
    }
}
