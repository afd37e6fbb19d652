//! The client's unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2). We need little of them: our table for
//! header compression has size zero, and we push nothing. What they may not say is refused all the same.

use super::code::Code;
use super::varint::{self, Head};

/// The longest frame that is kept until it is whole: some 60 settings.
const MAX_FRAME: usize = 1024;

/// One unidirectional stream.
#[derive(Default)]
pub struct Uni {
    kind: Option<Kind>,
    /// The beginning of a type, a head or a frame.
    held: Vec<u8>,
    part: Part,
    settings: bool,
}

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Settings, and what concerns the connection as a whole.
    Control,
    /// Instructions for our table.
    Encoder,
    /// What became of instructions for theirs; we gave none.
    Decoder,
    /// Something we do not know; it is not read.
    Foreign,
}

impl Kind {
    /// Whether the connection cannot live without it, nor with two of it.
    pub const fn is_critical(self) -> bool {
        !matches!(self, Self::Foreign)
    }
}

#[derive(Clone, Copy, Default)]
enum Part {
    #[default]
    Head,
    Payload(Head),
    Unknown {
        left: u64,
    },
}

impl Uni {
    /// What it is for, once that was read.
    pub const fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Reads what came next.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Code> {
        if self.kind.is_none() {
            self.kind = self.take(&mut bytes, varint::varint).map(of_type).transpose()?;
        }
        match self.kind {
            None | Some(Kind::Decoder | Kind::Foreign) => Ok(()),
            // The capacity may be set, to zero; nothing fits into that.
            Some(Kind::Encoder) if bytes.iter().all(|byte| *byte == 0x20) => Ok(()),
            Some(Kind::Encoder) => Err(Code::EncoderStream),
            Some(Kind::Control) => self.control(bytes),
        }
    }

    fn control(&mut self, mut bytes: &[u8]) -> Result<(), Code> {
        loop {
            match self.part {
                Part::Head => match self.take(&mut bytes, varint::head) {
                    Some(head) => self.part = self.begin(head)?,
                    None => return Ok(()),
                },
                Part::Payload(head) => {
                    let missing = usize::try_from(head.length).unwrap_or(usize::MAX) - self.held.len();
                    let (now, later) = bytes.split_at(missing.min(bytes.len()));
                    self.held.extend_from_slice(now);
                    bytes = later;
                    if now.len() < missing {
                        return Ok(());
                    }
                    check(head.kind, &self.held)?;
                    self.held.clear();
                    self.part = Part::Head;
                }
                Part::Unknown { left: 0 } => self.part = Part::Head,
                Part::Unknown { .. } if bytes.is_empty() => return Ok(()),
                Part::Unknown { left } => {
                    let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    bytes = &bytes[length..];
                    self.part = Part::Unknown { left: left - u64::try_from(length).unwrap_or(left) };
                }
            }
        }
    }

    fn begin(&mut self, head: Head) -> Result<Part, Code> {
        let first = !std::mem::replace(&mut self.settings, true);
        if first != (head.kind == varint::SETTINGS) {
            return Err(if first { Code::MissingSettings } else { Code::FrameUnexpected });
        }
        match head.kind {
            varint::SETTINGS | varint::GOAWAY | varint::CANCEL_PUSH | varint::MAX_PUSH_ID => {
                let short = usize::try_from(head.length).is_ok_and(|length| length <= MAX_FRAME);
                if short { Ok(Part::Payload(head)) } else { Err(Code::ExcessiveLoad) }
            }
            varint::DATA | varint::HEADERS | varint::PUSH_PROMISE => Err(Code::FrameUnexpected),
            kind if varint::is_forbidden(kind) => Err(Code::FrameUnexpected),
            _ => Ok(Part::Unknown { left: head.length }),
        }
    }

    /// What `read` finds at the beginning of `bytes`, with what was kept before them.
    fn take<T>(&mut self, bytes: &mut &[u8], read: impl Fn(&[u8]) -> Option<(T, usize)>) -> Option<T> {
        while let Some((first, rest)) = bytes.split_first() {
            self.held.push(*first);
            *bytes = rest;
            if let Some((value, _)) = read(&self.held) {
                self.held.clear();
                return Some(value);
            }
        }
        None
    }
}

const fn of_type(kind: u64) -> Result<Kind, Code> {
    match kind {
        0x0 => Ok(Kind::Control),
        // Only servers push.
        0x1 => Err(Code::StreamCreation),
        0x2 => Ok(Kind::Encoder),
        0x3 => Ok(Kind::Decoder),
        _ => Ok(Kind::Foreign),
    }
}

/// A frame of the control stream, whole.
fn check(kind: u64, payload: &[u8]) -> Result<(), Code> {
    if kind == varint::SETTINGS {
        return settings(payload);
    }
    // One integer and nothing else; what it says concerns pushes, or requests of ours.
    match varint::varint(payload) {
        Some((_, length)) if length == payload.len() => Ok(()),
        _ => Err(Code::FrameError),
    }
}

/// Nothing a client announces changes what we send; it is only held to the rules (RFC 9114 section 7.2.4).
fn settings(mut payload: &[u8]) -> Result<(), Code> {
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let (name, length) = varint::varint(payload).ok_or(Code::FrameError)?;
        payload = &payload[length..];
        let (_, length) = varint::varint(payload).ok_or(Code::FrameError)?;
        payload = &payload[length..];
        if (0x2..=0x5).contains(&name) || seen.contains(&name) {
            return Err(Code::SettingsError);
        }
        seen.push(name);
    }
    Ok(())
}

/// What our control stream begins with: its type and our settings. `section` is the longest header section we take.
pub fn hello(section: u64) -> Vec<u8> {
    const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
    let mut settings = Vec::new();
    varint::put_varint(MAX_FIELD_SECTION_SIZE, &mut settings);
    varint::put_varint(section, &mut settings);
    let mut bytes = vec![0x0];
    varint::put_head(varint::SETTINGS, settings.len(), &mut bytes);
    bytes.extend_from_slice(&settings);
    bytes
}

/// Says that requests from `first` on are not answered here any more (RFC 9114 section 5.2).
pub fn goaway(first: u64) -> Vec<u8> {
    let mut id = Vec::new();
    varint::put_varint(first, &mut id);
    let mut bytes = Vec::new();
    varint::put_head(varint::GOAWAY, id.len(), &mut bytes);
    bytes.extend_from_slice(&id);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put_head(kind, payload.len(), &mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn check(stream: &[u8], expected: Result<Option<Kind>, Code>) {
        for step in [1, 3, 1_000] {
            let mut uni = Uni::default();
            let result = stream.chunks(step).try_for_each(|chunk| uni.read(chunk)).map(|()| uni.kind());
            assert_eq!(result, expected, "for {stream:?} in steps of {step}");
        }
    }

    #[test]
    fn streams_say_what_they_are_for() {
        check(&[], Ok(None));
        check(&[0x40], Ok(None));
        check(&[0x40, 0x00], Ok(Some(Kind::Control)));
        check(&[0x01], Err(Code::StreamCreation));
        check(&[0x02, 0x20], Ok(Some(Kind::Encoder)));
        check(&[0x02, 0x3f, 0x45], Err(Code::EncoderStream));
        check(&[0x03, 0x84, 0x00], Ok(Some(Kind::Decoder)));
        check(&[0x21, 1, 2, 3], Ok(Some(Kind::Foreign)));
    }

    #[test]
    fn a_control_stream_begins_with_settings_and_keeps_to_its_frames() {
        let control = |frames: &[Vec<u8>]| [vec![0x0], frames.concat()].concat();
        let settings = || frame(varint::SETTINGS, &[0x6, 0x40, 0x64, 0x21, 0x0]);
        let ok = Ok(Some(Kind::Control));
        check(&control(&[settings()]), ok);
        check(&control(&[settings(), frame(0xf0700, b"u=1"), frame(varint::MAX_PUSH_ID, &[9]), frame(varint::GOAWAY, &[0])]), ok);
        check(&control(&[frame(varint::GOAWAY, &[0])]), Err(Code::MissingSettings));
        check(&control(&[settings(), settings()]), Err(Code::FrameUnexpected));
        check(&control(&[settings(), frame(varint::DATA, b"x")]), Err(Code::FrameUnexpected));
        check(&control(&[settings(), frame(0x6, b"x")]), Err(Code::FrameUnexpected));
        check(&control(&[settings(), frame(varint::GOAWAY, &[0, 0])]), Err(Code::FrameError));
        check(&control(&[settings(), frame(varint::GOAWAY, &[])]), Err(Code::FrameError));
        check(&control(&[frame(varint::SETTINGS, &[0x6])]), Err(Code::FrameError));
        check(&control(&[frame(varint::SETTINGS, &[0x3, 0x1])]), Err(Code::SettingsError));
        check(&control(&[frame(varint::SETTINGS, &[0x6, 0x1, 0x6, 0x1])]), Err(Code::SettingsError));
        check(&control(&[frame(varint::SETTINGS, &[0; MAX_FRAME + 1])]), Err(Code::ExcessiveLoad));
    }

    #[test]
    fn what_we_say_is_read_by_our_own_rules() {
        check(&[hello(65_536), goaway(4 << 20)].concat(), Ok(Some(Kind::Control)));
    }
}
