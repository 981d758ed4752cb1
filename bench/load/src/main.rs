//! `reelroom-load`: puts people into rooms of a LiveKit-compatible server, who all send the same clip, and prints what came of it as
//! JSON. Nothing is encoded or decoded, so that a small machine can load a server beside it.
//!
//! With `--sound` it plays a clip once, and its sender reports may lie (`--lie`): no stock client does that on demand.

mod clip;
mod lie;
mod peer;
mod person;
mod sound;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use serde::Serialize;
use tokio::sync::watch;

use crate::clip::Clip;
use crate::lie::Lie;
use crate::person::{Act, Play, Seen, Stage, stay};
use crate::sound::Sound;

/// Longer than any measurement.
const TOKEN_FOR_S: u64 = 24 * 3600;

/// Loads a LiveKit-compatible server with people who send a clip
#[derive(Parser)]
struct Args {
    /// Where it is, ws://host:port
    #[arg(long)]
    url: url::Url,
    /// An API key
    #[arg(long, default_value = "devkey")]
    api_key: String,
    /// The API key's secret
    #[arg(long, default_value = "secret")]
    api_secret: String,
    /// VP8 in an IVF file, 30 pictures a second
    #[arg(long)]
    clip: PathBuf,
    /// Opus in an Ogg file: clip and sound are then played once, from their beginning, and "playing" is printed when they begin. Without
    /// it the clip is played over and over, with silence
    #[arg(long)]
    sound: Option<PathBuf>,
    /// From a second of playing on, sender reports are wrong by so many seconds: sound:4:0.7, or pictures:4:0.7
    #[arg(long)]
    lie: Vec<Lie>,
    /// One person joins, with this token
    #[arg(long, conflicts_with_all = ["rooms", "people"])]
    token: Option<String>,
    /// How many rooms; they are called load-0, load-1 and so on
    #[arg(long, default_value_t = 1)]
    rooms: usize,
    /// How many people in each
    #[arg(long, default_value_t = 2)]
    people: usize,
    /// Receive what the others send
    #[arg(long)]
    subscribe: bool,
    /// Seconds before measuring, after everybody was started
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Seconds to measure; 0 stays until standard input ends
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

#[derive(Serialize)]
struct Report {
    rooms: usize,
    people: usize,
    seconds: f64,
    pictures_sent: u64,
    mbit_per_s_sent_each: f64,
    packets_received: u64,
    packets_lost: u64,
    keyframe_requests: u64,
    /// Of pictures, from the writing to the arrival of the last packet: median, 95th and 99th of 100, most; null without `--subscribe`.
    delay_ms: Option<[f64; 4]>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    peer::install_crypto();
    let (acts, act) = watch::channel(Act::WarmUp);
    let (play, sound) = match &args.sound {
        Some(path) => (Play::Once, Sound::read(path)?),
        None => (Play::OverAndOver, Sound::silence()),
    };
    let (clip, lies) = (Clip::read(&args.clip)?, args.lie.clone());
    let stage = Arc::new(Stage { clip, sound, play, lies, began: Instant::now(), act });
    let people: Vec<_> =
        addresses(&args)?.into_iter().map(|url| tokio::spawn(stay(Arc::clone(&stage), url))).collect();
    tokio::time::sleep(Duration::from_secs_f64(args.warm_up)).await;
    acts.send_replace(Act::Measure);
    let began = Instant::now();
    if args.seconds > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    } else {
        tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    acts.send_replace(Act::Over);
    let mut all = Vec::new();
    for person in people {
        all.push(person.await??);
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report(&args, seconds, &all))?)?;
    Ok(())
}

/// The address each person joins at.
fn addresses(args: &Args) -> anyhow::Result<Vec<url::Url>> {
    if let Some(token) = &args.token {
        return Ok(vec![address(args, token)?]);
    }
    let mut all = Vec::new();
    for room in 0..args.rooms {
        for person in 0..args.people {
            let token = token(args, &format!("load-{room}"), &format!("person-{person}"))?;
            all.push(address(args, &token)?);
        }
    }
    Ok(all)
}

fn token(args: &Args, room: &str, identity: &str) -> anyhow::Result<String> {
    let grants = VideoGrants { room_join: true, room: room.into(), ..Default::default() };
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = Claims {
        sub: identity.into(),
        name: identity.into(),
        exp: now_s + TOKEN_FOR_S,
        video: Some(grants),
        ..Default::default()
    };
    Ok(mint(&ApiKeys::new(args.api_key.as_str(), args.api_secret.as_str()), claims))
}

fn address(args: &Args, token: &str) -> anyhow::Result<url::Url> {
    let mut url = args.url.join("/rtc")?;
    url.query_pairs_mut()
        .append_pair("access_token", token)
        .append_pair("auto_subscribe", if args.subscribe { "1" } else { "0" })
        .append_pair("protocol", "15")
        .append_pair("sdk", "rust");
    Ok(url)
}

fn report(args: &Args, seconds: f64, all: &[Seen]) -> Report {
    let sum = |what: fn(&Seen) -> u64| all.iter().map(what).sum::<u64>();
    let mut delays: Vec<Duration> = all.iter().flat_map(|seen| seen.delays.iter().copied()).collect();
    delays.sort_unstable();
    let at = |part: f64| {
        let index = ((delays.len() as f64 * part).ceil() as usize).clamp(1, delays.len()) - 1;
        delays[index].as_secs_f64() * 1e3
    };
    Report {
        rooms: args.rooms,
        people: all.len(),
        seconds,
        pictures_sent: sum(|seen| seen.pictures_sent),
        mbit_per_s_sent_each: sum(|seen| seen.bytes_sent) as f64 * 8e-6 / seconds / all.len().max(1) as f64,
        packets_received: sum(|seen| seen.packets_received),
        packets_lost: sum(Seen::packets_lost),
        keyframe_requests: sum(|seen| seen.keyframe_requests),
        delay_ms: (!delays.is_empty()).then(|| [at(0.5), at(0.95), at(0.99), at(1.0)]),
    }
}
