//! `reelroom compose TAKE -o OUT.mp4`: the composer as a command.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    canvas::Canvas,
    compose::{ComposeOptions, Composed, Follow, Observer, Progress, compose_kept},
    error::{Cause, ComposeError},
    layout::Layout,
    preset::Preset,
    resume::Keeper,
    sandbox,
    skip::Skip,
    step::{Crumb, Step},
};

/// Progress is told no more often than this.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// Arguments of `reelroom compose`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ComposeArgs {
    /// Directory of the take (`takes/<egress id>`)
    pub take: PathBuf,
    /// The MP4 file to write; overwritten if it is there, unless --journal knows it
    #[arg(short, long, value_name = "OUT.mp4")]
    pub output: PathBuf,
    /// Wait for more while the take is still growing
    #[arg(long)]
    pub follow: bool,
    /// Layout instead of the take's own: grid, speaker or single-speaker, each also with -light
    #[arg(long)]
    pub layout: Option<String>,
    /// Sound only
    #[arg(long)]
    pub audio_only: bool,
    /// Size and rates by LiveKit's name, such as H264_1080P_30 or PORTRAIT_H264_720P_60 [default: H264_720P_30]
    #[arg(long, value_parser = preset)]
    pub preset: Option<Preset>,
    /// Picture width in pixels, instead of the preset's
    #[arg(long)]
    pub width: Option<u32>,
    /// Picture height in pixels, instead of the preset's
    #[arg(long)]
    pub height: Option<u32>,
    /// Pictures per second, instead of the preset's
    #[arg(long)]
    pub fps: Option<u32>,
    /// Picture bit rate at most, kbit/s, instead of the preset's
    #[arg(long)]
    pub video_kbps: Option<u32>,
    /// Sound bit rate, kbit/s, instead of the preset's
    #[arg(long)]
    pub audio_kbps: Option<u32>,
    /// A keyframe at least this often, milliseconds [default: 2000]
    #[arg(long)]
    pub keyframe_ms: Option<u32>,
    /// Print the progress, one JSON object per line
    #[arg(long)]
    pub progress: bool,
    /// Leave out what a composer died of: frames of a track by their arrival, or without a track everything in a span. A JSON
    /// object such as {"track":"TR_x","from_ns":1,"to_ns":2,"why":"it crashed"}; may be given several times
    #[arg(long, value_name = "JSON")]
    pub skip: Vec<Skip>,
    /// Keep in this file what is about to be done, for whoever wants to know where a composer died
    #[arg(long, value_name = "FILE")]
    pub crumb: Option<PathBuf>,
    /// Keep in this file how far OUT.mp4 is. Called again with the same take and options, the composer goes on with OUT.mp4 instead of
    /// beginning anew
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Keep all rights of this user while composing. Without this the composer gives up, before it looks at any media, the
    /// network, other programs and all files but the take, the output and the system's libraries and fonts
    #[arg(long)]
    pub no_sandbox: bool,
}

impl ComposeArgs {
    /// What they ask for.
    #[must_use]
    pub fn options(&self) -> ComposeOptions {
        let mut preset = self.preset.unwrap_or_default();
        for (target, value) in [
            (&mut preset.size.width, self.width),
            (&mut preset.size.height, self.height),
            (&mut preset.frames_per_second, self.fps),
            (&mut preset.video_kbps, self.video_kbps),
            (&mut preset.audio_kbps, self.audio_kbps),
            (&mut preset.keyframe_ms, self.keyframe_ms),
        ] {
            *target = value.unwrap_or(*target);
        }
        ComposeOptions {
            layout: self.layout.as_deref().map(Layout::parse),
            preset,
            follow: if self.follow { Follow::Live } else { Follow::ToEnd },
            audio_only: self.audio_only,
            skips: self.skip.clone(),
        }
    }
}

fn preset(name: &str) -> Result<Preset, String> {
    Preset::named(name).ok_or_else(|| {
        format!("there is no such preset; there are {}", Preset::names().collect::<Vec<_>>().join(", "))
    })
}

/// A line of standard output under `--progress`.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Line<'a> {
    Composing(Progress),
    Done(&'a Composed),
    Failed { cause: Cause, reason: String },
}

/// Composes as the arguments say. With `--progress` writes lines such as
/// `{"state":"composing","position_ns":1000000000,"available_ns":3200000000,"ended_ns":null}` and at last
/// `{"state":"done","duration_ns":...,"size_bytes":...,...}` or `{"state":"failed","cause":"disk","reason":"the disk is full"}` to
/// `stdout`. Errors of `stdout` are ignored: a supervisor that went away must not end the composition.
///
/// Unless told otherwise, the calling thread and those it starts are in the [`sandbox`] afterwards.
pub fn run(args: &ComposeArgs, stdout: &mut dyn Write) -> Result<Composed, ComposeError> {
    run_observed(args, stdout, &mut |_: Progress| {})
}

/// [`run`] under the eyes of an observer.
pub fn run_observed(
    args: &ComposeArgs,
    stdout: &mut dyn Write,
    observer: &mut dyn Observer,
) -> Result<Composed, ComposeError> {
    let result = compose_told(args, stdout, observer);
    if args.progress {
        let _ = match &result {
            Ok(composed) => tell(stdout, &Line::Done(composed)),
            Err(error) => tell(stdout, &Line::Failed { cause: error.cause(), reason: error.reason() }),
        };
    }
    result
}

fn compose_told(
    args: &ComposeArgs,
    stdout: &mut dyn Write,
    observer: &mut dyn Observer,
) -> Result<Composed, ComposeError> {
    let crumb = match &args.crumb {
        Some(path) => Some(Crumb::create(path).map_err(ComposeError::output(path))?),
        None => None,
    };
    let keeper = match &args.journal {
        Some(path) => Some(Keeper::open(path).map_err(ComposeError::output(path))?),
        None => None,
    };
    if !args.no_sandbox {
        sandbox::enter(&args.take, &args.output)?;
    }
    let mut told = Told { crumb, stdout: args.progress.then_some(stdout), told: None, observer };
    compose_kept(&args.take, &args.output, &args.options(), keeper, &mut told)
}

/// Tells the supervisor what happens, and then another observer.
struct Told<'a> {
    crumb: Option<Crumb>,
    stdout: Option<&'a mut dyn Write>,
    told: Option<Instant>,
    observer: &'a mut dyn Observer,
}

impl Observer for Told<'_> {
    fn progress(&mut self, progress: Progress) {
        if let Some(stdout) = &mut self.stdout
            && self.told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL)
        {
            self.told = Some(Instant::now());
            let _ = tell(*stdout, &Line::Composing(progress));
        }
        self.observer.progress(progress);
    }

    fn begin(&mut self, step: &Step<'_>) {
        if let Some(crumb) = &mut self.crumb {
            crumb.leave(step);
        }
        self.observer.begin(step);
    }

    fn picture(&mut self, number: u64, canvas: &Canvas) {
        self.observer.picture(number, canvas);
    }

    fn sound(&mut self, samples: &[f32]) {
        self.observer.sound(samples);
    }
}

fn tell(stdout: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *stdout, line)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
