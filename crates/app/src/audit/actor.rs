//! Who asks, as the audit log names them, and what they did.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use reelroom_access::Caller;
use reelroom_accounts::{AccountsError, SessionId};
use reelroom_audit::{Act, Audit, Deed, On, Who, WhoKind};
use reelroom_library::LibraryError;
use reelroom_limits::asker::Asker;
use reelroom_rooms::RoomsError;
use reelroom_routes::Visitor;
use reelroom_shares::{ShareId, SharesError};

use crate::app::WebApp;
use crate::clock;
use crate::error::ApiError;

/// Somebody who does something. A handler takes it as it takes its [`Visitor`].
#[derive(Clone)]
pub(crate) struct Actor {
    audit: Arc<Audit>,
    who: Who,
    address: Option<IpAddr>,
}

/// What of a request says who asks.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) asker: Asker,
}

/// An error of which the audit log tells, though it was allowed: the server failed, or did it and could not write it down.
pub(crate) trait Fault: fmt::Display {
    /// Whether it is one of the server's.
    fn is_fault(&self) -> bool;
}

impl Fault for AccountsError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Truth(_))
    }
}

impl Fault for RoomsError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Truth(_))
    }
}

impl Fault for SharesError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Truth(_))
    }
}

impl Fault for LibraryError {
    fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::NotFound(_)
                | Self::BadName(_)
                | Self::Deleted(_)
                | Self::NotFinished(_)
                | Self::NotWaiting(_)
        )
    }
}

impl Fault for ApiError {
    fn is_fault(&self) -> bool {
        self.status().is_server_error()
    }
}

impl Actor {
    /// Somebody who was let in as `caller`.
    pub(crate) fn of(app: &WebApp, caller: &Caller, shown: Shown<'_>) -> Self {
        let now = clock::now();
        let link = |kind| match app.link_or_pass(shown.method, shown.uri, shown.headers, now.unix_ms) {
            Some(link) => Who::one(kind, link),
            None => Who::of(kind),
        };
        let who = match caller {
            Caller::Owner => match app.session(shown.headers, now) {
                Some((_, session)) => Who::one(WhoKind::Owner, session),
                None => Who::of(WhoKind::Owner),
            },
            Caller::Key { .. } => key(app, shown.headers),
            Caller::Host { .. } => link(WhoKind::Host),
            Caller::Guest { .. } => link(WhoKind::Guest),
            Caller::Viewer { .. } => Who::of(WhoKind::Viewer),
            Caller::Everybody => Who::of(WhoKind::Everybody),
            Caller::Nobody => Who::of(WhoKind::Nobody),
        };
        Self { audit: Arc::clone(app.audit()), who, address: shown.asker.0 }
    }

    /// This program by itself.
    pub(crate) fn server(app: &WebApp) -> Self {
        Self { audit: Arc::clone(app.audit()), who: Who::of(WhoKind::Server), address: None }
    }

    /// A program that used LiveKit's API by itself.
    pub(crate) fn api(app: &WebApp) -> Self {
        Self { who: Who::of(WhoKind::Api), ..Self::server(app) }
    }

    /// The same, who is the owner from now on.
    pub(crate) fn as_owner(&self, session: &SessionId) -> Self {
        Self { who: Who::one(WhoKind::Owner, session), ..self.clone() }
    }

    /// The same, who has come by a link to a recording.
    pub(crate) fn as_viewer(&self, share: &ShareId) -> Self {
        Self { who: Who::one(WhoKind::Viewer, share), ..self.clone() }
    }

    /// The same, by what they say that they are called. A key has the name that its owner gave it.
    pub(crate) fn called(self, name: &str) -> Self {
        if self.who.kind == WhoKind::Key {
            return self;
        }
        Self { who: self.who.named(name), ..self }
    }

    /// What kind of caller they are.
    pub(crate) fn kind(&self) -> WhoKind {
        self.who.kind
    }

    /// They did this. It waits for nothing.
    pub(crate) fn did(&self, act: Act, on: On) {
        self.note(self.deed(act, on));
    }

    /// They did this, and that is to be said of it.
    pub(crate) fn did_so(&self, act: Act, on: On, detail: impl Into<String>) {
        self.note(self.deed(act, on).detailed(detail));
    }

    /// They tried this: it is done, or the server failed. What could not be done for another reason changed nothing, and is not noted.
    pub(crate) fn tried<T, E: Fault>(
        &self,
        act: Act,
        on: On,
        detail: Option<String>,
        outcome: &Result<T, E>,
    ) {
        let deed = Deed { detail, ..self.deed(act, on) };
        match outcome {
            Ok(_) => self.note(deed),
            Err(error) if error.is_fault() => self.note(deed.failed(error.to_string())),
            Err(_) => {}
        }
    }

    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    fn deed(&self, act: Act, on: On) -> Deed {
        Deed::done(act, self.who.clone(), self.address, on)
    }

    fn note(&self, deed: Deed) {
        self.audit.note(deed, clock::now().unix_ms);
    }
}

/// The key by which a program comes, with its name.
fn key(app: &WebApp, headers: &HeaderMap) -> Who {
    let Some(bearer) = app.bearer(headers, clock::now()) else { return Who::of(WhoKind::Key) };
    let name = app.accounts().key_name(&bearer.key);
    Who { name, ..Who::one(WhoKind::Key, bearer.key) }
}

impl FromRequestParts<WebApp> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &WebApp) -> Result<Self, Infallible> {
        let visitor = parts.extensions.get::<Visitor>();
        let caller = visitor.map_or(Caller::Nobody, |visitor| visitor.caller().clone());
        let asker = parts.extensions.get::<Asker>().copied().unwrap_or_default();
        let shown = Shown { method: &parts.method, uri: &parts.uri, headers: &parts.headers, asker };
        Ok(Self::of(app, &caller, shown))
    }
}
