use super::*;
use crate::proxy::target::ForbiddenByte;

/// A literal without Huffman: kept in the table or not, its name spelled out.
fn literal(is_kept: bool, name: &[u8], value: &[u8]) -> Vec<u8> {
    spelled(name, value, if is_kept { 0x40 } else { 0 })
}

/// GET https://a/ by the static table.
const GET: &[u8] = b"\x82\x87\x84\x41\x01a";

fn walk(hpack: &mut Hpack, block: &[u8]) -> Walked {
    // Whether there was a pseudo-header field is the filter's to test.
    let walked = Walked { has_pseudo: false, ..hpack.walk(block).unwrap() };
    if let Some(anew) = &walked.anew {
        // What is written instead is sound, and no entry of another size comes of it.
        let mut other = Hpack::new();
        let again = other.walk(anew).unwrap();
        assert!(again.anew.is_none(), "{}", anew.escape_ascii());
    }
    walked
}

#[test]
fn a_sound_block_stays_as_it_is() {
    let mut hpack = Hpack::new();
    for block in [
        GET.to_vec(),
        [GET, &literal(true, b"x-note", b"a b\tc"), &literal(false, b"cookie", b"a=\xe9"), b"\xbe"].concat(),
        [&b"\x20\x3f\xe1\x1f"[..], GET, &literal(false, b"te", b"trailers")].concat(),
        // User agent by name, `no-cache` by Huffman (RFC 7541 appendix C.4).
        [GET, b"\x7a\x86\xa8\xeb\x10\x64\x9c\xbf", b"\xbe"].concat(),
    ] {
        assert_eq!(walk(&mut hpack, &block), Walked::default(), "{}", block.escape_ascii());
    }
    // Of each of the two requests since the size was set to nothing and back.
    assert_eq!(hpack.entries.len(), 3);
}

#[test]
fn what_is_wrong_is_found_once_and_by_reference() {
    for (name, value, wrong) in [
        (&b"X-Note"[..], &b"a"[..], WrongField::Name),
        (b"x note", b"a", WrongField::Name),
        (b"", b"a", WrongField::Name),
        (b"x-note", b"a\x01b", WrongField::Value),
        (b"x-note", b"a\r\nb: c", WrongField::Value),
        (b"x-note", b" a", WrongField::Blank),
        (b"x-note", b"a\t", WrongField::Blank),
        (b"x-note", b" ", WrongField::Blank),
        (b"connection", b"close", WrongField::Connection),
        (b"transfer-encoding", b"chunked", WrongField::Connection),
        (b"te", b"gzip", WrongField::Connection),
        (b":method", b"G ET", WrongField::Method),
        (b":method", b"", WrongField::Method),
        (b":authority", b"a b", WrongField::Authority),
        (b":scheme", b"\xff", WrongField::Pseudo),
        (b":status", b"200", WrongField::Pseudo),
        (b":unheard-of", b"", WrongField::Pseudo),
        (b":path", b"/a b", WrongField::Path(ForbiddenByte(b' '))),
    ] {
        for is_kept in [false, true] {
            let mut hpack = Hpack::new();
            let block = [GET, &literal(is_kept, name, value)].concat();
            let walked = walk(&mut hpack, &block);
            assert_eq!(walked.found.wrong, Some(wrong), "{}", block.escape_ascii());
            assert!(walked.anew.is_some_and(|anew| anew.starts_with(GET)));
            if is_kept {
                let again = walk(&mut hpack, b"\x82\x87\x84\xbe");
                assert_eq!((again.found.wrong, again.anew), (Some(wrong), None), "{}", block.escape_ascii());
                assert_eq!(walk(&mut hpack, GET), Walked::default());
            }
        }
    }
    // Nothing valid has the size of this one.
    assert_eq!(Hpack::new().walk(&literal(true, b"", b"")), Err(Broken));
}

#[test]
fn a_target_with_odd_characters_is_served_in_another_form() {
    let mut hpack = Hpack::new();
    let path = |is_kept: bool, value: &[u8]| [&b"\x82\x87\x41\x01a"[..], &literal(is_kept, b":path", value)].concat();
    let found = |walked: &Walked| walked.found.target.as_deref().map(ToOwned::to_owned);
    let walked = walk(&mut hpack, &path(true, b"/caf\xe9?q=<"));
    assert_eq!((found(&walked).as_deref(), walked.found.wrong), (Some("/caf%E9?q=%3C"), None));
    let again = walk(&mut hpack, b"\x82\x87\xbe");
    assert_eq!((found(&again).as_deref(), again.anew), (Some("/caf%E9?q=%3C"), None));
    for sound in [&b"/a\"b?c=`"[..], "/caf\u{e9}".as_bytes(), b"/a?q={x}|[y]^\\"] {
        assert_eq!(walk(&mut hpack, &path(false, sound)), Walked::default(), "{}", sound.escape_ascii());
    }
    let wrong = walk(&mut hpack, &path(false, b"/a\x0b<\xff"));
    assert_eq!((found(&wrong).as_deref(), wrong.found.wrong), (Some("/a%0B%3C%FF"), Some(WrongField::Path(ForbiddenByte(0x0b)))));
}

#[test]
fn a_name_that_did_not_stand_is_spelled_out_where_it_is_referred_to() {
    let mut hpack = Hpack::new();
    walk(&mut hpack, &[GET, &literal(true, b"te", b"gzip")].concat());
    // `te: trailers`, its name by the entry before.
    let walked = walk(&mut hpack, b"\x82\x87\x84\x0f\x2f\x08trailers");
    assert_eq!(walked.found, Found::default());
    assert_eq!(walked.anew.unwrap(), [&b"\x82\x87\x84"[..], &literal(false, b"te", b"trailers")].concat());
}

#[test]
fn what_cannot_be_decoded_is_an_error_of_the_connection() {
    for block in [
        &b"\x80"[..],
        b"\xbe",
        b"\xff\xff\xff\xff\xff\xff\x0f",
        b"\x82\x20",
        b"\x3f\xe2\x1f",
        b"\x40",
        b"\x40\x05abc",
        b"\x7f\x00\x01a",
        b"\x40\x81\x00\x01a",
    ] {
        assert_eq!(Hpack::new().walk(block), Err(Broken), "{}", block.escape_ascii());
    }
}
