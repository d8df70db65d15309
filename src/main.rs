//! The `rosterd` binary: the edge of the library.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A run that sends takes and gives back some two hundred pieces of memory for each request, on
/// several threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    rosterd::cli::main()
}
