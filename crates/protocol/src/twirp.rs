//! Twirp: protobuf or proto3-JSON by POST, errors always as JSON.
//!
//! `POST /twirp/livekit.RoomService/CreateRoom`; the answer comes in the kind of the request. Whatever else is asked for below
//! `/twirp` is refused in Twirp's form too: clients read the code of an error, and not the page of a web server.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use reelroom_limits::signalling::{TWIRP_BODY_DEPTH, TWIRP_BODY_FIELDS};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;
use crate::keys::ApiKeys;
use crate::token::{self, Claims, VideoGrants};
use crate::wire::{self, Shaped};

/// Error codes of Twirp, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TwirpCode {
    InvalidArgument,
    Malformed,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    BadRoute,
    Canceled,
    DeadlineExceeded,
    AlreadyExists,
    FailedPrecondition,
    ResourceExhausted,
    /// The body is longer than any may be.
    TooLarge,
    Internal,
    Unimplemented,
    Unavailable,
}

impl TwirpCode {
    fn wire(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Self::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::BadRoute => ("bad_route", StatusCode::NOT_FOUND),
            Self::Canceled => ("canceled", StatusCode::REQUEST_TIMEOUT),
            Self::DeadlineExceeded => ("deadline_exceeded", StatusCode::REQUEST_TIMEOUT),
            Self::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
            Self::FailedPrecondition => ("failed_precondition", StatusCode::PRECONDITION_FAILED),
            Self::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
            Self::TooLarge => ("resource_exhausted", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TwirpError {
    /// What kind of refusal.
    pub code: TwirpCode,
    /// For people; some clients compare it.
    pub message: String,
    /// Of [`TwirpCode::BadRoute`]: what was asked for, as Twirp's own servers say it.
    pub invalid_route: Option<String>,
}

impl TwirpError {
    /// A method of a service that is known and not offered here.
    pub fn unimplemented(method: &str) -> Self {
        Self::new(TwirpCode::Unimplemented, format!("{method} is not supported by this server"))
    }

    /// A refusal with a code and a text.
    pub fn new(code: TwirpCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), invalid_route: None }
    }

    /// No method answers this.
    pub fn bad_route(method: &Method, path: &str) -> Self {
        let message = if method == Method::POST {
            format!("no handler for path {path:?}")
        } else {
            format!("unsupported method {:?} (only POST is allowed)", method.as_str())
        };
        Self { invalid_route: Some(format!("{method} {path}")), ..Self::new(TwirpCode::BadRoute, message) }
    }

    /// The caller may not do this (LiveKit answers 401 for it).
    pub fn denied() -> Self {
        Self::new(TwirpCode::Unauthenticated, "permissions denied")
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
            msg: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            meta: Option<Meta<'a>>,
        }
        #[derive(Serialize)]
        struct Meta<'a> {
            twirp_invalid_route: &'a str,
        }
        let (code, status) = self.code.wire();
        let meta = self.invalid_route.as_deref().map(|route| Meta { twirp_invalid_route: route });
        let body = serde_json::to_vec(&Body { code, msg: &self.message, meta }).expect("texts make JSON");
        // Clients compare the content type for equality.
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The paths, in axum's words, of everything below `/twirp` that no other route takes: [`no_route`] answers there.
pub const BELOW: [&str; 3] = ["/twirp", "/twirp/", "/twirp/{*path}"];

/// Refuses a call that no method answers.
pub async fn no_route(method: Method, uri: Uri) -> TwirpError {
    TwirpError::bad_route(&method, uri.path())
}

/// Which of the two encodings a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// proto3 JSON.
    Json,
    /// Binary protobuf.
    Protobuf,
}

/// A state whose keys sign the tokens of calls.
pub trait Keyed: Send + Sync {
    /// The keys.
    fn keys(&self) -> &ApiKeys;

    /// The time that tokens are looked at with, in seconds of Unix time.
    fn now_unix_s(&self) -> u64;
}

/// A decoded request, which remembers how to answer. Its body was not looked at before its token held.
#[derive(Debug)]
pub struct Request<T> {
    /// The message.
    pub message: T,
    /// How it came, and how the answer goes.
    pub encoding: Encoding,
    /// What its token says.
    pub claims: Claims,
}

impl<T, S> FromRequest<S> for Request<T>
where
    T: Shaped + DeserializeOwned,
    S: Keyed,
{
    type Rejection = TwirpError;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self, TwirpError> {
        let encoding = encoding_of(&request)?;
        let claims = authenticate(state.keys(), request.headers(), state.now_unix_s())?;
        let body = Bytes::from_request(request, state).await.map_err(|error| {
            let is_too_large = error.status() == StatusCode::PAYLOAD_TOO_LARGE;
            let code = if is_too_large { TwirpCode::TooLarge } else { TwirpCode::Malformed };
            TwirpError::new(code, error.body_text())
        })?;
        let counted = match encoding {
            Encoding::Json => wire::json_values(&body, TWIRP_BODY_FIELDS, TWIRP_BODY_DEPTH),
            Encoding::Protobuf => wire::fields(&body, T::SHAPE, TWIRP_BODY_FIELDS),
        };
        if let Err(excess) = counted {
            return Err(TwirpError::new(
                TwirpCode::ResourceExhausted,
                format!("the body asks for too much: {excess}"),
            ));
        }
        let malformed = |error: String| {
            TwirpError::new(TwirpCode::Malformed, format!("the body cannot be read: {error}"))
        };
        let message = match encoding {
            Encoding::Json if body.iter().all(u8::is_ascii_whitespace) => T::default(),
            Encoding::Json => json::read(&body).map_err(|error| malformed(error.to_string()))?,
            Encoding::Protobuf => T::decode(body).map_err(|error| malformed(error.to_string()))?,
        };
        Ok(Self { message, encoding, claims })
    }
}

fn encoding_of(request: &HttpRequest) -> Result<Encoding, TwirpError> {
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Encoding::Json),
        "application/protobuf" => Ok(Encoding::Protobuf),
        _ => Err(TwirpError {
            message: format!("unexpected Content-Type: {content_type:?}"),
            ..TwirpError::bad_route(request.method(), request.uri().path())
        }),
    }
}

/// An answer in the caller's encoding.
pub fn respond<T: Message + Serialize + DeserializeOwned>(encoding: Encoding, message: &T) -> Response {
    match encoding {
        Encoding::Json => match json::write(message) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => TwirpError::new(TwirpCode::Internal, error.to_string()).into_response(),
        },
        Encoding::Protobuf => {
            ([(header::CONTENT_TYPE, "application/protobuf")], message.encode_to_vec()).into_response()
        }
    }
}

/// The claims of a call's `Authorization: Bearer`.
///
/// # Errors
/// `unauthenticated`, with LiveKit's texts, when there is no token or it does not hold at `now_unix_s`.
pub fn authenticate(keys: &ApiKeys, headers: &HeaderMap, now_unix_s: u64) -> Result<Claims, TwirpError> {
    let refuse = |message: String| TwirpError::new(TwirpCode::Unauthenticated, message);
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(TwirpError::denied());
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "))
        .ok_or_else(|| refuse("invalid authorization header. Must start with Bearer ".into()))?;
    token::verify(keys, token.trim(), now_unix_s).map_err(|error| refuse(error.to_string()))
}

/// Refuses with "permissions denied" unless the grants pass `allowed`.
///
/// # Errors
/// [`TwirpError::denied`].
pub fn require(claims: &Claims, allowed: impl FnOnce(&VideoGrants) -> bool) -> Result<(), TwirpError> {
    if claims.video.as_ref().is_some_and(allowed) { Ok(()) } else { Err(TwirpError::denied()) }
}

/// Refuses unless the grants make the bearer admin of this very room.
///
/// # Errors
/// [`TwirpError::denied`].
pub fn require_room_admin(claims: &Claims, room: &str) -> Result<(), TwirpError> {
    require(claims, |grants| grants.room_admin && grants.room == room)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;

    use super::*;
    use crate::proto::{CreateRoomRequest, Room};

    const NOW_UNIX_S: u64 = 1_800_000_000;

    struct Server(ApiKeys);

    impl Keyed for Server {
        fn keys(&self) -> &ApiKeys {
            &self.0
        }

        fn now_unix_s(&self) -> u64 {
            NOW_UNIX_S
        }
    }

    fn bearer() -> String {
        let claims = Claims { sub: "x".into(), exp: NOW_UNIX_S + 60, ..Claims::default() };
        format!("Bearer {}", token::mint(&ApiKeys::new("key", "secret"), claims))
    }

    fn fallback() -> Router {
        BELOW.into_iter().fold(Router::new(), |router, path| router.route(path, any(no_route)))
    }

    async fn decode(
        content_type: &str,
        body: impl Into<Body>,
    ) -> Result<Request<CreateRoomRequest>, TwirpError> {
        let request = HttpRequest::post("/")
            .header(header::CONTENT_TYPE, content_type)
            .header(header::AUTHORIZATION, bearer())
            .body(body.into())
            .unwrap();
        Request::from_request(request, &Server(ApiKeys::new("key", "secret"))).await
    }

    #[tokio::test]
    async fn a_body_is_not_read_before_its_token_holds() {
        // A body that never comes: whoever waited for it would not answer.
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let request =
            HttpRequest::post("/").header(header::CONTENT_TYPE, "application/json").body(never).unwrap();
        let server = Server(ApiKeys::new("key", "secret"));
        let refused = Request::<CreateRoomRequest>::from_request(request, &server).await.unwrap_err();
        assert_eq!(refused, TwirpError::denied());
    }

    #[tokio::test]
    async fn a_body_of_too_many_or_too_deep_values_is_refused_before_it_is_decoded() {
        let agents = vec![[0x72, 0x00]; TWIRP_BODY_FIELDS + 1].concat();
        let refused = decode("application/protobuf", agents).await.unwrap_err();
        assert_eq!(refused.code, TwirpCode::ResourceExhausted, "{refused}");
        let agents = format!(r#"{{"name":"r","agents":[{}{{}}]}}"#, "{},".repeat(TWIRP_BODY_FIELDS));
        let refused = decode("application/json", agents).await.unwrap_err();
        assert_eq!(refused.code, TwirpCode::ResourceExhausted, "{refused}");
        let deep = format!(r#"{{"new":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        let refused = decode("application/json", deep).await.unwrap_err();
        assert_eq!(refused.code, TwirpCode::ResourceExhausted, "{refused}");
    }

    #[tokio::test]
    async fn json_is_read_in_either_case_and_unknown_fields_are_ignored() {
        for body in
            [r#"{"name":"r","emptyTimeout":7,"new":{"a":[1]}}"#, r#"{"name":"r","empty_timeout":"7"}"#]
        {
            let request = decode("application/json; charset=utf-8", body).await.unwrap();
            assert_eq!((request.message.name.as_str(), request.message.empty_timeout), ("r", 7));
            assert_eq!(request.encoding, Encoding::Json);
        }
    }

    #[tokio::test]
    async fn protobuf_is_read_and_answered() {
        let message = CreateRoomRequest { name: "r".into(), ..Default::default() };
        let request = decode("application/protobuf", message.encode_to_vec()).await.unwrap();
        assert_eq!(request.message.name, "r");
        let answer = respond(request.encoding, &Room { sid: "RM_1".into(), ..Default::default() });
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/protobuf");
    }

    #[tokio::test]
    async fn json_is_answered_as_livekits_server_does() {
        let answer = respond(Encoding::Json, &Room { name: "r".into(), ..Default::default() });
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["name"], &body["num_participants"], &body["creation_time"]),
            (&"r".into(), &0.into(), &"0".into())
        );
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_a_json_error() {
        assert_eq!(decode("application/json", "{").await.unwrap_err().code, TwirpCode::Malformed);
        assert_eq!(decode("application/protobuf", vec![0xff]).await.unwrap_err().code, TwirpCode::Malformed);
        let refused = decode("text/plain", "").await.unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/json");
    }

    #[tokio::test]
    async fn what_no_method_answers_is_a_bad_route_in_json() {
        use tower::ServiceExt as _;
        let router: Router = Router::new()
            .route("/twirp/livekit.Egress/ListEgress", axum::routing::post(async || "it"))
            .method_not_allowed_fallback(no_route)
            .merge(fallback());
        for (method, path) in [
            ("POST", "/twirp/livekit.Nothing/Do"),
            ("POST", "/twirp/livekit.Egress"),
            ("POST", "/twirp/livekit.Egress/ListEgress/"),
            ("POST", "/twirp/"),
            ("POST", "/twirp"),
            ("GET", "/twirp/livekit.Egress/ListEgress"),
            ("DELETE", "/twirp/a/b/c/d"),
        ] {
            let request = HttpRequest::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
            let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["code"], "bad_route");
            assert!(body["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
            assert_eq!(body["meta"]["twirp_invalid_route"], format!("{method} {path}"));
        }
        let known = HttpRequest::post("/twirp/livekit.Egress/ListEgress").body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(known).await.unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn a_call_needs_its_grant_and_its_room() {
        let claims = Claims {
            video: Some(VideoGrants { room_admin: true, room: "a".into(), ..VideoGrants::default() }),
            ..Claims::default()
        };
        assert!(require_room_admin(&claims, "a").is_ok());
        assert_eq!(require_room_admin(&claims, "b"), Err(TwirpError::denied()));
        assert_eq!(require(&claims, |grants| grants.room_record), Err(TwirpError::denied()));
        assert_eq!(require(&Claims::default(), |_| true), Err(TwirpError::denied()));
    }
}
