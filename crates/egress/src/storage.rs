//! A bucket that a request names: its file goes there, and nowhere else. Pure.
//!
//! Its keys are somebody else's. They stand in the job and in its take, which nobody but the program's user reads, as long as these are kept, and
//! nobody is told them: not in answers, webhooks or the log.

use std::fmt;

use reelroom_library::S3Config;
use reelroom_protocol::proto::encoded_file_output::Output;
use reelroom_protocol::proto::room_composite_egress_request::Output as OldOutput;
use reelroom_protocol::proto::{EncodedFileOutput, RoomCompositeEgressRequest, S3Upload};
use reelroom_protocol::twirp::TwirpError;
use serde::{Deserialize, Serialize};

use crate::request::{invalid, unsupported};

/// An S3 bucket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Storage {
    bucket: String,
    region: String,
    /// Empty for Amazon's.
    endpoint: String,
    access_key: String,
    secret: String,
    /// Of temporary keys; empty for others.
    session_token: String,
    force_path_style: bool,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Storage {
    /// Where the file of a request goes; `None` for the server's own store.
    ///
    /// # Errors
    /// `invalid_argument` for what is missing; `unimplemented`, saying what, for what LiveKit can and this recorder cannot.
    pub(crate) fn of(file: &EncodedFileOutput) -> Result<Option<Self>, TwirpError> {
        let s3 = match &file.output {
            None => return Ok(None),
            Some(Output::S3(s3)) => s3,
            Some(_) => return Err(unsupported("a storage named in the request that is not S3")),
        };
        for (value, field) in [(&s3.bucket, "bucket"), (&s3.access_key, "access_key"), (&s3.secret, "secret")]
        {
            if value.is_empty() {
                return Err(invalid(&format!("s3.{field}")));
            }
        }
        for (is_asked, what) in [
            (!s3.assume_role_arn.is_empty() || !s3.assume_role_external_id.is_empty(), "assume_role_arn"),
            (!s3.metadata.is_empty(), "metadata"),
            (!s3.tagging.is_empty(), "tagging"),
            (!s3.content_disposition.is_empty(), "content_disposition"),
            (s3.proxy.is_some(), "proxy"),
        ] {
            if is_asked {
                return Err(unsupported(&format!("s3.{what}")));
            }
        }
        Ok(Some(Self {
            bucket: s3.bucket.clone(),
            region: s3.region.clone(),
            endpoint: s3.endpoint.clone(),
            access_key: s3.access_key.clone(),
            secret: s3.secret.clone(),
            session_token: s3.session_token.clone(),
            force_path_style: s3.force_path_style,
        }))
    }

    /// As the library reaches it: by its own keys alone, and never by those of this machine.
    pub(crate) fn config(&self) -> S3Config {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        S3Config {
            endpoint: some(&self.endpoint),
            access_key: some(&self.access_key),
            secret_key: some(&self.secret),
            session_token: some(&self.session_token),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            force_path_style: self.force_path_style.then_some(true),
            platform: Vec::new(),
        }
    }
}

/// A request as everybody may see it: LiveKit's names of secrets instead of them.
pub(crate) fn redacted(mut request: RoomCompositeEgressRequest) -> RoomCompositeEgressRequest {
    let old = match &mut request.output {
        Some(OldOutput::File(file)) => Some(file),
        _ => None,
    };
    for file in request.file_outputs.iter_mut().chain(old) {
        if let Some(Output::S3(S3Upload { access_key, secret, session_token, .. })) = &mut file.output {
            let secrets =
                [(access_key, "{access_key}"), (secret, "{secret}"), (session_token, "{session_token}")];
            for (value, name) in secrets.into_iter().filter(|(value, _)| !value.is_empty()) {
                name.clone_into(value);
            }
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{GcpUpload, ProxyConfig};
    use reelroom_protocol::twirp::TwirpCode;

    use super::*;

    fn s3() -> S3Upload {
        S3Upload {
            bucket: "b".into(),
            access_key: "key of mine".into(),
            secret: "secret of mine".into(),
            endpoint: "http://localhost:9000".into(),
            ..Default::default()
        }
    }

    fn file(output: Output) -> EncodedFileOutput {
        EncodedFileOutput { output: Some(output), ..Default::default() }
    }

    fn refusal(s3: S3Upload) -> TwirpError {
        Storage::of(&file(Output::S3(s3))).unwrap_err()
    }

    #[test]
    fn a_bucket_is_reached_by_the_keys_of_its_request_alone() {
        assert_eq!(Storage::of(&EncodedFileOutput::default()), Ok(None));
        let storage = Storage::of(&file(Output::S3(s3()))).unwrap().unwrap();
        let config = storage.config();
        assert_eq!(
            (config.bucket.as_str(), config.endpoint.as_deref()),
            ("b", Some("http://localhost:9000"))
        );
        assert_eq!(config.access_key.as_deref(), Some("key of mine"));
        assert_eq!((config.session_token, config.force_path_style), (None, None));
        assert!(config.platform.is_empty());
        assert!(!format!("{storage:?}").contains("mine"));
        let again: Storage = serde_json::from_value(serde_json::to_value(&storage).unwrap()).unwrap();
        assert_eq!(again, storage);
    }

    #[test]
    fn what_is_missing_or_not_offered_is_refused() {
        for (s3, field) in [
            (S3Upload { bucket: String::new(), ..s3() }, "s3.bucket"),
            (S3Upload { access_key: String::new(), ..s3() }, "s3.access_key"),
            (S3Upload { secret: String::new(), ..s3() }, "s3.secret"),
        ] {
            assert_eq!(refusal(s3), invalid(field));
        }
        for s3 in [
            S3Upload { assume_role_arn: "arn".into(), ..s3() },
            S3Upload { tagging: "a=b".into(), ..s3() },
            S3Upload { content_disposition: "inline".into(), ..s3() },
            S3Upload { metadata: [("a".to_owned(), "b".to_owned())].into(), ..s3() },
            S3Upload { proxy: Some(ProxyConfig::default()), ..s3() },
        ] {
            assert_eq!(refusal(s3).code, TwirpCode::Unimplemented);
        }
        let gcp = Storage::of(&file(Output::Gcp(GcpUpload::default()))).unwrap_err();
        assert_eq!(gcp.code, TwirpCode::Unimplemented);
    }

    #[test]
    fn nobody_sees_the_keys_of_a_request() {
        let request = RoomCompositeEgressRequest {
            file_outputs: vec![file(Output::S3(s3())), EncodedFileOutput::default()],
            output: Some(OldOutput::File(file(Output::S3(s3())))),
            ..Default::default()
        };
        let seen = redacted(request);
        assert!(!format!("{seen:?}").contains("mine"));
        let Some(Output::S3(s3)) = &seen.file_outputs[0].output else { panic!("{seen:?}") };
        assert_eq!(
            (s3.secret.as_str(), s3.session_token.as_str(), s3.bucket.as_str()),
            ("{secret}", "", "b")
        );
    }
}
