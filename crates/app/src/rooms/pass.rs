//! `GET /recordings/{name}/pass`: an address at which a page that shows a link plays a recording.
//!
//! A video asks for its file by itself, and shows nothing with it. The address has a pass in it, which opens nothing but that file, no more of
//! it than the link does, and nothing once the link is over: unlike a signed link, which is for whoever holds it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use reelroom_access::Right;
use reelroom_routes::Visitor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::Path;
use crate::owner::told;
use crate::subject::Subject;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PassAnswer {
    /// A path of this server.
    recording_url: String,
}

/// Gives an address at which whoever shows a link into a room plays a recording of it, as long as that link opens the room. Others get
/// the recording's own address.
#[utoipa::path(get, path = "/recordings/{name}/pass", params(("name" = String, Path)), responses(
    (status = 200, body = PassAnswer),
    (status = 403, description = "They may not play it", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn make_pass(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    visitor.ask(Right::Play, &Subject::of(&app, &visitor, &name).await?.resource())?;
    let path = reelroom_library::path(&name);
    let now_ms = clock::now().unix_ms;
    let link = visitor.caller().room().and_then(|_| app.link(&headers, now_ms));
    let recording_url = match link {
        Some(link) => format!("{path}?pass={}", app.rooms().pass(&link, &path, now_ms)),
        None => path,
    };
    Ok(told(PassAnswer { recording_url }))
}
