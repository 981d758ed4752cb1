//! What can be done to a recording or a right.

/// Declares acts with their words.
macro_rules! acts {
    ($($(#[doc = $what:literal])+ $name:ident = $word:literal;)+) => {
        /// What was done. Its word is `thing.done`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Act {
            $($(#[doc = $what])+ $name,)+
        }

        impl Act {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it is written and shown.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

acts! {
    /// The owner signed in.
    SessionBegun = "session.begun";
    /// A session was ended, by signing out or from the list.
    SessionEnded = "session.ended";
    /// All sessions but one were ended.
    OtherSessionsEnded = "session.othersEnded";
    /// The owner's password was set by a one-time link.
    PasswordSet = "password.set";
    /// The owner's password was changed with the one before.
    PasswordChanged = "password.changed";
    /// A one-time link that sets the owner's password was made.
    OwnerLinkMade = "ownerLink.made";
    /// An API key was made.
    KeyMade = "key.made";
    /// An API key was revoked.
    KeyRevoked = "key.revoked";
    /// A room was made, with its links.
    RoomMade = "room.made";
    /// What is set of a room was changed.
    RoomChanged = "room.changed";
    /// A room was closed for good.
    RoomDeleted = "room.deleted";
    /// A token for a room was given.
    RoomJoined = "room.joined";
    /// A link into a room was made in the place of the one before.
    RoomLinkRenewed = "roomLink.renewed";
    /// A link into a room was revoked.
    RoomLinkRevoked = "roomLink.revoked";
    /// A link into a room expired.
    RoomLinkExpired = "roomLink.expired";
    /// A link to a recording was made.
    ShareMade = "share.made";
    /// A link to a recording was changed.
    ShareChanged = "share.changed";
    /// A link to a recording was revoked.
    ShareRevoked = "share.revoked";
    /// A link to a recording was opened.
    ShareOpened = "share.opened";
    /// A recording was started.
    RecordingStarted = "recording.started";
    /// A recording was stopped.
    RecordingStopped = "recording.stopped";
    /// A recording was deleted.
    RecordingDeleted = "recording.deleted";
    /// A recording is kept for good although its room keeps recordings for a time.
    RecordingKept = "recording.kept";
    /// A recording is kept as long as its room keeps recordings.
    RecordingLetGo = "recording.letGo";
    /// Storing a recording was tried again by hand.
    RecordingRetried = "recording.retried";
    /// A recording was opened to be played.
    RecordingPlayed = "recording.played";
    /// The file of a recording was opened to be kept.
    RecordingDownloaded = "recording.downloaded";
    /// An address was given that plays a recording for whoever holds it.
    RecordingLinked = "recording.linked";
    /// A webhook was made once more.
    WebhookReplayed = "webhook.replayed";
    /// Receivers of webhooks were tested.
    WebhookTested = "webhook.tested";
    /// The settings were read again while the server runs.
    SettingsReloaded = "settings.reloaded";
    /// A track of somebody in a room was muted.
    ParticipantMuted = "participant.muted";
    /// Somebody was removed from a room.
    ParticipantRemoved = "participant.removed";
    /// Somebody who waited was let into a room.
    ParticipantAdmitted = "participant.admitted";
    /// Somebody who waited was not let into a room.
    ParticipantTurnedAway = "participant.turnedAway";
    /// Acts found no place while the disk took nothing.
    AuditLost = "audit.lost";
    /// Refused: signing in.
    SignInRefused = "signIn.refused";
    /// Refused: changing the password.
    PasswordRefused = "password.refused";
    /// Refused: setting the password by a one-time link.
    OwnerLinkRefused = "ownerLink.refused";
    /// Refused: opening a link to a recording.
    ShareRefused = "share.refused";
    /// Refused: anything else.
    RequestRefused = "request.refused";
}

impl Act {
    /// Whether a right is used by it, of which anybody makes many; others change something.
    pub fn is_use(self) -> bool {
        matches!(
            self,
            Self::RoomJoined
                | Self::ShareOpened
                | Self::RecordingPlayed
                | Self::RecordingDownloaded
                | Self::RecordingLinked
        )
    }

    /// Whether it is one act where the same caller does it to the same thing again within a while: a player asks many times.
    pub(crate) fn is_opening(self) -> bool {
        matches!(self, Self::RecordingPlayed | Self::RecordingDownloaded | Self::RecordingLinked)
    }
}
