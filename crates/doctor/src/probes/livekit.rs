//! A LiveKit server outside: it is asked for rooms that there are none of, as the program itself does it; and the clocks of others.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use url::{Host, Url};

use super::ask::{Deaf, Heard, Question, ask};
use super::public_name::resolve;
use super::tls::Trust;
use crate::checks::clock::Other;
use crate::checks::livekit::{Answer, LiveKitFacts};
use crate::checks::public_name::Distrust;
use crate::subject::{LiveKit, PublicAddress, Subject};

/// So long the token is good.
const VALID_S: u64 = 60;
const LIST_ROOMS: &str = "twirp/livekit.RoomService/ListRooms";
/// A room that nobody has, so that the answer is short.
const NOBODY: &str = r#"{"names":["-"]}"#;

/// Asks; and what the server takes for the time, if it is another machine.
pub(crate) fn probe(subject: &Subject, trust: &Trust) -> Option<(LiveKitFacts, Option<Other>)> {
    let livekit = subject.livekit.as_ref()?;
    let shown = super::store::place(livekit.url.as_str());
    let (answer, other) = match &livekit.keys {
        None => (Answer::NoKey, None),
        Some((key, secret)) => match rooms(livekit, &ApiKeys::new(key.clone(), secret.clone()), trust) {
            Ok(heard) => (answered(&heard), clock_of(&shown, &heard)),
            Err(why) => (Answer::None(why), None),
        },
    };
    let is_local = is_local(&livekit.url);
    let facts = LiveKitFacts {
        url: shown,
        answer,
        is_local,
        is_reached: !subject.public.is_empty() || !subject.http.listen.is_loopback(),
        webhook: webhook(subject),
    };
    // A clock of this machine is this one.
    Some((facts, other.filter(|_| !is_local)))
}

/// What a bucket's server takes for the time.
pub(crate) fn clock_of_bucket(subject: &Subject, trust: &Trust) -> Option<Other> {
    let endpoint = subject.bucket.as_ref()?.config.endpoint.as_deref()?;
    // Without a scheme it is reached by HTTPS.
    let is_whole = endpoint.contains("://");
    let endpoint =
        Url::parse(&if is_whole { endpoint.to_owned() } else { format!("https://{endpoint}") }).ok()?;
    if is_local(&endpoint) {
        return None;
    }
    let heard = call(&endpoint, "HEAD", "/", None, trust).ok()?;
    clock_of(&super::store::place(endpoint.as_str()), &heard)
}

fn clock_of(whose: &str, heard: &Heard) -> Option<Other> {
    Some(Other { of: whose.to_owned(), says: heard.date()?, heard: heard.at })
}

fn answered(heard: &Heard) -> Answer {
    match heard.shown.as_ref().and_then(|shown| shown.distrust.as_ref()) {
        None => Answer::Status(heard.status),
        Some(Distrust::Time) => Answer::Distrusted("it is not valid now".to_owned()),
        Some(Distrust::Name) => Answer::Distrusted("it is for other names".to_owned()),
        Some(Distrust::Unknown(why)) => Answer::Distrusted(why.clone()),
    }
}

fn rooms(livekit: &LiveKit, keys: &ApiKeys, trust: &Trust) -> Result<Heard, String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let grants = VideoGrants { room_list: true, ..VideoGrants::default() };
    let claims = Claims { exp: now_s + VALID_S, video: Some(grants), ..Claims::default() };
    let token = mint(keys, claims);
    let path = format!("{}/{LIST_ROOMS}", livekit.url.path().trim_end_matches('/'));
    call(&livekit.url, "POST", &path, Some((&token, NOBODY)), trust)
}

/// Asks the first address that answers.
fn call(
    url: &Url,
    method: &'static str,
    path: &str,
    call: Option<(&str, &str)>,
    trust: &Trust,
) -> Result<Heard, String> {
    let is_https = matches!(url.scheme(), "wss" | "https");
    let port = url.port().unwrap_or(if is_https { 443 } else { 80 });
    let name = match url.host().ok_or("it names no host")? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut trouble = "its name leads nowhere".to_owned();
    for ip in resolve(&name)? {
        let to = SocketAddr::new(ip, port);
        match ask(&Question { to, is_https, name: &name, host: &host, method, path, call }, trust) {
            Ok(heard) => return Ok(heard),
            Err(deaf @ (Deaf::NoTls(_) | Deaf::NoHttp(_))) => return Err(deaf.to_string()),
            Err(deaf) => trouble = format!("{to}: {deaf}"),
        }
    }
    Err(trouble)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn webhook(subject: &Subject) -> String {
    match subject.public.first().map(PublicAddress::url) {
        Some(url) => format!("{url}/livekit/webhook"),
        None => format!("http://{}/livekit/webhook", SocketAddr::new(subject.http.listen, subject.http.port)),
    }
}
