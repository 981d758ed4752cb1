//! What can go wrong, by what the caller can do.

use std::time::Duration;

use reelroom_limits::accounts::API_KEYS;
use reelroom_limits::pace::TooFast;
use reelroom_truth::TruthError;

/// An error of accounts.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Not the password: ask for it again.
    #[error("this is not the password")]
    Wrong,
    /// Too many wrong passwords: wait.
    #[error("too many wrong passwords: try again in {} s", wait.as_secs() + 1)]
    TooFast {
        /// For how long.
        wait: Duration,
    },
    /// As many passwords are hashed as may be at once: ask again in a moment.
    #[error("too many people are signing in: try again in a moment")]
    Busy,
    /// No password is set yet: use the link.
    #[error(
        "no password is set yet: open the link that the server printed when it started, or that 'reelroom owner' prints"
    )]
    NoPassword,
    /// The link is used, expired, followed by a newer one, or none at all: make a new one.
    #[error("this link is not valid any more: 'reelroom owner' prints a new one")]
    LinkGone,
    /// The session is over: sign in.
    #[error("you are not signed in any more")]
    SessionOver,
    /// What was given is not taken: choose something else.
    #[error("{0}")]
    Invalid(String),
    /// As many API keys as there may be are in use: revoke one.
    #[error("{most} API keys are in use, and there can be no more: revoke one first", most = API_KEYS)]
    Full,
    /// There is no such session or key: list them again.
    #[error("there is no such session or key")]
    Unknown,
    /// The database fails: look at the data folder's disk.
    #[error(transparent)]
    Truth(#[from] TruthError),
}

impl From<TooFast> for AccountsError {
    fn from(TooFast { wait }: TooFast) -> Self {
        Self::TooFast { wait }
    }
}
