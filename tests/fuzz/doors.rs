//! Where strangers' bytes come in, and what must hold whatever they are. None may panic; beyond that each says what.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use doorward::base::addr::{IpNet, Trusted};
use doorward::base::proxy_header::{self, Progress};
use doorward::config::environment::Environment;
use doorward::config::resolve::from_text;
use doorward::config::{fmt, json};
use doorward::listeners::http2::filter::{Breach, Filter};
use doorward::listeners::http3::control::Uni;
use doorward::listeners::http3::frames::Frames;
use doorward::listeners::http3::message;
use doorward::listeners::http3::qpack::decode::decode;
use doorward::proxy::forward::{self, Framing, HeaderLines, Hop, Peer};
use doorward::proxy::tunnel::framed::parser::{FrameAction, FrameParser, FrameVisitor, Violation};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Version, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control;

/// The language: what is a configuration is still the same one after formatting.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read =
        |text: &str| from_text("fuzz.conf", text, &Environment::default()).map(|resolved| json::document(&resolved.settings));
    let (meant, formatted) = (read(text), fmt::format("fuzz.conf", text));
    if let (Ok(meant), Ok(formatted)) = (meant, formatted) {
        let again = fmt::format("fuzz.conf", &formatted).expect("what was formatted can be formatted");
        assert_eq!(again, formatted, "formatting rests");
        assert_eq!(without_places(&read(&formatted).expect("it still reads")), without_places(&meant));
    }
}

/// Where something stood may change.
fn without_places(document: &str) -> String {
    document.lines().filter(|line| !line.trim_start().starts_with("\"at\":")).collect::<Vec<_>>().join("\n")
}

/// The rules of a gateway: nothing of the hop goes on, and a stranger says nothing of himself.
pub fn headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(200) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..])) {
            headers.append(name, value);
        }
    }
    let value = HeaderValue::from_static;
    let trusted = data.len().is_multiple_of(2);
    let lines = HeaderLines {
        chain: value("192.0.2.1"),
        client: value("192.0.2.1"),
        proto: value("https"),
        port: value("443"),
        host: value("a.test"),
        forwarded: value("for=192.0.2.1"),
        id: value("1"),
        peer: if trusted { Peer::Proxy { client: [192, 0, 2, 1].into(), is_secure: true } } else { Peer::Untrusted },
    };
    let hosts = headers.get_all(header::HOST).iter().count().max(1);
    forward::towards_backend(&mut headers, lines, Version::HTTP_11, Framing::AsSent, Hop::Ends);
    for gone in ["connection", "upgrade", "transfer-encoding", "keep-alive", "proxy-connection", "http2-settings"] {
        assert!(!headers.contains_key(gone), "{gone} goes on: {headers:?}");
    }
    assert!(headers.get(header::TE).is_none_or(|te| te == "trailers"));
    let reads_as = |name: &str| name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let spoofs = |name: &&str| {
        *name != reads_as(name) && (headers.contains_key(reads_as(name)) || reads_as(name).starts_with("x-forwarded-"))
    };
    assert_eq!(headers.keys().map(HeaderName::as_str).find(spoofs), None, "{headers:?}");
    assert_eq!(headers.get_all(header::HOST).iter().count(), hosts);
    assert_eq!(headers.get_all("x-real-ip").iter().collect::<Vec<_>>(), ["192.0.2.1"]);
    for fact in ["cf-connecting-ip", "client-ip"] {
        assert!(headers.get_all(fact).iter().all(|said| trusted && said == "192.0.2.1"), "{headers:?}");
    }
    if !trusted {
        for (name, said) in [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.1")] {
            assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [said], "{name}");
        }
    }
    forward::towards_client(&mut headers, Version::HTTP_11, Hop::Ends);
}

/// Lets everything pass.
struct Lenient;

impl FrameVisitor for Lenient {
    fn data(&mut self, _payload: u64, _message: u64, _first: bool) -> Result<FrameAction, Violation> {
        Ok(FrameAction::Pass)
    }

    fn control(&mut self, _kind: Control, _payload: &[u8]) -> Result<FrameAction, Violation> {
        Ok(FrameAction::Pass)
    }
}

/// A WebSocket's frames: the same bytes pass, however they are cut into pieces, and nothing is made up.
pub fn walker(data: &[u8]) {
    let Some((size, frames)) = data.split_first() else { return };
    let walk = |piece: usize| {
        let (mut walker, mut passed, mut verdict) = (FrameParser::default(), Vec::new(), Ok(()));
        for chunk in frames.chunks(piece) {
            verdict = walker.walk(chunk, &mut Lenient, |bytes| passed.extend_from_slice(bytes));
            if verdict.is_err() {
                break;
            }
        }
        (passed, verdict)
    };
    let whole = walk(frames.len().max(1));
    assert!(frames.starts_with(&whole.0));
    assert_eq!(walk(usize::from(*size).max(1)), whole);
}

/// `X-Forwarded-For`, from right to left: whoever is believed was named by somebody who is.
pub fn forwarded(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network"), "2001:db8::/32".parse().expect("a network")];
    let trusts = |ip: &IpAddr| proxies.iter().any(|net| net.contains(ip));
    let stranger = SocketAddr::from(([192, 0, 2, 1], 1));
    let hops = || text.rsplit(',').map(str::trim).filter(|hop| !hop.is_empty());
    let client = Trusted::from_forwarded(stranger, hops(), &proxies).get();
    assert_eq!(client, stranger.ip(), "a stranger is himself");
    let proxy = SocketAddr::from(([10, 0, 0, 1], 1));
    let client = Trusted::from_forwarded(proxy, hops(), &proxies).get();
    assert!(client == proxy.ip() || trusts(&client) || text.len() >= 2);
}

/// The PROXY protocol: a header is read whole or wants so many more bytes, and never too many.
pub fn proxy_header(data: &[u8]) {
    let mut end = 0;
    while let Ok(Progress::More(more)) = proxy_header::read(&data[..end]) {
        assert!(more > 0 && end + more <= proxy_header::MAX_HEADER, "{more} more behind {end}");
        end += more;
        if end > data.len() {
            return;
        }
    }
}

/// QPACK, and the request it makes: as long as it may be, and no field that HTTP/1.1 would read as two.
pub fn qpack(data: &[u8]) {
    const LIMIT: usize = 1 << 16;
    let Ok(section) = decode(data, LIMIT) else { return };
    let length: usize = section.fields().map(|field| field.name().len() + field.value().len()).sum();
    assert!(length <= LIMIT);
    if let Ok(request) = message::request(&section) {
        for (name, value) in request.headers() {
            assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}: {value:?}");
        }
        assert!(!request.uri().to_string().contains([' ', '\r', '\n', '\0']), "{}", request.uri());
    }
    let _ = message::trailers(&section);
}

/// HTTP/3's frames: the same, however they are cut into pieces.
pub fn http3(data: &[u8]) {
    let Some((size, frames)) = data.split_first() else { return };
    let read = |piece: usize| {
        let (mut reader, mut said) = (Frames::new(1 << 12), String::new());
        for chunk in frames.chunks(piece) {
            let mut input = Bytes::copy_from_slice(chunk);
            loop {
                match reader.next(&mut input) {
                    Ok(Some(piece)) => said.push_str(&shown(&piece)),
                    Ok(None) => break,
                    Err(error) => return format!("{said}{error}"),
                }
            }
        }
        said + if reader.may_end() { "." } else { "?" }
    };
    assert_eq!(read(usize::from(*size).max(1)), read(frames.len().max(1)));
    let (mut whole, mut cut) = (Uni::default(), Uni::default());
    let pieces = frames.chunks(usize::from(*size).max(1)).try_for_each(|chunk| cut.read(chunk));
    assert_eq!(format!("{:?}", whole.read(frames)), format!("{pieces:?}"));
}

/// The frames of HTTP/2 behind the opening: they mean the same however they are cut, and what was written anew is sound.
pub fn http2(data: &[u8]) {
    let Some((size, frames)) = data.split_first() else { return };
    let read = |bytes: &[u8], piece: usize| {
        let (mut filter, mut all) = (Filter::new(1 << 12), Vec::new());
        let opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        filter.read(opening, &mut Vec::new())?;
        for chunk in bytes.chunks(piece) {
            let mut out = Vec::new();
            let kept = filter.read(chunk, &mut out)?;
            all.extend_from_slice(&chunk[..kept]);
            all.extend_from_slice(&out);
        }
        Ok::<_, Breach>(all)
    };
    let whole = read(frames, frames.len().max(1));
    assert_eq!(read(frames, usize::from(*size).max(1)), whole);
    if let Ok(all) = whole
        && !all.windows(10).any(|bytes| bytes == b"connection")
    {
        assert_eq!(read(&all, all.len().max(1)).as_ref(), Ok(&all), "a second look changes nothing");
    }
}

/// Sections whole; of the body the bytes, since it may come in any pieces.
fn shown(piece: &doorward::listeners::http3::frames::Piece) -> String {
    use doorward::listeners::http3::frames::Piece;
    match piece {
        Piece::Section(section) => format!("[{}]", section.escape_ascii()),
        Piece::Data(data) => data.escape_ascii().to_string(),
    }
}
