use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::hpack::Found;
use super::*;
use crate::base::rng::Rng;
use crate::listeners::field::{Judgement, Kind};
use crate::listeners::http3::qpack::integer;
use crate::listeners::write_coalescer::{Gathered, WriteCoalescer};

/// What a client says first.
fn opening() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    Head { length: 0, kind: SETTINGS, flags: 0, stream: 0 }.write(&mut bytes);
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Head { length: payload.len(), kind, flags, stream }.write(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// All that comes out, when `bytes` come in pieces of `step`.
fn pass(bytes: &[u8], step: usize) -> Result<Vec<u8>, Breach> {
    let mut filter = Filter::new(1_000);
    let mut all = Vec::new();
    for piece in bytes.chunks(step) {
        let mut out = Vec::new();
        let kept = filter.read(piece, &mut out)?;
        all.extend_from_slice(&piece[..kept]);
        all.extend_from_slice(&out);
    }
    Ok(all)
}

const GET: &[u8] = b"\x82\x87\x84\x41\x01a";

#[test]
fn sound_frames_pass_as_they_are_however_they_are_cut() {
    let padded = [&[2, 0x80, 0, 0, 0, 9][..], GET, &[0, 0]].concat();
    let stream = [
        opening(),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, GET),
        frame(0, 1, 3, b"data that looks like nothing"),
        frame(HEADERS, PADDED | PRIORITY, 3, &padded),
        frame(CONTINUATION, 0, 3, b"\x40\x01"),
        frame(CONTINUATION, END_HEADERS, 3, b"a\x01b"),
        frame(6, 0, 0, b"12345678"),
    ]
    .concat();
    for step in [1, 2, 7, 9, 30, 10_000] {
        assert_eq!(pass(&stream, step).unwrap(), stream, "in pieces of {step}");
    }
}

#[test]
fn a_malformed_block_is_written_anew_in_its_place_however_it_is_cut() {
    let (before, behind) = (frame(6, 0, 0, b"12345678"), frame(0, 1, 1, b"body"));
    let block = [GET, b"\x00\x01A\x01b\x00\x02x-\x01c"].concat();
    let stream = [opening(), before.clone(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &block), behind.clone()].concat();
    let anew = [GET, b"\x00\x02xx\x00\x00\x02x-\x01c"].concat();
    let expected = [opening(), before, frame(HEADERS, END_HEADERS | END_STREAM, 1, &anew), behind].concat();
    for step in [1, 2, 7, 9, 30, 10_000] {
        assert_eq!(pass(&stream, step).unwrap(), expected, "in pieces of {step}");
    }
    // Trailers are not answered: h2 resets their stream.
    let request = frame(HEADERS, END_HEADERS, 1, GET);
    let trailers = [opening(), request.clone(), frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x01A\x01b")].concat();
    let anew = [b"\x00\x02xx\x00", RESETTING].concat();
    let expected = [opening(), request, frame(HEADERS, END_HEADERS | END_STREAM, 1, &anew)].concat();
    assert_eq!(pass(&trailers, 1_000).unwrap(), expected);
}

/// h2spec 8.1.2.1: h2 alone would drop the pseudo-header field and take the request for whole.
#[test]
fn trailers_with_a_pseudo_header_field_are_reset() {
    let request = frame(HEADERS, END_HEADERS, 1, GET);
    // A literal, an index of the static table, and an unknown one.
    for block in [&b"\x00\x05:path\x01/"[..], b"\x84", b"\x00\x02:x\x01y"] {
        let trailers = [opening(), request.clone(), frame(HEADERS, END_HEADERS | END_STREAM, 1, block)].concat();
        let seen = pass(&trailers, 1_000).unwrap();
        assert!(seen.ends_with(RESETTING), "{}", block.escape_ascii());
    }
    let sound = [opening(), request, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x01a\x01b")].concat();
    assert_eq!(pass(&sound, 1_000).unwrap(), sound);
}

#[test]
fn a_connection_that_begins_otherwise_is_a_breach() {
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (what, bytes) in [
        ("a preface of HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a ping first", [PREFACE, &frame(6, 0, 0, b"12345678"), &settings].concat()),
        ("a request first", [PREFACE, &frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)].concat()),
        ("an acknowledgement first", [PREFACE, &frame(SETTINGS, ACK, 0, &[])].concat()),
        ("settings of a stream", [PREFACE, &frame(SETTINGS, 0, 1, &[])].concat()),
    ] {
        for step in [1, 10_000] {
            assert_eq!(pass(&bytes, step), Err(Breach::Preface), "{what}");
        }
    }
    assert_eq!(pass(&[opening(), frame(HEADERS, END_HEADERS, 1, b"\xbe")].concat(), 5), Err(Breach::Compression));
}

#[test]
fn a_block_is_bounded_in_bytes_and_frames() {
    let begun = [opening(), frame(HEADERS, 0, 1, GET)].concat();
    let large = [&begun[..], &frame(CONTINUATION, 0, 1, &[b'x'; MAX_PAYLOAD]).repeat(3)].concat();
    assert_eq!(pass(&large, 1_000), Err(Breach::FloodGuard));
    assert_eq!(pass(&[&begun[..], &frame(CONTINUATION, 0, 1, &[]).repeat(50)].concat(), 7), Err(Breach::FloodGuard));
    // Behind a frame that ends the connection nothing is looked at.
    let over = [&begun[..], &frame(0, 0, 1, b"x"), &frame(HEADERS, END_HEADERS, 3, b"\xbe")].concat();
    assert_eq!(pass(&over, 10_000).unwrap(), over);
}

#[test]
fn what_was_found_is_told_once_and_kept_for_few() {
    let mut filter = Filter::new(1_000);
    let bad = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &[GET, b"\x00\x01A\x01b"].concat());
    filter.read(&[opening(), bad(1), bad(3), bad(5)].concat(), &mut Vec::new()).unwrap();
    assert!(filter.take(3).is_some_and(|found| found.wrong.is_some()));
    assert_eq!((filter.take(1), filter.take(3), filter.take(7)), (None, None, None));
    let more: Vec<u8> = (0..=MAX_FOUND).flat_map(|number| bad(101 + 2 * u32::try_from(number).unwrap())).collect();
    assert_eq!(filter.read(&more, &mut Vec::new()), Err(Breach::FloodGuard));
}

/// A client's side of the compression, which writes what no library does.
struct Writer {
    rng: Rng,
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    limit: usize,
}

impl Writer {
    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.rng.below(bound)).unwrap()
    }

    fn one_of<'a>(&mut self, texts: &[&'a [u8]]) -> &'a [u8] {
        texts[self.below(texts.len() as u64)]
    }

    fn resize(&mut self, out: &mut Vec<u8>) {
        self.limit = [0, 40, 100, 200, 4096][self.below(5)];
        integer::write(self.limit, 5, 0x20, out);
        self.evict();
    }

    fn evict(&mut self) {
        while self.table.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>() > self.limit {
            self.table.pop_back();
        }
    }

    /// A field in one of the ways in which it can be written.
    fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let whole = self.table.iter().position(|entry| entry.0 == name && entry.1 == value);
        if let Some(at) = whole.filter(|_| self.rng.below(4) > 0) {
            return integer::write(at + 62, 7, 0x80, out);
        }
        let (bits, flags) = [(6, 0x40), (6, 0x40), (4, 0), (4, 0x10)][self.below(4)];
        let named = self.table.iter().position(|entry| entry.0 == name).filter(|_| self.rng.below(4) > 0);
        integer::write(named.map_or(0, |at| at + 62), bits, flags, out);
        if named.is_none() {
            integer::write(name.len(), 7, 0, out);
            out.extend_from_slice(name);
        }
        integer::write(value.len(), 7, 0, out);
        out.extend_from_slice(value);
        if flags == 0x40 {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.evict();
        }
    }
}

/// What the request layer is to see of a request.
#[derive(Debug)]
struct Expected {
    target: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    is_wrong: bool,
}

/// A random request: its block, and what it means.
fn request(writer: &mut Writer) -> (Vec<u8>, Expected) {
    let mut block = Vec::new();
    if writer.below(5) == 0 {
        writer.resize(&mut block);
    }
    let path = writer.one_of(&[b"/", b"/a?b=c", b"/caf\xe9", b"/a<b", b"/with a blank", b"/\x01", "/caf\u{e9}".as_bytes()]);
    let method = writer.one_of(&[b"GET", b"GET", b"POST", b"M-SEARCH", b"G ET", b"\xff"]);
    let mut fields: Vec<(&[u8], &[u8])> =
        vec![(b":method", method), (b":scheme", b"https"), (b":authority", b"a.test"), (b":path", path)];
    for _ in 0..writer.below(6) {
        let name = writer.one_of(&[b"x-a", b"x-b", b"cookie", b"accept", b"X-Bad", b"x b", b"connection", b"te", b""]);
        let value = writer.one_of(&[b"ok", b"a b", b"\xe9", b"trailers", b"a\x01", b" lead", b"trail\t", &[b'v'; 70], b"z"]);
        fields.push((name, value));
    }
    let mut expected = Expected { target: String::new(), fields: Vec::new(), is_wrong: false };
    for (name, value) in fields {
        writer.field(name, value, &mut block);
        let judgement = Kind::of(name).judge(value);
        expected.is_wrong |= matches!(judgement, Judgement::Wrong(_) | Judgement::Target(..));
        if name == b":path" {
            expected.target = match &judgement {
                Judgement::Encoded(target) => target.to_string(),
                _ => String::from_utf8_lossy(value).into_owned(),
            };
        } else if !name.starts_with(b":") {
            expected.fields.push((name.to_vec(), value.to_vec()));
        }
    }
    expected.fields.sort();
    (block, expected)
}

/// In one frame or several, with padding or without.
fn in_frames(writer: &mut Writer, stream: u32, block: &[u8]) -> Vec<u8> {
    let cut = writer.below(block.len() as u64 + 1);
    let (first, rest) = if writer.below(3) == 0 { block.split_at(cut) } else { (block, &[][..]) };
    let mut flags = END_STREAM | if rest.is_empty() { END_HEADERS } else { 0 };
    let mut payload = first.to_vec();
    if writer.below(3) == 0 {
        flags |= PRIORITY;
        payload.splice(0..0, [0, 0, 0, 0, 5]);
    }
    if writer.below(3) == 0 {
        flags |= PADDED;
        payload.insert(0, 3);
        payload.extend_from_slice(&[0; 3]);
    }
    let mut bytes = frame(HEADERS, flags, stream, &payload);
    if !rest.is_empty() {
        bytes.extend(frame(CONTINUATION, END_HEADERS, stream, rest));
    }
    bytes
}

/// Serves a connection over the filter, and gives each request to `see` with what was found of it.
async fn serve(
    io: tokio::io::DuplexStream,
    mut see: impl FnMut(Request<h2::RecvStream>, u32, Option<Found>),
) -> Result<(), h2::Error> {
    let io = WriteCoalescer::new(io, 100_000);
    let seen = io.clone();
    let admit = |request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>| {
        let stream = request.body().stream_id().as_u32();
        see(request, stream, seen.found(stream));
        let _gone = respond.send_response(http::Response::new(()), true);
    };
    let serving = super::super::Serving::new(h2::server::Builder::new().max_header_list_size(100_000), io.clone(), admit);
    Gathered::new(serving, io).await.unwrap_or(Ok(()))
}

/// Writes `bytes` and reads until that many streams were answered or reset.
async fn talk(mut io: tokio::io::DuplexStream, bytes: &[u8], streams: usize) {
    io.write_all(bytes).await.unwrap();
    let mut over = std::collections::BTreeSet::new();
    while over.len() < streams {
        let mut head = [0; HEAD];
        io.read_exact(&mut head).await.unwrap();
        let head = Head::read(&head).unwrap();
        io.read_exact(&mut vec![0; head.length]).await.unwrap();
        assert_ne!(head.kind, 7, "GOAWAY");
        if matches!(head.kind, HEADERS | 3) {
            over.insert(head.stream);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn no_field_is_an_error_of_the_connection_and_the_tables_stay_alike() {
    for seed in 0..40 {
        let mut writer = Writer { rng: Rng::seeded(seed), table: VecDeque::new(), limit: 4096 };
        let mut expected = Vec::new();
        let mut bytes = opening();
        for number in 0..100_u32 {
            let (block, request) = request(&mut writer);
            bytes.extend(in_frames(&mut writer, 1 + 2 * number, &block));
            expected.push(request);
        }
        let (near, far) = tokio::io::duplex(1 << 20);
        let mut seen = 0;
        let served = serve(near, |request, stream, found| {
            let expected = &expected[usize::try_from(stream / 2).unwrap()];
            seen += 1;
            let found = found.unwrap_or_default();
            assert_eq!(found.wrong.is_some(), expected.is_wrong, "seed {seed}: {expected:?}");
            if expected.is_wrong {
                return;
            }
            let target = found.target.as_deref().unwrap_or_else(|| request.uri().path_and_query().unwrap().as_str());
            assert_eq!(target, expected.target, "seed {seed}");
            let mut fields: Vec<_> =
                request.headers().iter().map(|(n, v)| (n.as_str().as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
            fields.sort();
            assert_eq!(fields, expected.fields, "seed {seed}");
        });
        tokio::select! {
            served = served => panic!("seed {seed}: {served:?}"),
            () = talk(far, &bytes, 100) => (),
        }
        // Only a request without its method or its scheme is reset by h2 itself.
        assert!(seen > 90, "seed {seed}: {seen}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_h2_crate_writes_passes_as_it_is() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let mut rng = Rng::seeded(7);
    let sent: Vec<HeaderMap> = (0..300)
        .map(|_| {
            let mut headers = HeaderMap::new();
            for _ in 0..rng.below(8) {
                let name =
                    ["x-a", "x-b", "cookie", "user-agent", "authorization", "te-st"][usize::try_from(rng.below(6)).unwrap()];
                let length = usize::try_from(rng.below(200)).unwrap();
                let text: String = (0..length).map(|_| char::from(b'!' + u8::try_from(rng.below(90)).unwrap())).collect();
                let mut value = HeaderValue::try_from(text).unwrap();
                value.set_sensitive(rng.below(5) == 0);
                headers.append(name, value);
            }
            headers
        })
        .collect();
    let mut seen = Vec::new();
    let served = serve(near, |request, _, found| {
        assert_eq!(found, None);
        seen.push(request.headers().clone());
    });
    let talk = async {
        let (mut client, connection) = h2::client::Builder::new().handshake::<_, Bytes>(far).await.unwrap();
        let asking = async {
            for headers in &sent {
                let mut request = Request::get("https://a.test/x?y").body(()).unwrap();
                *request.headers_mut() = headers.clone();
                client = client.ready().await.unwrap();
                drop(client.send_request(request, true).unwrap().0.await);
            }
        };
        tokio::select! {
            ended = connection => panic!("{ended:?}"),
            () = asking => (),
        }
    };
    tokio::select! {
        served = served => panic!("{served:?}"),
        () = talk => (),
    }
    assert_eq!(seen, sent);
}
