//! Does everything that is stored hold on a PostgreSQL server too?
//!
//! The tests named below run once more, in a process of their own that has its records
//! on a server which this one starts: every data directory gets a database there. A
//! server is taken from the PATH or from where Debian puts it (`apt-get install
//! postgresql`); without one this says that it skips.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::DATABASES;

/// The modules whose tests run on a server.
const MODULES: &[&str] = &[
    "access::",
    "audited::",
    "authoring::",
    "channels_kept::",
    "columns::",
    "desk::",
    "goals::",
    "kb::",
    "learning::",
    "live::",
    "mend::",
    "nodes::",
    "people::",
    "pictures::",
    "service::",
    "store::",
    "talk::",
];

/// Those that look into the files of a database or lock them, and those that ask for what
/// somebody else has changed with the very next request: on a server that is known within a
/// tenth of a second, as `tests/cluster/check.py` sees.
const ABOUT_FILES: &[&str] = &[
    "access::a_revoked_key_is_refused_by_the_next_request_of_another_process",
    "access::every_route_lets_in_exactly_whom_the_table_names",
    "access::what_was_changed_stands_in_the_audit",
    "audited::how_much_may_be_sent_depends_on_what_somebody_is_for",
    "kb::two_publishers_do_not_meet",
    "mend::a_knowledge_base_goes_with_everything_and_a_new_one_is_another",
    "people::a_session_that_ends_has_ended_on_every_server",
];

/// A server of its own, gone when it is dropped.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Option<Self> {
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
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(folder.path()).env("LC_ALL", "C.UTF-8");
            if let Some((uid, gid)) = user {
                command.gid(gid).uid(uid);
            }
            command
        };
        let made = program("initdb")
            .args(["--auth=trust", "--username=zhida", "--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let settings = [
            "listen_addresses=",
            "fsync=off",
            "max_connections=400",
            "log_checkpoints=off",
            "autovacuum=off",
        ];
        let mut command = program("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = told.by_ref().any(|line| line.unwrap().contains("ready to accept connections"));
        assert!(ready, "the server does not start");
        // What it says later would fill the pipe.
        std::thread::spawn(move || told.for_each(drop));
        Some(Self { process, folder })
    }

    /// One for a test; `None` in the process that the tests of the store run in once more, and,
    /// having said so, where there is none.
    fn of_one_test() -> Option<Self> {
        if std::env::var_os(DATABASES).is_some() {
            return None;
        }
        let started = Self::start();
        if started.is_none() {
            eprintln!("skipped: no PostgreSQL server here (Debian: apt-get install postgresql)");
        }
        started
    }

    /// Its address; the name of a database goes in the place of `{}`.
    fn address(&self) -> String {
        format!("postgres:///{{}}?host={}&user=zhida", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
    assert!(done.status.success(), "{told}\n{}", String::from_utf8_lossy(&done.stderr));
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

#[test]
fn nodes_hear_of_what_others_write() {
    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (node(&server, &folder.path().join("one")), node(&server, &folder.path().join("two")));
    let base = zhida::kb::formats::read_jsonl("kb.jsonl", crate::support::SMALL_KB.as_bytes()).unwrap();
    one.shelf_to_create("demo").unwrap().save_draft(&base).unwrap();
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

#[tokio::test]
async fn a_key_of_one_node_opens_the_next_at_once() {
    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use zhida::access::{Limits, Role};
    use zhida::server::Registry;

    let Some(server) = Server::of_one_test() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (node(&server, &folder.path().join("one")), node(&server, &folder.path().join("two")));
    let create = |store: &zhida::store::Store, number: usize| {
        let new = zhida::store::NewKey {
            tenant: "default".to_owned(),
            role: Role::Admin,
            kbs: None,
            name: format!("key {number}"),
            expires_at: None,
            limits: Limits::default(),
            origins: Vec::new(),
        };
        store.access().create_key(new).unwrap().0.reveal().to_owned()
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
