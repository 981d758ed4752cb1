//! An act with all that is known of it, and a refusal.

use std::fmt;
use std::net::IpAddr;

use crate::act::Act;

/// Declares kinds with their words.
macro_rules! kinds {
    ($(#[doc = $all:literal])+ $kind:ident { $($(#[doc = $what:literal])+ $name:ident = $word:literal;)+ }) => {
        $(#[doc = $all])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[doc = $what])+ $name,)+
        }

        impl $kind {
            /// As it is written and shown.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// What kind of caller somebody is.
    WhoKind {
        /// The owner; the id is that of the session.
        Owner = "owner";
        /// A program with an API key; the id is how the key begins.
        Key = "key";
        /// Came by a room's link for hosts; the id is the link's.
        Host = "host";
        /// Came by a room's link for guests; the id is the link's.
        Guest = "guest";
        /// Came by a link to one recording; the id is the link's.
        Viewer = "viewer";
        /// Whoever reaches a server that is open.
        Everybody = "everybody";
        /// Showed nothing that holds; also whoever holds a signed link.
        Nobody = "nobody";
        /// A program that used LiveKit's API by itself.
        Api = "api";
        /// Somebody at the server's own machine.
        Machine = "machine";
        /// This program by itself.
        Server = "server";
    }
}

kinds! {
    /// What kind of thing something was done to.
    OnKind {
        /// A session of the owner.
        Session = "session";
        /// The owner's password.
        Password = "password";
        /// An API key.
        Key = "key";
        /// A room.
        Room = "room";
        /// Somebody in a room.
        Participant = "participant";
        /// A recording.
        Recording = "recording";
        /// A link to a recording.
        Share = "share";
        /// A webhook, or its receivers.
        Webhook = "webhook";
        /// The settings of the server.
        Settings = "settings";
        /// The audit log itself.
        Log = "log";
    }
}

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it was meant.
    Done,
    /// Not, or not wholly: the reason says it.
    Failed,
}

impl Outcome {
    /// As it is written and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Who did something. Ids are no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// What kind of caller.
    pub kind: WhoKind,
    /// Which one of that kind.
    pub id: Option<String>,
    /// What they are called, where they are.
    pub name: Option<String>,
}

impl Who {
    /// One of whom the kind says all.
    pub fn of(kind: WhoKind) -> Self {
        Self { kind, id: None, name: None }
    }

    /// One of a kind.
    pub fn one(kind: WhoKind, id: impl fmt::Display) -> Self {
        Self { id: Some(id.to_string()), ..Self::of(kind) }
    }

    /// With a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// What something was done to. Ids are no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct On {
    /// What kind of thing.
    pub kind: OnKind,
    /// Which one of that kind.
    pub id: Option<String>,
    /// What it is called.
    pub name: Option<String>,
}

impl On {
    /// A thing of which there is one.
    pub fn the(kind: OnKind) -> Self {
        Self { kind, id: None, name: None }
    }

    /// One of a kind, by its id.
    pub fn one(kind: OnKind, id: impl fmt::Display) -> Self {
        Self { id: Some(id.to_string()), ..Self::the(kind) }
    }

    /// With a name.
    #[must_use]
    pub fn named(self, name: impl fmt::Display) -> Self {
        Self { name: Some(name.to_string()), ..self }
    }

    /// A room, which its name tells.
    pub fn room(name: impl fmt::Display) -> Self {
        Self::the(OnKind::Room).named(name)
    }

    /// A recording, which its name tells.
    pub fn recording(name: impl fmt::Display) -> Self {
        Self::the(OnKind::Recording).named(name)
    }

    /// Somebody in a room: the name is the room's.
    pub fn participant(room: impl fmt::Display, identity: impl fmt::Display) -> Self {
        Self::one(OnKind::Participant, identity).named(room)
    }

    /// A link to a recording: the name is the recording's.
    pub fn share(id: impl fmt::Display, recording: impl fmt::Display) -> Self {
        Self::one(OnKind::Share, id).named(recording)
    }
}

/// Something that was done, or tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What.
    pub act: Act,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    pub who: Who,
    /// From where, if that can be told; of IPv6 the network.
    pub address: Option<IpAddr>,
    /// What it was done to.
    pub on: On,
    /// A few words more.
    pub detail: Option<String>,
    /// Why it did not end well.
    pub reason: Option<String>,
}

impl Deed {
    /// Something that was done.
    pub fn done(act: Act, who: Who, address: Option<IpAddr>, on: On) -> Self {
        Self { act, outcome: Outcome::Done, who, address, on, detail: None, reason: None }
    }

    /// With a few words more.
    #[must_use]
    pub fn detailed(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// It did not end well.
    #[must_use]
    pub fn failed(self, reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, reason: Some(reason.into()), ..self }
    }
}

/// Something that was not allowed, or a proof that was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What.
    pub act: Act,
    /// To whom.
    pub who: Who,
    /// From where, if that can be told; of IPv6 the network.
    pub address: Option<IpAddr>,
    /// What was asked for, as the table of routes has it; `None` where the act says that.
    pub route: Option<String>,
    /// Why.
    pub reason: String,
}
