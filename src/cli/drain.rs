//! `doorward drain` and `undrain`: a backend gets nothing new, or is taken back.

use std::time::Duration;

use super::args::DrainArgs;
use super::exit::Exit;
use super::{admin_call, output};
use crate::admin::api::{DrainReport, Reply, Request};

/// It takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes a backend out.
pub fn drain(args: &DrainArgs) -> Exit {
    perform(args, Request::Drain { target: args.target.clone() })
}

/// Takes it back.
pub fn undrain(args: &DrainArgs) -> Exit {
    perform(args, Request::Undrain { target: args.target.clone() })
}

fn perform(args: &DrainArgs, request: Request) -> Exit {
    match admin_call::ask(&args.ask, request, ANSWER_TIMEOUT) {
        Ok(Reply::Drained(report)) => {
            output::line(&told(&report));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn told(report: &DrainReport) -> String {
    let DrainReport { target, upstreams, drained, open } = report;
    let groups = upstreams.join(", ");
    if !drained {
        return format!("{target} ({groups}) gets requests again.");
    }
    let open = match open {
        0 => "nothing is open on it".to_owned(),
        1 => "one request or tunnel is still open on it".to_owned(),
        _ => format!("{open} requests and tunnels are still open on it"),
    };
    format!("{target} ({groups}) gets no new requests; {open}. `doorward undrain {target}` takes it back.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_tells_what_is_still_open() {
        let report = |drained, open| DrainReport { target: "10.0.0.1:80".into(), upstreams: vec!["app".into()], drained, open };
        assert_eq!(
            told(&report(true, 3)),
            "10.0.0.1:80 (app) gets no new requests; 3 requests and tunnels are still open on it. \
             `doorward undrain 10.0.0.1:80` takes it back."
        );
        assert!(told(&report(true, 0)).contains("nothing is open on it"));
        assert_eq!(told(&report(false, 3)), "10.0.0.1:80 (app) gets requests again.");
    }
}
