//! The codings we make, and a worker's few encoders, which are large and therefore lent out.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress, Status};
use http::HeaderValue;
use zstd::stream::raw::{CParameter, Encoder as Zstd, InBuffer, Operation, OutBuffer};

/// Answers that one worker compresses at a time; further ones go out as they are. At 0.3 MiB (gzip) to 1 MiB (zstd) each
/// this bounds the memory, which slow readers would hold otherwise.
const MAX_LENT: usize = 256;
/// Encoders of each coding that are kept while nobody needs them.
const MAX_IDLE: usize = 4;
/// Better levels cost twice the time for a few hundredths.
const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// 256 KiB instead of the level's 2 MiB: answers are seldom larger, and the memory is held for as long as one is sent.
const ZSTD_WINDOW: u32 = 18;
/// Room made for output at a time.
const ROOM: usize = 16 * 1024;

/// How an answer is compressed; the later one is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// As `Content-Encoding` names it.
    pub(super) const fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// One worker's encoders.
#[derive(Default)]
pub struct Encoders {
    gzip: RefCell<Vec<Compress>>,
    zstd: RefCell<Vec<Zstd<'static>>>,
    lent: Cell<usize>,
}

impl Encoders {
    /// An encoder that has seen nothing; `None` when too many are lent.
    pub(super) fn take(self: &Rc<Self>, coding: Coding) -> Option<Encoder> {
        if self.lent.get() >= MAX_LENT {
            return None;
        }
        let machine = match coding {
            Coding::Gzip => EncoderKind::Gzip(self.gzip.borrow_mut().pop().unwrap_or_else(gzip)),
            Coding::Zstd => EncoderKind::Zstd(match self.zstd.borrow_mut().pop() {
                Some(resting) => resting,
                None => zstd().ok()?,
            }),
        };
        self.lent.set(self.lent.get() + 1);
        Some(Encoder { machine: Some(machine), home: Rc::clone(self) })
    }

    fn give_back(&self, machine: EncoderKind) {
        self.lent.set(self.lent.get() - 1);
        match machine {
            EncoderKind::Gzip(mut gzip) if self.gzip.borrow().len() < MAX_IDLE => {
                gzip.reset();
                self.gzip.borrow_mut().push(gzip);
            }
            EncoderKind::Zstd(mut zstd) if self.zstd.borrow().len() < MAX_IDLE => {
                if zstd.reinit().is_ok() {
                    self.zstd.borrow_mut().push(zstd);
                }
            }
            EncoderKind::Gzip(_) | EncoderKind::Zstd(_) => (),
        }
    }
}

fn gzip() -> Compress {
    Compress::new_gzip(Compression::new(GZIP_LEVEL), 15)
}

fn zstd() -> io::Result<Zstd<'static>> {
    let mut zstd = Zstd::new(ZSTD_LEVEL)?;
    zstd.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
    Ok(zstd)
}

/// A lent encoder; goes home when it falls.
pub(super) struct Encoder {
    machine: Option<EncoderKind>,
    home: Rc<Encoders>,
}

enum EncoderKind {
    Gzip(Compress),
    Zstd(Zstd<'static>),
}

impl Encoder {
    /// Takes `input` in; what is ready comes out.
    pub(super) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self.machine() {
            EncoderKind::Gzip(gzip) => deflate(gzip, input, out, FlushCompress::None),
            EncoderKind::Zstd(zstd) => {
                let mut input = InBuffer::around(input);
                while input.pos() < input.src.len() {
                    room(out, |out| zstd.run(&mut input, out).map(drop))?;
                }
                Ok(())
            }
        }
    }

    /// Brings everything out that was taken in, so that the client can read it now.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.machine() {
            EncoderKind::Gzip(gzip) => deflate(gzip, &[], out, FlushCompress::Sync),
            EncoderKind::Zstd(zstd) => until_nothing_is_left(out, |out| zstd.flush(out)),
        }
    }

    /// As [`Self::flush`], with the coding's own end. Nothing may be written after it.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self.machine() {
            EncoderKind::Gzip(gzip) => deflate(gzip, &[], out, FlushCompress::Finish),
            EncoderKind::Zstd(zstd) => until_nothing_is_left(out, |out| zstd.finish(out, true)),
        }
    }

    const fn machine(&mut self) -> &mut EncoderKind {
        self.machine.as_mut().expect("an encoder has its machine until it falls")
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(machine) = self.machine.take() {
            self.home.give_back(machine);
        }
    }
}

fn deflate(gzip: &mut Compress, mut input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> io::Result<()> {
    loop {
        out.reserve(ROOM);
        let before = gzip.total_in();
        let status = gzip.compress_vec(input, out, flush).map_err(io::Error::other)?;
        input = &input[usize::try_from(gzip.total_in() - before).unwrap_or(usize::MAX).min(input.len())..];
        // A full buffer may mean that there is more to come out.
        if status == Status::StreamEnd || (input.is_empty() && out.len() < out.capacity()) {
            return Ok(());
        }
    }
}

fn until_nothing_is_left(
    out: &mut Vec<u8>,
    mut step: impl FnMut(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
) -> io::Result<()> {
    let mut left = 1;
    while left > 0 {
        room(out, |out| {
            left = step(out)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Runs `step` with room behind what `out` holds.
fn room(out: &mut Vec<u8>, step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<()>) -> io::Result<()> {
    out.reserve(ROOM);
    let at = out.len();
    step(&mut OutBuffer::around_pos(out, at))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn read_back(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        match coding {
            // What has come so far is read, whether or not the end has.
            Coding::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut all)),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut all)),
        }
        all
    }

    #[test]
    fn what_is_flushed_can_be_read_at_once_and_all_of_it_at_the_end() {
        let encoders = Rc::new(Encoders::default());
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Gzip, Coding::Zstd] {
            let (mut encoder, mut out) = (encoders.take(coding).unwrap(), Vec::new());
            let large: Vec<u8> = (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
            encoder.write(b"first line\n", &mut out).unwrap();
            encoder.flush(&mut out).unwrap();
            assert_eq!(read_back(coding, &out), b"first line\n");
            encoder.write(&large, &mut out).unwrap();
            encoder.finish(&mut out).unwrap();
            assert!(read_back(coding, &out) == [b"first line\n".as_slice(), &large].concat(), "{coding:?}");
        }
        assert_eq!((encoders.gzip.borrow().len(), encoders.zstd.borrow().len(), encoders.lent.get()), (1, 1, 0));
    }

    #[test]
    fn so_many_are_lent_and_no_more() {
        let encoders = Rc::new(Encoders::default());
        let lent: Vec<_> = (0..MAX_LENT).map(|_| encoders.take(Coding::Gzip).unwrap()).collect();
        assert!(encoders.take(Coding::Zstd).is_none());
        drop(lent);
        assert_eq!(encoders.gzip.borrow().len(), MAX_IDLE);
        assert!(encoders.take(Coding::Zstd).is_some());
    }
}
