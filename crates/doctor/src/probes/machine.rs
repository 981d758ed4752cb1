//! The machine.

use reelroom_composer::fonts::Fonts;
use reelroom_composer::sandbox::Support;
use rustix::process::{Resource, getrlimit};

use super::read;
use crate::checks::machine::MachineFacts;

/// Of the container that this runs in.
const CONTAINERS_MEMORY: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Looks.
pub(crate) fn probe() -> MachineFacts {
    let support = Support::of_this_kernel();
    MachineFacts {
        memory_bytes: memory_bytes(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        // The server raises its own to what it may have at most.
        open_files: getrlimit(Resource::Nofile).maximum,
        sandbox: support.to_string(),
        is_confined: support.is_enough(),
        missing_scripts: Fonts::of_this_machine().missing_scripts(),
    }
}

fn memory_bytes() -> Option<u64> {
    let of_machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
    });
    let of_container =
        CONTAINERS_MEMORY.iter().filter_map(read).find_map(|text| text.trim().parse::<u64>().ok());
    match (of_machine, of_container) {
        (Some(machine), Some(container)) => Some(machine.min(container)),
        (one, other) => one.or(other),
    }
}
