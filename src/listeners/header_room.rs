//! How large a header may be before a protocol refuses it by itself. Pure.

use crate::config::settings::GatewayLimits;

/// What a header section may take before a protocol refuses it by itself, in bytes: a quarter more than the limit, so that
/// what is a little too long is read, and refused by `proxy` with a page and a line that names the limit.
pub(super) fn room_for_header(limits: &GatewayLimits) -> usize {
    limits.header_size.bytes() + limits.header_size.bytes() / 4
}

/// The same for HTTP/2 and HTTP/3, which count `FIELD_OVERHEAD` for each field beyond its texts: what HTTP/1.1 takes is not
/// too much for them.
pub(super) fn room_for_section(limits: &GatewayLimits) -> usize {
    let fields = count(limits.header_count).saturating_add(count(limits.header_count) / 4).saturating_add(MAX_CRUMBS);
    room_for_header(limits).saturating_add(fields.saturating_mul(FIELD_OVERHEAD))
}

/// What a field costs beyond its texts (RFC 9113 section 6.5.2, RFC 9114 section 4.2.2), in bytes.
const FIELD_OVERHEAD: usize = 32;
/// Cookies that are fields of their own (RFC 9113 section 8.2.3), for which room is left: more than a browser keeps for a site.
const MAX_CRUMBS: usize = 256;

/// A number of fields.
pub(super) fn count(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
