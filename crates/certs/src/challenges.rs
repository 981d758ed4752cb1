//! What an ACME server asks for, by which it sees that whoever orders a certificate has the name: answered while it is pending.
//!
//! ```text
//!   HTTP-01      GET http://NAME/.well-known/acme-challenge/TOKEN   ─► the token and the account's thumbprint
//!   TLS-ALPN-01  a handshake for NAME with the protocol acme-tls/1  ─► a certificate with the hash of that in it
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::CertsError;
use crate::pair::provider;

/// By which a handshake says that it is for a challenge.
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Those that are pending; there is one order at a time.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    pending: Mutex<Option<Challenge>>,
}

#[derive(Clone, Debug)]
enum Challenge {
    Http { token: String, answer: String },
    Tls { name: String, key: Arc<CertifiedKey> },
}

/// A challenge is answered as long as this is held.
pub(crate) struct Pending(Arc<Challenges>);

impl Drop for Pending {
    fn drop(&mut self) {
        *self.0.pending() = None;
    }
}

impl Challenges {
    /// Answers requests for a token.
    pub(crate) fn answer_http(self: &Arc<Self>, token: &str, answer: &str) -> Pending {
        *self.pending() = Some(Challenge::Http { token: token.to_owned(), answer: answer.to_owned() });
        Pending(Arc::clone(self))
    }

    /// Answers handshakes for a name.
    ///
    /// # Errors
    /// No certificate can be made.
    pub(crate) fn answer_tls(self: &Arc<Self>, name: &str, digest: &[u8]) -> Result<Pending, CertsError> {
        let key = Arc::new(certificate(name, digest)?);
        *self.pending() = Some(Challenge::Tls { name: name.to_owned(), key });
        Ok(Pending(Arc::clone(self)))
    }

    /// What is answered for a token.
    pub(crate) fn of_token(&self, asked: &str) -> Option<String> {
        match &*self.pending() {
            Some(Challenge::Http { token, answer }) if token == asked => Some(answer.clone()),
            _ => None,
        }
    }

    /// Whether a handshake is for the challenge that is pending.
    pub(crate) fn is_for(&self, hello: &ClientHello<'_>) -> bool {
        let mut offered = hello.alpn().into_iter().flatten();
        offered.next() == Some(ACME_TLS) && offered.next().is_none() && self.of_hello(hello).is_some()
    }

    fn of_hello(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name()?;
        match &*self.pending() {
            Some(Challenge::Tls { name, key }) if name.eq_ignore_ascii_case(asked) => Some(Arc::clone(key)),
            _ => None,
        }
    }

    fn pending(&self) -> MutexGuard<'_, Option<Challenge>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of_hello(&hello)
    }
}

/// RFC 8737: for the name, with the digest in it, and for nothing else.
fn certificate(name: &str, digest: &[u8]) -> Result<CertifiedKey, CertsError> {
    let not_made = |error: rcgen::Error| CertsError::NotMade(error.to_string());
    if digest.len() != 32 {
        return Err(CertsError::NotMade("the digest of a challenge has 32 bytes".to_owned()));
    }
    let key = KeyPair::generate().map_err(not_made)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(not_made)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(not_made)?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Whether the key fits is not looked at: rustls's look refuses the critical extension that this certificate is for.
    let key = provider().key_provider.load_private_key(key);
    key.map(|key| CertifiedKey::new(vec![certificate], key))
        .map_err(|error| CertsError::NotMade(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_while_it_is_pending() {
        let challenges = Arc::new(Challenges::default());
        assert_eq!(challenges.of_token("a"), None);
        let pending = challenges.answer_http("a", "a.thumbprint");
        assert_eq!(challenges.of_token("a").as_deref(), Some("a.thumbprint"));
        assert_eq!(challenges.of_token("b"), None);
        drop(pending);
        assert_eq!(challenges.of_token("a"), None);
    }

    #[test]
    fn the_certificate_of_a_challenge_has_its_digest() {
        let challenges = Arc::new(Challenges::default());
        let pending = challenges.answer_tls("calls.example.org", &[7; 32]).unwrap();
        let Some(Challenge::Tls { key, .. }) = challenges.pending().clone() else { panic!("it is pending") };
        let (_, read) = x509_parser::parse_x509_certificate(&key.cert[0]).unwrap();
        let identifier = read
            .iter_extensions()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(identifier.critical && identifier.value.ends_with(&[7; 32]));
        for (name, alpn, expected) in [
            ("calls.example.org", vec![ACME_TLS.to_vec()], true),
            ("calls.example.org", vec![b"h2".to_vec(), ACME_TLS.to_vec()], false),
            ("calls.example.org", vec![b"h2".to_vec()], false),
            ("other.example.org", vec![ACME_TLS.to_vec()], false),
        ] {
            let accepted = hello(name, alpn);
            assert_eq!(challenges.is_for(&accepted.client_hello()), expected, "{name}");
        }
        assert!(challenges.answer_tls("calls.example.org", &[7; 31]).is_err());
        drop(pending);
        assert!(challenges.pending().is_none());
        assert!(!challenges.is_for(&hello("calls.example.org", vec![ACME_TLS.to_vec()]).client_hello()));
    }

    /// What a server hears first of whoever comes for a name with these protocols.
    fn hello(name: &str, alpn: Vec<Vec<u8>>) -> rustls::server::Accepted {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn;
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut bytes.as_slice()).unwrap();
        acceptor.accept().ok().flatten().unwrap()
    }
}
