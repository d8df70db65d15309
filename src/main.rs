//! The `rosterd` binary: the edge of the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rosterd::cli::main()
}
