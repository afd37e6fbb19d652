//! `doorward bans` and `unban`: who is shut out by `ban`, and letting them in again before their time.

use std::time::Duration;

use super::args::{BansArgs, UnbanArgs};
use super::exit::Exit;
use super::{admin_call, output};
use crate::admin::api::{BansReport, Reply, Request};
use crate::base::duration;

/// It takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Lists who is shut out.
pub fn bans(args: &BansArgs) -> Exit {
    match admin_call::ask(&args.ask, Request::Bans, ANSWER_TIMEOUT) {
        Ok(Reply::Bans(report)) => output::report(args.json, &report, || page(&report)),
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

/// Lets one in again, or all.
pub fn unban(args: &UnbanArgs) -> Exit {
    match admin_call::ask(&args.ask, Request::Unban { client: args.client.address() }, ANSWER_TIMEOUT) {
        Ok(Reply::Unbanned { clients }) => {
            output::line(&told(clients));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn page(report: &BansReport) -> String {
    if report.clients.is_empty() {
        return "Nobody is shut out.\n".to_owned();
    }
    let mut text = String::new();
    for (client, left) in &report.clients {
        text.push_str(&format!("{client}, for {}\n", duration::rough(Duration::from_secs(*left))));
    }
    if report.more > 0 {
        text.push_str(&format!("and {} more\n", report.more));
    }
    text.push_str("`doorward unban ADDRESS` lets one in again, `doorward unban all` everybody.\n");
    text
}

fn told(clients: u64) -> String {
    match clients {
        1 => "One client may come again; what it was refused for is forgotten.".to_owned(),
        _ => format!("{clients} clients may come again; what they were refused for is forgotten."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_tells_for_how_long_and_what_to_do() {
        let clients = vec![("192.0.2.7".to_owned(), 61), ("2001:db8::".to_owned(), 600)];
        assert_eq!(
            page(&BansReport { clients, more: 3 }),
            "\
192.0.2.7, for 1min 1s
2001:db8::, for 10min
and 3 more
`doorward unban ADDRESS` lets one in again, `doorward unban all` everybody.
"
        );
        assert_eq!(page(&BansReport::default()), "Nobody is shut out.\n");
        assert!(told(1).starts_with("One client") && told(2).starts_with("2 clients"));
    }
}
