//! Arguments -> one command. Prints an error chain once; exit status 2 for wrong input, 1 for a failure.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::commands::main()
}
