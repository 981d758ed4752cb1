//! A recording's file over HTTP, by RFC 9110: players get portions, downloads get all of it.

#![allow(clippy::unwrap_used)]

mod common;

use std::ops::Range;

use common::Program;
use reqwest::{Method, StatusCode};

const SIZE: usize = 10_000;
const PORTION: &str = "1000";
const PATH: &str = "/recordings/r%C3%A4ume%20%22x%22.mp4";

/// A program with one file that somebody put into its store, and the file's bytes.
fn program(data: &tempfile::TempDir) -> (Program, Vec<u8>) {
    let bytes: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    std::fs::create_dir_all(data.path().join("recordings")).unwrap();
    let file = data.path().join("recordings/räume \"x\".mp4");
    std::fs::write(&file, &bytes).unwrap();
    // The date of a file that was just written tells no two states apart.
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(yesterday).unwrap();
    (Program::start(&[], data.path(), &[("RECORDING_FILE_PORTION_SIZE", PORTION)]), bytes)
}

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn an_open_range_is_a_portion_for_players_and_the_rest_for_downloads() {
    let data = tempfile::tempdir().unwrap();
    let (program, bytes) = program(&data);
    let head = program.request(Method::HEAD, PATH).send().await.unwrap();
    let etag = head.headers()["etag"].to_str().unwrap().to_owned();
    let modified = head.headers()["last-modified"].to_str().unwrap().to_owned();
    let (etag, modified) = (etag.as_str(), modified.as_str());
    let chromium = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0";
    let cases: &[(&str, Headers<'_>, Range<usize>)] = &[
        // The tutorials' players.
        ("bytes=0-", &[], 0..1000),
        ("bytes=9500-", &[], 9500..SIZE),
        ("bytes=5-", &[("user-agent", chromium), ("sec-fetch-dest", "video")], 5..1005),
        ("Bytes=5-", &[], 5..1005),
        // Whoever says how much gets it.
        ("bytes=5-8999", &[], 5..9000),
        ("bytes=-3000", &[], 7000..SIZE),
        ("bytes=0-999,1000-4999", &[], 0..5000),
        // Downloads that are gone on with.
        ("bytes=5-", &[("if-range", etag)], 5..SIZE),
        ("bytes=5-", &[("if-range", modified), ("user-agent", chromium)], 5..SIZE),
        ("bytes=5-", &[("if-match", etag), ("if-unmodified-since", modified)], 5..SIZE),
        ("bytes=5-", &[("user-agent", "curl/8.14.1")], 5..SIZE),
        ("bytes=5-", &[("user-agent", "Wget/1.25.0")], 5..SIZE),
        ("bytes=0-", &[("user-agent", "Lavf/61.7.100")], 0..SIZE),
    ];
    for (range, headers, expected) in cases {
        let mut request = program.get(PATH).header("range", *range);
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let part = request.send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range} {headers:?}");
        let said = format!("bytes {}-{}/{SIZE}", expected.start, expected.end - 1);
        assert_eq!(part.headers()["content-range"].to_str().unwrap(), said, "{headers:?}");
        assert_eq!(part.headers()["etag"].to_str().unwrap(), etag);
        assert_eq!(part.bytes().await.unwrap(), bytes[expected.clone()], "{range} {headers:?}");
    }
    program.stop();
}

#[tokio::test]
async fn a_link_made_for_downloading_gives_all_of_the_file_under_its_name() {
    let data = tempfile::tempdir().unwrap();
    let (program, bytes) = program(&data);
    let name = "filename=\"r_ume _x_.mp4\"; filename*=UTF-8''r%C3%A4ume%20%22x%22.mp4";
    for query in ["?download", "?download=", "?download=1"] {
        let path = format!("{PATH}{query}");
        let rest = program.get(&path).header("range", "bytes=5-").send().await.unwrap();
        assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT, "{query}");
        assert_eq!(rest.headers()["content-disposition"].to_str().unwrap(), format!("attachment; {name}"));
        assert_eq!(rest.bytes().await.unwrap(), bytes[5..]);
    }
    let shown = program.get(PATH).send().await.unwrap();
    assert_eq!(shown.headers()["content-disposition"].to_str().unwrap(), format!("inline; {name}"));
    let (_, link) = program.answer(program.get(&format!("{PATH}/url"))).await;
    let link = format!("{}&download", link["recordingUrl"].as_str().unwrap());
    let rest = program.get(&link).header("range", "bytes=5-").send().await.unwrap();
    assert_eq!(rest.bytes().await.unwrap(), bytes[5..]);
    program.stop();
}

#[tokio::test]
async fn conditions_and_ranges_that_do_not_hold_are_answered_as_the_rfc_says() {
    let data = tempfile::tempdir().unwrap();
    let (program, bytes) = program(&data);
    let head = program.request(Method::HEAD, PATH).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!(
        (head.status(), head.headers()["content-length"].to_str().unwrap()),
        (StatusCode::OK, "10000")
    );
    let etag = head.headers()["etag"].to_str().unwrap().to_owned();
    let weak = format!("W/{etag}");
    let long_ago = "Sun, 06 Nov 1994 08:49:37 GMT";
    let with = |headers: &[(&str, &str)]| {
        headers.iter().fold(program.get(PATH), |request, (name, value)| request.header(*name, *value))
    };
    for headers in [
        // No range, or not of this file: all of it.
        vec![("range", "bytes=5-9"), ("if-range", "\"other\"")],
        vec![("range", "bytes=5-9"), ("if-range", weak.as_str())],
        vec![("range", "bytes=5-9"), ("if-range", long_ago)],
        vec![("range", "bytes=0-1,5-6")],
        vec![("range", "bytes=9-5")],
        vec![("range", "seconds=0-1")],
        vec![("range", "bytes=0-1"), ("range", "bytes=5-6")],
        vec![("if-modified-since", long_ago)],
    ] {
        let whole = with(&headers).send().await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK, "{headers:?}");
        assert_eq!(whole.bytes().await.unwrap(), bytes, "{headers:?}");
    }
    for headers in [
        vec![("if-none-match", etag.as_str())],
        vec![("if-none-match", weak.as_str()), ("range", "bytes=5-9")],
        vec![("if-none-match", "*"), ("if-modified-since", long_ago)],
    ] {
        let same = with(&headers).send().await.unwrap();
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{headers:?}");
        assert_eq!(same.headers()["etag"].to_str().unwrap(), etag);
        assert!(same.bytes().await.unwrap().is_empty());
    }
    for headers in [
        vec![("if-match", "\"other\""), ("range", "bytes=5-")],
        vec![("if-match", weak.as_str())],
        vec![("if-unmodified-since", long_ago), ("range", "bytes=5-")],
    ] {
        program.refusal(with(&headers), 412).await;
    }
    let beyond = with(&[("range", "bytes=10000-")]).send().await.unwrap();
    assert_eq!(beyond.headers()["content-range"].to_str().unwrap(), "bytes */10000");
    program.refusal(with(&[("range", "bytes=10000-")]), 416).await;
    program.stop();
}
