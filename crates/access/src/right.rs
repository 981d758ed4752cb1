//! What somebody may do, and sets of it.

/// Declares rights, and with them their rows in docs/access.md: the comment of a right is what an owner reads.
macro_rules! rights {
    ($($(#[doc = $what:literal])+ $name:ident = $word:literal,)+) => {
        /// Something that a caller may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Right {
            $($(#[doc = $what])+ $name,)+
        }

        impl Right {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name, for people.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }

            /// What it lets its holder do.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim()),+
                }
            }
        }
    };
}

impl Right {
    /// The right that programs call so: by its name, with "-" for each space.
    pub fn of_word(word: &str) -> Option<Self> {
        let is_it = |right: &Self| right.word_bytes().eq(word.bytes());
        Self::ALL.iter().copied().find(is_it)
    }

    /// What programs call it.
    pub fn word(self) -> String {
        self.word_bytes().map(char::from).collect()
    }

    /// Names are plain ASCII.
    fn word_bytes(self) -> impl Iterator<Item = u8> {
        self.name().bytes().map(|byte| if byte == b' ' { b'-' } else { byte })
    }
}

rights! {
    /// Get a token for a room, join it, and see and hear the others.
    Join = "join",
    /// Show a camera.
    PublishCamera = "publish camera",
    /// Be heard by a microphone.
    PublishMicrophone = "publish microphone",
    /// Share a screen.
    PublishScreen = "publish screen",
    /// Share the sound of a screen.
    PublishScreenSound = "publish screen sound",
    /// Send data to the others, such as chat.
    Chat = "chat",
    /// Start, stop and pause recordings.
    Record = "record",
    /// See which recordings there are.
    List = "list",
    /// Play a recording.
    Play = "play",
    /// Keep the file of a recording that they may play.
    Download = "download",
    /// Read the report of how a recording was made.
    Report = "report",
    /// Pass on a link to a recording.
    Share = "share",
    /// Delete, restore and rename a recording, and have it stored anew.
    Delete = "delete",
    /// Mute, remove and let in participants.
    Moderate = "moderate",
    /// Follow what happens; on the server as a whole also its metrics, its readiness in detail and the description of its API.
    Observe = "observe",
    /// Change who may do what: rooms, links, keys, sessions, settings.
    Manage = "manage",
}

/// A set of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// None.
    pub const NONE: Self = Self::of(&[]);
    /// All there are.
    pub const ALL: Self = Self::of(Right::ALL);

    /// These.
    pub const fn of(rights: &[Right]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < rights.len() {
            bits |= bit(rights[at]);
            at += 1;
        }
        Self(bits)
    }

    /// Whether it is one of them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & bit(right) != 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(Self::NONE.0, |bits, right| bits | bit(right)))
    }
}

/// A set has a bit for each.
const _: () = assert!(Right::ALL.len() <= u32::BITS as usize);

const fn bit(right: Right) -> u32 {
    1 << right as u32
}
