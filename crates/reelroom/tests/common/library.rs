//! Recordings that are there before a program starts.

use std::path::Path;
use std::time::Duration;

use reelroom_library::{FolderConfig, Library, LibraryConfig, Limits, LinkKey, Publication, StoreConfig};
use reelroom_truth::Truth;
use serde_json::json;

/// Of each of them.
pub(crate) const SIZE: usize = 5000;

/// Has recordings, each of a room and with a name, in a data folder, as a program of before has left them.
pub(crate) async fn plant<'a>(data: &Path, recordings: impl IntoIterator<Item = (&'a str, String)>) {
    let made = tempfile::tempdir().unwrap();
    let store = FolderConfig {
        root: data.join("store"),
        elsewhere: Some(("recordings".to_owned(), data.join("recordings"))),
        ..FolderConfig::default()
    };
    let library = Library::open(LibraryConfig {
        store: StoreConfig::Local(store),
        prefix: "recordings/".into(),
        index: data.join("index.db"),
        truth: Truth::open(&data.join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(60),
        limits: Limits::default(),
        backup: None,
    })
    .unwrap();
    for (number, (room, name)) in recordings.into_iter().enumerate() {
        // The store takes the file itself where it can.
        let file = made.path().join(format!("{number}.mp4"));
        std::fs::write(&file, vec![7; SIZE]).unwrap();
        let publication = Publication {
            file: &file,
            key: &format!("recordings/{name}"),
            egress_id: &format!("EG_planted{number}"),
            room_name: room,
            room_id: "RM_1",
            started_at_ns: 1_767_262_210_123_000_000,
            duration_ns: 5_500_000_000,
            ended_early: None,
            recovered: false,
            lost_ns: 0,
            report: &json!({}),
        };
        library.publish(&publication).await.unwrap();
    }
}
