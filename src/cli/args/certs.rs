//! What `certs` and its neighbours take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::time;
use super::whose::{AskArgs, StateArgs};

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
    #[arg(long, value_name = "TIME", value_parser = time::any)]
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
