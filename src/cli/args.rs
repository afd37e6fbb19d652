//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::exit;
use crate::base::span;

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
    Reload(AskArgs),
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

/// Where the configuration is.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigArgs {
    /// Configuration file, in doorward's language or as JSON
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Use Let's Encrypt's staging authority this once, whatever the configuration says
    #[arg(long)]
    pub staging: bool,
}

/// What `check` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckArgs {
    /// Look at what is outside as well, as `doctor` does: ports, names, authorities, backends, the state folder
    #[arg(long)]
    pub live: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The ports that the world knows.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// What `doctor` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DoctorArgs {
    /// Only this name; every configured one when left out
    pub name: Option<String>,
    /// Port by which http comes in from outside; authorities know no other than 80
    #[arg(long, value_name = "PORT", default_value_t = HTTP)]
    pub public_http: u16,
    /// Port by which https comes in from outside; authorities know no other than 443
    #[arg(long, value_name = "PORT", default_value_t = HTTPS)]
    pub public_https: u16,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl DoctorArgs {
    /// Everything, for a person.
    pub fn of(config: &ConfigArgs) -> Self {
        Self { name: None, public_http: HTTP, public_https: HTTPS, json: false, config: config.clone() }
    }
}

/// What `explain` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ExplainArgs {
    /// What is asked for: `https://example.com/path`, or http, ws, wss
    pub url: String,
    /// A header field of the request; may stand several times
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The request's method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub method: String,
    /// Address of the client, for rules that look at it
    #[arg(long, value_name = "ADDR")]
    pub from: Option<std::net::IpAddr>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `probe` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ProbeArgs {
    /// What is opened: wss://example.com/ws, or ws, https, http
    pub url: String,
    /// A header field of the request; may stand several times
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The page that a browser would open it from: `https://example.com`
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// The backend, for the straight way: 8000, 10.0.0.1:8000, https://10.0.0.2, unix/PATH
    #[arg(long, value_name = "TARGET")]
    pub to: Option<String>,
    /// Where the gateway is, instead of what the name resolves to: ADDRESS:PORT
    #[arg(long, value_name = "ADDR")]
    pub connect: Option<std::net::SocketAddr>,
    /// PEM file of roots trusted for the gateway's certificate, instead of the system's
    #[arg(long, value_name = "PATH")]
    pub ca: Option<PathBuf>,
    /// Do not verify the gateway's certificate
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
    /// Longest time for each step
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span_of)]
    pub timeout: Duration,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn span_of(text: &str) -> Result<Duration, String> {
    span::parse(text).filter(|span| !span.is_zero()).ok_or_else(|| "write a time such as 10s".to_owned())
}

/// The top of a configuration, for commands without a file.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TopArgs {
    /// Folder that survives restarts: certificates, keys, the local authority
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
    /// Port for https and wss
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub https_port: Option<u16>,
    /// Port for challenges and for the redirect to https
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub http_port: Option<u16>,
    /// Address to listen on; every address of the machine when left out
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<std::net::IpAddr>,
}

/// What `proxy` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ProxyArgs {
    /// Name to serve: chat.example.com, localhost, or an address
    pub domain: String,
    /// Backend: 3000, 127.0.0.1:8000, https://10.0.0.2, unix/PATH
    pub target: String,
    /// The rest of the configuration.
    #[command(flatten)]
    pub top: TopArgs,
    /// Contact for the authority's account
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Use Let's Encrypt's staging authority, whose certificates no browser trusts
    #[arg(long)]
    pub staging: bool,
    /// Print the file that does the same, and stop
    #[arg(long)]
    pub print: bool,
}

/// What `demo` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoArgs {
    /// The rest of the configuration.
    #[command(flatten)]
    pub top: TopArgs,
}

/// Which running gateway is meant.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AskArgs {
    /// The gateway's configuration file, which tells where its socket is
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The gateway's admin socket itself
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub socket: Option<PathBuf>,
}

/// What `certs` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CertsArgs {
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Tell all that is known of each
    #[arg(short, long)]
    pub verbose: bool,
    /// List only those that end within this time (14d, 36h) or are not there, and exit 5 if there are any
    ///
    /// Certificates of the local authority live half a day by design and are left out.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub expires_within: Option<Duration>,
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub action: Option<CertsAction>,
}

/// What can be done with certificates.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum CertsAction {
    /// Tell all that is known of one certificate
    Show(ShowCertArgs),
    /// Order a new certificate for a name now, whatever life the held one has left
    Renew(RenewArgs),
    /// Have the certificate of a name revoked by its authority, and another one ordered at once by a new key
    Revoke(RevokeArgs),
    /// Try the whole issuance for a name at a test directory: nothing of it is served or kept
    ///
    /// With the challenges of the running gateway, so that what works here works at the real authority, whose limits are
    /// not touched. The name need not be in the configuration yet.
    Test(TestCertArgs),
    /// Write a certificate and its key to NAME.pem and NAME.key, for other programs
    ///
    /// Reads the state folder, so no gateway need run. Each file is written whole or not at all, with mode 0600.
    Export(ExportArgs),
    /// Take over certificates, keys and accounts of certbot, Caddy or acme.sh
    ///
    /// Names what it finds, takes what is sound, and leaves the other store as it is. Certificates are renewed in their time
    /// by their own authority; accounts go on where their key is ECDSA P-256.
    Import(ImportArgs),
}

/// What `certs export` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(allow_missing_positional = true)]
pub struct ExportArgs {
    /// A name that the certificate covers
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub name: Option<String>,
    /// Folder to write into; made with mode 0700 if it is not there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Every certificate of the state folder
    #[arg(long)]
    pub all: bool,
    /// Whose state.
    #[command(flatten)]
    pub state: StateArgs,
}

/// What `certs import` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ImportArgs {
    /// The other store: /etc/letsencrypt, ~/.local/share/caddy, ~/.acme.sh, or a folder in it
    pub path: PathBuf,
    /// Whose state.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Which state folder is meant.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct StateArgs {
    /// The gateway's configuration file, which tells where its state is
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The state folder itself
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
}

/// What `self-signed` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct SelfSignedArgs {
    /// Names and addresses besides this machine's own
    pub names: Vec<String>,
    /// Folder for cert.pem and key.pem
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How long it is valid; browsers believe no more than 398
    #[arg(long, value_name = "DAYS", default_value_t = 398, value_parser = clap::value_parser!(u16).range(1..=825))]
    pub days: u16,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// What `certs revoke` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RevokeArgs {
    /// One of the certificate's names
    pub name: String,
    /// Why; say key-compromise when somebody else may have the key
    #[arg(long, default_value = "unspecified", value_parser = ["unspecified", "key-compromise", "affiliation-changed", "superseded", "cessation-of-operation"])]
    pub reason: String,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// What `certs test` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct TestCertArgs {
    /// The name
    pub name: String,
    /// The test directory, where it is not Let's Encrypt's
    #[arg(long, value_name = "URL")]
    pub directory: Option<String>,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `account` takes.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(rename_all = "kebab-case")]
pub enum AccountAction {
    /// Tell of every account: its URL, its key's thumbprint, and what the authority says of it
    Show(ShowAccountArgs),
    /// Give an account another key; its certificates and records bound to it stay good
    RollKey(AccountArgs),
    /// Close an account for good; the next order makes another
    Deactivate(DeactivateArgs),
}

/// What `account show` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ShowAccountArgs {
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `account roll-key` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountArgs {
    /// A part of the authority's URL, where there are several
    #[arg(long, value_name = "TEXT")]
    pub issuer: Option<String>,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// What `account deactivate` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct DeactivateArgs {
    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
    /// Do it: this cannot be undone
    #[arg(short, long)]
    pub yes: bool,
}

/// Reads a length of time.
fn span(text: &str) -> Result<Duration, String> {
    span::parse(text).ok_or_else(|| "a time is written 14d, 36h or 90min".to_owned())
}

/// What `certs show` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ShowCertArgs {
    /// One of the certificate's names
    pub name: String,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `drain` and `undrain` take.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DrainArgs {
    /// The backend, as the configuration writes it: 3000, 10.0.0.1:8000, unix//run/app.sock
    pub target: String,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// What `maintenance` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceArgs {
    /// Close or open
    pub turn: Turn,
    /// A site by one of its hosts, as the configuration names it; every site without
    pub site: Option<String>,
    /// After what time visitors are told to come again
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = span_of)]
    pub retry_after: Duration,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Close or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Turn {
    /// Closed for maintenance.
    On,
    /// Open.
    Off,
}

/// What `status` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusArgs {
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `renew` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RenewArgs {
    /// One of the certificate's names
    pub name: String,
    /// Ask even an authority that asked to be left alone for longer
    #[arg(long)]
    pub insist: bool,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// What `trust` and `untrust` take.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustArgs {
    /// The gateway's configuration file, which tells where its state is
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The state folder itself
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub state: Option<PathBuf>,
    /// Do it without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
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
        assert_eq!(read("doorward explode").unwrap_err().exit_code(), i32::from(exit::Exit::Usage.number()));
        assert_eq!(read("doorward reload --config a --socket b").unwrap_err().exit_code(), 2);
        assert_eq!(read("doorward proxy localhost 3000 --https-port 0").unwrap_err().exit_code(), 2);
    }
}
