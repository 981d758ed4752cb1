//! `reelroom doctor` in set-ups that are well and that are not: what it says, and that it leaves nothing behind.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use common::Program;
use serde_json::Value;
use tempfile::TempDir;

/// GStreamer's list of plugins, which takes each program seconds that makes it anew. It is made once for all tests.
fn registry() -> &'static [u8] {
    static REGISTRY: OnceLock<Vec<u8>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry");
        let made = Command::new(env!("CARGO_BIN_EXE_reelroom"))
            .args(["doctor", "--part", "elements", "--folder"])
            .arg(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GST_REGISTRY_1_0", &file)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", shown(&made));
        std::fs::read(file).unwrap()
    })
}

/// A data folder as that of a server that ran before: with the list of plugins.
fn used_folder() -> TempDir {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("gstreamer-registry.bin"), registry()).unwrap();
    data
}

/// A disk with a little room is one where a recording can be made.
const SMALL_RESERVE: (&str, &str) = ("DISK_RESERVE", "1000000");

fn command(data: &Path, args: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelroom"));
    command
        .arg("doctor")
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SERVER_PORT", "0")
        .env("UDP_PORT", "0")
        .env("DATA_DIR", data)
        .envs([SMALL_RESERVE])
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    // A settings file of whoever runs the tests is none of theirs.
    command.current_dir(std::env::temp_dir());
    command
}

/// What it says as JSON, and whether it says that something is bad by its exit code.
fn doctor(data: &Path, args: &[&str], settings: &[(&str, &str)]) -> Value {
    let output = command(data, &[args, &["--json"]].concat(), settings).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    let expected = if said["verdict"] == "bad" { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{}", shown(&output));
    assert!(output.stderr.is_empty(), "{}", shown(&output));
    for line in said["lines"].as_array().unwrap() {
        let is_well = line["verdict"] == "ok";
        assert_eq!(line["todo"].is_null(), is_well, "{line}");
        assert!(!line["todo"].as_str().unwrap_or_default().contains('{'), "a name is left in {line}");
    }
    said
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The lines of a check, or those with a code.
fn lines<'a>(said: &'a Value, name: &str) -> Vec<&'a Value> {
    said["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["check"] == name || line["code"] == name)
        .collect()
}

/// The one line with a code, and what it says to do.
fn told<'a>(said: &'a Value, code: &str, verdict: &str) -> (&'a str, &'a str) {
    let lines = lines(said, code);
    assert_eq!(lines.len(), 1, "{code}: {said:#}");
    assert_eq!(lines[0]["verdict"], verdict, "{code}: {said:#}");
    (lines[0]["said"].as_str().unwrap(), lines[0]["todo"].as_str().unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn free_tcp_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn free_udp_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn a_set_up_that_is_well_records_itself_and_is_left_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let said = doctor(data.path(), &[], &[]);
    assert_ne!(said["verdict"], "bad", "{said:#}");
    let recording = lines(&said, "recording");
    assert_eq!(recording[0]["verdict"], "ok", "{said:#}");
    assert!(
        recording[0]["said"].as_str().unwrap().contains("pictures, sound and their time are right"),
        "{said:#}"
    );
    assert!(recording[1]["said"].as_str().unwrap().contains("compose"), "{said:#}");
    for check in [
        "settings",
        "server",
        "data-folder",
        "http-port",
        "media-port",
        "codecs",
        "clock",
        "machine",
        "store",
    ] {
        assert!(!lines(&said, check).is_empty(), "{check}: {said:#}");
    }
    assert!(files(data.path()).is_empty(), "{:?}", files(data.path()));
}

#[tokio::test]
async fn a_server_that_runs_is_asked_and_goes_on() {
    let data = used_folder();
    let (port, udp_port) = (free_tcp_port(), free_udp_port());
    let settings = [("SERVER_PORT", port.as_str()), ("UDP_PORT", udp_port.as_str())];
    let program = Program::start(&[], data.path(), &settings);
    let said = doctor(data.path(), &["--quick"], &settings);
    assert_ne!(said["verdict"], "bad", "{said:#}");
    let server = lines(&said, "server");
    assert!(
        server[0]["said"].as_str().unwrap().contains(&format!("answers at http://127.0.0.1:{port}")),
        "{said:#}"
    );
    for check in ["http-port", "media-port"] {
        assert!(lines(&said, check)[0]["said"].as_str().unwrap().contains("the server's"), "{said:#}");
    }
    // The server itself makes files meanwhile.
    let is_doctors = |path: &PathBuf| path.to_string_lossy().contains("/.doctor-");
    assert!(!files(data.path()).iter().any(is_doctors), "{:?}", files(data.path()));
    assert!(program.list(&[]).await.is_empty(), "nothing was recorded there");
    program.stop();

    // With other settings it is noticed, and its folder is not taken for free.
    let program = Program::start(&[], data.path(), &[]);
    let said = doctor(data.path(), &["--quick"], &settings);
    let (said, todo) = told(&said, "server-elsewhere", "warn");
    assert!(said.contains("reelroom") && todo.contains("--config FILE"), "{said} {todo}");
    program.stop();
}

#[test]
fn a_port_of_another_program_is_told_by_whose_it_is() {
    let data = used_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = doctor(data.path(), &["--quick"], &[("SERVER_PORT", &port)]);
    let (said, todo) = told(&said, "http-port-taken", "bad");
    assert!(said.contains(&port) && said.contains(&format!("process {}", std::process::id())), "{said}");
    assert!(todo.contains("SERVER_PORT"), "{todo}");

    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let settings = [("UDP_PORT", port.as_str()), ("MEDIA_LISTEN", "127.0.0.1")];
    let said = doctor(data.path(), &["--quick"], &settings);
    assert!(told(&said, "media-udp-taken", "bad").1.contains("UDP_PORT"));
    told(&said, "media-loopback-only", "warn");
}

#[test]
fn a_data_folder_that_takes_nothing_is_told() {
    // Nobody makes a folder there, the superuser neither.
    let nowhere = Path::new("/proc/reelroom/data");
    let said = doctor(nowhere, &["--quick"], &[]);
    assert!(told(&said, "data-cannot-be-made", "bad").1.contains("DATA_DIR"));
    let folder = used_folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let said = doctor(&file, &["--quick"], &[]);
    assert!(told(&said, "data-no-folder", "bad").0.contains("no folder"));
    let said = doctor(folder.path(), &["--quick"], &[("DISK_RESERVE", "1000000000000000")]);
    assert!(told(&said, "data-full", "bad").1.contains("DISK_RESERVE"));
}

#[test]
fn a_setting_that_does_not_exist_is_told_with_its_line() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("settings.toml");
    std::fs::write(&file, "# of ours\nlog = \"info\"\nsever_port = 6080\n").unwrap();
    let named = file.display().to_string();
    let said = doctor(data.path(), &["--quick", "--config", &named], &[]);
    let (unknown, todo) = told(&said, "settings-unreadable", "bad");
    assert!(
        unknown.contains("line 3, column 1: there is no setting sever_port: server_port may be meant"),
        "{unknown}"
    );
    assert!(todo.contains("reelroom config"), "{todo}");
    assert_eq!(said["lines"].as_array().unwrap().len(), 1, "nothing else can be looked at: {said:#}");
    let said =
        doctor(data.path(), &["--quick"], &[("PUBLIC_HOST", "calls.example.org"), ("MAX_ROOMS", "many")]);
    assert!(told(&said, "settings-unreadable", "bad").0.contains("MAX_ROOMS"));
    assert!(told(&said, "settings-idle", "warn").0.contains("is called PUBLIC_HOSTS"));
}

/// The S3 server of the tests, killed when it is dropped.
struct S3 {
    child: Child,
    settings: Vec<(String, String)>,
}

impl S3 {
    fn start(folder: &Path) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_reelroom")).with_file_name("examples/s3");
        assert!(program.exists(), "cargo build -p reelroom-library --example s3 makes {}", program.display());
        let mut child = Command::new(program).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let settings = lines.take_while(|line| !line.is_empty());
        let settings = settings.map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self { settings: settings.collect(), child }
    }

    fn with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(more.iter().copied()).collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bucket_is_tried_with_an_object_that_does_not_stay() {
    let (data, objects) = (used_folder(), tempfile::tempdir().unwrap());
    let s3 = S3::start(objects.path());
    let said = doctor(data.path(), &["--quick"], &s3.with(&[]));
    let store = lines(&said, "store");
    assert!(store[0]["said"].as_str().unwrap().contains("gives it back and deletes it"), "{said:#}");
    let left =
        Command::new("find").arg(objects.path()).args(["-name", "*reelroom-doctor*"]).output().unwrap();
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));

    let said = doctor(data.path(), &["--quick"], &s3.with(&[("S3_SECRET_KEY", "another")]));
    let (refused, todo) = told(&said, "store-no-answer", "bad");
    assert!(
        refused.contains("bucket reelroom at http://") && todo.contains("S3_SECRET_KEY"),
        "{refused} {todo}"
    );
    let all = said.to_string();
    assert!(!all.contains("secret-of-s3"), "{all}");
}

#[test]
fn elements_that_are_not_installed_are_told_by_their_packages() {
    let (data, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = empty.path().display().to_string();
    let said = doctor(data.path(), &[], &[("GST_PLUGIN_SYSTEM_PATH_1_0", &folder)]);
    let codecs = lines(&said, "codecs");
    let todo: Vec<&str> = codecs.iter().map(|line| line["todo"].as_str().unwrap()).collect();
    for package in ["gstreamer1.0-libav", "gstreamer1.0-plugins-ugly", "gstreamer1.0-plugins-base"] {
        assert!(todo.iter().any(|todo| todo.contains(package)), "{package}: {said:#}");
    }
    told(&said, "recording-not-tried", "warn");
    assert!(files(data.path()).is_empty(), "{:?}", files(data.path()));
}

#[test]
fn a_name_that_leads_nowhere_or_elsewhere_is_told() {
    let data = used_folder();
    // RFC 1035: no label has more than 63 letters, so that no resolver asks anybody.
    let nowhere = format!("{}.invalid", "x".repeat(64));
    let said = doctor(data.path(), &["--quick"], &[("PUBLIC_HOSTS", &nowhere)]);
    assert!(told(&said, "name-unresolved", "bad").1.contains(&nowhere));
    // TEST-NET-1: no machine has it.
    let settings = [("PUBLIC_HOSTS", "192.0.2.1"), ("MEDIA_LISTEN", "127.0.0.1")];
    let said = doctor(data.path(), &["--quick"], &settings);
    assert!(told(&said, "name-elsewhere", "warn").0.contains("192.0.2.1"));
    let (private, todo) = told(&said, "media-told-private", "bad");
    assert!(private.contains("127.0.0.1") && todo.contains("ADVERTISE_IPS"), "{private} {todo}");
    let told = lines(&said, "media-from-outside");
    assert!(
        told.last().unwrap()["said"].as_str().unwrap().contains("only a device outside can tell"),
        "{said:#}"
    );
}

#[test]
fn a_certificate_that_has_expired_is_told() {
    let data = used_folder();
    // It was of January 2020, and has its key behind it.
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/expired.pem");
    let settings = [("TLS", "files"), ("TLS_CERT", certificate), ("TLS_KEY", certificate)];
    let said = doctor(data.path(), &["--quick"], &settings);
    let (expired, todo) = told(&said, "certificate-expired", "bad");
    assert!(
        expired.contains("expired.pem") && todo.contains("systemctl reload reelroom"),
        "{expired} {todo}"
    );
    let missing = [("TLS", "files"), ("TLS_CERT", certificate), ("TLS_KEY", "/nowhere/k.pem")];
    let said = doctor(data.path(), &["--quick"], &missing);
    assert!(told(&said, "certificate-unreadable", "bad").0.contains("/nowhere/k.pem"));
}

#[tokio::test]
async fn a_livekit_server_outside_is_asked_with_the_key() {
    let (media_data, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let media = Program::start(&["media"], media_data.path(), &[]);
    let url = media.url.replace("http://", "ws://");
    let said = doctor(data.path(), &["--quick"], &[("LIVEKIT_URL", &url)]);
    assert!(lines(&said, "livekit")[0]["said"].as_str().unwrap().contains("takes the key"), "{said:#}");
    let key = [("LIVEKIT_URL", url.as_str()), ("LIVEKIT_API_KEY", "devkey"), ("LIVEKIT_API_SECRET", "wrong")];
    let said = doctor(data.path(), &["--quick"], &key);
    assert!(told(&said, "livekit-refused", "bad").1.contains("LIVEKIT_API_SECRET"));
    media.stop();
    let said = doctor(data.path(), &["--quick"], &[("LIVEKIT_URL", &url)]);
    told(&said, "livekit-no-answer", "bad");
}

#[test]
fn people_read_a_line_for_each_thing_and_what_it_comes_to() {
    let data = used_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(data.path(), &["--quick"], &[("SERVER_PORT", &port)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("OK    settings      the environment sets ") && text.contains(" DATA_DIR"),
        "{text}"
    );
    assert!(
        text.contains("\nBAD   http port     127.0.0.1:") && text.contains("[http-port-taken]\n"),
        "{text}"
    );
    assert!(text.trim_end().lines().last().unwrap().starts_with("1 thing does not work"), "{text}");
}

#[test]
fn whoever_interrupts_it_finds_nothing_left() {
    let data = tempfile::tempdir().unwrap();
    let mut child =
        command(data.path(), &[], &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(progress.any(|line| line.contains("the take is composed")));
    assert_eq!(files(data.path()).len(), 1, "it has a folder for a moment");
    // As a service manager does it; Ctrl-C and a terminal that closes take the same way.
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(files(data.path()).is_empty(), "{:?}", files(data.path()));
}
