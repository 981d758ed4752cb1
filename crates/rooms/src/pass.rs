//! A pass: what an address has in it where nothing else can be shown with a request, as for the video of a page.
//!
//! ```text
//!   RL_7fKq2mXwPzAb . 1767262210 . Vq8…43 characters
//!   └ the link        └ expires    └ HMAC over both and the path that it is for
//! ```
//!
//! # Invariants
//!
//! - A pass opens one path, and no more of it than the link does that it was made for. It is worth nothing once that link is over.
//! - The link's secret cannot be made of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use reelroom_limits::rooms::PASS_LASTS;
use sha2::Sha256;

use crate::Rooms;
use crate::link::LinkId;

const LASTS_MS: i64 = PASS_LASTS.as_millis() as i64;

impl Rooms {
    /// A pass for a path, as whoever came by the link.
    pub fn pass(&self, link: &LinkId, path: &str, now_ms: i64) -> String {
        let expires_s = now_ms.saturating_add(LASTS_MS) / 1000;
        let signature = self.signed(link.as_str(), expires_s, path).finalize().into_bytes();
        format!("{link}.{expires_s}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The link that a pass was made for, if it is one for this path. Whether that link still opens anything is another question.
    pub fn by_pass(&self, shown: &str, path: &str, now_ms: i64) -> Option<LinkId> {
        let mut parts = shown.splitn(3, '.');
        let (link, expires_s, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let expires_s: i64 = expires_s.parse().ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.signed(link, expires_s, path).verify_slice(&signature).ok()?;
        (now_ms / 1000 <= expires_s).then(|| LinkId::from(link))
    }

    fn signed(&self, link: &str, expires_s: i64, path: &str) -> Hmac<Sha256> {
        let mut mac = self.key.passes();
        mac.update(&expires_s.to_be_bytes());
        mac.update(&(link.len() as u64).to_be_bytes());
        mac.update(link.as_bytes());
        mac.update(path.as_bytes());
        mac
    }
}
