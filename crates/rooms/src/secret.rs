//! What a link has in it, and what is kept of it.
//!
//! ```text
//!   key (the data folder's) ─┐
//!   nonce (the truth's) ─────┴─► HMAC ─► secret (in the link) ─► SHA-256 (the truth's)
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Characters of a secret's text.
const SECRET_CHARACTERS: usize = 43;
const OF_LINK: &str = "reelroom room link";
const OF_PASS: &str = "reelroom play pass";

/// A key of which secrets and signatures are made, each for one use.
#[derive(Clone)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The secret of the link with this nonce.
    pub(crate) fn secret(&self, nonce: &[u8; 32]) -> Secret {
        let mut mac = self.mac(OF_LINK);
        mac.update(nonce);
        Secret(mac.finalize().into_bytes().into())
    }

    /// What signs passes.
    pub(crate) fn passes(&self) -> Hmac<Sha256> {
        self.mac(OF_PASS)
    }

    fn mac(&self, for_use: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(for_use.as_bytes());
        mac
    }
}

/// 256 bits that nobody guesses: a plain hash of it is enough to keep.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// One that is made of nothing else.
    pub(crate) fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_CHARACTERS {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What is kept of it.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Whether two hashes are the same, in a time that tells nothing of them.
pub(crate) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one[..].ct_eq(&other[..]).into()
}

/// A secret's text, for whoever it is meant for.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

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
