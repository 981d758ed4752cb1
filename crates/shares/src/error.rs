//! What can go wrong, by what the caller can do.

use std::time::Duration;

use reelroom_accounts::AccountsError;
use reelroom_truth::TruthError;

/// An error of shares.
#[derive(Debug, thiserror::Error)]
pub enum SharesError {
    /// There is no such link, or it is revoked or expired: ask whoever sent it for another.
    #[error("this link is not valid, or not any more: ask whoever sent it to you")]
    Gone,
    /// The link has a password: ask for it.
    #[error("this link needs a password")]
    PasswordNeeded,
    /// Not the password: ask for it again.
    #[error("this is not the password of the link")]
    Wrong,
    /// Too many wrong passwords: wait.
    #[error("too many wrong passwords: try again in {} s", wait.as_secs() + 1)]
    WrongTooOften {
        /// For how long.
        wait: Duration,
    },
    /// An address begins too many views: wait.
    #[error("this address opens too many links: try again in {} s", wait.as_secs() + 1)]
    TooFast {
        /// For how long.
        wait: Duration,
    },
    /// As many people watch as may at once, or a password is hashed already: try again in a moment.
    #[error("too many people open links at once: try again in a moment")]
    Busy,
    /// As many links as there may be are in force: revoke one.
    #[error("there are as many links as there may be: revoke one first")]
    Full,
    /// What was given is not taken: choose something else.
    #[error("{0}")]
    Invalid(String),
    /// The recording has no such link: list them again.
    #[error("there is no such link to this recording")]
    Unknown,
    /// The database fails: look at the data folder's disk.
    #[error(transparent)]
    Truth(#[from] TruthError),
}

impl From<AccountsError> for SharesError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Invalid(text) => Self::Invalid(text),
            AccountsError::Truth(error) => Self::Truth(error),
            // Nothing else comes of hashing the password of a link.
            _ => Self::Busy,
        }
    }
}
