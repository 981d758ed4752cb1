//! Replays what the fuzzers found worth keeping; see docs/fuzzing.md.

#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn no_input_of_the_corpus_breaks_a_promise() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (name, target) in reelroom_take::fuzzing::TARGETS {
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
