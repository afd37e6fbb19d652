//! What the commands that serve take, and those that read what would be served.

use std::path::PathBuf;

use clap::Args;

use super::whose::ConfigArgs;

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
