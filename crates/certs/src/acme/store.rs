//! What is kept of an ACME server: the account, the certificate with its key, and what became of the tries.
//!
//! ```text
//!   acme/HOST OF THE DIRECTORY/account.json    the account's key
//!                             /NAME.pem        the chain, and behind it the key
//!                             /NAME.json       the tries since
//! ```

use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

use crate::acme::{AcmeSettings, Given};
use crate::disk;
use crate::error::CertsError;
use crate::pair::Pair;
use crate::renewal::Past;

/// A folder, for one name at one server.
pub(crate) struct Store {
    folder: PathBuf,
    name: String,
}

impl Store {
    pub(crate) fn new(folder: &Path, settings: &AcmeSettings) -> Self {
        Self { folder: folder.join("acme").join(host(&settings.directory)), name: settings.name.clone() }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }

    /// Where the certificate stands.
    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.path("pem")
    }

    /// Where the tries stand.
    pub(crate) fn past_path(&self) -> PathBuf {
        self.path("json")
    }

    /// Whether it takes anything.
    pub(crate) fn probe(&self) -> Result<(), CertsError> {
        disk::folder(&self.folder)?;
        let probe = self.folder.join("probe");
        disk::write(&probe, b"")?;
        let _ = std::fs::remove_file(probe);
        Ok(())
    }

    pub(crate) fn account(&self) -> Result<Option<AccountCredentials>, CertsError> {
        let path = self.folder.join("account.json");
        let Some(text) = disk::read_if_there(&path)? else { return Ok(None) };
        match serde_json::from_slice(&text) {
            Ok(credentials) => Ok(Some(credentials)),
            // An account costs nothing; what is in the way is moved out of it.
            Err(error) => {
                // Not what stands there: it may be the key.
                let (line, column) = (error.line(), error.column());
                tracing::warn!(path = %path.display(), line, column, "the ACME account cannot be read, and a new one is made");
                Ok(None)
            }
        }
    }

    pub(crate) fn keep_account(&self, credentials: &AccountCredentials) -> Result<(), CertsError> {
        let text = serde_json::to_vec_pretty(credentials)
            .map_err(|error| CertsError::Acme(format!("the account cannot be written down: {error}")))?;
        disk::write(&self.folder.join("account.json"), &text)
    }

    pub(crate) fn forget_account(&self) {
        let _ = std::fs::remove_file(self.folder.join("account.json"));
    }

    /// The certificate that is kept, where there is one.
    pub(crate) fn certificate(&self) -> Result<Option<Pair>, CertsError> {
        let path = self.certificate_path();
        let Some(text) = disk::read_if_there(&path)? else { return Ok(None) };
        Pair::of_pem(&text, &text, |error| error.of(&path), |error| error.of(&path)).map(Some)
    }

    pub(crate) fn keep_certificate(&self, given: &Given) -> Result<Pair, CertsError> {
        let path = self.certificate_path();
        let text = format!("{}\n{}", given.chain.trim_end(), given.key);
        // What does not fit is not kept in the place of what works.
        let pair = Pair::of_pem(text.as_bytes(), text.as_bytes(), |error| error, |error| error)?;
        let kept = disk::folder(&self.folder).and_then(|()| disk::write(&path, text.as_bytes()));
        if let Err(error) = kept {
            tracing::warn!(
                "the certificate is served and not kept, so that the next start orders one again: {error}"
            );
        }
        Ok(pair)
    }

    pub(crate) fn past(&self) -> Past {
        let text = disk::read_if_there(&self.past_path()).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(crate) fn keep_past(&self, past: &Past) -> Result<(), CertsError> {
        let text = serde_json::to_vec_pretty(past).expect("numbers and a text can be written");
        disk::folder(&self.folder)?;
        disk::write(&self.past_path(), &text)
    }
}

/// The host of a URL and its port, as the name of a folder.
fn host(directory: &str) -> String {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    authority.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::pair::tests::made;

    #[test]
    fn what_is_kept_is_found_again_and_nothing_bad_takes_the_place_of_what_works() {
        let folder = tempfile::tempdir().unwrap();
        let settings = AcmeSettings {
            name: "calls.example.org".into(),
            directory: "https://acme.example:14000/dir".into(),
            email: None,
            ca: None,
            has_http: true,
        };
        let store = Store::new(folder.path(), &settings);
        assert!(store.account().unwrap().is_none() && store.certificate().unwrap().is_none());
        assert!(store.folder.ends_with("acme/acme.example_14000"));
        let now = SystemTime::now();
        let (chain, key) = made(&["calls.example.org"], now, now + Duration::from_secs(86_400));
        let kept = store.keep_certificate(&Given { chain: chain.clone(), key }).unwrap();
        assert_eq!(kept.key.cert.len(), 2);
        let (_, other) = made(&["calls.example.org"], now, now + Duration::from_secs(86_400));
        assert!(store.keep_certificate(&Given { chain, key: other }).is_err());
        assert_eq!(store.certificate().unwrap().unwrap().fingerprint, kept.fingerprint);
        let mut past = Past::default();
        past.failed(7, "refused".into(), None);
        store.keep_past(&past).unwrap();
        assert_eq!(store.past(), past);
        std::fs::write(store.past_path(), "damaged").unwrap();
        assert_eq!(store.past(), Past::default());
        std::fs::write(store.folder.join("account.json"), "damaged").unwrap();
        assert!(store.account().unwrap().is_none(), "a new one is made");
        store.probe().unwrap();
        assert!(!store.folder.join("probe").exists());
    }

    #[test]
    fn a_directory_has_a_folder_whatever_stands_in_its_url() {
        assert_eq!(host("https://acme-v02.api.letsencrypt.org/directory"), "acme-v02.api.letsencrypt.org");
        assert_eq!(host("https://u:p@[::1]:14000/dir"), "___1__14000");
    }
}
