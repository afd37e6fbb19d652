//! Certificates, keys and accounts of another client's store, taken over so that a move costs no order and loses no account.
//! [`look`] reads what is there and touches nothing; [`take`] puts what is sound into the vault.

mod account_key;
mod acme_sh;
mod caddy;
mod certbot;
mod folders;
mod look;
mod stock;
mod take;

pub use look::{NoStore, look};
pub use stock::{Found, FoundAccount, Stock, Tool};
pub use take::{Kept, Report, Taken, take};

#[cfg(test)]
mod tests;
