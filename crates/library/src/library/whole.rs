//! A file's bytes as they come, all of them or an error: what breaks off is gone on with where it broke off.
//!
//! # Invariants
//!
//! - A stream that ends without an error gave exactly the bytes of its range.
//! - What is gone on with is the same file, or nothing: opening it anew is refused when it has changed.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::error::LibraryError;

pub(super) type Pieces = BoxStream<'static, Result<Bytes, LibraryError>>;

/// Tries in a row that gave not one byte, after which the file is given up.
const MAX_TRIES: u32 = 3;
/// Before another try; longer after each one that gave nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a file is opened anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Whenever it broke off, as long as that helps.
    WhereItBrokeOff,
    /// Not at all: it could be another one by then.
    Never,
}

struct Reading<O> {
    open: O,
    again: Again,
    left: Range<u64>,
    pieces: Option<Pieces>,
    tries: u32,
}

/// The bytes of `range`. The file is opened at once, so that what cannot be read at all is an error here; `open` gives the bytes of
/// a range from its beginning on.
pub(super) async fn whole<O>(range: Range<u64>, again: Again, open: O) -> Result<Pieces, LibraryError>
where
    O: Fn(Range<u64>) -> BoxFuture<'static, Result<Pieces, LibraryError>> + Send + 'static,
{
    if range.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let pieces = open(range.clone()).await?;
    let reading = Reading { open, again, left: range, pieces: Some(pieces), tries: 0 };
    Ok(stream::try_unfold(reading, next).boxed())
}

async fn next<O>(mut reading: Reading<O>) -> Result<Option<(Bytes, Reading<O>)>, LibraryError>
where
    O: Fn(Range<u64>) -> BoxFuture<'static, Result<Pieces, LibraryError>>,
{
    while !reading.left.is_empty() {
        let opened = match reading.pieces.take() {
            Some(pieces) => Ok(pieces),
            None => (reading.open)(reading.left.clone()).await,
        };
        let error = match opened {
            Err(error) => error,
            Ok(mut pieces) => match pieces.next().await {
                Some(Ok(mut piece)) => {
                    let left = reading.left.end - reading.left.start;
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    reading.pieces = Some(pieces);
                    if piece.is_empty() {
                        continue;
                    }
                    reading.left.start += piece.len() as u64;
                    reading.tries = 0;
                    return Ok(Some((piece, reading)));
                }
                Some(Err(error)) => error,
                None => {
                    let left = reading.left.end - reading.left.start;
                    LibraryError::Store(format!("it ended {left} bytes too early"))
                }
            },
        };
        reading.tries += 1;
        // It is not there any more, or another one.
        let is_gone = matches!(error, LibraryError::NotFound(_));
        if is_gone || reading.again == Again::Never || reading.tries > MAX_TRIES {
            return Err(error);
        }
        tracing::debug!(%error, at = reading.left.start, "a file broke off and is gone on with");
        tokio::time::sleep(PAUSE * reading.tries).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Script = Vec<Result<Vec<Result<&'static [u8], LibraryError>>, LibraryError>>;

    /// What is read where each opening gives what the script says, and which ranges were opened.
    async fn read(
        range: Range<u64>,
        again: Again,
        script: Script,
    ) -> (Result<Vec<u8>, String>, Vec<Range<u64>>) {
        let opened = Arc::new(Mutex::new(Vec::new()));
        let (noted, script) = (Arc::clone(&opened), Mutex::new(script.into_iter()));
        let open = move |range: Range<u64>| -> BoxFuture<'static, Result<Pieces, LibraryError>> {
            noted.lock().unwrap().push(range);
            let answer = script.lock().unwrap().next().unwrap_or_else(|| Err(broken()));
            let pieces = answer.map(|pieces| {
                stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from_static))).boxed()
            });
            Box::pin(async move { pieces })
        };
        let mut bytes = Vec::new();
        let result = async {
            let mut pieces = whole(range, again, open).await?;
            while let Some(piece) = pieces.next().await {
                bytes.extend(piece?);
            }
            Ok::<_, LibraryError>(())
        }
        .await;
        let opened = opened.lock().unwrap().clone();
        (result.map(|()| bytes).map_err(|error| error.to_string()), opened)
    }

    fn broken() -> LibraryError {
        LibraryError::Store("broken".into())
    }

    #[tokio::test]
    async fn what_breaks_off_is_gone_on_with_at_that_byte() {
        let script: Script = vec![
            Ok(vec![Ok(b"ab"), Err(broken())]),
            Err(broken()),
            // Ended too early, without a word.
            Ok(vec![Ok(b"c"), Ok(b"")]),
            Ok(vec![Ok(b"defgh")]),
        ];
        let (bytes, opened) = read(10..16, Again::WhereItBrokeOff, script).await;
        assert_eq!(bytes.as_deref(), Ok(&b"abcdef"[..]), "no byte more than was asked for");
        assert_eq!(opened, [10..16, 12..16, 12..16, 13..16]);
    }

    #[tokio::test]
    async fn a_short_file_is_never_a_success() {
        let (bytes, opened) = read(0..6, Again::Never, vec![Ok(vec![Ok(b"abc")])]).await;
        assert!(bytes.unwrap_err().contains("3 bytes too early"));
        assert_eq!(opened.len(), 1);
        let (bytes, opened) = read(0..6, Again::WhereItBrokeOff, vec![Ok(vec![Ok(b"abc")])]).await;
        assert!(bytes.unwrap_err().contains("broken"));
        assert_eq!(opened.len(), 1 + MAX_TRIES as usize);
    }

    #[tokio::test]
    async fn a_file_that_has_changed_is_not_gone_on_with() {
        let script: Script =
            vec![Ok(vec![Ok(b"abc"), Err(broken())]), Err(LibraryError::NotFound("a".into()))];
        let (bytes, opened) = read(0..6, Again::WhereItBrokeOff, script).await;
        assert!(bytes.is_err() && opened.len() == 2, "{bytes:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_read_at_all_is_told_at_once_and_nothing_is_nothing() {
        let (bytes, opened) = read(0..6, Again::WhereItBrokeOff, vec![Err(broken())]).await;
        assert!(bytes.is_err() && opened.len() == 1);
        assert_eq!(read(6..6, Again::Never, Vec::new()).await, (Ok(Vec::new()), Vec::new()));
    }
}
