//! One HTTP request on a connection of its own: who answers at an address, by which status, and what certificate they show.
//!
//! A client that follows redirects and tries addresses in turn would hide what is to be found out here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::tls::{Shown, Trust};

/// For a connection, and for each piece of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For an answer as a whole.
const WITHIN: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// What is asked, and of whom.
pub(crate) struct Question<'a> {
    pub(crate) to: SocketAddr,
    /// By HTTPS.
    pub(crate) is_https: bool,
    /// The host that a certificate has to name, without a port.
    pub(crate) name: &'a str,
    /// What `Host` says.
    pub(crate) host: &'a str,
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// A token, and a body in JSON.
    pub(crate) call: Option<(&'a str, &'a str)>,
}

/// What is answered.
pub(crate) struct Heard {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) shown: Option<Shown>,
    /// When it came.
    pub(crate) at: SystemTime,
}

/// Why nothing is answered.
#[derive(Debug)]
pub(crate) enum Deaf {
    /// Nobody listens there.
    Refused,
    /// Nothing came in time.
    Silent,
    /// There is no way there.
    Unreachable(String),
    /// They speak no TLS, or none that we do.
    NoTls(String),
    /// They speak no HTTP, or end in the middle.
    NoHttp(String),
}

impl std::fmt::Display for Deaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("nobody listens there"),
            Self::Silent => write!(f, "nothing came in {} s", PATIENCE.as_secs()),
            Self::Unreachable(why) => f.write_str(why),
            Self::NoTls(why) => write!(f, "no HTTPS is spoken there ({why})"),
            Self::NoHttp(why) => write!(f, "no HTTP is spoken there ({why})"),
        }
    }
}

impl Heard {
    /// What a header says.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }

    /// What the server takes for the time.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        self.header("date").and_then(|date| httpdate::parse_http_date(date).ok())
    }

    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Asks.
pub(crate) fn ask(question: &Question<'_>, trust: &Trust) -> Result<Heard, Deaf> {
    let mut socket =
        TcpStream::connect_timeout(&question.to, PATIENCE).map_err(|error| unconnected(&error))?;
    let set = socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
    set.map_err(|error| Deaf::Unreachable(error.to_string()))?;
    if !question.is_https {
        return converse(question, &mut socket).map(|(bytes, at)| (bytes, at, None)).and_then(heard);
    }
    let no_tls = |error: &dyn std::fmt::Display| Deaf::NoTls(error.to_string());
    let name = ServerName::try_from(question.name.to_owned()).map_err(|error| no_tls(&error))?;
    let (config, witness) = trust.witness().map_err(|error| no_tls(&error))?;
    let mut connection = ClientConnection::new(config, name).map_err(|error| no_tls(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| match is_late(&error) {
            true => Deaf::Silent,
            false => no_tls(&error),
        })?;
    }
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    let (bytes, at) = converse(question, &mut stream)?;
    heard((bytes, at, witness.saw()))
}

fn unconnected(error: &io::Error) -> Deaf {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Deaf::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Deaf::Silent,
        _ => Deaf::Unreachable(error.to_string()),
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

fn converse<S: Read + Write>(question: &Question<'_>, stream: &mut S) -> Result<(Vec<u8>, SystemTime), Deaf> {
    let Question { method, path, host, .. } = question;
    let agent = concat!("reelroom-doctor/", env!("CARGO_PKG_VERSION"));
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n");
    match question.call {
        Some((token, body)) => {
            let length = body.len();
            request += &format!(
                "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
        None => request += "\r\n",
    }
    let broken =
        |error: &io::Error| if is_late(error) { Deaf::Silent } else { Deaf::NoHttp(error.to_string()) };
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(|error| broken(&error))?;
    let (mut bytes, mut piece, began) = (Vec::new(), [0; 4096], Instant::now());
    while bytes.len() < ANSWER_BYTES && began.elapsed() < WITHIN && !is_whole(&bytes) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Some end without taking their leave.
            Err(_) if !bytes.is_empty() => break,
            Err(error) => return Err(broken(&error)),
        }
    }
    Ok((bytes, SystemTime::now()))
}

/// Whether all has come that was announced.
fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = parts(bytes) else { return false };
    if is_chunked(&head) {
        return unchunked(body).is_some_and(|(_, is_over)| is_over);
    }
    let length = value(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// Whether a body comes in chunks, as proxies pass it on whose own end has not told them the length.
fn is_chunked(head: &str) -> bool {
    value(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

/// What is in the chunks (RFC 9112, 7.1), and whether the last one has come; none for what are no chunks.
fn unchunked(mut rest: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Some((body, false)) };
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some((body, true));
        }
        let chunk = &rest[end + 2..];
        if chunk.len() < length {
            body.extend_from_slice(chunk);
            return Some((body, false));
        }
        body.extend_from_slice(&chunk[..length]);
        rest = chunk[length..].strip_prefix(b"\r\n").unwrap_or_default();
    }
}

/// What a header says.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The head, and what is behind it.
fn parts(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 4..]))
}

fn heard((bytes, at, shown): (Vec<u8>, SystemTime, Option<Shown>)) -> Result<Heard, Deaf> {
    let no_http = || Deaf::NoHttp("what comes is no answer of a web server".to_owned());
    let (head, body) = parts(&bytes).ok_or_else(no_http)?;
    let first = head.lines().next().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = first.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).ok_or_else(no_http)?;
    let body = match is_chunked(&head) {
        true => unchunked(body).ok_or_else(no_http)?.0,
        false => body.to_vec(),
    };
    Ok(Heard { status, head, body, shown, at })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static [u8]) -> Result<Heard, Deaf> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut piece = [0; 1024];
            let count = socket.read(&mut piece).unwrap();
            socket.write_all(answer).unwrap();
            String::from_utf8_lossy(&piece[..count]).into_owned()
        });
        let question = Question {
            to,
            is_https: false,
            name: "localhost",
            host: "localhost:1",
            method: "GET",
            path: "/healthz",
            call: None,
        };
        let heard = ask(&question, &Trust::of_this_machine());
        assert!(server.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\nHost: localhost:1\r\n"));
        heard
    }

    #[test]
    fn an_answer_is_read_as_far_as_it_is_one() {
        let heard = answered(
            b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}",
        );
        let heard = heard.unwrap_or_else(|deaf| panic!("{deaf}"));
        assert_eq!((heard.status, heard.json().unwrap()["status"].as_str()), (200, Some("ok")));
        assert_eq!(heard.date(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)));
        assert!(matches!(answered(b"SSH-2.0-OpenSSH_9.2\r\n"), Err(Deaf::NoHttp(_))));
        assert!(matches!(answered(b""), Err(Deaf::NoHttp(_))));
    }

    #[test]
    fn an_answer_in_chunks_is_read_as_one() {
        let heard = answered(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9;x=y\r\n{\"access\"\r\n8\r\n:\"open\"}\r\n0\r\n\r\n",
        );
        let heard = heard.unwrap_or_else(|deaf| panic!("{deaf}"));
        assert_eq!(heard.json().unwrap()["access"], "open");
        let over = |text: &[u8]| unchunked(text).map(|(body, is_over)| (body.len(), is_over));
        assert_eq!(over(b"5\r\nab"), Some((2, false)), "more is to come");
        assert_eq!(over(b"2\r\nab\r\n0\r\n\r\n"), Some((2, true)));
        assert_eq!(over(b"<html>\r\n"), None);
        assert_eq!(over(b"ffffffffffffffff\r\nab"), Some((2, false)));
    }

    #[test]
    fn nobody_is_told_from_somebody() {
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let question =
            Question { to, is_https: false, name: "x", host: "x", method: "GET", path: "/", call: None };
        assert!(matches!(ask(&question, &Trust::of_this_machine()), Err(Deaf::Refused)));
    }
}
