//! Ports: whether the server gets them.

pub mod http;
pub mod media;

use std::fmt;

/// What is known of a port at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It was bound here for a moment.
    Nobody,
    /// The server that runs with these settings.
    Server,
    /// Another program, and which one if the system says it.
    Another(Option<String>),
    /// This user may not bind it.
    Forbidden,
    /// This machine has no such address.
    NoSuchAddress,
    /// The system refuses it for another reason.
    Refused(String),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => write!(f, "is free"),
            Self::Server => write!(f, "is the server's"),
            Self::Another(Some(who)) => write!(f, "is taken by {who}"),
            Self::Another(None) => write!(f, "is taken by another program"),
            Self::Forbidden => write!(f, "may not be bound by this user"),
            Self::NoSuchAddress => write!(f, "is at an address that this machine does not have"),
            Self::Refused(why) => write!(f, "cannot be bound: {why}"),
        }
    }
}
