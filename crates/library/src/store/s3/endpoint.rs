//! Where a bucket is reached. Pure.

use url::Url;

use super::S3Config;
use crate::error::LibraryError;

const AMAZON: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];
/// Services that take buckets in the host's name only, or are about to.
const VIRTUAL_HOSTS: [&str; 4] = ["aliyuncs.com", "myqcloud.com", "volces.com", "ivolces.com"];

/// A bucket's place, of which only the region may turn out to be another.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    scheme: String,
    /// With a port where one is given; `None` for Amazon's own, which the region tells.
    host: Option<String>,
    /// Of the endpoint: empty, or `/s3`.
    path: String,
    is_virtual: bool,
    /// Keys that stand in the endpoint, as `mc` writes them.
    keys: Option<(String, String)>,
}

impl Bucket {
    /// # Errors
    /// An endpoint that can be none. It is not repeated: a password may stand in it.
    pub(super) fn new(config: &S3Config) -> Result<Self, LibraryError> {
        let name = config.bucket.clone();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_plain) || name.starts_with('.') {
            return Err(LibraryError::Store(format!("{name:?} can be no bucket (S3_BUCKET)")));
        }
        let Some(endpoint) = config.endpoint.as_deref().filter(|endpoint| !endpoint.trim().is_empty()) else {
            let is_virtual = !config.force_path_style.unwrap_or(false) && is_host_label(&name, true);
            let scheme = "https".to_owned();
            return Ok(Self { name, scheme, host: None, path: String::new(), is_virtual, keys: None });
        };
        let no_url =
            || LibraryError::Store("S3_ENDPOINT is no URL such as \"https://s3.example.org\"".into());
        // The tutorials write endpoints with and without a scheme; without one it is https.
        let endpoint = endpoint.trim();
        let with_scheme =
            if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
        let url = Url::parse(&with_scheme).map_err(|_| no_url())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(no_url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_url());
        }
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let keys = url.password().filter(|_| !url.username().is_empty());
        let keys = keys.map(|secret| (decoded(url.username()), decoded(secret)));
        // Consoles show a bucket's endpoint with the bucket in it.
        let within =
            host.strip_prefix(&format!("{name}.")).filter(|rest| rest.contains('.') || *rest == "localhost");
        let plain_host = within.unwrap_or(host).to_owned();
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix(&format!("/{name}")).unwrap_or(path).to_owned();
        let is_https = url.scheme() == "https";
        let ends = |suffix: &str| plain_host == suffix || plain_host.ends_with(&format!(".{suffix}"));
        let is_amazon = is_https && is_amazon_s3(&plain_host);
        let is_name = url.host().is_some_and(|host| matches!(host, url::Host::Domain(_)));
        let wants_virtual = match config.force_path_style {
            Some(force_path_style) => !force_path_style,
            None => {
                within.is_some()
                    || ((is_amazon || VIRTUAL_HOSTS.iter().any(|s| ends(s)))
                        && is_host_label(&name, is_https))
            }
        };
        if wants_virtual && !is_name {
            return Err(LibraryError::Store(
                "S3_FORCE_PATH_STYLE=false puts the bucket into the host's name, and S3_ENDPOINT has none but an address"
                    .into(),
            ));
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let bucket = Self {
            name,
            scheme: url.scheme().to_owned(),
            host: (!is_amazon || !path.is_empty()).then(|| format!("{plain_host}{port}")),
            path,
            is_virtual: wants_virtual,
            keys,
        };
        // What is made of it later is one too.
        match bucket.url("us-east-1").parse::<http::Uri>() {
            Ok(_) => Ok(bucket),
            Err(_) => Err(no_url()),
        }
    }

    /// Where it is, without a slash at its end.
    pub(super) fn url(&self, region: &str) -> String {
        let (scheme, authority, path) = (&self.scheme, self.authority(region), &self.path);
        match self.is_virtual {
            true => format!("{scheme}://{authority}{path}"),
            false => format!("{scheme}://{authority}{path}/{}", self.name),
        }
    }

    /// Its host, and its port where one is given.
    pub(super) fn authority(&self, region: &str) -> String {
        let host = match &self.host {
            Some(host) => host.clone(),
            None if region.starts_with("cn-") => format!("s3.{region}.{}", AMAZON[1]),
            None => format!("s3.{region}.{}", AMAZON[0]),
        };
        if self.is_virtual { format!("{}.{host}", self.name) } else { host }
    }

    /// A name below "localhost" is this machine (RFC 6761 6.3), and not every resolver knows it.
    pub(super) fn is_on_localhost(&self) -> Option<String> {
        let host = self.host.as_ref()?.rsplit_once(':').map_or(self.host.as_deref()?, |(host, _)| host);
        (self.is_virtual && host == "localhost").then(|| format!("{}.localhost", self.name))
    }

    pub(super) fn keys(&self) -> Option<(&String, &String)> {
        self.keys.as_ref().map(|(key, secret)| (key, secret))
    }
}

/// `s3.amazonaws.com`, `s3.eu-west-1.amazonaws.com`, `s3-eu-west-1.amazonaws.com`: of a region, and of nothing else.
fn is_amazon_s3(host: &str) -> bool {
    let Some(rest) = AMAZON.iter().find_map(|domain| host.strip_suffix(&format!(".{domain}"))) else {
        return false;
    };
    rest == "s3" || ["s3.", "s3-"].iter().any(|start| rest.strip_prefix(start).is_some_and(is_plain_region))
}

/// Not the name of another of Amazon's endpoints, such as `dualstack.eu-west-1` or `accelerate`.
fn is_plain_region(text: &str) -> bool {
    let ends_in_number = text.rsplit('-').next().is_some_and(|end| end.parse::<u8>().is_ok());
    ends_in_number && !text.contains('.') && !text.starts_with("fips") && text.split('-').count() >= 3
}

/// Whether a certificate for `*.host` covers it, where there is one.
fn is_host_label(bucket: &str, is_https: bool) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || (!is_https && byte == b'.')
    };
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(plain)
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: &str, name: &str, force_path_style: Option<bool>) -> Result<Bucket, LibraryError> {
        let endpoint = (!endpoint.is_empty()).then(|| endpoint.to_owned());
        Bucket::new(&S3Config { endpoint, bucket: name.into(), force_path_style, ..S3Config::default() })
    }

    fn url(endpoint: &str, force_path_style: Option<bool>) -> String {
        bucket(endpoint, "calls", force_path_style).unwrap().url("eu-west-1")
    }

    #[test]
    fn every_way_to_write_an_endpoint_leads_to_the_bucket() {
        for (endpoint, expected) in [
            ("", "https://calls.s3.eu-west-1.amazonaws.com"),
            ("s3.amazonaws.com", "https://calls.s3.eu-west-1.amazonaws.com"),
            ("https://s3.us-east-1.amazonaws.com/", "https://calls.s3.eu-west-1.amazonaws.com"),
            ("https://calls.s3.us-east-1.amazonaws.com", "https://calls.s3.eu-west-1.amazonaws.com"),
            (
                "https://s3.dualstack.us-east-1.amazonaws.com",
                "https://s3.dualstack.us-east-1.amazonaws.com/calls",
            ),
            ("http://localhost:9000/", "http://localhost:9000/calls"),
            ("http://localhost:9000/calls", "http://localhost:9000/calls"),
            ("minio:9000", "https://minio:9000/calls"),
            ("http://[::1]:9000", "http://[::1]:9000/calls"),
            ("https://example.org/s3/", "https://example.org/s3/calls"),
            ("https://calls.example.org", "https://calls.example.org"),
            ("oss-cn-hangzhou.aliyuncs.com", "https://calls.oss-cn-hangzhou.aliyuncs.com"),
            ("https://calls.oss-cn-hangzhou.aliyuncs.com", "https://calls.oss-cn-hangzhou.aliyuncs.com"),
            ("https://s3.us-west-004.backblazeb2.com", "https://s3.us-west-004.backblazeb2.com/calls"),
            ("https://key:se%2Fcret@s3.example.org/", "https://s3.example.org/calls"),
        ] {
            assert_eq!(url(endpoint, None), expected, "{endpoint}");
        }
        assert_eq!(url("http://localhost:9000", Some(false)), "http://calls.localhost:9000");
        assert_eq!(url("", Some(true)), "https://s3.eu-west-1.amazonaws.com/calls");
        let dotted = bucket("", "my.calls", None).unwrap();
        assert_eq!(
            dotted.url("eu-west-1"),
            "https://s3.eu-west-1.amazonaws.com/my.calls",
            "no certificate covers it"
        );
        assert_eq!(dotted.url("cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn/my.calls");
        let keys = bucket("https://key:se%2Fcret@s3.example.org/", "calls", None).unwrap();
        assert_eq!(keys.keys().unwrap(), (&"key".to_owned(), &"se/cret".to_owned()));
    }

    #[test]
    fn what_can_be_no_endpoint_is_refused_without_its_password() {
        for endpoint in [
            "ftp://user:hunter2@host",
            "https://user:hunter2@",
            "http://user:hunter2@ho st",
            "http://user:hunter2@h:x",
        ] {
            let error = bucket(endpoint, "calls", None).err().unwrap().to_string();
            assert!(error.contains("S3_ENDPOINT") && !error.contains("hunter2"), "{error}");
        }
        assert!(bucket("http://127.0.0.1:9000", "calls", Some(false)).is_err());
        assert!(bucket("http://example.org:9000", "a:b", Some(false)).is_err());
        assert!(bucket("", "a/b", None).is_err() && bucket("", "", None).is_err());
    }
}
