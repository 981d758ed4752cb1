//! `/owner/oidc`: the owner signs in at an OpenID provider.
//!
//! ```text
//!   page ─► GET /owner/oidc?next=… ─► cookie of a sign-in under way ─► 303 the provider's page
//!   provider ─► GET /owner/oidc/back?code&state ─┬─► proven: a session like any other ─► 303 where they were going
//!                                                └─► or not ─► 303 /owner?oidc=… : why, for the page to say
//! ```
//!
//! # Invariants
//!
//! - A browser navigates here: whatever goes wrong is told by a page of ours, in words of ours. What the provider says is in the log alone.
//! - A sign-in begins in a page of ours, or by hand. A link in somebody else's page leads to the form.
//! - It leads to nowhere but this server.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use reelroom_accounts::{AccountsError, Visit};
use reelroom_audit::{Act, On, OnKind};
use reelroom_limits::asker::Asker;
use reelroom_oidc::{Back, Flow, Next, OidcError, OpenId};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use utoipa::IntoParams;

use super::{NOT_KEPT, agent, blocking};
use crate::app::WebApp;
use crate::audit::{Actor, Why};
use crate::clock;
use crate::cookie::{self, Scheme, Way};
use crate::error::{ApiError, ErrorBody};
use crate::extract::Query;

/// Where the provider sends a browser back to: operators register it there.
const BACK: &str = "/owner/oidc/back";
/// A page that says what went wrong, and lets somebody try again.
const PAGE: &str = "/owner";
/// What the page is told where this server fails, and not the provider.
const FAILED: &str = "failed";
/// What the audit log says of whoever is not the owner.
const STRANGER: &str = "the OpenID provider's account is not the owner's";
const NOTHING_KEPT: [String; 0] = [];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginParams {
    /// The path of this server where the browser goes afterwards; the owner's page where there is none, or it is none.
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BackParams {
    /// For the tokens.
    code: Option<String>,
    /// Of the sign-in.
    state: Option<String>,
    /// Which provider it is, where it says so.
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Sends the browser to the OpenID provider.
#[utoipa::path(get, path = "/owner/oidc", params(BeginParams), responses(
    (status = 303, description = "To the provider; or to the owner's page, which says why not"),
    (status = 404, description = "No provider is set", body = ErrorBody),
))]
pub(crate) async fn begin(
    State(app): State<WebApp>,
    headers: HeaderMap,
    Query(params): Query<BeginParams>,
) -> Result<Response, ApiError> {
    let oidc = provider(&app)?;
    let (next, way) = (Next::of(params.next.as_deref()), Way::of(&headers));
    if is_of_another_site(&headers) {
        return Ok(see_other(way.path(PAGE), NOTHING_KEPT));
    }
    let back = back_address(&app, &headers)?;
    let now_ms = clock::now().unix_ms;
    let flow = oidc.begin(back, next, now_ms, &mut rand::rng());
    Ok(match oidc.authorize(&flow, now_ms).await {
        Ok(address) => see_other(address.into(), [cookie::under_way(flow.text(), way.by(scheme(&flow)))]),
        Err(error) => see_other(way.path(&page_saying(error.code(), flow.next())), cookie::over(way)),
    })
}

/// Signs the owner in by what the OpenID provider has the browser bring back.
#[utoipa::path(get, path = "/owner/oidc/back", params(BackParams), responses(
    (status = 303, description = "Signed in, by a cookie: to where the browser was going; or to the owner's page, which says why not"),
    (status = 404, description = "No provider is set", body = ErrorBody),
))]
pub(crate) async fn back(
    State(app): State<WebApp>,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Query(params): Query<BackParams>,
) -> Result<Response, ApiError> {
    let oidc = provider(&app)?;
    let way = Way::of(&headers);
    let Extension(asker) = asker.unwrap_or_default();
    let back = Back { code: params.code, state: params.state, iss: params.iss, error: params.error };
    let now = clock::now();
    let Ok(flow) = oidc.recognise(cookie::flows(&headers), &back, now.unix_ms) else {
        // Who has signed in in another tab meanwhile, or comes here a second time, has nothing to try again.
        if app.session(&headers, now).is_some() {
            return Ok(see_other(way.path(PAGE), NOTHING_KEPT));
        }
        // What may be under way in this browser stays: anybody can have it come here.
        return Ok(see_other(way.path(&page_saying("stale", &Next::of(None))), NOTHING_KEPT));
    };
    if let Err(error) = prove(oidc, &flow, back, asker).await {
        match &error {
            OidcError::Stranger(_) => {
                tracing::warn!(address = ?asker.0, %error, "somebody who is not the owner signed in at the OpenID provider");
            }
            // Whoever is too fast has been told here as often as they may be.
            OidcError::Busy | OidcError::Declined => {}
            _ => tracing::warn!(address = ?asker.0, %error, "nobody was signed in by the OpenID provider"),
        }
        let page = page_saying(error.code(), flow.next());
        let mut answer = see_other(way.path(&page), cookie::over(way));
        if matches!(error, OidcError::Stranger(_)) {
            // Which account it was is in the log of the program: whoever has one chooses what it says.
            answer.extensions_mut().insert(Why(STRANGER.into()));
        }
        return Ok(answer);
    }
    let (accounts, agent) = (Arc::clone(app.accounts()), agent(&headers));
    let begun = blocking(move || {
        let visit = Visit { asker, agent: &agent };
        let signed_in = accounts.sign_in_by_provider(visit, clock::now(), &mut rand::rng())?;
        let on = On::one(OnKind::Session, &signed_in.session);
        actor.as_owner(&signed_in.session).did_so(Act::SessionBegun, on, "by the OpenID provider");
        Ok::<_, AccountsError>(signed_in)
    });
    match begun.await {
        Ok(signed_in) => {
            let (session, ended) = (&signed_in.session, signed_in.ended.len());
            tracing::info!(%session, address = ?asker.0, ended, "the owner has signed in by the OpenID provider");
            let kept = cookie::kept(&signed_in, way.by(scheme(&flow)));
            Ok(see_other(way.path(flow.next().as_str()), kept.into_iter().chain(cookie::over(way))))
        }
        Err(error) => {
            tracing::warn!(%error, "the owner cannot be signed in");
            Ok(see_other(way.path(&page_saying(FAILED, flow.next())), cookie::over(way)))
        }
    }
}

/// Goes on where the provider's word holds.
async fn prove(oidc: &OpenId, flow: &Flow, back: Back, asker: Asker) -> Result<(), OidcError> {
    let now = clock::now();
    let _turn = oidc.take_turn(asker, now.at)?;
    oidc.use_up(flow, now.unix_ms)?;
    oidc.prove(flow, back, now.unix_ms).await
}

fn provider(app: &WebApp) -> Result<&OpenId, ApiError> {
    app.oidc()
        .ok_or_else(|| ApiError::NotFound("no OpenID provider is set: sign in with the password".into()))
}

/// Whether a page that is not of this server has the browser come here. One that says nothing of it is old, or no browser.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// Where the provider is to send this browser back to: the address that everybody has, which is what operators register; where none is set,
/// that by which it came, which whoever stands in front has found to be one of this server's.
fn back_address(app: &WebApp, headers: &HeaderMap) -> Result<Url, ApiError> {
    if app.public_url().is_some() {
        let address = app.link_to(BACK).parse::<Url>();
        return Ok(address.expect("an address with a plain path behind it is one"));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = text("x-forwarded-host").and_then(|hosts| hosts.split(',').next());
    let host = forwarded.or_else(|| text(HOST.as_str())).unwrap_or_default().trim();
    let is_said = headers.contains_key("x-forwarded-proto");
    let address = |scheme: &str| format!("{scheme}://{host}{BACK}").parse::<Url>().ok();
    let plain = address("http").filter(|url| url.path() == BACK && url.username().is_empty());
    let is_public = plain.as_ref().and_then(Url::host_str).is_some_and(|host| app.is_public_host(host));
    let is_https = Scheme::of(headers) == Scheme::Https || (is_public && !is_said);
    let whole = if is_https { plain.and_then(|_| address("https")) } else { plain };
    whole.ok_or_else(|| ApiError::BadRequest("the request does not say by which name it came (Host)".into()))
}

/// By which scheme a browser came that began a sign-in.
fn scheme(flow: &Flow) -> Scheme {
    if flow.back().scheme() == "https" { Scheme::Https } else { Scheme::Http }
}

/// The page that says why nobody is signed in. Whoever tries again goes where they were going.
fn page_saying(why: &str, next: &Next) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("oidc", why);
    if next.as_str() != PAGE {
        query.append_pair("next", next.as_str());
    }
    format!("{PAGE}?{}", query.finish())
}

/// `to` is made of nothing but what stands in an address.
fn see_other(to: String, cookies: impl IntoIterator<Item = String>) -> Response {
    let cookies = AppendHeaders(cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)));
    (StatusCode::SEE_OTHER, NOT_KEPT, [(LOCATION, to)], cookies).into_response()
}

#[cfg(test)]
mod tests;
