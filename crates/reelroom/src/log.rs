//! The log: one line of text for each event, whatever those say who are told of in it. Where standard error is systemd's journal, which knows
//! the time by itself, a line begins with its syslog priority instead ("<4>", sd-daemon(3)): `journalctl -p warning` finds what it should.
//!
//! # Invariants
//!
//! - What stands in a field cannot end the line, colour the terminal or turn the reading direction: such characters are escaped.
//! - Nothing depends on whether somebody reads it: standard error may be a terminal or a pipe that is gone.

use std::fmt::{self, Write};
use std::io::IsTerminal as _;
use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, reload};

/// Libraries that warn of what strangers send.
const QUIET: &str = "str0m=error,stun_types=error";

/// A text says in no way what is to be logged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    /// It cannot be read at all.
    #[error("{0:?} is no list such as \"info,reelroom_media=debug\"")]
    NoList(String),
    /// It would be taken for a module, of which all is logged, and of everything else nothing.
    #[error(
        "{0:?} is no level: there are error, warn, info, debug, trace and off (a module has its level behind \"=\")"
    )]
    NoLevel(String),
}

/// Sets what is logged while the program runs.
pub(crate) struct LogLevel {
    set: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

impl LogLevel {
    /// Of a log that nobody reads.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self { set: Box::new(|_| Ok(())) }
    }

    /// Logs what `directives` ask for from now on.
    ///
    /// # Errors
    /// They cannot be read, and what was logged is logged on.
    pub(crate) fn set(&self, directives: &str) -> anyhow::Result<()> {
        (self.set)(filter(directives)?)?;
        Ok(())
    }
}

/// Logs to standard error what `directives` ask for.
pub(crate) fn to_stderr(directives: &str) -> LogLevel {
    let filter = filter(directives).unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // A line that finds no reader any more would be complained of where none is either, and that is a panic.
        .log_internal_errors(false)
        .fmt_fields(Escaped)
        .event_format(if is_journal(std::io::stderr()) {
            Lines::journal()
        } else {
            Lines::Timed(Format::default())
        })
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.init();
    LogLevel { set: Box::new(move |filter| handle.reload(filter)) }
}

/// Whether something can be logged by these directives.
///
/// # Errors
/// [`LogError`].
pub(crate) fn check(directives: &str) -> Result<(), LogError> {
    filter(directives).map(drop)
}

fn filter(directives: &str) -> Result<EnvFilter, LogError> {
    let is_word = |part: &str| {
        let has_level = part.parse::<LevelFilter>().is_ok();
        !part.is_empty() && !has_level && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let parts: Vec<&str> = directives.split(',').map(str::trim).collect();
    if let Some(word) = parts.iter().find(|part| is_word(part)) {
        return Err(LogError::NoLevel((*word).to_owned()));
    }
    // str0m warns of every codec that a browser offers and nobody here uses, and stun_types of what strangers send. The library minds spaces.
    let whole = format!("{QUIET},{}", parts.join(","));
    EnvFilter::try_new(whole).map_err(|_| LogError::NoList(directives.to_owned()))
}

/// Whether a stream is systemd's journal, which tells its device and its inode.
pub(crate) fn is_journal(stream: impl AsFd) -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(stream).is_ok_and(|file| is_file(&named, file.st_dev, file.st_ino))
}

fn is_file(named: &str, device: u64, inode: u64) -> bool {
    let is = |text: &str, number| text.parse::<u64>() == Ok(number);
    named.split_once(':').is_some_and(|(first, second)| is(first, device) && is(second, inode))
}

/// Says on standard error why the program ends.
pub(crate) fn last_words(words: &str) {
    let priority = if is_journal(std::io::stderr()) { priority(Level::ERROR) } else { "" };
    for line in words.lines() {
        eprintln!("{priority}{line}");
    }
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// How a line begins: with the time, or with what the journal wants.
enum Lines {
    Timed(Format),
    Journal(Format<Full, ()>),
}

impl Lines {
    fn journal() -> Self {
        Self::Journal(Format::default().without_time())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self {
            Self::Timed(format) => format.format_event(context, writer, event),
            Self::Journal(format) => {
                writer.write_str(priority(*event.metadata().level()))?;
                format.format_event(context, writer, event)
            }
        }
    }
}

/// Fields as `message name=value name=value`.
pub(crate) struct Escaped;

impl<'writer> FormatFields<'writer> for Escaped {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { text: String::new() };
        fields.record(&mut line);
        writer.write_str(&line.text)
    }
}

struct Line {
    text: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What `log` adds to its records.
        if field.name().starts_with("log.") {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let mut escaping = Escaping(&mut self.text);
        // A string takes whatever is written; a value that fails to show itself is cut there.
        let _ = match field.name() {
            "message" => write!(escaping, "{value:?}"),
            name => write!(escaping, "{}={value:?}", name.strip_prefix("r#").unwrap_or(name)),
        };
    }
}

/// Writes text, and characters that do more than to show themselves as `\u{…}`.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if acts(character) {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

/// Whether a character ends lines, drives a terminal, turns the reading direction, or is not seen at all.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(event: impl FnOnce()) -> String {
        logged_as(Lines::journal(), event)
    }

    fn logged_as(lines: Lines, event: impl FnOnce()) -> String {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(kept.clone())
            .with_ansi(false)
            .with_max_level(Level::TRACE)
            .fmt_fields(Escaped)
            .event_format(lines)
            .finish();
        tracing::subscriber::with_default(subscriber, event);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn in_the_journal_a_line_begins_with_its_priority_and_elsewhere_with_the_time() {
        let events: [(&str, &str, fn()); 5] = [
            ("<3>", "ERROR", || tracing::error!("m")),
            ("<4>", "WARN", || tracing::warn!("m")),
            ("<6>", "INFO", || tracing::info!("m")),
            ("<7>", "DEBUG", || tracing::debug!("m")),
            ("<7>", "TRACE", || tracing::trace!("m")),
        ];
        for (priority, level, event) in events {
            let text = logged(event);
            let line = text.strip_prefix(priority).unwrap_or_else(|| panic!("{text:?}"));
            assert!(line.trim_start().starts_with(level), "{text:?}");
            let text = logged_as(Lines::Timed(Format::default()), event);
            assert!(text.starts_with("20") && text.contains(level), "{text:?}");
        }
    }

    #[test]
    fn the_journal_is_the_file_that_it_says_and_no_other() {
        assert!(is_file("8:41", 8, 41));
        for (named, device, inode) in
            [("8:41", 8, 42), ("8:41", 9, 41), ("", 0, 0), ("8", 8, 0), ("8:x", 8, 0)]
        {
            assert!(!is_file(named, device, inode), "{named}");
        }
    }

    #[test]
    fn whatever_stands_in_a_field_an_event_is_one_line_that_drives_no_terminal() {
        const HOSTILE: &str = "a\r\n2026 ERROR forged \u{1b}[31m\u{9b}2J\u{7}\u{8}\0 \u{202e}txt\u{2066} \u{2028}\u{feff}\u{e0041}\tend";
        struct Shown(&'static str);
        impl fmt::Debug for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        let events: [(&str, fn()); 6] = [
            ("the message", || tracing::info!("{HOSTILE}")),
            ("a displayed field", || tracing::info!(error = %HOSTILE, "m")),
            ("a text field", || tracing::info!(name = HOSTILE, "m")),
            ("a debugged field", || tracing::info!(error = ?Shown(HOSTILE), "m")),
            ("an error", || {
                let error: Box<dyn std::error::Error + Send + Sync> = HOSTILE.into();
                tracing::info!(error = &*error as &(dyn std::error::Error + 'static), "m");
            }),
            ("a span", || tracing::info_span!("s", room = %HOSTILE).in_scope(|| tracing::info!("m"))),
        ];
        for (what, event) in events {
            let text = logged(event);
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.chars().any(acts), "{what}: {line:?}");
            assert!(line.contains("forged") && line.contains("end"), "{what}: nothing is left out: {line}");
        }
    }

    #[test]
    fn what_says_no_level_is_refused_and_not_taken_for_a_module() {
        for good in [
            "info",
            "DEBUG",
            "off",
            "info,reelroom_media=debug",
            "warn, reelroom_sfu=trace",
            "reelroom_media",
            "trace,",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for word in ["verbose", "warning", "info,all"] {
            assert!(matches!(check(word), Err(LogError::NoLevel(_))), "{word}");
        }
        assert_eq!(
            check("info,reelroom_media=loud"),
            Err(LogError::NoList("info,reelroom_media=loud".into()))
        );
    }

    #[test]
    fn the_level_is_set_while_it_is_logged() {
        let kept = Kept::default();
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter("info").unwrap())
            .with_writer(kept.clone())
            .with_ansi(false)
            .fmt_fields(Escaped)
            .with_filter_reloading();
        let handle = builder.reload_handle();
        let level = LogLevel { set: Box::new(move |filter| handle.reload(filter)) };
        tracing::subscriber::with_default(builder.finish(), || {
            tracing::debug!("one");
            level.set("debug").unwrap();
            tracing::debug!("two");
            assert!(level.set("loudly").is_err());
            tracing::debug!("three");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("one") && text.contains("two") && text.contains("three"), "{text}");
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        let text =
            logged(|| tracing::info!(room = "räume 💥 日本", error = %"it's \"so\"", n = 5, "fine: שלום"));
        assert!(text.ends_with("fine: שלום room=\"räume 💥 日本\" error=it's \"so\" n=5\n"), "{text:?}");
    }
}
