//! Reads Huffman-coded strings (RFC 7541 appendix B). The code is canonical, so the lengths of its words are all there is
//! to know of it. We write none: a few bytes on the wire are cheaper than the work.

use std::sync::LazyLock;

/// Length in bits of each byte's word, and of the end's.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28,
    28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6,
    5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22,
    22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25,
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21,
    21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The end of a string; only its beginning may stand there, as padding.
const END: usize = 256;
/// Words up to this length are looked up at once.
const SHORT: u8 = 8;
const MAX_CODE: usize = 30;

/// A coded string that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::listeners) struct Broken;

struct Codes {
    /// By the first eight bits: byte and length of a short word; length 0 where the word is longer.
    short: [(u8, u8); 256],
    /// By length, moved up to the top of 32 bits: the first word of that length, and the one behind its last.
    from: [u32; MAX_CODE + 1],
    to: [u64; MAX_CODE + 1],
    /// By length: where its words begin in `symbols`.
    at: [usize; MAX_CODE + 1],
    symbols: Vec<u16>,
}

static CODES: LazyLock<Codes> = LazyLock::new(Codes::new);

impl Codes {
    fn new() -> Self {
        let mut codes = Self { short: [(0, 0); 256], from: [0; 31], to: [0; 31], at: [0; 31], symbols: Vec::new() };
        let mut next = 0_u64;
        for length in 1..=MAX_CODE {
            let step = 1_u64 << (32 - length);
            codes.from[length] = u32::try_from(next).unwrap_or(u32::MAX);
            codes.at[length] = codes.symbols.len();
            for symbol in (0..=END).filter(|symbol| usize::from(LENGTHS[*symbol]) == length) {
                codes.symbols.push(u16::try_from(symbol).unwrap_or(u16::MAX));
                if length <= usize::from(SHORT) {
                    let (byte, first) = (u8::try_from(symbol).unwrap_or(0), usize::try_from(next >> 24).unwrap_or(0));
                    codes.short[first..first + (1 << (8 - length))].fill((byte, u8::try_from(length).unwrap_or(0)));
                }
                next += step;
            }
            codes.to[length] = next;
        }
        codes
    }

    /// The word at the top of `window`: its symbol and its length.
    fn find(&self, window: u32) -> (usize, u32) {
        let (byte, length) = self.short[usize::from(window.to_be_bytes()[0])];
        if length > 0 {
            return (usize::from(byte), u32::from(length));
        }
        let length = (usize::from(SHORT) + 1..MAX_CODE).find(|length| u64::from(window) < self.to[*length]).unwrap_or(MAX_CODE);
        let nth = (window - self.from[length]) >> (32 - length);
        let symbol = self.symbols[self.at[length] + usize::try_from(nth).unwrap_or(0)];
        (usize::from(symbol), u32::try_from(length).unwrap_or(0))
    }
}

/// Appends what `coded` means.
pub(in crate::listeners) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let codes = &*CODES;
    // At the top of `held` are `bits` bits; ones follow, as if the string were padded for ever.
    let (mut held, mut bits, mut rest) = (u64::MAX, 0_u32, coded.iter());
    loop {
        while bits <= 56
            && let Some(byte) = rest.next()
        {
            let shift = 56 - bits;
            held = held & !(0xff << shift) | u64::from(*byte) << shift;
            bits += 8;
        }
        let (symbol, length) = codes.find(u32::try_from(held >> 32).unwrap_or(u32::MAX));
        if length > bits {
            // What is left is padding: less than a byte, all ones (RFC 7541 section 5.2).
            let padding = bits < 8 && held == u64::MAX;
            return if padding { Ok(()) } else { Err(Broken) };
        }
        let Ok(byte) = u8::try_from(symbol) else { return Err(Broken) };
        out.push(byte);
        held = held << length | ((1 << length) - 1);
        bits -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code word of a symbol, found without the tables above.
    fn word(symbol: usize) -> String {
        let order = |s: &usize| (LENGTHS[*s], *s);
        let mut symbols: Vec<usize> = (0..=END).collect();
        symbols.sort_by_key(order);
        let (mut code, mut length) = (0_u64, 0);
        for s in symbols {
            code <<= LENGTHS[s] - length;
            length = LENGTHS[s];
            if s == symbol {
                return format!("{code:0width$b}", width = usize::from(length));
            }
            code += 1;
        }
        unreachable!("every symbol has a word")
    }

    fn coded(text: &[u8], padding: &str) -> Vec<u8> {
        let bits: String = text.iter().map(|byte| word(usize::from(*byte))).collect::<String>() + padding;
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(&format!("{:1<8}", str::from_utf8(byte).unwrap()), 2).unwrap())
            .collect()
    }

    fn check(bytes: &[u8], expected: Result<&[u8], Broken>) {
        let mut out = Vec::new();
        assert_eq!(decode(bytes, &mut out).map(|()| &out[..]), expected, "for {bytes:x?}");
    }

    #[test]
    fn strings_of_the_standard_read_as_it_says() {
        // RFC 7541 appendix C.4 and C.6.
        check(&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], Ok(b"www.example.com"));
        check(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], Ok(b"no-cache"));
        check(&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], Ok(b"custom-value"));
        check(&[0x64, 0x02], Ok(b"302"));
        check(&[], Ok(b""));
    }

    #[test]
    fn every_byte_reads_back_alone_and_in_company() {
        for byte in 0..=255 {
            check(&coded(&[byte], ""), Ok(&[byte]));
            check(&coded(&[byte, b'a', byte, byte], ""), Ok(&[byte, b'a', byte, byte]));
        }
    }

    #[test]
    fn wrong_padding_and_a_spelled_out_end_are_refused() {
        check(&coded(b"a", "000"), Err(Broken));
        check(&coded(b"a", "11111111111"), Err(Broken));
        check(&[0xff], Err(Broken));
        check(&coded(b"a", &word(END)), Err(Broken));
        check(&[0xff, 0xff, 0xff, 0xff], Err(Broken));
    }
}
