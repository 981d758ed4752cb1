//! What a bucket holds, page by page: by ListObjectsV2, or by ListObjects where a server knows that only.
//!
//! It is read key by key, so that a key which can be no name costs nobody else's row. Keys are not asked for URL-encoded:
//! there are servers that say they are and are not, and what XML may not hold this reader takes all the same.

use bytes::Bytes;
use futures::stream::StreamExt as _;
use http::{Method, Request, StatusCode};
use object_store::client::{HttpResponseBody, HttpService as _};
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::store_error;
use super::sign::strict;
use super::words::{Context, Refusal, in_words};
use super::{RETRIES, S3};
use crate::error::LibraryError;

/// A thousand keys of 1024 bytes, three characters for each, and what stands around them.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Storage classes of which nothing can be read without more (Amazon's, and Aliyun's).
const COLD: [&str; 5] = ["GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"];
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// An object, as a page says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Entry {
    /// Lossy where it is no UTF-8.
    pub(in super::super) key: String,
    pub(in super::super) size: u64,
    pub(in super::super) etag: Option<String>,
    /// Unix milliseconds; 0 where it says none.
    pub(in super::super) modified_ms: i64,
    /// Its storage class is one of an archive.
    pub(in super::super) is_cold: bool,
}

/// From where the next page goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// Of version 2.
    Token(String),
    /// Of version 1: the last key.
    Marker(String),
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Page {
    pub(in super::super) entries: Vec<Entry>,
    pub(in super::super) next: Option<Next>,
}

/// How a server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    V2,
    V1,
}

impl S3 {
    /// The page after `after`, of keys that begin with `prefix`.
    ///
    /// # Errors
    /// [`LibraryError::Store`].
    pub(in super::super) async fn page(
        &self,
        prefix: &str,
        after: Option<&Next>,
        most: Option<u32>,
    ) -> Result<Page, LibraryError> {
        let mut first_refusal = None;
        for way in [Way::V2, Way::V1] {
            // A token is of version 2, a marker of version 1.
            if after.is_some_and(|after| matches!(after, Next::Marker(_)) != (way == Way::V1)) {
                continue;
            }
            match self.ask(way, prefix, after, most).await? {
                Ok(page) => {
                    return page.map(|page| page.onward(way, after)).unwrap_or_else(|| Err(no_listing()));
                }
                Err((status, sentence)) => {
                    let other_way_may_work = matches!(status.as_u16(), 400 | 405 | 501);
                    let refusal = first_refusal.get_or_insert(sentence);
                    if !other_way_may_work {
                        return Err(LibraryError::Store(refusal.clone()));
                    }
                }
            }
        }
        Err(LibraryError::Store(first_refusal.unwrap_or_default()))
    }

    /// What a server answers, or its refusal in words.
    async fn ask(
        &self,
        way: Way,
        prefix: &str,
        after: Option<&Next>,
        most: Option<u32>,
    ) -> Result<Result<Option<Answer>, (StatusCode, String)>, LibraryError> {
        let mut query = Vec::new();
        match after {
            Some(Next::Token(token)) => query.push(("continuation-token", token.clone())),
            Some(Next::Marker(marker)) => query.push(("marker", marker.clone())),
            None => {}
        }
        if way == Way::V2 {
            query.push(("list-type", "2".into()));
        }
        query.extend(most.map(|most| ("max-keys", most.to_string())));
        query.push(("prefix", prefix.into()));
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", strict(value))).collect();
        let uri: http::Uri = format!("{}?{}", self.url(), query.join("&"))
            .parse()
            .expect("a bucket's URL and a query make a URL");
        let mut pause = FIRST_PAUSE;
        for attempt in 0.. {
            let is_last = attempt == RETRIES;
            let mut request = Request::new(Bytes::new().into());
            (*request.method_mut(), *request.uri_mut()) = (Method::GET, uri.clone());
            match self.wire.call(request).await {
                Ok(answer) => {
                    let (status, body) = (answer.status(), answer.into_body());
                    if !status.is_success() {
                        let is_passing =
                            status == 429 || status.is_server_error() && !matches!(status.as_u16(), 501);
                        if is_last || !is_passing {
                            let text = body.bytes().await.unwrap_or_default();
                            return Ok(Err((status, String::from_utf8_lossy(&text).into_owned())));
                        }
                    } else {
                        match whole(body).await {
                            Ok(bytes) => match refusal_in(&bytes) {
                                None => return Ok(Ok(Answer::parse(&bytes))),
                                Some(sentence) if is_last => {
                                    return Ok(Err((StatusCode::SERVICE_UNAVAILABLE, sentence)));
                                }
                                Some(_) => {}
                            },
                            Err(error) if is_last => return Err(error),
                            Err(_) => {}
                        }
                    }
                }
                Err(error) if is_last || in_words(&error.to_string()).is_some() => {
                    return Err(store_error(error));
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }
}

/// Some servers begin with 200 before they know that they fail.
fn refusal_in(body: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned();
    start.contains("<Error>").then(|| {
        let context = Context { bucket: "", region: "", action: "list the bucket", is_bucket: false };
        Refusal::parse(body).sentence(503, &context)
    })
}

fn no_listing() -> LibraryError {
    LibraryError::Store(
        "what answers at S3_ENDPOINT is no S3 server: it gives no listing of the bucket (a console or a page may have \
         another port)"
            .into(),
    )
}

async fn whole(body: HttpResponseBody) -> Result<Bytes, LibraryError> {
    let (mut stream, mut bytes) = (body.bytes_stream(), Vec::new());
    while let Some(some) = stream.next().await {
        let some = some.map_err(store_error)?;
        if bytes.len() + some.len() > MAX_PAGE_BYTES {
            return Err(LibraryError::Store("the S3 server's listing is larger than any page may be".into()));
        }
        bytes.extend_from_slice(&some);
    }
    Ok(bytes.into())
}

/// A `ListBucketResult`, of either version.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    entries: Vec<Entry>,
    is_truncated: bool,
    token: Option<String>,
    next_marker: Option<String>,
    is_encoded: bool,
}

impl Answer {
    /// `None` for something else. A damaged end is a page that ends earlier, and goes on from its last key.
    fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let mut reader = Reader::from_str(&text);
        let (mut answer, mut entry) = (Self::default(), None);
        let (mut path, mut value) = (Vec::<String>::new(), String::new());
        let mut is_listing = false;
        loop {
            match reader.read_event() {
                Ok(Event::Start(start)) => {
                    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                    is_listing |= path.is_empty() && name == "ListBucketResult";
                    if path.len() == 1 && name == "Contents" {
                        entry = Some(Entry::default());
                    }
                    path.push(name);
                    value.clear();
                }
                Ok(Event::Text(text)) => value.push_str(&String::from_utf8_lossy(&text)),
                Ok(Event::CData(text)) => value.push_str(&String::from_utf8_lossy(&text)),
                Ok(Event::GeneralRef(reference)) => value.push(character(&reference)),
                Ok(Event::End(_)) => {
                    answer.take(&path, std::mem::take(&mut value), &mut entry);
                    path.pop();
                }
                Ok(Event::Eof) if path.is_empty() => break,
                Ok(Event::Eof) | Err(_) if is_listing => {
                    // What follows is asked for again.
                    answer.is_truncated |= !answer.entries.is_empty();
                    (answer.token, answer.next_marker) = (None, None);
                    break;
                }
                Ok(Event::Eof) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        if answer.is_encoded {
            for entry in &mut answer.entries {
                entry.key = decoded(&entry.key);
            }
            answer.next_marker = answer.next_marker.map(|marker| decoded(&marker));
        }
        is_listing.then_some(answer)
    }

    fn take(&mut self, path: &[String], value: String, entry: &mut Option<Entry>) {
        let path: Vec<_> = path.iter().skip(1).map(String::as_str).collect();
        match (path.as_slice(), entry.as_mut()) {
            (["Contents", "Key"], Some(entry)) => entry.key = value,
            (["Contents", "Size"], Some(entry)) => entry.size = value.trim().parse().unwrap_or(0),
            (["Contents", "StorageClass"], Some(entry)) => entry.is_cold = COLD.contains(&value.trim()),
            (["Contents", "ETag"], Some(entry)) => entry.etag = Some(value).filter(|etag| !etag.is_empty()),
            (["Contents", "LastModified"], Some(entry)) => entry.modified_ms = unix_ms(value.trim()),
            (["Contents"], Some(_)) => {
                self.entries.extend(entry.take().filter(|entry| !entry.key.is_empty()))
            }
            (["IsTruncated"], _) => self.is_truncated = value.trim().eq_ignore_ascii_case("true"),
            (["NextContinuationToken"], _) => self.token = Some(value).filter(|token| !token.is_empty()),
            (["NextMarker"], _) => self.next_marker = Some(value).filter(|marker| !marker.is_empty()),
            (["EncodingType"], _) => self.is_encoded = value.trim().eq_ignore_ascii_case("url"),
            _ => {}
        }
    }

    /// The page, and from where the next one goes on: it is never the same again.
    fn onward(self, way: Way, after: Option<&Next>) -> Result<Page, LibraryError> {
        let last_key = self.entries.iter().map(|entry| entry.key.as_str()).max();
        let marker = self.next_marker.or(last_key.map(str::to_owned)).map(Next::Marker);
        let next = match (self.is_truncated, self.token) {
            (false, _) => None,
            (true, Some(token)) if way == Way::V2 => Some(Next::Token(token)),
            (true, _) => marker,
        };
        if self.is_truncated && (next.is_none() || next.as_ref() == after) {
            return Err(LibraryError::Store(
                "the S3 server gives the same page of its listing again and again".into(),
            ));
        }
        Ok(Page { entries: self.entries, next })
    }
}

/// What XML has for a character that may not stand in it as it is; also for those that no XML may name.
fn character(reference: &BytesRef<'_>) -> char {
    let name = String::from_utf8_lossy(reference).into_owned();
    let number = match name.strip_prefix('#') {
        Some(hex) if hex.starts_with(['x', 'X']) => u32::from_str_radix(&hex[1..], 16).ok(),
        Some(decimal) => decimal.parse().ok(),
        None => None,
    };
    match name.as_str() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// As forms are encoded: that is what servers do.
fn decoded(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn unix_ms(text: &str) -> i64 {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok();
    at.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(answer: &Answer) -> Vec<&str> {
        answer.entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    #[test]
    fn any_key_is_read_and_costs_no_other() {
        let body = b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Contents><Key>a.mp4</Key><Size>5</Size><ETag>&quot;e&quot;</ETag><LastModified>1970-01-01T00:00:01.5Z</LastModified>\
            <Owner><ID>x</ID></Owner></Contents>\
            <Contents><Key>tab&#9;nul&#0;one&#x1;bad&nothing;</Key></Contents><Contents><Key>\xff\xfe.mp4</Key><Size>-1</Size></Contents>\
            <Contents><Key>  spaces .mp4 </Key></Contents><Contents><Size>1</Size></Contents>\
            <CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated></ListBucketResult>";
        let answer = Answer::parse(body).unwrap();
        let expected = ["a.mp4", "tab\tnul\0one\u{1}bad\u{fffd}", "\u{fffd}\u{fffd}.mp4", "  spaces .mp4 "];
        assert_eq!(keys(&answer), expected);
        let first = &answer.entries[0];
        assert_eq!((first.size, first.etag.as_deref(), first.modified_ms), (5, Some("\"e\""), 1500));
        assert_eq!(answer.onward(Way::V2, None).unwrap().next, None);
    }

    #[test]
    fn encoded_keys_are_decoded_and_others_are_not() {
        let body = |kind: &str| {
            format!(
                "<ListBucketResult>{kind}<Contents><Key>a+b%2Bc%09%25.mp4</Key></Contents></ListBucketResult>"
            )
        };
        let encoded = Answer::parse(body("<EncodingType>url</EncodingType>").as_bytes()).unwrap();
        assert_eq!(keys(&encoded), ["a b+c\t%.mp4"]);
        assert_eq!(keys(&Answer::parse(body("").as_bytes()).unwrap()), ["a+b%2Bc%09%25.mp4"]);
    }

    #[test]
    fn a_listing_goes_on_from_its_token_its_marker_or_its_last_key_and_never_in_a_circle() {
        let page = |rest: &str| {
            let body = format!(
                "<ListBucketResult><IsTruncated>true</IsTruncated>{rest}<Contents><Key>b</Key></Contents></ListBucketResult>"
            );
            Answer::parse(body.as_bytes()).unwrap()
        };
        let marker = |key: &str| Some(Next::Marker(key.into()));
        let token = page("<NextContinuationToken>t</NextContinuationToken>");
        assert_eq!(token.onward(Way::V2, None).unwrap().next, Some(Next::Token("t".into())));
        // It says that it is of version 2, and is not.
        assert_eq!(page("").onward(Way::V2, None).unwrap().next, marker("b"));
        assert_eq!(page("<NextMarker>c</NextMarker>").onward(Way::V1, None).unwrap().next, marker("c"));
        assert!(page("").onward(Way::V1, marker("b").as_ref()).is_err());
        let cut = Answer::parse(b"<ListBucketResult><Contents><Key>b</Key></Contents><Contents><Ke").unwrap();
        assert_eq!(cut.entries.len(), 1);
        for other in ["", "<html><body>hello</body></html>", "{\"a\":1}", "<ListBucket"] {
            assert_eq!(Answer::parse(other.as_bytes()), None, "{other}");
        }
    }
}
