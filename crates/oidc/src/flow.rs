//! A sign-in that is under way, as its browser keeps it, and what is derived from that. Pure.
//!
//! ```text
//!   begun (ms) . 256 random bits . where the provider sends the browser back to . where it goes then        the cookie's text
//!        └──────────────── HMAC-SHA-256 by the key of this run, for each use ────────────────┘
//!                     ├─► state       told to the provider and back
//!                     ├─► nonce       told to the provider, and stands in its ID token
//!                     └─► verifier    told to the provider's token endpoint alone; its hash goes ahead
//! ```
//!
//! # Invariants
//!
//! - Nobody but this program makes the state of a text: one that comes back with it is as it was made here.
//! - Whoever has the cookie knows neither nonce nor verifier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::CryptoRng;
use reelroom_limits::accounts::{OIDC_KEPT_BYTES, OIDC_SIGN_IN_LASTS};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use crate::next::Next;

const LASTS_MS: i64 = OIDC_SIGN_IN_LASTS.as_millis() as i64;

/// A sign-in that is under way.
#[derive(Clone)]
pub struct Flow {
    text: String,
    begun_ms: i64,
    back: Url,
    next: Next,
}

impl Flow {
    /// A new one, whose browser comes back to `back`.
    pub(crate) fn new(back: Url, next: Next, now_ms: i64, rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let text = format!(
            "{now_ms}.{}.{}.{}",
            encode(&secret),
            encode(back.as_str().as_bytes()),
            encode(next.as_str().as_bytes())
        );
        Self { text, begun_ms: now_ms, back, next }
    }

    /// The one that a browser shows, if it is one by its form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > OIDC_KEPT_BYTES {
            return None;
        }
        let parts: [&str; 4] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
        let [begun, _, back, next] = parts;
        let decode = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            text: text.to_owned(),
            begun_ms: begun.parse().ok()?,
            back: decode(back)?.parse().ok()?,
            next: Next::of(Some(&decode(next)?)),
        })
    }

    /// What the browser is to keep. It goes into a cookie, and not into a log.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the provider sends the browser back to.
    pub fn back(&self) -> &Url {
        &self.back
    }

    /// Where the browser goes when somebody is signed in.
    pub fn next(&self) -> &Next {
        &self.next
    }

    /// Whether it may still end.
    pub(crate) fn goes_on(&self, now_ms: i64) -> bool {
        now_ms.checked_sub(self.begun_ms).is_some_and(|age| (0..LASTS_MS).contains(&age))
    }

    pub(crate) fn state(&self, key: &[u8; 32]) -> String {
        self.derive(key, "state")
    }

    /// Whether the provider was told this of it.
    pub(crate) fn is_state(&self, key: &[u8; 32], said: &str) -> bool {
        self.state(key).as_bytes().ct_eq(said.as_bytes()).into()
    }

    pub(crate) fn nonce(&self, key: &[u8; 32]) -> String {
        self.derive(key, "nonce")
    }

    /// 43 characters, as PKCE wants at least.
    pub(crate) fn verifier(&self, key: &[u8; 32]) -> String {
        self.derive(key, "verifier")
    }

    /// What is remembered of one that has ended.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }

    fn derive(&self, key: &[u8; 32], for_use: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(for_use.as_bytes());
        mac.update(&[0]);
        mac.update(self.text.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const KEY: &[u8; 32] = &[1; 32];

    fn flow(now_ms: i64, rng: &mut StdRng) -> Flow {
        let back = "https://calls.example.org/owner/oidc/back".parse().unwrap();
        Flow::new(back, Next::of(Some("/recordings.html?q=a.b")), now_ms, rng)
    }

    #[test]
    fn a_browser_keeps_all_of_it_and_for_ten_minutes() {
        let mut rng = StdRng::seed_from_u64(1);
        let made = flow(5000, &mut rng);
        let kept = Flow::parse(made.text()).unwrap();
        assert_eq!((kept.back(), kept.next()), (made.back(), made.next()));
        assert!(kept.is_state(KEY, &made.state(KEY)));
        assert!(kept.goes_on(5000) && kept.goes_on(5000 + LASTS_MS - 1));
        assert!(!kept.goes_on(5000 + LASTS_MS) && !kept.goes_on(4999) && !kept.goes_on(i64::MIN));
    }

    #[test]
    fn state_nonce_and_verifier_are_of_one_text_and_one_key() {
        let mut rng = StdRng::seed_from_u64(1);
        let (one, other) = (flow(5000, &mut rng), flow(5000, &mut rng));
        let all = [one.state(KEY), one.nonce(KEY), one.verifier(KEY), other.state(KEY), one.state(&[2; 32])];
        for (at, text) in all.iter().enumerate() {
            assert_eq!(text.len(), 43);
            assert!(!all[..at].contains(text), "{at}");
        }
        assert!(!one.is_state(KEY, "") && !one.is_state(KEY, &other.state(KEY)));
    }

    #[test]
    fn what_somebody_changes_in_the_text_is_another_one() {
        let mut rng = StdRng::seed_from_u64(1);
        let made = flow(5000, &mut rng);
        let state = made.state(KEY);
        for at in 0..made.text().len() {
            let mut changed = made.text().to_owned();
            let with = if &changed[at..=at] == "8" { "9" } else { "8" };
            changed.replace_range(at..=at, with);
            assert!(Flow::parse(&changed).is_none_or(|flow| !flow.is_state(KEY, &state)), "{at}");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        for text in [
            "",
            ".",
            "...",
            "1.a.b.c",
            "x.a.aHR0cDovL2E.Lw",
            "1.a.aHR0cDovL2E",
            "1.a.aHR0cDovL2E.Lw.Lw",
            "ä.ä.ä.ä",
        ] {
            assert!(Flow::parse(text).is_none(), "{text}");
        }
        let long = format!("1.{}.aHR0cDovL2E.Lw", "a".repeat(OIDC_KEPT_BYTES));
        assert!(Flow::parse(&long).is_none());
        assert!(Flow::parse("1.a.aHR0cDovL2E.Lw").is_some_and(|flow| flow.next().as_str() == "/"));
    }

    #[test]
    fn the_longest_one_fits_into_a_cookie() {
        use reelroom_limits::accounts::OIDC_NEXT_BYTES;
        let back = format!("https://{}/owner/oidc/back", "a".repeat(255)).parse().unwrap();
        let next = Next::of(Some(&format!("/{}", "a".repeat(OIDC_NEXT_BYTES - 1))));
        let longest = Flow::new(back, next.clone(), i64::MAX, &mut StdRng::seed_from_u64(1));
        assert_eq!(Flow::parse(longest.text()).unwrap().next(), &next);
    }
}
