//! What the commands take that steer a running gateway.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::time;
use super::whose::AskArgs;

/// What `reload` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadArgs {
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Take a configuration without sites, too; otherwise a gateway that serves some refuses it
    #[arg(long)]
    pub allow_empty: bool,
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
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = time::some)]
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

/// What `bans` takes.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct BansArgs {
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `unban` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct UnbanArgs {
    /// An address, as `bans` lists it, or `all`
    #[arg(value_parser = shut_out)]
    pub client: ShutOut,
    /// Which gateway.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Whom `unban` lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutOut {
    /// Everybody.
    All,
    /// This one.
    One(IpAddr),
}

impl ShutOut {
    /// `None` for everybody.
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::All => None,
            Self::One(client) => Some(client),
        }
    }
}

fn shut_out(text: &str) -> Result<ShutOut, String> {
    match text {
        "all" => Ok(ShutOut::All),
        _ => text.parse().map(ShutOut::One).map_err(|_| "write an address such as 192.0.2.7, or `all`".to_owned()),
    }
}
