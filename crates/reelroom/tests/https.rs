//! HTTPS of the real program: pages, WebSockets, HTTP/2 and what abuses it, certificates that change, and who is sent to it.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::path::Path;
use std::time::{Duration, Instant};

use common::Program;
use common::tls::{self, NAME, issue};
use reqwest::{Certificate, Client, StatusCode, Version};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A program with that certificate, on loopback, and settings beside it.
fn start(data: &Path, more: &[(&str, &str)]) -> (Program, String) {
    let root = issue(data);
    let (cert, key) = (data.join("chain.pem"), data.join("key.pem"));
    let files = [("TLS_CERT", cert.to_str().unwrap()), ("TLS_KEY", key.to_str().unwrap())];
    (Program::start(&[], data, &[files.as_slice(), more].concat()), root)
}

fn address(program: &Program) -> SocketAddr {
    let port = program.url.rsplit(':').next().unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

/// A browser that believes `root`, and finds `NAME` here.
fn browser(program: &Program, root: &str) -> reqwest::ClientBuilder {
    Client::builder()
        .tls_certs_only([Certificate::from_pem(root.as_bytes()).unwrap()])
        .redirect(reqwest::redirect::Policy::none())
        .resolve(NAME, address(program))
}

async fn connect(program: &Program, root: &str, protocol: &str) -> TlsStream<TcpStream> {
    tls::connect(address(program), root, &[protocol]).await
}

#[tokio::test]
async fn one_port_speaks_https_by_both_versions_and_http_as_ever_to_this_machine() {
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    assert!(program.url.starts_with("https://localhost:"), "{}", program.url);
    for (client, version) in [
        (browser(&program, &root), Version::HTTP_2),
        (browser(&program, &root).http1_only(), Version::HTTP_11),
    ] {
        let client = client.build().unwrap();
        let answer = client.get(format!("{}/settings.json", program.url)).send().await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, version));
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert!(headers.contains_key("permissions-policy"));
        assert!(!headers.contains_key("strict-transport-security"), "localhost is nobody's public name");
        // Its own page may ask, and one that came in the clear may not.
        let ask = |origin: &str| client.get(format!("{}/recordings", program.url)).header("origin", origin);
        assert_eq!(ask(&program.url).send().await.unwrap().status(), StatusCode::OK);
        let clear = program.url.replace("https", "http");
        assert_eq!(ask(&clear).send().await.unwrap().status(), StatusCode::FORBIDDEN);
        // A body comes through as well.
        let said = json!({ "roomName": "a", "participantName": "Ada" });
        let answer = client.post(format!("{}/token", program.url)).json(&said).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let plain = format!("http://{}/settings.json", address(&program));
    let answer = program.client.get(plain).send().await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    program.stop();
}

#[tokio::test]
async fn a_call_is_signalled_by_a_websocket_within_tls() {
    use futures::StreamExt as _;
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    let client = browser(&program, &root).build().unwrap();
    let said = json!({ "roomName": "a", "participantName": "Ada" });
    let answer = client.post(format!("{}/token", program.url)).json(&said).send().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = answer["token"].as_str().unwrap();
    let stream = connect(&program, &root, "http/1.1").await;
    let address = format!("wss://localhost/rtc?access_token={token}&protocol=16&auto_subscribe=1");
    let (mut socket, answer) = tokio_tungstenite::client_async(address, stream).await.unwrap();
    assert_eq!(answer.status().as_u16(), 101);
    let first = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
    assert!(first.is_binary(), "{first:?}");
    drop(socket);
    program.stop();
}

#[tokio::test]
async fn a_browser_is_told_to_come_by_https_alone_where_somebody_vouches_for_a_public_name() {
    let data = tempfile::tempdir().unwrap();
    let settings =
        [("PUBLIC_HOSTS", NAME), ("ACCESS", "invite"), ("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")];
    let (program, root) = start(data.path(), &settings);
    let client = browser(&program, &root).http1_only().build().unwrap();
    let port = address(&program).port();
    // As who comes by port 443 of whatever forwards it says it.
    let of = async |host: &str, said: &str| {
        let asked = client.get(format!("https://{host}:{port}/healthz")).header("host", said);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.headers().get("strict-transport-security").is_some()
    };
    assert!(of(NAME, NAME).await && of(NAME, &format!("{NAME}:443")).await);
    assert!(!of(NAME, &format!("{NAME}:{port}")).await, "there may be other servers beside this one");
    assert!(!of("localhost", "localhost").await);
    program.stop();
}

#[tokio::test]
async fn the_port_beside_it_sends_everybody_to_https() {
    let data = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (program, _) = start(data.path(), &[("HTTP_PORT", &free)]);
    let port = address(&program).port();
    let ask = |path: &str| program.client.get(format!("http://localhost:{free}{path}"));
    let answer = ask("/join?a=b").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()["location"], format!("https://localhost:{port}/join?a=b"));
    let refused = program.client.post(format!("http://localhost:{free}/token")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UPGRADE_REQUIRED);
    // No challenge is pending, and no name of others is sent on.
    let challenge = ask("/.well-known/acme-challenge/x").send().await.unwrap();
    assert_eq!(challenge.status(), StatusCode::PERMANENT_REDIRECT);
    let foreign = ask("/").header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::MISDIRECTED_REQUEST);
    program.stop();
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_served_and_one_that_is_broken_is_not() {
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    let serves = async |root: &str| {
        let client = browser(&program, root).build().unwrap();
        client.get(format!("{}/healthz", program.url)).send().await.is_ok()
    };
    assert!(serves(&root).await);
    // As if they had been written a while ago, so that nobody waits for the other half.
    let is_done = |file: &str| {
        let file = std::fs::File::options().write(true).open(data.path().join(file)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    };
    let newer = issue(data.path());
    is_done("chain.pem");
    is_done("key.pem");
    let began = Instant::now();
    while !serves(&newer).await {
        assert!(began.elapsed() < Duration::from_secs(30), "the new one is not served");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(!serves(&root).await);
    std::fs::write(data.path().join("key.pem"), "no key").unwrap();
    is_done("key.pem");
    let ready = async || {
        let client = browser(&program, &newer).build().unwrap();
        let answer = client.get(format!("{}/readyz", program.url)).send().await.unwrap();
        answer.text().await.unwrap()
    };
    while !ready().await.contains("the certificate is not renewed") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(serves(&newer).await, "the old one is served on");
    let log = program.stop();
    assert_eq!(
        log.matches("the new certificate cannot be used, and the old one is served on").count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn certificates_that_cannot_work_are_refused_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    issue(data.path());
    let chain = data.path().join("chain.pem");
    let other = tempfile::tempdir().unwrap();
    issue(other.path());
    let key = other.path().join("key.pem");
    let refusal = |settings: &[(&str, &str)]| match Program::try_start(&[], data.path(), settings) {
        Ok(program) => panic!("it runs at {}", program.url),
        Err(log) => log,
    };
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    assert!(refusal(&[("TLS_CERT", chain)]).contains("TLS_KEY"));
    assert!(refusal(&[("TLS_CERT", chain), ("TLS_KEY", key)]).contains("does not fit"));
    assert!(refusal(&[("TLS_CERT", "/none.pem"), ("TLS_KEY", key)]).contains("/none.pem"));
    assert!(refusal(&[("TLS", "acme")]).contains("PUBLIC_URL"));
}

#[tokio::test]
async fn where_others_come_by_address_the_server_has_a_certificate_of_its_own_and_says_what_to_press() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("LISTEN", "0.0.0.0"), ("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")];
    let mut program = Program::start(&[], data.path(), &settings);
    let answer = program.get("/healthz").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("strict-transport-security"));
    let link = program.line();
    assert!(link.contains(&format!("{}/owner#setup=", program.url)), "{link}");
    let port = program.url.rsplit(':').next().unwrap().to_owned();
    if !program.url.contains("localhost") {
        assert!(program.url.starts_with("https://"), "{}", program.url);
        // The same port by an address of the machine, in the clear.
        let clear = program.url.replace("https://", "http://");
        let page =
            program.client.get(format!("{clear}/owner")).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(page.headers()["location"], format!("{}/owner", program.url));
        program.refusal(program.client.get(format!("{clear}/recordings")), 426).await;
        // Whoever watches over it asks as ever.
        let health = program.client.get(format!("{clear}/healthz")).send().await.unwrap();
        assert_eq!(health.status(), StatusCode::OK);
    }
    let local = program.client.get(format!("http://localhost:{port}/healthz")).send().await.unwrap();
    assert_eq!(local.status(), StatusCode::OK);
    program.end();
    let mut said = String::new();
    loop {
        let line = program.line();
        if line.is_empty() {
            break;
        }
        said += &line;
    }
    assert!(said.contains("Advanced") && said.contains("SHA-256 fingerprint"), "{said}");
    program.stop();
    // The next start has the same one.
    let kept = |name: &str| std::fs::read(data.path().join("tls/own").join(name)).unwrap();
    let before = kept("cert.pem");
    Program::start(&[], data.path(), &settings).stop();
    assert_eq!(kept("cert.pem"), before);
}

#[tokio::test]
async fn slow_handshakes_keep_nobody_out_and_are_not_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = StdStream::connect(address(&program)).unwrap();
            stream.write_all(&[0x16, 0x03, 0x01]).unwrap();
            stream
        })
        .collect();
    let client = browser(&program, &root).build().unwrap();
    let began = Instant::now();
    let answer = client.get(format!("{}/healthz", program.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Who stops is not waited for: none of them is done.
    let began = Instant::now();
    program.stop();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    drop(slow);
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_OF_BOTH: u8 = 0x5;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// GET /settings.json, in HPACK without a table.
fn ask(stream: u32) -> Vec<u8> {
    let mut head = vec![0x82, 0x87];
    for (index, value) in [(0x04_u8, "/settings.json"), (0x01, "localhost")] {
        head.push(index);
        head.push(u8::try_from(value.len()).unwrap());
        head.extend(value.as_bytes());
    }
    frame(HEADERS, END_OF_BOTH, stream, &head)
}

fn hello() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

/// The kinds of the frames that come, with what resets say, until the connection ends or nothing comes for two seconds.
async fn heard(stream: &mut TlsStream<TcpStream>) -> (Vec<(u8, Option<u8>)>, bool) {
    let (mut bytes, mut frames, mut has_ended) = (Vec::new(), Vec::new(), false);
    let mut piece = vec![0; 64 * 1024];
    while let Ok(read) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut piece)).await {
        match read {
            Ok(count @ 1..) => bytes.extend(&piece[..count]),
            Ok(0) | Err(_) => {
                has_ended = true;
                break;
            }
        }
    }
    let mut rest = bytes.as_slice();
    while let [first, second, third, kind, _, _, _, _, _, behind @ ..] = rest {
        let length = (usize::from(*first) << 16) | (usize::from(*second) << 8) | usize::from(*third);
        let Some(payload) = behind.get(..length) else { break };
        frames.push((*kind, (*kind == RST_STREAM).then(|| payload[3])));
        rest = &behind[length..];
    }
    (frames, has_ended)
}

#[tokio::test]
async fn requests_that_are_asked_and_given_up_at_once_end_the_connection() {
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    let mut stream = connect(&program, &root, "h2").await;
    stream.write_all(&hello()).await.unwrap();
    let both = |at: u32| {
        let id = 2 * at + 1;
        [ask(id), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat()
    };
    // Many at once, as whoever does it for harm.
    for hundred in 0..50 {
        let pairs: Vec<u8> = (0..100).flat_map(|at| both(100 * hundred + at)).collect();
        if stream.write_all(&pairs).await.is_err() {
            break;
        }
    }
    let (frames, has_ended) = heard(&mut stream).await;
    assert!(has_ended || frames.iter().any(|(kind, _)| *kind == GOAWAY), "it goes on as if nothing were");
    let client = browser(&program, &root).build().unwrap();
    let answer = client.get(format!("{}/healthz", program.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    program.stop();
}

#[tokio::test]
async fn a_thousand_streams_are_answered_or_refused_one_by_one_and_cost_nobody_else() {
    const REFUSED_STREAM: u8 = 7;
    let data = tempfile::tempdir().unwrap();
    let (program, root) = start(data.path(), &[]);
    let mut stream = connect(&program, &root, "h2").await;
    let asked: Vec<u8> = (0..1000_u32).flat_map(|at| ask(2 * at + 1)).collect();
    stream.write_all(&[hello(), asked].concat()).await.unwrap();
    let client = browser(&program, &root).build().unwrap();
    let answer = client.get(format!("{}/healthz", program.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let (frames, _) = heard(&mut stream).await;
    let answered = frames.iter().filter(|(kind, _)| *kind == HEADERS).count();
    let refused = frames.iter().filter(|frame| **frame == (RST_STREAM, Some(REFUSED_STREAM))).count();
    assert!(answered >= 60, "{answered} answered, {refused} refused");
    assert_eq!(answered + refused, 1000);
    program.stop();
}
