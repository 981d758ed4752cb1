//! Any target of `reelroom_media::fuzzing` and `reelroom_sfu::fuzzing`, by the variable `TARGET`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static BODY: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let mut all = reelroom_media::fuzzing::TARGETS.into_iter().chain(reelroom_sfu::fuzzing::TARGETS);
    let found = all.find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("TARGET={wanted:?} names no target")).1
});

fuzz_target!(|bytes: &[u8]| BODY(bytes));
