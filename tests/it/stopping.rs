//! Does a server that is asked to stop say so, and leave nobody without a reply?

#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Running, exchange, publish, serve};
use crate::support::SMALL_KB;

/// A server over one small knowledge base.
fn running(delay: Option<&str>) -> (tempfile::TempDir, Running) {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let mut command = serve(folder.path(), "127.0.0.1:0");
    if let Some(delay) = delay {
        command.args(["--shutdown-delay", delay]);
    }
    let server = Running::of(command);
    (folder, server)
}

#[test]
fn requests_are_taken_while_balancers_learn_that_it_stops() {
    let (_folder, server) = running(Some("3"));
    let mut kept = TcpStream::connect(&server.address).expect("a connection");
    let mut get = |path: &str| {
        write!(kept, "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address).expect("sent");
        let mut reply = Vec::new();
        let mut some = [0; 4096];
        // As short as they are, replies come whole.
        while !reply.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = kept.read(&mut some).expect("a reply");
            assert!(read > 0, "the connection was closed without a reply");
            reply.extend_from_slice(&some[..read]);
        }
        String::from_utf8_lossy(&reply).to_ascii_lowercase()
    };
    assert!(!get("/healthz").contains("connection: close"));
    server.signal("TERM");
    let asked = Instant::now();
    // It is told at once,
    let until = asked + Duration::from_secs(1);
    let told = loop {
        let (status, body) = server.get("/readyz");
        if status == 503 || Instant::now() > until {
            break (status, serde_json::from_str::<Value>(&body).expect("JSON")["status"].clone());
        }
    };
    assert_eq!(told, (503, json!("stopping")));
    // new connections are served on, and kept ones told to come anew.
    let body = json!({"text": "怎么开电子发票"}).to_string();
    let mut answered = 0;
    while asked.elapsed() < Duration::from_millis(2_500) {
        let (status, _, reply) = exchange(&server.address, "POST", "/v1/answer", &[], &body);
        assert_eq!(status, 200, "{reply}");
        answered += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(answered > 10, "{answered}");
    assert!(get("/healthz").contains("connection: close"));
    let (status, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(asked.elapsed() >= Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn one_that_is_alone_stops_at_once() {
    // Where it has its records on a server it takes itself for one of several.
    let is_on_server = std::env::var_os(crate::support::DATABASES).is_some();
    let (_folder, server) = running(is_on_server.then_some("0"));
    let asked = Instant::now();
    assert_eq!(server.stop().0, Some(0));
    assert!(asked.elapsed() < Duration::from_millis(1_900), "{:?}", asked.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second, status) in [("TERM", "TERM", 143), ("INT", "INT", 130)] {
        let (_folder, server) = running(Some("60"));
        server.signal(first);
        let until = Instant::now() + Duration::from_secs(10);
        while server.get("/readyz").0 != 503 {
            assert!(Instant::now() < until, "it does not say that it stops");
        }
        server.signal(second);
        let (ended, log) = server.ended();
        assert_eq!(ended, Some(status), "{log}");
        assert!(log.contains("asked to stop again"), "{log}");
    }
}

#[test]
fn a_delay_that_is_none_is_wrong_usage() {
    for delay in ["601", "1.5", "soon"] {
        let output = crate::support::run(crate::support::zhida().args(["serve", "--shutdown-delay", delay]));
        assert_eq!(output.status.code(), Some(2), "{delay}");
        assert!(crate::support::stderr(&output).contains("--shutdown-delay"), "{delay}");
    }
}
