//! Signed links: a person who holds one may play one file until it expires, and no other one that gets its name later. Pure.
//!
//! ```text
//!  /recordings/{name}?expires=…&file=…&signature=…
//!                                 └─ which file of that name: of the egress id, or of the file itself where none is known
//! ```

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

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
    /// It names a recording and no file: older versions made such.
    #[error("this link was made by an older version of the server: ask for a new one")]
    Outdated,
    /// The file that it was made for is gone, and another one has its name.
    #[error("the recording that this link was made for is gone; another one has its name by now")]
    Replaced,
}

impl LinkKey {
    /// Of at least 16 random bytes.
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into() }
    }

    /// `/recordings/{name}?expires=…&file=…&signature=…` of the file that `tag` is of; `now_unix_s` and the link's life count in seconds.
    pub fn link(&self, name: &str, tag: &str, now_unix_s: u64, valid: Duration) -> String {
        let expires = now_unix_s.saturating_add(valid.as_secs());
        let signature = hex::encode(self.mac(name, tag, expires).finalize().into_bytes());
        format!("{}?expires={expires}&file={tag}&signature={signature}", path(name))
    }

    /// Checks the parameters of a link. Whether the file is still the one that it was made for is another question.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn check(
        &self,
        name: &str,
        tag: Option<&str>,
        expires: u64,
        signature: &str,
        now_unix_s: u64,
    ) -> Result<(), LinkError> {
        let signature = hex::decode(signature).map_err(|_| LinkError::Forged)?;
        // In a time that does not depend on how much of it is right.
        let holds = |mac: Hmac<Sha256>| mac.verify_slice(&signature).map_err(|_| LinkError::Forged);
        let Some(tag) = tag else {
            return holds(self.mac_of_name(name, expires)).and(Err(LinkError::Outdated));
        };
        holds(self.mac(name, tag, expires))?;
        if now_unix_s <= expires { Ok(()) } else { Err(LinkError::Expired) }
    }

    fn mac(&self, name: &str, tag: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(b"file\0");
        mac.update(&expires.to_be_bytes());
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(tag.as_bytes());
        mac
    }

    /// As older versions signed.
    fn mac_of_name(&self, name: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(&expires.to_be_bytes());
        mac.update(name.as_bytes());
        mac
    }

    fn keyed(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length")
    }
}

/// A short name of a file, from what it is known by.
pub(crate) fn tag(known_by: &str) -> String {
    hex::encode(&Sha256::digest(known_by)[..16])
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
        let (name, tag) = ("a b/ü?.mp4", tag("EG_1"));
        let link = key.link(name, &tag, 1000, Duration::from_secs(60));
        let (path, query) = link.split_once('?').unwrap();
        assert_eq!(path, "/recordings/a%20b%2F%C3%BC%3F.mp4");
        let signature = query.strip_prefix(&format!("expires=1060&file={tag}&signature=")).unwrap();
        let check =
            |name, tag: &str, expires, signature, now| key.check(name, Some(tag), expires, signature, now);
        assert_eq!(check(name, &tag, 1060, signature, 1060), Ok(()));
        assert_eq!(check(name, &tag, 1060, signature, 1061), Err(LinkError::Expired));
        for (name, tag, expires, signature) in [
            ("other.mp4", tag.as_str(), 1060, signature),
            (name, super::tag("EG_2").as_str(), 1060, signature),
            (name, tag.as_str(), 2060, signature),
            (name, tag.as_str(), 1060, "no hex"),
            (name, tag.as_str(), 1060, ""),
            ("a b/ü?.mp", format!("4{tag}").as_str(), 1060, signature),
        ] {
            assert_eq!(check(name, tag, expires, signature, 1000), Err(LinkError::Forged));
        }
        let other = LinkKey::new([8; 32]);
        assert_eq!(other.check(name, Some(&tag), 1060, signature, 1000), Err(LinkError::Forged));
        assert_eq!(key.check(name, None, 1060, signature, 1000), Err(LinkError::Forged), "it names a file");
    }

    #[test]
    fn a_link_that_names_no_file_is_told_to_be_too_old() {
        let key = LinkKey::new([7; 32]);
        let signature = hex::encode(key.mac_of_name("a.mp4", 1060).finalize().into_bytes());
        assert_eq!(key.check("a.mp4", None, 1060, &signature, 1000), Err(LinkError::Outdated));
        assert_eq!(key.check("b.mp4", None, 1060, &signature, 1000), Err(LinkError::Forged));
    }
}
