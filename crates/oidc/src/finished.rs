//! Sign-ins that have ended: none of them ends twice. Pure.
//!
//! # Invariants
//!
//! - So many are remembered, and none for longer than it could be shown again. With one more the oldest is forgotten; its code is used up
//!   at the provider all the same.

use std::collections::VecDeque;

use reelroom_limits::accounts::{OIDC_FINISHED_REMEMBERED, OIDC_SIGN_IN_LASTS};

const LASTS_MS: i64 = OIDC_SIGN_IN_LASTS.as_millis() as i64;

/// Those that have ended of late.
#[derive(Default)]
pub(crate) struct Finished {
    /// Hash and time, the oldest in front.
    all: VecDeque<([u8; 32], i64)>,
}

impl Finished {
    /// Ends one, and says whether it had not ended before.
    pub(crate) fn end(&mut self, sha256: [u8; 32], now_ms: i64) -> bool {
        while self.all.front().is_some_and(|(_, at_ms)| now_ms.saturating_sub(*at_ms) >= LASTS_MS) {
            self.all.pop_front();
        }
        if self.all.iter().any(|(ended, _)| *ended == sha256) {
            return false;
        }
        if self.all.len() >= OIDC_FINISHED_REMEMBERED {
            self.all.pop_front();
        }
        self.all.push_back((sha256, now_ms));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ends_once_and_few_are_remembered() {
        let mut finished = Finished::default();
        assert!(finished.end([1; 32], 0) && !finished.end([1; 32], LASTS_MS - 1));
        for number in 0..3 * OIDC_FINISHED_REMEMBERED {
            let mut sha256 = [0; 32];
            sha256[..8].copy_from_slice(&number.to_be_bytes());
            assert!(finished.end(sha256, 1) && !finished.end(sha256, 1));
        }
        assert_eq!(finished.all.len(), OIDC_FINISHED_REMEMBERED);
        assert!(finished.end([2; 32], LASTS_MS + 1));
        assert_eq!(finished.all.len(), 1, "the others are over in any case");
    }
}
