//! The machine: memory, processors, open files, what its kernel confines composers with, fonts.

use crate::checks::{list, size};
use crate::line::{Check, Line};
use crate::trouble::troubles;

/// The server, and a composer that has room to work.
const LEAST_BYTES: u64 = 900_000_000;
/// Those of a call with a recording, and what the system needs.
const FEW_FILES: u64 = 4096;

troubles! { Machine:
    SMALL = Warn "machine-small-memory",
        "The machine, or the container, has less than 900 MB of memory: a recording of many cameras may not find enough.",
        "Give it 2 GB, or allow fewer recordings at once with MAX_COMPOSERS=1.";
    ONE_CORE = Warn "machine-one-core",
        "There is one processor: while a recording is composed, calls and composing share it.",
        "Give it two, or expect recordings to be finished some time after the call.";
    FEW_OPEN = Warn "machine-few-files",
        "The system gives this user few open files: connections are refused when many come.",
        "Set LimitNOFILE=65536 in the unit, or raise the bound in /etc/security/limits.conf.";
    UNCONFINED = Warn "machine-no-sandbox",
        "The kernel does not confine composers, which read the media of strangers.",
        "Run a kernel of 5.13 or later with landlock and seccomp; in a container allow the calls (Docker's own profile does).";
    NO_FONTS = Warn "machine-fonts",
        "No font of this machine has these scripts: names in them are boxes in recordings.",
        "Run `apt install {packages}`, if names in these scripts may come.";
}

/// What is known of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// Memory of the machine or, where that is less, of the container.
    pub memory_bytes: Option<u64>,
    /// Processors that may be used.
    pub cores: usize,
    /// Open files at most; none where there is no bound.
    pub open_files: Option<u64>,
    /// What the kernel confines composers with, in words.
    pub sandbox: String,
    /// It is enough.
    pub is_confined: bool,
    /// Scripts that no font has, each with the package that has.
    pub missing_scripts: Vec<(&'static str, &'static str)>,
}

/// The verdict.
#[must_use]
pub fn check(facts: &MachineFacts) -> Vec<Line> {
    let mut lines = Vec::new();
    let memory = facts
        .memory_bytes
        .map_or_else(|| "memory is not known".to_owned(), |bytes| format!("{} of memory", size(bytes)));
    if facts.memory_bytes.is_some_and(|bytes| bytes < LEAST_BYTES) {
        lines.push(SMALL.said(&memory));
    }
    let cores =
        if facts.cores == 1 { "1 processor".to_owned() } else { format!("{} processors", facts.cores) };
    if facts.cores == 1 {
        lines.push(ONE_CORE.said(&cores));
    }
    let files = facts
        .open_files
        .map_or_else(|| "any number of open files".to_owned(), |files| format!("{files} open files"));
    if facts.open_files.is_some_and(|files| files < FEW_FILES) {
        lines.push(FEW_OPEN.said(&files));
    }
    if lines.is_empty() {
        lines.push(Line::ok(Check::Machine, format!("{memory}, {cores}, {files}")));
    }
    lines.push(match facts.is_confined {
        true => Line::ok(Check::Machine, format!("of composers, {}", facts.sandbox)),
        false => UNCONFINED.said(format!("of composers, {}", facts.sandbox)),
    });
    if !facts.missing_scripts.is_empty() {
        let scripts = list(facts.missing_scripts.iter().map(|(script, _)| script));
        let mut packages: Vec<&str> = facts.missing_scripts.iter().map(|(_, package)| *package).collect();
        packages.sort_unstable();
        packages.dedup();
        lines.push(NO_FONTS.filled(format!("no font has {scripts}"), &[("packages", &packages.join(" "))]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> MachineFacts {
        MachineFacts {
            memory_bytes: Some(4_000_000_000),
            cores: 2,
            open_files: Some(1_048_576),
            sandbox: "files are closed to them".into(),
            is_confined: true,
            missing_scripts: Vec::new(),
        }
    }

    fn codes(facts: &MachineFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn each_of_what_there_is_too_little_of_is_told() {
        assert!(codes(&facts()).is_empty());
        assert!(codes(&MachineFacts { memory_bytes: None, open_files: None, ..facts() }).is_empty());
        assert_eq!(
            codes(&MachineFacts { memory_bytes: Some(500_000_000), ..facts() }),
            ["machine-small-memory"]
        );
        assert_eq!(codes(&MachineFacts { cores: 1, ..facts() }), ["machine-one-core"]);
        assert_eq!(codes(&MachineFacts { open_files: Some(1024), ..facts() }), ["machine-few-files"]);
        assert_eq!(codes(&MachineFacts { is_confined: false, ..facts() }), ["machine-no-sandbox"]);
    }

    #[test]
    fn fonts_are_told_by_the_packages_that_have_them() {
        let missing_scripts =
            vec![("Thai", "fonts-noto-core"), ("Lao", "fonts-noto-core"), ("Greek", "fonts-dejavu-core")];
        let lines = check(&MachineFacts { missing_scripts, ..facts() });
        let last = lines.last().unwrap();
        assert_eq!(last.code, Some("machine-fonts"));
        assert!(
            last.todo.as_ref().unwrap().contains("`apt install fonts-dejavu-core fonts-noto-core`"),
            "{last:?}"
        );
    }
}
