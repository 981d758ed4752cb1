//! The page: the files of `web/dist`, inside the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::app::WebApp;
use crate::asset::Asset;
use crate::error;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// By their names. A build for development has them outside, and reads them once.
static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let named = |name: &str| Some((name.to_owned(), Asset::new(Files::get(name)?)));
    Files::iter().filter_map(|name| named(&name)).collect()
});

/// Answers what no route of the API is for: a file of the page, or 404.
pub(crate) async fn serve(
    State(app): State<WebApp>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // Of "//owner" the page would take what is beside it for another host's.
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let path = match path {
        "" => "index.html",
        "owner" => "owner.html",
        "watch" => "watch.html",
        "join" => "join.html",
        path => path,
    };
    let Some(asset) = ASSETS.get(path) else {
        let message = if ["index.html", "owner.html", "watch.html", "join.html"].contains(&path) {
            "the page was not built into this program: run make page, and build it again"
        } else {
            "there is nothing here"
        };
        return error::respond(StatusCode::NOT_FOUND, message);
    };
    if method != Method::GET && method != Method::HEAD {
        return error::respond(StatusCode::METHOD_NOT_ALLOWED, "this can only be read");
    }
    let mut head = HeaderMap::new();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            head.insert(name, value);
        }
    };
    // The names of these files change with what they hold.
    let is_immutable = path.starts_with("assets/");
    set(CACHE_CONTROL, if is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" });
    set(VARY, "accept-encoding");
    if let Some(etag) = asset.known(&headers) {
        set(ETAG, &etag);
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let form = asset.form(&headers).await;
    set(ETAG, &form.etag);
    set(CONTENT_LENGTH, &form.data.len().to_string());
    if let Some(encoding) = form.encoding {
        set(CONTENT_ENCODING, encoding);
    }
    set(CONTENT_TYPE, asset.kind());
    if path.ends_with(".html") {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        set(CONTENT_TYPE, "text/html; charset=utf-8");
        set(CONTENT_SECURITY_POLICY, &content_security_policy(&app, host));
        set(REFERRER_POLICY, "no-referrer");
        set(PERMISSIONS_POLICY, "camera=(self), microphone=(self), display-capture=(self)");
    }
    (head, form.data).into_response()
}

/// Nothing is loaded from elsewhere, but for media from the bucket and the connection to an outside LiveKit server.
fn content_security_policy(app: &WebApp, host: Option<&str>) -> String {
    let mut connect = vec!["'self'".to_owned()];
    // Not every browser takes 'self' for WebSockets. A policy cannot name IPv6 addresses at all: there it is 'self' or nothing.
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(&byte));
    if let Some(host) = host.filter(is_plain) {
        connect.extend([format!("ws://{host}"), format!("wss://{host}")]);
    }
    // A proxy may have changed Host.
    if let Some(url) = app.public_url() {
        let socket = if url.scheme() == "https" { "wss" } else { "ws" };
        connect.extend(
            Some(url.authority()).filter(is_plain).map(|authority| format!("{socket}://{authority}")),
        );
    }
    if let Some(url) = app.public_livekit_url() {
        let authority = url.authority();
        let is_secure = matches!(url.scheme(), "wss" | "https");
        let (web, socket) = if is_secure { ("https", "wss") } else { ("http", "ws") };
        connect.extend([format!("{web}://{authority}"), format!("{socket}://{authority}")]);
    }
    let media = app.media_origin().map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
         media-src 'self' blob: mediastream:{media}; connect-src {}; worker-src 'self' blob:; manifest-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        connect.join(" ")
    )
}
