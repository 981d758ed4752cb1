//! Supervises a composer: a child process that makes the MP4 of a take.
//!
//! It runs at low priority until somebody waits for its file ([`priority`]), and may crash on whatever media it is given: it is started
//! again and goes on with the file that is there, by the journal beside it; what it keeps dying of is skipped ([`deaths`]). It never outlives its supervisor: it is killed when the future is dropped, and by the
//! kernel when this program dies.

mod deaths;
mod lines;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reelroom_limits::library::{COMPOSER_LINE_BYTES, COMPOSER_WORDS_BYTES};
use reelroom_mp4::Journal;
use reelroom_protocol::ids::EgressId;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::deaths::Skip;
use self::deaths::{Death, Deaths, How, Place, Verdict};
use self::lines::{Lines, Spoken};
use crate::bounds;
use crate::job::LeftOut;
use crate::priority;
use crate::request::Encoding;

/// A composer tells its progress several times a second, also while it waits; one that is silent for so long hangs.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);
/// Of what it said on standard error, the last lines are told when it dies.
const LAST_WORDS: usize = 5;
/// Exit code of a panic.
const PANICKED: i32 = 101;
/// The journal of a composer is looked at when it has composed so much more.
const LOOK_EVERY_NS: u64 = 5_000_000_000;

/// What is to be composed.
#[derive(Clone, Debug)]
pub(crate) struct Composition {
    pub(crate) egress: EgressId,
    /// Program and first arguments.
    pub(crate) command: Vec<OsString>,
    pub(crate) take: PathBuf,
    pub(crate) output: PathBuf,
    /// GStreamer's list of its plugins.
    pub(crate) registry: PathBuf,
    pub(crate) encoding: Encoding,
    pub(crate) audio_only: bool,
    pub(crate) growth: Growth,
    /// As long as this it may say nothing.
    pub(crate) silence: Duration,
    pub(crate) progress: Arc<Progress>,
    /// Cancelled when somebody waits for the file.
    pub(crate) wanted: CancellationToken,
    /// Hears that more of the file stays as it is.
    pub(crate) growth_told: Growths,
}

/// Called with the seconds of a growing file that stay as they are, and the length that it will have, nanoseconds.
#[derive(Clone, Default)]
pub(crate) struct Growths(pub(crate) Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl std::fmt::Debug for Growths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Growths").field(&self.0.is_some()).finish()
    }
}

/// How far a composer is, for others to look at, and for the next one to know.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) composed_ns: AtomicU64,
    pub(crate) available_ns: AtomicU64,
    skips: Mutex<Vec<Skip>>,
}

impl Progress {
    /// Of a recording of which something is known to be skipped.
    pub(crate) fn skipping(skips: Vec<Skip>) -> Self {
        Self { skips: Mutex::new(skips), ..Self::default() }
    }

    /// What is not composed.
    pub(crate) fn skips(&self) -> Vec<Skip> {
        self.skips.lock().expect("no code panics while it holds the skips").clone()
    }

    fn keep(&self, deaths: &Deaths) {
        let skips = deaths.skips().cloned().collect();
        *self.skips.lock().expect("no code panics while it holds the skips") = skips;
    }
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
    /// What the composer says happened.
    #[serde(default)]
    pub(crate) report: Report,
}

/// What the composer says happened, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// To each track.
    #[serde(default, rename = "report")]
    pub(crate) tracks: serde_json::Value,
    /// What was skipped.
    #[serde(default)]
    pub(crate) skipped: Vec<serde_json::Value>,
    /// Frames that the take lacks because the disk could not follow.
    #[serde(default)]
    pub(crate) dropped_frames: u64,
    /// What everybody said to being recorded, where the room asked.
    #[serde(default)]
    pub(crate) consents: Vec<serde_json::Value>,
    /// Where nothing was recorded because this program was started anew.
    #[serde(default)]
    pub(crate) suspended: Vec<serde_json::Value>,
}

impl Report {
    /// Which tracks are not in the file though they arrived.
    pub(crate) fn left_out(&self) -> LeftOut {
        let mut left_out = LeftOut::default();
        let Some(tracks) = self.tracks.as_object() else { return left_out };
        let mut has_media = false;
        for track in tracks.values() {
            match track["left_out"]["why"].as_str() {
                Some("encrypted") => left_out.encrypted += 1,
                Some("not_agreed" | "declined") => left_out.by_choice += 1,
                Some(_) => left_out.unreadable += 1,
                None => {}
            }
            has_media |= !track["media_from_ns"].is_null();
        }
        left_out.everything = !has_media && left_out.encrypted + left_out.by_choice + left_out.unreadable > 0;
        left_out
    }

    /// As it stands in the recording's sidecar.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let consents = (!self.consents.is_empty()).then_some(&self.consents);
        let suspended = (!self.suspended.is_empty()).then_some(&self.suspended);
        serde_json::json!({
            "tracks": self.tracks,
            "skipped": self.skipped,
            "dropped_frames": self.dropped_frames,
            "consents": consents,
            "suspended": suspended,
        })
    }
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
        #[serde(flatten)]
        report: Report,
    },
    Failed {
        cause: Cause,
        reason: String,
    },
    #[serde(other)]
    Other,
}

/// Whom the composer blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    Media,
    #[serde(other)]
    Other,
}

/// What it said last on standard output.
#[derive(Debug)]
enum Said {
    Nothing,
    Done(u64, Report),
    Failed(Cause, String),
}

/// It said nothing for too long.
#[derive(Debug)]
struct Hangs;

impl Composition {
    /// Composes, starting again what dies, and skipping what it dies of.
    ///
    /// # Errors
    /// Why it died the last time, for people.
    pub(crate) async fn run(self) -> Result<Composed, String> {
        let result = self.attempts().await;
        let _ = tokio::fs::remove_file(self.crumb()).await;
        result
    }

    async fn attempts(&self) -> Result<Composed, String> {
        let mut deaths = Deaths::knowing(self.progress.skips());
        let mut is_anew = false;
        loop {
            let death = match self.attempt(&deaths).await {
                Ok(composed) => return Ok(composed),
                Err(death) => death,
            };
            let Death { place, reason, .. } = &death;
            let reached_ns = self.progress.composed_ns.load(Ordering::Relaxed);
            match deaths.died(&death, reached_ns) {
                Verdict::Again(pause) => {
                    tracing::warn!(egress = %self.egress, reason, ?place, "the composer died and is started again");
                    tokio::time::sleep(pause).await;
                }
                Verdict::Skip(skip) => {
                    tracing::warn!(egress = %self.egress, reason, ?place, ?skip, "the composer keeps dying here: this is skipped");
                    self.progress.keep(&deaths);
                }
                // What it goes on with may be what kills it.
                Verdict::GiveUp
                    if death.how == How::Died && !is_anew && kept_seconds(&self.output).await > 0 =>
                {
                    tracing::warn!(egress = %self.egress, reason, ?place, "the composer keeps dying: it begins anew");
                    let _ = tokio::fs::remove_file(journal_of(&self.output)).await;
                    self.tell_growth(0, 0);
                    deaths = Deaths::knowing(self.progress.skips());
                    is_anew = true;
                }
                Verdict::GiveUp => {
                    tracing::warn!(egress = %self.egress, reason, ?place, "the composer keeps dying");
                    return Err(match death.how {
                        How::Refused => death.reason,
                        How::Died => format!("the composer died again and again: {}", death.reason),
                    });
                }
            }
        }
    }

    async fn attempt(&self, deaths: &Deaths) -> Result<Composed, Death> {
        let refused = |reason: String| Death { place: Place::Start, how: How::Refused, reason };
        // The store may know the file of a former attempt by another name: it is replaced, and not written over.
        if tokio::fs::metadata(&self.output).await.is_ok_and(|file| file.nlink() > 1) {
            let _ = tokio::fs::remove_file(&self.output).await;
        }
        let _ = tokio::fs::remove_file(self.crumb()).await;
        let mut command = self.command(deaths).map_err(refused)?;
        let mut child = command.spawn().map_err(|error| {
            refused(format!("the composer cannot be started: {}", reelroom_take::said(&error)))
        })?;
        let renewing = bounds::renew_time(child.id(), self.take.clone());
        let _renewing = AbortOnDropHandle::new(tokio::spawn(renewing));
        let hurrying = priority::hurry(child.id(), self.wanted.clone());
        let _hurrying = AbortOnDropHandle::new(tokio::spawn(hurrying));
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        // A composer that hangs keeps its standard error open: the first error ends both.
        let heard = tokio::try_join!(self.listen(stdout), async { Ok(self.log(stderr).await) });
        let Ok((said, last_words)) = heard else {
            // It is dead before the crumb is read.
            let _ = child.kill().await;
            let reason = format!("it said nothing for {} seconds", self.silence.as_secs());
            return Err(Death { place: self.place().await, how: How::Died, reason });
        };
        self.judge(&mut child, said, &last_words).await
    }

    /// What came of a composer that ended.
    async fn judge(&self, child: &mut Child, said: Said, last_words: &str) -> Result<Composed, Death> {
        let place = self.place().await;
        let death = |how: How, reason: String| Death { place: place.clone(), how, reason };
        let status = child
            .wait()
            .await
            .map_err(|error| death(How::Refused, format!("the composer is lost: {error}")))?;
        match said {
            Said::Done(duration_ns, report) if status.success() => {
                match tokio::fs::metadata(&self.output).await {
                    Ok(metadata) if metadata.len() > 0 => {
                        Ok(Composed { duration_ns, size_bytes: metadata.len(), report })
                    }
                    Ok(_) => Err(death(How::Refused, "the composer wrote an empty file".into())),
                    Err(_) => Err(death(How::Refused, "the composer wrote no file".into())),
                }
            }
            Said::Failed(Cause::Media, reason) => Err(death(How::Died, reason)),
            Said::Failed(Cause::Other, reason) => Err(death(How::Refused, reason)),
            _ if has_crashed(status) => {
                tracing::debug!(egress = %self.egress, last_words, "the composer's last words");
                Err(death(How::Died, crash(status)))
            }
            _ if status.success() => {
                Err(death(How::Refused, "the composer did not say how long the file is".into()))
            }
            _ => Err(death(How::Refused, format!("the composer ended with {status}: {last_words}"))),
        }
    }

    /// Where it keeps what it is about to do.
    fn crumb(&self) -> PathBuf {
        crumb_of(&self.output)
    }

    async fn place(&self) -> Place {
        let read = async {
            let mut crumb = Vec::new();
            tokio::fs::File::open(self.crumb())
                .await?
                .take(COMPOSER_LINE_BYTES as u64)
                .read_to_end(&mut crumb)
                .await?;
            std::io::Result::Ok(crumb)
        };
        read.await.map(|crumb| Place::parse(&crumb)).unwrap_or_default()
    }

    #[expect(unsafe_code, reason = "what happens between fork and exec is unsafe to say in Rust")]
    fn command(&self, deaths: &Deaths) -> Result<Command, String> {
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
        command.arg("--crumb").arg(self.crumb()).arg("--journal").arg(journal_of(&self.output));
        for skip in deaths.skips() {
            let json = serde_json::to_string(skip).expect("a skip has string keys and whole numbers only");
            command.arg("--skip").arg(json);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        bounds::confine(&mut command, &self.registry);
        priority::lower(&mut command);
        let program = getpid();
        let prepare = move || {
            // Not dying with its parent is no reason not to compose.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            // One that died before that sends no signal: its composer would write a file that the next run knows nothing of.
            if getppid() == Some(program) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        };
        // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
        unsafe { command.pre_exec(prepare) };
        Ok(command)
    }

    /// What it told at last, when its output ends.
    async fn listen(&self, stdout: impl AsyncRead + Unpin) -> Result<Said, Hangs> {
        let mut lines = Lines::new(stdout, COMPOSER_LINE_BYTES);
        let mut said = Said::Nothing;
        let mut looked_ns = None;
        loop {
            let line = match tokio::time::timeout(self.silence, lines.next()).await {
                Ok(Ok(Some(Spoken::Line(line)))) => line,
                Ok(Ok(Some(Spoken::TooLong))) => {
                    tracing::warn!(egress = %self.egress, "the composer says a line of more than {COMPOSER_LINE_BYTES} bytes");
                    continue;
                }
                Ok(_) => return Ok(said),
                Err(_) => return Err(Hangs),
            };
            match serde_json::from_str(&line) {
                Ok(Line::Composing { position_ns, available_ns }) => {
                    self.progress.composed_ns.store(position_ns, Ordering::Relaxed);
                    self.progress.available_ns.store(available_ns, Ordering::Relaxed);
                    if looked_ns.is_none_or(|looked_ns: u64| position_ns >= looked_ns + LOOK_EVERY_NS) {
                        looked_ns = Some(position_ns);
                        self.tell_growth(kept_seconds(&self.output).await, available_ns);
                    }
                    let lag_ms = available_ns.saturating_sub(position_ns) / 1_000_000;
                    tracing::trace!(egress = %self.egress, position_ns, lag_ms, "composing");
                }
                Ok(Line::Done { duration_ns, report }) => said = Said::Done(duration_ns, report),
                Ok(Line::Failed { cause, reason }) => said = Said::Failed(cause, reason),
                Ok(Line::Other) => {}
                Err(_) => tracing::debug!(egress = %self.egress, line, "the composer says"),
            }
        }
    }

    fn tell_growth(&self, seconds: u64, total_ns: u64) {
        if let Some(tell) = &self.growth_told.0 {
            tell(seconds, total_ns);
        }
    }

    async fn log(&self, stderr: impl AsyncRead + Unpin) -> String {
        let mut lines = Lines::new(stderr, COMPOSER_WORDS_BYTES);
        let mut last = VecDeque::new();
        while let Ok(Some(line)) = lines.next().await {
            let line = match line {
                Spoken::Line(line) => line,
                Spoken::TooLong => "(a line that is too long)".to_owned(),
            };
            tracing::debug!(egress = %self.egress, line, "the composer says");
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line);
        }
        Vec::from(last).join(" / ")
    }
}

/// The file beside an output in which its composer keeps what it is about to do.
pub(crate) fn crumb_of(output: &Path) -> PathBuf {
    output.with_extension("crumb")
}

/// The file beside an output by which a composer goes on with it.
pub(crate) fn journal_of(output: &Path) -> PathBuf {
    output.with_extension("journal")
}

/// How many seconds of an output stay as they are, by its journal.
pub(crate) async fn kept_seconds(output: &Path) -> u64 {
    #[derive(Deserialize)]
    struct Kept {
        seconds: u64,
    }
    let journal = journal_of(output);
    let reading = tokio::task::spawn_blocking(move || {
        let newest = Journal::newest(&journal).ok()??;
        Some(serde_json::from_slice::<Kept>(&newest).ok()?.seconds)
    });
    reading.await.expect("reading a journal does not panic").unwrap_or(0)
}

fn has_crashed(status: ExitStatus) -> bool {
    status.signal().is_some() || status.code() == Some(PANICKED)
}

fn crash(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => match Signal::from_named_raw(signal) {
            Some(Signal::KILL) => "it was killed, or needed too much memory".into(),
            Some(Signal::XCPU) => "it needed too much time".into(),
            _ => format!("it crashed (signal {signal})"),
        },
        None => "it crashed (panic)".into(),
    }
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
