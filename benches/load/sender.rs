//! Sends requests at random moments, whether or not earlier ones were answered.
//!
//! usage: sender ADDRESS RATE SECONDS CONNECTIONS SEED CLOSED FILE
//!
//! FILE holds whole requests, each behind its length in bytes as a line. With CLOSED = 1 every
//! connection sends its next request as soon as it has the reply to the last one, and RATE does
//! not count. Prints a line for every request: when it was due (seconds from the beginning), how
//! long after that its reply was there, the status (0: none), and how late it was sent.
//! `benches/load.py` compiles and runs it: a sender in Python cannot keep up with what refuses
//! thousands a second.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Who was never replied to within this long is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

struct Sent {
    due: f64,
    took: f64,
    status: u16,
    late: f64,
}

/// Moments of a Poisson process, by xorshift.
fn moments(rate: f64, seconds: f64, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let (mut all, mut at) = (Vec::new(), 0.0);
    loop {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = ((state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        at -= uniform.min(1.0).ln() / rate;
        if at >= seconds {
            return all;
        }
        all.push(at);
    }
}

fn connect(address: &str) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// The status of the reply; `None` when none came, or not whole.
fn exchange(stream: &mut TcpStream, request: &[u8], read: &mut Vec<u8>) -> Option<u16> {
    stream.write_all(request).ok()?;
    read.clear();
    let mut part = [0; 16_384];
    loop {
        let more = stream.read(&mut part).ok().filter(|more| *more > 0)?;
        read.extend_from_slice(&part[..more]);
        let Some(head) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if read.len() >= head + 4 + length.unwrap_or(0) {
            return text.get(9..12)?.parse().ok();
        }
    }
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds, connections, seed, closed, file] = &given[..] else {
        eprintln!("usage: sender ADDRESS RATE SECONDS CONNECTIONS SEED CLOSED FILE");
        std::process::exit(2);
    };
    let number = |text: &String| text.parse::<f64>().expect("a number");
    let (seconds, seed, closed) = (number(seconds), number(seed) as u64, closed == "1");
    let mut rest = &std::fs::read(file).expect("the file of requests")[..];
    let mut requests: Vec<Vec<u8>> = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let length: usize = String::from_utf8_lossy(&rest[..end]).parse().expect("a length");
        requests.push(rest[end + 1..end + 1 + length].to_vec());
        rest = &rest[end + 1 + length..];
    }
    let due = Arc::new(if closed { Vec::new() } else { moments(number(rate), seconds, seed) });
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let told = Arc::new(Mutex::new(Vec::<Sent>::new()));
    let start = Instant::now() + Duration::from_millis(200);
    let workers: Vec<_> = (0..number(connections) as usize)
        .map(|_| {
            let (due, requests, next, told) = (due.clone(), requests.clone(), next.clone(), told.clone());
            let address = address.clone();
            let work = move || {
                let (mut stream, mut read, mut own) = (None, Vec::new(), Vec::new());
                thread::sleep(start.saturating_duration_since(Instant::now()));
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let now = start.elapsed().as_secs_f64();
                    let moment = if closed { Some(now).filter(|now| *now < seconds) } else { due.get(at).copied() };
                    let Some(moment) = moment else { break };
                    if now > seconds + PATIENCE.as_secs_f64() {
                        own.push(Sent { due: moment, took: now - moment, status: 0, late: now - moment });
                        continue;
                    }
                    if moment > now {
                        thread::sleep(Duration::from_secs_f64(moment - now));
                    }
                    stream = stream.or_else(|| connect(&address));
                    let late = start.elapsed().as_secs_f64() - moment;
                    let request = &requests[(at + seed as usize * 37) % requests.len()];
                    let status = stream.as_mut().and_then(|stream| exchange(stream, request, &mut read));
                    if status.is_none() {
                        stream = None;
                    }
                    let took = start.elapsed().as_secs_f64() - moment;
                    own.push(Sent { due: moment, took, status: status.unwrap_or(0), late });
                }
                told.lock().expect("nobody panics").append(&mut own);
            };
            thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread")
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().expect("nobody panics"));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for Sent { due, took, status, late } in told.lock().expect("nobody panics").iter() {
        writeln!(out, "{due:.6} {took:.6} {status} {late:.6}").expect("written");
    }
}
