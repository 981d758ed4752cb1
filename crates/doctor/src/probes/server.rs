//! Whether the server of these settings runs: it is asked at its own address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ask::{Deaf, Heard, Question, ask};
use super::sockets;
use super::tls::Trust;
use crate::checks::server::ServerFacts;
use crate::subject::{Http, Subject};

/// Where this machine reaches it.
pub(crate) fn own_address(http: Http) -> SocketAddr {
    let ip = match http.listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, http.port)
}

/// Asks.
pub(crate) fn probe(subject: &Subject, trust: &Trust) -> ServerFacts {
    let locked_by = sockets::locker(&subject.data.path.join("lock"));
    let nobody = ServerFacts { locked_by: locked_by.clone(), ..ServerFacts::default() };
    // Which port a server with any free port has, it alone knows.
    if subject.http.port == 0 {
        return nobody;
    }
    let Some(scheme) = schemes(subject).into_iter().find(|is_https| is_reelroom(subject, *is_https, trust))
    else {
        return nobody;
    };
    let to = own_address(subject.http);
    let at = Some(format!("{}://{to}", if scheme { "https" } else { "http" }));
    let (mut trouble, mut warnings) = (None, Vec::new());
    match question(subject, scheme, "/readyz", trust) {
        Ok(heard) => {
            let said = heard.json().unwrap_or_default();
            if heard.status != 200 {
                let text =
                    said["errorMessage"].as_str().unwrap_or("it says no more to those who are not signed in");
                trouble = Some(text.to_owned());
            }
            let told = said["warnings"].as_array().into_iter().flatten();
            warnings.extend(told.filter_map(|warning| warning.as_str()).map(str::to_owned));
        }
        Err(deaf) => trouble = Some(deaf.to_string()),
    }
    ServerFacts { at, trouble, warnings, locked_by }
}

/// With HTTPS it speaks plain HTTP to this machine, too, at loopback addresses.
fn schemes(subject: &Subject) -> Vec<bool> {
    if subject.https.is_on() { vec![true, false] } else { vec![false] }
}

fn question(subject: &Subject, is_https: bool, path: &str, trust: &Trust) -> Result<Heard, Deaf> {
    let to = own_address(subject.http);
    let (name, host) = (to.ip().to_string(), to.to_string());
    ask(&Question { to, is_https, name: &name, host: &host, method: "GET", path, call: None }, trust)
}

fn is_reelroom(subject: &Subject, is_https: bool, trust: &Trust) -> bool {
    let ask = |path: &str| question(subject, is_https, path, trust).ok();
    ask("/healthz").is_some_and(|heard| says_ok(&heard))
        && ask("/settings.json").is_some_and(|heard| says_access(&heard))
}

fn says_ok(heard: &Heard) -> bool {
    heard.status == 200 && heard.json().is_some_and(|said| said["status"] == "ok")
}

/// Many programs are healthy; few have settings with these words.
pub(crate) fn says_access(heard: &Heard) -> bool {
    let access = heard.json().and_then(|said| Some(said["access"].as_str()?.to_owned()));
    heard.status == 200 && access.is_some_and(|access| matches!(access.as_str(), "open" | "invite"))
}
