//! Which gateway, which configuration and which state a command means.

use std::path::PathBuf;

use clap::Args;

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
