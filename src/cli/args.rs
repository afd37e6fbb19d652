//! The words of the command line. Here are the commands; what each takes is in the files below, by kind.

mod account;
mod certs;
mod looking;
mod serving;
mod steering;
mod time;
mod trust;
mod whose;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use account::{AccountAction, AccountArgs, DeactivateArgs, ShowAccountArgs};
pub use certs::{
    CertsAction, CertsArgs, ExportArgs, ImportArgs, RenewArgs, RevokeArgs, SelfSignedArgs, ShowCertArgs, TestCertArgs,
};
pub use looking::{DoctorArgs, ExplainArgs, ProbeArgs, StatusArgs};
pub use serving::{CheckArgs, DemoArgs, ProxyArgs, TopArgs};
pub use steering::{BansArgs, DrainArgs, MaintenanceArgs, ReloadArgs, ShutOut, Turn, UnbanArgs};
pub use trust::TrustArgs;
pub use whose::{AskArgs, ConfigArgs, StateArgs};

use super::exit;

/// What follows the long help of every command.
const FILES: &str = "\
Configuration file: --config PATH, else ./doorward.conf, else /etc/doorward/doorward.conf.
State folder:       `state PATH` in that file, else ./state when it is there, else /var/lib/doorward.

Environment:
  DOORWARD_LOG  level of events, over the configuration's: `debug`, or `doorward::certs=trace,info`
  NO_COLOR      no colours in complaints about the configuration
";

/// Three ways to begin, for who starts the program without a word.
pub const EXAMPLES: &str = "\
There is no configuration here yet. Three ways to begin:

  See it work, on https://localhost with a page of its own behind it:
      doorward demo

  Put a backend on this machine behind https and wss, without a file:
      doorward proxy localhost 3000
      doorward proxy chat.example.com 127.0.0.1:8000

  Write doorward.conf, three lines, and run it:
      chat.example.com {
          proxy 127.0.0.1:8000
      }
      doorward run

`doorward --help` tells the rest.";

/// An edge gateway for WebSocket and HTTP.
///
/// It obtains and renews certificates by itself, serves https and wss in front of your backends, and keeps open tunnels
/// through every reload.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, after_help = exit::HELP, after_long_help = format!("{FILES}\n{}", exit::HELP))]
pub struct Cli {
    /// What to do; without it `run`, when there is a configuration file.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads the process's arguments. Wrong ones, and `--help`, end the process here.
    pub fn of_process() -> Self {
        Self::from_arg_matches(&words().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The words, with the exit codes below the help of every command.
fn words() -> clap::Command {
    let told = |command: clap::Command| command.after_help(exit::HELP);
    Cli::command().mut_subcommands(|command| told(command).mut_subcommands(told))
}

/// What to do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum Command {
    /// Serve by a configuration file
    ///
    /// Listens first and then obtains what certificates are missing. SIGHUP, a change of the file and `doorward reload`
    /// read the file again without closing anything; TERM and INT let open requests and tunnels end, up to `drain`.
    Run(ConfigArgs),
    /// Serve one name in front of one backend, without a file
    ///
    /// The same as a file with `DOMAIN { proxy TARGET }`, which --print shows.
    Proxy(ProxyArgs),
    /// Show it work: https://localhost in front of a small page with a WebSocket
    ///
    /// Needs nothing else on this machine. Takes ports 443 and 80, or 8443 and 8080 where those cannot be had.
    Demo(DemoArgs),
    /// Tell everything that is wrong with a configuration; exit 0 only when it would run
    Check(CheckArgs),
    /// Print the configuration as JSON, which `run` takes as well
    Adapt(ConfigArgs),
    /// Look for what keeps certificates from being issued and sites from being served
    ///
    /// Asks name servers, authorities and backends, knocks at this gateway's own doors from without, and tells for each
    /// finding what was seen, what was expected and what to do. Works with and without a running gateway; without one it
    /// opens the configured ports for a moment. Exit code 1 when something prevents a certificate or serving.
    Doctor(DoctorArgs),
    /// Tell which site, block and steps would answer a request, and why, without sending it
    ///
    /// Reads the configuration only; works with and without a running gateway. wss:// and ws:// ask for a WebSocket.
    Explain(ExplainArgs),
    /// Open a WebSocket as a client would, through the gateway and straight to its backend, and tell what is wrong
    ///
    /// Tells every step (name, connection, TLS, answer, ping) and one diagnosis. wss:// and ws:// open a WebSocket, https://
    /// and http:// send one GET and follow redirects. It needs no gateway on this machine; where the gateway's configuration
    /// is here, it finds the backend by itself. Exit code 0 only when it works.
    Probe(ProbeArgs),
    /// Have the running gateway read its configuration again, and tell whether that worked
    Reload(ReloadArgs),
    /// List the certificates: state, issuer, expiry, next attempt; and act on them
    ///
    /// Asks the running gateway. While none runs, the state folder tells what it holds, and the exit code is 4; with
    /// --expires-within the answer of the files counts.
    Certs(CertsArgs),
    /// Order a new certificate for a name now, whatever life the held one has left
    Renew(RenewArgs),
    /// Answer nothing but 503, with when to come again, for one site or all; and open again
    ///
    /// Holds until `off`, over reloads, but not over a restart; `maintenance` in the configuration does.
    Maintenance(MaintenanceArgs),
    /// List the clients that are shut out by `ban`, and for how long yet
    Bans(BansArgs),
    /// Let a client in again that is shut out, and forget what it was refused for
    Unban(UnbanArgs),
    /// Tell what the running gateway serves and how busy it is
    Status(StatusArgs),
    /// Send nothing new to a backend, as before a deploy; what is open on it goes on
    ///
    /// It stays so over reloads, until `undrain` or the end of the gateway. `status` tells how much is still open on it.
    Drain(DrainArgs),
    /// Take a drained backend back
    Undrain(DrainArgs),
    /// Show, re-key or close the accounts with certificate authorities
    #[command(subcommand)]
    Account(AccountAction),
    /// Write one self-signed certificate and its key for this machine's names; installs nothing
    ///
    /// For programs that want a certificate of their own during development: its names are localhost, 127.0.0.1, ::1, this
    /// machine's name with and without .local, its addresses in the local network, and those that are given.
    SelfSigned(SelfSignedArgs),
    /// Turn a password into the hash that `auth basic` takes
    ///
    /// Asks for it without showing it, or reads the first line of standard input.
    HashPassword,
    /// Have this machine trust the certificates for localhost and private names
    ///
    /// Puts the root of the gateway's local authority into the system's store (and into those of Chromium and Firefox,
    /// where their tool `certutil` is installed), and prints what curl, Node, Python, wscat and browsers need. It shows
    /// every command before it runs it, and asks.
    Trust(TrustArgs),
    /// Take back what `trust` did
    Untrust(TrustArgs),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_words_are_consistent() {
        words().debug_assert();
    }

    #[test]
    fn help_tells_every_command_and_every_exit_code() {
        let help = words().render_long_help().to_string();
        for word in [
            "run",
            "proxy",
            "demo",
            "check",
            "adapt",
            "doctor",
            "explain",
            "probe",
            "reload",
            "certs",
            "trust",
            "untrust",
            "DOORWARD_LOG",
        ] {
            assert!(help.contains(word), "{word} is missing in:\n{help}");
        }
        assert!(help.contains(exit::HELP));
        for command in words().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            assert!(command.render_help().to_string().contains(exit::HELP), "{name} does not tell its exit codes");
        }
    }

    #[test]
    fn command_lines_are_read() {
        let read = |words: &str| Cli::try_parse_from(words.split(' ')).map(|cli| cli.command);
        assert_eq!(read("doorward").unwrap(), None);
        let Some(Command::Proxy(args)) = read("doorward proxy localhost 3000 --https-port 8443 --print").unwrap() else {
            panic!("proxy is not read");
        };
        assert_eq!(
            (args.domain.as_str(), args.target.as_str(), args.top.https_port, args.print),
            ("localhost", "3000", Some(8443), true)
        );
        let Some(Command::Certs(args)) = read("doorward certs renew a.example --insist --config a").unwrap() else {
            panic!("certs is not read");
        };
        assert!(matches!(args.action, Some(CertsAction::Renew(RenewArgs { insist: true, .. }))), "{args:?}");
        let Some(Command::Certs(args)) = read("doorward certs --expires-within 14d").unwrap() else {
            panic!("certs is not read");
        };
        assert_eq!(args.expires_within, Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(read("doorward certs --expires-within soon").unwrap_err().exit_code(), 2);
        assert_eq!(read("doorward certs --json renew a.example").unwrap_err().exit_code(), 2);
        let Some(Command::Unban(args)) = read("doorward unban 2001:db8::1").unwrap() else { panic!("unban is not read") };
        assert_eq!(args.client.address(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(read("doorward unban everyone").unwrap_err().exit_code(), 2);
        assert_eq!(read("doorward explode").unwrap_err().exit_code(), i32::from(exit::Exit::Usage.number()));
        assert_eq!(read("doorward reload --config a --socket b").unwrap_err().exit_code(), 2);
        assert_eq!(read("doorward proxy localhost 3000 --https-port 0").unwrap_err().exit_code(), 2);
    }
}
