//! Somebody whom the server calls: keeps every request, and replies as it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use zhida::desk::new_id;
use zhida::desk::webhooks::new_secret;
use zhida::store::Webhook;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The same, as it came.
    pub bytes: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// What is replied.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    Json(u16, Value),
    /// To another address.
    Redirect(String),
    /// Nothing at all, until the caller has enough.
    Hang,
}

type Script = dyn Fn(&Call) -> Answer + Send + Sync;

#[derive(Default)]
struct Heard {
    calls: Vec<Call>,
    queue: VecDeque<Answer>,
    /// Connections that are left without a reply.
    hanging: Vec<TcpStream>,
}

/// A receiver on a port of its own.
pub struct Receiver {
    pub url: String,
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

fn locked(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A webhook that sends everything to an address, which may be one of this machine.
pub fn webhook(url: &str) -> Webhook {
    Webhook {
        id: new_id(),
        name: String::new(),
        url: url.to_owned(),
        events: Vec::new(),
        kbs: Vec::new(),
        secret: new_secret().expect("random"),
        previous: None,
        previous_until: None,
        private: true,
        created_at: 0,
    }
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::scripted(|_| Answer::Status(200))
    }

    /// One that replies as a script says, unless [`Self::next`] says otherwise.
    pub fn scripted(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let (keeper, script): (_, Arc<Script>) = (Arc::clone(&heard), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (keeper, script) = (Arc::clone(&keeper), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &keeper, &*script));
            }
        });
        Self { url, heard }
    }

    /// What the next calls hear, in order.
    pub fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        locked(&self.heard.0).queue.extend(answers);
    }

    pub fn calls(&self) -> Vec<Call> {
        locked(&self.heard.0).calls.clone()
    }

    /// Waits until something was called that is looked for.
    pub fn wait_for(&self, wanted: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut heard = locked(&self.heard.0);
        while !wanted(&heard.calls) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it was never called so: {:#?}", heard.calls);
            heard = self.heard.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        heard.calls.clone()
    }

    /// Waits for the first call whose JSON has a `type`.
    pub fn event(&self, kind: &str) -> Call {
        let is =
            |call: &Call| serde_json::from_str::<Value>(&call.body).is_ok_and(|body| body["type"] == kind);
        let calls = self.wait_for(|calls| calls.iter().any(is));
        calls.into_iter().find(is).expect("there")
    }
}

fn serve(mut stream: TcpStream, keeper: &(Mutex<Heard>, Condvar), script: &Script) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut parts = line.split_whitespace();
    let (method, path) =
        (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let call = Call { method, path, headers, body: String::from_utf8_lossy(&body).into_owned(), bytes: body };
    let answer = {
        let mut heard = locked(&keeper.0);
        let answer = heard.queue.pop_front().unwrap_or_else(|| script(&call));
        heard.calls.push(call);
        keeper.1.notify_all();
        if matches!(answer, Answer::Hang) {
            heard.hanging.push(stream.try_clone().expect("a stream"));
        }
        answer
    };
    let (status, extra, text) = match answer {
        Answer::Hang => return,
        Answer::Status(status) => (status, String::new(), String::new()),
        Answer::Json(status, value) => {
            (status, "content-type: application/json\r\n".to_owned(), value.to_string())
        }
        Answer::Redirect(to) => (302, format!("location: {to}\r\n"), String::new()),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\n{extra}content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}
