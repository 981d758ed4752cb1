//! Replays what the fuzzers found worth keeping; see docs/fuzzing.md.

#![allow(clippy::unwrap_used)]

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn no_input_of_the_corpus_breaks_a_promise() {
    replay::all(&reelroom_turn::fuzzing::TARGETS);
}
