#![allow(clippy::unwrap_used)]

use axum::http::HeaderValue;

use super::*;

/// Everything: at 127.0.0.1:6080 of a machine that has 192.0.2.7, behind a proxy called calls.example.org.
fn everything() -> Sites {
    Sites {
        hosts: vec!["calls.example.org".parse().unwrap(), "box".parse().unwrap()],
        public_names: vec!["calls.example.org".parse().unwrap()],
        origins: vec![
            "https://app.example.org".parse().unwrap(),
            "http://dev.example.org:*".parse().unwrap(),
        ],
        ..Sites::default()
    }
}

fn media() -> Sites {
    Sites { welcomes_local_pages: true, ..Sites::default() }
}

/// "METHOD path", then a header a line.
fn judge(sites: &Sites, request: &str) -> Result<(), Refusal> {
    let mut lines = request.lines().map(str::trim).filter(|line| !line.is_empty());
    let (method, uri) = lines.next().unwrap().split_once(' ').unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            header::HeaderName::try_from(name).unwrap(),
            HeaderValue::try_from(value.trim()).unwrap(),
        );
    }
    sites.judge(&Visit {
        method: &method.parse().unwrap(),
        uri: &uri.parse().unwrap(),
        version: Version::HTTP_11,
        headers: &headers,
        is_tls: false,
        is_own: &|ip| ip.to_string() == "192.0.2.7",
    })
}

#[test]
fn by_its_own_https_a_page_that_came_in_the_clear_is_not_its_own() {
    let judge = |is_tls, origin: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("192.0.2.7:6080"));
        headers.insert(header::ORIGIN, HeaderValue::try_from(origin).unwrap());
        let visit = Visit {
            method: &Method::GET,
            uri: &Uri::from_static("/rtc"),
            version: Version::HTTP_11,
            headers: &headers,
            is_tls,
            is_own: &|ip| ip.to_string() == "192.0.2.7",
        };
        Sites::default().judge(&visit)
    };
    assert_eq!(judge(true, "https://192.0.2.7:6080"), Ok(()));
    assert_eq!(judge(false, "http://192.0.2.7:6080"), Ok(()));
    let foreign = Err(Refusal::ForeignPage("http://192.0.2.7:6080".into()));
    assert_eq!(judge(true, "http://192.0.2.7:6080"), foreign);
}

fn outcome(sites: &Sites, request: &str) -> u16 {
    match judge(sites, request) {
        Ok(()) => 200,
        Err(Refusal::NoHost) => 400,
        Err(Refusal::UnknownHost(_)) => 421,
        Err(Refusal::ForeignPage(_) | Refusal::NamelessPage) => 403,
    }
}

#[test]
fn a_request_comes_by_a_name_or_an_address_of_this_server() {
    for (host, expected) in [
        ("localhost:6080", 200),
        ("LocalHost.:9999", 200),
        ("localhost", 200),
        ("reelroom.localhost:6080", 200),
        ("127.0.0.1:6080", 200),
        ("127.8.9.1", 200),
        ("[::1]:6080", 200),
        ("[::ffff:127.0.0.1]", 200),
        ("192.0.2.7:6080", 200),
        ("192.0.2.8:6080", 421),
        ("calls.example.org", 200),
        ("CALLS.example.org:8443", 200),
        ("host.docker.internal:6080", 200),
        // What DNS rebinding and its neighbours say.
        ("evil.example", 421),
        ("evil.example:6080", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:6080", 421),
        ("calls.example.org.evil.example", 421),
        ("notlocalhost", 421),
        ("localhost@evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost:6080:1", 421),
        ("localhost:99999", 421),
        ("localhost:", 421),
        ("[::1", 421),
        ("::1", 421),
        ("0.0.0.0:6080", 421),
        ("xn--localhost-9za", 421),
        (" ", 421),
        (".", 421),
        ("localhost, evil.example", 421),
    ] {
        assert_eq!(outcome(&everything(), &format!("GET /\nHost: {host}")), expected, "{host:?}");
    }
    assert_eq!(outcome(&everything(), "GET /"), 400, "HTTP/1.1 without Host");
    assert_eq!(outcome(&everything(), "GET /\nHost: localhost\nHost: evil.example"), 400);
    assert_eq!(outcome(&everything(), "GET http://evil.example/\nHost: localhost"), 421);
    assert_eq!(outcome(&everything(), "GET http://localhost/\nHost: localhost"), 200);
    let forwarded = "GET /\nHost: 127.0.0.1:6080\nX-Forwarded-Host:";
    assert_eq!(outcome(&everything(), &format!("{forwarded} evil.example")), 421);
    assert_eq!(outcome(&everything(), &format!("{forwarded} calls.example.org")), 200);
    assert_eq!(outcome(&everything(), &format!("{forwarded} calls.example.org, evil.example")), 421);
}

#[test]
fn what_is_older_than_host_is_no_browser() {
    let headers = HeaderMap::new();
    let visit = Visit {
        method: &Method::GET,
        uri: &Uri::from_static("/healthz"),
        version: Version::HTTP_10,
        headers: &headers,
        is_tls: false,
        is_own: &|_| false,
    };
    assert_eq!(everything().judge(&visit), Ok(()));
}

#[test]
fn a_page_is_of_this_server_or_was_allowed() {
    const SOCKET: &str = "GET /rtc?access_token=a";
    for (request, expected) in [
        // Its own page, as each browser says it.
        (
            "POST /token\nHost: localhost:6080\nOrigin: http://localhost:6080\nSec-Fetch-Site: same-origin",
            200,
        ),
        ("POST /token\nHost: localhost:6080\nOrigin: http://localhost:6080", 200),
        ("GET /recordings\nHost: localhost:6080\nSec-Fetch-Site: same-origin", 200),
        ("GET /recordings\nHost: 192.0.2.7:6080", 200),
        // Behind a proxy with a certificate, which keeps the name, or the port too, or neither.
        ("POST /token\nHost: calls.example.org\nOrigin: https://calls.example.org", 200),
        ("POST /token\nHost: calls.example.org:443\nOrigin: https://calls.example.org", 200),
        ("POST /token\nHost: calls.example.org:8443\nOrigin: https://calls.example.org:8443", 200),
        (
            "POST /token\nHost: 127.0.0.1:6080\nOrigin: https://calls.example.org\nSec-Fetch-Site: same-origin",
            200,
        ),
        (
            "POST /token\nHost: 127.0.0.1:6080\nX-Forwarded-Host: calls.example.org\nOrigin: https://calls.example.org",
            200,
        ),
        ("POST /token\nHost: 127.0.0.1:6080\nOrigin: https://evil.example\nSec-Fetch-Site: same-origin", 403),
        ("GET /rtc\nHost: 127.0.0.1:6080\nOrigin: https://calls.example.org", 200),
        ("GET /rtc\nHost: 127.0.0.1:6080\nOrigin: https://calls.example.org:444", 403),
        ("GET /rtc\nHost: 127.0.0.1:6080\nOrigin: http://calls.example.org", 403),
        ("GET /rtc\nHost: 127.0.0.1:6080\nOrigin: https://calls.example.org\nSec-Fetch-Site: same-site", 403),
        ("GET /rtc\nHost: 127.0.0.1:6080\nOrigin: https://box", 403),
        // The page of a developer's server that forwards to this one.
        ("POST /token\nHost: localhost:5173\nOrigin: http://localhost:5173", 200),
        // SDKs and curl.
        ("POST /twirp/livekit.RoomService/ListRooms\nHost: localhost:6080", 200),
        ("POST /token\nHost: localhost:6080\nSec-Fetch-Mode: cors", 200),
        ("DELETE /recordings/a.mp4\nHost: localhost:6080", 200),
        // Pages of others.
        ("POST /token\nHost: localhost:6080\nOrigin: http://localhost:3000", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: http://127.0.0.1:6080", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: http://127.0.0.2:6080", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: https://evil.example", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: http://localhost", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: null", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: file://", 403),
        ("POST /token\nHost: localhost:6080\nOrigin: http://localhost:6080, https://evil.example", 403),
        (
            "POST /token\nHost: localhost:6080\nOrigin: http://localhost:6080\nOrigin: https://evil.example",
            403,
        ),
        ("POST /token\nHost: localhost:6080\nOrigin: http://localhost:6080@evil.example", 403),
        (
            "POST /token\nHost: calls.example.org\nOrigin: http://calls.example.org\nSec-Fetch-Site: cross-site",
            403,
        ),
        ("POST /token\nHost: calls.example.org\nOrigin: https://calls.example.org:8443", 403),
        (
            "OPTIONS /recordings/a.mp4\nHost: localhost:6080\nOrigin: https://evil.example\nAccess-Control-Request-Method: DELETE",
            403,
        ),
        (
            "OPTIONS /token\nHost: localhost:6080\nOrigin: https://evil.example\nAccess-Control-Request-Private-Network: true",
            403,
        ),
        // Pictures, videos, scripts, frames and forms of others have no Origin, or say null.
        (
            "GET /recordings/a.mp4\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: video",
            403,
        ),
        (
            "GET /recordings/a.mp4\nHost: localhost:6080\nSec-Fetch-Site: same-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: video",
            403,
        ),
        (
            "GET /\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe",
            403,
        ),
        ("GET /\nHost: localhost:6080\nSec-Fetch-Site: nowhere", 403),
        (
            "POST /token\nHost: localhost:6080\nOrigin: null\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            403,
        ),
        (
            "POST /token\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            403,
        ),
        // A link in somebody's page or mail.
        (
            "GET /\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            200,
        ),
        (
            "GET /\nHost: localhost:6080\nSec-Fetch-Site: none\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document",
            200,
        ),
        // A link that was made for whoever holds it.
        (
            "GET /recordings/a.mp4?expires=5&signature=x\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: video",
            200,
        ),
        ("GET /recordings/a.mp4?expires=5&signature=x\nHost: evil.example", 421),
        ("GET /recordings/a.mp4?a=signature=x\nHost: localhost:6080\nSec-Fetch-Site: cross-site", 403),
        ("DELETE /recordings/a.mp4?signature=x\nHost: localhost:6080\nOrigin: https://evil.example", 403),
        ("GET /recordings/a.mp4/url?signature=x\nHost: localhost:6080\nOrigin: https://evil.example", 403),
        ("GET /recordings/a.mp4/report?signature=x\nHost: localhost:6080\nSec-Fetch-Site: cross-site", 403),
        ("GET /recordings/?signature=x\nHost: localhost:6080\nOrigin: https://evil.example", 403),
        ("GET /recordings?signature=x\nHost: localhost:6080\nOrigin: https://evil.example", 403),
        // Those that the operator allows.
        (
            "POST /token\nHost: calls.example.org\nOrigin: https://app.example.org\nSec-Fetch-Site: same-site",
            200,
        ),
        ("POST /token\nHost: calls.example.org\nOrigin: https://app.example.org:443", 200),
        ("POST /token\nHost: calls.example.org\nOrigin: http://app.example.org", 403),
        ("POST /token\nHost: calls.example.org\nOrigin: https://app.example.org:444", 403),
        ("POST /token\nHost: calls.example.org\nOrigin: http://dev.example.org:3000", 200),
        ("POST /token\nHost: calls.example.org\nOrigin: https://dev.example.org:3000", 403),
    ] {
        assert_eq!(outcome(&everything(), request), expected, "{request}");
    }
    for (origin, of_everything, of_media) in [
        ("http://localhost:3000", 403, 200),
        ("https://localhost", 403, 200),
        ("http://127.0.0.1:5173", 403, 200),
        ("http://[::1]:5173", 403, 200),
        ("http://localhost:6080", 200, 200),
        ("http://127.0.0.2:5173", 403, 403),
        ("http://app.localhost:5173", 403, 403),
        ("http://192.0.2.7:5173", 403, 403),
        ("https://evil.example", 403, 403),
        ("http://localhost.evil.example", 403, 403),
        ("capacitor://localhost", 403, 403),
        ("null", 403, 403),
    ] {
        let request = format!("{SOCKET}\nHost: localhost:6080\nOrigin: {origin}\nSec-Fetch-Mode: websocket");
        assert_eq!(outcome(&everything(), &request), of_everything, "{origin}");
        assert_eq!(outcome(&media(), &request), of_media, "media: {origin}");
    }
}

#[test]
fn every_page_may_where_the_operator_says_so_and_none_at_the_inner_door() {
    let any = Sites { origins: vec![AllowedOrigin::Any], ..Sites::default() };
    assert_eq!(outcome(&any, "POST /token\nHost: localhost\nOrigin: null"), 200);
    assert_eq!(outcome(&any, "POST /token\nHost: localhost\nOrigin: https://evil.example"), 200);
    let video = "GET /recordings/a.mp4\nHost: localhost\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: video";
    assert_eq!(outcome(&any, video), 200);
    assert_eq!(outcome(&everything(), video), 403);
    assert_eq!(
        outcome(&everything(), &format!("{video}\nOrigin: https://app.example.org")),
        200,
        "crossorigin"
    );
    assert_eq!(outcome(&any, "POST /token\nHost: evil.example\nOrigin: https://evil.example"), 421);
    let inner = Sites { refuses_pages: true, ..Sites::default() };
    assert_eq!(outcome(&inner, "POST /token\nHost: 127.0.0.1:1"), 200);
    assert_eq!(outcome(&inner, "POST /token\nHost: 127.0.0.1:1\nOrigin: http://127.0.0.1:1"), 403);
    assert_eq!(outcome(&inner, "GET /\nHost: 127.0.0.1:1\nSec-Fetch-Site: same-origin"), 403);
    let link = "GET /recordings/a.mp4?expires=9&signature=x\nHost: 127.0.0.1:1";
    assert_eq!(outcome(&inner, &format!("{link}\nSec-Fetch-Site: cross-site")), 403);
    assert_eq!(outcome(&any, &format!("{link}\nSec-Fetch-Site: cross-site")), 200);
}

#[test]
fn settings_say_hosts_and_origins_or_why_not() {
    for text in ["calls.example.org", "10.0.0.1", "::1", "fd00::7", "my_box", "a.b."] {
        text.parse::<HostName>().unwrap();
    }
    for text in ["", "https://calls.example.org", "calls.example.org:443", "a b", "a/b", "*", "*.example.org"]
    {
        assert!(text.parse::<HostName>().is_err(), "{text:?}");
    }
    for text in [
        "https://a.example",
        "https://a.example/",
        "http://localhost:3000",
        "capacitor://localhost",
        "*",
        "http://[::1]:*",
    ] {
        text.parse::<AllowedOrigin>().unwrap();
    }
    for text in [
        "",
        "null",
        "a.example",
        "://a.example",
        "a b://a.example",
        "https://a.example/path",
        "https://*.example",
        "https://a:1:*",
        "https://",
    ] {
        assert!(text.parse::<AllowedOrigin>().is_err(), "{text:?}");
    }
    assert!(serde_json::from_str::<HostName>("\"http://a\"").is_err());
}

#[test]
fn a_refusal_says_which_setting_allows_it() {
    let told = |request: &str| judge(&everything(), request).unwrap_err().to_string();
    assert!(
        told("GET /\nHost: evil.example")
            .contains("\"evil.example\": the setting public_hosts (PUBLIC_HOSTS)")
    );
    let page = told("GET /\nHost: localhost\nOrigin: https://EVIL.example:443");
    assert!(
        page.contains("pages of https://evil.example may not") && page.contains("ALLOWED_ORIGINS"),
        "{page}"
    );
    let video = told("GET /recordings/a.mp4\nHost: localhost\nSec-Fetch-Site: same-site");
    assert!(video.contains("ALLOWED_ORIGINS") && video.contains("crossorigin"), "{video}");
}

#[test]
fn a_file_that_is_shared_is_one_whose_reader_may_pause_and_no_signature_lets_other_pages_at_it() {
    let uri = |text: &str| text.parse::<Uri>().unwrap();
    for (text, expected) in [
        ("/watch/SH_abc/file", true),
        ("/watch/SH_abc/file?download", true),
        ("/watch/SH_abc", false),
        ("/watch//file", false),
        ("/watch/SH_abc/more/file", false),
        ("/watch/open", false),
        ("/recordings/a.mp4", false),
    ] {
        assert_eq!(names_a_shared_file(&uri(text)), expected, "{text}");
    }
    let video = "GET /watch/SH_abc/file?signature=x\nHost: localhost:6080\nSec-Fetch-Site: cross-site\nSec-Fetch-Dest: video";
    assert_eq!(outcome(&everything(), video), 403);
}

#[test]
fn an_openid_provider_sends_a_browser_back_by_a_link_and_by_nothing_else() {
    let back = "GET /owner/oidc/back?code=1&state=2\nhost: calls.example.org\nsec-fetch-site: cross-site\n";
    for (headers, expected) in [
        ("sec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-fetch-user: ?1", 200),
        ("sec-fetch-mode: navigate\nsec-fetch-dest: document", 200),
        ("sec-fetch-mode: navigate\nsec-fetch-dest: iframe", 403),
        ("sec-fetch-mode: navigate\nsec-fetch-dest: embed", 403),
        ("sec-fetch-mode: no-cors\nsec-fetch-dest: image", 403),
        ("sec-fetch-mode: no-cors\nsec-fetch-dest: script", 403),
        ("sec-fetch-mode: no-cors\nsec-fetch-dest: empty", 403),
        ("sec-fetch-mode: cors\nsec-fetch-dest: empty\norigin: https://accounts.example.net", 403),
        ("sec-fetch-mode: navigate\nsec-fetch-dest: document\norigin: https://accounts.example.net", 403),
        ("sec-fetch-mode: navigate\nsec-fetch-dest: document\norigin: null", 403),
    ] {
        let request = format!("{back}{headers}");
        assert_eq!(outcome(&everything(), &request), expected, "{headers}");
        let posted = request.replacen("GET", "POST", 1);
        assert_eq!(outcome(&everything(), &posted), 403, "{headers}");
    }
}

#[test]
fn sites_that_are_set_anew_hold_for_whoever_asks_from_then_on() {
    let page = "GET /recordings\nHost: localhost:6080\nOrigin: https://app.example.org";
    let current = CurrentSites::from(Sites::default());
    let (shared, before) = (current.clone(), current.now());
    assert_eq!(outcome(&shared.now(), page), 403);
    current.set(everything());
    assert_eq!((outcome(&shared.now(), page), outcome(&before, page)), (200, 403));
}
