//! What a participant shows to get an allocation, and the nonce that keeps what was shown once from being shown again. Pure.
//!
//! ```text
//!   username  1795000000:PA_xyz                   until when, and whose
//!   password  HMAC(secret, username)              given with it as the participant joins
//!   nonce     until when + HMAC(secret, client)   given with 401 and 438
//! ```
//!
//! All three are computed and none is kept. The secret is of one run: after a restart there is no allocation that old credentials would refresh.

use std::fmt;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use reelroom_limits::media::{TURN_CREDENTIALS_LAST, TURN_NONCE_LASTS};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Longer names are nobody's.
const USERNAME_BYTES: usize = 96;
const MAC_BYTES: usize = 18;

/// By which credentials are made and checked.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a client is given for its TURN servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Says until when they hold, and whose they are.
    pub username: String,
    /// Signs requests.
    pub password: String,
}

impl Secret {
    /// Of random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The credentials of a participant, which hold for [`TURN_CREDENTIALS_LAST`].
    pub fn issue(&self, participant: &str, now_unix_s: u64) -> Credentials {
        let expires_unix_s = now_unix_s + TURN_CREDENTIALS_LAST.as_secs();
        let username = format!("{expires_unix_s}:{participant}");
        Credentials { password: self.password(&username), username }
    }

    /// The password that belongs to a name, whatever that says.
    pub(crate) fn password(&self, username: &str) -> String {
        self.mac("password", username.as_bytes())
    }

    /// What a client has to sign its requests with, from now on.
    pub(crate) fn nonce(&self, client: SocketAddr, now_unix_s: u64) -> String {
        let until_unix_s = now_unix_s + TURN_NONCE_LASTS.as_secs();
        format!("{until_unix_s}.{}", self.mac_of(client, until_unix_s))
    }

    /// Whether a nonce was given to a client, and holds.
    pub(crate) fn knows(&self, nonce: &str, client: SocketAddr, now_unix_s: u64) -> bool {
        let Some((until, mac)) = nonce.split_once('.') else { return false };
        let Ok(until_unix_s) = until.parse::<u64>() else { return false };
        until_unix_s > now_unix_s
            && bool::from(self.mac_of(client, until_unix_s).as_bytes().ct_eq(mac.as_bytes()))
    }

    fn mac_of(&self, client: SocketAddr, until_unix_s: u64) -> String {
        self.mac("nonce", format!("{until_unix_s} {client}").as_bytes())
    }

    fn mac(&self, what: &str, of: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(of);
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..MAC_BYTES])
    }
}

/// What a name says. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) participant: String,
    pub(crate) expires_unix_s: u64,
}

impl Bearer {
    pub(crate) fn of(username: &str) -> Option<Self> {
        let (expires, participant) = username.split_once(':').filter(|_| username.len() <= USERNAME_BYTES)?;
        Some(Self { participant: participant.to_owned(), expires_unix_s: expires.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW_S: u64 = 1_795_000_000;

    #[test]
    fn credentials_say_whose_they_are_and_until_when() {
        let secret = Secret::new([7; 32]);
        let given = secret.issue("PA_ada", NOW_S);
        let bearer = Bearer::of(&given.username).unwrap();
        assert_eq!((bearer.participant.as_str(), bearer.expires_unix_s), ("PA_ada", NOW_S + 3600));
        assert_eq!(secret.password(&given.username), given.password);
        assert_ne!(secret.issue("PA_bob", NOW_S).password, given.password);
        assert_ne!(Secret::new([8; 32]).password(&given.username), given.password);
        for no_name in ["", "PA_ada", "x:PA_ada", "-1:PA_ada", &format!("1:{}", "x".repeat(USERNAME_BYTES))] {
            assert_eq!(Bearer::of(no_name), None, "{no_name}");
        }
    }

    #[test]
    fn a_nonce_is_of_one_client_and_ends() {
        let secret = Secret::new([7; 32]);
        let [ada, eve] = ["192.0.2.1:5000", "192.0.2.1:5001"].map(|text| text.parse().unwrap());
        let nonce = secret.nonce(ada, NOW_S);
        let ends = NOW_S + TURN_NONCE_LASTS.as_secs();
        assert!(secret.knows(&nonce, ada, NOW_S) && secret.knows(&nonce, ada, ends - 1));
        assert!(!secret.knows(&nonce, ada, ends) && !secret.knows(&nonce, eve, NOW_S));
        let longer = nonce.replacen(&ends.to_string(), &(ends + 1).to_string(), 1);
        for forged in ["", ".", "1", &longer, &nonce[..nonce.len() - 1], &format!("{nonce}x")] {
            assert!(!secret.knows(forged, ada, NOW_S), "{forged}");
        }
    }
}
