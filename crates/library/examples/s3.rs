//! An S3 server for tests of other programs: `s3 FOLDER` serves the buckets in it, prints its settings, one a line, and runs
//! until it is killed.
//!
//! It fails on demand, as `PUT $S3_ENDPOINT/_fault` with `{"kind":"500"}` says; the kinds are `none`, `500`, `hang`,
//! `stall`, `cut`, `lie-size`, `truncate` and `corrupt`, with `"for": n` requests only and `"method": "PUT"` requests only where
//! that is given. `GET $S3_ENDPOINT/_fault` tells how often the present one has `struck`. What each does stands in
//! `tests/common/s3.rs`.

use std::io::Write as _;
use std::path::PathBuf;

#[path = "../tests/common/s3.rs"]
mod s3;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("usage: s3 FOLDER"))?;
    let endpoint = s3::serve(&folder, s3::Faults::default()).await;
    let mut out = std::io::stdout();
    writeln!(out, "S3_ENDPOINT={endpoint}")?;
    writeln!(out, "S3_ACCESS_KEY={}", s3::ACCESS_KEY)?;
    writeln!(out, "S3_SECRET_KEY={}", s3::SECRET_KEY)?;
    writeln!(out, "S3_BUCKET={}", s3::BUCKET)?;
    writeln!(out)?;
    out.flush()?;
    tokio::signal::ctrl_c().await
}
