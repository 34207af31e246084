//! The `hive` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hive::cli::run()
}
