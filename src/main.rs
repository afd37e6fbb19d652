//! The doorward program.

use std::process::ExitCode;

// A static binary's own allocator takes one lock for all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorward::server::process::prepare();
    doorward::cli::command::main().into()
}
