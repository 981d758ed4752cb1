//! Passwords of links: hashed as the owner's is, at the same cost and within the same bounds. Who may try one, and how often, is the matter of
//! whoever keeps the link.

use rand::CryptoRng;
use reelroom_limits::accounts::{LINK_PASSWORD_CHARACTERS, PASSWORD_BYTES};

use crate::Accounts;
use crate::error::AccountsError;
use crate::password::KeptPassword;

/// The password of a link, as it is kept.
#[derive(Clone)]
pub struct LinkPassword(KeptPassword);

impl LinkPassword {
    /// How it was hashed, the salt and the hash: a PHC text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<String> for LinkPassword {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Accounts {
    /// Hashes a new password of a link. Whoever guesses at it has the link already, so that it may be shorter than the owner's.
    ///
    /// # Errors
    /// [`AccountsError::Invalid`], [`AccountsError::Busy`].
    pub fn new_link_password(
        &self,
        password: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<LinkPassword, AccountsError> {
        if password.len() > PASSWORD_BYTES || password.chars().count() < LINK_PASSWORD_CHARACTERS {
            return Err(AccountsError::Invalid(format!(
                "the password of a link has at least {LINK_PASSWORD_CHARACTERS} characters, and at most {PASSWORD_BYTES} bytes"
            )));
        }
        let _place = self.hashing.link_place().ok_or(AccountsError::Busy)?;
        Ok(LinkPassword(KeptPassword::new(password, &self.cost, rng)))
    }

    /// Whether somebody says the password of a link. Hashes.
    ///
    /// # Errors
    /// [`AccountsError::Busy`]: it was not looked at.
    pub fn is_link_password(&self, kept: &LinkPassword, said: &str) -> Result<bool, AccountsError> {
        let _place = self.hashing.link_place().ok_or(AccountsError::Busy)?;
        Ok(kept.0.is(said))
    }
}
