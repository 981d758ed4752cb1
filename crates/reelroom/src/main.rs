//! The `reelroom` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    reelroom::cli::main()
}
