//! Limits that the supervisor sets for a composer, because a composer cannot be trusted with its own limits once it reads media.
//!
//! - **Environment and files**: it gets a few variables and no open file; the server's secrets are in both.
//! - **Priority**: it is the last to get a processor or the disk. Calls go first.
//! - **Processor time**: the limit is a number of seconds for each second of its take. The take grows, so the supervisor renews the
//!   limit; the composer may not change it. The take's length comes from its files' times, which the composer cannot change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Command;

/// Where libraries, plugins and fonts are; nothing of this server.
const VARIABLES: [&str; 12] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PLUGIN_SCANNER",
];
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Loading, and a take that is just beginning.
const FIRST_S: u64 = 120;
/// 49 people in 1080p at 60 pictures a second need five processors; a slow one counts more.
const PER_SECOND: u64 = 20;

/// Takes away what a composer that is about to start does not need. `registry` is the file of GStreamer's list of its plugins: if it
/// cannot be written, every composer begins a second later.
#[expect(unsafe_code, reason = "what happens between fork and exec is unsafe to say in Rust")]
pub(crate) fn confine(command: &mut Command, registry: &Path) {
    command.env_clear();
    command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("GST_REGISTRY_1_0", registry);
    let prepare = || {
        const FIRST_OTHER: libc::c_uint = 3;
        // SAFETY: a system call about this process. A kernel that does not know it refuses, and the composer runs all the same.
        unsafe {
            libc::syscall(libc::SYS_close_range, FIRST_OTHER, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(prepare) };
}

/// Lets the composer `pid` use more time as its take grows. Never returns: to be dropped with the composer.
pub(crate) async fn renew_time(pid: Option<u32>, take: PathBuf) {
    let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) else { return };
    loop {
        limit_time(pid, FIRST_S + PER_SECOND * length_s(&take).await);
        tokio::time::sleep(RENEW_EVERY).await;
    }
}

/// From the take's first to its last file time.
async fn length_s(take: &Path) -> u64 {
    let modified =
        async |name| tokio::fs::metadata(take.join(name)).await.and_then(|file| file.modified()).ok();
    let (first, last) = (modified("take.json").await, modified("events.jsonl").await);
    first.zip(last).and_then(|(first, last)| last.duration_since(first).ok()).unwrap_or_default().as_secs()
}

/// Beyond it the kernel ends the process with SIGXCPU.
fn limit_time(pid: Pid, most_s: u64) {
    let most = Rlimit { current: Some(most_s), maximum: None };
    if let Err(error) = prlimit(Some(pid), Resource::Cpu, most) {
        tracing::debug!(%error, "the composer's processor time cannot be limited");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }

    #[tokio::test]
    async fn a_composer_gets_no_secret_and_no_open_file() {
        let folder = tempfile::tempdir().unwrap();
        // As a program would inherit it that a shell started with a redirection.
        let secret = std::fs::File::create(folder.path().join("secret")).unwrap();
        rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
        let mut command = shell("env; ls -l /proc/self/fd");
        command.env("S3_SECRET_KEY", "very secret");
        confine(&mut command, &folder.path().join("registry.bin"));
        let said = command.output().await.unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("PATH=") && said.contains("GST_REGISTRY_1_0="), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[tokio::test]
    async fn a_composer_that_turns_in_circles_is_ended() {
        let mut child = shell("while :; do :; done").spawn().unwrap();
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        limit_time(pid, 1);
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.unwrap().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGXCPU));
    }

    #[tokio::test]
    async fn a_longer_take_gives_more_time() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(length_s(folder.path()).await, 0);
        let file = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
        let began = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        file("take.json").set_modified(began).unwrap();
        file("events.jsonl").set_modified(began + Duration::from_secs(3600)).unwrap();
        assert_eq!(length_s(folder.path()).await, 3600);
    }
}
