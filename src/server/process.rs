//! What the system grants this process: asked for once, first thing in `main`.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Asks for all open files the system allows: each client takes one, each tunnel two, and a shell gives 1,024. A refusal
/// leaves the limit as it was, which is told when it is reached.
pub fn prepare() {
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
