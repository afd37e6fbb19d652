//! The access log's record of an exchange.

use http::Version;

use super::Exchange;
use super::draft::{AccessDraft, ShownTarget};
use crate::proxy::redirect::path_and_query;
use crate::proxy::validate::Host;
use crate::telemetry::access::AccessRecord;

impl Exchange {
    /// Writes the exchange's record.
    pub(super) fn log(&self, note: &AccessDraft) {
        let course = &self.state;
        let lease = course.lease.borrow();
        // Nearly always the authority that the connection has read last, so this reads nothing again.
        let authority = self.asked.authority().map(|raw| self.connection.authority(Some(raw)));
        let address;
        let host = match authority.as_ref().and_then(|read| read.as_ref().ok()).map(|authority| &authority.host) {
            Some(Host::Name(name)) => name.as_str(),
            Some(host @ Host::Ip(_)) => {
                address = host.to_string();
                &address
            }
            None => "",
        };
        let scheme = match (course.tunnel.get(), self.connection.is_secure()) {
            (true, true) => "wss",
            (true, false) => "ws",
            (false, true) => "https",
            (false, false) => "http",
        };
        self.worker.access.write(&AccessRecord {
            id: self.id(),
            client: self.client,
            method: self.asked.method.as_str(),
            scheme,
            host,
            target: note.shown.as_ref().map_or_else(|| path_and_query(&self.asked.uri), |ShownTarget(target)| target),
            version: version(note.version),
            status: course.status.get(),
            bytes_in: course.bytes_in.get(),
            bytes_out: course.bytes_out.get(),
            duration: note.started.elapsed(),
            upstream: lease.as_ref().map(|lease| lease.member().label()),
            connect: course.connect.get(),
            first_byte: course.first_byte.get(),
            by: if course.by_backend.get() { "backend" } else { "gateway" },
            reason: course.reason.get(),
            close_code: course.close_code.get(),
            referer: note.referer.as_ref().and_then(|value| value.to_str().ok()),
            user_agent: note.user_agent.as_ref().and_then(|value| value.to_str().ok()),
        });
    }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}
