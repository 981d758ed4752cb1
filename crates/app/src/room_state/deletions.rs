//! Puts on the board what the library does not list any more, whoever deleted it and however.

use reelroom_library::What;
use reelroom_limits::events::{CHANGES_AT_ONCE, ROOM_STATE_RESTS};

use crate::app::WebApp;

/// Runs as long as there is a library. What is not known any more was too much at once: whoever reads a list sees it.
pub(super) async fn run(app: &WebApp) {
    let mut newest = app.library().follow();
    let mut seen = *newest.borrow_and_update();
    while newest.changed().await.is_ok() {
        let last = *newest.borrow_and_update();
        while seen < last {
            let Ok(changes) = app.library().changes(seen, CHANGES_AT_ONCE) else {
                tracing::debug!("too much changed at once: rooms are not told of all that was deleted");
                break;
            };
            // Of each recording the newest change alone is kept: there may be none up to the last.
            let Some(behind) = changes.last().map(|change| change.number) else { break };
            for change in changes {
                if let What::Deleted(gone) = change.what {
                    app.room_state().delete(&gone.room_name, gone.id, gone.name);
                }
            }
            seen = behind;
        }
        seen = seen.max(last);
        tokio::time::sleep(ROOM_STATE_RESTS).await;
    }
}
