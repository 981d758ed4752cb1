//! The `reelroom` command.

use std::process::ExitCode;

/// Gives the system back what a crowd needed once it has gone; the system's own allocator keeps it, in pieces.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    reelroom::cli::main()
}
