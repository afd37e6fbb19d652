use super::*;

const HERE: &str = "198.51.100.7";
const CHALLENGES: [ChallengeKind; 2] = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];

fn door(ip: &str, plain: ProbeReply, tls: ProbeReply) -> PortProbe {
    PortProbe { ip: ip.parse().unwrap(), plain: Some(plain), tls: Some(tls) }
}

fn facts(name: &str, doors: Vec<PortProbe>) -> NameFacts {
    let of = |four: bool| {
        let found: Vec<IpAddr> = doors.iter().map(|door| door.ip).filter(|ip| ip.is_ipv4() == four).collect();
        if found.is_empty() { Answer::Nothing } else { Answer::Addresses(found) }
    };
    NameFacts { name: Identifier::parse(name).unwrap(), four: of(true), six: of(false), doors, caa: Ok(None) }
}

fn judged(facts: &NameFacts, own: &[&str]) -> Verdict {
    let own: Vec<IpAddr> = own.iter().map(|ip| ip.parse().unwrap()).collect();
    let identities = ["letsencrypt.org".to_owned()];
    let asker = CaaSubject { identities: &identities, account: None, challenges: &CHALLENGES };
    judge(facts, &LocalAddrs { own: &own, asker, ports: PublicPorts::STANDARD, public_authority: true })
}

/// The worst finding of a check, with its weight and words.
#[track_caller]
fn check(verdict: &Verdict, check: &str, weight: Severity, says: &str) {
    let found = verdict.findings.iter().filter(|finding| finding.check == check).max_by_key(|finding| finding.weight).unwrap();
    assert_eq!(found.weight, weight, "{verdict:#?}");
    assert!(format!("{found} -> {}", found.repair).contains(says), "{found:#?}");
}

fn other() -> ProbeReply {
    ProbeReply::Other("another web server (nginx): 404 Not Found".into())
}

#[test]
fn a_name_that_leads_here_is_fine() {
    let verdict = judged(&facts("a.test", vec![door(HERE, ProbeReply::Ourselves, ProbeReply::Ourselves)]), &[HERE]);
    assert!(verdict.findings.iter().all(|finding| finding.weight == Severity::Fine), "{verdict:#?}");
    assert_eq!(verdict.challenges, CHALLENGES);
}

#[test]
fn a_public_authority_does_not_come_to_other_ports() {
    let facts = facts("a.test", vec![door(HERE, ProbeReply::Ourselves, ProbeReply::Ourselves)]);
    let judged = |(plain, tls): (u16, u16), public_authority| {
        let asker = CaaSubject { identities: &[], account: None, challenges: &CHALLENGES };
        judge(&facts, &LocalAddrs { own: &[HERE.parse().unwrap()], asker, ports: PublicPorts { plain, tls }, public_authority })
    };
    let seen = judged((8080, 443), true);
    check(&seen, "port-80", Severity::Note, "at port 8080, and authorities come to port 80 for http-01");
    check(&seen, "port-443", Severity::Fine, "leads here");
    assert_eq!(seen.challenges, [ChallengeKind::TlsAlpn01]);
    let seen = judged((8080, 8443), true);
    check(&seen, "port-443", Severity::Prevents, "forward port 443 to this gateway and write `public-https-port 443`");
    check(&seen, "challenge", Severity::Prevents, "no configured challenge");
    assert_eq!(judged((8080, 8443), false).challenges, CHALLENGES, "an authority of one's own comes anywhere");
}

#[test]
fn a_name_without_an_address_is_told_what_to_add() {
    let verdict = judged(&facts("a.test", Vec::new()), &[HERE, "10.0.0.1"]);
    check(&verdict, "dns", Severity::Prevents, "add an A record for a.test that points to this machine (198.51.100.7)");
    check(&verdict, "challenge", Severity::Prevents, "no configured challenge");
}

#[test]
fn name_servers_that_do_not_answer_are_told_from_a_missing_record() {
    let mut facts = facts("a.test", Vec::new());
    facts.four = Answer::Untold("no answer about a.test (A) within 15 s".into());
    check(&judged(&facts, &[HERE]), "dns", Severity::Prevents, "repair the zone's name servers");
}

#[test]
fn a_name_that_leads_elsewhere_is_told_where() {
    let verdict = judged(&facts("a.test", vec![door("203.0.113.9", other(), other())]), &[HERE]);
    check(&verdict, "port-80", Severity::Prevents, "the A record leads to 203.0.113.9, where another web server (nginx)");
    check(&verdict, "port-80", Severity::Prevents, "let the A record point to this machine (198.51.100.7)");
    assert!(verdict.challenges.is_empty());
}

#[test]
fn another_program_on_our_own_port_is_told_from_another_machine() {
    let verdict = judged(&facts("a.test", vec![door(HERE, other(), ProbeReply::Ourselves)]), &[HERE]);
    check(&verdict, "port-80", Severity::Note, "stop that program on port 80");
    assert_eq!(verdict.challenges, [ChallengeKind::TlsAlpn01], "the other challenge can still work");
}

#[test]
fn a_forgotten_aaaa_record_is_named_by_itself() {
    let doors = vec![
        door(HERE, ProbeReply::Ourselves, ProbeReply::Ourselves),
        door("2001:db8::9", ProbeReply::Silent, ProbeReply::Silent),
    ];
    let verdict = judged(&facts("a.test", doors), &[HERE, "2001:db8::1"]);
    check(&verdict, "port-80", Severity::Note, "the AAAA record leads to 2001:db8::9, which does not answer as us");
    check(&verdict, "port-80", Severity::Note, "let the AAAA record point to this machine (2001:db8::1), or remove it");
    assert_eq!(verdict.challenges, CHALLENGES, "authorities go on to IPv4 where no connection comes about");
    let doors = vec![door(HERE, ProbeReply::Ourselves, ProbeReply::Ourselves), door("2001:db8::9", other(), other())];
    let verdict = judged(&facts("a.test", doors), &[HERE, "2001:db8::1"]);
    check(&verdict, "port-80", Severity::Prevents, "the AAAA record leads to 2001:db8::9, where another web server");
    assert!(verdict.challenges.is_empty(), "who answers first answers for all");
}

#[test]
fn a_closed_firewall_is_told_from_a_record_that_leads_elsewhere() {
    let verdict = judged(&facts("a.test", vec![door(HERE, ProbeReply::Silent, ProbeReply::Refused)]), &[HERE]);
    check(&verdict, "port-80", Severity::Prevents, "open port 80 in this machine's firewall");
    check(&verdict, "port-443", Severity::Prevents, "refuses connections");
}

#[test]
fn behind_a_router_what_is_not_reached_is_in_doubt() {
    let verdict = judged(&facts("a.test", vec![door(HERE, ProbeReply::Silent, ProbeReply::Silent)]), &["192.168.1.5"]);
    check(&verdict, "port-80", Severity::Note, "forward port 80 on the router to this machine");
    assert_eq!(verdict.challenges, CHALLENGES);
}

#[test]
fn behind_a_cdn_http_01_is_the_one_that_passes() {
    let verdict = judged(&facts("a.test", vec![door("104.16.1.1", ProbeReply::Ourselves, other())]), &[HERE]);
    check(&verdict, "dns", Severity::Fine, "behind Cloudflare");
    check(&verdict, "port-80", Severity::Fine, "leads here through Cloudflare");
    check(&verdict, "port-443", Severity::Note, "tls-alpn-01 cannot pass it");
    assert_eq!(verdict.challenges, [ChallengeKind::Http01]);
}

#[test]
fn caa_counts_even_where_every_door_is_open() {
    let mut facts = facts("a.test", vec![door(HERE, ProbeReply::Ourselves, ProbeReply::Ourselves)]);
    let record = |value: &str| Caa { critical: false, tag: "issue".into(), value: value.into() };
    facts.caa = Ok(Some(("test".into(), vec![record("other.example")])));
    check(&judged(&facts, &[HERE]), "caa", Severity::Prevents, "add `test. CAA 0 issue \"letsencrypt.org\"`");
    facts.caa = Ok(Some(("test".into(), vec![record("letsencrypt.org; validationmethods=tls-alpn-01")])));
    assert_eq!(judged(&facts, &[HERE]).challenges, [ChallengeKind::TlsAlpn01]);
    facts.caa = Err("SERVFAIL".into());
    check(&judged(&facts, &[HERE]), "caa", Severity::Prevents, "must answer questions for CAA");
}

#[test]
fn where_port_80_leads_here_and_443_does_not_the_record_is_right() {
    for seen in [other(), ProbeReply::Refused, ProbeReply::Silent] {
        let verdict = judged(&facts("a.test", vec![door("203.0.113.9", ProbeReply::Ourselves, seen)]), &[HERE]);
        check(&verdict, "port-443", Severity::Prevents, "-> forward TCP 443 and UDP 443 there to this machine");
    }
}

#[test]
fn a_remedy_for_an_aaaa_record_names_an_address_of_its_own_family_or_its_removal() {
    let six = |own: &[&str]| judged(&facts("a.test", vec![door("2001:4860::9", other(), other())]), own);
    check(&six(&[HERE]), "port-80", Severity::Prevents, "-> remove the AAAA record: this machine has no public IPv6 address");
    let own = "let the AAAA record point to this machine (2001:4860::7), or remove it";
    check(&six(&[HERE, "2001:4860::7"]), "port-80", Severity::Prevents, own);
}

#[test]
fn a_name_behind_a_cdn_is_not_told_to_point_its_record_here() {
    for seen in [other(), ProbeReply::Refused, ProbeReply::Silent] {
        let verdict = judged(&facts("a.test", vec![door("104.16.1.1", seen.clone(), seen)]), &[HERE]);
        let repairs: Vec<&str> = verdict.findings.iter().map(|finding| finding.repair.as_str()).collect();
        assert!(!repairs.iter().any(|repair| repair.contains("record point")), "{repairs:?}");
    }
}
