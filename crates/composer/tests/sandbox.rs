//! What a composer that was taken over can still do, tried with real system calls. This test program is its own composer
//! process: a test that does nothing unless it is called by another one.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![expect(unsafe_code, reason = "what is tried are system calls that no safe crate would make")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::Parser as _;
use common::{BLUE, GREEN, RED, S, person};
use reelroom_composer::{
    ComposeArgs, compose,
    sandbox::{self, MEMORY_BYTES, Support},
};
use reelroom_take::{Codec, testing::SyntheticTake};

const TRY: &str = "REELROOM_TEST_TRY";
const COMPOSE: &str = "REELROOM_TEST_COMPOSE";

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    compose: ComposeArgs,
}

/// Runs the test `name` of this program in a process of its own, as `what` says; gives back what it printed.
fn process(name: &str, variable: &str, what: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(variable, what)
        .output()
        .unwrap();
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{log}", output.status);
    out.into_owned()
}

/// The folder of an attempt, and what is in it.
struct Place {
    root: PathBuf,
    take: PathBuf,
    other: PathBuf,
    output: PathBuf,
}

impl Place {
    fn of(root: &Path) -> Self {
        let root = root.to_owned();
        Self { take: root.join("take"), other: root.join("other"), output: root.join("out.mp4"), root }
    }
}

#[test]
fn attempting_process() {
    let Ok(told) = std::env::var(TRY) else { return };
    let [confined, root, tcp, parent] = told.split('\n').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let place = Place::of(Path::new(root));
    if confined == "confined" {
        sandbox::enter(&place.take, &place.output).unwrap();
    }
    for (name, result) in attempts(&place, tcp, parent.parse().unwrap()) {
        match result {
            Ok(()) => println!("\nattempt {name}: done"),
            Err(error) => println!("\nattempt {name}: {:?} {error}", error.kind()),
        }
    }
}

fn attempts(place: &Place, tcp: &str, parent: i32) -> Vec<(&'static str, io::Result<()>)> {
    let call = |result: libc::c_long| {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let own_file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(&place.output);
    let thread = std::thread::Builder::new().spawn(|| fs::read("/etc/passwd").map(drop));
    let truncated = {
        let path = std::ffi::CString::new(place.take.join("take.json").to_str().unwrap()).unwrap();
        // SAFETY: the path is a string that ends with 0.
        unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_TRUNC) }
    };
    let truncated = call(truncated.into());
    let memory = {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // SAFETY: new memory, which nobody uses.
        let mapped =
            unsafe { libc::mmap(std::ptr::null_mut(), MEMORY_BYTES as usize, protection, flags, -1, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let nothing = std::ptr::null::<libc::c_void>();
    let abstract_name = SocketAddr::from_abstract_name(format!("reelroom-test-{parent}")).unwrap();
    // SAFETY: these calls read no memory of ours before they are refused; unconfined, they are given arguments that change nothing.
    let (limit, ring, trace, kill, slow, bind) = unsafe {
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of_val(&processors);
        libc::sched_getaffinity(parent, size, &raw mut processors);
        (
            libc::setrlimit(
                libc::RLIMIT_CPU,
                &libc::rlimit { rlim_cur: 1000, rlim_max: libc::RLIM_INFINITY },
            ),
            libc::syscall(libc::SYS_io_uring_setup, 0, nothing),
            libc::ptrace(libc::PTRACE_ATTACH, 0, nothing, nothing),
            call(libc::kill(parent, 0).into()),
            call(
                libc::setpriority(
                    libc::PRIO_PROCESS,
                    parent.unsigned_abs(),
                    libc::getpriority(libc::PRIO_PROCESS, parent.unsigned_abs()),
                )
                .into(),
            ),
            call(libc::sched_setaffinity(parent, size, &raw const processors).into()),
        )
    };
    let (limit, trace) = (call(limit.into()), call(trace));
    vec![
        ("read the take", fs::read(place.take.join("take.json")).map(drop)),
        ("write the output", own_file.and_then(|mut file| file.write_all(b"x"))),
        ("start a thread", thread.as_ref().map(drop).map_err(|error| io::Error::from(error.kind()))),
        ("read /etc/passwd in a thread", thread.unwrap().join().unwrap()),
        ("read /etc/passwd", fs::read("/etc/passwd").map(drop)),
        ("read own environment", fs::read("/proc/self/environ").map(drop)),
        ("read another take", fs::read(place.other.join("take.json")).map(drop)),
        ("list other takes", fs::read_dir(&place.root).map(drop)),
        ("write into the take", fs::write(place.take.join("new"), "x")),
        ("empty the take's header", truncated),
        ("write beside the output", fs::write(place.root.join("new.mp4"), "x")),
        ("link the output", fs::hard_link(&place.output, place.root.join("link"))),
        ("make a folder", fs::create_dir(place.root.join("folder"))),
        ("TCP", TcpStream::connect(tcp).map(drop)),
        ("UDP", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("a Unix socket", UnixStream::connect(place.root.join("socket")).map(drop)),
        ("an abstract Unix socket", UnixStream::connect_addr(&abstract_name).map(drop)),
        ("run a program", Command::new("/bin/true").status().map(drop)),
        ("signal the supervisor", kill),
        ("slow the supervisor down", slow),
        ("bind the supervisor to a processor", bind),
        ("change its limits", limit),
        ("4 GiB of memory", memory),
        ("ptrace", trace),
        ("io_uring", call(ring)),
    ]
}

/// What became of each attempt.
fn attempted(confined: &str) -> BTreeMap<String, String> {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of(root.path());
    for take in [&place.take, &place.other] {
        SyntheticTake::new("room").write(take, S).unwrap();
    }
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let _unix = UnixListener::bind(root.path().join("socket")).unwrap();
    let pid = std::process::id();
    let name = SocketAddr::from_abstract_name(format!("reelroom-test-{pid}")).unwrap();
    let _abstract = UnixListener::bind_addr(&name);
    let told = format!("{confined}\n{}\n{}\n{pid}", root.path().display(), tcp.local_addr().unwrap());
    let said = process("attempting_process", TRY, &told);
    let attempts = said.lines().filter_map(|line| line.strip_prefix("attempt ")?.split_once(": "));
    attempts.map(|(name, result)| (name.to_owned(), result.to_owned())).collect()
}

#[test]
fn a_composer_reaches_nothing_but_its_take_and_its_output() {
    let support = Support::of_this_kernel();
    if !support.is_enough() {
        eprintln!("the sandbox was not tested: {support}");
        return;
    }
    let confined = attempted("confined");
    let allowed = ["read the take", "write the output", "start a thread"];
    for (name, result) in &confined {
        match (allowed.contains(&name.as_str()), name.as_str()) {
            (true, _) => assert_eq!(result, "done", "{name}"),
            (false, "4 GiB of memory") => assert!(result.starts_with("OutOfMemory"), "{name}: {result}"),
            (false, _) => assert!(result.starts_with("PermissionDenied"), "{name}: {result}"),
        }
    }
    // Nothing of it is refused for another reason.
    let free = attempted("free");
    assert_eq!(confined.keys().collect::<Vec<_>>(), free.keys().collect::<Vec<_>>());
    assert!(free.len() > 20, "{free:?}");
    for (name, result) in &free {
        match name.as_str() {
            "io_uring" | "ptrace" => assert!(!result.starts_with("PermissionDenied"), "{name}: {result}"),
            _ => assert_eq!(result, "done", "{name} without the sandbox"),
        }
    }
}

#[test]
fn composing_process() {
    let Ok(arguments) = std::env::var(COMPOSE) else { return };
    let arguments = Arguments::parse_from(std::iter::once("compose").chain(arguments.lines()));
    println!();
    reelroom_composer::run(&arguments.compose, &mut io::stdout()).unwrap();
}

#[test]
fn the_sandbox_changes_no_picture_and_no_sound_of_any_codec() {
    let dir = tempfile::tempdir().unwrap();
    let (take, out) = (dir.path().join("take"), dir.path().join("out.mp4"));
    let mut made = SyntheticTake::new("room");
    for (identity, name, look, codec) in [
        ("ann", "Ann Example", (RED, 440.0), Codec::Vp8),
        ("bob", "שרה Müller", (BLUE, 500.0), Codec::H264),
        ("cid", "山田", (GREEN, 600.0), Codec::Vp9),
        ("dan", "مريم", (RED, 700.0), Codec::Av1),
    ] {
        person(&mut made, [identity, name], look, 0, 1, codec);
    }
    made.write(&take, S).unwrap();
    let arguments =
        [take.to_str().unwrap(), "-o", out.to_str().unwrap(), "--progress", "--fps", "15"].join("\n");
    let options =
        Arguments::parse_from(std::iter::once("compose").chain(arguments.lines())).compose.options();
    let free = compose(&take, &out, &options, &mut |_| {}).unwrap();
    let free_file = fs::read(&out).unwrap();
    let began = Instant::now();
    let said = process("composing_process", COMPOSE, &arguments);
    println!("confined: {:.2} s", began.elapsed().as_secs_f64());
    let done = said.lines().rev().find(|line| line.contains("\"done\"")).unwrap();
    let done: serde_json::Value = serde_json::from_str(done).unwrap();
    assert_eq!(done["pictures_hash"], free.pictures_hash);
    assert_eq!(done["sound_hash"], free.sound_hash);
    assert_eq!(done["report"], serde_json::to_value(&free.report).unwrap());
    assert!(free.report.values().all(|track| track.broken == 0 && track.unknown_codec == 0), "{free:?}");
    assert_eq!(fs::read(&out).unwrap(), free_file);
}
