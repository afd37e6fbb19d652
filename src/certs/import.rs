//! Certificates, keys and accounts of another client's store, taken over so that a move costs no order and loses no account.
//! [`look`] reads what is there and touches nothing; [`take`] puts what is sound into the vault.

mod account_key;
mod acme_sh;
mod apply;
mod caddy;
mod certbot;
mod folders;
mod look;
mod stock;

pub use apply::{Applied, Kept, Report, take};
pub use look::{NoStore, look};
pub use stock::{ForeignStore, Found, FoundAccount, Tool};

#[cfg(test)]
mod tests;
