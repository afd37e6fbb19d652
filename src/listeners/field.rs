//! What may stand in a field of a request over HTTP/2 or HTTP/3: the rules of names and values, and of the fields that a request
//! does not have (RFC 9113 sections 8.2 and 8.3, RFC 9114 sections 4.2 and 4.3). Pure.

use std::borrow::Cow;

use crate::proxy::h1::length;
use crate::proxy::refusal::WrongField;
use crate::proxy::target::{self, ForbiddenByte};

/// What a field is, as far as its rules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `:method`
    Method,
    /// `:scheme`
    Scheme,
    /// `:authority`
    Authority,
    /// `:path`
    Path,
    /// `:protocol` (RFC 8441 section 4)
    Protocol,
    /// Of one connection (section 8.2.2).
    OfConnection,
    /// `te`, which says `trailers` and nothing else.
    Te,
    /// `content-length` (RFC 9110 section 8.6).
    Length,
    /// Any other field.
    Regular,
    /// No name that a request may have.
    Wrong(WrongField),
}

/// A table of the bytes for which a condition holds. A macro, for a constant function takes no closure.
macro_rules! table {
    ($byte:ident => $is:expr) => {{
        let mut table = [false; 256];
        let mut $byte = 0_u8;
        loop {
            table[$byte as usize] = $is;
            if $byte == u8::MAX {
                break table;
            }
            $byte += 1;
        }
    }};
}

/// Characters of names: those of a token (RFC 9110 section 5.6.2) without capitals.
const NAME: [bool; 256] = table!(byte => is_token(byte) && !byte.is_ascii_uppercase());
/// Characters of values (RFC 9110 section 5.5).
const VALUE: [bool; 256] = table!(byte => byte == b'\t' || (byte >= b' ' && byte != 0x7f));
/// Characters of targets that are sent on as they are, without a closer look.
const TARGET: [bool; 256] = table!(byte => byte > b' ' && byte < 0x7f && !matches!(byte, b'"' | b'<' | b'>' | b'`'));
const TOKEN: [bool; 256] = table!(byte => is_token(byte));
const VISIBLE: [bool; 256] = table!(byte => byte > b' ' && byte < 0x7f);

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Digits of the largest length; h2 resets the stream of a request that has more, zeros included.
const MAX_DIGITS: usize = 19;

fn all(table: &[bool; 256], bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| table[usize::from(*byte)])
}

impl Kind {
    /// By a name as it came.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b"te" => Self::Te,
            b"content-length" => Self::Length,
            b"connection" | b"upgrade" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" => Self::OfConnection,
            _ if !name.is_empty() && all(&NAME, name) => Self::Regular,
            [b':', ..] => Self::Wrong(WrongField::Pseudo),
            _ => Self::Wrong(WrongField::Name),
        }
    }

    /// Whether the name is a pseudo-header field's.
    pub const fn is_pseudo(self) -> bool {
        match self {
            Self::Method | Self::Scheme | Self::Authority | Self::Path | Self::Protocol | Self::Wrong(WrongField::Pseudo) => true,
            Self::OfConnection | Self::Te | Self::Length | Self::Regular | Self::Wrong(_) => false,
        }
    }

    /// What is wrong with a field of this kind and `value`.
    pub fn judge(self, value: &[u8]) -> Judgement {
        let is = |sound: bool, wrong| if sound { Judgement::Sound } else { Judgement::Wrong(wrong) };
        match self {
            Self::Regular => is(is_value(value), value_wrong(value)),
            Self::Te => is(value == b"trailers", WrongField::Connection),
            Self::Length => is(value.len() <= MAX_DIGITS && length::read(value).is_some(), WrongField::Length),
            Self::OfConnection => Judgement::Wrong(WrongField::Connection),
            Self::Method => is(!value.is_empty() && all(&TOKEN, value), WrongField::Method),
            Self::Scheme | Self::Protocol => is(!value.is_empty() && all(&VISIBLE, value), WrongField::Pseudo),
            Self::Authority => is(all(&VISIBLE, value), WrongField::Authority),
            Self::Path if all(&TARGET, value) => Judgement::Sound,
            Self::Path => match target::encoded(value) {
                Ok(Cow::Borrowed(_)) => Judgement::Sound,
                Ok(Cow::Owned(target)) => Judgement::Encoded(String::from_utf8_lossy(&target).into()),
                Err(byte) => Judgement::Target(byte, shown(value).into()),
            },
            Self::Wrong(wrong) => Judgement::Wrong(wrong),
        }
    }

    /// The name of a kind that has one.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Method => Some(":method"),
            Self::Scheme => Some(":scheme"),
            Self::Authority => Some(":authority"),
            Self::Path => Some(":path"),
            Self::Protocol => Some(":protocol"),
            Self::Te => Some("te"),
            Self::Length => Some("content-length"),
            Self::OfConnection | Self::Regular | Self::Wrong(_) => None,
        }
    }

    /// Whether a field of this kind can stand with another value of the same length; else it needs another name.
    pub const fn keeps_its_name(self, length: usize) -> bool {
        match self {
            Self::Regular | Self::Authority => true,
            Self::Method | Self::Path | Self::Scheme | Self::Protocol => length > 0,
            Self::Te | Self::Length | Self::OfConnection | Self::Wrong(_) => false,
        }
    }
}

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing.
    Sound,
    /// A target that is served in this form.
    Encoded(Box<str>),
    /// A target with a byte that none has, and the target as it can be shown.
    Target(ForbiddenByte, Box<str>),
    /// It makes the request malformed.
    Wrong(WrongField),
}

/// A target in visible characters.
fn shown(target: &[u8]) -> String {
    let mut out = String::with_capacity(target.len() + 16);
    for byte in target {
        match TARGET[usize::from(*byte)] {
            true => out.push(char::from(*byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Blanks are no part of a value: a sender writes none, and a recipient refuses them (section 8.2.1).
fn is_value(value: &[u8]) -> bool {
    all(&VALUE, value) && !has_blank_ends(value)
}

fn has_blank_ends(value: &[u8]) -> bool {
    matches!(value.first(), Some(b' ' | b'\t')) || matches!(value.last(), Some(b' ' | b'\t'))
}

fn value_wrong(value: &[u8]) -> WrongField {
    if all(&VALUE, value) { WrongField::Blank } else { WrongField::Value }
}
