//! TLS as a witness: every certificate is taken, and whether it would be trusted is written down beside it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::checks::public_name::Distrust;

/// Whom this machine trusts.
#[derive(Clone)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    /// None where this machine knows no authority at all.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

/// What a server showed.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Its own certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// Why it would not be trusted.
    pub(crate) distrust: Option<Distrust>,
}

impl Trust {
    /// Reads the authorities that this machine knows.
    pub(crate) fn of_this_machine() -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok();
        Self { provider, verifier }
    }

    pub(crate) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// Why a chain would not be trusted by whoever asks for `name`.
    pub(crate) fn doubts(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Option<Distrust> {
        let Some(verifier) = &self.verifier else {
            let why = "this machine knows no authorities at all (install ca-certificates)";
            return Some(Distrust::Unknown(why.to_owned()));
        };
        let verified = verifier.verify_server_cert(certificate, between, name, &[], UnixTime::now());
        verified.err().map(|error| distrust(&error))
    }

    /// Settings for one connection, and what is written down of it.
    pub(crate) fn witness(&self) -> Result<(Arc<ClientConfig>, Arc<Witness>), Error> {
        let witness = Arc::new(Witness { trust: self.clone(), shown: Mutex::default() });
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((Arc::new(config), witness))
    }
}

fn distrust(error: &Error) -> Distrust {
    let Error::InvalidCertificate(why) = error else { return Distrust::Unknown(error.to_string()) };
    match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Distrust::Time,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::Name,
        CertificateError::UnknownIssuer => Distrust::Unknown(
            "it is signed by itself, or by an authority that this machine does not know".to_owned(),
        ),
        other => Distrust::Unknown(other.to_string()),
    }
}

/// Takes every certificate, and writes down what it thinks of it.
pub(crate) struct Witness {
    trust: Trust,
    shown: Mutex<Option<Shown>>,
}

impl Witness {
    /// What was shown.
    pub(crate) fn saw(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let distrust = self.trust.doubts(end_entity, intermediates, server_name);
        let shown = Shown { certificate: end_entity.clone().into_owned(), distrust };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.trust.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.trust.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}
