use super::*;
use crate::base::rng::Rng;

/// Lets everything pass but messages of more than 1,000 bytes, keeps pongs and messages of 77 bytes, and remembers what
/// it saw.
#[derive(Default)]
struct Witness(Vec<String>);

impl FrameVisitor for Witness {
    fn data(&mut self, payload: u64, message: u64, first: bool) -> Result<FrameAction, Violation> {
        self.0.push(format!("{}{payload}/{message}", if first { "data " } else { "more " }));
        match message {
            77 => Ok(FrameAction::Keep),
            0..=1000 => Ok(FrameAction::Pass),
            _ => Err(Violation::TooLarge),
        }
    }

    fn control(&mut self, kind: Control, payload: &[u8]) -> Result<FrameAction, Violation> {
        self.0.push(format!("{} {}", kind.to_string().to_lowercase(), String::from_utf8_lossy(payload)));
        Ok(if kind == Control::Pong { FrameAction::Keep } else { FrameAction::Pass })
    }
}

/// Walks over the chunks; gives what passed, what was seen, and how it ended.
fn walk<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<String>, Result<FrameParser, Violation>) {
    let (mut walker, mut witness, mut out) = (FrameParser::default(), Witness::default(), Vec::new());
    for chunk in chunks {
        if let Err(violation) = walker.walk(chunk, &mut witness, |bytes| out.extend_from_slice(bytes)) {
            return (out, witness.0, Err(violation));
        }
    }
    (out, witness.0, Ok(walker))
}

/// A frame; masked ones have the mask `1 2 3 4`.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend_from_slice(&[1, 2, 3, 4]);
    }
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| if masked { byte ^ [1, 2, 3, 4][index % 4] } else { *byte }));
    bytes
}

/// The same stream in one chunk, byte by byte, and in many random cuts must be seen and must end alike.
fn check(frames: &[Vec<u8>], passed: &[u8], seen: &[&str], ended: Result<(), Violation>) {
    let stream = frames.concat();
    let verify = |(out, events, end): (Vec<u8>, Vec<String>, Result<FrameParser, Violation>), cut: &str| {
        assert_eq!(out, passed, "what passed, {cut}");
        assert_eq!(events, seen, "what was seen, {cut}");
        assert_eq!(end.map(|_| ()), ended, "how it ended, {cut}");
    };
    verify(walk([stream.as_slice()]), "in one chunk");
    verify(walk(stream.chunks(1)), "byte by byte");
    let mut rng = Rng::seeded(6455);
    for _ in 0..200 {
        let mut rest = stream.as_slice();
        let cut = std::iter::from_fn(|| {
            let size = usize::try_from(rng.below(40)).unwrap().min(rest.len());
            let (chunk, behind) = rest.split_at(size);
            rest = behind;
            (!chunk.is_empty() || !behind.is_empty()).then_some(chunk)
        });
        verify(walk(cut), "in random cuts");
    }
}

#[test]
fn frames_of_every_length_pass_unchanged_however_they_are_cut() {
    for masked in [false, true] {
        let frames = [
            frame(0x81, b"", masked),
            frame(0x81, &[b'a'; 125], masked),
            frame(0x82, &[b'b'; 126], masked),
            frame(0xc2, &[b'c'; 1000], masked),
        ];
        check(&frames, &frames.concat(), &["data 0/0", "data 125/125", "data 126/126", "data 1000/1000"], Ok(()));
    }
}

#[test]
fn a_message_is_counted_over_its_fragments_with_control_frames_in_between() {
    let frames = [
        frame(0x01, &[b'a'; 600], true),
        frame(0x89, b"hi", true),
        frame(0x00, &[b'b'; 300], true),
        frame(0x80, &[b'c'; 100], true),
        frame(0x81, b"next", true),
    ];
    let seen = ["data 600/600", "ping hi", "more 300/900", "more 100/1000", "data 4/4"];
    check(&frames, &frames.concat(), &seen, Ok(()));
}

#[test]
fn nothing_of_a_frame_that_violates_passes() {
    let good = frame(0x01, &[b'a'; 600], true);
    check(
        &[good.clone(), frame(0x80, &[b'b'; 401], true), frame(0x81, b"x", true)],
        &good,
        &["data 600/600", "more 401/1001"],
        Err(Violation::TooLarge),
    );
    let huge = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[1, 2, 3, 4], b"xyz"].concat();
    check(&[huge], &[], &["data 4611686018427387904/4611686018427387904"], Err(Violation::TooLarge));
}

#[test]
fn kept_frames_leave_no_gap_and_the_rest_stays_in_order() {
    let frames = [
        frame(0x81, b"one", false),
        frame(0x8a, b"mine", false),
        frame(0x8a, b"", false),
        frame(0x81, b"two", false),
        frame(0x81, &[0; 77], false),
        frame(0x81, b"three", false),
        frame(0x8a, b"mine", false),
    ];
    let passed = [frames[0].clone(), frames[3].clone(), frames[5].clone()].concat();
    check(&frames, &passed, &["data 3/3", "pong mine", "pong ", "data 3/3", "data 77/77", "data 5/5", "pong mine"], Ok(()));
    let half = walk([frames[4][..9].as_ref()]).2.unwrap();
    assert!(half.at_boundary(), "nothing of a frame that is kept has passed");
}

#[test]
fn frames_outside_of_the_protocol_are_violations() {
    let bad = |frames: &[Vec<u8>], seen: &[&str], violation| {
        let passed = frames[..frames.len() - 1].concat();
        check(frames, &passed, seen, Err(violation));
    };
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        bad(&[frame(0x81, b"a", true), frame(0x80 | opcode, b"", true)], &["data 1/1"], Violation::Opcode);
    }
    bad(&[frame(0x80, b"a", true)], &[], Violation::Fragments);
    bad(&[frame(0x01, b"a", true), frame(0x81, b"a", true)], &["data 1/1"], Violation::Fragments);
    bad(&[frame(0x09, b"", true)], &[], Violation::Control);
    bad(&[frame(0x88, &[0; 126], true)], &[], Violation::Control);
    bad(&[[&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[1, 2, 3, 4]].concat()], &[], Violation::Length);
}

#[test]
fn what_follows_a_close_frame_is_dropped() {
    let frames = [frame(0x88, b"\x03\xe8", true), frame(0x81, b"late", true)];
    check(&frames, &frames[0], &["close \u{3}\u{fffd}"], Ok(()));
    let (_, _, walker) = walk([frames[0].as_slice()]);
    assert!(walker.unwrap().is_closed());
}

#[test]
fn frames_of_ours_fit_only_between_frames() {
    let stream = frame(0x82, &[7; 300], true);
    let boundary = |bytes: &[u8]| walk([bytes]).2.unwrap().at_boundary();
    assert!(boundary(&[]));
    assert!(boundary(&stream[..3]), "a header that is kept back has not passed");
    assert!(!boundary(&stream[..8]));
    assert!(!boundary(&stream[..stream.len() - 1]));
    assert!(boundary(&stream));
}

#[test]
fn noise_never_panics_and_what_is_kept_back_is_bounded() {
    let mut rng = Rng::seeded(1);
    for _ in 0..2000 {
        let noise: Vec<u8> = (0..300).map(|_| u8::try_from(rng.below(256)).unwrap()).collect();
        let mut walker = FrameParser::default();
        for chunk in noise.chunks(7) {
            if walker.walk(chunk, &mut Witness::default(), |_| ()).is_err() {
                break;
            }
            assert!(walker.held.len() <= 139, "{}", walker.held.len());
        }
    }
}
