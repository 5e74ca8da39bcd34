//! Killed at any moment: the server starts again and serves what was
//! acknowledged last.
//!
//! Processes that edit, publish and roll back, and the server itself, get
//! SIGKILL at moments spread over what they do, more than 200 times. After
//! each round the server is started anew and must serve a state that was
//! acknowledged, or one that was on its way and is whole.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhida::kb::EntryId;
use zhida::release::base_of;

use crate::http::Running;
use crate::store::Desk;
use crate::support::SMALL_KB;

/// Moments that are the same in every run and still all over the place.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const ENTRY: &str = "hours";
const QUESTION: &str = "几点上班";

fn entry(version: u32) -> String {
    json!({"id": ENTRY, "question": QUESTION, "answer": format!("第{version}版答案。")}).to_string()
}

fn version_of(answer: &Value) -> u32 {
    let digits: String = answer.as_str().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no version in {answer}"))
}

/// What is known to be so, and what may be so as well because it was on its way.
struct World {
    desk: Desk,
    dice: Dice,
    /// The last version that somebody sent.
    sent: u32,
    /// Versions that the draft may hold: the acknowledged one, and those on their way since.
    draft: Vec<u32>,
    /// Releases that may be served.
    current: Vec<u32>,
    kills: u32,
    /// How often a command was run, by its name.
    runs: BTreeMap<&'static str, u32>,
    /// How long a command takes that nobody disturbs.
    whole: BTreeMap<&'static str, Duration>,
    acknowledged: BTreeMap<&'static str, u32>,
}

impl World {
    fn new() -> Self {
        let desk = Desk::new();
        let path = desk.file("kb.jsonl", &format!("{SMALL_KB}{}\n", entry(0)));
        desk.sound(&["kb", "import", "--kb", "demo", &path]);
        desk.sound(&["kb", "publish", "--kb", "demo"]);
        Self {
            desk,
            dice: Dice(0x9E37_79B9_7F4A_7C15),
            sent: 0,
            draft: vec![0],
            current: vec![1],
            kills: 0,
            runs: BTreeMap::new(),
            whole: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// Runs a command and kills it at some moment of the time that it takes,
    /// or a little later; every sixth one is left alone, and tells how long
    /// that is. Gives back what it printed when it ended well.
    fn interrupted(&mut self, kind: &'static str, args: &[&str]) -> Option<String> {
        let run = self.runs.entry(kind).or_default();
        let left_alone = run.is_multiple_of(6);
        *run += 1;
        let mut command = self.desk.command(args);
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        if left_alone {
            let output = child.wait_with_output().expect("ends");
            assert!(output.status.success(), "{kind} failed undisturbed");
            self.whole.insert(kind, start.elapsed());
            return Some(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let whole = u64::try_from(self.whole[kind].as_micros()).expect("short");
        let moment = Duration::from_micros(self.dice.below(whole + whole / 5));
        while start.elapsed() < moment && child.try_wait().expect("known").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        let output = child.wait_with_output().expect("ends");
        // One that had ended by then was not killed.
        self.kills += u32::from(output.status.code().is_none());
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn edit(&mut self) {
        self.sent += 1;
        let path = self.desk.file("entry.json", &entry(self.sent));
        let done = self.interrupted("edit", &["kb", "entry", "put", "--kb", "demo", &path]);
        self.sent_version(done.is_some(), "edit");
    }

    fn sent_version(&mut self, acknowledged: bool, kind: &'static str) {
        if acknowledged {
            *self.acknowledged.entry(kind).or_default() += 1;
            self.draft.clear();
        }
        self.draft.push(self.sent);
    }

    fn publish(&mut self) {
        let done = self.interrupted("publish", &["kb", "publish", "--kb", "demo"]);
        let next = self.numbers().last().copied().unwrap_or(0);
        match done {
            Some(number) => {
                *self.acknowledged.entry("publish").or_default() += 1;
                self.current = vec![number.trim().parse().expect("a number")];
            }
            None => self.current.push(next),
        }
    }

    fn roll_back(&mut self) {
        let known = self.numbers();
        let number = known[usize::try_from(self.dice.below(known.len() as u64)).expect("few")];
        let done = self.interrupted("rollback", &["kb", "rollback", "--kb", "demo", &number.to_string()]);
        if done.is_some() {
            *self.acknowledged.entry("rollback").or_default() += 1;
            self.current.clear();
        }
        self.current.push(number);
    }

    fn numbers(&self) -> Vec<u32> {
        self.desk.store().shelf("demo").expect("there").versions().expect("readable")
    }

    /// Sends edits to a server until it is killed in the middle of them.
    fn kill_the_server(&mut self, server: Running) {
        let micros = self.dice.below(40_000);
        let address = server.address.clone();
        let first = self.sent + 1;
        let editor = std::thread::spawn(move || {
            let (mut sent, mut acknowledged) = (first - 1, first - 1);
            // Until the server is gone.
            while let Some(acked) = {
                sent += 1;
                put(&address, sent)
            } {
                assert!(acked, "an edit was refused");
                acknowledged = sent;
            }
            (sent, acknowledged)
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(micros) {
            std::thread::yield_now();
        }
        server.kill();
        self.kills += 1;
        let (sent, acknowledged) = editor.join().expect("no panic");
        self.sent = acknowledged;
        if acknowledged >= first {
            self.sent_version(true, "edit over HTTP");
        }
        if sent > acknowledged {
            self.sent = sent;
            self.draft.push(sent);
        }
    }

    /// Starts the server and compares what it serves with what may be.
    fn check(&mut self) -> Running {
        let server = Running::start(&self.desk.data());
        let reply = server.ask(QUESTION);
        let shelf = self.desk.store().shelf("demo").expect("there");
        let head = shelf.head().expect("readable").expect("there");
        let current = head.current.expect("published");
        assert!(self.current.contains(&current), "release {current}, acknowledged {:?}", self.current);
        let stored = shelf.entry(&EntryId(ENTRY.into())).expect("readable").expect("there");
        let draft = version_of(&json!(stored.entry.answer));
        assert!(self.draft.contains(&draft), "draft {draft}, acknowledged {:?}", self.draft);
        // What is served is the release with the edits on top, and whole.
        let edits = shelf.live_changes(head.live_from).expect("readable");
        let (label, version) = match edits.changes.last().and_then(|change| change.entry.as_ref()) {
            Some(entry) => (format!("{current}+{}", edits.edits), version_of(&json!(entry.answer))),
            None => {
                let base = base_of(&shelf.release_folder(current)).expect("readable");
                let entry = base.entries().iter().find(|entry| entry.id.0 == ENTRY).expect("there");
                (current.to_string(), version_of(&json!(entry.answer)))
            }
        };
        assert_eq!(
            (&reply["release"], version_of(&reply["answer"]["text"])),
            (&json!(label), version),
            "{reply}"
        );
        if edits.edits > 0 {
            assert_eq!(version, draft, "the last live edit is what the draft holds");
        }
        (self.current, self.draft) = (vec![current], vec![draft]);
        server
    }
}

/// Puts the entry over HTTP; `None` when the server is gone before it answered.
fn put(address: &str, version: u32) -> Option<bool> {
    let body = entry(version);
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "PUT /v1/kbs/demo/entries/{ENTRY} HTTP/1.1\r\nhost: {address}\r\nif-match: *\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, _) = response.split_once("\r\n\r\n")?;
    Some(head.starts_with("HTTP/1.1 200"))
}

#[cfg(unix)]
#[test]
fn nothing_acknowledged_is_lost_to_two_hundred_kills() {
    let mut world = World::new();
    let mut rounds = 0;
    while world.kills < 204 {
        match rounds % 3 {
            0 => {
                world.edit();
                world.publish();
            }
            1 => {
                world.roll_back();
                world.edit();
            }
            _ => {
                world.publish();
                world.roll_back();
            }
        }
        let server = world.check();
        world.kill_the_server(server);
        rounds += 1;
    }
    let server = world.check();
    drop(server);
    eprintln!("{} kills in {rounds} rounds; acknowledged: {:?}", world.kills, world.acknowledged);
    // Each kind was acknowledged at times.
    for kind in ["edit", "edit over HTTP", "publish", "rollback"] {
        assert!(world.acknowledged.get(kind).is_some_and(|count| *count > 0), "{kind} never finished");
    }
    // And nothing is left lying about.
    let number: u32 = world.desk.sound(&["kb", "publish", "--kb", "demo"]).trim().parse().expect("a number");
    assert_eq!(world.numbers().last(), Some(&number));
    let folder = world.desk.data().join("kbs/demo/releases");
    let left: Vec<_> = std::fs::read_dir(folder)
        .expect("there")
        .filter_map(|item| item.expect("readable").file_name().into_string().ok())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Runs a command and kills it at a part of the time that it takes, unless it
/// has ended by then; says whether it ended well.
#[cfg(unix)]
fn killed(desk: &Desk, args: &[&str], moment: Duration) -> bool {
    let start = Instant::now();
    let mut child = desk.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    while start.elapsed() < moment && child.try_wait().expect("known").is_none() {
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().expect("ends").success()
}

#[cfg(unix)]
#[test]
fn a_killed_restoration_or_deletion_leaves_nothing_half_made() {
    let desk = Desk::new();
    let many = |version: u32| -> String {
        let line = |at: u32| {
            let question = format!("第{at}号规定是什么");
            json!({"id": format!("e{at}"), "question": question, "answer": format!("第{version}版规定{at}。")})
                .to_string()
                + "\n"
        };
        (0..300).map(line).collect()
    };
    let (one, two) = (desk.file("1.jsonl", &many(1)), desk.file("2.jsonl", &many(2)));
    let kb = ["--kb", "demo"];
    let run = |args: &[&str]| desk.sound(&[args, &kb].concat());
    let timed = |args: &[&str]| {
        let start = Instant::now();
        run(args);
        start.elapsed()
    };
    let setting_up = || {
        run(&["kb", "import", &one]);
        run(&["kb", "publish"]);
    };
    setting_up();
    let versions = || -> Vec<String> {
        let draft = desk.store().shelf("demo").expect("there").draft().expect("readable");
        assert_eq!(draft.entries().len(), 300);
        draft.entries().iter().map(|entry| entry.answer.chars().take(3).collect()).collect()
    };
    const KILLS: u32 = 12;
    // The last one may take as long as it likes: how long a command takes says little of the next on a busy machine.
    let moment =
        |whole: Duration, part: u32| if part == KILLS { Duration::MAX } else { whole * part / (KILLS - 1) };
    let mut ended = [0, 0];
    run(&["kb", "import", &two]);
    let whole = timed(&["kb", "restore", "--release", "1"]);
    for part in 1..=KILLS {
        run(&["kb", "import", &two]);
        let args = ["kb", "restore", "--release", "1", "--kb", "demo"];
        let done = killed(&desk, &args, moment(whole, part));
        let seen = versions();
        let all = |version: &str| seen.iter().all(|one| one == version);
        assert!(all("第1版") || all("第2版") && !done, "half restored");
        ended[0] += u32::from(done);
    }
    let whole = timed(&["kb", "delete", "--yes"]);
    for part in 1..=KILLS {
        // What was left half removed must not show in what comes now.
        setting_up();
        let shelf = desk.store().shelf("demo").expect("there");
        let numbers = shelf.versions().expect("readable");
        assert_eq!(numbers.last(), shelf.current().expect("readable").as_ref());
        let done = killed(&desk, &["kb", "delete", "--yes", "--kb", "demo"], moment(whole, part));
        match desk.store().names().expect("readable").as_slice() {
            [] => {
                assert!(!desk.data().join("kbs/demo").exists(), "its releases are still there");
                ended[1] += 1;
            }
            _ => {
                assert!(!done, "acknowledged and not gone");
                let answer = stdout_of(&desk, &["ask", "第7号规定是什么", "--kb", "demo"]);
                assert!(answer.contains("第1版规定7"), "{answer}");
            }
        }
    }
    let left: Vec<_> = std::fs::read_dir(desk.data().join("kbs")).expect("there").flatten().collect();
    assert!(left.iter().all(|item| item.file_name() == "demo"), "{left:?}");
    assert!(ended.iter().all(|count| (1..KILLS).contains(count)), "{ended:?} of {KILLS} ended well");
}

#[cfg(unix)]
fn stdout_of(desk: &Desk, args: &[&str]) -> String {
    String::from_utf8_lossy(&desk.run(args).stdout).into_owned()
}
