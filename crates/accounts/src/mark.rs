//! The mark of a browser in which the owner signed in before: it tells that browser from strangers, and opens nothing.
//!
//! It is not kept: a key that is renewed with the password signs it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use rand::CryptoRng;

use crate::secret::{Shown, derive};

const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
const BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Of its text.
const CHARACTERS: usize = BYTES / 3 * 4;
const USE: &str = "reelroom mark";

/// What tells one browser of the owner from another one.
pub(crate) type Browser = [u8; NONCE_BYTES];

/// A new mark.
pub(crate) fn make(key: &[u8; 32], rng: &mut impl CryptoRng) -> Shown {
    let mut bytes = [0; BYTES];
    let (nonce, tag) = bytes.split_at_mut(NONCE_BYTES);
    rng.fill_bytes(nonce);
    tag.copy_from_slice(&derive(key, USE).chain_update(&*nonce).finalize().into_bytes());
    Shown(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whose mark it is, if it is one.
pub(crate) fn browser(text: &str, key: &[u8; 32]) -> Option<Browser> {
    if text.len() != CHARACTERS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, tag) = bytes.split_at_checked(NONCE_BYTES)?;
    derive(key, USE).chain_update(nonce).verify_slice(tag).ok()?;
    nonce.try_into().ok()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_mark_is_a_browsers_own_and_nobody_makes_one_without_the_key() {
        let mut rng = StdRng::seed_from_u64(1);
        let (key, other) = ([1; 32], [2; 32]);
        let [one, two] = [(), ()].map(|()| make(&key, &mut rng));
        assert!(browser(one.reveal(), &key).is_some());
        assert_ne!(browser(one.reveal(), &key), browser(two.reveal(), &key));
        assert_eq!(browser(one.reveal(), &other), None);
        for at in 0..one.reveal().len() {
            let mut forged = one.reveal().to_owned();
            let with = if &forged[at..=at] == "A" { "B" } else { "A" };
            forged.replace_range(at..=at, with);
            assert_eq!(browser(&forged, &key), None, "{at}");
        }
        for text in ["", "A", &"A".repeat(CHARACTERS), &"ä".repeat(CHARACTERS / 2)] {
            assert_eq!(browser(text, &key), None, "{text}");
        }
    }
}
