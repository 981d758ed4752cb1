//! What a composer says, line by line. It reads the media of strangers, so that no line is kept that is longer than one may be.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// The lines of a composer's output.
pub(super) struct Lines<R> {
    said: BufReader<R>,
    most_bytes: usize,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Line(String),
    /// It was longer than a line may be, and is left out.
    TooLong,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(said: R, most_bytes: usize) -> Self {
        Self { said: BufReader::new(said), most_bytes }
    }

    /// The next one; `None` when the composer says no more.
    pub(super) async fn next(&mut self) -> io::Result<Option<Spoken>> {
        let mut line = Vec::new();
        // With its end.
        let most = self.most_bytes as u64 + 1;
        (&mut self.said).take(most).read_until(b'\n', &mut line).await?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(spoken(&line))),
            Some(_) if line.len() == self.most_bytes => {
                self.leave_out().await?;
                Ok(Some(Spoken::TooLong))
            }
            Some(last) => {
                line.push(last);
                Ok(Some(spoken(&line)))
            }
        }
    }

    async fn leave_out(&mut self) -> io::Result<()> {
        loop {
            let some = self.said.fill_buf().await?;
            let end = some.iter().position(|byte| *byte == b'\n');
            let (read, is_over) = (end.map_or(some.len(), |end| end + 1), end.is_some() || some.is_empty());
            self.said.consume(read);
            if is_over {
                return Ok(());
            }
        }
    }
}

fn spoken(line: &[u8]) -> Spoken {
    Spoken::Line(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_left_out_and_the_next_one_is_heard() {
        let said = format!("one\n12345678\n{}\nan end", "x".repeat(100_000));
        let mut lines = Lines::new(said.as_bytes(), 8);
        let mut heard = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            heard.push(line);
        }
        let line = |text: &str| Spoken::Line(text.into());
        assert_eq!(heard, [line("one"), line("12345678"), Spoken::TooLong, line("an end")]);
        let mut lines = Lines::new(&b"no \xff text\n123456789"[..], 10);
        assert_eq!(lines.next().await.unwrap(), Some(line("no \u{fffd} text")));
        assert_eq!(lines.next().await.unwrap(), Some(line("123456789")));
        let mut lines = Lines::new(&b"123456789"[..], 8);
        assert_eq!(lines.next().await.unwrap(), Some(Spoken::TooLong));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
