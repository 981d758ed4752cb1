//! What was refused, by what was answered.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use reelroom_access::Caller;
use reelroom_audit::{Act, Refusal, Who, WhoKind};
use reelroom_limits::asker::Asker;
use reelroom_routes::Keeper as _;
use reelroom_shares::SharesError;

use super::{Actor, Shown};
use crate::app::WebApp;
use crate::clock;
use crate::keeper::{CSRF, LINK};

const WEBHOOK: &str = "/livekit/webhook";

/// Why something was refused, beside the answer that says it.
#[derive(Clone, Debug)]
pub(crate) struct Why(pub(crate) String);

/// What of a request is needed to say who was refused.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    asker: Asker,
}

/// Notes a refusal that is worth knowing: a proof that is none, and what somebody may not do.
pub(crate) async fn note_refusals(
    State(app): State<WebApp>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked::of(&request);
    let response = next.run(request).await;
    let status = response.status();
    let why = response.extensions().get::<Why>().map(|why| why.0.clone());
    if let Some(act) = refused(&asked, path.as_str(), status, why.as_deref()) {
        let who = match status {
            StatusCode::FORBIDDEN => asked.who(&app).await,
            _ => Who::of(WhoKind::Nobody),
        };
        let route = (act == Act::RequestRefused).then(|| format!("{} {}", asked.method, path.as_str()));
        let reason = match (path.as_str(), why) {
            // What else is said of it, whoever sends it chooses.
            (WEBHOOK, _) => "this webhook is not believed".into(),
            (_, Some(why)) => why,
            (_, None) => status.to_string(),
        };
        let refusal = Refusal { act, who, address: asked.asker.0, route, reason };
        app.audit().refused(refusal, clock::now().unix_ms);
    }
    response
}

impl Asked {
    /// Values of headers are shared, and not copied.
    fn of(request: &Request) -> Self {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, CSRF, LINK] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let asker = request.extensions().get::<Asker>().copied().unwrap_or_default();
        Self { method: request.method().clone(), uri: request.uri().clone(), headers, asker }
    }

    async fn who(&self, app: &WebApp) -> Who {
        let (mut head, ()) = axum::http::Request::new(()).into_parts();
        head.method = self.method.clone();
        head.uri = self.uri.clone();
        head.headers = self.headers.clone();
        // What a page of others has a browser ask is refused to whom the browser is.
        let caller = app.caller(&head).await.unwrap_or(Caller::Owner);
        let shown = Shown { method: &self.method, uri: &self.uri, headers: &self.headers, asker: self.asker };
        Actor::of(app, &caller, shown).who().clone()
    }

    /// Whether something was shown that is to prove who asks. A session that is over is none of it: each ends some day.
    fn shows_a_proof(&self) -> bool {
        let is_key =
            |value: &str| value.split_once(' ').is_some_and(|(_, shown)| shown.trim().starts_with("rr_"));
        let authorization = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        authorization.is_some_and(is_key)
            || self.headers.contains_key(LINK)
            || self.uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("pass=")))
    }
}

/// What was refused, if that is worth knowing.
fn refused(asked: &Asked, path: &str, status: StatusCode, why: Option<&str>) -> Option<Act> {
    use StatusCode as S;
    // Whoever opens a link that has a password is told so first.
    if why.is_some_and(|why| why == SharesError::PasswordNeeded.to_string()) {
        return None;
    }
    let (method, by_proof) = (asked.method.as_str(), asked.shows_a_proof());
    match (method, path, status) {
        ("POST", "/owner/session", S::UNAUTHORIZED | S::TOO_MANY_REQUESTS) => Some(Act::SignInRefused),
        // A browser that navigates is sent to a page that says it.
        ("GET", "/owner/oidc/back", S::SEE_OTHER) if why.is_some() => Some(Act::SignInRefused),
        ("PUT", "/owner/password", S::FORBIDDEN | S::TOO_MANY_REQUESTS) => Some(Act::PasswordRefused),
        ("POST", "/owner/password", S::GONE) => Some(Act::OwnerLinkRefused),
        ("POST", "/watch/open", S::UNAUTHORIZED | S::GONE | S::TOO_MANY_REQUESTS) => Some(Act::ShareRefused),
        ("POST", WEBHOOK, S::UNAUTHORIZED) | (_, _, S::FORBIDDEN) => Some(Act::RequestRefused),
        (_, _, S::UNAUTHORIZED) if by_proof => Some(Act::RequestRefused),
        _ => None,
    }
}
