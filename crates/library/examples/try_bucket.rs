//! Tries a bucket as the program uses it: `S3_ENDPOINT=... S3_BUCKET=... S3_ACCESS_KEY=... S3_SECRET_KEY=... try_bucket`.
//!
//! Two recordings, of which one goes in parts, are stored below `reelroom-try/`, read back, listed by an index that is made
//! anew, played in part, fetched by presigned URL and deleted. It says what works, and ends at the first thing that does not.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use reelroom_library::{
    Library, LibraryConfig, Limits, LinkKey, ListQuery, Publication, S3Config, StoreConfig,
};
use reelroom_truth::Truth;

type Failure = Box<dyn std::error::Error>;

const PREFIX: &str = "reelroom-try/";
const SIZES: [usize; 2] = [1000, 9 * 1024 * 1024];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let library = open(&folder.path().join("index.db"))?;
    library.check().await?;
    say("it answers, and lets us in")?;
    for (number, size) in SIZES.into_iter().enumerate() {
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, content(size))?;
        let publication = Publication {
            file: &file,
            key: &format!("{PREFIX}räume & +%{number}.mp4"),
            egress_id: &format!("EG_try{number}"),
            room_name: "try",
            room_id: "RM_try",
            started_at_ns: 1_000_000_000,
            duration_ns: 1_000_000_000,
            ended_early: None,
            recovered: false,
            lost_ns: 0,
            report: &serde_json::Value::Null,
        };
        let published = library.publish(&publication).await?;
        say(&format!("{size} bytes are stored and read back: {}", published.location))?;
    }
    drop(library);
    let library = open(&folder.path().join("other.db"))?;
    let recordings = library.list(&ListQuery::default()).await?.recordings;
    let trouble = library.listing_trouble().summary();
    say(&format!(
        "{} recordings are listed; {}",
        recordings.len(),
        trouble.as_deref().unwrap_or("no trouble")
    ))?;
    let ours: Vec<_> = recordings.iter().filter(|recording| recording.id.starts_with("EG_try")).collect();
    if ours.len() != SIZES.len() || trouble.is_some() {
        return Err("not all that was stored is listed as it was described".into());
    }
    for recording in ours {
        let file = library.file(&recording.name).await?;
        let range = file.size / 2..file.size / 2 + 100;
        let parts: Vec<_> = library.stream(&file, range.clone()).await?.collect().await;
        let part = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let size = usize::try_from(file.size)?;
        if part != content(size)[size / 2..size / 2 + 100] {
            return Err("a part of the file is another than was stored".into());
        }
        let url = library.presigned_url(&recording.name, Duration::from_secs(60)).await?;
        let fetched = reqwest::get(url.ok_or("no presigned URL")?).await?.error_for_status()?.bytes().await?;
        if fetched != content(size) {
            return Err("the presigned URL gives another file than was stored".into());
        }
        library.delete(&recording.name).await?;
        say(&format!("{:?} plays, also by its URL, and is deleted", recording.name))?;
    }
    library.refresh().await?;
    let left = library.list(&ListQuery::default()).await?.recordings.len();
    say(&format!("{left} recordings are left"))?;
    if left > 0 { Err("what was deleted is still listed".into()) } else { Ok(()) }
}

fn open(index: &Path) -> Result<Library, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let config = S3Config {
        endpoint: variable("S3_ENDPOINT"),
        access_key: variable("S3_ACCESS_KEY"),
        secret_key: variable("S3_SECRET_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
        region: variable("AWS_REGION").unwrap_or_else(|| "us-east-1".into()),
        bucket: variable("S3_BUCKET").ok_or("S3_BUCKET is not set")?,
        force_path_style: variable("S3_FORCE_PATH_STYLE").map(|value| value == "true"),
        platform: std::env::vars().filter(|(name, _)| name.starts_with("AWS_CONTAINER_")).collect(),
    };
    Ok(Library::open(LibraryConfig {
        store: StoreConfig::S3(config),
        prefix: PREFIX.into(),
        index: index.to_owned(),
        truth: Truth::open(&index.with_file_name("truth.db"))?,
        link_key: LinkKey::new([0; 32]),
        refresh_every: Duration::from_secs(30),
        limits: Limits::default(),
        backup: None,
    })?)
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}
