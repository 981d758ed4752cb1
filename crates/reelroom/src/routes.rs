//! The table of routes: what all parts of the program answer, and what each of it needs.
//!
//! ```text
//!   rows of media, egress, app ─┬─► table ─► docs/access.md
//!   and of the program itself ──┴─► doors ─► the front
//! ```

use axum::http::Method;
use reelroom_app::WebApp;
use reelroom_egress::Egress;
use reelroom_media::MediaServer;
use reelroom_protocol::twirp;
use reelroom_routes::{Doors, Needs, Part, Row};

/// Every row that there can be: which of them a program has depends on the parts that run in it.
pub fn table() -> Vec<Row> {
    let rows = [MediaServer::table(), Egress::table(), below_twirp().rows().to_vec(), WebApp::table()];
    rows.into_iter().flatten().chain(media_alone().rows().to_vec()).collect()
}

/// The doors of a program with these parts.
pub(crate) fn doors(embedded: Option<(&MediaServer, &Egress)>, web: Option<&WebApp>) -> Doors {
    let mut part = below_twirp();
    if let Some((media, egress)) = embedded {
        part = part.join(media.routes()).join(egress.routes());
    }
    part.join(web.map_or_else(media_alone, WebApp::routes)).doors()
}

/// Whatever no method of Twirp is for is refused in its form, whether there is a media server or not.
fn below_twirp() -> Part {
    let part = Part::new("Other Twirp services");
    twirp::BELOW.into_iter().fold(part, |part, path| part.any(path, Needs::Public, twirp::no_route))
}

/// Clients ask the root whether a server is there at all.
fn media_alone() -> Part {
    Part::new("`reelroom media`, which has no page").row([Method::GET], "/", Needs::Public, async || "OK")
}

#[cfg(test)]
mod tests;
