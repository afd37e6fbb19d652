//! Standard output and standard error that nothing reads, as with a log driver that stands still: the gateway serves, answers
//! its operator, and ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::{process, wait};

const SOON: Duration = wait::LIMIT;
/// What a pipe holds (pipe(7)).
const PIPE: usize = 64 << 10;
/// At this level each refused request is one event of more than 200 bytes, however many there are.
const EVENTS: usize = 800;
const LOG: &str = "log {\n level debug\n access on\n}\n";
const CLOSE: &str = "Connection: close\r\n";

fn prepare() -> Gateway {
    let gateway = Gateway::prepare();
    let http = gateway.http;
    gateway
        .configure("", &format!("{LOG}http://localhost:{http} {{\n /dead {{\n  proxy 127.0.0.1:9\n }}\n respond 200 here\n}}"));
    gateway
}

/// The status line of one request over plain HTTP.
fn ask(port: u16, path: &str, fields: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(SOON))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n")?;
    let mut line = [0; 12];
    socket.read_exact(&mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn until_answered(port: u16) {
    wait::until("the gateway answers", SOON, || ask(port, "/", CLOSE));
}

#[test]
fn requests_operators_and_the_end_do_not_wait_for_a_reader_of_the_logs() {
    let mut gateway = prepare();
    gateway.launch_unread();
    until_answered(gateway.http);
    for _ in 0..EVENTS {
        assert_eq!(ask(gateway.http, "/dead", CLOSE).unwrap(), "HTTP/1.1 502");
    }
    assert_eq!(ask(gateway.http, "/", CLOSE).unwrap(), "HTTP/1.1 200");
    assert!(gateway.run("status").status.success());
    assert!(gateway.run("reload").status.success());
    gateway.process().signal("TERM");
    assert!(gateway.process().until_ended(SOON).success());
}

#[test]
fn what_waited_is_written_when_the_logs_are_read_again() {
    let mut gateway = prepare();
    gateway.launch_unread();
    until_answered(gateway.http);
    for _ in 0..EVENTS {
        assert_eq!(ask(gateway.http, "/dead", CLOSE).unwrap(), "HTTP/1.1 502");
    }
    gateway.process().read_output();
    wait::until("every event is written", SOON, || {
        let output = gateway.output();
        let found = output.lines().filter(|line| line.contains("\"refused\"")).count();
        if found == EVENTS { Ok(()) } else { Err(format!("{found} of {EVENTS}")) }
    });
    let first = gateway.output().lines().position(|line| line.contains("\"started\""));
    let failed = gateway.output().lines().position(|line| line.contains("\"refused\""));
    assert!(first < failed, "in order");
}

/// A pipe that is full before the program starts.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; PIPE]).unwrap();
    (reader, writer)
}

#[test]
fn a_start_does_not_wait_for_a_reader_either() {
    let gateway = prepare();
    let (_reader, writer) = full_pipe();
    let mut command = gateway.command();
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    until_answered(gateway.http);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_start_that_fails_ends_although_its_reason_cannot_be_written() {
    let gateway = prepare();
    gateway.configure("", "localhost {\n    proxxy 3000\n}");
    let (_reader, writer) = full_pipe();
    let mut child = gateway.command().stderr(writer).spawn().unwrap();
    let status = wait::until("it ends", SOON, || child.try_wait().unwrap().ok_or("it runs"));
    assert_eq!(status.code(), Some(3));
    // The same where it can be written.
    let output = process::run("doorward", &mut gateway.command(), SOON);
    assert!(String::from_utf8_lossy(&output.stderr).contains("proxxy"), "{output:?}");
}
