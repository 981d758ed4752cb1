//! Which recordings this app has started: of others it learns by webhook that somebody did, by LiveKit's API.
//!
//! ```text
//!   our start:  begin ───────────────────► the server answers with an id ─► end: what else was heard of that room is others'
//!                        │ webhook: it has started. Whose it is is not known yet
//!   webhook without one under way: nobody here started it
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use reelroom_audit::{Act, On, OnKind};
use reelroom_limits::audit::AUDIT_STARTS;
use reelroom_protocol::proto::EgressInfo;

use super::Actor;
use crate::app::WebApp;
use crate::egress;

/// A recording that has started, as a webhook tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// `EG_…`
    pub(crate) id: String,
    pub(crate) room: String,
    /// `None` where it makes no file of ours.
    pub(crate) name: Option<String>,
}

/// What this app starts, and what is heard of starts.
#[derive(Default)]
pub(crate) struct Starts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rooms of which a start is under way, and how many are.
    under_way: HashMap<String, usize>,
    /// What was heard of those rooms meanwhile.
    undecided: Vec<Heard>,
    /// Of these the log tells already, or is about to. Oldest first.
    known: VecDeque<String>,
}

impl State {
    /// Whether it is heard of for the first time.
    fn learn(&mut self, id: &str) -> bool {
        if self.known.iter().any(|known| known == id) {
            return false;
        }
        if self.known.len() >= AUDIT_STARTS {
            self.known.pop_front();
        }
        self.known.push_back(id.to_owned());
        true
    }
}

impl Starts {
    /// A start of ours begins.
    fn begin(&self, room: &str) {
        *self.state().under_way.entry(room.to_owned()).or_default() += 1;
    }

    /// It is over, and has started `own`. What else was heard meanwhile is others'.
    fn end(&self, room: &str, own: Option<&str>) -> Vec<Heard> {
        let mut state = self.state();
        if let Some(own) = own {
            state.learn(own);
            state.undecided.retain(|heard| heard.id != own);
        }
        if let Some(count) = state.under_way.get_mut(room) {
            *count -= 1;
            if *count > 0 {
                return Vec::new();
            }
        }
        state.under_way.remove(room);
        state.undecided.extract_if(.., |heard| heard.room == room).collect()
    }

    /// A webhook tells of a start: of one that nobody here made it is told to be so, once.
    pub(crate) fn hear(&self, heard: Heard) -> Option<Heard> {
        let mut state = self.state();
        if !state.learn(&heard.id) {
            return None;
        }
        if state.under_way.contains_key(&heard.room) && state.undecided.len() < AUDIT_STARTS {
            state.undecided.push(heard);
            return None;
        }
        Some(heard)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the starts")
    }
}

/// A start of ours, until this is dropped.
pub(crate) struct Starting {
    app: WebApp,
    room: String,
    own: Option<String>,
}

impl Starting {
    pub(crate) fn begin(app: &WebApp, room: &str) -> Self {
        app.starts().begin(room);
        Self { app: app.clone(), room: room.to_owned(), own: None }
    }

    /// The server has started this one.
    pub(crate) fn is(&mut self, id: &str) {
        self.own = Some(id.to_owned());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        for heard in self.app.starts().end(&self.room, self.own.as_deref()) {
            tell(&self.app, heard);
        }
    }
}

/// A webhook says that a recording has started. One from before this program was started is in its log, or nowhere.
pub(crate) fn started_elsewhere(app: &WebApp, info: &EgressInfo) {
    let started_ms = info.started_at / 1_000_000;
    if started_ms > 0 && started_ms < app.started_ms() {
        return;
    }
    let name = egress::in_the_making(info, app.library().prefix()).map(|recording| recording.name);
    let heard = Heard { id: info.egress_id.clone(), room: info.room_name.clone(), name };
    if let Some(heard) = app.starts().hear(heard) {
        tell(app, heard);
    }
}

fn tell(app: &WebApp, heard: Heard) {
    let on = On { name: heard.name, ..On::one(OnKind::Recording, heard.id) };
    Actor::api(app).did_so(Act::RecordingStarted, on, format!("room: {}", heard.room));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(id: &str, room: &str) -> Heard {
        Heard { id: id.into(), room: room.into(), name: None }
    }

    #[test]
    fn what_this_app_started_is_its_own_whichever_is_heard_first() {
        let starts = Starts::default();
        starts.begin("own");
        assert_eq!(starts.hear(heard("EG_1", "own")), None, "it may be ours");
        assert_eq!(starts.hear(heard("EG_2", "own")), None);
        assert_eq!(starts.hear(heard("EG_3", "other")), Some(heard("EG_3", "other")));
        assert_eq!(starts.end("own", Some("EG_1")), [heard("EG_2", "own")]);
        assert_eq!(starts.hear(heard("EG_1", "own")), None, "the webhook comes once more");
        starts.begin("own");
        assert!(starts.end("own", Some("EG_4")).is_empty());
        assert_eq!(starts.hear(heard("EG_4", "own")), None, "the webhook comes late");
        starts.begin("own");
        assert!(starts.end("own", None).is_empty(), "it was refused");
        assert_eq!(starts.hear(heard("EG_5", "own")), Some(heard("EG_5", "own")));
    }

    #[test]
    fn so_many_are_remembered() {
        let starts = Starts::default();
        for number in 0..2 * AUDIT_STARTS {
            assert!(starts.hear(heard(&format!("EG_{number}"), "own")).is_some());
        }
        assert_eq!(starts.state().known.len(), AUDIT_STARTS);
    }
}
