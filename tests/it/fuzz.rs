//! The fuzz targets of `tests/fuzz/`, driven by a seed on stable Rust: sound inputs, broken by chance, thousands of times.

use std::fs;

use doorward::base::rng::Rng;

use crate::support::example::Example;
use crate::support::h2_frames::integer;

#[path = "../fuzz/doors.rs"]
mod doors;

/// Breaks one of `sound` so often, and hands each to `door`; a panic tells with which bytes.
fn drive(door: fn(&[u8]), sound: &[Vec<u8>], cases: u32) {
    let mut rng = Rng::seeded(20_261_121);
    let mut below = |most: usize| usize::try_from(rng.below(most.max(1) as u64)).unwrap();
    for bytes in sound {
        door(bytes);
    }
    for case in 0..cases {
        let mut bytes = sound[below(sound.len())].clone();
        for _ in 0..=below(6) {
            let at = below(bytes.len());
            match below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at, below(256) as u8),
                3 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                4 => {
                    let other = &sound[below(sound.len())];
                    let from = below(other.len());
                    let piece = other[from..].iter().take(1 + below(40)).copied();
                    drop(bytes.splice(at..at, piece));
                }
                _ if at < bytes.len() => bytes[at] = [0, 0x7f, 0x80, 0xff, b'\n', b'{', b'}', b'"'][below(8)],
                _ => (),
            }
        }
        let outcome = std::panic::catch_unwind(|| door(&bytes));
        assert!(outcome.is_ok(), "case {case}: {}", bytes.escape_ascii());
    }
}

#[test]
fn the_configuration_language_survives_chance() {
    let files = fs::read_dir(Example::folder()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let everything = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/json/everything.conf")).unwrap();
    let sound: Vec<_> = files.chain([everything]).collect();
    drive(doors::config, &sound, 1_500);
}

#[test]
fn header_rules_survive_chance() {
    let sound = [
        "connection: close, x-a\nx-a: b\nte: trailers, gzip\nx-forwarded-for: 1.2.3.4\nforwarded: for=1.2.3.4\nvia: 1.0 x",
        "upgrade: h2c\nhttp2-settings: AAA\nkeep-alive: 5\nproxy-connection: x\nx_real_ip: 1.2.3.4\nx-forwarded-user: root",
        "cookie: a=b\ncookie: c=d\ntransfer-encoding: chunked\ncontent-length: 5\nhost: a\nalt-svc: h3=\":1\"\nx-real-ip: 1.2.3.4",
    ];
    drive(doors::headers, &sound.map(|text| text.as_bytes().to_vec()), 30_000);
}

#[test]
fn the_frame_walker_survives_chance() {
    let sound: [&[u8]; 5] = [
        b"\x03\x81\x85\x01\x02\x03\x04hello\x89\x80\x01\x02\x03\x04",
        b"\x01\x01\x83\0\0\0\0abc\x80\x82\0\0\0\0de",
        b"\x07\x82\xfe\0\x80\0\0\0\0xxxxxxxx",
        b"\x02\x88\x82\0\0\0\0\x03\xe8",
        b"\x05\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0zzzz",
    ];
    drive(doors::walker, &sound.map(<[u8]>::to_vec), 60_000);
}

#[test]
fn forwarded_addresses_survive_chance() {
    let sound =
        ["203.0.113.9, 10.0.0.2", "[2001:db8::1]:443, 10.1.1.1:80, unknown", "\"203.0.113.9\", _hidden,,", "::ffff:10.0.0.1"];
    drive(doors::forwarded, &sound.map(|text| text.as_bytes().to_vec()), 60_000);
}

#[test]
fn proxy_headers_survive_chance() {
    let sound: [&[u8]; 4] = [
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET /",
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
    ];
    drive(doors::proxy_header, &sound.map(<[u8]>::to_vec), 60_000);
}

#[test]
fn qpack_survives_chance() {
    // GET https://a.test/ by the static table, literals by name, by index, and with Huffman.
    let mut literal = vec![0, 0, 0xd1, 0xd7, 0x50, 6];
    literal.extend_from_slice(b"a.test");
    literal.push(0xc1);
    literal.extend(integer(1, 7, 0x20));
    literal.extend_from_slice(b"x\x01y");
    let huffman = vec![0, 0, 0xd1, 0xd7, 0xc1, 0x50, 0x84, 0x1d, 0x75, 0x0d, 0x3f, 0x2b, 0xf2, 0xb4, 0x82, 0xf1, 0xe3];
    drive(doors::qpack, &[literal, huffman, vec![0, 0], vec![0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]], 60_000);
}

#[test]
fn http3_frames_survive_chance() {
    let sound: [&[u8]; 5] = [
        b"\x03\x01\x05\0\0\xd1\xd7\xc1\0\x05hello\x01\x02\0\0",
        b"\x01\0\x04\x06\x06\x40\x80\x01\x40\x64\x07\x01\0\x40\x21\x03abc",
        b"\x02\x02abc",
        b"\x04\x21\x40\x05grease\0\x80\0\0\x03xyz",
        b"\x09\0\x04\0\x0d\x01\x05",
    ];
    drive(doors::http3, &sound.map(<[u8]>::to_vec), 60_000);
}

#[test]
fn http2_frames_survive_chance() {
    let sound: [&[u8]; 5] = [
        b"\x07\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01a\0\0\x04\0\x01\0\0\0\x01body",
        b"\x03\0\0\x0b\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01a\x40\x01A\x01b\0\0\x04\x01\x05\0\0\0\x03\x82\x87\x84\xbe",
        b"\x05\0\0\x05\x01\x01\0\0\0\x01\x82\x87\x44\x02/\0\0\x06\x09\x04\0\0\0\x01<\x41\x01a\x3f\x21",
        b"\x02\0\0\x0d\x01\x2d\0\0\0\x01\x02\0\0\0\0\x05\x20\x82\x87\x84\xc1\0\0",
        b"\x09\0\0\x0c\x01\x05\0\0\0\x01\x82\x7a\x86\xa8\xeb\x10\x64\x9c\xbf\x0f\x2f\x00",
    ];
    drive(doors::http2, &sound.map(<[u8]>::to_vec), 60_000);
}
