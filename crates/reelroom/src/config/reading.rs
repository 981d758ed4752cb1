//! The settings file and the environment, read: what each setting is, whence, and all that is wrong.
//!
//! ```text
//!   reelroom.toml ─► each key by itself ─┐
//!   environment ───► each variable ──────┼─► one layer for each setting ─► Config ─► what goes together (Config::check)
//!   defaults ────────────────────────────┘
//! ```
//!
//! Every key is read by itself, so that one that is wrong hides no other one.
//!
//! # Invariants
//!
//! - Reading opens the file and nothing else, and changes nothing.
//! - What a setting that may be a secret is set to is in no problem.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use confique::{Config as _, Layer as _};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::environment::{self, Environment};
use super::in_force::{Sources, fields, is_optional, is_private};
use super::problem::{Problem, Problems, Spot};
use super::{Config, DEFAULT_FILE, Layer, near};

/// What is longer is another file than was meant.
const FILE_BYTES: u64 = 1 << 20;
/// So many things that are wrong with a file are told, and no more: it is another file than was meant.
const TOLD: usize = 100;

/// How TOML's library says what a value should be, and how a person does.
const PLAIN: [(&str, &str); 8] = [
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number that is not negative"),
    ("expected usize", "expected a whole number that is not negative"),
    ("expected a boolean", "expected true or false"),
    ("expected a sequence", "expected a list such as [\"one\", \"another\"]"),
    ("expected path string", "expected a text in quotes"),
    ("expected a string", "expected a text in quotes"),
];

/// The settings as they were read.
#[derive(Clone)]
pub struct Reading {
    /// What they are.
    pub config: Config,
    /// Whence each is.
    pub sources: Sources,
    /// Of each that was given, itself alone.
    given: BTreeMap<&'static str, Layer>,
}

impl Reading {
    /// Whether a setting has another value in another reading. That it was given at all makes no difference where it is the default.
    pub(crate) fn differs(&self, other: &Self, name: &str) -> bool {
        let value = |reading: &Self| {
            let given = reading.given.get(name).cloned().unwrap_or_else(Layer::empty);
            given.with_fallback(Layer::default_values())
        };
        value(self) != value(other)
    }

    /// Takes over from another reading where a setting was given, and as what. The settings themselves stay as they are.
    pub(crate) fn take_source(&mut self, other: &Self, name: &'static str) {
        match other.given.get(name) {
            Some(layer) => self.given.insert(name, layer.clone()),
            None => self.given.remove(name),
        };
        self.sources.take(&other.sources, name);
    }
}

/// The text of a settings file.
pub(super) struct File<'t> {
    pub(super) path: &'t Path,
    pub(super) text: Cow<'t, str>,
}

impl File<'_> {
    /// The file that was named, or the default one where it exists.
    pub(super) fn open(named: Option<&Path>) -> Result<Option<File<'_>>, Problem> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let bytes = match bytes_of(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match named {
                    Some(_) => {
                        Err(Problem::new(format!("the settings file {} does not exist", path.display())))
                    }
                    None => Ok(None),
                };
            }
            Err(error) => {
                let says = format!("the settings file {} cannot be read: {error}", path.display());
                return Err(Problem::new(says));
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(File { path, text: text.into() })),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
                let says = format!(
                    "the settings file {} is no text: line {line} has bytes that are no UTF-8",
                    path.display()
                );
                Err(Problem::new(says))
            }
        }
    }

    fn spot(&self, span: Range<usize>) -> Spot {
        Spot::of(self.path, &self.text, span)
    }
}

/// What stands in a file: a pipe may never begin, and a device never end.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file, but a folder, a pipe or a device"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Reads all settings.
///
/// # Errors
/// All that is wrong with them. What goes together is looked at where each by itself is right.
pub(super) fn read(file: Option<&File<'_>>, environment: &Environment) -> Result<Reading, Problems> {
    let mut problems = Vec::new();
    let mut sources = Sources::default();
    let mut given = BTreeMap::new();
    if let Some(file) = file {
        read_file(file, &mut sources, &mut given, &mut problems);
    }
    for (name, variable) in fields().filter_map(|(name, variable)| Some((name, variable?))) {
        match read_variable(name, variable, environment) {
            // Where the file has one, it is done without.
            Ok(None)
                if environment.is_blank(variable) && sources.line(name).is_some() && may_be_nothing(name) =>
            {
                sources.environment.insert(name);
                given.remove(name);
            }
            Ok(None) => {}
            Ok(Some(layer)) => {
                sources.environment.insert(name);
                given.insert(name, layer);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(problems) = Problems::of(problems) {
        return Err(problems);
    }
    let layer = given.values().cloned().fold(Layer::empty(), Layer::with_fallback);
    let mut config = Config::from_layer(layer.with_fallback(Layer::default_values()))
        .expect("every setting has a default or may be absent");
    config.forget_empty_values();
    match Problems::of(together(&config, file, &sources)) {
        Some(problems) => Err(problems),
        None => Ok(Reading { config, sources, given }),
    }
}

fn read_file(
    file: &File<'_>,
    sources: &mut Sources,
    given: &mut BTreeMap<&'static str, Layer>,
    problems: &mut Vec<Problem>,
) {
    sources.file_name = Some(file.path.to_owned());
    let rest;
    let (mut table, errors) = DeTable::parse_recoverable(&file.text);
    let mut broken_lines = Vec::new();
    for error in errors {
        if problems.len() >= TOLD {
            return;
        }
        let spot = file.spot(error.span().unwrap_or(0..0));
        // One mistake may be several to the parser.
        if !broken_lines.contains(&spot.line) {
            broken_lines.push(spot.line);
            problems.push(Problem::new(format!("this is no TOML: {}", error.message().trim())).at(spot));
        }
    }
    if !broken_lines.is_empty() {
        // The parser goes no further than some of what it cannot read.
        rest = without(&file.text, &broken_lines);
        table = DeTable::parse_recoverable(&rest).0;
    }
    for (key, value) in table.get_ref() {
        if problems.len() >= TOLD {
            return;
        }
        let spot = file.spot(key.span());
        let written: &str = key.get_ref();
        let Some(name) = fields().map(|(name, _)| name).find(|name| *name == written) else {
            problems.push(unknown(written, value.get_ref(), spot));
            continue;
        };
        sources.file.insert(name, spot.line);
        match alone(key, value) {
            Ok(layer) => {
                given.insert(name, layer);
            }
            Err(error) => {
                let spot = file.spot(error.span().unwrap_or_else(|| value.span()));
                problems.push(Problem::new(no_value(name, error.message(), true)).of(name).at(spot));
            }
        }
    }
}

/// A text in which the lines of these numbers are blank, and all else is where it was.
fn without(text: &str, lines: &[usize]) -> String {
    let left = |(at, line): (usize, &str)| match (lines.contains(&(at + 1)), line.strip_suffix('\n')) {
        (false, _) => line.to_owned(),
        (true, Some(line)) => " ".repeat(line.len()) + "\n",
        (true, None) => " ".repeat(line.len()),
    };
    text.split_inclusive('\n').enumerate().map(left).collect()
}

fn unknown(written: &str, value: &DeValue<'_>, spot: Spot) -> Problem {
    let says = match near::key(written) {
        _ if value.is_table() => {
            format!("settings stand in no section: remove [{written}], and let what is in it stand by itself")
        }
        Some(meant) if !written.contains(char::is_whitespace) => {
            format!("there is no setting {written}: {meant} may be meant")
        }
        _ => format!("there is no setting {written:?}: reelroom config prints all there are"),
    };
    Problem::new(says).at(spot)
}

/// A setting by itself.
fn alone<'t>(key: &Spanned<DeString<'t>>, value: &Spanned<DeValue<'t>>) -> Result<Layer, toml::de::Error> {
    let table: DeTable<'t> = std::iter::once((key.clone(), value.clone())).collect();
    Layer::deserialize(toml::Deserializer::from(Spanned::new(value.span(), table)))
}

fn read_variable(
    name: &'static str,
    variable: &'static str,
    environment: &Environment,
) -> Result<Option<Layer>, Problem> {
    let text = match environment.get(variable) {
        None => return Ok(None),
        Some(Ok(text)) => text,
        Some(Err(_)) => {
            return Err(Problem::new("it has bytes that are no text (UTF-8)").of(name).in_variable(variable));
        }
    };
    let layer = environment::layer(name, text);
    layer.map(Some).map_err(|error| {
        Problem::new(no_value(name, &error.to_string(), false)).of(name).in_variable(variable)
    })
}

/// Whether a setting is a text or a path that may be absent: nothing is something that it can be, and means that there is none.
fn may_be_nothing(name: &'static str) -> bool {
    is_optional(name) && environment::layer(name, "").is_ok()
}

/// Why a setting cannot be what it is set to.
fn no_value(name: &str, why: &str, is_in_file: bool) -> String {
    if is_private(name) {
        let wanted = match name {
            _ if name.ends_with("_urls") && is_in_file => {
                "a list of URLs such as [\"https://app.example.org/hook\"]"
            }
            _ if name.ends_with("_urls") => "URLs such as https://app.example.org/hook, separated by commas",
            _ if name.ends_with("_url") || name.ends_with("_endpoint") || name.ends_with("_issuer") => {
                "a URL such as \"https://example.org\""
            }
            _ if is_in_file => "a text in quotes",
            _ => "a text",
        };
        return format!("{name} cannot be what it is set to, which is not shown here: it has to be {wanted}");
    }
    let why = why.trim().trim_start_matches("validation failed: ");
    let why = PLAIN.iter().fold(why.to_owned(), |why, (said, plain)| why.replace(said, plain));
    format!("{name} cannot be this: {why}")
}

/// What no single setting can tell.
fn together(config: &Config, file: Option<&File<'_>>, sources: &Sources) -> Vec<Problem> {
    let mut troubles = Vec::new();
    config.check(&mut troubles);
    let told = troubles.into_iter().map(|trouble| {
        let says = format!("{trouble:#}");
        let meant: Vec<&'static str> = mentioned(&says).filter(|name| sources.has(name)).collect();
        let places: Vec<String> = meant.iter().filter_map(|name| sources.place(name)).collect();
        let problem = match places.as_slice() {
            [] => Problem::new(says),
            places => Problem::new(format!("{says} ({})", places.join(", "))),
        };
        let spot = file.and_then(|file| {
            let line = meant.iter().find_map(|name| sources.line(name))?;
            let begin = file.text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
            Some(file.spot(begin..begin + file.text[begin..].lines().next().map_or(0, str::len)))
        });
        match (meant.first().copied(), spot) {
            (Some(name), Some(spot)) => problem.of(name).at(spot),
            (Some(name), None) => problem.of(name),
            (None, _) => problem,
        }
    });
    told.collect()
}

/// The settings that a sentence names, by themselves or by their variables.
fn mentioned(text: &str) -> impl Iterator<Item = &'static str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c: char| !is_of_name(c)).collect();
    let is_word = move |name: &str| words.contains(&name);
    let named = fields().filter(move |(name, variable)| is_word(name) || variable.is_some_and(&is_word));
    named.map(|(name, _)| name).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, variables: &Environment) -> Result<Reading, Problems> {
        let file = File { path: Path::new("reelroom.toml"), text: text.into() };
        read(Some(&file), variables)
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = read_text(text, &Environment::default()).map(drop).unwrap_err();
        problems.iter().map(Problem::sentence).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_its_place() {
        let told = problems(
            "listen = \"here\"\nmax_rooms = \"many\"\nsever_port = 80\nlog = \"info\"\nmax_participants = -1\n\
             access = \"closed\"\nroom_state = \"yes\"\npublic_hosts = \"a\"\n",
        );
        for (told, expected) in told.iter().zip([
            "reelroom.toml, line 1, column 10: listen cannot be this: invalid IP address syntax",
            "reelroom.toml, line 2, column 13: max_rooms cannot be this: invalid type: string \"many\", expected a whole number from 0 to",
            "reelroom.toml, line 3, column 1: there is no setting sever_port: server_port may be meant",
            "reelroom.toml, line 5, column 20: max_participants cannot be this: invalid value: integer `-1`, expected a whole number",
            "reelroom.toml, line 6, column 10: access cannot be this: unknown variant `closed`",
            "reelroom.toml, line 7, column 14: room_state cannot be this: invalid type: string \"yes\", expected true or false",
            "reelroom.toml, line 8, column 16: public_hosts cannot be this: invalid type: string \"a\", expected a list such as",
        ]) {
            assert!(told.starts_with(expected), "{told}\n{expected}");
        }
        assert_eq!(told.len(), 7, "{told:?}");
    }

    #[test]
    fn what_is_no_toml_hides_nothing_else() {
        let told =
            problems("listen = \nmax_rooms = \"many\"\nlog = \"info\nthme = 1\n[media]\nudp_port = 1\n");
        assert!(told[0].starts_with("reelroom.toml, line 1, ") && told[0].contains("no TOML"), "{told:?}");
        assert!(told.iter().any(|told| told.contains("line 2, column 13: max_rooms")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("line 3, ") && told.contains("no TOML")), "{told:?}");
        assert!(told.iter().any(|told| told.contains("remove [media]")), "{told:?}");
        let told = problems("max_rooms 7\n# räume\nlisten = \"here\"\nport\nlog = 1");
        let places: Vec<&str> = told.iter().filter_map(|told| told.split(", column").next()).collect();
        assert_eq!(places, [1, 3, 4, 5].map(|line| format!("reelroom.toml, line {line}")), "{told:?}");
        let twice = problems("log = \"info\"\nlog = \"debug\"\n");
        assert!(
            twice.len() == 1 && twice[0].contains("line 2") && twice[0].contains("duplicate key"),
            "{twice:?}"
        );
    }

    #[test]
    fn what_does_not_go_together_is_told_with_where_it_is_set() {
        let told =
            problems("log = \"info\"\ns3_endpoint = \"http://localhost:9000\"\nlivekit_api_key = \"k\"\n");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("reelroom.toml, line 2, column 1: s3_endpoint, "), "{told:?}");
        assert!(told[0].ends_with("(s3_endpoint: reelroom.toml, line 2)"), "{told:?}");
        assert!(told[1].contains("livekit_api_secret") && told[1].contains("line 3"), "{told:?}");
        let told = problems(
            "listen = \"0.0.0.0\"\ntls = \"acme\"\nacme_email = \"ann\"\nacme_directory = \"http://x\"\noidc_issuer = \"https://a.example\"\n",
        );
        let lines: Vec<_> =
            told.iter().map(|told| told.split(", column").next().unwrap_or_default()).collect();
        let expected = [2, 3, 4, 5].map(|line| format!("reelroom.toml, line {line}"));
        assert_eq!(lines, expected, "{told:?}");
        let both = read_text("s3_bucket = \"b\"\n", &Environment::from([("S3_ACCESS_KEY", "hunter2")]));
        let told = both.map(drop).unwrap_err().to_string();
        assert!(told.contains("S3_ACCESS_KEY of the environment") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn the_environment_beats_the_file_and_what_is_empty_there_is_not_set() {
        let variables = Environment::from([
            ("LISTEN", "127.0.0.2"),
            ("MAX_ROOMS", "7"),
            ("ROOM_STATE", "No"),
            ("MEDIA_LISTEN", "127.0.0.1, ::1,"),
            ("PUBLIC_HOSTS", "a.example.org, b.example.org"),
            ("RECORDINGS_READERS", "group"),
            ("LOG", ""),
            ("DATA_DIR", ""),
            ("LIVEKIT_URL", ""),
        ]);
        let file = "listen = \"192.0.2.1\"\nlog = \"debug\"\nmax_rooms = 9\n";
        let reading = read_text(file, &variables).unwrap();
        let config = &reading.config;
        assert_eq!((config.listen.to_string().as_str(), config.max_rooms), ("127.0.0.2", 7));
        assert!(!config.room_state && config.recordings_readers == super::super::RecordingsReaders::Group);
        assert_eq!((config.media_listen.len(), config.public_hosts.len()), (2, 2));
        assert_eq!((config.log.as_str(), config.data_dir.as_path()), ("debug", Path::new("./data")));
        assert_eq!(reading.sources.line("max_rooms"), Some(3));
        assert!(config.livekit_url.is_none() && !reading.sources.has("livekit_url"));
    }

    #[test]
    fn a_text_that_may_be_absent_is_so_where_its_variable_is_set_to_nothing() {
        let file = "s3_bucket = \"b\"\nbackup_path = \"/b\"\nserver_port = 80\ns3_force_path_style = true\n\
                    webhook_urls = [\"https://example.org\"]\nrecordings_path = \"calls/\"\naws_region = \"eu-west-1\"\n";
        let variables = Environment::from([
            ("S3_BUCKET", " "),
            ("BACKUP_PATH", ""),
            ("OIDC_ISSUER", ""),
            ("SERVER_PORT", ""),
            ("S3_FORCE_PATH_STYLE", ""),
            ("WEBHOOK_URLS", ""),
            ("RECORDINGS_PATH", ""),
            ("AWS_REGION", ""),
        ]);
        let Reading { config, sources, .. } = read_text(file, &variables).unwrap();
        assert!(config.s3_bucket.is_none() && config.backup_path.is_none());
        assert_eq!((config.server_port, config.s3_force_path_style), (Some(80), Some(true)));
        assert_eq!((config.webhook_urls.len(), config.recordings_path.as_str()), (1, "calls/"));
        assert_eq!(config.aws_region, "eu-west-1");
        let of = |name| sources.of_setting(name);
        assert_eq!(
            (of("s3_bucket"), of("server_port"), of("oidc_issuer")),
            ("environment", "file", "default")
        );
        let file = "s3_endpoint = \"http://localhost:9000\"\n";
        assert!(read_text(file, &Environment::default()).is_err());
        assert!(read_text(file, &Environment::from([("S3_ENDPOINT", "")])).is_ok(), "nothing of it is left");
    }

    #[test]
    fn what_is_no_settings_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path: &Path| File::open(Some(path)).map(drop).unwrap_err().sentence();
        for path in [folder.path(), Path::new("/dev/zero")] {
            assert!(refusal(path).contains("it is no file"), "{}", path.display());
        }
        let file = folder.path().join("reelroom.toml");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        assert!(refusal(&pipe).contains("it is no file"));
        std::fs::write(&file, b"max_rooms = 7\nlog = \"\xff\"\n").unwrap();
        assert!(refusal(&file).contains("line 2 has bytes that are no UTF-8"));
        std::fs::write(&file, vec![b'#'; 1 + FILE_BYTES as usize]).unwrap();
        assert!(refusal(&file).contains("more than 1048576 bytes"));
        let lines = "what is this\n".repeat(50_000);
        assert_eq!(problems(&lines).len(), TOLD);
        let keys: String = (0..50_000).map(|number| format!("key_{number} = 1\n")).collect();
        assert_eq!(problems(&keys).len(), TOLD);
    }

    #[test]
    fn a_variable_that_is_wrong_is_named_and_no_secret_is_told() {
        let variables = Environment::from([
            ("MAX_ROOMS", "many"),
            ("SERVER_PORT", "70000"),
            ("ROOM_STATE", "perhaps"),
            ("ACCESS", "closed"),
            ("PUBLIC_HOSTS", "https://calls.example.org"),
            ("WEBHOOK_URLS", "hunter2"),
            ("LIVEKIT_URL", "hunter2"),
            ("MAX_CONNECTIONS", "0"),
        ]);
        let problems = read(None, &variables).map(drop).unwrap_err();
        let told: Vec<String> = problems.iter().map(Problem::sentence).collect();
        assert_eq!(told.len(), 8, "{told:?}");
        for (variable, why) in [
            ("MAX_ROOMS", "\"many\" is no whole number from 0 to 4294967295"),
            ("SERVER_PORT", "\"70000\" is no whole number from 0 to 65535"),
            ("ROOM_STATE", "neither true nor false"),
            ("ACCESS", "unknown variant `closed`"),
            ("PUBLIC_HOSTS", "no host such as"),
            ("WEBHOOK_URLS", "separated by commas"),
            ("LIVEKIT_URL", "a URL such as"),
            ("MAX_CONNECTIONS", "more than 0"),
        ] {
            let begin = format!("the environment variable {variable}: ");
            assert!(
                told.iter().any(|told| told.starts_with(&begin) && told.contains(why)),
                "{variable}: {told:?}"
            );
        }
        assert!(!problems.to_string().contains("hunter2"));
        for file in
            ["s3_secret_key = 1234567", "webhook_urls = [\"hunter1234567\"]", "s3_secret_key = \"1234567"]
        {
            let told = read_text(file, &Environment::default()).map(drop).unwrap_err().to_string();
            assert!(!told.contains("1234567") && told.contains("line 1"), "{told}");
        }
    }

    #[test]
    fn a_setting_differs_by_what_it_is_and_not_by_where_it_was_given() {
        let of = |text: &str| read_text(text, &Environment::default()).unwrap();
        let (one, other) = (of("log = \"info\"\nmax_rooms = 1_000\n"), of("max_rooms = 7\n"));
        assert!(!one.differs(&other, "log") && one.differs(&other, "max_rooms"));
        assert!(!of("log = 'info'").differs(&of(""), "log"));
        let hook = |path: &str| of(&format!("webhook_urls = [\"https://example.org/{path}\"]"));
        assert!(
            hook("a").differs(&hook("b"), "webhook_urls") && !hook("a").differs(&hook("a"), "webhook_urls")
        );
        let mut taken = one.clone();
        taken.take_source(&other, "max_rooms");
        assert!(!taken.differs(&other, "max_rooms") && taken.sources.line("max_rooms") == Some(1));
    }
}
