//! The link that sets the owner's password: for the first start, and for an owner who cannot sign in.
//!
//! # Invariants
//!
//! - There is one link at most. It is looked up in the truth whenever it is used, as another program may have made a newer one.
//! - It is used up in the transaction that sets the password: of two who use it at once, one does.

use rand::CryptoRng;
use reelroom_limits::accounts::OWNER_LINK_LASTS;

use crate::error::AccountsError;
use crate::secret::{Secret, Shown, is_same};
use crate::{Accounts, Now, ids};

const LASTS_MS: i64 = OWNER_LINK_LASTS.as_millis() as i64;

/// A link that sets the owner's password once.
#[derive(Debug)]
pub struct OwnerLink {
    /// What the link has in it.
    pub secret: Shown,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

impl Accounts {
    /// Makes a link; those before are worthless from now on.
    ///
    /// # Errors
    /// [`AccountsError::Truth`].
    pub fn make_link(&self, now: Now, rng: &mut impl CryptoRng) -> Result<OwnerLink, AccountsError> {
        let secret = Secret::new(rng);
        let expires_ms = now.unix_ms.saturating_add(LASTS_MS);
        self.truth.put_owner_link(&reelroom_truth::OwnerLink {
            id: ids::new("LK_", rng),
            secret_sha256: secret.sha256(),
            made_ms: now.unix_ms,
            expires_ms,
        })?;
        Ok(OwnerLink { secret: Shown(secret.text()), expires_ms })
    }

    /// The id of the link with this secret, if there is one that can be used.
    pub(crate) fn link(&self, secret: &str, now: Now) -> Result<String, AccountsError> {
        // What is no secret of ours is not worth a look at the disk.
        let secret = Secret::parse(secret).ok_or(AccountsError::LinkGone)?;
        let link = self.truth.owner_link()?.ok_or(AccountsError::LinkGone)?;
        match is_same(&secret.sha256(), &link.secret_sha256) && now.unix_ms < link.expires_ms {
            true => Ok(link.id),
            false => Err(AccountsError::LinkGone),
        }
    }
}
