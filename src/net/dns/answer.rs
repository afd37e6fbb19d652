//! What an answer says. Pure.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::error::DnsError;
use super::kind::Kind;
use super::name::text;

/// Longest row of aliases that is followed.
pub(super) const MAX_ALIASES: usize = 8;

/// A server's answer to a question: that there is something, or that there is nothing.
pub(super) struct Answer {
    server: SocketAddr,
    message: Message,
}

impl Answer {
    /// Refuses what is no answer, so that another server is asked.
    pub(super) fn new(server: SocketAddr, message: Message, name: &Name, kind: Kind) -> Result<Self, DnsError> {
        match message.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(Self { server, message }),
            code => Err(DnsError::ServerFailed { name: text(name), kind, server, code: in_words(code) }),
        }
    }

    /// The records of `kind` at the end of the aliases that start at `name`; never empty.
    pub(super) fn records<T>(
        &self,
        name: &Name,
        kind: Kind,
        recursion: bool,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, DnsError> {
        let mut owner = name;
        for _ in 0..=MAX_ALIASES {
            let found: Vec<T> = self.at(owner, kind.record_type()).filter_map(&read).collect();
            if !found.is_empty() {
                return Ok(found);
            }
            match self.at(owner, RecordType::CNAME).next() {
                Some(RData::CNAME(target)) => owner = &target.0,
                _ => return Err(self.nothing(owner, name, kind, recursion)),
            }
        }
        Err(DnsError::Aliases { name: text(name) })
    }

    /// How long all of it is so: the records and the aliases that lead to them.
    pub(super) fn ttl(&self) -> Duration {
        Duration::from_secs(self.message.answers.iter().map(|record| record.ttl).min().unwrap_or(0).into())
    }

    /// The zone that `name` lies in, if this answer to a question for its SOA tells: the SOA itself, or the one that goes
    /// with a negative answer (RFC 2308 section 3).
    pub(super) fn apex(&self, name: &Name) -> Option<String> {
        let soa = |record: &&hickory_proto::rr::Record| record.record_type() == RecordType::SOA;
        if let Some(own) = self.message.answers.iter().find(|record| soa(record) && record.name == *name) {
            return Some(text(&own.name));
        }
        // Beside an alias, it would be the SOA of what the alias leads to.
        let negative = self.message.answers.is_empty();
        let above = self.message.authorities.iter().find(|record| soa(record) && record.name.zone_of(name))?;
        negative.then(|| text(&above.name))
    }

    fn at(&self, owner: &Name, kind: RecordType) -> impl Iterator<Item = &RData> {
        self.message
            .answers
            .iter()
            .filter(move |record| record.name == *owner && record.record_type() == kind)
            .map(|one| &one.data)
    }

    fn nothing(&self, owner: &Name, asked: &Name, kind: Kind, recursion: bool) -> DnsError {
        let (server, name) = (self.server, text(owner));
        if self.message.metadata.response_code == ResponseCode::NXDomain {
            return DnsError::NoSuchName { name, server };
        }
        match recursion || self.message.metadata.authoritative || owner != asked {
            true => DnsError::NoSuchRecord { name, kind, server },
            false => DnsError::NotResponsible { name, server },
        }
    }
}

/// A refusal as the field calls it, and what it means.
pub(super) fn in_words(code: ResponseCode) -> String {
    let (name, meaning) = match code {
        ResponseCode::FormErr => ("FORMERR", "it could not read the message"),
        ResponseCode::ServFail => ("SERVFAIL", "it failed, or found the zone's signatures wrong"),
        ResponseCode::NotImp => ("NOTIMP", "it cannot do this"),
        ResponseCode::Refused => ("REFUSED", "it does not serve us, or not this zone"),
        ResponseCode::NotAuth => ("NOTAUTH", "it is not in charge of the zone, or does not know the key"),
        ResponseCode::NotZone => ("NOTZONE", "the name is not in the zone"),
        other => return format!("{} ({})", u16::from(other), other.to_str()),
    };
    format!("{name} ({meaning})")
}
