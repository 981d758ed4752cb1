//! What a route needs of whoever asks.

use std::fmt;

use reelroom_access::Right;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: what it answers is for whoever reaches the server.
    Public,
    /// Nothing for a bare yes or no, and this right on the server for more than that. The handler asks.
    Details(Right),
    /// A right.
    Right(Right, On),
    /// A proof of its own, which the handler looks at.
    Proof(Proof),
    /// A right, or else a proof of its own. The handler asks for the one or looks at the other.
    RightOrProof(Right, On, Proof),
}

/// What a right is needed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The server as a whole. It is asked for before the handler.
    Server,
    /// The room that the request names. The handler asks.
    Room,
    /// The recording that the request names. The handler asks.
    Recording,
    /// Anything: the handler answers of that alone which the right reaches.
    Reach,
}

/// Something that proves by itself what its bearer may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The signature of the LiveKit server under a webhook.
    WebhookSignature,
    /// A token that is signed with an API secret and grants just this: `roomAdmin`, `roomRecord`, …
    ApiToken,
    /// A participant's token for a room.
    RoomToken,
    /// A token that is signed with an API secret and makes its bearer a worker that has agents: `agent`.
    WorkerToken,
    /// The signature in a link to one file.
    SignedLink,
    /// The secret of the link that makes whoever has it the owner.
    OwnerLink,
    /// What the owner alone knows.
    Password,
    /// The secret of a link to one recording, and its password where it has one.
    ShareLink,
    /// What a browser got by that: a ticket for this one link, as long as somebody watches.
    ShareTicket,
    /// An OpenID provider's word that somebody is the owner, for a sign-in of this very browser.
    OpenId,
}

impl Needs {
    /// The right that is asked for, where one is.
    pub fn right(self) -> Option<Right> {
        match self {
            Self::Details(right) | Self::Right(right, _) | Self::RightOrProof(right, ..) => Some(right),
            Self::Public | Self::Proof(_) => None,
        }
    }

    /// Whether the handler has to ask before it answers.
    pub(crate) fn is_asked_inside(self) -> bool {
        match self {
            Self::Right(_, On::Server) | Self::Public | Self::Details(_) | Self::Proof(_) => false,
            Self::Right(_, On::Room | On::Recording | On::Reach) | Self::RightOrProof(..) => true,
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("nothing"),
            Self::Details(right) => write!(f, "nothing; its details: *{}*", right.name()),
            Self::Right(right, on) => write!(f, "*{}*{on}", right.name()),
            Self::Proof(proof) => proof.fmt(f),
            Self::RightOrProof(right, on, proof) => write!(f, "*{}*{on}, or {proof}", right.name()),
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "",
            Self::Room => " in that room",
            Self::Recording => " for that recording",
            Self::Reach => ", of what it reaches",
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebhookSignature => "the signature of a webhook",
            Self::ApiToken => "a token of the API secret that grants it",
            Self::RoomToken => "a participant's token",
            Self::WorkerToken => "a token of the API secret for workers that have agents",
            Self::SignedLink => "a signed link",
            Self::OwnerLink => "the owner's one-time link",
            Self::Password => "the owner's password",
            Self::ShareLink => "a link to one recording",
            Self::ShareTicket => "a ticket that a link to one recording gave",
            Self::OpenId => "an OpenID provider's word, for a sign-in of that browser",
        })
    }
}
