//! AWS Signature Version 4, of a request's headers and of a URL
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>). Pure.
//!
//! It stands here, and not in `object_store`, because the time and the region that are signed are corrected by what the
//! server answers: see [`super::wire`].

use hmac::{Hmac, Mac as _};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]");
const INSTANT: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
/// What RFC 3986 calls unreserved stays as it is.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs, and when and where it holds.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) key_id: &'a str,
    pub(super) secret_key: &'a str,
    /// Of temporary credentials.
    pub(super) token: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) at: OffsetDateTime,
}

impl Signer<'_> {
    /// Adds the headers that authorize a request.
    pub(super) fn sign(&self, method: &Method, uri: &Uri, headers: &mut HeaderMap, body: &[u8]) {
        let digest = hex::encode(Sha256::digest(body));
        let host = uri.authority().map_or("", |authority| authority.as_str());
        headers.insert(HOST, value(host));
        headers.insert(HeaderName::from_static("x-amz-date"), value(&self.instant()));
        headers.insert(HeaderName::from_static("x-amz-content-sha256"), value(&digest));
        if let Some(token) = self.token {
            headers.insert(HeaderName::from_static("x-amz-security-token"), value(token));
        }
        let (names, lines) = canonical(headers);
        let query = sorted(uri.query().unwrap_or_default());
        let signature = self.signature(method, uri.path(), &query, &lines, &names, &digest);
        let credential = format!("{}/{}", self.key_id, self.scope());
        let text =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}");
        headers.insert(AUTHORIZATION, value(&text));
    }

    /// A query that authorizes whoever has the URL for so many seconds.
    pub(super) fn presign(&self, method: &Method, uri: &Uri, valid_s: u64) -> String {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let mut pairs = vec![
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", format!("{}/{}", self.key_id, self.scope())),
            ("X-Amz-Date", self.instant()),
            ("X-Amz-Expires", valid_s.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        pairs.extend(self.token.map(|token| ("X-Amz-Security-Token", token.to_owned())));
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", strict(value))).collect();
        let query = sorted(&pairs.join("&"));
        let lines = format!("host:{host}\n");
        let signature = self.signature(method, uri.path(), &query, &lines, "host", UNSIGNED_PAYLOAD);
        format!("{query}&X-Amz-Signature={signature}")
    }

    fn signature(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        header_lines: &str,
        header_names: &str,
        digest: &str,
    ) -> String {
        let request = format!("{method}\n{path}\n{query}\n{header_lines}\n{header_names}\n{digest}");
        let hash = hex::encode(Sha256::digest(request));
        let text = format!("{ALGORITHM}\n{}\n{}\n{hash}", self.instant(), self.scope());
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for step in [self.day().as_str(), self.region, "s3", "aws4_request"] {
            key = hmac(&key, step);
        }
        hex::encode(hmac(&key, &text))
    }

    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day(), self.region)
    }

    fn day(&self) -> String {
        self.at.format(DAY).expect("a date has a year, a month and a day")
    }

    fn instant(&self) -> String {
        self.at.format(INSTANT).expect("a date has hours, minutes and seconds")
    }
}

/// As keys and values stand in a URL.
pub(super) fn strict(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// As a key stands in a path.
pub(super) fn strict_path(key: &str) -> String {
    const PATH: &AsciiSet = &STRICT.remove(b'/');
    utf8_percent_encode(key, PATH).to_string()
}

/// Names, and lines of names and values, of what is signed: everything that a proxy does not change.
fn canonical(headers: &HeaderMap) -> (String, String) {
    let mut lines: Vec<(&str, String)> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name == "host" || name.starts_with("x-amz-") || ["range", "content-md5"].contains(&name)
        })
        .map(|name| {
            let values = headers.get_all(name).iter().map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            });
            (name.as_str(), values.collect::<Vec<_>>().join(","))
        })
        .collect();
    lines.sort();
    let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    (names, lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect())
}

/// A query, encoded already, in the order in which it is signed; a name without a value gets an empty one.
fn sorted(query: &str) -> String {
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn value(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The example of Amazon's documentation.
    const SIGNER: Signer<'_> = Signer {
        key_id: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        token: None,
        region: "us-east-1",
        at: datetime!(2013-05-24 00:00:00 UTC),
    };

    #[test]
    fn a_request_is_signed_as_amazons_documentation_does_it() {
        let uri = Uri::from_static("https://examplebucket.s3.amazonaws.com/test.txt");
        let mut headers = HeaderMap::new();
        headers.insert("range", HeaderValue::from_static("bytes=0-9"));
        headers.insert("user-agent", HeaderValue::from_static("is not signed"));
        SIGNER.sign(&Method::GET, &uri, &mut headers, b"");
        let signed = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            signed.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        );
        assert!(format!("{headers:?}").contains("Sensitive"), "it is not logged");

        let uri = Uri::from_static("https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2");
        let mut headers = HeaderMap::new();
        SIGNER.sign(&Method::GET, &uri, &mut headers, b"");
        let signed = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            signed.ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        );
    }

    #[test]
    fn a_url_is_signed_as_amazons_documentation_does_it() {
        let uri = Uri::from_static("https://examplebucket.s3.amazonaws.com/test.txt");
        let query = SIGNER.presign(&Method::GET, &uri, 86400);
        assert!(
            query.ends_with("=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
            "{query}"
        );
        let temporary = Signer { token: Some("to/ken"), ..SIGNER };
        assert!(temporary.presign(&Method::GET, &uri, 1).contains("X-Amz-Security-Token=to%2Fken"));
    }
}
