//! Whether what somebody came by once still holds: asked of what was made of it, such as the token of a call.

use crate::ids::{KeyId, SessionId};
use crate::keys::Rights;
use crate::{Accounts, Now};

impl Accounts {
    /// Whether a session goes on. It is not seen by that.
    pub fn goes_on(&self, session: &SessionId, now: Now) -> bool {
        let state = self.state();
        state.sessions.iter().any(|kept| kept.session.id == *session && !kept.session.is_over(now))
    }

    /// What a key may do, if it is in force. It is not used by that.
    pub fn rights_of(&self, key: &KeyId, now: Now) -> Option<Rights> {
        let state = self.state();
        let kept = state.keys.iter().find(|kept| kept.key.id == *key)?;
        kept.key.over_since_ms(now).is_none().then(|| kept.key.rights.clone())
    }
}
