//! The order in which things are looked at, and what is left out where somebody is in a hurry.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::checks::data_folder::{DataFacts, Folder};
use crate::checks::firewall::Wanted;
use crate::checks::recording::RecordingFacts;
use crate::checks::{self, ports};
use crate::line::{Line, Report};
use crate::probes::clock::Began;
use crate::probes::data_folder::Most;
use crate::probes::outside::Around;
use crate::probes::tls::Trust;
use crate::probes::{
    self, certificate, clock, data_folder, firewall, livekit, machine, outside, public_name, server, store,
};
use crate::rehearsal::Stage;
use crate::subject::{DataFolder, Subject};

/// Written to see how fast the disk is, bytes.
const WRITTEN: u64 = 64 << 20;
/// The same beside a server that may be recording on that disk.
const WRITTEN_BESIDE_A_SERVER: u64 = 16 << 20;
/// For the data folder's disk, which may be stuck, or at the other end of a wire that is cut.
const DISK_ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// How thoroughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thoroughness {
    /// Everything.
    #[default]
    Whole,
    /// Without what takes seconds: the disk's speed, and a recording.
    Quick,
}

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How thoroughly.
    pub thoroughness: Thoroughness,
    /// A STUN server to ask for the public address, "host:port". None is asked unless it is named.
    pub stun_server: Option<String>,
}

/// Is told what goes on.
pub trait Observer {
    /// Something begins that takes seconds.
    fn begins(&mut self, what: &str);
    /// Something was looked at.
    fn line(&mut self, line: &Line);
}

/// Looks at everything. Nothing of it stays, also where the future is dropped.
///
/// Where the settings cannot be used, these alone are told: `subject` is none.
pub async fn examine(
    settings: &checks::settings::SettingsFacts,
    subject: Option<Subject>,
    wish: &Wish,
    observer: &mut dyn Observer,
) -> Report {
    // A second time it is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let began = Began::now();
    let mut told = Told { report: Report::default(), observer };
    told.all(checks::settings::check(settings));
    let Some(subject) = subject else { return told.report };
    let is_for_others = settings.meaning.as_ref().is_some_and(|meaning| meaning.reached.is_some());
    let subject = Arc::new(subject);
    let trust = aside(Trust::of_this_machine).await;

    let asked = tokio::time::timeout(DISK_ANSWERS_WITHIN, with(&subject, &trust, server::probe)).await;
    let Ok(server) = asked else {
        told.all(stuck(&subject));
        return told.report;
    };
    let runs = server.runs();
    told.all(checks::server::check(&server));
    let looking = look_at_the_disk(&subject, wish, runs, &mut told);
    // Whoever waited for that disk for the rest would wait for ever.
    if tokio::time::timeout(DISK_ANSWERS_WITHIN, looking).await.is_err() {
        told.all(stuck(&subject));
        return told.report;
    }
    let http = subject.http;
    told.all(ports::http::check(&aside(move || probes::ports::http(http, runs)).await));
    if let Some(media) = subject.media.clone() {
        told.all(ports::media::check(&aside(move || probes::ports::media(&media, runs)).await));
    }
    told.observer.begins("the public names are asked");
    let names = with(&subject, &trust, move |subject, trust| public_name::probe(subject, runs, trust)).await;
    told.all(checks::public_name::check(&names));
    let named: Vec<IpAddr> = names.into_iter().filter_map(|name| name.leads_to.ok()).flatten().collect();
    look_from_outside(&subject, wish, runs, is_for_others, named, &mut told).await;
    let wanted = if is_for_others { wanted(&subject) } else { Vec::new() };
    told.all(checks::firewall::check(&aside(move || firewall::probe(wanted)).await));
    let certificates =
        with(&subject, &trust, move |subject, trust| certificate::probe(subject, runs, trust)).await;
    told.all(checks::certificate::check(&certificates));
    told.all(checks::machine::check(&aside(machine::probe).await));

    told.observer.begins("the store is tried");
    told.all(checks::store::main::check(&store::main(&subject).await));
    told.all(checks::store::backup::check(store::backup(&subject).await.as_ref()));
    let livekit = with(&subject, &trust, livekit::probe).await;
    let (livekit, others_clock) = livekit.unzip();
    told.all(checks::livekit::check(livekit.as_ref()));
    let buckets_clock = with(&subject, &trust, livekit::clock_of_bucket).await;

    if subject.media.is_some() {
        rehearse(&subject, wish, &mut told).await;
    }
    let others = others_clock.flatten().into_iter().chain(buckets_clock).collect();
    told.all(checks::clock::check(&aside(move || clock::probe(began, others)).await));
    told.report
}

/// What was told.
struct Told<'a> {
    report: Report,
    observer: &'a mut dyn Observer,
}

impl Told<'_> {
    fn all(&mut self, lines: Vec<Line>) {
        for line in lines {
            self.observer.line(&line);
            self.report.lines.push(line);
        }
    }
}

async fn look_at_the_disk(subject: &Arc<Subject>, wish: &Wish, server_runs: bool, told: &mut Told<'_>) {
    let most = match (wish.thoroughness, server_runs) {
        (Thoroughness::Quick, _) => 0,
        (Thoroughness::Whole, true) => WRITTEN_BESIDE_A_SERVER,
        (Thoroughness::Whole, false) => WRITTEN,
    };
    if most > 0 {
        told.observer.begins("the data folder's disk is written to, for five seconds at most");
    }
    let subject = Arc::clone(subject);
    let facts = aside(move || data_folder::probe(&subject.data, Most(most))).await;
    told.all(checks::data_folder::check(&facts));
}

/// What is said of a disk that does not answer.
fn stuck(subject: &Subject) -> Vec<Line> {
    let reason = format!("its disk does not answer in {} s", DISK_ANSWERS_WITHIN.as_secs());
    let DataFolder { path, reserve_bytes } = &subject.data;
    let folder = Folder::None { reason };
    checks::data_folder::check(&DataFacts { path: path.clone(), reserve_bytes: *reserve_bytes, folder })
}

async fn look_from_outside(
    subject: &Arc<Subject>,
    wish: &Wish,
    server_runs: bool,
    is_for_others: bool,
    named: Vec<IpAddr>,
    told: &mut Told<'_>,
) {
    let Some(media) = subject.media.clone() else { return };
    told.observer.begins("datagrams are sent to the media port");
    let (subject, stun_server) = (Arc::clone(subject), wish.stun_server.clone());
    let looking = move || {
        let around = Around {
            public: &subject.public,
            named,
            is_for_others,
            server_runs,
            stun_server: stun_server.as_deref(),
        };
        outside::probe(&media, around)
    };
    told.all(checks::outside::check(&aside(looking).await));
}

async fn rehearse(subject: &Subject, wish: &Wish, told: &mut Told<'_>) {
    let stage = match Stage::new(&subject.data.path, &subject.program, subject.maker) {
        Ok(stage) => stage,
        Err(error) => {
            let reason = error.to_string();
            let step = "has no folder to be made in";
            return told.all(checks::recording::check(&RecordingFacts::Failed { step, reason }));
        }
    };
    told.observer.begins("codecs are looked for");
    let codecs = stage.codecs().await;
    told.all(checks::codecs::check(&codecs));
    let facts = match wish.thoroughness {
        Thoroughness::Quick => RecordingFacts::Skipped,
        Thoroughness::Whole if !codecs.are_there() => RecordingFacts::NotTried,
        Thoroughness::Whole => stage.record(&mut |what: &str| told.observer.begins(what)).await,
    };
    told.all(checks::recording::check(&facts));
}

/// What a firewall has to let in.
fn wanted(subject: &Subject) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut want = |port: u16, protocol: &'static str| {
        let one = Wanted { port, protocol };
        if port != 0 && !wanted.contains(&one) {
            wanted.push(one);
        }
    };
    let http = subject.http;
    if !http.listen.is_loopback() {
        want(http.port, "tcp");
        http.redirect_port.into_iter().for_each(|port| want(port, "tcp"));
    }
    // Of a proxy on this machine, which is where people go.
    if http.listen.is_loopback() {
        subject.public.iter().for_each(|public| want(public.port, "tcp"));
    }
    if let Some(media) = &subject.media {
        want(media.port, "udp");
        want(media.port, "tcp");
    }
    wanted
}

/// Something that waits, in a thread of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a probe does not panic")
}

/// The same, about what is looked at.
async fn with<T: Send + 'static>(
    subject: &Arc<Subject>,
    trust: &Trust,
    work: impl FnOnce(&Subject, &Trust) -> T + Send + 'static,
) -> T {
    let (subject, trust) = (Arc::clone(subject), trust.clone());
    aside(move || work(&subject, &trust)).await
}
