//! The front: what holds for every request, whoever it is for, before anybody looks at it and after they answered.
//!
//! ```text
//!   connection ─► listener ─► Front ─► forwarded: what proxies say, where they are believed; the prefix of PUBLIC_URL
//!                                    ─► sites: by which name, from which page?   no: 400, 421, 403
//!   (connections: who                  body: does all of it come in time?       no: 408, 413
//!    has to go;                        traffic: is there room for one more?     no: 503
//!    head: how much is kept;             └─► doors of app, media, egress ─► refusals in the form of each API
//!    seat: until an answer is taken;
//!    tls: a handshake, then http1 or http2, whose requests are streams;
//!    media: what is no request, and belongs to calls)
//! ```
//!
//! # Invariants
//!
//! - It knows no route, and no right beyond that of a page to ask: tokens are for those behind it.
//! - Nobody takes a place among the requests that are worked on before all of theirs has come: to send slowly costs others nothing.
//! - Behind it paths have no prefix, and what proxies say holds: what is not believed is not there.
//! - A refusal is told to whoever ran into it, in the form that is expected there, and in the log once.

mod behind;
mod body;
pub(crate) mod connections;
pub(crate) mod forwarded;
mod frames;
mod head;
mod headers;
mod http1;
mod http2;
pub(crate) mod listener;
mod media;
pub(crate) mod plain;
mod refusal;
mod seat;
pub mod sites;
mod socket;
mod streams;
mod tls;
mod traffic;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{self, CONNECTION, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use reelroom_certs::Certificates;
use reelroom_limits::asker::Asker;
use reelroom_limits::events::{FOLLOWERS, FOLLOWERS_OF_AN_ADDRESS};
use reelroom_limits::http as limits;
use reelroom_limits::pace::{Paces, Rate, TooFast};
use reelroom_limits::tls as tls_limits;
use reelroom_media::MediaServer;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, AllowPrivateNetwork, CorsLayer};

use self::behind::Behind;
use self::body::{Held, Trouble};
use self::connections::{Bounds, Client};
use self::head::Head;
use self::headers::Told;
use self::plain::Https;
use self::refusal::Form;
use self::seat::{Goes, Pace, Sending};
use self::sites::{CurrentSites, HostName, Refusal, Sites, Visit};
use self::traffic::{Busy, Slot, Traffic};
use crate::public_url::PublicUrl;

const CORS_MAX_AGE: Duration = Duration::from_secs(86_400);
const HTTPS_PORT: u16 = 443;
/// By which a proxy says how whoever it speaks for came.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// So many different refusals of names and pages are in the log; more of them would be somebody's game.
const TOLD_REFUSALS: usize = 100;
/// The addresses of a machine seldom change.
const ADDRESSES_HOLD: Duration = Duration::from_secs(2);

/// A handle to what stands before all doors.
#[derive(Clone)]
pub(crate) struct Front {
    shared: Arc<Shared>,
}

struct Shared {
    behind: Behind,
    sites: CurrentSites,
    shares: Shares,
    told: Mutex<HashSet<Refusal>>,
    machine: Mutex<(Option<Instant>, Vec<IpAddr>)>,
    /// Of a port that speaks it.
    https: Option<Https>,
    /// Whose media comes by this port, too.
    media: Option<MediaServer>,
    handshakes: Mutex<Paces<Client>>,
}

/// By which way a request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) peer: SocketAddr,
    /// The address that it came to.
    pub(crate) local: IpAddr,
    /// Encrypted, by this program itself.
    pub(crate) is_tls: bool,
}

/// What a request comes to, and what that holds until it is taken.
pub(crate) struct Answer {
    response: Response,
    sending: Sending,
}

/// What is shared out among those who ask; what there is none of has no bound.
#[derive(Default)]
struct Shares {
    work: Option<Traffic>,
    joins: Option<Traffic>,
    downloads: Option<Traffic>,
    followers: Option<Traffic>,
    bodies: Option<Traffic>,
    heads: Option<Traffic>,
    sockets: Option<Traffic>,
    handshakes: Option<Traffic>,
}

impl Shares {
    fn of_everybody(connections: Bounds) -> Self {
        let share = |total, of_an_address| Some(Traffic::new(total, of_an_address));
        let sockets = (connections.total * limits::WEBSOCKETS_PERCENT / 100).max(1);
        Self {
            work: share(limits::REQUESTS, limits::REQUESTS_OF_AN_ADDRESS),
            // A join may wait for its turn, and costs little until then.
            joins: share(limits::JOINS, limits::JOINS_OF_AN_ADDRESS),
            downloads: share(limits::DOWNLOADS, limits::DOWNLOADS_OF_AN_ADDRESS),
            followers: share(FOLLOWERS, FOLLOWERS_OF_AN_ADDRESS),
            bodies: share(limits::BODIES_BYTES, limits::BODIES_BYTES_OF_AN_ADDRESS),
            heads: share(limits::HEADS_BYTES, limits::HEADS_BYTES_OF_AN_ADDRESS),
            sockets: share(sockets, connections.of_an_address),
            handshakes: share(tls_limits::HANDSHAKES, tls_limits::HANDSHAKES_OF_AN_ADDRESS),
        }
    }
}

impl Front {
    /// The front of the port that everybody reaches.
    pub(crate) fn new(
        behind: impl Into<Behind>,
        sites: impl Into<CurrentSites>,
        connections: Bounds,
    ) -> Self {
        let behind: Behind = behind.into();
        Self::with(behind.layer(cors()), sites, Shares::of_everybody(connections))
    }

    /// The front of the port by which this program reaches itself: no page gets in, and nobody who waits outside is before it.
    pub(crate) fn inner(behind: impl Into<Behind>) -> Self {
        Self::with(behind, Sites { refuses_pages: true, ..Sites::default() }, Shares::default())
    }

    /// The front of a port by which everybody is sent to https at another one.
    pub(crate) fn sending_to(https: Https, sites: impl Into<CurrentSites>, connections: Bounds) -> Self {
        Self::with(Behind::Nobody, sites, Shares::of_everybody(connections)).with_https(https)
    }

    fn with(behind: impl Into<Behind>, sites: impl Into<CurrentSites>, shares: Shares) -> Self {
        let (told, machine) = (Mutex::default(), Mutex::default());
        let rate =
            Rate::per_second(tls_limits::HANDSHAKES_BURST_ADDRESS, tls_limits::HANDSHAKES_PER_SECOND_ADDRESS);
        let handshakes = Mutex::new(Paces::new(rate, limits::ASKERS_REMEMBERED));
        let (behind, sites) = (behind.into(), sites.into());
        let (https, media) = (None, None);
        Self { shared: Arc::new(Shared { behind, sites, shares, told, machine, https, media, handshakes }) }
    }

    /// The same, and its port speaks HTTPS too. Nobody uses it yet.
    pub(crate) fn with_https(self, https: Https) -> Self {
        let shared = Arc::into_inner(self.shared).expect("a front is used once it is complete");
        Self { shared: Arc::new(Shared { https: Some(https), ..shared }) }
    }

    /// The same, and what comes by its port as media does is for `media`. Nobody uses it yet.
    pub(crate) fn with_media(self, media: MediaServer) -> Self {
        let shared = Arc::into_inner(self.shared).expect("a front is used once it is complete");
        Self { shared: Arc::new(Shared { media: Some(media), ..shared }) }
    }

    /// Whose media comes by this port.
    fn media(&self) -> Option<&MediaServer> {
        self.shared.media.as_ref()
    }

    /// Of a port that encrypts.
    fn certificates(&self) -> Option<&Certificates> {
        let https = self.shared.https.as_ref()?;
        (!matches!(https.plain, plain::Plain::Sent(_))).then_some(&https.certificates)
    }

    /// Counts a handshake that begins.
    fn handshake(&self, client: Client) -> Result<Option<Slot>, Busy> {
        self.shared.shares.handshakes.as_ref().map(|shakes| shakes.enter(client)).transpose()
    }

    /// For how long a handshake waits for its turn. A proxy on this machine has the handshakes of everybody.
    fn handshake_wait(&self, client: Client, now: Instant, at_most: Duration) -> Result<Duration, TooFast> {
        if client == Client::ThisMachine {
            return Ok(Duration::ZERO);
        }
        let mut paces = self.shared.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        paces.take(client, 1, at_most, now)
    }

    /// What counts the heads of the requests of a connection.
    fn head(&self, client: Client) -> Head {
        Head::new(self.heads(client))
    }

    /// What counts bytes of heads, from the first one on.
    fn heads(&self, client: Client) -> Option<Slot> {
        self.shared.shares.heads.as_ref().map(|heads| heads.open(client))
    }

    /// Answers a request; what becomes of it on the way is told to `goes`.
    pub(crate) async fn answer(&self, request: Request, way: Way, goes: &dyn Goes) -> Answer {
        let vouched = self.is_vouched_for(&request, &way);
        let mut answer = self.answer_as_it_is(request, way, goes).await;
        self.secure(&mut answer, vouched);
        answer
    }

    /// Refuses a request before it is looked at.
    fn turn_away(&self, request: &Request, way: &Way, status: StatusCode, text: &str) -> Answer {
        let vouched = self.is_vouched_for(request, way);
        let response = Form::of(request.uri().path()).refuse(status, text);
        let mut answer = self.refused(self.client(way.peer.ip(), request.headers()), response);
        self.secure(&mut answer, vouched);
        answer
    }

    /// Whether it came by a name of this server's for which somebody vouches whom browsers believe, at the port of HTTPS.
    fn is_vouched_for(&self, request: &Request, way: &Way) -> bool {
        let https = self.shared.https.as_ref().filter(|_| way.is_tls);
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        https.zip(host.and_then(HostName::of_authority)).is_some_and(|(https, (host, port))| match host {
            // Browsers heed it at every port of a name: at another port there may be other servers beside this one, without HTTPS.
            HostName::Name(name) => {
                port.is_none_or(|port| port == HTTPS_PORT) && https.certificates.vouches_for(&name)
            }
            HostName::Address(_) => false,
        })
    }

    fn secure(&self, answer: &mut Answer, is_https_alone: bool) {
        let response = &mut answer.response;
        let is_for_all =
            response.headers().get(RESOURCE_POLICY).is_some_and(|policy| policy == "cross-origin");
        let status = response.status();
        headers::secure(status, response.headers_mut(), Told { is_for_all, is_https_alone });
    }

    async fn answer_as_it_is(&self, mut request: Request, way: Way, goes: &dyn Goes) -> Answer {
        let asked = request.uri().clone();
        let elsewhere = self.receive(&mut request, way.peer.ip());
        let form = Form::of(request.uri().path());
        if way.is_tls {
            // What is left of what proxies say is believed: they know how a browser came to them.
            let https = HeaderValue::from_static("https");
            request.headers_mut().entry(FORWARDED_PROTO).or_insert(https);
        }
        let client = self.client(way.peer.ip(), request.headers());
        if let Some(response) = self.shared.https.as_ref().and_then(|https| https.challenge(&request)) {
            return self.refused(client, response);
        }
        let policy = match self.admit(&request, form, &way) {
            Ok(policy) => policy,
            Err(refusal) => {
                body::refuse(request.into_body());
                return self.refused(client, *refusal);
            }
        };
        // A proxy that is believed has seen to it that nobody listens, or knows that they do.
        let sites = self.shared.sites.now();
        let https = self.shared.https.as_ref().filter(|_| !sites.trusts(way.peer.ip()));
        let public = sites.public_url.as_ref();
        let turned = https.and_then(|https| https.turn(&request, &asked, form, &way, public)).or(elsewhere);
        if let Some(response) = turned {
            body::refuse(request.into_body());
            return self.refused(client, response);
        }
        let shares = &self.shared.shares;
        let bytes = shares.bodies.as_ref().map(|bodies| bodies.open(client));
        if !request.body().is_end_stream() {
            let (head, body) = request.into_parts();
            match body::read(body, form.body_bytes(), limits::BODY_WITHIN, bytes.as_ref()).await {
                Ok(body) => request = Request::from_parts(head, body.into()),
                Err(trouble) => return self.refused(client, troubled(form, trouble)),
            }
            goes.is_whole();
        }
        let (is_download, follows) = (is_download(&request), follows_events(&request));
        let traffic = match form {
            Form::Signalling => &shares.joins,
            _ if is_download => &shares.downloads,
            _ if follows => &shares.followers,
            _ => &shares.work,
        };
        let Ok(slot) = traffic.as_ref().map(|traffic| traffic.enter(client)).transpose() else {
            let response = busy(form, "too many requests are being worked on: try again shortly");
            return Answer { response, sending: Sending::spare() };
        };
        let sockets = shares.sockets.as_ref().filter(|_| form == Form::Signalling || follows);
        let Ok(socket) = sockets.map(|sockets| sockets.enter(client)).transpose() else {
            let whoever = if follows { "programs follow what happens" } else { "calls are connected" };
            let response = busy(form, &format!("too many {whoever}: try again shortly"));
            return Answer { response, sending: Sending::new(slot, Pace::Steady) };
        };
        let is_head = request.method() == Method::HEAD;
        request.extensions_mut().insert(ConnectInfo(way.peer));
        request.extensions_mut().insert(Asker(client.address()));
        let mut response = self.shared.behind.answer(request).await;
        drop(bytes);
        if !is_head {
            response = form.finish(response).await;
        }
        response.headers_mut().entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static(policy));
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().entry(RETRY_AFTER).or_insert(limits::RETRY_AFTER_S.into());
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            goes.upgrade(socket);
            // It is let in, and counts as a WebSocket from now on.
            drop(slot);
            return Answer { response, sending: Sending::new(None, Pace::Steady) };
        }
        // What is said instead of a recording, or of events, is as short as any other answer.
        let is_as_long_as_they_like = (is_download || follows) && response.status().is_success();
        let pace = if is_as_long_as_they_like { Pace::TheirOwn } else { Pace::Steady };
        let response = match socket.filter(|_| follows) {
            Some(socket) => response.map(|body| Body::new(Held::new(body, socket))),
            None => response,
        };
        Answer { response, sending: Sending::new(slot, pace) }
    }

    /// Takes what is not believed off a request, and the prefix off its path. Whoever asks for the prefix alone is sent to what is below it: to
    /// a browser `/calls` is no folder, in which the page could find the rest of itself.
    fn receive(&self, request: &mut Request, peer: IpAddr) -> Option<Response> {
        let sites = self.shared.sites.now();
        let public = sites.public_url.as_ref();
        let prefix = public.map_or("", PublicUrl::prefix);
        let inner = forwarded::without_prefix(request.uri(), prefix);
        let is_bare = inner.is_some() && request.uri().path() == prefix;
        let had_prefix = inner.is_some();
        if let Some(inner) = inner {
            *request.uri_mut() = inner;
        }
        if let Some(uri) = forwarded::with_one_slash(request.uri()) {
            *request.uri_mut() = uri;
        }
        if !self.is_believed(peer) {
            forwarded::forget(request.headers_mut());
        }
        let uri = request.uri().clone();
        forwarded::settle(request.headers_mut(), &uri, public, had_prefix);
        (is_bare && matches!(*request.method(), Method::GET | Method::HEAD)).then(|| {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            moved(&format!("{prefix}/{query}"))
        })
    }

    /// An answer before anybody worked on the request. It counts like any other where there is room, and is told even so.
    fn refused(&self, client: Client, response: Response) -> Answer {
        let slot = self.shared.shares.work.as_ref().map(|work| work.enter(client)).transpose();
        let sending = slot.map_or_else(|_| Sending::spare(), |slot| Sending::new(slot, Pace::Steady));
        Answer { response, sending }
    }

    /// Lets a request in, with the policy of who may load what it is answered.
    fn admit(&self, request: &Request, form: Form, way: &Way) -> Result<&'static str, Box<Response>> {
        let is_own = |ip: IpAddr| ip.to_canonical() == way.local.to_canonical() || self.is_own(ip);
        let visit = Visit {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            is_tls: way.is_tls,
            is_own: &is_own,
        };
        let sites = self.shared.sites.now();
        if let Err(refusal) = sites.judge(&visit) {
            self.tell(&refusal);
            let status = match refusal {
                Refusal::NoHost => StatusCode::BAD_REQUEST,
                Refusal::UnknownHost(_) => StatusCode::MISDIRECTED_REQUEST,
                Refusal::ForeignPage(_) | Refusal::NamelessPage => StatusCode::FORBIDDEN,
            };
            return Err(Box::new(form.refuse(status, &refusal.to_string())));
        }
        if let Some((status, text)) = too_long(request, form) {
            return Err(Box::new(form.refuse(status, &text)));
        }
        let is_for_all = sites::is_signed_link(&visit) || sites.welcomes_all();
        Ok(if is_for_all { "cross-origin" } else { "same-origin" })
    }

    /// Whether an address is one of this machine's.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        let mut machine = self.shared.machine.lock().unwrap_or_else(PoisonError::into_inner);
        if machine.0.is_none_or(|at| at.elapsed() > ADDRESSES_HOLD) {
            let all = if_addrs::get_if_addrs().unwrap_or_default();
            *machine = (Some(Instant::now()), all.iter().map(if_addrs::Interface::ip).collect());
        }
        machine.1.contains(&ip.to_canonical())
    }

    /// Whether what an address says of whom it speaks for is believed: a proxy of this machine, or one that is set to be trusted.
    fn is_believed(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.is_own(peer) || self.shared.sites.now().trusts(peer)
    }

    /// Whom a connection counts for.
    pub(crate) fn client_at(&self, peer: IpAddr) -> Client {
        if self.is_believed(peer) { Client::ThisMachine } else { Client::of(peer) }
    }

    /// Whom a request counts for. What a proxy says that is believed: the last one that it names came to it, which may be another such
    /// proxy.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let named = forwarded::clients(headers).map(|ip| self.client_at(ip));
        let mut clients = std::iter::once(self.client_at(peer)).chain(named);
        clients.find(|client| *client != Client::ThisMachine).unwrap_or(Client::ThisMachine)
    }

    fn tell(&self, refusal: &Refusal) {
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_REFUSALS && told.insert(refusal.clone()) {
            tracing::warn!("a request was refused: {refusal}");
        } else {
            tracing::debug!("a request was refused: {refusal}");
        }
    }
}

/// For the pages that [`Sites`] lets in: whatever they ask for by whatever method.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(AllowPrivateNetwork::yes())
        .expose_headers([
            header::ACCEPT_RANGES,
            header::CONTENT_DISPOSITION,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            RETRY_AFTER,
        ])
        .max_age(CORS_MAX_AGE)
}

fn is_download(request: &Request) -> bool {
    request.method() == Method::GET
        && (sites::names_a_file(request.uri()) || sites::names_a_shared_file(request.uri()))
}

/// Whether it is asked to be told what happens, for as long as whoever asks likes.
fn follows_events(request: &Request) -> bool {
    request.method() == Method::GET && request.uri().path() == "/events"
}

/// What is said to be too long before any of it was read.
fn too_long(request: &Request, form: Form) -> Option<(StatusCode, String)> {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if path > limits::PATH_BYTES && form != Form::Signalling {
        return Some((
            StatusCode::URI_TOO_LONG,
            format!("path and query are too long: they may have {} bytes", limits::PATH_BYTES),
        ));
    }
    let most = form.body_bytes();
    let length = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (length > most as u64).then(|| (StatusCode::PAYLOAD_TOO_LARGE, Trouble::TooLarge(most).to_string()))
}

/// It is to be found elsewhere on this server, for good: `to` is made of nothing but what stands in an address.
fn moved(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// The connection ends with the answer, and with what is read off of the body.
fn troubled(form: Form, trouble: Trouble) -> Response {
    let status = match trouble {
        Trouble::Broken => StatusCode::BAD_REQUEST,
        Trouble::Late => StatusCode::REQUEST_TIMEOUT,
        Trouble::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Trouble::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = form.refuse(status, &trouble.to_string());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if trouble == Trouble::Busy {
        response.headers_mut().insert(RETRY_AFTER, limits::RETRY_AFTER_S.into());
    }
    response
}

fn busy(form: Form, reason: &str) -> Response {
    let mut response = form.refuse(StatusCode::SERVICE_UNAVAILABLE, reason);
    response.headers_mut().insert(RETRY_AFTER, limits::RETRY_AFTER_S.into());
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;

    use super::*;

    #[test]
    fn a_request_counts_for_whoever_a_proxy_that_is_believed_names_last() {
        let proxies = ["10.0.0.0/8", "fd12::7"].map(|network| network.parse().unwrap()).to_vec();
        let front = Front::with(Router::new(), Sites { proxies, ..Sites::default() }, Shares::default());
        let at = |ip: &str| Client::of(ip.parse().unwrap());
        for (peer, forwarded, expected) in [
            ("127.0.0.1", None, Client::ThisMachine),
            ("::1", Some("192.0.2.9"), at("192.0.2.9")),
            ("127.0.0.1", Some("198.51.100.1, 192.0.2.9"), at("192.0.2.9")),
            ("127.0.0.1", Some("2001:db8::7"), at("2001:db8::")),
            ("127.0.0.1", Some("unknown"), Client::ThisMachine),
            ("127.0.0.1", Some("127.0.0.1"), Client::ThisMachine),
            ("::ffff:127.0.0.1", Some("203.0.113.9"), at("203.0.113.9")),
            // A proxy may write the port, too, and have another one of this machine before it.
            ("127.0.0.1", Some("203.0.113.9:5123"), at("203.0.113.9")),
            ("127.0.0.1", Some("[2001:db8::7]:5123"), at("2001:db8::")),
            ("127.0.0.1", Some("198.51.100.1, 203.0.113.9, 127.0.0.1"), at("203.0.113.9")),
            ("127.0.0.1", Some("198.51.100.1, unknown, 127.0.0.1"), Client::ThisMachine),
            ("127.0.0.1", Some("198.51.100.1\n203.0.113.9\n127.0.0.1"), at("203.0.113.9")),
            ("127.0.0.1", Some("\u{e9}, 203.0.113.9"), at("203.0.113.9")),
            ("127.0.0.1", Some("\u{e9}\n203.0.113.9"), at("203.0.113.9")),
            // A proxy that is trusted brings others, as one of this machine does, and may stand before or behind another one.
            ("10.0.0.7", Some("203.0.113.9"), at("203.0.113.9")),
            ("::ffff:10.0.0.7", Some("198.51.100.1, 203.0.113.9, 10.1.1.1, 127.0.0.1"), at("203.0.113.9")),
            ("127.0.0.1", Some("203.0.113.9, 10.0.0.7"), at("203.0.113.9")),
            ("fd12::7", Some("[2001:db8::7]:443"), at("2001:db8::")),
            ("10.0.0.7", None, Client::ThisMachine),
            ("10.0.0.7", Some("unknown"), Client::ThisMachine),
            // Nobody else is believed.
            ("203.0.113.5", Some("192.0.2.9"), at("203.0.113.5")),
            ("11.0.0.7", Some("127.0.0.1"), at("11.0.0.7")),
        ] {
            let mut headers = HeaderMap::new();
            for line in forwarded.into_iter().flat_map(str::lines) {
                headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            assert_eq!(front.client(peer.parse().unwrap(), &headers), expected, "{peer} {forwarded:?}");
        }
    }

    /// What is left of a request of this peer, and where it is sent instead.
    fn received(
        public: &str,
        peer: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> (Request, Option<String>) {
        let sites = Sites { public_url: Some(public.parse().unwrap()), ..Sites::default() };
        let front = Front::with(Router::new(), sites, Shares::default());
        let mut request = axum::http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let moved = front.receive(&mut request, peer.parse().unwrap());
        let to = moved.map(|moved| {
            assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
            moved.headers()[LOCATION].to_str().unwrap().to_owned()
        });
        (request, to)
    }

    #[test]
    fn behind_the_front_there_is_no_prefix_and_nothing_that_is_not_believed() {
        const PUBLIC: &str = "https://example.org/calls";
        let said =
            [("x-forwarded-proto", "http"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-prefix", "/x")];
        let header = |request: &Request, name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        for peer in ["127.0.0.1", "203.0.113.5"] {
            let (request, to) = received(PUBLIC, peer, "/calls/rtc/v1?a=b", &said);
            assert_eq!((request.uri().to_string().as_str(), to), ("/rtc/v1?a=b", None));
            assert_eq!(header(&request, "x-forwarded-prefix").as_deref(), Some("/calls"));
            let is_believed = peer == "127.0.0.1";
            assert_eq!(header(&request, "x-forwarded-proto").is_some(), is_believed);
            assert_eq!(header(&request, "x-forwarded-for").is_some(), is_believed);
            let (request, _) = received(PUBLIC, peer, "/callsx/rtc", &said);
            assert_eq!(request.uri().path(), "/callsx/rtc");
            assert_eq!(header(&request, "x-forwarded-prefix"), None);
        }
        for (path, expected) in [
            ("/calls", Some("/calls/")),
            ("/calls?room=a%2Fb", Some("/calls/?room=a%2Fb")),
            ("/calls?//evil.example", Some("/calls/?//evil.example")),
            ("/calls/", None),
            ("/calls//evil.example", None),
            ("/", None),
        ] {
            let (_, to) = received(PUBLIC, "127.0.0.1", path, &[]);
            assert_eq!(to.as_deref(), expected, "{path}");
            assert_eq!(received("https://example.org", "127.0.0.1", path, &[]).1, None);
        }
    }
}
