//! Backups: made while others write, checked before anything is touched, whole
//! or not there after a kill, and of data directories of older versions.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::migration::MigrationSource;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use serde_json::json;
use tempfile::TempDir;
use zhida::access::{Opens, Role, Token};
use zhida::kb::{EntryId, formats};
use zhida::store::{Edit, Expected, Store};

use crate::http::{Running, publish};
use crate::people::{Browser, person};
use crate::store::Desk;
use crate::support::{SMALL_KB, repository, run, stderr, zhida};

/// Runs `zhida backup` on a data directory.
fn backup(data: &Path, file: &Path) -> std::process::Output {
    run(zhida().args(["backup", "--data"]).arg(data).arg(file))
}

fn restore(file: &Path, into: &Path, more: &[&str]) -> std::process::Output {
    run(zhida().args(["restore", "--into"]).arg(into).args(more).arg(file))
}

#[track_caller]
fn restored(file: &Path, into: &Path) -> Store {
    let output = restore(file, into, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    crate::support::store(into)
}

/// Every file in a folder with its content, but for what databases write by themselves.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![folder.to_path_buf()];
    let mut all = Vec::new();
    while let Some(folder) = open.pop() {
        for item in std::fs::read_dir(folder).expect("a folder").flatten() {
            if item.path().is_dir() {
                open.push(item.path());
            } else if !item.file_name().to_string_lossy().ends_with("-shm") {
                // SQLite's index of the log is written by readers too.
                all.push((item.path(), std::fs::read(item.path()).expect("read")));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_backup_is_one_state_while_a_server_serves_and_an_author_writes() {
    let desk = Desk::new();
    let root = desk.data();
    publish(&root, "demo", SMALL_KB, None);
    desk.sound(&["tenant", "create", "acme"]);
    publish(&root.join("tenants/acme"), "acme", SMALL_KB, None);
    let key = desk.json(&["key", "create", "--role", "ask", "--json"]);
    let secret = key["key"].as_str().expect("a key");
    let server = Running::start(&root);
    let (folder, stop) = (tempfile::tempdir().expect("a folder"), AtomicBool::new(false));
    let file = folder.path().join("it.zip");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let shelf = crate::support::store(&root).shelf("demo").expect("there");
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                written += 1;
                // Both entries get the same number, one after the other.
                for id in ["cod", "invoice"] {
                    let text =
                        json!({"id": id, "question": format!("{id}？"), "answer": format!("{written}")});
                    let base = formats::read_jsonl("e", text.to_string().as_bytes()).expect("sound");
                    let edit = Edit::Put(base.entries()[0].clone());
                    shelf.edit(&EntryId(id.into()), edit, &Expected::Anything, false).expect("an edit");
                }
            }
            written
        });
        for _ in 0..3 {
            let output = backup(&root, &file);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().expect("an end") > 0);
    });
    let into = folder.path().join("back");
    let store = restored(&file, &into);
    let draft = store.shelf("demo").expect("there").draft().expect("a draft");
    let version = |id: &str| {
        let entry = draft.entries().iter().find(|entry| entry.id.0 == id).expect("there");
        entry.answer.parse::<i64>().expect("a number")
    };
    assert!((0..=1).contains(&(version("cod") - version("invoice"))), "one moment, not two");
    // It serves, tenants and keys included, and keys are in it only as hashes.
    drop(server);
    let server = Running::start(&into);
    let (status, body) = server.reply("怎么开电子发票");
    assert_eq!(status, 401, "{body}");
    server.kill();
    assert_eq!(store.tenant("acme").expect("a name").names().expect("names"), ["acme"]);
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).expect("open")).expect("a ZIP");
    for number in 0..archive.len() {
        let mut bytes = Vec::new();
        archive.by_index(number).expect("a file").read_to_end(&mut bytes).expect("whole");
        let needle = secret.as_bytes();
        assert!(!bytes.windows(needle.len()).any(|window| window == needle), "a key stands in file {number}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    // The audit tells of it.
    let output = run(zhida().args(["audit", "show", "--data"]).arg(&into));
    assert!(String::from_utf8_lossy(&output.stdout).contains("restore_backup"));
    assert!(run(zhida().args(["audit", "verify", "--data"]).arg(&into)).status.success());
}

#[test]
fn a_backup_opens_nothing_and_a_restore_says_what_to_set_again() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let anna = person(&desk.data(), "default", "anna", Role::Admin);
    let browser = Browser::of(&desk.data(), &anna);
    let link = desk.sound(&["person", "link", "anna"]);
    let link = link.trim().strip_prefix("/setup#").expect("a link").to_owned();
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
    let add = ["channel", "add", "--kind", "generic", "--kb", "demo", "--url", "https://desk.example/hook"];
    desk.sound(&[add.as_slice(), &["--secret", secret, "shop"]].concat());
    let folder = tempfile::tempdir().expect("a folder");
    let (file, into) = (folder.path().join("it.zip"), folder.path().join("back"));
    let output = backup(&desk.data(), &file);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).expect("open")).expect("a ZIP");
    for number in 0..archive.len() {
        let mut bytes = Vec::new();
        archive.by_index(number).expect("a file").read_to_end(&mut bytes).expect("whole");
        for needle in [secret, crate::people::PASSWORD] {
            let stands = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!stands, "{needle} stands in file {number}");
        }
    }
    let output = restore(&file, &into, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("channel shop has no secrets any more"), "{}", stderr(&output));
    let store = crate::support::store(&into);
    let channel = store.conversations().channel("shop").expect("read").expect("there");
    assert!(channel.settings.contains("https://desk.example/hook") && !channel.settings.contains(secret));
    // People are there; their sessions and links are not.
    let access = store.access();
    assert_eq!(access.people("default").expect("people").len(), 1);
    assert_eq!(access.sessions(&anna.id).expect("sessions"), []);
    assert!(access.errand(&Token::parse(Opens::Link, &link).expect("a link")).is_err());
    // Who was shut out since is told of: the backup knows nothing of it.
    desk.sound(&["key", "create", "--role", "ask", "--name", "bot"]);
    let id = desk.store().access().keys("default").expect("keys")[0].id.clone();
    let with_key = folder.path().join("key.zip");
    assert!(backup(&desk.data(), &with_key).status.success());
    let other = folder.path().join("other");
    let output = restore(&with_key, &other, &[]);
    assert!(output.status.success() && !stderr(&output).contains("valid again"), "{}", stderr(&output));
    let mut revoke = zhida();
    let output = run(revoke.args(["key", "revoke", &id, "--data"]).arg(&other));
    assert!(output.status.success(), "{}", stderr(&output));
    let output = restore(&with_key, &other, &["--yes"]);
    assert!(
        stderr(&output).contains(&format!("key {id} was revoked and is valid again")),
        "{}",
        stderr(&output)
    );
    // In the data directory itself nothing was taken away.
    let store = desk.store();
    let channel = store.conversations().channel("shop").expect("read").expect("there");
    assert!(channel.settings.contains(secret));
    assert_eq!(store.access().sessions(&anna.id).expect("sessions").len(), 1);
    assert!(browser.cookie.contains("zs_"));
}

#[test]
fn what_cannot_be_entered_is_no_empty_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").expect("written");
    for list in ["key", "person", "tenant"] {
        let output = run(zhida().args([list, "list", "--data"]).arg(&file));
        assert!(!output.status.success() && stderr(&output).contains("a-file"), "{}", stderr(&output));
    }
}

#[test]
fn what_is_damaged_or_would_destroy_touches_nothing() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it.zip");
    assert!(backup(&desk.data(), &file).status.success());
    // Its own place is taken again, somebody else's is not.
    assert!(backup(&desk.data(), &file).status.success());
    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "important").expect("written");
    for place in [&letter, Path::new("/dev/null")] {
        let output = backup(&desk.data(), place);
        assert!(output.status.code() == Some(1) && stderr(&output).contains("name"), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_to_string(&letter).expect("read"), "important");
    let cut = folder.path().join("cut.zip");
    let whole = std::fs::read(&file).expect("read");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    for (place, why) in [(&cut, "cut off or damaged"), (&letter, "is no backup of zhida")] {
        let output = restore(place, &folder.path().join("nowhere"), &[]);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(why), "{}", stderr(&output));
        assert!(!folder.path().join("nowhere").exists());
    }
    let into = folder.path().join("back");
    publish(&into, "mine", SMALL_KB, None);
    let before = contents(&into);
    // Not empty, and nobody said yes.
    let output = restore(&file, &into, &[]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("--yes"), "{}", stderr(&output));
    assert_eq!(contents(&into), before);
    // Any byte of it.
    let sound = std::fs::read(&file).expect("read");
    let damaged = folder.path().join("damaged.zip");
    for at in (0..sound.len()).step_by(sound.len() / 40) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&damaged, &bytes).expect("written");
        let output = restore(&damaged, &into, &["--yes"]);
        // What no reader looks at may be anything: then it is as good as the other.
        if output.status.success() {
            assert_eq!(crate::support::store(&into).names().expect("names"), ["demo"]);
            std::fs::remove_dir_all(&into).expect("removed");
            publish(&into, "mine", SMALL_KB, None);
        } else {
            assert_eq!(crate::support::store(&into).names().expect("names"), ["mine"], "byte {at}");
        }
    }
    std::fs::write(&damaged, &sound[..sound.len() / 2]).expect("written");
    assert_eq!(restore(&damaged, &into, &["--yes"]).status.code(), Some(1));
    // A file that would lie elsewhere.
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&damaged).expect("made"));
    let options = zip::write::SimpleFileOptions::default();
    let manifest = json!({"form": 1, "zhida": "0", "created": "", "files": [{"path": "../out", "bytes": 1, "sha256": ""}]});
    archive.start_file("../out", options).expect("a file");
    archive.write_all(b"x").expect("written");
    archive.start_file("manifest.json", options).expect("a file");
    archive.write_all(manifest.to_string().as_bytes()).expect("written");
    archive.finish().expect("whole");
    assert_eq!(restore(&damaged, &into, &["--yes"]).status.code(), Some(1));
    assert!(!folder.path().join("out").exists());
    // While a server works on it.
    let server = Running::start(&into);
    let output = restore(&file, &into, &["--yes"]);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("stop it first"),
        "{}",
        stderr(&output)
    );
    assert_eq!(server.ask("怎么开电子发票")["kb"], "mine");
    server.stop();
    // Said and free: it takes the place, and what was there is kept.
    let output = restore(&file, &into, &["--yes"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(crate::support::store(&into).names().expect("names"), ["demo"]);
    let kept = std::fs::read_dir(folder.path())
        .expect("a folder")
        .flatten()
        .find(|item| item.file_name().to_string_lossy().starts_with("back.before-restore-"));
    assert_eq!(crate::support::store(kept.expect("kept").path()).names().expect("names"), ["mine"]);
    // A backup does not hold itself.
    let output = backup(&desk.data(), &desk.data().join("it.zip"));
    assert!(output.status.code() == Some(1) && stderr(&output).contains("elsewhere"), "{}", stderr(&output));
}

#[test]
fn a_kill_leaves_a_whole_backup_or_none_and_a_whole_directory() {
    let desk = Desk::new();
    publish(&desk.data(), "demo", SMALL_KB, None);
    let folder = tempfile::tempdir().expect("a folder");
    let (file, into) = (folder.path().join("it.zip"), folder.path().join("back"));
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let whole = timed(&|| assert!(backup(&desk.data(), &file).status.success()));
    let killed = |mut command: std::process::Command, moment: Duration| {
        let mut child = command.stderr(Stdio::null()).spawn().expect("starts");
        let start = Instant::now();
        while start.elapsed() < moment && child.try_wait().expect("known").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("an end");
    };
    for part in 0..12 {
        std::fs::remove_file(&file).ok();
        let mut command = zhida();
        command.args(["backup", "--data"]).arg(desk.data()).arg(&file);
        killed(command, whole * part / 10);
        if file.exists() {
            let other = tempfile::tempdir().expect("a folder");
            restored(&file, &other.path().join("back"));
        }
    }
    assert!(backup(&desk.data(), &file).status.success());
    publish(&into, "mine", SMALL_KB, None);
    let whole = timed(&|| assert!(restore(&file, &folder.path().join("other"), &[]).status.success()));
    for part in 0..12 {
        let mut command = zhida();
        command.args(["restore", "--yes", "--into"]).arg(&into).arg(&file);
        killed(command, whole * part / 10);
        let names = crate::support::store(&into).names().expect("a directory that opens");
        assert!(names == ["mine"] || names == ["demo"], "{names:?}");
        let shelf = crate::support::store(&into).shelf(&names[0]).expect("there");
        shelf.open_current(None).expect("its release opens");
    }
}

/// A data directory as 0.1.0 left it: the first tables, nothing else.
fn of_0_1_0() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source");
    publish(&source, "demo", SMALL_KB, None);
    let home = folder.path().join("data");
    std::fs::create_dir_all(&home).expect("made");
    let url = home.join("zhida.db");
    let mut connection = diesel::SqliteConnection::establish(url.to_str().expect("a path")).expect("open");
    let migrations = FileBasedMigrations::from_path(repository("src/store/migrations")).expect("migrations");
    let mut known = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&migrations).expect("read");
    known.sort_by_key(|one| one.name().version().as_owned());
    // Makes the table that remembers them.
    connection.applied_migrations().expect("none yet");
    for migration in known.iter().filter(|one| one.name().version().to_string().as_str() <= "00000000000006")
    {
        connection.run_migration(migration).expect("applied");
    }
    // Its rows and folders are those of today that it had.
    use diesel::connection::SimpleConnection;
    let from = source.join("zhida.db");
    connection.batch_execute(&format!("ATTACH '{}' AS source;", from.display())).expect("attached");
    for table in ["kbs", "revisions", "entries", "claims", "releases", "servings"] {
        let columns = columns(&mut connection, table);
        connection
            .batch_execute(&format!(
                "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM source.{table};"
            ))
            .expect(table);
    }
    drop(connection);
    std::fs::rename(source.join("kbs"), home.join("kbs")).expect("moved");
    folder
}

fn columns(connection: &mut diesel::SqliteConnection, table: &str) -> String {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Column {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
    }
    let found: Vec<Column> = diesel::sql_query(format!("SELECT name FROM pragma_table_info('{table}')"))
        .load(connection)
        .expect("columns");
    found.into_iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_directory_of_the_version_before_comes_back() {
    let folder = of_0_1_0();
    let (home, file) = (folder.path().join("data"), folder.path().join("it.zip"));
    let before = std::fs::read(home.join("zhida.db")).expect("read");
    let output = backup(&home, &file);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(std::fs::read(home.join("zhida.db")).expect("read"), before, "a backup changes nothing");
    let store = restored(&file, &folder.path().join("back"));
    let shelf = store.shelf("demo").expect("there");
    assert_eq!(
        (shelf.draft().expect("a draft").entries().len(), shelf.current().expect("known")),
        (4, Some(1))
    );
    let server = Running::start(&folder.path().join("back"));
    assert_eq!(server.ask("怎么开电子发票")["answer"]["entry"], "invoice");
    server.stop();
}
