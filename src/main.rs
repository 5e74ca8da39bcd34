//! Parses the command line, runs the command, prints an error once.

use std::process::ExitCode;

fn main() -> ExitCode {
    zhida::cli::main()
}
