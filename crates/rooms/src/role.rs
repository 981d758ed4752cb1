//! As whom somebody comes by a link.

use reelroom_access::{Caller, Reach, Right, Rights, reach};
use reelroom_protocol::ids::RoomName;

/// As whom somebody comes by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs the room.
    Host,
    /// Was invited into it.
    Guest,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Host, Self::Guest];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Guest => "guest",
        }
    }

    /// The role of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whoever comes as this into a room.
    pub(crate) fn caller(self, room: RoomName, granted: Rights) -> Caller {
        match self {
            Self::Host => Caller::Host { room, granted },
            Self::Guest => Caller::Guest { room, granted },
        }
    }

    /// What may be granted, or not, to those who come as this.
    pub fn grantable(self) -> Rights {
        let has = |granted: Rights, right: Right| {
            reach(&self.caller(RoomName::default(), granted), right) != Reach::Nothing
        };
        let depends = |right: &Right| has(Rights::ALL, *right) && !has(Rights::NONE, *right);
        Right::ALL.iter().copied().filter(depends).collect()
    }
}
