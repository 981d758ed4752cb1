//! What may be wrong with certificates. No error has a key in it.

use std::io;
use std::path::PathBuf;

use reelroom_limits::tls::CERTIFICATE_FILE_BYTES;

/// Why a certificate cannot be used, read, kept or had.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}", path = .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is longer than any certificate.
    #[error("{path} has more than {most} bytes: that is no certificate and no key", path = .0.display(), most = CERTIFICATE_FILE_BYTES)]
    TooLarge(PathBuf),
    /// A file cannot be written.
    #[error("{path} cannot be written: {error}", path = .path.display())]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is none.
    #[error("there is no certificate in it: it has to begin with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// It is none.
    #[error("its certificate is broken: {0}")]
    Broken(String),
    /// There is none.
    #[error(
        "there is no private key in it: it has to have -----BEGIN PRIVATE KEY-----, or EC or RSA PRIVATE KEY"
    )]
    NoKey,
    /// It has a password.
    #[error(
        "its private key is encrypted: nobody types a password when a server starts, so write the key without one"
    )]
    EncryptedKey,
    /// It is none that can be used.
    #[error("its private key cannot be used: {0}")]
    BadKey(String),
    /// They are of two different certificates.
    #[error(
        "the private key does not fit the certificate: both have to be of the same order, and in the file of certificates the server's own stands \
         first"
    )]
    KeyDoesNotFit,
    /// One of one file or the other.
    #[error("{path}: {error}", path = .path.display())]
    In {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// One of its own could not be made.
    #[error("no certificate could be made: {0}")]
    NotMade(String),
    /// The settings of an ACME server cannot be used.
    #[error("{0}")]
    Acme(String),
}

impl CertsError {
    /// The same, of a file.
    pub(crate) fn of(self, path: &std::path::Path) -> Self {
        Self::In { path: path.to_owned(), error: Box::new(self) }
    }
}
