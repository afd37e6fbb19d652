//! Notices a client of HTTP/2 that sends frames which ask for nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE and unknown ones
//! cost it 9 bytes each and us an answer or at least a look (RFC 9113 section 10.5). Empty DATA, resets and headers without
//! end are the h2 library's affair. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Such frames in a span that are nothing: some clients ping for every answer that they read, or open both windows anew for
/// every message of a stream of events.
const FREE: u32 = 10_000;
/// Others pass for each request or body's piece, and for each [`WRITTEN`] of answers.
const FOR_EACH: u32 = 4;
/// Bytes of answers that are worth as much as a request.
const WRITTEN: usize = 4 << 10;
/// What is counted together.
const SPAN: Duration = Duration::from_secs(1);

/// What begins every connection (RFC 9113 section 3.4).
const PREFACE: u64 = 24;
/// Length of a frame's head.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// One connection's count.
#[derive(Debug)]
pub struct FloodGuard {
    /// Bytes until the next frame's head.
    skip: u64,
    head: [u8; HEAD],
    /// How much of the head has come.
    known: usize,
    idle: u32,
    useful: u32,
    written: usize,
    since: Instant,
    flooded: bool,
}

/// More frames that ask for nothing than anybody has use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flood of frames that ask for nothing")]
pub struct Flood;

impl FloodGuard {
    /// Of a connection on which nothing was said.
    pub const fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], known: 0, idle: 0, useful: 0, written: 0, since: now, flooded: false }
    }

    /// Whether it was a flood.
    pub const fn is_flooded(&self) -> bool {
        self.flooded
    }

    /// So many bytes were written.
    pub const fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
    }

    /// These bytes came; `now` is asked for only if there were many.
    ///
    /// # Errors
    /// [`Flood`] once it is one.
    pub fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            let more = (HEAD - self.known).min(bytes.len());
            self.head[self.known..self.known + more].copy_from_slice(&bytes[..more]);
            self.known += more;
            bytes = &bytes[more..];
            if self.known == HEAD {
                self.frame(&now)?;
            }
        }
        Ok(())
    }

    /// A head is whole.
    fn frame(&mut self, now: &impl Fn() -> Instant) -> Result<(), Flood> {
        let [a, b, c, kind, ..] = self.head;
        self.skip = u64::from(u32::from_be_bytes([0, a, b, c]));
        self.known = 0;
        match kind {
            DATA | HEADERS | CONTINUATION => self.useful = self.useful.saturating_add(1),
            _ => self.idle += 1,
        }
        let worth = self.useful.saturating_add(u32::try_from(self.written / WRITTEN).unwrap_or(u32::MAX));
        if self.idle <= FREE.saturating_add(worth.saturating_mul(FOR_EACH)) {
            return Ok(());
        }
        let now = now();
        if now.saturating_duration_since(self.since) < SPAN {
            self.flooded = true;
            return Err(Flood);
        }
        (self.idle, self.useful, self.written, self.since) = (0, 0, 0, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    /// How many pings pass when one comes each `pause`, with `others` and so many bytes written between two; 100,000 is all.
    fn passing(pause: Duration, others: &[u8], written: usize) -> usize {
        let start = Instant::now();
        let mut calm = FloodGuard::new(start);
        calm.read(&[b'x'; 24], || start).unwrap();
        let mut passes = |number: usize| {
            let now = start + pause * u32::try_from(number).unwrap();
            calm.wrote(written);
            calm.read(&PING, || now).and_then(|()| calm.read(others, || now)).is_ok()
        };
        (0..100_000).position(|number| number == 99_999 || !passes(number)).unwrap()
    }

    #[test]
    fn a_flood_is_told_from_pings_with_a_reason() {
        let request = [0, 0, 2, 1, 5, 0, 0, 0, 1, 0x82, 0x84];
        let (fast, calm) = (Duration::from_micros(1), Duration::from_millis(2));
        assert_eq!(passing(fast, &[], 17), 10_168, "their answers are worth nothing");
        assert_eq!(passing(calm, &[], 17), 99_999);
        assert_eq!(passing(fast, &request, 17), 99_999);
        assert_eq!(passing(fast, &[], 2_000), 99_999);
    }

    #[test]
    fn frames_are_counted_however_they_are_cut_and_payloads_are_none() {
        let start = Instant::now();
        let data = [&[0, 0, 34, 0, 0, 0, 0, 0, 1][..], &PING, &PING].concat();
        let bytes = [&[b'x'; 24][..], &data, &PING.repeat(900)].concat();
        for piece in [1, 5, 9, 10_000] {
            let mut calm = FloodGuard::new(start);
            bytes.chunks(piece).for_each(|piece| calm.read(piece, || start).unwrap());
            assert_eq!((calm.idle, calm.useful), (900, 1), "in pieces of {piece}");
        }
    }
}
