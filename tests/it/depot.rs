//! Releases in a depot: nodes fetch what they have not made, faults are named and do
//! not stop what is served, kills leave nothing half, and nothing that is needed goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tempfile::TempDir;
use zhida::depot::{Depot, Name, digest_of};
use zhida::encoder::FileDigest;
use zhida::error::Error;
use zhida::kb::formats;
use zhida::server::Registry;
use zhida::store::{Compared, Shelf, Store, Which};

use crate::support::{SMALL_KB, stderr, stdout, zhida};

const KB: &str = "售后";
const HOUR: Duration = Duration::from_secs(3_600);

/// Two nodes with the same records, each with its own folders, and a depot.
struct Nodes {
    folder: TempDir,
    depot: Depot,
}

impl Nodes {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("depot")).expect("made");
        let depot = Depot::at(&url(folder.path()), &[]).expect("a depot");
        let it = Self { folder, depot };
        it.save(&[("cod", "支持货到付款")]);
        fs::create_dir(it.root("b")).expect("made");
        // The records are one file, as they would be one server.
        std::os::unix::fs::symlink(it.root("a").join("zhida.db"), it.root("b").join("zhida.db"))
            .expect("linked");
        it
    }

    fn root(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    fn store(&self, node: &str) -> Store {
        Store::at(self.root(node)).with_depot(self.depot.clone())
    }

    fn shelf(&self, node: &str) -> Shelf {
        self.store(node).shelf_to_create(KB).expect("a sound name")
    }

    fn save(&self, answers: &[(&str, &str)]) {
        let lines: Vec<String> = answers
            .iter()
            .map(|(id, answer)| {
                json!({"id": id, "question": format!("{id}怎么办理"), "answer": answer}).to_string()
            })
            .collect();
        let base = formats::read_jsonl("t", lines.join("\n").as_bytes()).expect("sound");
        self.shelf("a").save_draft(&base).expect("saved");
    }

    fn publish(&self) -> u32 {
        self.shelf("a").publish(None, &|_, _, _| ()).expect("published").number
    }

    fn answer(&self, node: &str) -> String {
        let shelf = self.shelf(node);
        let release = shelf.open_current(None).expect("opens");
        release.entries()[0].answer.clone()
    }

    /// Every file below a folder of the depot.
    fn files(&self, below: &str) -> Vec<PathBuf> {
        files(&self.root("depot").join(below))
    }

    /// The blob of a file of a release.
    fn blob(&self, number: u32, file: &str) -> PathBuf {
        let manifest = self.shelf("a").manifest(number).expect("a manifest");
        let sha256 = &manifest.files[file].sha256;
        self.root("depot").join("blobs").join(&sha256[..2]).join(sha256)
    }

    /// Lets everything in the depot be older than it is.
    fn age(&self, by: Duration) {
        for path in self.files("") {
            let file = fs::File::options().append(true).open(path).expect("a file");
            file.set_modified(SystemTime::now() - by).expect("set");
        }
    }

    fn command(&self, node: &str, args: &[&str]) -> Command {
        let mut command = zhida();
        command.args(args).arg("--data").arg(self.root(node)).args(["--releases", &url(self.folder.path())]);
        command.env("ZHIDA_MODEL", "none").env("ZHIDA_AUTHOR", "tester");
        command
    }

    #[track_caller]
    fn sound(&self, node: &str, args: &[&str]) -> String {
        let output = self.command(node, args).output().expect("starts");
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    }
}

fn url(folder: &Path) -> String {
    format!("file://{}", folder.join("depot").display())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut all) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = open.pop() {
        for item in fs::read_dir(folder).into_iter().flatten().flatten() {
            let into = if item.path().is_dir() { &mut open } else { &mut all };
            into.push(item.path());
        }
    }
    all.sort();
    all
}

/// What lies in a folder, by relative name.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let named = |path: PathBuf| {
        let bytes = fs::read(&path).expect("read");
        (path.strip_prefix(folder).expect("below").to_path_buf(), bytes)
    };
    files(folder).into_iter().map(named).collect()
}

fn registry(store: Store) -> Registry {
    Registry::new(store, None, 0.05, KB)
}

fn served(registry: &Registry) -> Option<String> {
    registry.view().engines().next().map(|(_, engine)| engine.release().label())
}

#[test]
fn a_node_fetches_what_another_one_has_published_and_gone_back_to() {
    let nodes = Nodes::new();
    assert_eq!(nodes.publish(), 1);
    assert_eq!(nodes.answer("b"), "支持货到付款");
    let (made, fetched) = (nodes.shelf("a").release_folder(1), nodes.shelf("b").release_folder(1));
    assert_eq!(contents(&made), contents(&fetched), "the folders are the same");
    nodes.save(&[("cod", "改了")]);
    assert_eq!(nodes.publish(), 2);
    assert_eq!(nodes.answer("b"), "改了");
    // Back again, on the node that has not made it, from where it is not.
    fs::remove_dir_all(&fetched).expect("gone");
    nodes.shelf("b").rollback(1).expect("back");
    assert_eq!(nodes.answer("a"), "支持货到付款");
    assert_eq!(nodes.answer("b"), "支持货到付款");
}

#[test]
fn a_folder_that_is_not_what_the_record_says_is_fetched_anew() {
    let nodes = Nodes::new();
    nodes.publish();
    nodes.answer("b");
    let place = nodes.shelf("b").release_folder(1);
    let sound = contents(&place);
    // What a publication that died has left under a number that another node took.
    fs::write(place.join("manifest.json"), "{}").expect("written");
    assert_eq!(nodes.answer("b"), "支持货到付款");
    assert_eq!(contents(&place), sound);
}

#[test]
fn equal_files_lie_there_once() {
    let nodes = Nodes::new();
    nodes.publish();
    let before = nodes.files("blobs").len();
    nodes.publish();
    let manifest = nodes.shelf("a").manifest(2).expect("a manifest");
    let added = nodes.files("blobs").len() - before;
    assert!(added < manifest.files.len(), "{added} files of {} were new", manifest.files.len() + 1);
    assert_eq!(nodes.files("names").len(), 2);
}

#[test]
fn a_large_file_goes_in_parts_into_every_kind_of_depot() {
    let folder = tempfile::tempdir().expect("a folder");
    let release = folder.path().join("release");
    fs::create_dir_all(release.join("lexical")).expect("made");
    // Two parts and a bit; one that fills a part; one of nothing.
    let large: Vec<u8> =
        (0..(16 << 20) + 77_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut listed = serde_json::Map::new();
    for (name, bytes) in [("a", &large[..]), ("lexical/b", &large[..8 << 20]), ("lexical/c", &[][..])] {
        fs::write(release.join(name), bytes).expect("written");
        listed.insert(name.to_owned(), serde_json::to_value(FileDigest::of(bytes)).expect("JSON"));
    }
    fs::write(release.join("manifest.json"), json!({"files": listed}).to_string()).expect("written");
    fs::create_dir(folder.path().join("depot")).expect("made");
    let name = Name { tenant: "default".into(), kb: KB.into(), number: 1 };
    for url in ["memory:".to_owned(), url(folder.path())] {
        let depot = Depot::at(&url, &[]).expect("a depot");
        let kept = depot.put(&release, &name).expect("put");
        assert_eq!((kept.files, kept.written), (4, 4), "{url}");
        assert_eq!(depot.put(&release, &name).expect("put again").written, 0, "{url}");
        assert!(depot.holds(&kept.digest).expect("known"));
        assert!(depot.check(&kept.digest, true).expect("read").is_empty());
        let into = tempfile::tempdir().expect("a folder");
        depot.fetch(&kept.digest, into.path()).expect("fetched");
        assert_eq!(contents(into.path()), contents(&release), "{url}");
        // Damaged where it comes from: nobody can fetch that.
        let mut more = listed.clone();
        more.insert("lexical/d".to_owned(), serde_json::to_value(FileDigest::of(b"y")).expect("JSON"));
        fs::write(release.join("lexical/d"), "x").expect("written");
        let second = Name { number: 2, ..name.clone() };
        fs::write(release.join("manifest.json"), json!({"files": more}).to_string()).expect("written");
        let error = depot.put(&release, &second).expect_err("damaged").to_string();
        assert!(error.contains("lexical/d"), "{error}");
        assert!(!depot.holds(&digest_of(&release).expect("a digest")).expect("known"));
        assert_eq!(depot.names().expect("names").len(), 1, "its name went again");
        fs::remove_file(release.join("lexical/d")).expect("removed");
        fs::write(release.join("manifest.json"), json!({"files": listed}).to_string()).expect("written");
    }
}

#[test]
fn a_manifest_that_leads_out_of_its_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let depot = Depot::at("memory:", &[]).expect("a depot");
    for name in ["../x", "/etc/x", "a/../../x", "manifest.json", ""] {
        let files = json!({name: FileDigest::of(b"")});
        fs::write(folder.path().join("manifest.json"), json!({"files": files}).to_string()).expect("written");
        let name = Name { tenant: "default".into(), kb: KB.into(), number: 1 };
        assert!(matches!(depot.put(folder.path(), &name), Err(Error::Release { .. })));
    }
}

#[test]
fn what_is_cut_short_missing_or_changed_is_named_and_what_is_served_goes_on() {
    type Harm = fn(&Path);
    let spoil: [(&str, Harm); 4] = [
        ("bytes, not", |blob| {
            let bytes = fs::read(blob).expect("read");
            fs::write(blob, &bytes[..bytes.len() / 2]).expect("written");
        }),
        ("is missing", |blob| fs::remove_file(blob).expect("gone")),
        ("SHA-256", |blob| {
            let mut bytes = fs::read(blob).expect("read");
            bytes[0] ^= 1;
            fs::write(blob, bytes).expect("written");
        }),
        ("bytes, not", |blob| fs::write(blob, "").expect("written")),
    ];
    for (told, spoil) in spoil {
        let nodes = Nodes::new();
        nodes.publish();
        let registry = registry(nodes.store("b"));
        registry.open_all().expect("opens");
        assert_eq!(served(&registry).as_deref(), Some("1"));
        nodes.save(&[("cod", "改了")]);
        nodes.publish();
        let blob = nodes.blob(2, "entries.jsonl");
        spoil(&blob);
        registry.refresh();
        assert_eq!(served(&registry).as_deref(), Some("1"), "what is served goes on");
        let view = registry.view();
        let (_, _, message) = view.warnings().into_iter().next().expect("an alarm");
        let name = blob.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(message.contains("entries.jsonl") && message.contains(&name), "{message}");
        assert!(message.contains(told), "{told}: {message}");
        assert!(!nodes.shelf("b").release_folder(2).exists(), "nothing half is there");
        // The node that has it puts it back.
        let looked = nodes.store("b").check_releases(Which::Of(KB), true).expect("looked");
        assert_eq!(looked.iter().filter(|one| !one.faults.is_empty()).count(), 1);
        let put = nodes.store("a").put_releases(Which::All, Compared::Bytes).expect("put");
        assert_eq!(put.iter().filter(|one| one.kept.is_some()).count(), 1);
        assert_eq!(nodes.answer("b"), "改了");
    }
}

#[test]
fn without_the_depot_nothing_is_published_and_what_is_there_is_served() {
    let nodes = Nodes::new();
    nodes.publish();
    nodes.answer("b");
    nodes.save(&[("cod", "改了")]);
    let (depot, aside) = (nodes.root("depot"), nodes.root("aside"));
    fs::rename(&depot, &aside).expect("taken away");
    let error = nodes.shelf("a").publish(None, &|_, _, _| ()).expect_err("nowhere to put it").to_string();
    assert!(error.contains("depot") && error.contains("mount it"), "{error}");
    assert_eq!(nodes.shelf("a").current().expect("known"), Some(1));
    assert_eq!(nodes.shelf("a").versions().expect("known"), [1]);
    assert!(!nodes.shelf("a").release_folder(2).exists(), "and it is not taken for one later");
    let registry = registry(nodes.store("b"));
    registry.open_all().expect("what is here opens");
    assert_eq!(served(&registry).as_deref(), Some("1"));
    // A place that cannot be written.
    fs::write(&depot, "no folder").expect("written");
    nodes.shelf("a").publish(None, &|_, _, _| ()).expect_err("no folder");
    fs::remove_file(&depot).expect("gone");
    fs::rename(&aside, &depot).expect("back");
    assert_eq!(nodes.publish(), 2);
    assert_eq!(nodes.answer("b"), "改了");
}

#[test]
fn releases_of_before_the_depot_are_put_there() {
    let nodes = Nodes::new();
    let alone = Store::at(nodes.root("a")).shelf(KB).expect("there");
    alone.publish(None, &|_, _, _| ()).expect("published");
    let error = nodes.shelf("b").open_current(None).err().expect("not here").to_string();
    assert!(error.contains("is missing"), "{error}");
    let put = nodes.store("b").put_releases(Which::All, Compared::Lengths).expect("looked");
    assert!(put[0].fault.is_some(), "not from where it is not");
    let put = nodes.store("a").put_releases(Which::Served, Compared::Manifest).expect("put");
    assert!(put[0].kept.is_some());
    assert_eq!(nodes.answer("b"), "支持货到付款");
}

#[test]
fn only_what_nobody_needs_goes_and_only_when_it_is_old() {
    let nodes = Nodes::new();
    for answer in ["一", "二", "三"] {
        nodes.save(&[("cod", answer)]);
        nodes.publish();
    }
    let other = Name { tenant: "default".into(), kb: "别处".into(), number: 7 };
    let elsewhere = nodes.depot.put(&nodes.shelf("a").release_folder(1), &other).expect("put").digest;
    nodes.shelf("a").collect(1, false).expect("collected");
    assert_eq!(nodes.files("names").len(), 2, "the last one's, and the one that nobody here knows");
    let store = nodes.store("a");
    let young = store.collect_depot(HOUR, false, false).expect("collected");
    assert_eq!(young.files.removed, 0, "{young:?}");
    assert!(young.files.young > 0);
    assert!(store.collect_depot(Duration::from_secs(60), false, false).is_err(), "too short a grace");
    nodes.age(HOUR * 2);
    let dry = store.collect_depot(HOUR, false, true).expect("looked");
    let before = nodes.files("blobs").len();
    let done = store.collect_depot(HOUR, false, false).expect("collected");
    assert_eq!(dry.files, done.files);
    assert!(done.files.removed > 0);
    assert_eq!(nodes.files("blobs").len(), before - done.files.removed);
    assert_eq!(done.unknown, ["release 7 of 别处"]);
    assert!(nodes.depot.check(&elsewhere, true).expect("read").is_empty(), "what others need stays");
    assert_eq!(nodes.answer("b"), "三");
    // A publication that needs an old file writes it anew, whatever goes on meanwhile.
    nodes.age(HOUR * 2);
    nodes.publish();
    let blob = nodes.blob(4, "entries.jsonl");
    assert!(fs::metadata(&blob).and_then(|data| data.modified()).expect("a time") > SystemTime::now() - HOUR);
    nodes.age(HOUR * 2);
    let unknown = store.collect_depot(HOUR, true, false).expect("collected");
    assert_eq!(unknown.unknown.len(), 1);
    assert!(!nodes.depot.holds(&elsewhere).expect("known"));
    nodes.shelf("a").delete().expect("deleted");
    assert!(nodes.files("names").is_empty(), "a deleted knowledge base leaves no name");
    nodes.age(HOUR * 2);
    // What a killed writer has left.
    let left = nodes.root("depot/blobs/ab");
    fs::create_dir_all(&left).expect("made");
    fs::write(left.join("abcd#1"), "half").expect("written");
    fs::File::options()
        .append(true)
        .open(left.join("abcd#1"))
        .and_then(|f| f.set_modified(SystemTime::now() - HOUR * 3))
        .expect("set");
    store.collect_depot(HOUR, false, false).expect("collected");
    assert!(nodes.files("").is_empty(), "{:?}", nodes.files(""));
}

#[test]
fn a_kill_half_way_leaves_nothing_half() {
    let nodes = Nodes::new();
    let path = nodes.root("kb.jsonl");
    fs::write(&path, SMALL_KB).expect("written");
    nodes.sound("a", &["kb", "import", "--kb", KB, &path.display().to_string()]);
    nodes.sound("a", &["kb", "publish", "--kb", KB]);
    let ask = ["ask", "--kb", KB, "--json", "怎么开电子发票"];
    let wanted = nodes.sound("b", &ask);
    let mut cut_short = 0;
    for round in 0..12 {
        let before = nodes.shelf("a").current().expect("known").expect("published");
        let (blobs, names) = (nodes.files("blobs").len(), nodes.files("names").len());
        let mut child = nodes
            .command("a", &["kb", "publish", "--kb", KB])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        // Its name is there, or some of its files.
        while child.try_wait().expect("known").is_none() {
            let begun = nodes.files("names").len() > names;
            if begun && nodes.files("blobs").len() >= blobs + round / 3 {
                let _ = child.kill();
            }
        }
        let killed = child.wait().expect("ended").code().is_none();
        let after = nodes.shelf("a").current().expect("known").expect("published");
        assert!(after == before || after == before + 1, "{before}, then {after}");
        // Whatever is served can be fetched, by a node that is killed in the middle as well.
        let place = nodes.shelf("b").release_folder(after);
        let _ = fs::remove_dir_all(&place);
        let mut child =
            nodes.command("b", &ask).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let releases = place.parent().expect("a folder").to_path_buf();
        while child.try_wait().expect("known").is_none() {
            let fetching = fs::read_dir(&releases).into_iter().flatten().flatten();
            if fetching
                .map(|item| item.file_name())
                .any(|name| name.to_string_lossy().starts_with(".fetching-"))
            {
                let _ = child.kill();
            }
        }
        cut_short += usize::from(killed) + usize::from(child.wait().expect("ended").code().is_none());
        let answer = nodes.sound("b", &ask);
        assert_eq!(answer_of(&answer), answer_of(&wanted));
        assert_eq!(contents(&place), contents(&nodes.shelf("a").release_folder(after)));
        let left = fs::read_dir(&releases).expect("there").flatten();
        let left: Vec<_> = left
            .map(|item| item.file_name())
            .filter(|name| name.to_string_lossy().starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(cut_short > 3, "only {cut_short} of 24 were killed on the way");
    // What was left in the depot goes when it is old and asked for, and what is needed stays.
    nodes.age(HOUR * 2);
    nodes.sound("a", &["depot", "gc", "--grace", "1h", "--forget-unknown"]);
    nodes.sound("b", &["depot", "check", "--read"]);
}

fn answer_of(text: &str) -> serde_json::Value {
    let reply: serde_json::Value = serde_json::from_str(text).expect("JSON");
    reply["answer"].clone()
}

#[test]
fn the_command_line_names_what_is_wrong() {
    let nodes = Nodes::new();
    nodes.publish();
    let bare = zhida().args(["depot", "check", "--data"]).arg(nodes.root("a")).output().expect("starts");
    assert!(!bare.status.success());
    assert!(stderr(&bare).contains("--releases URL"), "{}", stderr(&bare));
    let wrong =
        zhida().args(["depot", "check", "--releases", "http://x", "--data"]).arg(nodes.root("a")).output();
    let wrong = wrong.expect("starts");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("s3://BUCKET/PREFIX"), "{}", stderr(&wrong));
    fs::remove_file(nodes.blob(1, "entries.jsonl")).expect("gone");
    let output = nodes.command("b", &["depot", "check"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("entries.jsonl"), "{}", stdout(&output));
    nodes.sound("a", &["depot", "put"]);
    nodes.sound("b", &["depot", "check", "--read"]);
    let versions = nodes.sound("b", &["kb", "versions", "--kb", KB]);
    assert!(versions.contains("1 entries"), "a release that is not here is described: {versions}");
}
