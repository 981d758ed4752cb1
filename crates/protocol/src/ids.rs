//! The ids of LiveKit: a prefix and twelve characters of base 57, or a name a user chose.

use std::fmt;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::proto::{EgressStatus, TrackSource, TrackType};

/// Digits and letters that cannot be taken for one another.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RANDOM_CHARACTERS: usize = 12;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as LiveKit writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        id!($(#[$doc])* $name);

        impl $name {
            /// A new random id.
            pub fn generate(rng: &mut impl Rng) -> Self {
                Self(with_prefix($prefix, rng))
            }
        }
    };
}

id!(/// The name of a room, chosen by a user: any Unicode text.
    RoomName);
id!(/// A participant's identity, unique within a room: any Unicode text.
    ParticipantIdentity);
id!(/// One life of a room, `RM_…`.
    RoomSid, "RM_");
id!(/// One session of a participant, `PA_…`.
    ParticipantSid, "PA_");
id!(/// One recording job, `EG_…`.
    EgressId, "EG_");
id!(/// The bearer of tokens of this server's own, `TK_…`: whoever comes with it again is the same person.
    Ticket, "TK_");
id!(/// One webhook event, `EV_…`.
    EventId, "EV_");
id!(/// One server process, `ND_…`.
    NodeId, "ND_");
id!(/// A published data track, `DTR_…`.
    DataTrackSid, "DTR_");
id!(/// One connection of a worker that has agents, `AW_…`.
    WorkerId, "AW_");
id!(/// One agent that is sent, `AJ_…`.
    JobId, "AJ_");
id!(/// What agents are sent for into a room, `AD_…`.
    DispatchId, "AD_");
id!(/// A published track, `TR_…`; see [`TrackSid::generate`].
    TrackSid);

impl EventId {
    /// The id of the event that an egress has ended with a status: the same whoever tells it, and whenever. No random id has "_" in its middle.
    pub fn of_end(egress: &EgressId, status: EgressStatus) -> Self {
        let (egress, status) = (egress.as_str(), status.as_str_name());
        let plain = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
        Self(format!("EV_{}_{}", plain(egress, "EG_"), plain(status, "EGRESS_")))
    }
}

impl TrackSid {
    /// A new random id that shows kind and source, as LiveKit's does: `TR_VC…` is a camera.
    pub fn generate(kind: TrackType, source: TrackSource, rng: &mut impl Rng) -> Self {
        let kind = match kind {
            TrackType::Audio => 'A',
            TrackType::Video => 'V',
            TrackType::Data => 'D',
        };
        let source = match source {
            TrackSource::Camera => "C",
            TrackSource::Microphone => "M",
            TrackSource::ScreenShare => "S",
            TrackSource::ScreenShareAudio => "s",
            TrackSource::Unknown => "",
        };
        Self(with_prefix(&format!("TR_{kind}{source}"), rng))
    }
}

fn with_prefix(prefix: &str, rng: &mut impl Rng) -> String {
    let random = (0..RANDOM_CHARACTERS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn ids_carry_their_prefix_and_twelve_characters() {
        let mut rng = StdRng::seed_from_u64(1);
        let room = RoomSid::generate(&mut rng);
        assert!(room.as_str().starts_with("RM_") && room.as_str().len() == 15);
        assert_ne!(room, RoomSid::generate(&mut rng));
        let camera = TrackSid::generate(TrackType::Video, TrackSource::Camera, &mut rng);
        assert!(camera.as_str().starts_with("TR_VC") && camera.as_str().len() == 17);
    }

    #[test]
    fn an_end_of_an_egress_has_one_id() {
        let (complete, failed) = (EgressStatus::EgressComplete, EgressStatus::EgressFailed);
        assert_eq!(EventId::of_end(&"EG_a".into(), complete).as_str(), "EV_a_COMPLETE");
        assert_eq!(EventId::of_end(&"EG_a".into(), failed).as_str(), "EV_a_FAILED");
        assert_eq!(EventId::of_end(&"b".into(), failed).as_str(), "EV_b_FAILED");
        let random = EventId::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(random.as_str().matches('_').count(), 1);
    }
}
