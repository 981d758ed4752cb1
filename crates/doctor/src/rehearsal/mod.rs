//! A recording of itself, as people would make one: a take, composed by the composer, and the file looked at.
//!
//! ```text
//!   doctor ─► elements   which codecs are there                     ┐
//!         ─► make        film ─► coded ─► take (the real writer)    │ child processes: what ends one of them ends no doctor, and
//!         ─► compose     take ─► MP4 (the real composer, confined)  │ GStreamer's list of plugins is written nowhere but in their folder
//!         ─► look        MP4 ─► decoded ─► what is seen and heard   ┘
//! ```

pub(crate) mod film;
mod look;
mod make;
mod mp4;
pub(crate) mod part;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use self::part::Part;
use crate::checks::codecs::{CodecFacts, Missing};
use crate::checks::recording::{Made, RecordingFacts, Seen};
use crate::subject::Maker;

/// For each of the steps; a slow machine composes six seconds in a minute.
const WITHIN: Duration = Duration::from_secs(120);
/// Of what a child says.
const SAID_BYTES: u64 = 64 * 1024;
/// Of what a child complains about, the end, which says why it ends.
const COMPLAINT_BYTES: usize = 64 * 1024;
/// Whoever sets it wants to read what GStreamer says.
const TALKATIVE: &str = "GST_DEBUG";
/// A child that was killed may have made a file after its folder was emptied: so often that is tried again, after this time.
const EMPTIED: (u32, Duration) = (10, Duration::from_millis(20));
/// Where libraries, plugins and fonts are; nothing of the server's settings.
const VARIABLES: [&str; 13] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    TALKATIVE,
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PLUGIN_SCANNER",
];
/// The server's own list of plugins, in the data folder.
const SERVERS_REGISTRY: &str = "gstreamer-registry.bin";

/// A stage: a folder that goes with this value, and who plays on it.
pub(crate) struct Stage {
    folder: TempDir,
    program: PathBuf,
    /// Who plays, and has the folder; none for whoever runs doctor.
    maker: Option<Maker>,
}

impl Stage {
    /// On the disk of the data folder where that can be written, for that is where recordings are made.
    ///
    /// # Errors
    /// No folder can be made, or given away.
    pub(crate) fn new(data: &Path, program: &Path, maker: Option<Maker>) -> std::io::Result<Self> {
        // Children work in it, and find nothing by a path that begins elsewhere.
        let data = std::path::absolute(data)?;
        let named = |place: &Path| tempfile::Builder::new().prefix(".doctor-").tempdir_in(place);
        let folder = named(&data).or_else(|_| named(&std::env::temp_dir()))?;
        // A list that the server has made already saves a second for each child.
        let registry = folder.path().join("registry");
        let _ = std::fs::copy(data.join(SERVERS_REGISTRY), &registry);
        if let Some(Maker { uid, gid }) = maker {
            let give = |path: &Path| std::os::unix::fs::chown(path, Some(uid), Some(gid));
            give(folder.path())?;
            let _ = give(&registry);
        }
        Ok(Self { folder, program: program.to_owned(), maker })
    }

    /// Which codecs are there.
    pub(crate) async fn codecs(&self) -> CodecFacts {
        let missing = self.play::<Vec<Missing>>(Part::Elements).await;
        CodecFacts { missing, needed: reelroom_composer::elements::NEEDED.len() }
    }

    /// Makes a recording, and looks at it. `tell` is called with what is being done.
    pub(crate) async fn record(&self, tell: &mut dyn FnMut(&str)) -> RecordingFacts {
        let began = Instant::now();
        let failed = |step: &'static str| move |reason: String| RecordingFacts::Failed { step, reason };
        tell("known pictures and tones are coded and taken");
        if let Err(reason) = self.play::<()>(Part::Make).await {
            return failed("could not be taken")(reason);
        }
        tell("the take is composed");
        let pace = match self.compose().await {
            Ok(pace) => pace,
            Err(reason) => return failed("could not be composed")(reason),
        };
        tell("the file is looked at");
        let seen = match self.play::<Seen>(Part::Look).await {
            Ok(seen) => seen,
            Err(reason) => return failed("could not be read")(reason),
        };
        let bytes = std::fs::metadata(part::film_in(self.folder.path())).map_or(0, |metadata| metadata.len());
        RecordingFacts::Made(Made { seen, took: began.elapsed(), pace, bytes })
    }

    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("GST_REGISTRY_1_0", self.folder.path().join("registry"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(Maker { uid, gid }) = self.maker {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Lets a child play a part; what it prints at last is what it found.
    async fn play<T: DeserializeOwned>(&self, part: Part) -> Result<T, String> {
        let folder = self.folder.path().as_os_str().to_owned();
        let mut child =
            self.spawn(&["doctor".into(), "--part".into(), part.name().into(), "--folder".into(), folder])?;
        let mut last = String::new();
        self.lines(&mut child, |line| line.clone_into(&mut last)).await?;
        serde_json::from_str(&last).map_err(|error| format!("what it says cannot be read: {error}"))
    }

    /// Composes, and says how many seconds are composed in one.
    async fn compose(&self) -> Result<f64, String> {
        let folder = self.folder.path();
        let (take, output) = (part::take_in(folder).into_os_string(), part::film_in(folder).into_os_string());
        let began = Instant::now();
        let mut child = self.spawn(&["compose".into(), take, "-o".into(), output, "--progress".into()])?;
        let mut pace = Pace::default();
        self.lines(&mut child, |line| pace.told(line, began.elapsed())).await?;
        pace.failed.map_or(Ok(()), Err)?;
        pace.last
            .map(|last| pace_of(pace.first, last))
            .ok_or_else(|| "the composer did not say that it is done".to_owned())
    }

    fn spawn(&self, arguments: &[OsString]) -> Result<Child, String> {
        self.command(arguments).spawn().map_err(|error| format!("{}: {error}", self.program.display()))
    }

    /// Hears a child out.
    async fn lines(&self, child: &mut Child, mut hear: impl FnMut(&str)) -> Result<(), String> {
        let stdout = child.stdout.take().expect("standard output is a pipe").take(SAID_BYTES);
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let hearing = async {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await? {
                hear(&line);
            }
            std::io::Result::Ok(())
        };
        let all = async { tokio::try_join!(hearing, complaints(stderr)) };
        let complaints = match tokio::time::timeout(WITHIN, all).await {
            Ok(Ok(((), complaints))) => complaints,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {
                let _ = child.kill().await;
                return Err(format!("it took more than {} s", WITHIN.as_secs()));
            }
        };
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let complaints = String::from_utf8_lossy(&complaints);
        let why = complaints.lines().rev().find(|line| !line.trim().is_empty());
        Err(why.map_or_else(
            || format!("it ended with {status}"),
            |why| why.trim_start_matches("reelroom: ").to_owned(),
        ))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (times, pause) = EMPTIED;
        for _ in 0..times {
            match std::fs::remove_dir_all(self.folder.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => std::thread::sleep(pause),
                _ => break,
            }
        }
    }
}

/// Hears to the end what a child complains about, so that none waits for somebody to read it.
async fn complaints(mut stderr: ChildStderr) -> std::io::Result<Vec<u8>> {
    let is_wanted = std::env::var_os(TALKATIVE).is_some();
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stderr.read(&mut piece).await?;
        if count == 0 {
            return Ok(kept);
        }
        if is_wanted {
            let _ = std::io::stderr().write_all(&piece[..count]);
        }
        kept.extend_from_slice(&piece[..count]);
        kept.drain(..kept.len().saturating_sub(COMPLAINT_BYTES));
    }
}

/// How far a composer was when.
#[derive(Default)]
struct Pace {
    first: Option<(f64, Duration)>,
    last: Option<(f64, Duration)>,
    failed: Option<String>,
}

impl Pace {
    /// A line of `--progress`.
    fn told(&mut self, line: &str, at: Duration) {
        let said: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let seconds = |name: &str| said[name].as_u64().map(|ns| ns as f64 / 1e9);
        match said["state"].as_str() {
            Some("composing") => {
                if let (None, Some(position)) =
                    (self.first, seconds("position_ns").filter(|position| *position > 0.0))
                {
                    self.first = Some((position, at));
                }
            }
            Some("done") => self.last = seconds("duration_ns").map(|duration| (duration, at)),
            Some("failed") => self.failed = said["reason"].as_str().map(str::to_owned),
            _ => {}
        }
    }
}

/// Seconds composed in one, without what loading cost, where there is enough to tell it from.
fn pace_of(first: Option<(f64, Duration)>, (duration, at): (f64, Duration)) -> f64 {
    let behind = first.map(|(position, began)| (duration - position, at.saturating_sub(began).as_secs_f64()));
    let (seconds, took) = behind
        .filter(|(seconds, took)| *seconds > 1.0 && *took > 0.05)
        .unwrap_or((duration, at.as_secs_f64()));
    seconds / took.max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(script: &str) -> (Stage, Child) {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage { folder, program: "/bin/sh".into(), maker: None };
        let child = stage.spawn(&["-c".into(), script.into()]).unwrap();
        (stage, child)
    }

    #[tokio::test]
    async fn a_child_may_complain_at_length_and_its_last_word_counts() {
        let (stage, mut child) =
            stage("echo one; head -c 300000 /dev/zero >&2; printf '\\nreelroom: no room\\n' >&2; exit 3");
        let mut heard = Vec::new();
        let ended = stage.lines(&mut child, |line| heard.push(line.to_owned())).await;
        assert_eq!((ended, heard), (Err("no room".to_owned()), vec!["one".to_owned()]));
    }

    #[tokio::test]
    async fn the_folder_goes_with_the_stage_whatever_a_child_still_does() {
        let (stage, mut child) =
            stage("echo one; while true; do : > a; : > b; : > c; mkdir -p d; rm -f a b c; done");
        let path = stage.folder.path().to_owned();
        let busy = async {
            let _ = stage.lines(&mut child, |_| {}).await;
        };
        assert!(tokio::time::timeout(Duration::from_millis(300), busy).await.is_err(), "it goes on for ever");
        drop(child);
        drop(stage);
        assert!(!path.exists());
    }

    #[test]
    fn what_root_makes_belongs_to_the_one_who_is_named() {
        use std::os::unix::fs::MetadataExt as _;
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join(SERVERS_REGISTRY), "plugins").unwrap();
        let other = Maker { uid: 12_345, gid: 12_345 };
        if !rustix::process::geteuid().is_root() {
            assert!(
                Stage::new(data.path(), Path::new("reelroom"), Some(other)).is_err(),
                "only root gives away"
            );
            assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 1);
            return;
        }
        let stage = Stage::new(data.path(), Path::new("reelroom"), Some(other)).unwrap();
        for path in [stage.folder.path(), &stage.folder.path().join("registry")] {
            assert_eq!(std::fs::metadata(path).unwrap().uid(), other.uid, "{}", path.display());
        }
    }

    #[test]
    fn the_pace_is_told_without_what_loading_cost() {
        let mut pace = Pace::default();
        let ms = Duration::from_millis;
        pace.told("{\"state\":\"composing\",\"position_ns\":0}", ms(700));
        pace.told("{\"state\":\"composing\",\"position_ns\":1000000000}", ms(1000));
        pace.told("{\"state\":\"composing\",\"position_ns\":3000000000}", ms(1500));
        pace.told("nonsense", ms(1600));
        pace.told("{\"state\":\"done\",\"duration_ns\":6000000000}", ms(2250));
        assert_eq!(pace_of(pace.first, pace.last.unwrap()), 4.0);
        assert_eq!(pace_of(None, (6.0, ms(2000))), 3.0);
        assert_eq!(pace_of(Some((5.9, ms(1000))), (6.0, ms(2000))), 3.0);
        pace.told("{\"state\":\"failed\",\"reason\":\"the disk is full\"}", ms(3000));
        assert_eq!(pace.failed.as_deref(), Some("the disk is full"));
    }
}
