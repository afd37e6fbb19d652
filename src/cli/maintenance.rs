//! `doorward maintenance`: closes sites for a while, and opens them again, without touching the configuration.

use std::time::Duration;

use super::admin_call;
use super::args::{MaintenanceArgs, Turn};
use super::exit::Exit;
use super::output;
use crate::admin::api::{Reply, Request};

/// It takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Turns maintenance on or off and tells for which sites.
pub fn run(args: &MaintenanceArgs) -> Exit {
    let seconds = (args.turn == Turn::On).then(|| args.retry_after.as_secs().max(1));
    match admin_call::ask(&args.ask, Request::Maintenance { site: args.site.clone(), seconds }, ANSWER_TIMEOUT) {
        Ok(Reply::Maintenance { sites }) => {
            output::line(&told(args.turn, &sites));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn told(turn: Turn, sites: &[String]) -> String {
    let list = sites.join(", ");
    match turn {
        Turn::On => format!("Closed for maintenance, until `doorward maintenance off` or a restart: {list}"),
        Turn::Off => format!("Open, unless the configuration says `maintenance`: {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_is_closed_and_for_how_long() {
        let sites = ["a.test:443".to_owned(), "b.test:443".to_owned()];
        assert_eq!(
            told(Turn::On, &sites),
            "Closed for maintenance, until `doorward maintenance off` or a restart: a.test:443, b.test:443"
        );
        assert_eq!(told(Turn::Off, &sites[..1]), "Open, unless the configuration says `maintenance`: a.test:443");
    }
}
