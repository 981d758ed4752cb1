//! A recording that is still being finished plays, as a file that stays the same for whoever reads it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use reelroom_library::{
    File, Library, LibraryConfig, LibraryError, Limits, LinkKey, ListQuery, Recording, Status, StoreConfig,
    Unfinished, Wanted,
};
use reelroom_mp4::{AudioSpec, MovieSpec, Mp4Writer};
use reelroom_truth::Truth;

const NAME: &str = "a.mp4";
const KEY: &str = "recordings/a.mp4";

fn library(folder: &Path) -> Library {
    Library::open(LibraryConfig {
        store: StoreConfig::folder(folder.to_owned()),
        prefix: "recordings/".into(),
        index: folder.join("index.db"),
        truth: Truth::open(&folder.join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(60),
        limits: Limits::default(),
        backup: None,
    })
    .unwrap()
}

fn audio() -> AudioSpec {
    AudioSpec {
        sample_rate_hz: 48_000,
        channels: 2,
        samples_per_frame: 1024,
        priming_samples: 1024,
        config: vec![0x11, 0x90],
        bitrate_bps: 1000,
    }
}

fn sound_up_to(writer: &mut Mp4Writer, pushed: &mut u64, seconds: u64) {
    while *pushed < Mp4Writer::sounds_in(&audio(), seconds) {
        writer.push_audio(&pushed.to_be_bytes()).unwrap();
        *pushed += 1;
    }
}

async fn given(library: &Library, file: &File) -> Result<Vec<u8>, LibraryError> {
    let parts: Vec<_> = library.stream(file, 0..file.size).await?.collect().await;
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

async fn all(library: &Library, file: &File) -> Vec<u8> {
    given(library, file).await.unwrap()
}

#[tokio::test]
async fn what_is_there_plays_and_stays_the_same_for_whoever_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let path = folder.path().join("growing.mp4");
    let (mut writer, mut pushed) =
        (Mp4Writer::create(&path, MovieSpec { video: None, audio: Some(audio()) }).unwrap(), 0);
    sound_up_to(&mut writer, &mut pushed, 12);
    let making = |status| Recording { id: "EG_1".into(), status, ..Recording::named(NAME) };
    library.note(making(Status::Recording)).await.unwrap();
    library.grows(KEY, &path, 10, Duration::from_secs(60));
    assert!(matches!(library.file(NAME).await, Err(LibraryError::NotFinished(_))), "it is being recorded");
    library.note(making(Status::Finishing)).await.unwrap();

    let file = library.file(NAME).await.unwrap();
    assert_eq!(file.unfinished_ms().unwrap() / 100, 100, "the last two seconds may still be taken back");
    let bytes = all(&library, &file).await;
    assert_eq!(bytes.len() as u64, file.size);
    assert_eq!((&bytes[4..8], &bytes[36..40]), (&b"ftyp"[..], &b"moov"[..]));
    let listed = library.list(&ListQuery::default()).await.unwrap().recordings;
    let unfinished = Unfinished { playable_ms: 10_000, total_ms: 60_000 };
    assert_eq!((listed[0].status, listed[0].unfinished), (Status::Finishing, Some(unfinished)));

    sound_up_to(&mut writer, &mut pushed, 40);
    library.grows(KEY, &path, 35, Duration::from_secs(60));
    let again = library.file_as(NAME, Wanted::Continued).await.unwrap();
    assert_eq!((again.size, &again.etag), (file.size, &file.etag), "whoever goes on gets the same");
    let again = library.file_as(NAME, Wanted::Through(20)).await.unwrap();
    assert_eq!(again.unfinished_ms().unwrap() / 100, 200);
    let again = library.file_as(NAME, Wanted::Tagged(&format!("\"{}\"", file.etag))).await.unwrap();
    assert_eq!(again.etag, file.etag);
    assert!(all(&library, &again).await == bytes && all(&library, &file).await == bytes);
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    let newest = library.file(NAME).await.unwrap();
    assert_eq!(newest.unfinished_ms().unwrap() / 100, 350);
    assert_ne!(newest.etag, file.etag);

    // An index for which there is room in front moves nothing.
    let promised = all(&library, &newest).await;
    writer.finish(40_000_000_000).unwrap();
    assert!(given(&library, &newest).await.unwrap() == promised);
    // For another one all media are moved, or those that stood in its way.
    let path = folder.path().join("longer.mp4");
    let (mut writer, mut pushed) =
        (Mp4Writer::create(&path, MovieSpec { video: None, audio: Some(audio()) }).unwrap(), 0);
    sound_up_to(&mut writer, &mut pushed, 400);
    library.grows(KEY, &path, 390, Duration::from_secs(400));
    let newest = library.file(NAME).await.unwrap();
    writer.finish(400_000_000_000).unwrap();
    assert!(given(&library, &newest).await.is_err(), "never other bytes than those that were promised");
    assert!(matches!(library.file(NAME).await, Err(LibraryError::NotFinished(_))));
    assert!(library.delete(NAME).await.is_err());
    library.grows(KEY, &path, 0, Duration::ZERO);
    assert_eq!(library.find(NAME).await.unwrap().unfinished, None);
}
