//! The hosts file: names that this machine knows without asking anybody (hosts(5)).

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use crate::base::name::HostName;
use crate::base::regular_file;

/// Lists that block advertisements have some megabytes.
const LARGEST: u64 = 16 << 20;

/// The addresses that `file` gives for `name`; none where there is no such file. Blocks for it.
pub fn addresses(file: &Path, name: &HostName) -> Vec<IpAddr> {
    let mut text = Vec::new();
    let read = regular_file::open(file).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    listed(&String::from_utf8_lossy(&text), name)
}

fn listed(text: &str, name: &HostName) -> Vec<IpAddr> {
    let of_line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        // An address with its interface behind `%` is left out, as in the list of name servers.
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name.as_str())).then_some(address)
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_addresses_of_every_line_that_names_it() {
        let text = "127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # app\n#10.0.0.9 app\n10.0.0.1  db App.\n\
                    10.0.0.2 app app.internal\nfe80::1%eth0 app\nnonsense app\n10.0.0.3\n";
        let check = |name: &str, expected: &[&str]| {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(listed(text, &HostName::parse(name).unwrap()), expected, "for {name}");
        };
        check("app", &["10.0.0.1", "10.0.0.2"]);
        check("app.internal", &["10.0.0.2"]);
        check("localhost", &["127.0.0.1", "::1"]);
        check("pp", &[]);
        assert!(addresses(Path::new("/nonexistent/hosts"), &HostName::parse("app").unwrap()).is_empty());
    }
}
