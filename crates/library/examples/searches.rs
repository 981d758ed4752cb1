//! How long a list takes beside searches: `searches [RECORDINGS] [SEARCHES]`, 100,000 and 40 where nothing is said.
//!
//! The index is filled directly: what is measured is what it answers, and not how it came there.

use std::io::Write as _;
use std::time::{Duration, Instant};

use reelroom_library::{Library, LibraryConfig, LibraryError, Limits, LinkKey, ListQuery, StoreConfig};
use reelroom_truth::Truth;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (recordings, searches) = (number(100_000)?, number(40)?);
    let folder = tempfile::tempdir()?;
    let index = folder.path().join("index.db");
    let library = Library::open(LibraryConfig {
        store: StoreConfig::folder(folder.path().join("store")),
        prefix: "recordings/".into(),
        index: index.clone(),
        truth: Truth::open(&folder.path().join("truth.db"))?,
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(3600),
        limits: Limits::default(),
        backup: None,
    })?;
    fill(&index, recordings)?;
    let alone = list(&library, None).await?;
    let search = list(&library, Some("nothing is called so")).await?;
    let searching: Vec<_> = (0..searches)
        .map(|n| {
            let library = library.clone();
            tokio::spawn(async move {
                match list(&library, Some(&format!("nothing is called so {n}"))).await {
                    Ok(_) => Ok(true),
                    Err(LibraryError::Busy) => Ok(false),
                    Err(error) => Err(error.to_string()),
                }
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    while searching.iter().any(|search| !search.is_finished()) {
        slowest = slowest.max(list(&library, None).await?);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    let mut answered = 0;
    for search in searching {
        answered += usize::from(search.await??);
    }
    writeln!(
        std::io::stdout(),
        "{recordings} recordings: a list takes {alone:.1?}, a search {search:.1?}; beside {searches} searches ({answered} answered \
         within {took:.1?}, the others told to come again) the slowest list took {slowest:.1?}"
    )?;
    Ok(())
}

async fn list(library: &Library, text: Option<&str>) -> Result<Duration, LibraryError> {
    let began = Instant::now();
    library.list(&ListQuery { text: text.map(str::to_owned), ..ListQuery::default() }).await?;
    Ok(began.elapsed())
}

fn fill(index: &std::path::Path, recordings: usize) -> Result<(), Failure> {
    let mut db = rusqlite::Connection::open(index)?;
    let change = db.transaction()?;
    for n in 0..recordings {
        let name = format!("Room {}-RM_{n:012}-2026-01-01T101010.mp4", n % 500);
        change.prepare_cached(
            "INSERT INTO recordings VALUES (?1, ?2, ?3, 'RM_x', ?4, 'complete', 60000, 1000, NULL, NULL, 0, 0, NULL, ?3, \
             lower(?3 || char(10) || ?1), 'etag', 1, 0)",
        )?
        .execute(rusqlite::params![name, format!("EG_{n}"), format!("Room {}", n % 500), n as i64])?;
    }
    change.commit()?;
    Ok(())
}
