//! A name server of the tests' own, for one set of zones: it says what it was told to say, and remembers what it was
//! asked. To the gateway it is its resolver and the zones' authoritative server at once.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::ports;
use super::server::Server;

/// A running name server on loopback, by UDP and TCP.
pub struct DnsServer {
    server: Server,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    zones: Vec<Name>,
    records: Vec<Record>,
    refused: BTreeMap<Name, ResponseCode>,
    anything: Option<IpAddr>,
    told: Option<PathBuf>,
    mute: bool,
    small: bool,
    heard: Vec<String>,
}

impl DnsServer {
    /// Starts one that knows nothing.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// As [`start`](Self::start), at this address of the machine.
    pub fn start_at(ip: Ipv4Addr) -> Self {
        let address = SocketAddr::from((ip, ports::free()));
        let script = Arc::<Mutex<Script>>::default();
        let told = Arc::clone(&script);
        // Before the server's thread runs, so that nobody asks too early.
        let socket = std::net::UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let server = Server::start("dns", address, async move |listener| {
            let socket = UdpSocket::from_std(socket).expect("the runtime has its I/O driver");
            tokio::join!(by_udp(&socket, &told), by_tcp(&listener, &told));
        });
        Self { server, script }
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Makes it responsible for a zone, whose one name server it is.
    pub fn zone(&self, apex: &str) -> &Self {
        let name = parse(apex);
        let server = parse(&format!("ns.{apex}"));
        let soa = SOA::new(server.clone(), name.clone(), 1, 3600, 600, 86_400, 5);
        self.tell(|script| script.zones.push(name.clone()));
        self.add(apex, RData::SOA(soa)).add(apex, RData::NS(NS(server)));
        match self.address().ip() {
            IpAddr::V4(ip) => self.add(&format!("ns.{apex}"), RData::A(A(ip))),
            IpAddr::V6(ip) => self.add(&format!("ns.{apex}"), RData::AAAA(AAAA(ip))),
        }
    }

    /// An address of either kind.
    pub fn address_of(&self, name: &str, ip: &str) -> &Self {
        match ip.parse().unwrap() {
            IpAddr::V4(ip) => self.add(name, RData::A(A(ip))),
            IpAddr::V6(ip) => self.add(name, RData::AAAA(AAAA(ip))),
        }
    }

    /// A CAA record, such as `issue` and `letsencrypt.org; validationmethods=dns-01`.
    pub fn caa(&self, name: &str, tag: &str, value: &str) -> &Self {
        let mut caa = CAA::new_issue(false, None, Vec::new());
        (caa.tag, caa.value) = (tag.to_owned(), value.as_bytes().to_vec());
        self.add(name, RData::CAA(caa))
    }

    /// A TXT record, in pieces of at most 255 bytes.
    pub fn txt(&self, name: &str, value: &str) -> &Self {
        let pieces = value.as_bytes().chunks(255).collect();
        self.add(name, RData::TXT(TXT::from_bytes(pieces)))
    }

    /// An alias.
    pub fn cname(&self, name: &str, target: &str) -> &Self {
        self.add(name, RData::CNAME(CNAME(parse(target))))
    }

    /// A name server of a zone.
    pub fn ns(&self, zone: &str, server: &str) -> &Self {
        self.add(zone, RData::NS(NS(parse(server))))
    }

    /// Takes every record of a name away.
    pub fn remove(&self, name: &str) -> &Self {
        let name = parse(name);
        self.tell(|script| script.records.retain(|record| record.name != name))
    }

    /// Answers questions about a name, and all below it, with this code.
    pub fn refuse(&self, name: &str, code: ResponseCode) -> &Self {
        self.tell(|script| _ = script.refused.insert(parse(name), code))
    }

    /// Gives this address to every name that has no records.
    pub fn anything_at(&self, ip: &str) -> &Self {
        self.tell(|script| script.anything = Some(ip.parse().unwrap()))
    }

    /// Has a TXT record for each file `NAME/VALUE` in this folder, as it is when it is asked.
    pub fn txt_from(&self, folder: &Path) -> &Self {
        self.tell(|script| script.told = Some(folder.to_owned()))
    }

    /// Whether it answers nothing at all.
    pub fn mute(&self, mute: bool) -> &Self {
        self.tell(|script| script.mute = mute)
    }

    /// Whether every answer is too large for UDP.
    pub fn too_large_for_udp(&self, small: bool) -> &Self {
        self.tell(|script| script.small = small)
    }

    /// What it was asked so far, such as `UDP TXT _acme-challenge.a.example`.
    pub fn heard(&self) -> Vec<String> {
        self.script.lock().unwrap().heard.clone()
    }

    fn add(&self, name: &str, data: RData) -> &Self {
        self.tell(|script| script.records.push(Record::from_rdata(parse(name), 5, data)))
    }

    fn tell(&self, change: impl FnOnce(&mut Script)) -> &Self {
        change(&mut self.script.lock().unwrap());
        self
    }
}

fn parse(name: &str) -> Name {
    let mut name = Name::from_ascii(name.to_ascii_lowercase()).unwrap();
    name.set_fqdn(true);
    name
}

async fn by_udp(socket: &UdpSocket, script: &Mutex<Script>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = script.lock().unwrap().answer(&buffer[..length], "UDP") {
            let _ = socket.try_send_to(&answer, from);
        }
    }
}

/// One connection after the other, with one question each.
async fn by_tcp(listener: &TcpListener, script: &Mutex<Script>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = one_by_tcp(stream, script).await;
        }
    }
}

async fn one_by_tcp(mut stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    let length = stream.read_u16().await?;
    let mut request = vec![0; usize::from(length)];
    stream.read_exact(&mut request).await?;
    let answer = script.lock().unwrap().answer(&request, "TCP");
    if let Some(answer) = answer {
        stream.write_all(&[&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat()).await?;
    }
    Ok(())
}

impl Script {
    fn answer(&mut self, request: &[u8], way: &str) -> Option<Vec<u8>> {
        let request = Message::from_vec(request).ok()?;
        let query = request.queries.first()?;
        let name = query.name().to_lowercase();
        self.heard.push(format!("{way} {} {}", query.query_type(), name.to_ascii().trim_end_matches('.')));
        if self.mute {
            return None;
        }
        let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
        answer.add_query(query.clone());
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        match way == "UDP" && self.small {
            true => answer.metadata.truncation = true,
            false => self.fill(&mut answer, name, query.query_type()),
        }
        answer.to_vec().ok()
    }

    fn fill(&self, answer: &mut Message, mut name: Name, kind: RecordType) {
        if let Some((_, code)) = self.refused.iter().find(|(refused, _)| refused.zone_of(&name)) {
            answer.metadata.response_code = *code;
            return;
        }
        loop {
            let told = self.told_of(&name);
            let found: Vec<Record> = self.records.iter().filter(|record| record.name == name).cloned().chain(told).collect();
            let (wanted, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| record.record_type() == kind);
            let exists = !rest.is_empty() || self.records.iter().any(|record| name.zone_of(&record.name));
            if !wanted.is_empty() {
                answer.add_answers(wanted);
                return;
            }
            if let Some(alias) = rest.into_iter().find(|record| record.record_type() == RecordType::CNAME) {
                if let RData::CNAME(target) = &alias.data {
                    name = target.0.to_lowercase();
                }
                answer.add_answer(alias);
                if answer.answers.len() > 20 {
                    return;
                }
                continue;
            }
            return self.say_no(answer, &name, kind, exists);
        }
    }

    fn told_of(&self, name: &Name) -> Vec<Record> {
        let Some(folder) = &self.told else { return Vec::new() };
        let folder = folder.join(name.to_ascii().trim_end_matches('.'));
        let values = fs::read_dir(folder).into_iter().flatten().flatten();
        let data = values.map(|file| RData::TXT(TXT::new(vec![file.file_name().into_string().unwrap()])));
        data.map(|data| Record::from_rdata(name.clone(), 5, data)).collect()
    }

    fn say_no(&self, answer: &mut Message, name: &Name, kind: RecordType, exists: bool) {
        match (self.anything, kind) {
            (Some(IpAddr::V4(ip)), RecordType::A) if !exists => {
                answer.add_answer(Record::from_rdata(name.clone(), 5, RData::A(A(ip))));
                return;
            }
            (Some(_), _) if !exists => (),
            _ if !exists => answer.metadata.response_code = ResponseCode::NXDomain,
            _ => (),
        }
        let zone = self.zones.iter().filter(|zone| zone.zone_of(name)).max_by_key(|zone| zone.num_labels());
        match zone {
            Some(zone) => {
                let soa = |record: &&Record| record.name == *zone && record.record_type() == RecordType::SOA;
                answer.add_authorities(self.records.iter().filter(soa).cloned().collect::<Vec<_>>());
            }
            None if self.anything.is_none() => answer.metadata.response_code = ResponseCode::Refused,
            None => (),
        }
    }
}
