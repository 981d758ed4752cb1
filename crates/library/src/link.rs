//! Signed links: a person who holds one may play one recording until it expires. Pure.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

/// What stays as it is in a path segment (RFC 3986 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The key that links are signed with.
#[derive(Clone)]
pub struct LinkKey {
    key: Vec<u8>,
}

/// Why a link does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not signed by this server, or for another recording.
    #[error("this link was not made here")]
    Forged,
    /// Its time is over.
    #[error("this link has expired")]
    Expired,
}

impl LinkKey {
    /// Of at least 16 random bytes.
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into() }
    }

    /// `/recordings/{name}?expires=…&signature=…`; `now_unix_s` and the link's life count in seconds.
    pub fn link(&self, name: &str, now_unix_s: u64, valid: Duration) -> String {
        let expires = now_unix_s.saturating_add(valid.as_secs());
        let signature = hex::encode(self.mac(name, expires).finalize().into_bytes());
        format!("{}?expires={expires}&signature={signature}", path(name))
    }

    /// Checks the two parameters of a link.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn check(&self, name: &str, expires: u64, signature: &str, now_unix_s: u64) -> Result<(), LinkError> {
        let signature = hex::decode(signature).map_err(|_| LinkError::Forged)?;
        self.mac(name, expires).verify_slice(&signature).map_err(|_| LinkError::Forged)?;
        if now_unix_s <= expires { Ok(()) } else { Err(LinkError::Expired) }
    }

    fn mac(&self, name: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(&expires.to_be_bytes());
        mac.update(name.as_bytes());
        mac
    }
}

/// The path of a recording in the REST API.
pub fn path(name: &str) -> String {
    format!("/recordings/{}", utf8_percent_encode(name, SEGMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_for_its_recording_and_its_time() {
        let key = LinkKey::new([7; 32]);
        let link = key.link("a b/ü?.mp4", 1000, Duration::from_secs(60));
        let (path, query) = link.split_once('?').unwrap();
        assert_eq!(path, "/recordings/a%20b%2F%C3%BC%3F.mp4");
        let signature = query.strip_prefix("expires=1060&signature=").unwrap();
        assert_eq!(key.check("a b/ü?.mp4", 1060, signature, 1060), Ok(()));
        assert_eq!(key.check("a b/ü?.mp4", 1060, signature, 1061), Err(LinkError::Expired));
        assert_eq!(key.check("other.mp4", 1060, signature, 1000), Err(LinkError::Forged));
        assert_eq!(key.check("a b/ü?.mp4", 2060, signature, 1000), Err(LinkError::Forged));
        assert_eq!(key.check("a b/ü?.mp4", 1060, "no hex", 1000), Err(LinkError::Forged));
        assert_eq!(LinkKey::new([8; 32]).check("a b/ü?.mp4", 1060, signature, 1000), Err(LinkError::Forged));
    }
}
