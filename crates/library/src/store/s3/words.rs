//! What an S3 server refuses, in words that a person can do something with. Pure.

/// Texts of refusals begin with it: what stands before it in an error tells of our own requests only.
pub(super) const SAYS: &str = "the S3 server says ";
const NO_CREDENTIALS: &str = "there are no credentials for the S3 server";
/// Of a server's own words.
const MAX_CHARS: usize = 200;

/// The part of an error that says what is wrong, where this module has put it into words.
pub(in super::super) fn in_words(error: &str) -> Option<&str> {
    let starts = [SAYS, NO_CREDENTIALS].into_iter().filter_map(|start| error.find(start));
    starts.min().map(|start| error[start..].trim_end())
}

/// Neither keys nor a role.
pub(super) fn no_credentials(why: &str) -> String {
    let why: String = clean(why);
    format!(
        "{NO_CREDENTIALS}: set S3_ACCESS_KEY and S3_SECRET_KEY, or run with a role that gives them ({why})"
    )
}

/// An error as a server says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Empty where it names none.
    pub(super) code: String,
    pub(super) message: String,
    /// Where the bucket is, by its account.
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

impl Refusal {
    /// Reads a body, which may be anything.
    pub(super) fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let field = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (value, _) = rest.split_once(&format!("</{name}>"))?;
            let plain = value.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<");
            Some(plain.replace("&gt;", ">").replace("&#39;", "'").replace("&amp;", "&"))
        };
        let is_xml = text.contains("<Code>");
        Self {
            code: field("Code").unwrap_or_default(),
            message: match is_xml {
                true => field("Message").unwrap_or_default(),
                // A page of a proxy tells nothing, a short text may.
                false if text.trim_start().starts_with('<') => String::new(),
                false => text.to_string(),
            },
            region: field("Region").filter(|region| is_region(region)),
            endpoint: field("Endpoint").filter(|endpoint| is_host(endpoint)),
        }
    }

    /// The sentence, with what to do about it.
    pub(super) fn sentence(&self, status: u16, context: &Context<'_>) -> String {
        let said = match (self.code.is_empty(), clean(&self.message)) {
            (false, message) if message.is_empty() => format!("{SAYS}{} ({status})", self.code),
            (false, message) => format!("{SAYS}{} ({status}, {message:?})", self.code),
            (true, message) if message.is_empty() => format!("{SAYS}{status}"),
            (true, message) => format!("{SAYS}{status} ({message:?})"),
        };
        match self.advice(status, context) {
            Some(advice) => format!("{said}: {advice}"),
            None => said,
        }
    }

    fn advice(&self, status: u16, context: &Context<'_>) -> Option<String> {
        let bucket = context.bucket;
        Some(match self.code.as_str() {
            "NoSuchBucket" => format!("there is no bucket {bucket:?}; make it, or set S3_BUCKET to the one there is"),
            "InvalidAccessKeyId" => "it does not know the access key; look at S3_ACCESS_KEY".into(),
            "SignatureDoesNotMatch" => {
                "the secret key is not the access key's; look at S3_SECRET_KEY (or at a proxy that changes requests)".into()
            }
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                "the temporary credentials have expired; give new ones, or let a role give them".into()
            }
            "InvalidToken" | "InvalidSecurity" => {
                "the session token does not belong to the access key; look at AWS_SESSION_TOKEN".into()
            }
            "RequestTimeTooSkewed" => "this machine's clock and the server's differ too much; set them right".into(),
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                match (&self.region, &self.endpoint) {
                    (Some(region), _) => format!("the bucket is in the region {region:?}; set AWS_REGION"),
                    (None, Some(endpoint)) => format!("the bucket is reached at {endpoint:?}; set S3_ENDPOINT"),
                    (None, None) => format!("the bucket is in another region than {:?}; set AWS_REGION", context.region),
                }
            }
            "SecondLevelDomainForbidden" | "VirtualHostDomainRequired" | "PathStyleDomainForbidden" => {
                "it wants the bucket in the host's name; set S3_FORCE_PATH_STYLE=false".into()
            }
            "InvalidObjectState" => "it is archived; have it restored there, and it is read again".into(),
            "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "UserSuspended" => {
                "the access key's account may not be used; look at it there, and at S3_ACCESS_KEY".into()
            }
            "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" | "ServiceQuotaExceeded" | "XMinioAdminBucketQuotaExceeded" => {
                "it is full; make room there".into()
            }
            "SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "RequestLimitExceeded" => {
                "it is too busy; it is tried again".into()
            }
            "NotImplemented" | "MethodNotAllowed" => format!("it cannot {}", context.action),
            _ if self.endpoint.is_some() && status < 500 => {
                let endpoint = self.endpoint.as_deref().unwrap_or_default();
                format!("the bucket is reached at {endpoint:?}; set S3_ENDPOINT")
            }
            "AccessDenied" | "Forbidden" => format!("the access key may not {}", context.action),
            _ => match status {
                401 | 403 => format!("the access key may not {}", context.action),
                501 | 405 => format!("it cannot {}", context.action),
                300..=399 => match &self.region {
                    Some(region) => format!("the bucket is in the region {region:?}; set AWS_REGION"),
                    None => format!(
                        "it sends us elsewhere, which means another region than {:?} (AWS_REGION) or another S3_ENDPOINT",
                        context.region
                    ),
                },
                404 if context.is_bucket => format!(
                    "nothing answers for the bucket {bucket:?}; look at S3_BUCKET, S3_ENDPOINT and S3_FORCE_PATH_STYLE"
                ),
                _ => return None,
            },
        })
    }
}

/// What was asked.
pub(super) struct Context<'a> {
    pub(super) bucket: &'a str,
    pub(super) region: &'a str,
    /// "list the bucket".
    pub(super) action: &'a str,
    /// The bucket itself was asked for.
    pub(super) is_bucket: bool,
}

fn clean(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect()
}

/// What may be put into a host's name and a signature.
pub(super) fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do_and_never_more_than_a_few_words_of_the_server() {
        let context =
            Context { bucket: "calls", region: "us-east-1", action: "list the bucket", is_bucket: true };
        let said = |status, body: &str| Refusal::parse(body.as_bytes()).sentence(status, &context);
        let region = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message>\
                      <Region>eu-west-1</Region></Error>";
        assert_eq!(
            said(400, region),
            "the S3 server says AuthorizationHeaderMalformed (400, \"the region is wrong\"): the bucket is in the region \
             \"eu-west-1\"; set AWS_REGION"
        );
        assert!(said(404, "<Error><Code>NoSuchBucket</Code></Error>").contains("no bucket \"calls\""));
        assert!(
            said(403, "<html>forbidden</html>").ends_with("says 403: the access key may not list the bucket")
        );
        assert!(
            said(403, "<Error><Code>SecondLevelDomainForbidden</Code></Error>")
                .contains("S3_FORCE_PATH_STYLE=false")
        );
        let elsewhere =
            "<Error><Code>AccessDenied</Code><Endpoint>oss-cn-hangzhou.aliyuncs.com</Endpoint></Error>";
        assert!(said(403, elsewhere).contains("oss-cn-hangzhou.aliyuncs.com"));
        assert!(said(500, &"x\n\u{7}".repeat(10_000)).chars().count() < 300);
        let hostile = "<Error><Code>PermanentRedirect</Code><Region>a b/../c</Region></Error>";
        assert_eq!(Refusal::parse(hostile.as_bytes()).region, None);
    }
}
