//! The program behind proxies: below a path, by an address that it is told, and with what those say that are believed.

#![allow(clippy::unwrap_used)]

mod common;

use common::signal::{KEY, SETTINGS};
use common::{Program, admin_token};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const PUBLIC: &str = "https://example.org/calls";

/// How a proxy asks for what a browser wants below the path.
struct Proxy {
    passes_path_on: bool,
    says: &'static [(&'static str, &'static str)],
}

/// One that passes everything on, one that takes the path off, and one that has changed the name, too.
const PROXIES: [Proxy; 3] = [
    Proxy { passes_path_on: true, says: &[("host", "example.org")] },
    Proxy { passes_path_on: false, says: &[("host", "example.org"), ("x-forwarded-proto", "https")] },
    Proxy {
        passes_path_on: false,
        says: &[("x-forwarded-prefix", "/calls"), ("forwarded", "for=203.0.113.9;proto=https")],
    },
];

impl Proxy {
    fn ask(&self, program: &Program, method: Method, path: &str) -> RequestBuilder {
        let path = if self.passes_path_on { format!("/calls{path}") } else { path.to_owned() };
        self.says
            .iter()
            .fold(program.request(method, &path), |asked, (name, value)| asked.header(*name, *value))
    }
}

/// One that lets in by invitation, and the secret of the link that it prints; `more` are its settings.
fn start(data: &tempfile::TempDir, more: &[(&str, &str)]) -> (Program, String, String) {
    let settings = [SETTINGS.as_slice(), [("ACCESS", "invite")].as_slice(), more].concat();
    let mut program = Program::start(&[], data.path(), &settings);
    let line = program.line();
    let (before, secret) = line.trim().split_once("#setup=").unwrap();
    let page = before.rsplit(' ').next().unwrap().to_owned();
    (program, page, secret.to_owned())
}

/// The cookies that an answer has a browser keep, each with all that is said of it.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

fn shown(cookies: &[String]) -> String {
    cookies.iter().map(|line| line.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn below_a_path_it_answers_whether_a_proxy_takes_that_off_or_not() {
    let data = tempfile::tempdir().unwrap();
    let (mut program, page, secret) = start(&data, &[("PUBLIC_URL", PUBLIC)]);
    assert_eq!(page, format!("{PUBLIC}/owner"), "the link begins with the address that it was told");
    let line = program.line();
    assert!(line.contains(&format!("{}/owner#setup={secret}", program.url)), "{line}");

    let said = json!({ "link": secret, "password": PASSWORD });
    let set = PROXIES[0].ask(&program, Method::POST, "/owner/password").json(&said).send().await.unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    for proxy in &PROXIES {
        let said = json!({ "password": PASSWORD });
        let answer = proxy.ask(&program, Method::POST, "/owner/session").json(&said).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let kept = cookies(answer.headers());
        assert_eq!(kept.len(), 2);
        for cookie in &kept {
            assert!(cookie.starts_with("__Secure-reelroom"), "{cookie}");
            assert!(cookie.contains("; Path=/calls/;") && cookie.ends_with("; Secure"), "{cookie}");
        }
        let csrf = serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()["csrf"].clone();
        let asked = proxy.ask(&program, Method::GET, "/owner/session").header("cookie", shown(&kept));
        assert_eq!(program.answer(asked).await.1["signedIn"], true);
        let out = proxy
            .ask(&program, Method::DELETE, "/owner/session")
            .header("cookie", shown(&kept))
            .header("x-csrf-token", csrf.as_str().unwrap());
        let out = out.send().await.unwrap();
        assert_eq!(out.status(), StatusCode::OK);
        let forgotten = cookies(out.headers());
        assert!(forgotten.iter().any(|cookie| cookie.contains("Path=/calls/;")), "{forgotten:?}");

        let token = admin_token(KEY.0, KEY.1);
        let listed = proxy.ask(&program, Method::POST, "/twirp/livekit.RoomService/ListRooms");
        let (status, told) = program.answer(listed.json(&json!({})).bearer_auth(token)).await;
        assert_eq!((status, told), (StatusCode::OK, json!({ "rooms": [] })));
        for (path, expected) in [
            ("/healthz", 200),
            ("/settings.json", 200),
            ("/recordings", 401),
            ("/rtc/validate", 401),
            ("/none", 404),
        ] {
            let status = proxy.ask(&program, Method::GET, path).send().await.unwrap().status();
            assert_eq!(status.as_u16(), expected, "{path}");
        }
        // Nobody else's name gets in by the path, nor does a page of somebody else.
        let foreign =
            proxy.ask(&program, Method::GET, "/recordings").header("x-forwarded-host", "evil.example");
        program.refusal(foreign, 421).await;
        let foreign =
            proxy.ask(&program, Method::GET, "/recordings").header("origin", "https://evil.example");
        program.refusal(foreign, 403).await;
        let own = proxy.ask(&program, Method::GET, "/healthz").header("origin", "https://example.org");
        assert_eq!(own.send().await.unwrap().status(), StatusCode::OK, "its own page");
    }

    // Whoever opens it above the path, by this address or by the name itself, stays signed in there; the page says where it is.
    for (host, first) in [(None, ""), (Some("example.org"), "__Host-")] {
        let at = |method, path: &str| {
            let asked = program.request(method, path).header("x-reelroom-path", "/");
            host.into_iter().fold(asked, |asked, host| asked.header("host", host))
        };
        let said = json!({ "password": PASSWORD });
        let answer = at(Method::POST, "/owner/session").json(&said).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let kept = cookies(answer.headers());
        assert!(kept.iter().all(|cookie| cookie.starts_with(&format!("{first}reelroom"))), "{kept:?}");
        assert!(kept.iter().all(|cookie| cookie.contains("; Path=/;")), "{kept:?}");
        let asked = at(Method::GET, "/owner/session").header("cookie", shown(&kept));
        assert_eq!(program.answer(asked).await.1["signedIn"], true);
    }
    program.stop();
}

#[tokio::test]
async fn nothing_but_the_path_as_a_whole_is_taken_off_and_nobody_is_sent_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    let (program, _, _) = start(&data, &[("PUBLIC_URL", PUBLIC)]);
    for (path, to) in [("/calls", "/calls/"), ("/calls?room=a%2Fb", "/calls/?room=a%2Fb")] {
        for method in [Method::GET, Method::HEAD] {
            let answer = program.request(method, path).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(answer.headers()["location"].to_str().unwrap(), to);
        }
    }
    program.refusal(program.get("/calls").header("host", "evil.example"), 421).await;
    for (path, expected) in [
        ("/calls/healthz", 200),
        ("/healthz", 200),
        ("/calls/calls/healthz", 404),
        ("/callsx/healthz", 404),
        ("/calls%2Fhealthz", 404),
        ("/%63alls/healthz", 404),
        ("/Calls/healthz", 404),
        ("/calls//evil.example", 404),
        ("//evil.example", 404),
        ("//owner", 404),
    ] {
        let answer = program.get(path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        assert!(answer.headers().get("location").is_none(), "{path}");
    }
    program.stop();
    // Where no path is set, none is believed.
    let data = tempfile::tempdir().unwrap();
    let (program, _, secret) = start(&data, &[]);
    let said = json!({ "link": secret, "password": PASSWORD });
    let set =
        program.post("/owner/password", &said).header("x-forwarded-prefix", "/calls").send().await.unwrap();
    let kept = cookies(set.headers());
    assert!(kept.iter().all(|cookie| cookie.contains("; Path=/;")), "{kept:?}");
    program.refusal(program.get("/calls/recordings"), 404).await;
    program.stop();
}

#[tokio::test]
async fn the_last_address_that_is_no_proxys_is_who_asks() {
    let far = ("TRUSTED_PROXIES", "10.0.0.0/8,fd12::/16");
    for (more, says, expected) in [
        (None, vec![("x-forwarded-for", "203.0.113.9, 10.0.0.7")], Some("10.0.0.7")),
        (Some(far), vec![("x-forwarded-for", "203.0.113.9, 10.0.0.7")], Some("203.0.113.9")),
        (
            Some(far),
            vec![("x-forwarded-for", "198.51.100.1, 203.0.113.9:5123, [fd12::7]:443, 10.1.2.3")],
            Some("203.0.113.9"),
        ),
        (
            Some(far),
            vec![("forwarded", "for=198.51.100.1, For=\"203.0.113.9:80\", for=10.0.0.7")],
            Some("203.0.113.9"),
        ),
        (Some(far), vec![("x-real-ip", "203.0.113.9")], Some("203.0.113.9")),
        (Some(far), vec![("x-forwarded-for", "203.0.113.9, unknown, 10.0.0.7")], None),
    ] {
        let data = tempfile::tempdir().unwrap();
        let (program, _, secret) = start(&data, more.as_slice());
        let said = json!({ "link": secret, "password": PASSWORD });
        let asked = says
            .iter()
            .fold(program.post("/owner/password", &said), |asked, (name, value)| asked.header(*name, *value));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{says:?}");
        let cookie = shown(&cookies(answer.headers()));
        let (_, told) = program.answer(program.get("/owner/sessions").header("cookie", cookie)).await;
        assert_eq!(told["sessions"][0]["address"].as_str(), expected, "{says:?}: {told}");
        program.stop();
    }
}

#[test]
fn an_address_that_cannot_be_meant_ends_the_start_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    for (setting, value, reason) in [
        ("PUBLIC_URL", "example.org/calls", "https://calls.example.org"),
        ("PUBLIC_URL", "http://example.org", "by https://example.org"),
        ("PUBLIC_URL", "https://example.org/owner", "choose another one"),
        ("TRUSTED_PROXIES", "0.0.0.0/0", "is everybody"),
    ] {
        let log = Program::try_start(&[], data.path(), &[(setting, value)]).map(drop).unwrap_err();
        assert!(log.contains(setting) && log.contains(reason), "{log}");
    }
}
