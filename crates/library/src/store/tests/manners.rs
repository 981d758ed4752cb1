//! Every kind of S3 server, by the same suite; and what cannot work says why.

use super::*;
use crate::s3_server::{BUCKET, Manner, S3Server, SESSION_TOKEN};

/// With settings of its own where a kind needs them.
fn settings(server: &S3Server, manners: &[Manner]) -> S3Config {
    let mut config = s3_settings(server);
    for manner in manners {
        match manner {
            Manner::VirtualHosts => {
                config.endpoint = Some(server.endpoint.replace("127.0.0.1", "localhost"));
                config.force_path_style = Some(false);
            }
            Manner::SessionToken => config.session_token = Some(SESSION_TOKEN.into()),
            _ => {}
        }
    }
    config
}

/// What a browser gets by a presigned URL.
async fn fetch(url: &str) -> Result<String, String> {
    // A browser resolves names below "localhost" by itself.
    let local = format!("{BUCKET}.localhost");
    let client = reqwest::Client::builder().resolve(&local, ([127, 0, 0, 1], 0).into()).build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}

async fn conforms_to(manners: &[Manner]) {
    let server = S3Server::start().await;
    server.faults.set_manners(manners);
    let config = StoreConfig::S3(settings(&server, manners));
    let store = Store::open(&config, "recordings/", Limits::default()).unwrap();
    store.check().await.unwrap_or_else(|error| panic!("{manners:?}: {error}"));
    conforms(&store).await;
    let is_about_listing = |manner: &Manner| {
        use Manner::*;
        matches!(
            manner,
            V1Listing | V1ListingInDisguise | EncodedKeys | SmallPages | NoDeleteObjects | NoConditions
        )
    };
    if !manners.iter().all(is_about_listing) {
        takes_files_in_parts(&store).await;
        assert!(server.unfinished().is_empty());
    }
    let name = "räume & +%1.mp4";
    store.write_verified(name, "content").await.unwrap();
    let url = store.presign(name, Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.starts_with(&store.origin().unwrap()), "{url}");
    if !manners.contains(&Manner::SlowDown) {
        assert_eq!(fetch(&url).await.as_deref(), Ok("content"), "{manners:?}");
    }
    assert!(!format!("{config:?}").contains(s3_server::SECRET_KEY));
}

#[tokio::test]
async fn a_server_that_ignores_conditions_mixes_no_object_with_its_successor() {
    let server = S3Server::start().await;
    server.faults.set_manners(&[Manner::IgnoresConditions]);
    let store = Store::open(&s3_config(&server), "", Limits::default()).unwrap();
    store.write("a.mp4", "first").await.unwrap();
    let first = store.head("a.mp4").await.unwrap();
    store.write("a.mp4", "other").await.unwrap();
    let second = store.head("a.mp4").await.unwrap();
    assert_ne!(first.etag, second.etag);
    assert!(matches!(store.stream(&first, 0..3).await, Err(LibraryError::NotFound(_))));
    assert!(store.stream(&second, 0..3).await.is_ok());
}

#[tokio::test]
async fn two_uploads_of_one_name_at_once_keep_one_of_them_whole_and_tell_the_other() {
    let server = S3Server::start().await;
    let store = Store::open(&s3_config(&server), "", Limits::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for size in [1000, upload::PART_BYTES + 1000] {
        let name = format!("{size}.mp4");
        let uploads = [1, 2].map(|who: u8| {
            let (store, name, file) = (&store, &name, folder.path().join(format!("{who}.mp4")));
            std::fs::write(&file, vec![who; size]).unwrap();
            async move { Uploader::new().upload(store, name, &file).await }
        });
        let [first, second] = uploads;
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let refused = if first.is_ok() { second } else { first };
        assert!(matches!(refused, Err(LibraryError::Taken(_))), "{refused:?}");
        let there = server.object(&name);
        assert!(there == vec![1; size] || there == vec![2; size]);
        assert!(server.unfinished().is_empty());
    }
}

#[tokio::test]
async fn what_another_program_puts_in_the_place_of_an_upload_stays_and_the_upload_is_told() {
    let server = S3Server::start().await;
    let store = Store::open(&s3_config(&server), "", Limits::default()).unwrap();
    let (folder, uploader) = (tempfile::tempdir().unwrap(), Uploader::new());
    for size in [1000, upload::PART_BYTES + 1000] {
        let (name, file) = (format!("{size}.mp4"), folder.path().join("made.mp4"));
        std::fs::write(&file, vec![1; size]).unwrap();
        server.faults.set(Fault { kind: Kind::Replace, times: Some(1), ..Fault::default() });
        for _ in 0..2 {
            let refused = uploader.upload(&store, &name, &file).await;
            assert!(matches!(refused, Err(LibraryError::Taken(_))), "{size}: {refused:?}");
            assert_eq!(server.object(&name), s3_server::ANOTHERS);
        }
        assert!(server.unfinished().is_empty());
    }
}

macro_rules! kinds {
    ($($name:ident: $($manner:ident)+;)*) => {$(
        #[tokio::test]
        async fn $name() {
            conforms_to(&[$(Manner::$manner),+]).await;
        }
    )*};
}

kinds! {
    a_server_that_refuses_checksums_conforms: NoChecksums NoChunks;
    a_server_without_delete_objects_conforms: NoDeleteObjects;
    a_server_that_wants_the_bucket_in_the_host_conforms: VirtualHosts;
    a_server_that_wants_a_session_token_conforms: SessionToken;
    a_server_with_virtual_hosts_and_tokens_conforms: VirtualHosts SessionToken;
    a_server_with_weak_etags_conforms: WeakEtags;
    a_server_without_etags_conforms: NoEtags;
    a_server_without_conditions_conforms: NoConditions;
    a_bucket_in_another_region_conforms: OtherRegion;
    a_bucket_that_redirects_to_its_region_conforms: RegionRedirect;
    a_server_whose_clock_is_off_conforms: SkewedClock;
    a_server_without_list_objects_v2_conforms: V1Listing;
    a_server_that_takes_v2_for_v1_conforms: V1ListingInDisguise;
    a_server_of_small_pages_conforms: SmallPages;
    a_server_of_small_pages_of_v1_conforms: SmallPages V1Listing;
    a_server_that_encodes_keys_conforms: EncodedKeys;
    a_server_that_encodes_keys_of_small_pages_conforms: EncodedKeys SmallPages;
    a_server_that_encodes_keys_of_v1_conforms: EncodedKeys SmallPages V1Listing;
    a_server_that_ignores_ranges_conforms: NoRanges;
    a_server_that_refuses_ranges_conforms: RangesRefused;
    a_server_that_gives_more_than_a_range_conforms: WideRanges;
    a_server_that_ignores_conditions_conforms: IgnoresConditions ReplacesAll WideRanges;
    a_server_that_holds_no_names_conforms: NoHeldNames;
    a_server_that_replaces_all_conforms: ReplacesAll;
    a_server_without_abort_conforms: NoAbort;
    a_server_that_is_busy_conforms: SlowDown;
    a_server_of_many_manners_conforms: NoChecksums NoDeleteObjects WeakEtags OtherRegion V1Listing SmallPages NoAbort;
}

#[tokio::test]
async fn an_upload_that_a_server_cannot_abort_is_not_tried_to_be_aborted_for_ever() {
    let faulty = Faulty::new().await;
    faulty.server.faults.set_manners(&[Manner::NoAbort]);
    faulty.server.faults.set(Fault { kind: Kind::Error, method: Some("PUT".into()), ..Fault::default() });
    faulty.upload(&large_content()).await.unwrap_err();
    faulty.server.faults.set(Kind::None);
    faulty.store.abort(&faulty.uploader.journal).await.unwrap();
    faulty.server.faults.set(Kind::Error);
    faulty.store.abort(&faulty.uploader.journal).await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_said_in_a_sentence() {
    let server = S3Server::start().await;
    for (manner, advice) in [
        (Manner::VirtualHosts, "S3_FORCE_PATH_STYLE=false"),
        (Manner::SessionToken, "S3_ACCESS_KEY"),
        (Manner::HalfAListing, ""),
    ] {
        server.faults.set_manners(&[manner]);
        let store = Store::open(&s3_config(&server), "", Limits::default()).unwrap();
        match store.check().await {
            Ok(()) => assert!(advice.is_empty(), "{manner:?}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("the S3 server says ") && error.contains(advice), "{error}");
            }
        }
    }
    // A console, or a page, instead of an S3 server.
    let page = axum_like_page().await;
    let config = S3Config { endpoint: Some(page), ..s3_settings(&server) };
    let store = Store::open(&StoreConfig::S3(config), "", Limits::default()).unwrap();
    let error = store.check().await.unwrap_err().to_string();
    assert!(error.contains("no S3 server"), "{error}");
}

/// Answers everything by a page.
async fn axum_like_page() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = socket.read(&mut [0; 4096]).await;
                let body = "<!doctype html><title>console</title>";
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_password_in_an_endpoint_is_the_key_and_is_shown_nowhere() {
    let server = S3Server::start().await;
    let with_keys = |secret: &str| {
        let keys = format!("http://{}:{secret}@", s3_server::ACCESS_KEY);
        let endpoint = server.endpoint.replace("http://", &keys);
        S3Config { endpoint: Some(endpoint), access_key: None, secret_key: None, ..s3_settings(&server) }
    };
    let config = with_keys(s3_server::SECRET_KEY);
    let store = Store::open(&StoreConfig::S3(config.clone()), "", Limits::default()).unwrap();
    store.write_verified("a.mp4", "x").await.unwrap();
    let shown = [
        store.base(),
        store.location("a.mp4").unwrap(),
        store.origin().unwrap(),
        format!("{config:?}"),
        store.presign("a.mp4", Duration::from_secs(5)).await.unwrap().unwrap(),
    ];
    assert!(shown.iter().all(|text| !text.contains(s3_server::SECRET_KEY)), "{shown:?}");
    let wrong = with_keys("hunter2");
    let store = Store::open(&StoreConfig::S3(wrong), "", Limits::default()).unwrap();
    for kind in [Kind::None, Kind::Error, Kind::Cut] {
        server.faults.set(kind);
        let errors = [
            store.check().await.unwrap_err().to_string(),
            store.head("a.mp4").await.unwrap_err().to_string(),
            store.write("a.mp4", "x").await.unwrap_err().to_string(),
        ];
        assert!(errors.iter().all(|error| !error.contains("hunter2")), "{errors:?}");
    }
}

/// A platform that gives a role's credentials, as a container's agent or an instance's metadata do.
async fn platform() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let read = socket.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let (key, secret) = (s3_server::ACCESS_KEY, s3_server::SECRET_KEY);
                let credentials = format!(
                    "{{\"AccessKeyId\":\"{key}\",\"SecretAccessKey\":\"{secret}\",\"Token\":\"{SESSION_TOKEN}\",\
                     \"Expiration\":\"2036-01-01T00:00:00Z\",\"Code\":\"Success\",\"RoleArn\":\"arn\",\"Type\":\"AWS-HMAC\",\
                     \"LastUpdated\":\"2026-01-01T00:00:00Z\"}}"
                );
                let path = request.split(' ').nth(1).unwrap_or_default();
                let body = match path {
                    "/latest/api/token" => "an instance's token",
                    "/latest/meta-data/iam/security-credentials/" => "role",
                    "/latest/meta-data/iam/security-credentials/role" => &credentials,
                    "/pod" if request.to_ascii_lowercase().contains("authorization: of the pod") => {
                        &credentials
                    }
                    _ => "",
                };
                let status = if body.is_empty() { "403 Forbidden" } else { "200 OK" };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_role_gives_credentials_where_no_keys_are_set() {
    let (server, platform, folder) =
        (S3Server::start().await, platform().await, tempfile::tempdir().unwrap());
    server.faults.set_manners(&[Manner::SessionToken]);
    let token = folder.path().join("token");
    std::fs::write(&token, "of the pod").unwrap();
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{platform}/pod")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display().to_string()),
    ];
    let instance = [("AWS_METADATA_ENDPOINT", platform.clone())];
    for variables in [&pod[..], &instance[..]] {
        let platform = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let config = S3Config { access_key: None, secret_key: None, platform, ..s3_settings(&server) };
        let store = Store::open(&StoreConfig::S3(config), "", Limits::default()).unwrap();
        store.write_verified("a.mp4", "content").await.unwrap();
        let url = store.presign("a.mp4", Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(fetch(&url).await.as_deref(), Ok("content"));
    }
    let nobody = vec![("AWS_METADATA_ENDPOINT".to_owned(), "http://127.0.0.1:9".to_owned())];
    let config = S3Config { access_key: None, secret_key: None, platform: nobody, ..s3_settings(&server) };
    let store = Store::open(&StoreConfig::S3(config), "", Limits::default()).unwrap();
    let error = store.check().await.unwrap_err().to_string();
    assert!(error.contains("no credentials") && error.contains("S3_ACCESS_KEY"), "{error}");
}
