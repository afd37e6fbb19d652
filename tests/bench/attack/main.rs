//! What attacks cost others: each runs for some seconds against a gateway of its own, while visitors ask at a steady pace over
//! HTTP/1.1, HTTP/2, HTTP/3 and new connections. Printed are what they waited, the gateway's memory, and what ended the attacks.
//! `tests/bench/README.md` says how to run it; a measurement, and no test.

#![expect(unreachable_pub, reason = "what the modules of one program share")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

mod frames;
mod packets;
mod slow;
#[path = "../../it/support"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tools of the tests, a few of which are used here")]
mod support {
    pub mod client;
    pub mod echo;
    pub mod gateway;
    pub mod h2_frames;
    pub mod h3;
    pub mod line;
    pub mod obedient;
    pub mod ports;
    pub mod process;
    pub mod server;
    pub mod wait;
}
mod tunnels;
mod visitors;

use support::gateway::Gateway;
use support::server::{self, Server};
use support::{echo, obedient, process, wait};
use visitors::ClientCertPolicy;

/// A gateway under attack.
pub struct Target {
    /// Its port.
    pub https: u16,
    /// Its local root.
    pub root: PathBuf,
    /// When the attack is over.
    pub end: Instant,
}

/// One go of one attacker, which lasts until it is stopped or the time is over; what it met with.
type Go = fn(&Target) -> String;

/// Each attack with how many attackers it has at a time.
const ATTACKS: &[(&str, usize, Go)] = &[
    ("none", 1, rest),
    ("rapid reset", 8, frames::rapid_reset),
    ("CONTINUATION", 8, frames::continuation),
    ("pings", 8, frames::pings),
    ("settings", 8, frames::settings),
    ("empty DATA", 8, frames::empty_data),
    ("HPACK bomb", 8, frames::bomb),
    ("zero window", 8, frames::zero_window),
    ("half headers", 8, slow::headers),
    ("half bodies", 8, slow::bodies),
    ("idle TCP", 8, slow::idle_tcp),
    ("idle TLS", 8, slow::idle_tls),
    ("handshakes", 8, slow::handshakes),
    ("rapid reset h3", 4, packets::rapid_reset),
    ("zero window h3", 4, packets::zero_window),
    ("UDP noise", 2, packets::noise),
    ("QUIC hellos", 2, packets::hellos),
    ("ws pings", 8, tunnels::pings),
    ("ws fragments", 8, tunnels::fragments),
];

/// Patience is short, so that the end of each of the slow is seen.
const PATIENCE: &str = "timeouts {\n    handshake 5s\n    header 5s\n    body 5s\n    send 5s\n    idle 5s\n}\n";

/// The word by which this program starts itself for the attackers' sake, so that they stand back where the gateway needs the
/// machine: they would otherwise measure who of the two gets it.
const ATTACKERS: &str = "--attackers";

struct Arguments {
    seconds: u64,
    only: Vec<String>,
    patience: &'static str,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, name, https, root, seconds] = words.as_slice()
        && first == ATTACKERS
    {
        let numbers = (https.parse().expect("a port"), seconds.parse().expect("seconds"));
        return println!("{}", attack(name, Path::new(root), numbers));
    }
    let arguments = arguments(words);
    println!("{:15} {:>40}   {:>18}  ended by", "attack", "p50/p99/max ms of h1, h2, h3, new", "MiB at rest, most");
    for (name, ..) in ATTACKS {
        if arguments.only.is_empty() || arguments.only.iter().any(|only| name.starts_with(only)) {
            run(name, &arguments);
        }
    }
}

fn arguments(words: Vec<String>) -> Arguments {
    let mut arguments = Arguments { seconds: 10, only: Vec::new(), patience: PATIENCE };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => arguments.seconds = words.next().and_then(|word| word.parse().ok()).expect("a number of seconds"),
            "--default-patience" => arguments.patience = "",
            // cargo's own.
            "--bench" => (),
            _ => arguments.only.push(word),
        }
    }
    arguments
}

/// Lays the siege, and prints its line.
fn run(name: &str, arguments: &Arguments) {
    let (obedient, echo) = (obedient::start(Arc::default()), echo::start());
    let mut gateway = start([&obedient, &echo], arguments);
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, Duration::from_secs(30));
    let visitors = ClientCertPolicy::start(gateway.https, &root);
    wait::until_true("the visitors are served", Duration::from_secs(30), || visitors.are_served());
    let scales = Scales::on(gateway.process().id());
    let before = status(&gateway);
    visitors.begin();
    let mut attackers = process::command("nice");
    attackers.args(["-n", "10"]).arg(env::current_exe().expect("this program")).args([ATTACKERS, name]);
    attackers.arg(gateway.https.to_string()).arg(&root).arg(arguments.seconds.to_string());
    let limit = Duration::from_secs(arguments.seconds + 60);
    let endings = process::run("the attackers", &mut attackers, limit).stdout;
    let endings = String::from_utf8_lossy(&endings).trim().to_owned();
    let waits = visitors.finish();
    let (at_rest, most) = scales.read();
    let refusals = changes(&before, &status(&gateway));
    println!("{name:15} {waits:>40}   {:>8} {:>9}  {endings}; {refusals}", at_rest >> 20, most >> 20);
}

fn start(backends: [&Server; 2], arguments: &Arguments) -> Gateway {
    let mut gateway = Gateway::prepare();
    let [obedient, echo] = backends.map(|backend| backend.address().port());
    let small = "    /small/* {\n        respond 200 ok\n    }\n";
    let ws = format!("    /ws {{\n        limit message 64KiB\n        proxy {echo}\n    }}\n");
    let site = format!("localhost {{\n{small}{ws}    proxy {obedient}\n}}");
    gateway.configure("", &format!("log access off\n{}{site}", arguments.patience));
    gateway.start();
    gateway
}

/// Attackers who begin again whenever they are stopped, for so many seconds; what stopped them how often.
fn attack(name: &str, root: &Path, (https, seconds): (u16, u64)) -> String {
    let (_, attackers, go) = ATTACKS.iter().find(|(known, ..)| *known == name).expect("it is in the list");
    let target = Target { https, root: root.to_owned(), end: Instant::now() + Duration::from_secs(seconds) };
    let mut endings: BTreeMap<String, usize> = BTreeMap::new();
    let all: Vec<String> = thread::scope(|scope| {
        let attacker = || {
            let mut met = Vec::new();
            while Instant::now() < target.end {
                met.push(go(&target));
            }
            met
        };
        let attackers: Vec<_> = (0..*attackers).map(|_| scope.spawn(attacker)).collect();
        attackers.into_iter().flat_map(|attacker| attacker.join().expect("no attacker panics")).collect()
    });
    for ending in all {
        *endings.entry(ending).or_default() += 1;
    }
    endings.iter().map(|(ending, count)| format!("{count} {ending}")).collect::<Vec<_>>().join(", ")
}

/// No attack, to compare with.
fn rest(target: &Target) -> String {
    server::runtime().block_on(async { tokio::time::sleep_until(target.end).await });
    "nobody".to_owned()
}

/// What the gateway tells of itself.
fn status(gateway: &Gateway) -> Value {
    let output = gateway.run("status --json");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Which of the gateway's counts have moved.
fn changes(before: &Value, after: &Value) -> String {
    let count = |status: &Value, path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let named = |list: &str| {
        let names = after.get(list).and_then(Value::as_object).into_iter().flatten();
        names.map(|(name, _)| (name.clone(), format!("/{list}/{name}"))).collect::<Vec<_>>()
    };
    let plain = ["requests", "refused", "turned_away", "connections"].map(|name| (name.to_owned(), format!("/{name}")));
    let all = plain.into_iter().chain(named("handshakes_failed_by")).chain(named("security"));
    let moved = all.map(|(name, path)| (name, count(after, &path).saturating_sub(count(before, &path))));
    moved.filter(|(_, by)| *by > 0).map(|(name, by)| format!("{name} +{by}")).collect::<Vec<_>>().join(", ")
}

/// Weighs a process again and again.
struct Scales {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(u64, u64)>,
}

impl Scales {
    fn on(process: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let at_rest = resident(process);
            let mut most = at_rest;
            server::runtime().block_on(async {
                while !stopped.load(Ordering::Relaxed) {
                    most = most.max(resident(process));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            (at_rest, most)
        });
        Self { stop, thread }
    }

    fn read(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("scales do not panic")
    }
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}
