//! Supervises a composer: a child process that makes the MP4 of a take.
//!
//! It runs at low priority and may crash on whatever media it is given: it is started again, from the take's beginning. It never
//! outlives its supervisor: it is killed when the future is dropped, and by the kernel when this program dies.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reelroom_protocol::ids::EgressId;
use rustix::process::{Signal, nice, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::request::Encoding;

const RESTARTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const NICENESS: i32 = 10;
/// A composer tells its progress several times a second, also while it waits; one that is silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// Of what it said on standard error, the last lines are told when it dies.
const LAST_WORDS: usize = 5;

/// What is to be composed.
#[derive(Clone, Debug)]
pub(crate) struct Composition {
    pub(crate) egress: EgressId,
    /// Program and first arguments.
    pub(crate) command: Vec<OsString>,
    pub(crate) take: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) encoding: Encoding,
    pub(crate) audio_only: bool,
    pub(crate) growth: Growth,
    pub(crate) progress: Arc<Progress>,
}

/// How far a composer is, for others to look at.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) composed_ns: AtomicU64,
    pub(crate) available_ns: AtomicU64,
}

/// Whether the take may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    Follow,
    Ended,
}

/// A finished MP4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Composed {
    pub(crate) duration_ns: u64,
    pub(crate) size_bytes: u64,
    /// What the composer says happened to each track.
    #[serde(default)]
    pub(crate) report: serde_json::Value,
}

/// A line of `reelroom compose --progress`.
#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Line {
    Composing {
        position_ns: u64,
        available_ns: u64,
    },
    Done {
        duration_ns: u64,
        #[serde(default)]
        report: serde_json::Value,
    },
    #[serde(other)]
    Other,
}

impl Composition {
    /// Composes, starting again what dies, up to three times.
    ///
    /// # Errors
    /// Why it died the last time.
    pub(crate) async fn run(self) -> Result<Composed, String> {
        let mut backoff = FIRST_BACKOFF;
        for restart in 0.. {
            match self.attempt().await {
                Ok(composed) => return Ok(composed),
                Err(error) if restart == RESTARTS => return Err(error),
                Err(error) => {
                    tracing::warn!(egress = %self.egress, error, restart, "the composer died and is started again");
                    tokio::time::sleep(backoff).await;
                    backoff *= 2;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&self) -> Result<Composed, String> {
        // The store may know the file of a former attempt by another name: it is replaced, and not written over.
        let _ = tokio::fs::remove_file(&self.output).await;
        let mut command = self.command()?;
        let mut child =
            command.spawn().map_err(|error| format!("the composer cannot be started: {error}"))?;
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        // A composer that hangs keeps its standard error open: the first error ends both, and drops the child.
        let (done, last_words) = tokio::try_join!(self.listen(stdout), async { Ok(self.log(stderr).await) })?;
        let status = child.wait().await.map_err(|error| format!("the composer is lost: {error}"))?;
        if !status.success() {
            return Err(format!("the composer ended with {status}: {last_words}"));
        }
        let size_bytes = match tokio::fs::metadata(&self.output).await {
            Ok(metadata) if metadata.len() > 0 => metadata.len(),
            Ok(_) => return Err("the composer wrote an empty file".into()),
            Err(error) => return Err(format!("the composer wrote no file: {error}")),
        };
        let (duration_ns, report) = done.ok_or("the composer did not say how long the file is")?;
        Ok(Composed { duration_ns, size_bytes, report })
    }

    fn command(&self) -> Result<Command, String> {
        let (program, first) = self.command.split_first().ok_or("the compose command is empty")?;
        let encoding = &self.encoding;
        let mut command = Command::new(program);
        command.args(first).arg(&self.take).arg("-o").arg(&self.output).arg("--progress");
        if self.growth == Growth::Follow {
            command.arg("--follow");
        }
        if self.audio_only {
            command.arg("--audio-only");
        }
        for (name, value) in [
            ("--width", encoding.width),
            ("--height", encoding.height),
            ("--fps", encoding.frames_per_second),
            ("--video-kbps", encoding.video_kbps),
            ("--audio-kbps", encoding.audio_kbps),
            ("--keyframe-ms", encoding.keyframe_ms),
        ] {
            command.arg(name).arg(value.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let prepare = || {
            // Not dying with its parent, or not being nice, is no reason not to compose.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let _ = nice(NICENESS);
            Ok(())
        };
        // SAFETY: between fork and exec only two system calls are made; nothing is allocated and no lock is taken.
        unsafe { command.pre_exec(prepare) };
        Ok(command)
    }

    /// The length and the report it told at last, when its output ends.
    async fn listen(
        &self,
        stdout: impl AsyncRead + Unpin,
    ) -> Result<Option<(u64, serde_json::Value)>, String> {
        let mut lines = BufReader::new(stdout).lines();
        let mut done = None;
        loop {
            let line = match tokio::time::timeout(SILENCE, lines.next_line()).await {
                Ok(Ok(Some(line))) => line,
                Ok(_) => return Ok(done),
                Err(_) => return Err("the composer hangs".into()),
            };
            match serde_json::from_str(&line) {
                Ok(Line::Composing { position_ns, available_ns }) => {
                    self.progress.composed_ns.store(position_ns, Ordering::Relaxed);
                    self.progress.available_ns.store(available_ns, Ordering::Relaxed);
                    let lag_ms = available_ns.saturating_sub(position_ns) / 1_000_000;
                    tracing::trace!(egress = %self.egress, position_ns, lag_ms, "composing");
                }
                Ok(Line::Done { duration_ns, report }) => done = Some((duration_ns, report)),
                Ok(Line::Other) => {}
                Err(_) => tracing::debug!(egress = %self.egress, line, "the composer says"),
            }
        }
    }

    async fn log(&self, stderr: impl AsyncRead + Unpin) -> String {
        let mut lines = BufReader::new(stderr).lines();
        let mut last = VecDeque::new();
        while let Ok(Some(line)) = lines.next_line().await {
            tracing::debug!(egress = %self.egress, line, "the composer says");
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line);
        }
        Vec::from(last).join(" / ")
    }
}

#[cfg(test)]
mod tests;
