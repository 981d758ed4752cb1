//! `reelroom compose TAKE -o OUT.mp4`: the composer as a command.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    compose::{ComposeOptions, Composed, Follow, Preset, Progress, compose},
    error::ComposeError,
    layout::{Layout, Size},
};

/// Progress is told no more often than this.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// Arguments of `reelroom compose`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ComposeArgs {
    /// Directory of the take (`takes/<egress id>`)
    pub take: PathBuf,
    /// The MP4 file to write; overwritten if it is there
    #[arg(short, long, value_name = "OUT.mp4")]
    pub output: PathBuf,
    /// Wait for more while the take is still growing
    #[arg(long)]
    pub follow: bool,
    /// Layout instead of the take's own (grid)
    #[arg(long)]
    pub layout: Option<String>,
    /// Sound only
    #[arg(long)]
    pub audio_only: bool,
    /// Picture width in pixels
    #[arg(long, default_value_t = 1280)]
    pub width: u32,
    /// Picture height in pixels
    #[arg(long, default_value_t = 720)]
    pub height: u32,
    /// Pictures per second
    #[arg(long, default_value_t = 30)]
    pub fps: u32,
    /// Picture bit rate at most, kbit/s
    #[arg(long, default_value_t = 3000)]
    pub video_kbps: u32,
    /// Sound bit rate, kbit/s
    #[arg(long, default_value_t = 128)]
    pub audio_kbps: u32,
    /// Print the progress, one JSON object per line
    #[arg(long)]
    pub progress: bool,
}

impl ComposeArgs {
    /// What they ask for.
    #[must_use]
    pub fn options(&self) -> ComposeOptions {
        ComposeOptions {
            layout: self.layout.as_deref().map(Layout::parse),
            preset: Preset {
                size: Size { width: self.width, height: self.height },
                frames_per_second: self.fps,
                video_kbps: self.video_kbps,
                audio_kbps: self.audio_kbps,
            },
            follow: if self.follow { Follow::Live } else { Follow::ToEnd },
            audio_only: self.audio_only,
        }
    }
}

/// A line of standard output under `--progress`.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Line<'a> {
    Composing(Progress),
    Done(&'a Composed),
}

/// Composes as the arguments say. With `--progress` writes lines such as
/// `{"state":"composing","position_ns":1000000000,"available_ns":3200000000,"ended_ns":null}` and at last
/// `{"state":"done","duration_ns":...,"size_bytes":...,...}` to `stdout`. Errors of `stdout` are ignored: a supervisor that went away
/// must not end the composition.
pub fn run(args: &ComposeArgs, stdout: &mut dyn Write) -> Result<Composed, ComposeError> {
    let mut told: Option<Instant> = None;
    let mut progress = |progress: Progress| {
        if args.progress && told.is_none_or(|told| told.elapsed() >= TELL_INTERVAL) {
            told = Some(Instant::now());
            let _ = tell(stdout, &Line::Composing(progress));
        }
    };
    let composed = compose(&args.take, &args.output, &args.options(), &mut progress)?;
    if args.progress {
        let _ = tell(stdout, &Line::Done(&composed));
    }
    Ok(composed)
}

fn tell(stdout: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *stdout, line)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
