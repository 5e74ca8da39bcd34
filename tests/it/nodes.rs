//! Do several servers hold the knowledge bases together, and one no more than it may?

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use zhida::server::{Openness, Registry, Server, Share, Sharing, router};

use crate::http::{MAX_WRONG, admission, ask, exchange, get, publish};
use crate::support::SMALL_KB;

fn registry(data: &Path, sharing: &Sharing) -> Arc<Registry> {
    let store = crate::support::store(data);
    let share = Arc::new(Share::new(&store, sharing).expect("a share"));
    Arc::new(Registry::new(store, None, MAX_WRONG, "kb0").with_share(share))
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|at| format!("kb{at}")).collect()
}

/// Knowledge bases that answer the same question, each with its own name.
fn prepared(number: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names(number) {
        publish(folder.path(), &name, SMALL_KB, None);
    }
    folder
}

#[tokio::test]
async fn what_is_closed_to_make_room_is_opened_for_who_asks() {
    let folder = prepared(6);
    // By estimate each takes a little more than 2 MiB.
    let sharing = Sharing { memory: Some(7 << 20), ..Sharing::default() };
    let registry = registry(folder.path(), &sharing);
    registry.open_all().expect("as many open as there is room for");
    let app = router(Server::new(Arc::clone(&registry), admission()));
    let open = async || {
        registry.refresh();
        get(&app, "/v1/nodes").await.json()
    };
    assert_eq!(open().await["open"], 3);
    assert_eq!(get(&app, "/readyz").await.json()["status"], "ready");
    for _ in 0..2 {
        for name in names(6) {
            let got = ask(&app, json!({"text": "几点关门", "kb": name})).await;
            assert_eq!(got.status, 200, "{}", got.text());
            assert_eq!(got.json()["kb"], name);
            let told = open().await;
            let bytes = told["bytes"].as_u64().expect("a size");
            assert!(bytes <= 7 << 20 && told["open"].as_u64() < Some(4), "{told}");
        }
    }
    // What was edited while it was closed counts when it is opened.
    let shelf = crate::support::store(folder.path()).shelf("kb0").expect("it is there");
    let entry = shelf.draft().expect("a draft").entries()[0].clone();
    let changed = zhida::kb::Entry { answer: "改过的答案。".to_owned(), ..entry.clone() };
    let edit = zhida::store::Edit::Put(changed);
    shelf.edit(&entry.id, edit, &zhida::store::Expected::Anything, true).expect("an edit");
    let reply = ask(&app, json!({"text": entry.question, "kb": "kb0"})).await.json();
    assert_eq!(reply["answer"]["text"], "改过的答案。", "{reply}");
    // All of them are told, and named ones only to who may know of them.
    let all = get(&app, "/v1/kbs").await.json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(6), "{all}");
    let none = ask(&app, json!({"text": "几点关门", "kb": "kb9"})).await;
    none.problem(404, "unknown-kb");
}

/// A server in a runtime of its own, so that it can vanish as a whole.
struct Node {
    runtime: Option<Runtime>,
    address: String,
    /// Asks it to stop, by being dropped.
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

/// How long a node goes on when it was asked to stop.
const DELAY: Duration = Duration::from_secs(5);

impl Node {
    fn start(data: &Path, replicas: usize) -> Self {
        Self::prepared_by(data, replicas, |registry| registry.open_all())
    }

    fn prepared_by(
        data: &Path,
        replicas: usize,
        prepare: impl FnOnce(&Registry) -> zhida::error::Result<()> + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let sharing = Sharing { node_url: Some(format!("http://{address}")), replicas, memory: None };
        let openness = Openness { shutdown_delay: DELAY, ..Openness::default() };
        let server = Server::with(registry(data, &sharing), admission(), openness);
        let (stop, asked) = tokio::sync::oneshot::channel();
        let stopping = async { drop(asked.await) };
        runtime.spawn(zhida::server::run(listener, server, prepare, stopping));
        Self { runtime: Some(runtime), address, stop: Some(stop) }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, head, body) = exchange(&self.address, method, path, &[], &body.to_string());
        let body =
            if head.contains("chunked") { body.split("\r\n").nth(1).unwrap_or_default() } else { &body };
        (status, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
    }

    fn ask(&self, body: &Value) -> Value {
        let (status, reply) = self.call("POST", "/v1/answer", body);
        assert_eq!(status, 200, "{reply}");
        reply
    }

    fn nodes(&self) -> Value {
        self.call("GET", "/v1/nodes", &Value::Null).1
    }

    fn vanish(&mut self) {
        self.runtime.take().expect("it runs").shutdown_background();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_knowledge_base_is_held_by_some_and_answered_by_all() {
    let folder = prepared(12);
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::start(folder.path(), 1)).collect();
    let sees = |node: &Node, number: usize| node.nodes()["items"].as_array().map(Vec::len) == Some(number);
    until("they know each other", || nodes.iter().all(|node| sees(node, 3)));
    let question = |name: &str| json!({"text": "几点关门", "kb": name});
    // Who was alone at first has opened more than its share.
    let open =
        |nodes: &[Node]| -> u64 { nodes.iter().filter_map(|node| node.nodes()["open"].as_u64()).sum() };
    let before = open(&nodes);
    for name in names(12) {
        let replies: Vec<Value> = nodes.iter().map(|node| node.ask(&question(&name))).collect();
        assert!(
            replies.iter().all(|reply| reply["kb"] == *name && reply["decision"] == replies[0]["decision"])
        );
    }
    let (_, metrics) = nodes[0].call("GET", "/metrics", &Value::Null);
    let metrics = metrics.as_str().expect("text");
    let sent = metrics.lines().find(|line| line.starts_with("zhida_sent_on_total{outcome=\"answered\"}"));
    let sent: u64 = sent.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a count");
    assert!((1..12).contains(&sent), "{sent} of 12 were sent on");
    assert!(open(&nodes) <= before.max(12) + 12, "{} are open", open(&nodes));
    // A conversation goes on at whatever node; a message is heard once.
    let say = |node: &Node, name: &str, text: &str| {
        let (status, reply) = node.call(
            "POST",
            "/v1/conversations/c1/messages",
            &json!({"text": text, "kb": name, "client_id": format!("m-{text}")}),
        );
        assert!(status == 200 || status == 202, "{reply}");
    };
    for (at, name) in names(12).iter().enumerate() {
        say(&nodes[at % 3], name, "几点关门");
        say(&nodes[(at + 1) % 3], name, "谢谢");
        say(&nodes[(at + 2) % 3], name, "谢谢");
        let (_, lines) =
            nodes[at % 3].call("GET", &format!("/v1/conversations/c1/messages?kb={name}"), &Value::Null);
        let items = lines["items"].as_array().expect("lines");
        let heard = items.iter().filter(|line| line["role"] == "customer").count();
        assert_eq!(heard, 2, "{lines}");
    }
    // One vanishes: at once all are answered by the others, and then it is forgotten.
    nodes[1].vanish();
    for name in names(12) {
        assert_eq!(nodes[0].ask(&question(&name))["kb"], *name);
        assert_eq!(nodes[2].ask(&question(&name))["kb"], *name);
    }
    until("it is forgotten", || sees(&nodes[0], 2) && sees(&nodes[2], 2));
    for name in names(12) {
        assert_eq!(nodes[2].ask(&question(&name))["kb"], *name);
    }
}

#[test]
fn a_node_is_sent_nothing_before_it_is_open_and_nothing_when_it_stops() {
    let folder = prepared(8);
    let other = Node::start(folder.path(), 1);
    let sees = |number: usize| other.nodes()["items"].as_array().map(Vec::len) == Some(number);
    until("it answers", || other.call("GET", "/readyz", &Value::Null).0 == 200 && sees(1));
    let (open, opened) = std::sync::mpsc::channel();
    let mut node = Node::prepared_by(folder.path(), 1, move |registry| {
        let _ = opened.recv();
        registry.open_all()
    });
    let all_answered = || {
        for name in names(8) {
            other.ask(&json!({"text": "几点关门", "kb": name}));
        }
    };
    // Longer than between two beats.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        assert!(sees(1), "a node that has nothing open yet is sent requests");
        all_answered();
    }
    open.send(()).expect("it waits");
    until("it has arrived", || sees(2));
    // It has opened what is its share, and not everything.
    let held = node.nodes()["open"].as_u64().expect("a number");
    assert!(held < 8, "{held} of 8 are open");
    node.stop = None;
    let asked = Instant::now();
    until("it has left", || sees(1));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    // It answers whoever still comes, and is not heard of again.
    while asked.elapsed() < DELAY - Duration::from_secs(1) {
        assert!(sees(1), "a node that has left is back");
        node.ask(&json!({"text": "几点关门", "kb": "kb0"}));
        all_answered();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_request_that_only_says_it_was_sent_on_is_anybodys() {
    let folder = prepared(1);
    let node = Node::start(folder.path(), 2);
    until("it answers", || node.call("GET", "/readyz", &Value::Null).0 == 200);
    // A page of another site, which says that it is ours.
    let told =
        [("origin", "https://evil.example"), ("zhida-node", "made-up"), ("zhida-node-for", "127.0.0.1;1;1")];
    let body = json!({"text": "几点关门"}).to_string();
    let (status, _, reply) = exchange(&node.address, "POST", "/v1/answer", &told, &body);
    assert_eq!(status, 403, "{reply}");
}
