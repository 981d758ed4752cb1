//! Who may subscribe to a publisher's tracks, as it said last; kept so that a question costs no search.

use std::collections::{BTreeMap, BTreeSet};

use reelroom_limits::signalling::{ID_BYTES, SUBSCRIPTION_PERMISSIONS, TRACKS};
use reelroom_protocol::proto::{SubscriptionPermission, TrackPermission};

use crate::announce::{TooMuch, within};
use crate::participant::Participant;
use reelroom_protocol::ids::TrackSid;

/// The last word of a publisher.
#[derive(Debug)]
pub(crate) struct Permission {
    everybody: bool,
    by_sid: BTreeMap<String, Allowed>,
    by_identity: BTreeMap<String, Allowed>,
}

#[derive(Debug, Default)]
struct Allowed {
    all: bool,
    tracks: BTreeSet<TrackSid>,
}

impl Permission {
    /// Nothing, where an entry names nobody: LiveKit's servers keep the old list then.
    pub(crate) fn new(said: SubscriptionPermission) -> Result<Option<Self>, TooMuch> {
        let mut permission =
            Self { everybody: said.all_participants, by_sid: BTreeMap::new(), by_identity: BTreeMap::new() };
        within("the list of permissions", said.track_permissions.len(), SUBSCRIPTION_PERMISSIONS)?;
        for entry in said.track_permissions {
            let TrackPermission { participant_sid: sid, participant_identity: identity, .. } = &entry;
            within("the name of a participant", sid.len().max(identity.len()), ID_BYTES)?;
            // Ids of tracks that are gone may still be in it.
            within("the list of tracks", entry.track_sids.len(), 2 * TRACKS)?;
            for track in &entry.track_sids {
                within("the id of a track", track.len(), ID_BYTES)?;
            }
            if sid.is_empty() && identity.is_empty() {
                return Ok(None);
            }
            for (name, map) in [(sid, &mut permission.by_sid), (identity, &mut permission.by_identity)] {
                if !name.is_empty() && !said.all_participants {
                    let allowed = map.entry(name.clone()).or_default();
                    allowed.all |= entry.all_tracks;
                    allowed.tracks.extend(entry.track_sids.iter().map(|sid| TrackSid::from(sid.as_str())));
                }
            }
        }
        Ok(Some(permission))
    }

    /// Whether a participant may subscribe to a track. Recorders are exempt.
    pub(crate) fn permits(&self, subscriber: &Participant, track: &TrackSid) -> bool {
        let by = |allowed: Option<&Allowed>| {
            allowed.is_some_and(|allowed| allowed.all || allowed.tracks.contains(track))
        };
        self.everybody
            || subscriber.is_recorder()
            || by(self.by_sid.get(subscriber.sid.as_str()))
            || by(self.by_identity.get(subscriber.identity.as_str()))
    }
}
