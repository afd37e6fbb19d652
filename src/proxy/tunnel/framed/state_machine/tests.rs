use super::*;
use crate::base::size::ByteSize;

const SECOND: Duration = Duration::from_secs(1);

/// A tunnel and its clock; what each end was sent, as words.
struct World {
    relay: FramedRelay,
    start: Instant,
    now: Instant,
    client: Vec<u8>,
    backend: Vec<u8>,
}

impl World {
    fn new(rules: Rules) -> Self {
        let now = Instant::now();
        Self { relay: FramedRelay::new(rules, now, 7), start: now, now, client: vec![], backend: vec![] }
    }

    fn from(&mut self, end: End, bytes: &[u8]) -> &mut Self {
        let to = if end == End::Client { &mut self.backend } else { &mut self.client };
        self.relay.received(end, bytes, self.now, |passed| to.extend_from_slice(passed));
        self.settle()
    }

    /// Seconds after the start.
    fn at(&mut self, seconds: u64) -> &mut Self {
        let until = self.start + Duration::from_secs(seconds);
        while let Some(wake) = self.relay.wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            if self.relay.tick(self.now) {
                break;
            }
            self.settle();
        }
        self.now = until;
        self
    }

    fn settle(&mut self) -> &mut Self {
        while let Some(frame) = self.relay.aside(End::Client, self.now) {
            self.client.extend(frame);
        }
        while let Some(frame) = self.relay.aside(End::Backend, self.now) {
            self.backend.extend(frame);
        }
        self
    }

    /// What has come to each end since the last look.
    fn check(&mut self, client: &[&str], backend: &[&str]) -> &mut Self {
        assert_eq!(words(&std::mem::take(&mut self.client)), client, "to the client");
        assert_eq!(words(&std::mem::take(&mut self.backend)), backend, "to the backend");
        self
    }
}

/// Frames as words: `text hello`, `close 1001`, `ping`.
fn words(bytes: &[u8]) -> Vec<String> {
    struct Reader(Vec<String>);
    impl FrameVisitor for Reader {
        fn data(&mut self, payload: u64, _: u64, _: bool) -> Result<FrameAction, Violation> {
            self.0.push(format!("data {payload}"));
            Ok(FrameAction::Pass)
        }
        fn control(&mut self, kind: Control, payload: &[u8]) -> Result<FrameAction, Violation> {
            let code = injected::close_code(payload).filter(|_| kind == Control::Close);
            self.0.push(code.map_or_else(|| kind.to_string().to_lowercase(), |code| format!("close {code}")));
            Ok(FrameAction::Pass)
        }
    }
    let mut reader = Reader(vec![]);
    FrameParser::default().walk(bytes, &mut reader, |_| ()).unwrap();
    reader.0
}

fn text(length: u8) -> Vec<u8> {
    [vec![0x81, length], vec![b'x'; length.into()]].concat()
}

fn limited(size: u64) -> Rules {
    Rules { message: Some(MessageLimit { size: ByteSize(size), rate: None }), ..Rules::default() }
}

fn pinging() -> Rules {
    Rules { ping: Some(30 * SECOND), ..Rules::default() }
}

/// The pong of an end that was pinged by the tunnel with the number 7.
fn our_pong() -> Vec<u8> {
    let mut pong = injected::ping(7, None);
    pong[0] = 0x8a;
    pong
}

#[test]
fn without_a_breach_everything_passes_and_the_first_close_code_is_kept() {
    let mut world = World::new(limited(100));
    world.from(End::Client, &text(100)).from(End::Backend, &text(120)).check(&["data 120"], &["data 100"]);
    world.from(End::Backend, &injected::close(4001, "no", None)).check(&["close 4001"], &[]);
    world.from(End::Backend, &text(1)).check(&[], &[]);
    assert!(!world.relay.is_over());
    world.from(End::Client, &injected::close(4001, "no", Some(9))).check(&[], &["close 4001"]);
    assert!(world.relay.is_over());
    assert_eq!((world.relay.why(), world.relay.close_code()), (None, Some(4001)));
}

#[test]
fn a_breach_is_told_to_the_backend_first_and_its_answers_still_arrive() {
    let mut world = World::new(limited(100));
    world.from(End::Client, &[text(5), text(101), text(1)].concat()).check(&[], &["data 5", "close 1009"]);
    world.from(End::Client, &text(2)).check(&[], &[]);
    world.from(End::Backend, &text(5)).check(&["data 5"], &[]);
    world.from(End::Backend, &injected::close(1000, "fine", None)).check(&["close 1009"], &[]);
    assert!(world.relay.is_over());
    assert_eq!(world.relay.close_code(), Some(1009));
    assert_eq!(world.relay.why().unwrap().reason(), "message-too-large");
}

#[test]
fn a_backend_that_ends_or_stays_silent_does_not_keep_the_close_from_the_client() {
    let mut world = World::new(limited(100));
    world.from(End::Client, &text(101)).check(&[], &["close 1009"]);
    world.relay.ended(End::Backend);
    world.settle().check(&["close 1009"], &[]);
    assert!(world.relay.is_over());

    let mut world = World::new(limited(100));
    world.from(End::Client, &text(101)).at(1).check(&[], &["close 1009"]);
    world.at(2).check(&["close 1009"], &[]);
    assert!(!world.relay.tick(world.now));
    world.at(4);
    assert!(world.relay.tick(world.now), "it is cut in the end");
}

#[test]
fn a_close_waits_until_the_frame_under_way_has_passed() {
    let mut world = World::new(limited(100));
    let frame = text(90);
    world.from(End::Backend, &frame[..40]);
    world.from(End::Client, &text(101)).at(3);
    assert_eq!(world.client, &frame[..40]);
    world.from(End::Backend, &[&frame[40..], &text(3)].concat()).check(&["data 90", "close 1009"], &["close 1009"]);
}

#[test]
fn a_drain_closes_both_ends_and_lets_nothing_new_pass() {
    let mut world = World::new(Rules::default());
    let half = text(60);
    world.from(End::Client, &half[..10]);
    world.relay.close(Closed::Away, world.now);
    world.settle().from(End::Backend, &text(1));
    world.from(End::Client, &[&half[10..], &text(2)].concat()).check(&["close 1001"], &["data 60", "close 1001"]);
    world
        .from(End::Client, &injected::close(1001, "", Some(1)))
        .from(End::Backend, &injected::close(1001, "", None))
        .check(&[], &[]);
    assert!(world.relay.is_over());
}

#[test]
fn quiet_ends_are_pinged_and_their_pongs_kept() {
    let mut world = World::new(pinging());
    world.at(29).check(&[], &[]).at(30).check(&["ping"], &["ping"]);
    world.from(End::Client, &our_pong()).from(End::Backend, &our_pong()).check(&[], &[]);
    world.at(59).check(&[], &[]).at(60).check(&["ping"], &["ping"]);
    let strange = [&[0x8a, 3][..], b"abc"].concat();
    world.from(End::Client, &strange).check(&[], &["pong"]);
    world.from(End::Backend, &text(1)).check(&["data 1"], &[]);
    world.at(89).check(&[], &[]).at(90).check(&["ping"], &["ping"]);
    assert_eq!(world.relay.why(), None);
}

#[test]
fn a_side_that_misses_a_pong_is_dead_and_the_other_one_is_told() {
    let mut world = World::new(pinging());
    world.at(30).check(&["ping"], &["ping"]).from(End::Backend, &our_pong()).at(59).check(&[], &[]);
    world.at(60).check(&[], &["close 1001"]);
    assert_eq!(world.relay.why(), Some(Closed::Dead(End::Client)));
    world.from(End::Backend, &injected::close(1001, "", None)).check(&[], &[]);
    assert!(world.relay.is_over());

    let mut world = World::new(pinging());
    world.at(30).from(End::Client, &our_pong()).at(60).check(&["ping", "close 1011"], &["ping"]);
}

#[test]
fn a_slow_reader_in_the_middle_of_a_frame_is_not_dead() {
    let mut world = World::new(pinging());
    world.from(End::Backend, &text(90)[..40]);
    world.at(20).from(End::Backend, &text(90)[40..50]).at(200);
    assert_eq!(world.client, &text(90)[..50], "no ping into the frame");
    assert_eq!(world.relay.why(), Some(Closed::Dead(End::Backend)), "who began a frame and fell silent is");
}

#[test]
fn a_client_that_takes_bytes_again_lives() {
    let mut world = World::new(pinging());
    world.at(30).from(End::Backend, &our_pong());
    let now = world.at(55).now;
    world.relay.heard(End::Client, now);
    world.at(60).check(&["ping"], &["ping", "ping"]);
    assert_eq!(world.relay.why(), None);
}

#[test]
fn an_idle_tunnel_ends_although_it_is_pinged() {
    let mut world = World::new(Rules { idle: Some(100 * SECOND), ..pinging() });
    for second in (0..100).step_by(10) {
        world.at(second).from(End::Client, &our_pong()).from(End::Backend, &our_pong());
    }
    assert_eq!(world.relay.why(), None);
    world.client.clear();
    world.backend.clear();
    world.at(100).check(&["close 1001"], &["close 1001"]);
    assert_eq!(world.relay.why(), Some(Closed::Idle));
}
