//! All routes, what each needs, what holds for each of them, and their description (`/openapi.json`).

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::handler::Handler;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use reelroom_access::Right;
use reelroom_limits as limits;
use reelroom_routes::{Needs, On, Part, Proof, Row};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use crate::app::WebApp;
use crate::audit::{log, note_refusals};
use crate::owner::{keys, oidc, password, session, sessions};
use crate::rooms::{invited, kept, links as room_links, lobby, pass, people};
use crate::shares::{links, viewer};
use crate::{deliveries, error, events, health, overview, page, play, recordings, rooms, token, webhook};

impl WebApp {
    /// The page and every route of the REST API.
    pub fn routes(&self) -> Part {
        rest()
            .refusing_methods(|_, _| {
                error::respond(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
            })
            .layer_rows(middleware::from_fn_with_state(self.clone(), note_refusals))
            .layer_rows(middleware::from_fn_with_state(self.clone(), count))
            .join(page())
            .layer(DefaultBodyLimit::max(limits::http::REST_BODY_BYTES))
            .layer(CatchPanicLayer::custom(on_panic))
            .layer(SetResponseHeaderLayer::if_not_present(
                X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ))
            .with_state(self.clone())
    }

    /// Its rows of the table.
    pub fn table() -> Vec<Row> {
        rest().join(page()).rows().to_vec()
    }
}

/// The REST API.
fn rest() -> Part<WebApp> {
    let Api { part, document } = api();
    let document = document.to_pretty_json().expect("the description of the API is plain data");
    // It is not copied for each reader.
    let document = Bytes::from(document);
    let describe = async || ([(CONTENT_TYPE, "application/json")], document);
    part.row([Method::GET], "/openapi.json", Needs::Right(Right::Observe, On::Server), describe)
}

fn page() -> Part<WebApp> {
    Part::new("The page").rest(Needs::Public, page::serve)
}

/// The routes that are described, each with what it needs.
#[expect(
    clippy::disallowed_types,
    reason = "`routes!` makes a router beside each description, which is dropped"
)]
pub(crate) fn api() -> Api {
    let in_room = |right| Needs::Right(right, On::Room);
    let for_recording = |right| Needs::Right(right, On::Recording);
    let managed = Needs::Right(Right::Manage, On::Server);
    let by_link = Needs::Proof(Proof::OwnerLink);
    let file = Needs::RightOrProof(Right::Play, On::Recording, Proof::SignedLink);
    Api::new()
        .row(routes!(token::create), in_room(Right::Join), token::create)
        .row(routes!(webhook::receive), Needs::Proof(Proof::WebhookSignature), webhook::receive)
        .row(routes!(recordings::start), in_room(Right::Record), recordings::start)
        .row(routes!(recordings::stop), in_room(Right::Record), recordings::stop)
        .row(routes!(recordings::list), Needs::Right(Right::List, On::Reach), recordings::list)
        .row(routes!(play::file), file, play::file)
        .row(routes!(recordings::delete), for_recording(Right::Delete), recordings::delete)
        .row(routes!(play::url), for_recording(Right::Play), play::url)
        .row(routes!(recordings::retry), for_recording(Right::Delete), recordings::retry)
        .row(routes!(recordings::report), for_recording(Right::Report), recordings::report)
        .row(routes!(events::follow), Needs::Right(Right::Observe, On::Reach), events::follow)
        .row(routes!(health::live), Needs::Public, health::live)
        .row(routes!(health::ready), Needs::Details(Right::Observe), health::ready)
        .row(routes!(health::metrics), Needs::Right(Right::Observe, On::Server), health::metrics)
        .row(routes!(health::settings), Needs::Public, health::settings)
        .row(routes!(password::set_password), by_link, password::set_password)
        .row(routes!(password::change_password), managed, password::change_password)
        .row(routes!(session::sign_in), Needs::Proof(Proof::Password), session::sign_in)
        .row(routes!(session::sign_out), managed, session::sign_out)
        .row(routes!(session::whoami), Needs::Public, session::whoami)
        .row(routes!(sessions::list_sessions), managed, sessions::list_sessions)
        .row(routes!(sessions::end_session), managed, sessions::end_session)
        .row(routes!(sessions::end_other_sessions), managed, sessions::end_other_sessions)
        .row(routes!(keys::list_keys), managed, keys::list_keys)
        .row(routes!(keys::make_key), managed, keys::make_key)
        .row(routes!(keys::revoke_key), managed, keys::revoke_key)
        .row(routes!(links::list_shares), for_recording(Right::Share), links::list_shares)
        .row(routes!(links::make_share), for_recording(Right::Share), links::make_share)
        .row(routes!(links::change_share), for_recording(Right::Share), links::change_share)
        .row(routes!(links::revoke_share), for_recording(Right::Share), links::revoke_share)
        .row(routes!(links::list_views), for_recording(Right::Share), links::list_views)
        .row(routes!(viewer::open_share), Needs::Proof(Proof::ShareLink), viewer::open_share)
        .row(routes!(viewer::watched_share), Needs::Proof(Proof::ShareTicket), viewer::watched_share)
        .row(routes!(viewer::shared_file), Needs::Proof(Proof::ShareTicket), viewer::shared_file)
        // Rooms, and the links into them.
        .row(routes!(rooms::list_rooms), managed, rooms::list_rooms)
        .row(routes!(rooms::make_room), managed, rooms::make_room)
        .row(routes!(rooms::read_room), managed, rooms::read_room)
        .row(routes!(rooms::change_room), managed, rooms::change_room)
        .row(routes!(rooms::delete_room), managed, rooms::delete_room)
        .row(routes!(room_links::renew_room_link), managed, room_links::renew_room_link)
        .row(routes!(room_links::revoke_room_link), managed, room_links::revoke_room_link)
        .row(routes!(invited::read_link), Needs::Right(Right::Join, On::Reach), invited::read_link)
        .row(routes!(pass::make_pass), for_recording(Right::Play), pass::make_pass)
        .row(routes!(kept::read_retention), managed, kept::read_retention)
        .row(routes!(kept::keep_recording), for_recording(Right::Delete), kept::keep_recording)
        // Whom the media server tells of recordings.
        .row(routes!(deliveries::deliveries), managed, deliveries::deliveries)
        .row(routes!(deliveries::replay), managed, deliveries::replay)
        .row(routes!(deliveries::test), managed, deliveries::test)
        // Signing in elsewhere.
        .row(routes!(oidc::begin), Needs::Public, oidc::begin)
        .row(routes!(oidc::back), Needs::Proof(Proof::OpenId), oidc::back)
        // What goes on, and what was done.
        .row(routes!(overview::read_overview), managed, overview::read_overview)
        .row(routes!(log::read_audit), managed, log::read_audit)
        // Who is in a room, and who waits to be let in.
        .row(routes!(people::list_people), in_room(Right::Moderate), people::list_people)
        .row(routes!(people::mute_person), in_room(Right::Moderate), people::mute_person)
        .row(routes!(people::remove_person), in_room(Right::Moderate), people::remove_person)
        .row(routes!(lobby::read_lobby), in_room(Right::Moderate), lobby::read_lobby)
        .row(routes!(lobby::admit_waiting), in_room(Right::Moderate), lobby::admit_waiting)
        .row(routes!(lobby::refuse_waiting), in_room(Right::Moderate), lobby::refuse_waiting)
        .row(routes!(lobby::read_turn), in_room(Right::Join), lobby::read_turn)
        .row(routes!(lobby::leave_lobby), in_room(Right::Join), lobby::leave_lobby)
}

/// Rows, and the description of what they answer.
pub(crate) struct Api {
    part: Part<WebApp>,
    document: OpenApi,
}

impl Api {
    fn new() -> Self {
        let info = InfoBuilder::new()
            .title("Reelroom")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some("Calls and their recordings. Every refusal is {errorMessage}."))
            .build();
        Self { part: Part::new("REST API"), document: OpenApiBuilder::new().info(info).build() }
    }

    /// A row by the method and the path that `handler` is described with. The router that `routes!` makes beside the description is
    /// not used.
    fn row<H, T>(mut self, (schemas, paths, _): UtoipaMethodRouter<WebApp>, needs: Needs, handler: H) -> Self
    where
        H: Handler<T, WebApp>,
        T: 'static,
    {
        for (path, item) in &paths.paths {
            self.part = self.part.row(methods(item), path, needs, handler.clone());
        }
        self.document.paths.merge(paths);
        self.document.components.get_or_insert_with(Components::new).schemas.extend(schemas);
        self
    }

    #[cfg(test)]
    pub(crate) fn to_openapi(&self) -> OpenApi {
        self.document.clone()
    }
}

/// The methods that a path is described with.
fn methods(item: &PathItem) -> Vec<Method> {
    let described = [
        (Method::GET, &item.get),
        (Method::HEAD, &item.head),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    described.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method).collect()
}

async fn count(State(app): State<WebApp>, path: MatchedPath, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.run(request).await;
    app.metrics().request(&method, path.as_str(), response.status().as_u16(), began.elapsed());
    response
}

fn on_panic(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("of unknown kind"), "a request panicked");
    error::respond(StatusCode::INTERNAL_SERVER_ERROR, "the server made a mistake; its log says which")
}

#[cfg(test)]
mod tests;
