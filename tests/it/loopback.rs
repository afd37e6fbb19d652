//! A program on this machine that listens at one of the two loopback addresses alone, named by a bare port or as `localhost`:
//! every client of the gateway reaches it, and where nothing listens both addresses are named.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::{echo, ports, wait};

const SOON: Duration = wait::LIMIT;

fn probed(gateway: &Gateway, path: &str) -> String {
    let url = format!("https://localhost:{}{path}", gateway.https);
    String::from_utf8_lossy(&gateway.run(&format!("probe {url}")).stdout).into_owned()
}

#[test]
fn a_backend_at_either_loopback_address_alone_is_reached_by_every_client() {
    for address in ["127.0.0.1", "::1"] {
        let backend = echo::start_at((address.parse::<IpAddr>().unwrap(), 0).into());
        let (port, dead) = (backend.address().port(), ports::free());
        let (gateway, root) = Gateway::on_localhost(&format!(
            "upstream checked {{\n    to {port} {dead}\n    health /up every 100ms {{\n        timeout 10s\n    }}\n}}\n\
             upstream looked-up {{\n    to localhost:{port}\n    resolve every 30s\n}}\n\
             localhost {{\n    /checked/* {{\n        proxy checked\n    }}\n    /looked-up/* {{\n        proxy looked-up\n    }}\n    \
             /named/* {{\n        proxy localhost:{port}\n    }}\n    /guarded/* {{\n        \
             auth forward http://localhost:{port}/may\n        respond 200 in\n    }}\n    /* {{\n        proxy {port}\n    }}\n}}"
        ));
        // The health check of the dead one has ended, so that of the other has as well, again and again.
        let text = wait::until("the gateway knows who is down", SOON, || {
            let text = probed(&gateway, "/checked/x");
            if text.contains(&format!("127.0.0.1:{dead} is down (its health check fails")) { Ok(text) } else { Err(text) }
        });
        assert!(!text.contains(&format!("127.0.0.1:{port} is down")), "{address}: {text}");
        for path in ["/bare", "/checked/x", "/looked-up/x", "/named/x", "/guarded/x"] {
            let seen = gateway.get("localhost", path, &root).unwrap();
            assert_eq!(seen.response.status(), 200, "{address}{path}");
        }
        let text = probed(&gateway, "/bare");
        let shown = backend.address().to_string();
        assert!(text.contains(&format!("ok   tcp        {shown}")) || text.contains(&shown), "{address}: {text}");
        let doctor = String::from_utf8_lossy(&gateway.run("doctor").stdout).into_owned();
        let about_live = doctor.lines().filter(|line| line.contains("FAIL") && line.contains(&port.to_string()));
        assert_eq!(about_live.count(), 0, "{address}: {doctor}");
    }
}

#[test]
fn a_port_of_this_machine_where_nothing_listens_is_named_with_both_addresses_and_their_answers() {
    let port = ports::free();
    let (mut gateway, _) = Gateway::on_localhost("localhost {\n    respond 200 here\n}");
    gateway.configure("", &format!("localhost {{\n    proxy {port}\n}}"));
    assert!(gateway.run("reload").status.success());
    let text = wait::until("the backend is asked", SOON, || {
        let text = probed(&gateway, "/");
        if text.contains("backend-not-there") { Ok(text) } else { Err(text) }
    });
    let refused = "Connection refused (os error 111)";
    let seen = format!("127.0.0.1:{port}: {refused}; [::1]:{port}: {refused}");
    assert!(text.contains(&seen), "{text}");
    assert!(text.contains("inside a container, 127.0.0.1 and ::1 are the container itself"), "{text}");
    let doctor = String::from_utf8_lossy(&gateway.run("doctor").stdout).into_owned();
    assert!(doctor.contains("neither on 127.0.0.1 nor on ::1"), "{doctor}");
    gateway.process().until_said("neither on 127.0.0.1 nor on ::1", SOON);
}

#[test]
fn a_gateway_that_does_not_run_is_named_with_every_address_that_was_tried() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    let (text, port) = (probed(&gateway, "/"), gateway.https);
    let refused = "Connection refused (os error 111)";
    let seen = format!("nobody-listens: nothing listens there: 127.0.0.1:{port}: {refused}; [::1]:{port}: {refused}");
    assert!(text.contains(&seen), "{text}");
}
