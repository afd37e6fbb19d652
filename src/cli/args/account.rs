//! What `account` takes.

use clap::{Args, Subcommand};

use super::whose::AskArgs;

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
