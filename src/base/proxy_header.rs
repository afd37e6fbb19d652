//! The PROXY protocol's header, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2020): what a balancer that passes
//! bytes on says of the connection it took. Pure: bytes in, addresses out, and the other way round.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addr::unmapped_socket;

/// The two ends of a client's connection, as whoever took it saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Where the client is.
    pub client: SocketAddr,
    /// Where it connected to.
    pub server: SocketAddr,
}

/// How far a header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many more bytes belong to it, at least.
    More(usize),
    /// It ends with the last byte. `None` means the connection as it is: a health check of the balancer's own, or an
    /// address that is not of TCP.
    Whole(Option<Ends>),
}

/// Why bytes are no header. What may be said to whoever runs the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// They begin like something else.
    #[error("it began without a PROXY protocol header")]
    Missing,
    /// The line of version 1 is not one.
    #[error("its PROXY protocol line is not of version 1's form")]
    Line,
    /// The addresses of version 2 are cut short, or version or command are unknown.
    #[error("its PROXY protocol header is not of version 2's form")]
    Binary,
    /// Longer than is sane.
    #[error("its PROXY protocol header is longer than {MAX_HEADER} bytes")]
    TooLong,
}

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// Longest line of version 1, its end included.
const MAX_V1_LINE: usize = 107;
/// The fixed part of version 2.
const FIXED: usize = 16;
/// Longest header taken. Balancers add a certificate's name or a cloud's endpoint id, some hundred bytes.
pub const MAX_HEADER: usize = 2048;

/// Looks at the bytes that came so far.
///
/// # Errors
/// [`BadHeader`] as soon as they can be no header.
pub fn read(bytes: &[u8]) -> Result<Progress, BadHeader> {
    // Both forms are longer than this.
    if bytes.len() < SIGNATURE.len() {
        return Ok(Progress::More(SIGNATURE.len() - bytes.len()));
    }
    if bytes.starts_with(SIGNATURE) {
        binary(bytes)
    } else if bytes.starts_with(WORD) {
        line(bytes)
    } else {
        Err(BadHeader::Missing)
    }
}

fn line(bytes: &[u8]) -> Result<Progress, BadHeader> {
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let over = bytes.len() >= MAX_V1_LINE || bytes.contains(&b'\n');
        return if over { Err(BadHeader::Line) } else { Ok(Progress::More(1)) };
    };
    let text = std::str::from_utf8(&line[WORD.len()..]).map_err(|_| BadHeader::Line)?;
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["UNKNOWN", ..] => Ok(Progress::Whole(None)),
        [family, from, to, from_port, to_port] => {
            let end = |ip: &str, port: &str| {
                let ip = match *family {
                    "TCP4" => IpAddr::V4(ip.parse().ok()?),
                    "TCP6" => IpAddr::V6(ip.parse().ok()?),
                    _ => return None,
                };
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| port.parse().ok()).flatten().map(|port| unmapped_socket(SocketAddr::new(ip, port)))
            };
            let ends = end(from, from_port).zip(end(to, to_port)).ok_or(BadHeader::Line)?;
            Ok(Progress::Whole(Some(Ends { client: ends.0, server: ends.1 })))
        }
        _ => Err(BadHeader::Line),
    }
}

fn binary(bytes: &[u8]) -> Result<Progress, BadHeader> {
    let Some(fixed) = bytes.get(SIGNATURE.len()..FIXED) else { return Ok(Progress::More(FIXED - bytes.len())) };
    let whole = FIXED + usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let local = match fixed[0] {
        0x20 => true,
        0x21 => false,
        _ => return Err(BadHeader::Binary),
    };
    if whole > MAX_HEADER {
        return Err(BadHeader::TooLong);
    }
    if bytes.len() < whole {
        return Ok(Progress::More(whole - bytes.len()));
    }
    if local {
        return Ok(Progress::Whole(None));
    }
    let rest = &bytes[FIXED..whole];
    match fixed[1] {
        0x11 => addresses::<4>(rest).map(|ends| Progress::Whole(Some(ends))),
        0x21 => addresses::<16>(rest).map(|ends| Progress::Whole(Some(ends))),
        _ => Ok(Progress::Whole(None)),
    }
}

/// Two addresses of `N` bytes and two ports; what follows are additions, which nobody here asks about.
fn addresses<const N: usize>(bytes: &[u8]) -> Result<Ends, BadHeader>
where
    IpAddr: From<[u8; N]>,
{
    let ip = |at: usize| bytes.get(at..at + N).and_then(|part| <[u8; N]>::try_from(part).ok()).map(IpAddr::from);
    let port = |at: usize| bytes.get(at..at + 2).map(|part| u16::from_be_bytes([part[0], part[1]]));
    let end = |ip_at, port_at| ip(ip_at).zip(port(port_at)).map(|(ip, port)| unmapped_socket(SocketAddr::new(ip, port)));
    let ends = end(0, 2 * N).zip(end(N, 2 * N + 2)).ok_or(BadHeader::Binary)?;
    Ok(Ends { client: ends.0, server: ends.1 })
}

/// A header of version 1. Without ends it says that the connection is our own.
pub fn line_for(ends: Option<&Ends>) -> Vec<u8> {
    let Some(Ends { client, server }) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let (family, from, to) = match (client.ip(), server.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ("TCP4", from.to_string(), to.to_string()),
        (from, to) => ("TCP6", mapped(from).to_string(), mapped(to).to_string()),
    };
    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), server.port()).into_bytes()
}

/// A header of version 2. Without ends it says that the connection is our own.
pub fn binary_for(ends: Option<&Ends>) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    let Some(Ends { client, server }) = ends else {
        bytes.extend([0x20, 0, 0, 0]);
        return bytes;
    };
    match (client.ip(), server.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x21, 0x11, 0, 12]);
            bytes.extend(from.octets().into_iter().chain(to.octets()));
        }
        (from, to) => {
            bytes.extend([0x21, 0x21, 0, 36]);
            bytes.extend(mapped(from).octets().into_iter().chain(mapped(to).octets()));
        }
    }
    bytes.extend(client.port().to_be_bytes().into_iter().chain(server.port().to_be_bytes()));
    bytes
}

/// Two ends of different families are both written in the wider one.
const fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::to_ipv6_mapped(&ip),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(client: &str, server: &str) -> Ends {
        Ends { client: client.parse().unwrap(), server: server.parse().unwrap() }
    }

    /// Reads as a connection is read: never more than what certainly belongs to the header.
    fn read_all(bytes: &[u8]) -> Result<(Option<Ends>, usize), BadHeader> {
        let mut taken = 0;
        loop {
            match read(&bytes[..taken])? {
                Progress::More(more) => taken = (taken + more).min(bytes.len().max(taken + 1)),
                Progress::Whole(ends) => return Ok((ends, taken)),
            }
            assert!(taken <= bytes.len(), "it asks for more than there is");
        }
    }

    #[test]
    fn what_is_written_is_read_to_its_last_byte_and_no_further() {
        let v4 = ends("192.0.2.1:4711", "198.51.100.2:443");
        let v6 = ends("[2001:db8::1]:4711", "[2001:db8::2]:443");
        for (written, expected) in [
            (line_for(Some(&v4)), Some(v4)),
            (line_for(Some(&v6)), Some(v6)),
            (line_for(None), None),
            (binary_for(Some(&v4)), Some(v4)),
            (binary_for(Some(&v6)), Some(v6)),
            (binary_for(None), None),
        ] {
            let length = written.len();
            let behind = [written, b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat();
            assert_eq!(read_all(&behind), Ok((expected, length)));
        }
    }

    #[test]
    fn the_headers_of_the_specification_are_written() {
        let v4 = ends("192.0.2.1:4711", "198.51.100.2:443");
        assert_eq!(line_for(Some(&v4)), b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n");
        let expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\x01\xbb";
        assert_eq!(binary_for(Some(&v4)), expected);
        let mixed = ends("192.0.2.1:4711", "[2001:db8::2]:443");
        assert_eq!(line_for(Some(&mixed)), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4711 443\r\n");
        assert_eq!(read_all(&binary_for(Some(&mixed))), Ok((Some(mixed), 52)));
    }

    #[test]
    fn additions_are_passed_over_and_other_families_mean_the_connection_itself() {
        let v2 = |command: u8, family: u8, rest: &[u8]| {
            let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
            [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
        };
        let addresses = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x67, 1, 187];
        let with_additions = [addresses.as_slice(), &[4, 0, 1, 0]].concat();
        let v4 = ends("192.0.2.1:4711", "198.51.100.2:443");
        assert_eq!(read_all(&v2(0x21, 0x11, &with_additions)), Ok((Some(v4), 32)));
        assert_eq!(read_all(&v2(0x21, 0x31, &[0; 216])), Ok((None, 232)));
        assert_eq!(read_all(&v2(0x21, 0, &[])), Ok((None, 16)));
        assert_eq!(read_all(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), Ok((None, 35)));
        assert_eq!(read_all(&v2(0x21, 0x11, &addresses[..11])), Err(BadHeader::Binary));
        assert_eq!(read_all(&v2(0x31, 0x11, &addresses)), Err(BadHeader::Binary));
        assert_eq!(read_all(&v2(0x22, 0x11, &addresses)), Err(BadHeader::Binary));
        assert_eq!(read_all(&v2(0x21, 0x11, &[0; 2033])), Err(BadHeader::TooLong));
    }

    #[test]
    fn what_is_no_header_is_refused_as_early_as_possible() {
        let check = |text: &[u8], expected| assert_eq!(read_all(text), Err(expected), "for {}", text.escape_ascii());
        check(b"GET / HTTP/1.1\r\n", BadHeader::Missing);
        check(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0", BadHeader::Missing);
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 99999\r\n", BadHeader::Line);
        check(b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", BadHeader::Line);
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", BadHeader::Line);
        check(b"PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n", BadHeader::Line);
        check(b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", BadHeader::Line);
        check(b"PROXY TCP4 192.0.2.1\n198.51.100.2", BadHeader::Line);
        check(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(), BadHeader::Line);
    }
}
