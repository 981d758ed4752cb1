//! Asks a running server how it is, as a container or a script does that has no other program for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

/// A server that works answers in a moment.
const WITHIN: Duration = Duration::from_secs(10);
/// More than what is answered has.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Which question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether the program answers at all: also one that has no such route, as `reelroom media` has not.
    Alive,
    /// Whether calls and recordings work.
    Ready,
}

/// Asks the server at an address of this machine.
///
/// # Errors
/// It does not answer, or says no, in its own words.
pub(crate) fn ask(at: SocketAddr, question: Question) -> anyhow::Result<()> {
    let path = match question {
        Question::Alive => "/healthz",
        Question::Ready => "/readyz",
    };
    let answer = get(at, path).with_context(|| format!("the server at {at} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match (question, status) {
        (_, Some(200)) | (Question::Alive, Some(400..500)) => Ok(()),
        (_, Some(status)) => anyhow::bail!("the server at {at} answers {status}: {}", body.trim()),
        (_, None) => anyhow::bail!("what is at {at} does not speak HTTP: is it another program?"),
    }
}

fn get(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&at, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What somebody hears of a server that answers so.
    fn heard(answer: &'static str, question: Question) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let heard = ask(at, question).map_err(|error| format!("{error:#}"));
        let path = if question == Question::Ready { "/readyz" } else { "/healthz" };
        assert!(server.join().unwrap().starts_with(&format!("GET {path} HTTP/1.1\r\nhost: {at}\r\n")));
        heard
    }

    #[test]
    fn an_answer_is_a_sign_of_life_and_yes_alone_means_ready() {
        const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        const MISSING: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        const BUSY: &str =
            "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"errorMessage\":\"the disk takes nothing\"}";
        for question in [Question::Alive, Question::Ready] {
            assert_eq!(heard(OK, question), Ok(()));
            assert!(
                heard(BUSY, question)
                    .unwrap_err()
                    .contains("503: {\"errorMessage\":\"the disk takes nothing\"}")
            );
            assert!(heard("SSH-2.0-OpenSSH_9.2\r\n", question).unwrap_err().contains("does not speak HTTP"));
        }
        assert_eq!(heard(MISSING, Question::Alive), Ok(()));
        assert!(heard(MISSING, Question::Ready).unwrap_err().contains("answers 404"));
    }

    #[test]
    fn who_is_not_there_does_not_answer() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(format!("{:#}", ask(gone, Question::Alive).unwrap_err()).contains("does not answer"));
    }
}
