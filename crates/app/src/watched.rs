//! What is sent to somebody who came by a link, to one recording or into a room, as long as the link holds.
//!
//! ```text
//!   library ─► a piece of the file ─► how far they came is noted ─► to whoever watches
//!                  │ the link is revoked, its recording or its room deleted, its time over, less granted by it
//!                  └─► the connection ends with an error, whatever is still to be sent: also what a slow reader has not taken of the pieces before
//! ```

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use reelroom_access::{RecordingName, Resource, Right, may};
use reelroom_library::LibraryError;
use reelroom_limits::shares::SHARE_ENDS_WITHIN;
use reelroom_rooms::{LinkId, Rooms};
use reelroom_routes::{Cut, Cutter};
use reelroom_shares::Viewing;

use crate::clock;

/// How often it is asked at least whether a link is over: that is seen, and the answer ended, within [`SHARE_ENDS_WITHIN`].
const ASKED_EVERY: Duration = Duration::from_millis(SHARE_ENDS_WITHIN.as_millis() as u64 / 2);

/// By what somebody is sent something.
pub(crate) trait Hold: Clone + Send + Sync + 'static {
    /// Whether nothing more is to be sent.
    fn is_over(&self) -> bool;

    /// Waits until somebody ends it, where that is told. It may be over without.
    fn ended(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// This part of the file has been handed out.
    fn sent(&self, _part: Range<u64>) {}
}

impl Hold for Viewing {
    fn is_over(&self) -> bool {
        Self::is_over(self, clock::now())
    }

    async fn ended(&self) {
        Self::ended(self).await;
    }

    fn sent(&self, part: Range<u64>) {
        Self::sent(self, part, clock::now());
    }
}

/// A link into a room, by which somebody is sent a recording of that room.
#[derive(Clone)]
pub(crate) struct Invited {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) link: LinkId,
    pub(crate) recording: RecordingName,
    /// What it has to grant for what is sent.
    pub(crate) needs: &'static [Right],
}

impl Hold for Invited {
    fn is_over(&self) -> bool {
        let Some(caller) = self.rooms.caller(&self.link, clock::now().unix_ms) else { return true };
        // That the recording is one of their room was found out before.
        let resource = Resource::Recording { name: &self.recording, room: caller.room() };
        !self.needs.iter().all(|right| may(&caller, *right, &resource))
    }
}

/// Why not all of it was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CutShort {
    /// Nobody may be sent it by the link any more.
    #[error("the link by which it was watched is over")]
    Over,
    /// The store fails.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

struct Watched<H> {
    bytes: BoxStream<'static, Result<Bytes, LibraryError>>,
    hold: H,
    /// Where the next piece is from.
    at: u64,
    cut: Cut,
}

/// The part of a file that begins at `from`, for whoever watches, and what goes with an answer that has it.
pub(crate) fn watched<H: Hold>(
    bytes: BoxStream<'static, Result<Bytes, LibraryError>>,
    hold: H,
    from: u64,
) -> (impl Stream<Item = Result<Bytes, CutShort>> + Send + 'static, Cut) {
    let (cut, cutter) = Cut::new();
    tokio::spawn(attend(hold.clone(), cutter));
    let watched = Watched { bytes, hold, at: from, cut: cut.clone() };
    (stream::try_unfold(watched, next), cut)
}

async fn next<H: Hold>(mut watched: Watched<H>) -> Result<Option<(Bytes, Watched<H>)>, CutShort> {
    let piece = tokio::select! {
        biased;
        () = watched.cut.cut() => return Err(CutShort::Over),
        piece = watched.bytes.next() => piece,
    };
    // Whoever attends to it may come a moment later.
    if watched.hold.is_over() {
        watched.cut.now();
        return Err(CutShort::Over);
    }
    let Some(piece) = piece.transpose()? else { return Ok(None) };
    let end = watched.at.saturating_add(piece.len() as u64);
    watched.hold.sent(watched.at..end);
    watched.at = end;
    Ok(Some((piece, watched)))
}

/// Cuts an answer when nobody may be sent it by the link any more: its reader may have stopped, so that nobody asks for the next piece.
async fn attend(hold: impl Hold, cutter: Cutter) {
    tokio::select! {
        () = over(&hold) => cutter.now(),
        () = cutter.unheld() => {}
    }
}

/// Waits until nobody may be sent anything by the link any more.
async fn over(hold: &impl Hold) {
    while !hold.is_over() {
        tokio::select! {
            () = hold.ended() => {}
            () = tokio::time::sleep(ASKED_EVERY) => {}
        }
    }
}
