//! What `trust` and `untrust` take.

use std::path::PathBuf;

use clap::Args;

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
