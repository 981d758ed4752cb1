//! A file of the page as it is sent: as it is, or made smaller by gzip, once.
//!
//! ```text
//!   the first who takes gzip ─► a task of its own ─► a thread that may block: gzip ─┐
//!   everybody else who does ──► waits for it ───────────────────────────────────────┴─► the same bytes, for good
//! ```
//!
//! # Invariants
//!
//! - No file is made smaller twice, and none on a thread that carries media: whoever asks again and again costs no more than what is sent.
//! - Whoever goes away while it is being made does not make it begin anew.
//! - Each form of a file has a tag of its own (RFC 9110 8.8.3): nobody goes on with bytes of another one.

use std::borrow::Cow;
use std::io::Write as _;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, AsHeaderName, IF_NONE_MATCH};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::EmbeddedFile;
use tokio::sync::OnceCell;

pub(crate) struct Asset {
    data: Bytes,
    /// Changes with what the file holds.
    hash: String,
    kind: String,
    /// Nothing, where that is no smaller.
    gzip: OnceCell<Option<Bytes>>,
}

/// What is sent of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) data: Bytes,
    pub(crate) etag: String,
    /// `Content-Encoding`.
    pub(crate) encoding: Option<&'static str>,
}

impl Asset {
    pub(crate) fn new(file: EmbeddedFile) -> Self {
        let hash = hex::encode(&file.metadata.sha256_hash()[..16]);
        let kind = file.metadata.mimetype().to_owned();
        // What stands in the program is not copied for each reader.
        let data = match file.data {
            Cow::Borrowed(data) => Bytes::from_static(data),
            Cow::Owned(data) => Bytes::from(data),
        };
        Self { data, hash, kind, gzip: OnceCell::new() }
    }

    /// Its media type.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    /// The tag of the form that a client has already, if it has one.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<String> {
        // None of the tags has a comma in it.
        let knows = |etag: &String| {
            items(headers, IF_NONE_MATCH)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == *etag)
        };
        [self.etag(), self.gzip_etag()].into_iter().find(knows)
    }

    /// The form that a client takes.
    pub(crate) async fn form(&'static self, headers: &HeaderMap) -> Form {
        let gzip = if takes_gzip(headers) { self.gzip().await } else { None };
        match gzip {
            Some(data) => Form { data, etag: self.gzip_etag(), encoding: Some("gzip") },
            None => Form { data: self.data.clone(), etag: self.etag(), encoding: None },
        }
    }

    async fn gzip(&'static self) -> Option<Bytes> {
        if let Some(made) = self.gzip.get() {
            return made.clone();
        }
        let making = tokio::spawn(self.gzip.get_or_init(move || self.make_gzip()));
        making.await.ok().cloned().flatten()
    }

    async fn make_gzip(&self) -> Option<Bytes> {
        let data = self.data.clone();
        tokio::task::spawn_blocking(move || smaller(&data)).await.ok().flatten()
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    fn gzip_etag(&self) -> String {
        format!("\"{}-gzip\"", self.hash)
    }
}

fn smaller(data: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).ok()?;
    let made = encoder.finish().ok()?;
    (made.len() < data.len()).then(|| Bytes::from(made))
}

/// The members of a list that may be in several lines.
fn items(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.to_str().unwrap_or_default().split(',')).map(str::trim)
}

/// Whether whoever asks takes gzip (RFC 9110 12.5.3): what is named counts before `*`.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut all = false;
    for item in items(headers, ACCEPT_ENCODING) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight =
            parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case("q"));
        let is_taken =
            weight.is_none_or(|(_, weight)| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if ["gzip", "x-gzip"].iter().any(|gzip| name.eq_ignore_ascii_case(gzip)) {
            return is_taken;
        }
        all |= name == "*" && is_taken;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;
    use axum::http::header::HeaderName;
    use flate2::read::GzDecoder;
    use futures::FutureExt as _;

    use super::*;

    fn asset(data: impl Into<Bytes>) -> &'static Asset {
        let (hash, kind) = ("abc".to_owned(), "text/javascript".to_owned());
        Box::leak(Box::new(Asset { data: data.into(), hash, kind, gzip: OnceCell::new() }))
    }

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[tokio::test]
    async fn a_file_is_made_smaller_once_whoever_asks_and_goes_away() {
        let script = "let it = 'be';\n".repeat(20_000);
        let asset = asset(script.clone());
        let gzip = headers(ACCEPT_ENCODING, "gzip, deflate, br");
        assert_eq!(asset.form(&gzip).now_or_never(), None, "it is not made where it is asked for");
        let (one, other) = tokio::join!(asset.form(&gzip), asset.form(&gzip));
        assert_eq!(one.data.as_ptr(), other.data.as_ptr());
        let again = asset.form(&gzip).now_or_never().expect("nothing is made any more");
        assert_eq!(again.data.as_ptr(), one.data.as_ptr());
        let mut text = String::new();
        GzDecoder::new(&one.data[..]).read_to_string(&mut text).unwrap();
        assert!(text == script && one.data.len() < script.len() / 10);
        let plain = asset.form(&HeaderMap::new()).await;
        assert_eq!((plain.data, plain.encoding), (script.into(), None));
        assert_eq!((plain.etag.as_str(), one.etag.as_str()), ("\"abc\"", "\"abc-gzip\""));
        for (tags, known) in [
            ("\"abc\"", Some("\"abc\"")),
            ("\"x\", W/\"abc-gzip\"", Some("\"abc-gzip\"")),
            ("*", Some("\"abc\"")),
            ("\"x\"", None),
        ] {
            assert_eq!(asset.known(&headers(IF_NONE_MATCH, tags)).as_deref(), known, "{tags}");
        }
    }

    #[tokio::test]
    async fn what_gets_no_smaller_is_sent_as_it_is() {
        let form = asset(&b"abc"[..]).form(&headers(ACCEPT_ENCODING, "gzip")).await;
        assert_eq!((&form.data[..], form.encoding), (&b"abc"[..], None));
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("*, gzip; Q=0.0", false),
            ("gzip;q=nonsense", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers(ACCEPT_ENCODING, accepted)), expected, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
