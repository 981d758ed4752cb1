//! `GET /recordings/{name}`: the file, whole or in parts (RFC 9110 13 and 14), and links to it.
//!
//! ```text
//!  who asks                                    an open range ("bytes=5-") gets
//!  a player, or somebody who says no more      a portion: it asks again
//!  a link with ?download                       the rest, as an attachment
//!  a resumed download (If-Range, If-Match, …)  the rest
//!  a program of TAKES_SHORT_FOR_ALL            the rest
//!  anybody who may play, and not keep it       a portion, of any range; and nothing without one
//! ```
//!
//! # Invariants
//!
//! - Whoever may not keep a file gets neither all of it in an answer nor a name for it, whatever they say they are.
//! - A body has as many bytes as its head says, or the connection ends with an error: never a short success.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, USER_AGENT,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reelroom_access::Right;
use reelroom_audit::{Act, On};
use reelroom_library::range::{self, Open, Requested};
use reelroom_library::{File, LibraryError, LinkError, Wanted};
use reelroom_rooms::LinkId;
use reelroom_routes::Visitor;
use reelroom_shares::Viewing;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Playback;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Path, Query};
use crate::precondition::{self, Validators, Verdict};
use crate::subject::Subject;
use crate::watched::{Invited, watched};

/// How long a link to a recording holds.
const LINK_VALID: Duration = Duration::from_secs(60 * 60);
/// Programs, by the product in their `User-Agent`, that take the end of a 206 for the end of the file and say that all went well,
/// or stop there: downloads that are gone on with, and players outside of browsers (docs/playing.md tells which did what).
const TAKES_SHORT_FOR_ALL: [&str; 11] = [
    "curl",
    "wget",
    "wget2",
    "httpie",
    "lavf",
    "libmpv",
    "mpv",
    "vlc",
    "libvlc",
    "exoplayerlib",
    "gstreamer",
];
/// RFC 8187 `attr-char`: what a name keeps as it is.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileParams {
    /// Of a signed link: Unix seconds.
    expires: Option<u64>,
    /// Of a signed link: which file of that name.
    file: Option<String>,
    /// Of a signed link.
    signature: Option<String>,
    /// The file is to be kept: it comes as an attachment, and an open range gets all the rest. Any value but "0" and "false".
    download: Option<String>,
    /// Of a recording that is still being finished: the file of so many seconds, which stays the same while more is added.
    through: Option<u64>,
}

/// Somebody asks for the file of a recording.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) name: String,
    pub(crate) params: FileParams,
    pub(crate) headers: HeaderMap,
}

/// By what somebody may have a file, where that may end while it is sent.
pub(crate) enum By {
    /// By nothing that ends so.
    Itself,
    /// By a link to the recording.
    Share(Viewing),
    /// By a link into its room.
    Room(LinkId),
}

impl FileParams {
    /// What somebody says who has come by a link to the recording, and by no signed one to its file.
    pub(crate) fn by_share(download: Option<String>, through: Option<u64>) -> Self {
        Self { download, through, ..Self::default() }
    }

    fn is_download(&self) -> bool {
        self.download.as_deref().is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

/// What a file is given out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be played: in portions.
    Play,
    /// To be played or kept, as is asked for.
    Keep,
}

impl Purpose {
    fn needs(self) -> &'static [Right] {
        match self {
            Self::Play => &[Right::Play],
            Self::Keep => &[Right::Play, Right::Download],
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UrlAnswer {
    /// Plays the recording for an hour, for whoever holds it. It begins with PUBLIC_URL; where that is not set, it is a path of this server.
    recording_url: String,
    /// The same as a path of this server, by whatever address it is reached; absent where it is the bucket's.
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_path: Option<String>,
}

impl UrlAnswer {
    fn here(app: &WebApp, path: String) -> axum::Json<Self> {
        axum::Json(Self { recording_url: app.link_to(&path), recording_path: Some(path) })
    }
}

/// Gives a recording's file. An open range (`bytes=5-`) is answered with at most RECORDING_FILE_PORTION_SIZE bytes, and with all
/// the rest for a download: with `download`, If-Range, If-Match or If-Unmodified-Since, or to a program that is known to take a
/// portion for the whole.
#[utoipa::path(method(get, head), path = "/recordings/{name}", params(("name" = String, Path), FileParams), responses(
    (status = 200, description = "The whole file", content_type = "video/mp4"),
    (status = 206, description = "The part asked for", content_type = "video/mp4"),
    (status = 304, description = "Still what If-None-Match or If-Modified-Since names"),
    (status = 403, description = "The signed link does not hold", body = ErrorBody),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 410, description = "The file that the signed link was made for is gone; another one has its name", body = ErrorBody),
    (status = 412, description = "Not any more what If-Match or If-Unmodified-Since names", body = ErrorBody),
    (status = 416, description = "The range lies outside the file", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn file(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
    Query(params): Query<FileParams>,
    head: Parts,
) -> Result<Response, ApiError> {
    let Parts { method, uri, headers, .. } = head;
    // A signed link holds by itself, whoever else shows it.
    let by = if visitor.caller().room().is_none() || params.signature.is_some() {
        By::Itself
    } else {
        let link = app.link_or_pass(&method, &uri, &headers, clock::now().unix_ms);
        By::Room(link.ok_or_else(|| ApiError::Unauthorized("this link is not valid any more".into()))?)
    };
    send(&app, &visitor, &actor, Asked { method, name, params, headers }, by).await
}

/// Sends a file to whoever may have it; to somebody who came by a link as long as that holds.
pub(crate) async fn send(
    app: &WebApp,
    visitor: &Visitor,
    actor: &Actor,
    asked: Asked,
    by: By,
) -> Result<Response, ApiError> {
    let Asked { method, name, params, headers } = asked;
    let purpose = purpose(app, visitor, &name, &params).await?;
    if purpose == Purpose::Play && params.is_download() {
        return Err(ApiError::Forbidden("this recording may be played, and not downloaded".into()));
    }
    let file = app.library().file_as(&name, wanted(&headers, params.through)).await?;
    if params.file.as_ref().is_some_and(|tag| !file.is_linked_by(tag)) {
        return Err(ApiError::Gone(LinkError::Replaced.to_string()));
    }
    if params.is_download() && file.unfinished_ms().is_some() {
        // Whoever keeps it would keep a part for the whole.
        return Err(LibraryError::NotFinished(name).into());
    }
    let validators = validators(&file);
    let mut head = head(&validators);
    match precondition::judge(&headers, &validators) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok((StatusCode::NOT_MODIFIED, head).into_response()),
        Verdict::Failed => return Err(ApiError::Changed),
    }
    head.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    // However short it is, no answer has all of what may only be played.
    let played = app.portion_bytes().min((file.size / 2).max(1));
    let (disposition, open) = match purpose {
        Purpose::Play => (HeaderValue::from_static("inline"), Open::Portion(played)),
        Purpose::Keep if is_kept(&params, &headers) => (disposition(&name, params.is_download()), Open::Rest),
        Purpose::Keep => (disposition(&name, false), Open::Portion(app.portion_bytes())),
    };
    head.insert(CONTENT_DISPOSITION, disposition);
    let counts = method == Method::GET
        && precondition::is_range_wanted(&headers, &validators, SystemTime::now())
        // Two lines of it are no range.
        && headers.get_all(RANGE).iter().count() == 1;
    let wanted = text(&headers, RANGE).filter(|_| counts);
    let (status, range) = match range::parse(wanted, file.size, open) {
        Requested::Whole if purpose == Purpose::Play && method == Method::GET => {
            return Err(no_portion(&headers));
        }
        Requested::Whole => (StatusCode::OK, 0..file.size),
        Requested::Part(range) => {
            let range = match purpose {
                Purpose::Play => range.start..range.end.min(range.start.saturating_add(played)),
                Purpose::Keep => range,
            };
            let value = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
            head.insert(CONTENT_RANGE, ascii(&value));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Requested::Unsatisfiable => return Err(ApiError::Range(file.size)),
    };
    head.insert(CONTENT_LENGTH, (range.end - range.start).into());
    let mut cut = None;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let from = range.start;
        let bytes = app.library().stream(&file, range).await?;
        let is_kept = purpose == Purpose::Keep && (status == StatusCode::OK || is_kept(&params, &headers));
        match by {
            _ if is_kept => actor.did(Act::RecordingDownloaded, On::recording(&name)),
            // That it was opened to be played is in the log already.
            By::Share(_) => {}
            By::Itself | By::Room(_) => actor.did(Act::RecordingPlayed, On::recording(&name)),
        }
        let recording = name.as_str().into();
        let tell = move |error: &dyn std::fmt::Display| {
            tracing::warn!(recording = name, %error, "a recording could not be sent to its end");
        };
        match by {
            By::Itself => Body::from_stream(bytes.inspect_err(move |error| tell(error))),
            By::Share(viewing) => {
                let (bytes, by) = watched(bytes, viewing, from);
                cut = Some(by);
                Body::from_stream(bytes.inspect_err(move |error| tell(error)))
            }
            By::Room(link) => {
                let hold =
                    Invited { rooms: Arc::clone(app.rooms()), link, recording, needs: purpose.needs() };
                let (bytes, by) = watched(bytes, hold, from);
                cut = Some(by);
                Body::from_stream(bytes.inspect_err(move |error| tell(error)))
            }
        }
    };
    let mut response = (status, head, body).into_response();
    if let Some(cut) = cut {
        response.extensions_mut().insert(cut);
    }
    Ok(response)
}

/// Gives a link to a recording that needs nothing else: the bucket's own, or this server's, as it is set up.
#[utoipa::path(get, path = "/recordings/{name}/url", params(("name" = String, Path)), responses(
    (status = 200, body = UrlAnswer),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn url(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<axum::Json<UrlAnswer>, ApiError> {
    let library = app.library();
    let subject = Subject::of(&app, &visitor, &name).await?;
    visitor.ask(Right::Play, &subject.resource())?;
    // A link lets whoever holds it keep the file: only those who might do both themselves get one.
    if ![Right::Share, Right::Download].iter().all(|right| visitor.may(*right, &subject.resource())) {
        library.file(&name).await?;
        return Ok(UrlAnswer::here(&app, reelroom_library::path(&name)));
    }
    let presigned = match app.playback() {
        Playback::S3 => library.presigned_url(&name, LINK_VALID).await?,
        Playback::Proxy => None,
    };
    let answer = match presigned {
        Some(recording_url) => axum::Json(UrlAnswer { recording_url, recording_path: None }),
        None => UrlAnswer::here(&app, library.signed_link(&name, LINK_VALID).await?),
    };
    actor.did(Act::RecordingLinked, On::recording(&name));
    Ok(answer)
}

/// Which file of an unfinished recording: whoever goes on reading gets what they began with.
fn wanted(headers: &HeaderMap, through: Option<u64>) -> Wanted<'_> {
    let tag = text(headers, IF_RANGE).or_else(|| text(headers, IF_MATCH)).filter(|tag| tag.starts_with('"'));
    let is_beginning = text(headers, RANGE).is_none_or(|range| range.trim().starts_with("bytes=0-"));
    match (through, tag) {
        (Some(seconds), _) => Wanted::Through(seconds),
        (None, Some(tag)) => Wanted::Tagged(tag),
        (None, None) if is_beginning => Wanted::Newest,
        (None, None) => Wanted::Continued,
    }
}

/// What the file is given out for, to whoever may play it or holds a link to it.
async fn purpose(
    app: &WebApp,
    visitor: &Visitor,
    name: &str,
    link: &FileParams,
) -> Result<Purpose, ApiError> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match (link.expires, &link.signature) {
        (None, None) if link.file.is_none() => {
            let subject = Subject::of(app, visitor, name).await?;
            visitor.ask(Right::Play, &subject.resource())?;
            let keeps = visitor.may(Right::Download, &subject.resource());
            Ok(if keeps { Purpose::Keep } else { Purpose::Play })
        }
        (Some(expires), Some(signature)) => {
            let key = app.library().link_key();
            key.check(name, link.file.as_deref(), expires, signature, now_s)
                .map_err(|error| ApiError::Forbidden(error.to_string()))?;
            visitor.has_proven();
            Ok(Purpose::Keep)
        }
        _ => Err(ApiError::Forbidden(LinkError::Forged.to_string())),
    }
}

/// Why whoever may not keep a file is not given all of it.
fn no_portion(headers: &HeaderMap) -> ApiError {
    if headers.contains_key(RANGE) && headers.contains_key(IF_RANGE) {
        // The player goes on with a file that is another one by now, and begins anew.
        return ApiError::Changed;
    }
    ApiError::Forbidden("this recording may be played, and not downloaded: ask for one range of it".into())
}

/// Whether the file goes onto a disk, or to a player that does not ask again.
fn is_kept(params: &FileParams, headers: &HeaderMap) -> bool {
    let takes_short_for_all = || {
        let products = text(headers, USER_AGENT).unwrap_or_default().split_ascii_whitespace();
        let mut names = products.map(|product| product.split('/').next().unwrap_or(product));
        names.any(|name| TAKES_SHORT_FOR_ALL.iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    params.is_download() || precondition::goes_on(headers) || takes_short_for_all()
}

fn validators(file: &File) -> Validators {
    let modified_s = u64::try_from(file.modified_ms / 1000).unwrap_or_default();
    Validators {
        etag: format!("\"{}\"", file.etag),
        modified: UNIX_EPOCH.checked_add(Duration::from_secs(modified_s)).unwrap_or(UNIX_EPOCH),
    }
}

fn head(validators: &Validators) -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(etag) = HeaderValue::try_from(&validators.etag) {
        head.insert(ETAG, etag);
    }
    if validators.modified > UNIX_EPOCH {
        head.insert(LAST_MODIFIED, ascii(&httpdate::fmt_http_date(validators.modified)));
    }
    head
}

/// RFC 6266: the name in ASCII for those that know no other, and where it has more than that in UTF-8 (RFC 8187).
fn disposition(name: &str, is_download: bool) -> HeaderValue {
    let kind = if is_download { "attachment" } else { "inline" };
    let file = name.rsplit('/').next().unwrap_or(name);
    // Some clients decode "%41" and unescape quotes in a plain name, others do not: such a name has neither.
    let plain: String = file
        .chars()
        .map(|character| match character {
            '"' | '\\' | '%' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    let mut value = format!("{kind}; filename=\"{plain}\"");
    if plain != file {
        value.push_str(&format!("; filename*=UTF-8''{}", utf8_percent_encode(file, NOT_ATTR_CHAR)));
    }
    ascii(&value)
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII makes a header")
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_the_recording_is_in_every_client() {
        for (name, expected) in [
            ("Test Room-RM_x.mp4", r#"filename="Test Room-RM_x.mp4""#),
            ("sub/folder/a.mp4", r#"filename="a.mp4""#),
            ("räume.mp4", r#"filename="r_ume.mp4"; filename*=UTF-8''r%C3%A4ume.mp4"#),
            ("50% \"a\\b\".mp4", r#"filename="50_ _a_b_.mp4"; filename*=UTF-8''50%25%20%22a%5Cb%22.mp4"#),
            ("a;b=c,d'.mp4", r#"filename="a;b=c,d'.mp4""#),
            ("💥'\n.mp4", r#"filename="_'_.mp4"; filename*=UTF-8''%F0%9F%92%A5%27%0A.mp4"#),
        ] {
            assert_eq!(disposition(name, true), format!("attachment; {expected}").as_str(), "{name:?}");
            assert_eq!(disposition(name, false), format!("inline; {expected}").as_str(), "{name:?}");
        }
    }

    #[test]
    fn players_get_portions_and_what_is_kept_gets_all() {
        let params = |download: Option<&str>| FileParams {
            expires: None,
            file: None,
            signature: None,
            download: download.map(str::to_owned),
            through: None,
        };
        let of = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            headers
        };
        for value in ["", "1", "true", "a.mp4"] {
            assert!(is_kept(&params(Some(value)), &HeaderMap::new()), "{value:?}");
        }
        for value in [None, Some("0"), Some("false")] {
            assert!(!is_kept(&params(value), &HeaderMap::new()), "{value:?}");
        }
        for (name, value) in [
            ("if-range", "\"a\""),
            ("if-match", "\"a\""),
            ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("user-agent", "curl/8.14.1"),
            ("user-agent", "Wget/1.25.0"),
            ("user-agent", "Lavf/61.7.100"),
            ("user-agent", "libmpv"),
            ("user-agent", "VLC/3.0.21 LibVLC/3.0.21"),
            ("user-agent", "Demo/2.1 (Linux;Android 9) ExoPlayerLib/2.18.1"),
        ] {
            assert!(is_kept(&params(None), &of(name, value)), "{name}: {value}");
        }
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "node",
            "mycurl/1",
        ] {
            assert!(!is_kept(&params(None), &of("user-agent", agent)), "{agent}");
        }
    }
}
