//! What is answered to whoever comes without encryption, where HTTPS is to be had.
//!
//! ```text
//!   /.well-known/acme-challenge/TOKEN ─► its answer, while it is pending
//!   from loopback                     ─► as ever: nobody listens there
//!   a page that a person opens        ─► 308 to https
//!   /healthz, /readyz, webhooks       ─► as ever: who asks for them is told no secret, and tells none
//!   everything else                   ─► 426, or as ever for a media server
//! ```

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    self, ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HOST, LOCATION, UPGRADE,
};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use reelroom_certs::Certificates;

use crate::front::Way;
use crate::front::refusal::Form;
use crate::front::sites::HostName;
use crate::public_url::PublicUrl;

const CHALLENGES: &str = "/.well-known/acme-challenge/";
const HTTPS_PORT: u16 = 443;

/// What those get who come without encryption from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Pages are sent to https at the same port, and everything else is refused that may have a secret in it: no password goes in the clear.
    Refused,
    /// Pages are sent to https, and everything else is served: tokens are for programs that were told where to go.
    Served,
    /// This port is for nothing but to send everybody to https at another one.
    Sent(u16),
}

/// HTTPS at a port.
#[derive(Clone)]
pub(crate) struct Https {
    pub(crate) certificates: Certificates,
    pub(crate) plain: Plain,
}

impl Https {
    /// What is answered to the question of an ACME server.
    pub(super) fn challenge(&self, request: &Request) -> Option<Response> {
        let token = request.uri().path().strip_prefix(CHALLENGES)?;
        let mut response = Response::new(Body::from(self.certificates.challenge(token)?));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        Some(response)
    }

    /// What is said to somebody who asked for `asked` instead of being looked at. They came by a name of this server, which may be that of its
    /// address `public`.
    pub(super) fn turn(
        &self,
        request: &Request,
        asked: &Uri,
        form: Form,
        way: &Way,
        public: Option<&PublicUrl>,
    ) -> Option<Response> {
        if way.is_tls {
            return None;
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let goes = match self.plain {
            Plain::Sent(_) => is_read,
            Plain::Refused | Plain::Served if way.peer.ip().to_canonical().is_loopback() => return None,
            Plain::Refused | Plain::Served => is_read && is_page(request),
        };
        match (goes.then(|| self.address(request, asked, public)).flatten(), self.plain) {
            (Some(address), _) => Some(sent(&address)),
            (None, Plain::Served) => None,
            (None, Plain::Refused) if has_no_secret(request) => None,
            (None, Plain::Refused | Plain::Sent(_)) => Some(refused(form)),
        }
    }

    /// The same by https.
    fn address(&self, request: &Request, asked: &Uri, public: Option<&PublicUrl>) -> Option<String> {
        let host = request.headers().get(HOST)?.to_str().ok()?;
        let (name, port) = HostName::of_authority(host.trim())?;
        let port = match (public.filter(|public| public.is_https() && *public.host() == name), self.plain) {
            // Where ports are forwarded, those inside lead nowhere.
            (Some(public), _) => Some(public.port()),
            (None, Plain::Sent(to)) => Some(to),
            (None, Plain::Refused | Plain::Served) => port,
        };
        let port = port.filter(|port| *port != HTTPS_PORT).map(|port| format!(":{port}")).unwrap_or_default();
        let path = asked.path_and_query().map_or("/", |path| path.as_str());
        // "//host" would lead elsewhere in a browser that resolved it; with a host before it, it does not.
        Some(format!("https://{name}{port}{path}"))
    }
}

fn is_page(request: &Request) -> bool {
    let accepts = request.headers().get_all(ACCEPT).iter();
    accepts.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

/// Whether it is a question of whoever watches over this server and shows nothing for it, or what a media server elsewhere tells it: what
/// that signs lets nobody in.
fn has_no_secret(request: &Request) -> bool {
    let path = request.uri().path();
    let shows = [AUTHORIZATION, COOKIE].iter().any(|name| request.headers().contains_key(name));
    match *request.method() {
        Method::GET | Method::HEAD => matches!(path, "/healthz" | "/readyz") && !shows,
        Method::POST => path == "/livekit/webhook",
        _ => false,
    }
}

fn sent(address: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(address) = HeaderValue::try_from(address) {
        response.headers_mut().insert(LOCATION, address);
        // Who sets the server up otherwise tomorrow is not sent to https for ever.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn refused(form: Form) -> Response {
    let mut response = form.refuse(
        StatusCode::UPGRADE_REQUIRED,
        "this server is reached by https:// from other machines: without it, everybody on the way would read passwords and tokens",
    );
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("TLS/1.2"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reelroom_certs::{CertsConfig, Served, Source};

    use super::*;

    fn https(folder: &std::path::Path, plain: Plain) -> Https {
        let served = Arc::new(|| Served::new(["192.0.2.7".to_owned()], []));
        let config = CertsConfig { folder: folder.to_owned(), source: Source::Own, served };
        Https { certificates: Certificates::open(config).unwrap(), plain }
    }

    fn turned(https: &Https, peer: &str, is_tls: bool, request: &str) -> Option<(u16, String)> {
        turned_at(https, peer, is_tls, request, None)
    }

    fn turned_at(
        https: &Https,
        peer: &str,
        is_tls: bool,
        request: &str,
        public: Option<&str>,
    ) -> Option<(u16, String)> {
        let public = public.map(|url| url.parse().unwrap());
        let mut lines = request.lines().map(str::trim);
        let (method, uri) = lines.next().unwrap().split_once(' ').unwrap();
        let mut built = Request::builder().method(method).uri(uri);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            built = built.header(name, value);
        }
        let way = Way { peer: format!("{peer}:5").parse().unwrap(), local: [192, 0, 2, 7].into(), is_tls };
        let built = built.body(Body::empty()).unwrap();
        let response = https.turn(&built, built.uri(), Form::Rest, &way, public.as_ref())?;
        let address = response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
        Some((response.status().as_u16(), address.unwrap_or_default()))
    }

    #[test]
    fn pages_are_sent_to_https_and_nothing_else_is_said_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let page = "GET /owner?x=1\nHost: 192.0.2.7:6080\nAccept: text/html,*/*";
        let call = "POST /owner/session\nHost: 192.0.2.7:6080";
        let sent = |address: &str| Some((308, address.to_owned()));
        let refused = Some((426, String::new()));
        let own = https(folder.path(), Plain::Refused);
        assert_eq!(turned(&own, "192.0.2.9", false, page), sent("https://192.0.2.7:6080/owner?x=1"));
        assert_eq!(turned(&own, "192.0.2.9", false, call), refused);
        assert_eq!(
            turned(&own, "192.0.2.7", false, call),
            refused,
            "this machine by its address is no secure context"
        );
        assert_eq!(turned(&own, "192.0.2.9", false, "GET /recordings\nHost: 192.0.2.7"), refused);
        for open in ["GET /healthz", "HEAD /readyz", "POST /livekit/webhook"] {
            let open = format!("{open}\nHost: 192.0.2.7:6080");
            assert_eq!(turned(&own, "192.0.2.9", false, &open), None, "{open}");
            let only = https(folder.path(), Plain::Sent(443));
            assert_ne!(turned(&only, "192.0.2.9", false, &open), None, "{open}");
        }
        let key = "GET /readyz\nAuthorization: Bearer key";
        for shut in [key, "POST /readyz", "GET /livekit/webhook", "GET /healthzz", "GET /metrics"] {
            let shut = format!("{shut}\nHost: 192.0.2.7:6080");
            assert_eq!(turned(&own, "192.0.2.9", false, &shut), refused, "{shut}");
        }
        for (peer, is_tls) in [("127.0.0.1", false), ("[::1]", false), ("192.0.2.9", true)] {
            assert_eq!(turned(&own, peer, is_tls, call), None, "{peer}");
            assert_eq!(turned(&own, peer, is_tls, page), None, "{peer}");
        }
        let media = https(folder.path(), Plain::Served);
        assert_eq!(turned(&media, "192.0.2.9", false, call), None);
        assert_eq!(turned(&media, "192.0.2.9", false, page), sent("https://192.0.2.7:6080/owner?x=1"));
        for (port, expected) in
            [(443, "https://calls.example.org/a"), (8443, "https://calls.example.org:8443/a")]
        {
            let only = https(folder.path(), Plain::Sent(port));
            assert_eq!(turned(&only, "127.0.0.1", false, "GET /a\nHost: calls.example.org"), sent(expected));
            assert_eq!(
                turned(&only, "127.0.0.1", false, "GET /a\nHost: calls.example.org:80"),
                sent(expected)
            );
            assert_eq!(turned(&only, "127.0.0.1", false, "POST /a\nHost: calls.example.org"), refused);
        }
        // Ports are forwarded: 443 to 8443, and 80 to another one.
        let only = https(folder.path(), Plain::Sent(8443));
        for (public, host, expected) in [
            ("https://calls.example.org", "calls.example.org", "https://calls.example.org/a"),
            ("https://calls.example.org:444", "calls.example.org:80", "https://calls.example.org:444/a"),
            ("https://calls.example.org", "192.0.2.7", "https://192.0.2.7:8443/a"),
            ("http://192.168.1.5:8080", "192.168.1.5:8080", "https://192.168.1.5:8443/a"),
        ] {
            let asked = format!("GET /a\nHost: {host}");
            assert_eq!(turned_at(&only, "192.0.2.9", false, &asked, Some(public)), sent(expected));
        }
        let page_by_name = "GET /a\nHost: calls.example.org:6080\nAccept: text/html";
        assert_eq!(
            turned_at(&own, "192.0.2.9", false, page_by_name, Some("https://calls.example.org")),
            sent("https://calls.example.org/a")
        );
        assert_eq!(
            turned(&own, "192.0.2.9", false, "GET //evil.example\nHost: 192.0.2.7\nAccept: text/html"),
            sent("https://192.0.2.7//evil.example")
        );
    }
}
