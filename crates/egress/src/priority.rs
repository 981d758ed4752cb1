//! Priorities of composers: calls go before composing, and a file that a client waits for goes before one that still grows.
//!
//! ```text
//!  the call goes on, or a crash is recovered from ──► nice 10, as a batch job, last at the disk
//!  its recording is over ──────────────────────────► ordinary ──HURRY──► nice 10 again: what takes longer gives way to calls
//! ```
//!
//! Priorities are of threads, and most of a composer's work is done by its encoder's. So a composer is alone in its process group: a
//! group's priority is that of all threads in it. To take it back needs root or `LimitNICE`; without, it stays low.

use std::time::Duration;

use rustix::process::{Pid, getpriority_process, nice, setpriority_pgrp};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

pub(crate) const NICENESS: i32 = 10;
/// The lowest priority there is.
const NICEST: i32 = 19;
/// Several times what is left to do at the end of a recording whose composer could follow.
const HURRY: Duration = Duration::from_secs(30);

/// Begins a composer behind everything else.
#[expect(unsafe_code, reason = "what happens between fork and exec is unsafe to say in Rust")]
pub(crate) fn lower(command: &mut Command) {
    command.process_group(0);
    let prepare = || {
        const BEST_EFFORT_LAST: libc::c_int = (2 << 13) | 7;
        const THIS_PROCESS: libc::c_int = 1;
        let batch = libc::sched_param { sched_priority: 0 };
        // A kernel that refuses one of them is no reason not to compose.
        let _ = nice(NICENESS);
        // SAFETY: two system calls about this process, with one structure that lives here.
        unsafe {
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const batch);
            libc::syscall(libc::SYS_ioprio_set, THIS_PROCESS, 0, BEST_EFFORT_LAST);
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(prepare) };
}

/// Lets the composer `pid` hurry as soon as its file is `wanted`. To be dropped with the composer.
pub(crate) async fn hurry(pid: Option<u32>, wanted: CancellationToken) {
    let Some(group) = pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) else { return };
    wanted.cancelled().await;
    let ordinary = getpriority_process(None).unwrap_or(0);
    if let Err(error) = setpriority_pgrp(Some(group), ordinary) {
        tracing::debug!(%error, "the composer's priority stays low");
        return;
    }
    tokio::time::sleep(HURRY).await;
    if setpriority_pgrp(Some(group), (ordinary + NICENESS).min(NICEST)).is_ok() {
        tracing::debug!("the composer has more to do than can be hurried: it gives way again");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_composer_begins_behind_everything_else_and_alone_in_its_group() {
        let mut command = Command::new("cat");
        command.arg("/proc/self/stat").stdout(std::process::Stdio::piped());
        lower(&mut command);
        let child = command.spawn().unwrap();
        let pid = child.id().unwrap().to_string();
        let stat = String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // proc(5): fields 5, 19 and 41; the first of these here is the third there.
        let (group, niceness, policy) = (fields[2], fields[16], fields[38]);
        let own = getpriority_process(None).unwrap();
        assert_eq!((group, policy), (pid.as_str(), libc::SCHED_BATCH.to_string().as_str()));
        assert_eq!(niceness, (own + NICENESS).min(NICEST).to_string());
    }
}
