//! Does everything that is stored hold on a PostgreSQL server too?
//!
//! The tests named below run once more, in a process of their own that has its records
//! on a server which this one starts: every data directory gets a database there. A
//! server is taken from the PATH or from where Debian puts it (`apt-get install
//! postgresql`); without one this says that it skips.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhida::depot::{Depot, Name};
use zhida::encoder::FileDigest;
use zhida::error::Error;

use crate::http::{Running, exchange, serve};
use crate::support::{DATABASES, SMALL_KB, psql, repository, stderr, stdout, until, zhida};

/// The modules whose tests run on a server.
const MODULES: &[&str] = &[
    "access::",
    "audited::",
    "authoring::",
    "channels_kept::",
    "columns::",
    "depot::",
    "desk::",
    "goals::",
    "guarded::",
    "kb::",
    "kept::",
    "learning::",
    "live::",
    "mend::",
    "nodes::",
    "people::",
    "pictures::",
    "quota::",
    "service::",
    "store::",
    "talk::",
];

/// Those that look into the files of a database or lock them, one whose damage is mended there
/// (the folder is fetched anew), and those that ask for what
/// somebody else has changed with the very next request: on a server that is known within a
/// tenth of a second, as `tests/cluster/check.py` sees.
const ABOUT_FILES: &[&str] = &[
    "access::a_revoked_key_is_refused_by_the_next_request_of_another_process",
    "access::every_route_lets_in_exactly_whom_the_table_names",
    "access::what_was_changed_stands_in_the_audit",
    "audited::how_much_may_be_sent_depends_on_what_somebody_is_for",
    "kb::a_release_of_another_format_is_refused",
    "kb::two_publishers_do_not_meet",
    "mend::a_knowledge_base_goes_with_everything_and_a_new_one_is_another",
    "people::a_session_that_ends_has_ended_on_every_server",
];

/// A server of its own, gone when it is dropped.
struct Server {
    process: Child,
    programs: PathBuf,
    folder: tempfile::TempDir,
    /// Whom it runs as, where that is not who runs the tests.
    user: Option<(u32, u32)>,
    /// Where it is reached over TCP, encrypted or not; one without is reached by its folder.
    port: Option<u16>,
}

impl Server {
    fn start(port: Option<u16>) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        // It refuses to run as root.
        let user =
            (own_uid() == 0).then(|| user_named("postgres").or_else(|| user_named("nobody"))).flatten();
        if let Some((uid, gid)) = user {
            for place in [folder.path(), &data] {
                chown(place, Some(uid), Some(gid)).unwrap();
            }
        }
        let made = program(&programs, "initdb", folder.path(), user)
            .args(["--auth=trust", "--username=zhida", "--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if port.is_some() {
            let settings = data.join("postgresql.conf");
            std::fs::OpenOptions::new()
                .append(true)
                .open(settings)
                .unwrap()
                .write_all(b"ssl = on\n")
                .unwrap();
            for ending in ["crt", "key"] {
                let place = data.join(format!("server.{ending}"));
                std::fs::copy(repository(&format!("tests/reference/tls/one.{ending}")), &place).unwrap();
                std::fs::set_permissions(&place, Permissions::from_mode(0o600)).unwrap();
                if let Some((uid, gid)) = user {
                    chown(&place, Some(uid), Some(gid)).unwrap();
                }
            }
        }
        let process = begun(&programs, folder.path(), user, port);
        Some(Self { process, programs, folder, user, port })
    }

    /// Ends it at once, as when its machine goes.
    fn go(&mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", "QUIT", &pid]).status().unwrap().success());
        self.process.wait().unwrap();
    }

    /// Sends all of its processes a signal, as when its machine hangs or goes on.
    fn signal(&self, name: &str) {
        let parent = self.process.id().to_string();
        let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_of_it = |pid: &String| {
            let behind = stat(pid).rsplit(')').next().map(|rest| rest.split(' ').nth(2) == Some(&parent));
            *pid == parent || behind == Some(true)
        };
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let all = all.filter_map(|item| item.file_name().into_string().ok());
        let pids: Vec<String> = all.filter(is_of_it).collect();
        assert!(pids.len() > 1, "{pids:?}");
        assert!(Command::new("kill").args(["-s", name]).args(&pids).status().unwrap().success());
    }

    /// Starts it again with what it held.
    fn come_back(&mut self) {
        self.process = begun(&self.programs, self.folder.path(), self.user, self.port);
    }

    /// One for a test; `None` in the process that the tests of the store run in once more, and,
    /// having said so, where there is none.
    fn of_one_test() -> Option<Self> {
        Self::of_one_test_at(None)
    }

    fn of_one_test_at(port: Option<u16>) -> Option<Self> {
        if std::env::var_os(DATABASES).is_some() {
            return None;
        }
        let started = Self::start(port);
        if started.is_none() {
            eprintln!("skipped: no PostgreSQL server here (Debian: apt-get install postgresql)");
        }
        started
    }

    /// Its address; the name of a database goes in the place of `{}`.
    fn address(&self) -> String {
        let port = self.port.map(|port| format!("&port={port}")).unwrap_or_default();
        format!("postgres:///{{}}?host={}&user=zhida{port}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(programs: &Path, name: &str, folder: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(folder).env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    command
}

/// Starts a server on what lies in a folder, and waits until it takes connections.
fn begun(programs: &Path, folder: &Path, user: Option<(u32, u32)>, port: Option<u16>) -> Child {
    let settings = [
        if port.is_some() { "listen_addresses=localhost" } else { "listen_addresses=" },
        &format!("port={}", port.unwrap_or(5432)),
        "fsync=off",
        "max_connections=400",
        "log_checkpoints=off",
        "autovacuum=off",
    ];
    let mut command = program(programs, "postgres", folder, user);
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(process.stderr.take().unwrap()).lines();
    let ready = told.by_ref().any(|line| line.unwrap().contains("ready to accept connections"));
    assert!(ready, "the server does not start");
    // What it says later would fill the pipe.
    std::thread::spawn(move || told.for_each(drop));
    process
}

/// The folder with the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    places.sort();
    places.reverse();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path));
    places
        .into_iter()
        .find(|place| ["initdb", "postgres", "psql"].iter().all(|name| place.join(name).exists()))
}

fn user_named(name: &str) -> Option<(u32, u32)> {
    let known = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = known.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(1, |me| me.uid())
}

#[test]
fn what_is_stored_holds_on_a_server() {
    let Some(server) = Server::of_one_test() else { return };
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(MODULES).args(["--test-threads", "2"]).env(DATABASES, server.address());
    for name in ABOUT_FILES {
        tests.args(["--skip", name]);
    }
    let done = tests.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    // What failed and why; not what passed before it.
    let failed = told.find("\nfailures:\n").map_or(&*told, |at| &told[at..]);
    assert!(done.status.success(), "{failed}\n{}", String::from_utf8_lossy(&done.stderr));
    let passed: usize = told
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<usize>().ok())
        .sum();
    assert!(passed > 50, "only {passed} tests ran on the server");
}

/// A store on a server, in a data directory of its own.
fn node(server: &Server, folder: &std::path::Path) -> zhida::store::Store {
    std::fs::create_dir_all(folder).unwrap();
    let address = server.address().replace("{}", "postgres");
    zhida::store::Store::at(folder).on(zhida::store::Cluster::at(&address).unwrap())
}

fn two_nodes(server: &Server, folder: &Path) -> (zhida::store::Store, zhida::store::Store) {
    (node(server, &folder.join("one")), node(server, &folder.join("two")))
}

/// The same, with a knowledge base that the first one has drafted.
fn two_with_a_draft(
    server: &Server,
    folder: &Path,
) -> (zhida::store::Store, zhida::store::Store, zhida::kb::KnowledgeBase) {
    let (one, two) = two_nodes(server, folder);
    let base = zhida::kb::formats::read_jsonl("kb.jsonl", crate::support::SMALL_KB.as_bytes()).unwrap();
    one.shelf_to_create("demo").unwrap().save_draft(&base).unwrap();
    (one, two, base)
}

#[test]
fn nodes_hear_of_what_others_write() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two, base) = two_with_a_draft(&server, folder.path());
    let (told, heard) = std::sync::mpsc::channel();
    let listening = one.clone();
    one.watch_server(move |place| {
        let _ = told.send(place.map(|place| listening.is_told_as(place)));
    });
    let next = || heard.recv_timeout(std::time::Duration::from_secs(30)).expect("a word");
    assert_eq!(next(), None, "whoever begins to listen may have missed something");
    // What it writes itself it knows.
    one.shelf("demo").unwrap().set_goal(Some(0.01)).unwrap();
    two.shelf("demo").unwrap().set_goal(Some(0.02)).unwrap();
    assert_eq!(next(), Some(true));
    // Another tenant's is told as another place.
    two.tenant("acme").unwrap().shelf_to_create("demo").unwrap().save_draft(&base).unwrap();
    assert_eq!(next(), Some(false));
    // A connection that was lost is made anew, and then too something may have been missed.
    let address = server.address().replace("{}", "postgres");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'zhida'";
    crate::support::psql(&address, end);
    assert_eq!(next(), None);
    two.shelf("demo").unwrap().set_goal(Some(0.03)).unwrap();
    assert_eq!(next(), Some(true));
}

#[test]
fn what_a_server_is_told_nobody_else_hears() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(server) = Server::of_one_test_at(Some(port)) else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let authority = |name: &str| repository(&format!("tests/reference/tls/{name}.crt")).display().to_string();
    let (one, two) = (authority("one"), authority("two"));
    let at = |host: &str, query: &str| {
        let url = format!("postgres://zhida@{host}:{port}/postgres?{query}");
        Ok::<_, Error>(zhida::store::Store::at(folder.path()).on(zhida::store::Cluster::at(&url)?))
    };
    let connections = |how: &str| -> usize {
        let count = format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE application_name = 'zhida' AND {how}"
        );
        psql(&address, &count).trim().parse().unwrap()
    };
    for (host, query) in [
        ("localhost", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={one}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={one}")),
        // As with libpq the second one is asked where the first is not there.
        ("localhost:1,localhost", format!("sslmode=verify-full&sslrootcert={one}")),
    ] {
        let store = at(host, &query).unwrap();
        store.names().unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(connections("ssl") > 0 && connections("NOT ssl") == 0, "{query}");
        // One that has ended is made anew.
        psql(
            &address,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'zhida'",
        );
        until(Duration::from_secs(10), "nobody connects anew", || store.names().is_ok());
        drop(store);
        until(Duration::from_secs(10), "a connection stays", || connections("ssl") == 0);
    }
    let refused = |host: &str, query: &str| at(host, query).unwrap().names().unwrap_err().to_string();
    let stranger = refused("localhost", &format!("sslmode=verify-full&sslrootcert={two}"));
    assert!(stranger.contains("certificate: UnknownIssuer"), "{stranger}");
    let other = refused("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={one}"));
    assert!(other.contains("not valid for name \"127.0.0.1\""), "{other}");
    let unread = at("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem").unwrap_err().to_string();
    assert!(unread.contains("sslrootcert=/nowhere.pem cannot be read"), "{unread}");
    // A server that has stopped encrypting is told nothing.
    psql(&address, "ALTER SYSTEM SET ssl = off");
    psql(&address, "SELECT pg_reload_conf()");
    until(Duration::from_secs(10), "it still encrypts", || {
        at("localhost", "sslmode=require").unwrap().names().is_err()
    });
    let plain = refused("localhost", "sslmode=require");
    assert!(plain.contains("it does not speak TLS (ssl = on in its postgresql.conf)"), "{plain}");
}

/// How many transactions a server has ended.
fn transactions(server: &Server) -> u64 {
    let count = "SELECT coalesce(sum(xact_commit), 0) FROM pg_stat_database WHERE datname = 'postgres'";
    crate::support::psql(&server.address().replace("{}", "postgres"), count).trim().parse().unwrap()
}

#[test]
fn who_writes_is_noted_without_asking() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two, base) = two_with_a_draft(&server, folder.path());
    assert_eq!(one.noted(), None, "nobody reads the sheet yet");
    one.watch_server(|_| {});
    let until = |what: &str, is_so: &dyn Fn() -> bool| until(Duration::from_secs(10), what, is_so);
    until("the sheet is not read", &|| one.noted().is_some());
    // What was written before may be noted a moment later.
    std::thread::sleep(Duration::from_millis(800));
    let before = one.noted();
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(one.noted(), before, "nobody has written");
    one.set_event_settings(&zhida::events::Settings::default()).unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let (before, talk) = (one.noted(), one.conversations().noted());
    assert!(talk.is_some());
    two.shelf("demo").unwrap().set_goal(Some(0.02)).unwrap();
    until("another node's change is not noted", &|| one.noted() != before);
    assert_eq!(one.conversations().noted(), talk, "it was none of the conversations");
    // Its own change is noted at once.
    let before = one.noted();
    one.shelf("demo").unwrap().set_goal(Some(0.03)).unwrap();
    assert_ne!(one.noted(), before);
    // Another tenant's is noted as that one's, also while nothing of it is open.
    let acme = two.tenant("acme").unwrap();
    acme.shelf_to_create("demo").unwrap().save_draft(&base).unwrap();
    acme.set_event_settings(&zhida::events::Settings::default()).unwrap();
    let seen = one.tenant("acme").unwrap();
    until("the tenant is not on the sheet", &|| seen.written().is_some());
    assert_eq!(seen.noted(), None, "nobody here has seen to it that it is noted");
    let before = seen.written();
    acme.shelf("demo").unwrap().set_goal(Some(0.02)).unwrap();
    until("the tenant's change is not noted", &|| seen.written() != before);
    // A server that has lost its power has lost the sheet; then everybody asks again.
    let before = one.noted();
    crate::support::psql(&server.address().replace("{}", "postgres"), "TRUNCATE zhida_news.written");
    std::thread::sleep(Duration::from_secs(16));
    assert_ne!(one.noted(), before);
    let before = one.noted();
    two.shelf("demo").unwrap().set_goal(Some(0.04)).unwrap();
    until("a change after that is not noted", &|| one.noted() != before);
}

#[test]
fn a_desk_that_nobody_calls_asks_its_server_nothing() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = two_nodes(&server, folder.path());
    one.watch_server(|_| {});
    let desk = |store: &zhida::store::Store| {
        zhida::desk::Desk::new(store, zhida::desk::Settings::default(), |_| None, |_, _, _| {})
    };
    let mut desks = Vec::new();
    for number in 0..10 {
        let tenant = one.tenant(&format!("t{number}")).unwrap();
        tenant.set_event_settings(&zhida::events::Settings::default()).unwrap();
        desks.push(desk(&tenant));
    }
    let start_all = || desks.iter().for_each(zhida::desk::Desk::start);
    let asked_in = |seconds: u64| {
        let before = transactions(&server);
        for _ in 0..2 * seconds {
            std::thread::sleep(Duration::from_millis(500));
            start_all();
        }
        transactions(&server) - before
    };
    // The server counts what was asked with a delay; it is asked four times a second whether
    // it is there, and twice more for the sheet.
    asked_in(5);
    let asked = asked_in(5);
    assert!(asked < 100, "ten desks asked {asked} times in five seconds");
    // When something is recorded by another node, it is looked at again.
    let before = desks[3].talk().noted();
    two.tenant("t3").unwrap().set_event_settings(&zhida::events::Settings::default()).unwrap();
    until(Duration::from_secs(10), "nobody notices", || desks[3].talk().noted() != before);
}

#[tokio::test]
async fn a_key_of_one_node_opens_the_next_at_once() {
    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use zhida::access::Role;
    use zhida::server::Registry;

    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = two_nodes(&server, folder.path());
    let create = |store: &zhida::store::Store, number: usize| {
        crate::support::key(store, "default", Role::Admin, |new| new.name = format!("key {number}")).0
    };
    let first = create(&one, 0);
    let registry = std::sync::Arc::new(Registry::new(two.clone(), None, crate::http::MAX_WRONG, "demo"));
    let app = zhida::server::router(zhida::server::Server::new(registry, crate::http::admission()));
    let status = async |key: &str| {
        let request = Request::get("/v1/kbs").header(header::AUTHORIZATION, format!("Bearer {key}"));
        crate::http::send(&app, request.body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(status(&first).await, StatusCode::OK);
    for number in 1..=20 {
        let key = create(&one, number);
        assert_eq!(status(&key).await, StatusCode::OK, "key {number}");
    }
    // This one is of another installation.
    let wrong = create(&zhida::store::Store::at(folder.path().join("other")), 0);
    assert_eq!(status(&wrong).await, StatusCode::UNAUTHORIZED);

    // Each of these waits for a look of its own, so there are no more looks than that.
    let access = two.access();
    let _ = access.table();
    let start = std::time::Instant::now();
    let mut looks = 0;
    while start.elapsed() < std::time::Duration::from_secs(3) {
        assert!(access.catch_up().await);
        looks += 1;
    }
    assert!((10..=3 * (10 + 4) + 4).contains(&looks), "{looks} looks in three seconds");
    // As many as there are come together.
    let many: Vec<_> = (0..1_000).map(|_| access.clone()).collect();
    let start = std::time::Instant::now();
    let waiting: Vec<_> =
        many.into_iter().map(|one| tokio::spawn(async move { one.catch_up().await })).collect();
    for one in waiting {
        assert!(one.await.unwrap());
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());

    // Where it cannot be found out, nobody is told that a key is wrong.
    drop(server);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while access.catch_up().await {
        assert!(std::time::Instant::now() < until, "the server is gone, and still answers");
    }
    assert_eq!(status(&wrong).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&first).await, StatusCode::OK);
}

#[test]
fn an_older_node_goes_on_with_tables_that_were_added_to() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = zhida::kb::formats::read_jsonl("kb.jsonl", crate::support::SMALL_KB.as_bytes()).unwrap();
    let running = node(&server, &folder.path().join("running"));
    running.shelf_to_create("demo").unwrap().save_draft(&base).unwrap();
    let address = server.address().replace("{}", "postgres");
    let step = |version: &str| {
        let noted = format!(
            "ALTER TABLE zhida_drafts.kbs ADD COLUMN IF NOT EXISTS later TEXT NOT NULL DEFAULT ''; \
             INSERT INTO zhida_drafts.__diesel_schema_migrations (version) VALUES ('{version}')"
        );
        crate::support::psql(&address, &noted);
    };
    // A newer one has added to the tables: one that runs and one that starts go on.
    step("99999999999998");
    running.shelf("demo").unwrap().set_goal(Some(0.01)).unwrap();
    let started = node(&server, &folder.path().join("started"));
    started.shelf("demo").unwrap().set_goal(Some(0.02)).unwrap();
    assert_eq!(running.shelf("demo").unwrap().goal().unwrap(), Some(0.02));
    // A newer one has taken something away: none starts any more that does not know that.
    step("99999999999999-takes-away");
    let refused = node(&server, &folder.path().join("late")).names().unwrap_err().to_string();
    assert!(refused.contains("start the newer zhida in its place"), "{refused}");
}

#[test]
fn nodes_keep_alike_and_forget_whom_any_of_them_was_asked_to() {
    use zhida::events::{CustomersKey, Day, Days, Event, Kind, Log, Settings, Wanted, Whose};
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = two_nodes(&server, folder.path());
    let events_of = |store: &zhida::store::Store| store.root().join("events");
    // One that was alone before has a key already; the first that follows is everybody's.
    CustomersKey::made().unwrap().write(&events_of(&two)).unwrap();
    one.follow().unwrap();
    two.follow().unwrap();
    let key =
        |store: &zhida::store::Store| CustomersKey::known(&events_of(store)).unwrap().map(|key| key.text());
    assert!(key(&one).is_some() && key(&one) == key(&two));
    let kept = Settings { text_days: 7, orders: true, ..Settings::default() };
    one.set_event_settings(&kept).unwrap();
    assert_eq!(two.event_settings().unwrap(), kept);
    two.follow().unwrap();
    assert_eq!(Settings::read(&events_of(&two)).unwrap(), kept, "what its log looks at");
    let said = |conversation: &str, customer: &str, at: i64| {
        let event = Event {
            at,
            conversation: Some(conversation.to_owned()),
            customer: Some(customer.to_owned()),
            text: Some("几点关门".to_owned()),
            ..Event::now(Kind::Decision, "demo")
        };
        Log::open(two.root()).append(event).unwrap();
    };
    let now = Event::now(Kind::Decision, "demo").at;
    said("c1", "wx-1", now - 10);
    said("c2", "wx-2", now - 10);
    one.ask_to_forget(&Whose::Customer("wx-1".to_owned()), now).unwrap();
    one.ask_to_forget(&Whose::Conversation("c3".to_owned()), now).unwrap();
    said("c3", "wx-3", now + 10);
    let told = || {
        let days = Days::new(Day::today().plus(-1), Day::today().plus(1)).unwrap();
        let mut found = Vec::new();
        let log = Log::open(two.root());
        log.read(&Wanted::all(days), |event| found.push((event.conversation, event.text.is_some()))).unwrap();
        found.sort();
        found
    };
    assert_eq!(two.follow().unwrap().changed, 1);
    let after = told();
    let named = |name: &str| after.iter().find(|(id, _)| id.as_deref() == Some(name)).map(|(_, text)| *text);
    assert_eq!((named("c1"), named("c2"), named("c3")), (None, Some(true), Some(true)), "{after:?}");
    assert!(
        after.iter().any(|(id, text)| !text && id.as_deref().is_some_and(|id| id.starts_with("forgotten-")))
    );
    // What is done is done, and one that comes later does the same.
    assert_eq!(two.follow().unwrap().changed, 0);
    assert_eq!(node(&server, &folder.path().join("late")).follow().unwrap().changed, 0);
}

/// A command on a data directory whose records are on a server, without a word about releases.
fn command(address: &str, data: &Path, args: &[&str]) -> Command {
    let mut command = zhida();
    command.args(args).arg("--data").arg(data).env("ZHIDA_DATABASE", address).env("ZHIDA_MODEL", "none");
    command
}

#[track_caller]
fn sound(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    stdout(&output)
}

fn answer(data: &Path) -> Value {
    let mut command = zhida();
    command.args(["ask", "--kb", "demo", "--json", "怎么开电子发票", "--data"]).arg(data);
    command.env("ZHIDA_MODEL", "none");
    serde_json::from_str(&sound(command)).unwrap()
}

#[test]
fn servers_that_share_nothing_else_serve_what_one_has_published() {
    let Some(server) = Server::of_one_test() else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let import = |text: &str| {
        std::fs::write(place("kb.jsonl"), text).unwrap();
        let file = place("kb.jsonl").display().to_string();
        sound(command(&address, &place("one"), &["kb", "import", "--kb", "demo", "--yes", &file]));
        sound(command(&address, &place("one"), &["kb", "publish", "--kb", "demo"]));
    };
    import(SMALL_KB);
    let start = |name: &str| {
        let mut command = serve(&place(name), "127.0.0.1:0");
        command.env("ZHIDA_DATABASE", &address).env("ZHIDA_MODEL", "none");
        Running::of(command)
    };
    let (one, two) = (start("one"), start("two"));
    let told = |server: &Running| server.ask("怎么开电子发票")["answer"]["text"].clone();
    assert_eq!(told(&one), told(&two));
    assert!(told(&two).as_str().unwrap().contains("我的发票"), "{}", told(&two));
    import(&SMALL_KB.replace("我的发票", "票据中心"));
    let began = Instant::now();
    while !told(&two).as_str().unwrap().contains("票据中心") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", told(&two));
        std::thread::sleep(Duration::from_millis(50));
    }
    // A node that has fetched nothing yet makes a backup that holds every release.
    let file = place("all.zip");
    std::fs::create_dir(place("three")).unwrap();
    sound(command(&address, &place("three"), &["backup", file.to_str().unwrap()]));
    let restored = place("restored");
    let mut restore = zhida();
    restore.args(["restore", "--into"]).arg(&restored).arg(&file);
    sound(restore);
    for number in ["1", "2"] {
        assert!(restored.join("kbs/demo/releases").join(number).join("manifest.json").is_file());
    }
    assert!(!restored.join("releases.db").exists(), "releases are files there");
    assert_eq!(answer(&restored)["answer"]["text"], told(&one));
    // Nor do they stay behind when the records leave, which they do when no server works on
    // them any more, and they go along to another server.
    let left = place("left");
    let leave = || {
        let mut copy = zhida();
        copy.args(["store", "copy", "--from", &address, "--data"]).arg(&left);
        copy
    };
    one.kill();
    let refused = leave().output().unwrap();
    assert!(
        !refused.status.success() && stderr(&refused).contains("servers work on"),
        "{}",
        stderr(&refused)
    );
    assert!(!left.join("zhida.db").exists());
    two.kill();
    sound(leave());
    assert!(left.join("kbs/demo/releases/1/manifest.json").is_file());
    assert!(answer(&left)["answer"]["text"].as_str().unwrap().contains("票据中心"));
    psql(&address, "CREATE DATABASE other TEMPLATE template0");
    let other = server.address().replace("{}", "other");
    let mut copy = zhida();
    copy.args(["store", "copy", "--to", &other, "--data"]).arg(&left);
    sound(copy);
    sound(command(&other, &place("four"), &["kb", "rollback", "--kb", "demo", "1"]));
    let first = sound(command(&other, &place("five"), &["ask", "--kb", "demo", "--json", "怎么开电子发票"]));
    assert!(first.contains("我的发票"), "{first}");
    // What has gone does not go once more, to an empty server that would be taken for the whole.
    psql(&address, "CREATE DATABASE third TEMPLATE template0");
    let third = server.address().replace("{}", "third");
    let mark = std::fs::read(left.join("records.on-server")).unwrap();
    let mut copy = zhida();
    let refused = copy.args(["store", "copy", "--to", &third, "--data"]).arg(&left).output().unwrap();
    assert!(!refused.status.success() && stderr(&refused).contains("already"), "{}", stderr(&refused));
    assert_eq!(std::fs::read(left.join("records.on-server")).unwrap(), mark);
    // Nor is another, empty server taken for the one that has the records.
    let lost = command(&third, &left, &["ask", "--kb", "demo", "怎么开电子发票"]).output().unwrap();
    assert!(!lost.status.success() && stderr(&lost).contains("name the first one"), "{}", stderr(&lost));
    let mut copy = zhida();
    copy.args(["store", "copy", "--from", &third, "--data"]).arg(&left);
    let lost = copy.output().unwrap();
    assert!(!lost.status.success() && stderr(&lost).contains("name the first one"), "{}", stderr(&lost));
    assert_eq!(std::fs::read(left.join("records.on-server")).unwrap(), mark);
    // Who wants none of that says so.
    let mut none = command(&other, &place("six"), &["ask", "--kb", "demo", "怎么开电子发票"]);
    let refused = none.env("ZHIDA_RELEASES", "none").output().unwrap();
    assert!(!refused.status.success(), "{}", stdout(&refused));
}

#[test]
fn nodes_that_publish_at_once_do_not_meet() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = zhida::kb::formats::read_jsonl("kb.jsonl", SMALL_KB.as_bytes()).unwrap();
    let store = |name: &str| node(&server, &folder.path().join(name)).with_releases_in_records();
    let publishers: Vec<_> = ["甲", "乙", "丙"]
        .into_iter()
        .map(|kb| {
            let (store, base) = (store(kb), base.clone());
            std::thread::spawn(move || {
                let shelf = store.shelf_to_create(kb).unwrap();
                shelf.save_draft(&base).unwrap();
                for number in 1..=3 {
                    assert_eq!(shelf.publish(None, &|_, _, _| ()).unwrap().number, number);
                }
            })
        })
        .collect();
    // Somebody collects meanwhile.
    let collector = store("other");
    while !publishers.iter().all(std::thread::JoinHandle::is_finished) {
        collector.collect_depot(Duration::from_secs(3600), false, false).unwrap();
    }
    publishers.into_iter().for_each(|one| one.join().unwrap());
    let looked = collector.check_releases(zhida::store::Which::All, true).unwrap();
    assert_eq!(looked.len(), 9);
    assert!(looked.iter().all(|one| one.faults.is_empty()), "{looked:?}");
    assert_eq!(collector.shelf("乙").unwrap().open_current(None).unwrap().entries().len(), 4);
}

#[test]
fn a_server_that_goes_in_the_middle_leaves_nothing_that_is_taken_for_whole() {
    let Some(server) = Server::of_one_test() else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let depot = node(&server, &folder.path().join("one")).with_releases_in_records();
    let depot: Depot = depot.depot().unwrap().clone();
    // What zeros are packed into would be too little to be in the middle of.
    let bytes: Vec<u8> = (0..60_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let release = folder.path().join("release");
    std::fs::create_dir(&release).unwrap();
    std::fs::write(release.join("large"), &bytes).unwrap();
    let manifest = json!({"files": {"large": FileDigest::of(&bytes)}}).to_string();
    std::fs::write(release.join("manifest.json"), manifest).unwrap();
    let name = Name { tenant: "default".into(), kb: "demo".into(), number: 1 };
    let (putting, of, called) = (depot.clone(), release.clone(), name.clone());
    let put = std::thread::spawn(move || putting.put(&of, &called));
    let begun = "SELECT to_regclass('zhida_releases.pieces') IS NOT NULL";
    while psql(&address, begun).trim() != "t"
        || psql(&address, "SELECT count(*) > 8 FROM zhida_releases.pieces").trim() != "t"
    {
        assert!(!put.is_finished());
    }
    while !put.is_finished() {
        psql(
            &address,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'zhida'",
        );
    }
    let error = put.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("postgres://"), "{error}");
    let digest = zhida::depot::digest_of(&release).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!depot.holds(&digest).unwrap());
    assert_ne!(psql(&address, "SELECT count(*) FROM zhida_releases.pieces").trim(), "0");
    // Once more, and then it is whole; what was left goes when it is old.
    assert_eq!(depot.put(&release, &name).unwrap().written, 2);
    psql(&address, "UPDATE zhida_releases.pieces SET written_at = written_at - 7200000");
    assert_eq!(depot.collect(Duration::from_secs(3600), false).unwrap().removed, 1);
    let into = tempfile::tempdir().unwrap();
    depot.fetch(&digest, into.path()).unwrap();
    assert!(std::fs::read(into.path().join("large")).unwrap() == bytes);
}

#[test]
fn servers_that_start_at_once_on_an_empty_database_both_serve() {
    let Some(server) = Server::of_one_test() else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let mut command = serve(&folder.path().join(name), "127.0.0.1:0");
        command.env("ZHIDA_DATABASE", &address).env("ZHIDA_MODEL", "none");
        std::thread::spawn(move || Running::of(command))
    };
    let servers = ["one", "two", "three"].map(start).map(|one| one.join().unwrap());
    let began = Instant::now();
    for server in servers {
        while server.get("/readyz").0 != 200 || server.reply("怎么申请七天无理由退货").0 != 200 {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", server.get("/readyz"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_database_that_goes_is_told_as_what_it_is_and_once() {
    let Some(mut server) = Server::of_one_test() else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(&folder.path().join("data"), "127.0.0.1:0");
    command.env("ZHIDA_DATABASE", &address).env("ZHIDA_MODEL", "none");
    let node = Running::of(command);
    until(Duration::from_secs(60), "the node answers", || node.reply("怎么申请七天无理由退货").0 == 200);
    server.go();
    let refused = || crate::http::exchange(&node.address, "GET", "/v1/kbs/demo/entries", &[], "");
    until(Duration::from_secs(30), "it is noticed", || refused().0 != 200);
    let (status, head, body) = refused();
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &problem["type"]), (503, &json!("/problems/database-away")), "{problem}");
    assert!(head.to_ascii_lowercase().contains("retry-after: "), "{head}");
    // Everything that works in the background misses it several times a second.
    std::thread::sleep(Duration::from_secs(6));
    for _ in 0..5 {
        assert_eq!(refused().0, 503);
    }
    server.come_back();
    until(Duration::from_secs(30), "it is there again", || refused().0 == 200);
    let (status, log) = node.stop();
    assert_eq!(status, Some(0), "{log}");
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |words: &str| {
        lines.iter().filter(|line| line["message"].as_str().is_some_and(|told| told.contains(words))).count()
    };
    assert_eq!(said("the database server does not answer"), 1, "{log}");
    assert_eq!(said("the database server answers again"), 1, "{log}");
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(errors.len() <= 3, "{errors:?}");
}

#[test]
fn streams_of_a_database_that_hangs_hold_up_nobody_else() {
    let Some(server) = Server::of_one_test() else { return };
    let address = server.address().replace("{}", "postgres");
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(&folder.path().join("data"), "127.0.0.1:0");
    command.env("ZHIDA_DATABASE", &address).env("ZHIDA_MODEL", "none").env("ZHIDA_SHUTDOWN_DELAY", "0");
    let node = Running::of(command);
    let question = "怎么申请七天无理由退货";
    until(Duration::from_secs(60), "the node answers", || node.reply(question).0 == 200);
    // More of them than a machine has cores.
    let streams: Vec<TcpStream> = (0..24)
        .map(|_| {
            let mut stream = TcpStream::connect(&node.address).unwrap();
            let request = "GET /v1/handoffs/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
            stream.write_all(request.as_bytes()).unwrap();
            let mut begins = [0; 12];
            stream.read_exact(&mut begins).unwrap();
            assert_eq!(&begins, b"HTTP/1.1 200");
            stream
        })
        .collect();
    server.signal("STOP");
    // Every stream has looked meanwhile.
    std::thread::sleep(Duration::from_secs(3));
    let (tell, told) = mpsc::channel();
    let at = node.address.clone();
    std::thread::spawn(move || {
        let body = json!({"text": question}).to_string();
        for (method, path, body) in [("GET", "/healthz", ""), ("POST", "/v1/answer", &body)].repeat(5) {
            let _ = tell.send(exchange(&at, method, path, &[], body).0);
        }
    });
    let answered: Vec<_> = (0..10).map(|_| told.recv_timeout(Duration::from_secs(2))).collect();
    // Whatever came of it, nobody is left behind who hangs.
    server.signal("CONT");
    assert_eq!(answered, [Ok(200); 10]);
    until(Duration::from_secs(30), "it is there again", || node.get("/readyz").0 == 200);
    drop(streams);
    let (status, log) = node.stop();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn a_node_waits_for_its_database_and_for_nothing_that_stays_wrong() {
    let Some(mut server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = |database: &str, name: &str, listen: &str| {
        let mut command = serve(&folder.path().join(name), listen);
        command.env("ZHIDA_DATABASE", server.address().replace("{}", database)).env("ZHIDA_MODEL", "none");
        command.env("ZHIDA_SHUTDOWN_DELAY", "0");
        command
    };
    // Nobody waits for a database that nobody makes.
    let refused = start("nope", "none", "127.0.0.1:0").output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("database \"nope\" does not exist"), "{}", stderr(&refused));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (waiting, leaving) = (start("postgres", "one", "127.0.0.1:0"), start("postgres", "two", &free));
    server.go();
    let node = std::thread::spawn(move || Running::of(waiting));
    // So does whoever makes the first key: all of it starts at once.
    let mut first = zhida();
    first.args(["key", "create", "--first", "--role", "admin", "--data"]).arg(folder.path().join("one"));
    first.env("ZHIDA_DATABASE", server.address().replace("{}", "postgres"));
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut leaving = { leaving }.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(leaving.stderr.take().unwrap()).lines().map_while(Result::ok);
    let tries = told.by_ref().filter(|line| line.contains("the database server is not there")).take(2);
    let seconds: Vec<Value> =
        tries.map(|line| serde_json::from_str::<Value>(&line).unwrap()["seconds"].clone()).collect();
    assert_eq!(seconds, [json!(1), json!(2)], "it is asked less and less often");
    // Whoever watches over it hears that it lives, and why it answers nothing yet.
    let told = |method: &str, path: &str, body: &str| {
        let (status, _, body) = exchange(&free, method, path, &[], body);
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    assert_eq!(told("GET", "/healthz", "").0, 200);
    let (status, readiness) = told("GET", "/readyz", "");
    assert_eq!((status, &readiness["status"]), (503, &json!("starting")), "{readiness}");
    assert_eq!(readiness["warnings"][0]["reason"], "database_unreachable");
    let (status, problem) = told("POST", "/v1/answer", r#"{"text":"怎么退货"}"#);
    assert_eq!(status, 503);
    assert!(problem["detail"].as_str().unwrap().contains("database cannot be reached"), "{problem}");
    // Who stops it does not wait until the next try.
    let began = Instant::now();
    let pid = leaving.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(leaving.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(!node.is_finished(), "the other one waits");
    server.come_back();
    let made = first.wait_with_output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let key = stdout(&made).trim().to_owned();
    let node = node.join().unwrap();
    let bearer = format!("Bearer {key}");
    let body = json!({"text": "怎么申请七天无理由退货"}).to_string();
    until(Duration::from_secs(60), "the node answers who has the key", || {
        exchange(&node.address, "POST", "/v1/answer", &[("authorization", &bearer)], &body).0 == 200
    });
    assert_eq!(node.stop().0, Some(0));
}
