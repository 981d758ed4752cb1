//! Links to one recording: who may share it makes them, and whoever has one watches.
//!
//! ```text
//!   /recordings/{name}/shares ─► links ─────────────► Shares: make, list, change, revoke, who watched
//!   /watch#<secret> (a page)                            ▲
//!     └─ POST /watch/open ─► viewer ─► begin ───────────┤ a cookie with a ticket, for /watch/{id} alone
//!        GET /watch/{id}, /watch/{id}/file ─► viewing ──┘ ─► Caller::Viewer ─► play, watched
//! ```
//!
//! # Why a cookie, and one for the link's own path
//!
//! - `<video src>` sends no header of the page's, so the ticket is in the address or in a cookie. An address is in the logs of proxies, in
//!   the history, and in what somebody copies from the player; a cookie that no script reads is in none of these.
//! - What is at `/recordings/{name}` stays what it is for whoever owns the server, or reaches an open one, and opens a link of their own: a
//!   ticket takes nothing from anybody there, and gives nothing. Below `/watch/{id}` the ticket alone counts, whoever else its bearer is,
//!   so that both modes of access are the same, and whoever makes a link sees what others will see.
//! - Two links to one recording in one browser are two paths, and neither ends the other.
//!
//! # Invariants
//!
//! - What is behind "#" no browser sends by itself: a secret is in the body of one request, and in no log. Ids are no secrets.
//! - A link gives no more than whoever made it had.
//! - Of a play-only link no answer has the whole file, nor a name to save it by.
//! - What is shared is the recording, and not whatever has its name later.
//! - It is played through this server also where others play from the bucket: nobody takes back an address of the bucket's.

pub(crate) mod links;
pub(crate) mod tend;
pub(crate) mod viewer;

use std::sync::Arc;

use reelroom_access::{Right, Rights};
use reelroom_library::LibraryError;
use reelroom_shares::Gives;

use crate::app::WebApp;
use crate::owner::blocking;

/// What a link is for, as rights.
fn rights(gives: Gives) -> &'static [Right] {
    match gives {
        Gives::Play => &[Right::Play],
        Gives::Download => &[Right::Play, Right::Download],
    }
}

fn granted(gives: Gives) -> Rights {
    Rights::of(rights(gives))
}

/// Deletes a recording with all links to it. Whoever stops waiting for it does not stop it.
pub(crate) async fn delete_recording(app: &WebApp, name: &str) -> Result<(), LibraryError> {
    let (app, name) = (app.clone(), name.to_owned());
    let deleting = tokio::spawn(async move {
        let deleted = app.library().delete(&name).await;
        // What is gone may have left its links, where the program was killed.
        if !matches!(deleted, Ok(()) | Err(LibraryError::NotFound(_) | LibraryError::Deleted(_))) {
            return deleted;
        }
        let (shares, recording) = (Arc::clone(app.shares()), name.clone());
        match blocking(move || shares.forget_recording(&recording)).await {
            Ok(0) => {}
            Ok(links) => tracing::info!(recording = name, links, "its links are gone with it"),
            // They open nothing any more, and this is tried again.
            Err(error) => {
                tracing::warn!(recording = name, %error, "that its links are gone is not written down")
            }
        }
        let (rooms, recording) = (Arc::clone(app.rooms()), name.clone());
        if deleted.is_ok()
            && let Err(error) = blocking(move || rooms.forget_recording(&recording, None)).await
        {
            // Its room finds that it is gone when it is due.
            tracing::warn!(recording = name, %error, "that its room has it no longer is not written down");
        }
        deleted
    });
    match deleting.await {
        Ok(deleted) => deleted,
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
