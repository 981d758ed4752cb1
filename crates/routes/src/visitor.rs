//! Who came in, for the handler to ask about what only it knows: the room of a recording, the room that a body names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use reelroom_access::{Caller, Reach, Resource, Right, may, reach};

use crate::refusal::Refusal;

/// The caller of one request, who was let in by a row that needs a right.
#[derive(Clone, Debug)]
pub struct Visitor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    caller: Caller,
    /// That of the row.
    right: Right,
    has_asked: AtomicBool,
}

impl Visitor {
    /// A caller who comes by a row that needs `right`. The guard of the row makes it.
    pub fn new(caller: Caller, right: Right) -> Self {
        Self { shared: Arc::new(Shared { caller, right, has_asked: AtomicBool::new(false) }) }
    }

    /// Who it is.
    pub fn caller(&self) -> &Caller {
        &self.shared.caller
    }

    /// Whether they may do this.
    pub fn may(&self, right: Right, resource: &Resource<'_>) -> bool {
        self.note(right);
        may(self.caller(), right, resource)
    }

    /// Goes on where they may do this.
    ///
    /// # Errors
    /// [`Refusal::Nobody`], [`Refusal::Forbidden`], [`Refusal::Owners`].
    pub fn ask(&self, right: Right, resource: &Resource<'_>) -> Result<(), Refusal> {
        if self.may(right, resource) { Ok(()) } else { Err(self.refusal()) }
    }

    /// How far they have a right. Whoever asks this answers of no more than it covers.
    pub fn reach(&self, right: Right) -> Reach<'_> {
        self.note(right);
        reach(self.caller(), right)
    }

    /// Says that they have shown the row's own proof, and that it holds.
    pub fn has_proven(&self) {
        self.note(self.shared.right);
    }

    /// What they are told when they may not do something.
    pub fn refusal(&self) -> Refusal {
        Refusal::of(self.caller())
    }

    /// Whether what the row needs has been asked for.
    pub(crate) fn has_asked(&self) -> bool {
        self.shared.has_asked.load(Ordering::Relaxed)
    }

    fn note(&self, right: Right) {
        if right == self.shared.right {
            self.shared.has_asked.store(true, Ordering::Relaxed);
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(
                path = parts.uri.path(),
                "a handler asks who came in by a row that needs no right"
            );
            Refusal::Unasked
        })
    }
}
