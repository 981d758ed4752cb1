//! Any target of `reelroom_sfu::fuzzing`, `reelroom_protocol::fuzzing`, `reelroom_media::fuzzing` and `reelroom_turn::fuzzing`, by the variable
//! `TARGET`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static BODY: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let all = [
        &reelroom_sfu::fuzzing::TARGETS[..],
        &reelroom_protocol::fuzzing::TARGETS[..],
        &reelroom_media::fuzzing::TARGETS[..],
        &reelroom_turn::fuzzing::TARGETS[..],
    ];
    let found = all.into_iter().flatten().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("TARGET={wanted:?} names no target")).1
});

fuzz_target!(|bytes: &[u8]| BODY(bytes));
