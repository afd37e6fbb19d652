//! What the system grants this process: asked for once, first thing in `main`.

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// Asks for all open files the system allows, and for small pages.
pub fn prepare() {
    raise_files();
    // Pages of 2 MiB would make each thread's small heap megabytes large: 17 MiB at rest instead of 7. A kernel without
    // the switch has no huge pages to switch off.
    let _ = disable_transparent_huge_pages(true);
}

/// Each client takes a file, each tunnel two, and a shell gives 1,024 where the system allows far more. A refusal leaves
/// the limit as it was, which is told when it is reached.
fn raise_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_open_all_that_the_system_allows() {
        let allowed = getrlimit(Resource::Nofile).maximum;
        prepare();
        assert_eq!(getrlimit(Resource::Nofile).current, allowed);
    }
}
