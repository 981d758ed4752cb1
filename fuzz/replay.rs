//! Gives every file of the corpora to its target, as tests do.

#![allow(clippy::print_stdout)]

use std::path::Path;

/// A name, and what takes an input.
type Target = (&'static str, fn(&[u8]));

/// Runs each of `targets`, by its name, on all it has in `fuzz/corpus`.
pub(crate) fn all(targets: &[Target]) {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (name, target) in targets {
        let mut files: Vec<_> =
            std::fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in files {
            // The name of the file that panics is the last one printed.
            println!("{}", file.display());
            target(&std::fs::read(file).unwrap());
        }
    }
}
