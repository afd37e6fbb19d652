//! What a group of backends does for a request, in words: how one is chosen, when one is left out, and what happens when none
//! is left. What is true of them now is `doorward status`'s to say.

use std::net::SocketAddr;

use crate::base::duration;
use crate::config::settings::{Balance, CircuitBreaker, HashOf, Health, MaxFails, Resolve, Upstream, in_words};

/// Facts, one a line, in the order in which they matter.
pub(super) fn told(upstream: &Upstream) -> Vec<String> {
    // Every field is named, so that a new word asks to be explained.
    let Upstream {
        name: _,
        targets,
        resolve,
        balance,
        sticky,
        health,
        max_fails,
        circuit_breaker,
        fail_status,
        slow_start,
        retry,
        retry_budget,
        hold,
        max_connections,
        timeouts,
        protocols: _,
        tls: _,
        proxy_protocol,
    } = upstream;
    let several = targets.len() > 1 || resolve.is_some();
    let mut facts = vec![chosen(upstream, balance)];
    facts.extend(resolve.as_ref().map(looked_up));
    let backups: Vec<String> = targets.iter().filter(|target| target.backup).map(ToString::to_string).collect();
    facts.extend((!backups.is_empty()).then(|| format!("{} only when no other is up (backup)", backups.join(", "))));
    facts.extend(
        sticky.as_ref().map(|sticky| format!("who has its cookie {} goes to the same one again (sticky)", sticky.cookie)),
    );
    facts.extend(max_connections.map(|most| format!("at most {most} requests and tunnels are open on one (max-connections)")));
    facts.extend(health.as_ref().map(checked));
    facts.extend(max_fails.as_ref().filter(|_| several).map(left_out));
    facts.extend(circuit_breaker.as_ref().map(broken));
    if !fail_status.is_empty() && (several || circuit_breaker.is_some()) {
        facts.push(format!("{} count as failures of it (fail-status)", in_words(fail_status)));
    }
    if !slow_start.is_zero() && several {
        facts.push(format!("one that came back gets its share over {} (slow-start)", duration::print(*slow_start)));
    }
    if *retry > 0 && several {
        let times = if *retry == 1 { "once".to_owned() } else { format!("{retry} times") };
        facts.push(format!(
            "what did not reach one is tried at another, {times}, and no more than {retry_budget}% of the requests (retry)"
        ));
    }
    facts.extend(hold.map(|hold| {
        let (span, most) = (duration::print(hold.span), hold.most);
        format!("while none can take it, it waits for {span}, with {most} others at most (hold)")
    }));
    facts.extend(timeouts.first_byte.map(|limit| format!("it has {} for the first byte of its answer", duration::print(limit))));
    facts.extend(proxy_protocol.map(|_| "it is told who the client is before anything else (proxy-protocol)".to_owned()));
    facts
}

fn chosen(upstream: &Upstream, how: &Balance) -> String {
    let targets = upstream.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match upstream.targets.len() {
        1 => format!("proxy to {targets}"),
        _ => format!("proxy to one of {targets}, {}", balance(how)),
    }
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::RoundRobin => "in turn".into(),
        Balance::LeastConnections => "the one with the fewest open".into(),
        Balance::Random => "the less busy of two at random".into(),
        Balance::Hash(HashOf::Ip) => "the same one for the same client".into(),
        Balance::Hash(HashOf::Header(name)) => format!("the same one for the same {name}"),
        Balance::Hash(HashOf::Cookie(name)) => format!("the same one for the same cookie {name}"),
        Balance::Hash(HashOf::Uri) => "the same one for the same path and query".into(),
    }
}

fn looked_up(resolve: &Resolve) -> String {
    let at = |servers: &[SocketAddr]| match servers {
        [] => String::new(),
        servers => format!(" at {}", servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let how = match resolve {
        Resolve::Every(span) => format!("by the system's resolver every {}", duration::print(*span)),
        Resolve::Dns(servers) => format!("by DNS{}", at(servers)),
        Resolve::Srv(servers) => format!("by DNS{} as services (SRV)", at(servers)),
    };
    format!("names among them are looked up {how}, and each address is a target of its own (resolve)")
}

fn checked(health: &Health) -> String {
    let (path, every, status) = (&health.path, duration::print(health.every), in_words(&health.status));
    format!("one gets nothing while its check fails: GET {path} every {every} is to be answered with {status} (health)")
}

fn left_out(rule: &MaxFails) -> String {
    let (count, within, out) = (rule.count, duration::print(rule.within), duration::print(rule.out));
    format!("one at which {count} requests fail within {within} is left out for {out}, while there is another (max-fails)")
}

fn broken(rule: &CircuitBreaker) -> String {
    let CircuitBreaker { percent, least, .. } = rule;
    let (within, out) = (duration::print(rule.within), duration::print(rule.out));
    format!(
        "one that fails {percent}% of at least {least} requests within {within} gets nothing for {out}, and 503 is answered \
         when none is left (circuit-breaker)"
    )
}
