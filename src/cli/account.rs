//! `doorward account`: the gateway's accounts with certificate authorities.

use std::time::Duration;

use super::args::{AccountAction, AccountArgs, DeactivateArgs, ShowAccountArgs};
use super::exit::Exit;
use super::{admin_call, output};
use crate::admin::api::{AccountDone, AccountLine, AccountRequest, AccountsReport, Reply, Request};
use crate::base::escape::escaped;

/// Until every authority has answered or been given up by the gateway.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(130);
/// Characters of what an authority said.
const MAX_SHOWN: usize = 2_000;

/// Does what is asked.
pub fn account(action: &AccountAction) -> Exit {
    match action {
        AccountAction::Show(args) => show(args),
        AccountAction::RollKey(args) => act(AccountRequest::RollKey, args),
        AccountAction::Deactivate(args) => deactivate(args),
    }
}

fn show(args: &ShowAccountArgs) -> Exit {
    match admin_call::ask(&args.ask, Request::Accounts, ANSWER_TIMEOUT) {
        Ok(Reply::Accounts(report)) => output::report(args.json, &report, || pages(&report)),
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn pages(report: &AccountsReport) -> String {
    match report.accounts.is_empty() {
        true => "No site gets its certificate from an ACME authority, so there is no account.\n".to_owned(),
        false => report.accounts.iter().map(page).collect::<Vec<_>>().join("\n"),
    }
}

fn page(line: &AccountLine) -> String {
    let mut text = format!("{}\n", line.directory);
    let mut fact = |name: &str, value: &str| text.push_str(&format!("  {name:8}  {}\n", escaped(value, MAX_SHOWN)));
    match &line.url {
        Some(url) => fact("account", url),
        None => fact("account", "none yet; the first order makes one"),
    }
    for (name, value) in [("key", &line.thumbprint), ("status", &line.status), ("error", &line.error)] {
        if let Some(value) = value {
            fact(name, value);
        }
    }
    if !line.contacts.is_empty() {
        fact("contact", &line.contacts.join(", "));
    }
    text
}

fn deactivate(args: &DeactivateArgs) -> Exit {
    if !args.yes {
        output::complaint(
            "This closes the account for good. Certificates stay valid, and the next order makes another account, but DNS \
             records that are bound to this one (accounturi, dns-persist-01) and one-time bindings (eab) are lost with it. \
             Say --yes to do it.",
        );
        return Exit::Failed;
    }
    act(AccountRequest::Deactivate, &args.account)
}

fn act(wish: AccountRequest, args: &AccountArgs) -> Exit {
    let request = Request::Account { wish, issuer: args.issuer.clone() };
    match admin_call::ask(&args.ask, request, ANSWER_TIMEOUT) {
        Ok(Reply::Account(done)) => {
            output::line(&told(&done));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn told(done: &AccountDone) -> String {
    match (&done.thumbprint, &done.note) {
        (_, Some(note)) => {
            format!(
                "The key of the account at {} is put aside, and the next order makes another account: {note}.",
                done.directory
            )
        }
        (Some(thumbprint), None) => {
            format!("The account at {} has another key now, with the thumbprint {thumbprint}.", done.directory)
        }
        (None, None) => {
            format!("The account at {} is closed, and its key put aside; the next order makes another.", done.directory)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_told_with_what_their_authority_says() {
        let known = AccountLine {
            directory: "https://ca.example/dir".into(),
            url: Some("https://ca.example/acct/1".into()),
            thumbprint: Some("abc".into()),
            status: Some("valid".into()),
            contacts: vec!["mailto:ops@example.com".into()],
            error: None,
        };
        let none = AccountLine { directory: "https://other.example/dir".into(), ..AccountLine::default() };
        let expected = "\
https://ca.example/dir
  account   https://ca.example/acct/1
  key       abc
  status    valid
  contact   mailto:ops@example.com

https://other.example/dir
  account   none yet; the first order makes one
";
        assert_eq!(pages(&AccountsReport { accounts: vec![known, none] }), expected);
        assert!(pages(&AccountsReport::default()).contains("there is no account"));
    }
}
