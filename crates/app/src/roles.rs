//! As whom participants got their tokens, for whoever looks who is in a room. It is told by nobody else, and decides nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

use reelroom_audit::WhoKind;
use reelroom_limits::audit::OVERVIEW_ROLES;
use reelroom_limits::rooms::TOKEN_LASTS;

/// A participant: room and identity.
type Participant = (String, String);

#[derive(Clone, Copy)]
struct Given {
    /// `None`: tokens for this identity were given to different ones, and either may come.
    role: Option<WhoKind>,
    at: Instant,
}

/// As whom participants got their tokens.
#[derive(Default)]
pub(crate) struct Roles {
    given: Mutex<(HashMap<Participant, Given>, VecDeque<Participant>)>,
}

impl Roles {
    /// A token was given.
    pub(crate) fn note(&self, room: &str, identity: &str, role: WhoKind, now: Instant) {
        let participant = (room.to_owned(), identity.to_owned());
        let mut given = self.given.lock().expect("no code panics while it holds the roles");
        let (known, order) = &mut *given;
        if let Some(before) = known.get_mut(&participant) {
            let is_open = now.saturating_duration_since(before.at) < TOKEN_LASTS;
            let role = Some(role).filter(|_| !is_open || before.role == Some(role));
            *before = Given { role, at: now };
            return;
        }
        if known.len() >= OVERVIEW_ROLES
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        order.push_back(participant.clone());
        known.insert(participant, Given { role: Some(role), at: now });
    }

    /// As whom a participant came, if that is known.
    pub(crate) fn of(&self, room: &str, identity: &str) -> Option<WhoKind> {
        let given = self.given.lock().expect("no code panics while it holds the roles");
        given.0.get(&(room.to_owned(), identity.to_owned())).and_then(|given| given.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_told_where_there_is_no_doubt() {
        let (roles, now) = (Roles::default(), Instant::now());
        roles.note("own", "Ada", WhoKind::Host, now);
        assert_eq!(roles.of("own", "Ada"), Some(WhoKind::Host));
        assert_eq!(roles.of("other", "Ada"), None);
        roles.note("own", "Ada", WhoKind::Guest, now);
        assert_eq!(roles.of("own", "Ada"), None, "either may come");
        roles.note("own", "Ada", WhoKind::Guest, now + TOKEN_LASTS);
        assert_eq!(roles.of("own", "Ada"), Some(WhoKind::Guest));
        for number in 0..OVERVIEW_ROLES {
            roles.note("full", &number.to_string(), WhoKind::Guest, now);
        }
        assert_eq!(roles.of("own", "Ada"), None, "it is forgotten");
        assert_eq!(roles.of("full", "0"), Some(WhoKind::Guest));
    }
}
