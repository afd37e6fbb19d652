//! A state folder whose disk does not answer: what is served goes on, and what hangs is named.

use std::fs;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::{process, wait};

const SOON: Duration = wait::LIMIT;

#[test]
fn a_state_folder_that_hangs_is_named_while_requests_status_reloads_and_the_stop_go_on() {
    let (mut gateway, root) = Gateway::on_localhost("localhost {\n respond 200 here\n}\n");
    // The journal's folder is replaced, so that it is opened anew; and opening a pipe without a writer never returns.
    let journal = gateway.state().join("journal");
    fs::remove_dir_all(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    assert!(process::command("mkfifo").arg(journal.join("conf")).status().unwrap().success());
    let named = format!("the disk of the state folder does not answer: to look at {} takes ", journal.display());
    wait::until("status names what hangs", SOON, || {
        let output = gateway.run("status");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.contains(&named) { Ok(()) } else { Err(said) }
    });
    gateway.process().until_said("state_not_writable", SOON);
    assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "here");
    // A certificate of the local authority is made from memory.
    gateway.configure("", "localhost {\n respond 200 changed\n}\nnew.localhost {\n respond 200 new\n}\n");
    assert!(gateway.run("reload").status.success());
    assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "changed");
    assert_eq!(gateway.get("new.localhost", "/", &root).unwrap().text(), "new");
    assert!(gateway.run("certs renew localhost").status.success());
    assert!(gateway.stop().success());
}
