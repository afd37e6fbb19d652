//! Clients in the clear that send first, end their half of the connection, and then read, as `nc -N` does (RFC 9112 section 6.3).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;
const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A gateway in the clear before a backend that the test plays, and a client that has asked it.
fn stage() -> (Gateway, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("http://localhost {{\n    proxy {}\n}}", listener.local_addr().unwrap().port()));
    gateway.launch();
    let mut client = wait::until("the gateway listens in the clear", SOON, || TcpStream::connect(("127.0.0.1", gateway.http)));
    client.set_read_timeout(Some(SOON)).unwrap();
    client.write_all(GET).unwrap();
    let (mut backend, _) = listener.accept().unwrap();
    backend.set_read_timeout(Some(SOON)).unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = backend.read(&mut piece).unwrap();
        assert!(count > 0, "the request ends in its header");
        asked.extend_from_slice(&piece[..count]);
    }
    (gateway, client, backend)
}

#[test]
fn a_half_closed_request_gets_its_answer() {
    let (gateway, mut client, mut backend) = stage();
    client.shutdown(Shutdown::Write).unwrap();
    // A gateway that takes this for the client's end closes here.
    backend.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let closed = backend.read(&mut [0; 16]);
    assert!(closed.is_err(), "the request was given up: {closed:?}");
    backend.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhi"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    gateway.until_logged("\"status\":200");
}

#[test]
fn a_client_that_resets_its_connection_takes_the_backends_request_with_it() {
    let (gateway, client, mut backend) = stage();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(backend.read(&mut [0; 16]).unwrap(), 0, "the backend's connection is closed");
    gateway.until_logged("\"status\":499");
}

#[test]
fn a_client_that_leaves_altogether_is_given_up_after_a_while() {
    let (gateway, client, mut backend) = stage();
    drop(client);
    assert_eq!(backend.read(&mut [0; 16]).unwrap(), 0, "the backend's connection is closed");
    gateway.until_logged("\"status\":499");
}
