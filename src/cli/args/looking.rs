//! What the commands take that look and change nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::time;
use super::whose::{AskArgs, ConfigArgs};

/// What `doctor` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct DoctorArgs {
    /// Only this name; every configured one when left out
    pub name: Option<String>,
    /// Port by which http comes in from outside, instead of the configuration's; authorities know no other than 80
    #[arg(long, value_name = "PORT")]
    pub public_http: Option<u16>,
    /// Port by which https comes in from outside, instead of the configuration's; authorities know no other than 443
    #[arg(long, value_name = "PORT")]
    pub public_https: Option<u16>,
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
        Self { name: None, public_http: None, public_https: None, json: false, config: config.clone() }
    }
}

/// What `explain` takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ExplainArgs {
    /// What is asked for: `https://example.com/path`, or http, ws, wss
    pub url: String,
    /// A header field of the request; may stand several times. A WebSocket has the Origin of its own host unless one is given
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
    /// The page that a browser would open it from: `https://app.example.com`; a page of the URL's own host if not given
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
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time::some)]
    pub timeout: Duration,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
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
