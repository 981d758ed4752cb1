//! All routes, what holds for each of them, and their description (`/openapi.json`).

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use reelroom_limits as limits;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::WebApp;
use crate::{error, health, page, play, recordings, token, webhook};

impl WebApp {
    /// The page and every route of the REST API. What comes before it in a router wins.
    pub fn router(&self) -> Router {
        let (api, document) = api().split_for_parts();
        let document = document.to_pretty_json().expect("the description of the API is plain data");
        // It is not copied for each reader.
        let document = Bytes::from(document);
        let page = Router::new().fallback(page::serve);
        api.route(
            "/openapi.json",
            get(async || ([(axum::http::header::CONTENT_TYPE, "application/json")], document)),
        )
        .method_not_allowed_fallback(async || {
            error::respond(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
        })
        .route_layer(middleware::from_fn_with_state(self.clone(), count))
        .fallback_service(page.with_state::<()>(self.clone()))
        .layer(DefaultBodyLimit::max(limits::http::REST_BODY_BYTES))
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(SetResponseHeaderLayer::if_not_present(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .with_state(self.clone())
    }
}

/// The routes, each with its description.
pub(crate) fn api() -> OpenApiRouter<WebApp> {
    let info = InfoBuilder::new()
        .title("Reelroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Calls and their recordings. Every refusal is {errorMessage}."))
        .build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(token::create))
        .routes(routes!(webhook::receive))
        .routes(routes!(recordings::start))
        .routes(routes!(recordings::stop))
        .routes(routes!(recordings::list))
        .routes(routes!(play::file, recordings::delete))
        .routes(routes!(play::url))
        .routes(routes!(recordings::retry))
        .routes(routes!(recordings::report))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::settings))
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
