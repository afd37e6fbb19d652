//! By what a target is taken for well or not.

use std::time::Duration;

use super::status::StatusRange;
use crate::base::name::HostName;

/// Active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Asked for by GET.
    pub path: String,
    /// Between two checks of one target.
    pub every: Duration,
    /// For all of a check, from the connection to the status.
    pub timeout: Duration,
    /// Answers that mean that it is well; never empty.
    pub status: Vec<StatusRange>,
    /// Checks that pass in a row bring it back; at least 1.
    pub rise: u32,
    /// Checks that fail in a row take it out; at least 1.
    pub fall: u32,
    /// The host that is asked for, instead of the target's own.
    pub host: Option<HostName>,
}

/// How requests wait while no target can take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The longest that one waits.
    pub span: Duration,
    /// The most that wait at a time; more are refused at once.
    pub most: u32,
}

/// When nothing is sent to a target for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// So large a share of what it was sent has failed, in percent; from 1 to 100.
    pub percent: u32,
    /// Of so many at least; from 1 to 1000.
    pub least: u32,
    /// Within so long.
    pub within: Duration,
    /// For so long, after which one request decides.
    pub out: Duration,
}

/// When a target whose requests fail is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxFails {
    /// So many failures; at least 1.
    pub count: u32,
    /// Within so long.
    pub within: Duration,
    /// For so long, after which it is tried again.
    pub out: Duration,
}
