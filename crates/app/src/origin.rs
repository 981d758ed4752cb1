//! What a participant's token was given for, and whether that still holds.
//!
//! ```text
//!   POST /token ─► Origin: a room's link, a session, a key ─► in the token's ticket: TK_….RL_…
//!   let in by a host ─► the same, and that ─► TK_….RL_….in
//!   media server ─► Tickets::standing: the ticket ─► Origin ─► who that is now ─► grants
//! ```
//!
//! # Invariants
//!
//! - A ticket is made here and signed with its token: nobody chooses what it says.
//! - What is not known to hold does not. A ticket without an origin is of a time when access was open.
//! - Nothing is kept of who has a token: a program that is started again knows as much as before.
//! - Where a room has a lobby a guest's ticket that does not say that a host let them in lets nobody in, also one of before: who is in with it
//!   stays.

use std::sync::Arc;

use axum::http::HeaderMap;
use reelroom_access::{Caller, grants};
use reelroom_accounts::{Accounts, KeyId, Now, SessionId};
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_protocol::token::VideoGrants;
use reelroom_rooms::{LinkId, Rooms};

use crate::app::WebApp;
use crate::clock;
use crate::config::Access;
use crate::keeper;

/// Ends the ticket of whoever was let in.
const LET_IN: &str = ".in";

/// What a token was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Link(LinkId),
    /// A link, and somebody who runs the room let them in.
    LetIn(LinkId),
    Session(SessionId),
    Key(KeyId),
}

impl Origin {
    /// A new ticket that says so.
    pub(crate) fn ticket(&self) -> Ticket {
        let (id, ending) = match self {
            Self::Link(id) => (id.as_str(), ""),
            Self::LetIn(id) => (id.as_str(), LET_IN),
            Self::Session(id) => (id.as_str(), ""),
            Self::Key(id) => (id.as_str(), ""),
        };
        format!("{}.{id}{ending}", Ticket::generate(&mut rand::rng())).into()
    }

    fn of(ticket: &Ticket) -> Option<Self> {
        let (_, id) = ticket.as_str().split_once('.')?;
        match id.get(..3)? {
            "RL_" => Some(match id.strip_suffix(LET_IN) {
                Some(id) => Self::LetIn(id.into()),
                None => Self::Link(id.into()),
            }),
            "SE_" => Some(Self::Session(id.into())),
            "rr_" => Some(Self::Key(id.into())),
            _ => None,
        }
    }
}

/// What whoever came with a ticket may do in a room now.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// What the token says.
    AsSaid,
    /// No more than this.
    AtMost(Box<VideoGrants>),
    /// No more than this, for whoever is in; nobody comes anew.
    StaysAtMost(Box<VideoGrants>),
    /// Whoever is in may stay, and does not come again.
    NotAgain,
    /// Nothing.
    Over,
}

/// Says of tickets whether they hold. It knows the app's accounts and rooms, and not the app.
#[derive(Clone)]
pub struct Tickets {
    access: Access,
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
}

impl Tickets {
    /// What the bearer of a ticket of this server's may do in a room now. It waits for nothing.
    pub fn standing(&self, ticket: &Ticket, room: &RoomName) -> Standing {
        if self.access == Access::Open {
            return Standing::AsSaid;
        }
        if self.rooms.is_closed(room) {
            return Standing::Over;
        }
        let now = clock::now();
        let Some(origin) = Origin::of(ticket) else { return Standing::Over };
        let (caller, otherwise) = match &origin {
            Origin::Link(link) | Origin::LetIn(link) => {
                (self.rooms.caller(link, now.unix_ms), Standing::Over)
            }
            // The page of an owner whose session is over keeps what is on it, a call too.
            Origin::Session(session) => {
                let goes_on = self.accounts.goes_on(session, now);
                (goes_on.then_some(Caller::Owner), Standing::NotAgain)
            }
            Origin::Key(key) => {
                let rights = self.accounts.rights_of(key, now);
                let caller = rights.map(|rights| Caller::Key { rights: keeper::rights(&rights) });
                (caller, Standing::NotAgain)
            }
        };
        let Some(caller) = caller else { return otherwise };
        let Some(grants) = grants(&caller, room) else { return otherwise };
        let has_to_knock = matches!(origin, Origin::Link(_)) && self.rooms.has_to_knock(&caller);
        if has_to_knock {
            return Standing::StaysAtMost(Box::new(grants));
        }
        Standing::AtMost(Box::new(grants))
    }

    /// Whether in a room nobody is to be recorded who has not agreed, whatever the access. It waits for nothing.
    pub fn asks_consent(&self, room: &RoomName) -> bool {
        self.rooms.settings(room).is_some_and(|settings| settings.asks_consent)
    }
}

impl WebApp {
    /// What says of this app's tickets whether they hold.
    pub fn tickets(&self) -> Tickets {
        Tickets {
            access: self.access(),
            accounts: Arc::clone(self.accounts()),
            rooms: Arc::clone(self.rooms()),
        }
    }

    /// By what somebody comes who was let in as `caller`; `None` for those who came by nothing that can end.
    pub(crate) fn origin(&self, caller: &Caller, headers: &HeaderMap, now: Now) -> Option<Origin> {
        match caller {
            Caller::Owner => self.session(headers, now).map(|(_, session)| Origin::Session(session)),
            Caller::Key { .. } => self.bearer(headers, now).map(|bearer| Origin::Key(bearer.key)),
            Caller::Host { .. } | Caller::Guest { .. } => self.link(headers, now.unix_ms).map(Origin::Link),
            Caller::Viewer { .. } | Caller::Everybody | Caller::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_says_what_it_was_given_for_and_no_two_are_the_same() {
        for origin in [
            Origin::Link("RL_1".into()),
            Origin::LetIn("RL_1".into()),
            Origin::Session("SE_1".into()),
            Origin::Key("rr_1".into()),
        ] {
            let ticket = origin.ticket();
            assert_eq!(Origin::of(&ticket), Some(origin.clone()));
            assert_ne!(ticket, origin.ticket());
        }
        for other in ["", "TK_1", "TK_1.", "TK_1.XX_1", "RL_1", "TK_1.ä"] {
            assert_eq!(Origin::of(&other.into()), None, "{other}");
        }
    }
}
