//! What the system grants this process, and what it must not do with its memory: set once, first thing in `main`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asks for all open files the system allows: each client takes one, each tunnel two, and a shell gives 1,024. A refusal
/// leaves the limit as it was, which is told when it is reached.
pub fn prepare() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    // Private keys lie in memory. A limit of one byte means no file, and, unlike none at all, no pipe to a collector either
    // (core(5)).
    let one = Rlimit { current: Some(1), maximum: Some(1) };
    let _ = setrlimit(Resource::Core, one);
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

    #[test]
    fn a_crash_writes_no_keys_to_the_disk() {
        prepare();
        assert!(getrlimit(Resource::Core).maximum.is_some_and(|most| most <= 1));
    }
}
