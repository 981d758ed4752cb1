//! 256 random bits, what is kept of them, and what is derived from them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Characters of a secret's text.
pub(crate) const SECRET_CHARACTERS: usize = 43;

/// 256 random bits. Nobody guesses them: a plain hash of them is enough to keep.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The one with this text, if it is one by its form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_CHARACTERS {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its text, for whoever it is meant for.
    pub fn shown(&self) -> Shown {
        Shown(self.text())
    }

    /// What is kept of it.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Whether two hashes are the same, in a time that tells nothing of them.
pub(crate) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one[..].ct_eq(&other[..]).into()
}

/// What is derived from a secret for one use of it.
pub(crate) fn derive(from: &[u8; 32], for_use: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(from).expect("HMAC takes keys of any length");
    mac.update(for_use.as_bytes());
    mac
}

/// A secret's text, for whoever it is meant for. It cannot be had again.
pub struct Shown(pub(crate) String);

impl Shown {
    /// The text: it goes to whoever it is meant for, and not into a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}
