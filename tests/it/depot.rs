//! Releases in a depot: nodes fetch what they have not made, faults are named and do
//! not stop what is served, kills leave nothing half, and nothing that is needed goes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use zhida::depot::{Depot, Name, digest_of};
use zhida::encoder::FileDigest;
use zhida::error::Error;
use zhida::server::Registry;
use zhida::store::{Compared, Store, Which};

use crate::depot_nodes::{HOUR, Harm, KB, Nodes, at, contents, url};
use crate::support::{SMALL_KB, stderr, stdout, zhida};

fn registry(store: Store) -> Registry {
    Registry::new(store, None, 0.05, KB)
}

fn served(registry: &Registry) -> Option<String> {
    registry.view().engines().next().map(|(_, engine)| engine.release().label())
}

#[test]
fn a_node_fetches_what_another_one_has_published_and_gone_back_to() {
    for nodes in Nodes::each() {
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
}

#[test]
fn a_folder_that_is_not_what_the_record_says_is_fetched_anew() {
    for nodes in Nodes::each() {
        nodes.publish();
        nodes.answer("b");
        let place = nodes.shelf("b").release_folder(1);
        let sound = contents(&place);
        // What a publication that died has left under a number that another node took.
        fs::write(place.join("manifest.json"), "{}").expect("written");
        assert_eq!(nodes.answer("b"), "支持货到付款");
        assert_eq!(contents(&place), sound);
    }
}

#[test]
fn equal_files_lie_there_once() {
    for nodes in Nodes::each() {
        nodes.publish();
        let before = nodes.count("blobs");
        nodes.publish();
        let manifest = nodes.shelf("a").manifest(2).expect("a manifest");
        let added = nodes.count("blobs") - before;
        assert!(added < manifest.files.len(), "{added} files of {} were new", manifest.files.len() + 1);
        assert_eq!(nodes.count("names"), 2);
    }
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
    let mut depots = vec![Depot::at("memory:", &[]), Depot::at(&url(folder.path()), &[])];
    depots.push(Ok(Nodes::in_records().depot));
    for depot in depots {
        let depot = depot.expect("a depot");
        let url = depot.url();
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
    let harms = [
        ("bytes, not", Harm::Shortened),
        ("is missing", Harm::Removed),
        ("SHA-256", Harm::Changed),
        ("bytes, not", Harm::Emptied),
    ];
    let cases = harms.into_iter().flat_map(|harm| Nodes::each().into_iter().map(move |nodes| (harm, nodes)));
    for ((told, harm), nodes) in cases {
        nodes.publish();
        let registry = registry(nodes.store("b"));
        registry.open_all().expect("opens");
        assert_eq!(served(&registry).as_deref(), Some("1"));
        nodes.save(&[("cod", "改了")]);
        nodes.publish();
        let blob = nodes.digest(2, "entries.jsonl");
        nodes.harm(&blob, harm);
        registry.refresh();
        assert_eq!(served(&registry).as_deref(), Some("1"), "what is served goes on");
        let view = registry.view();
        let (_, _, message) = view.warnings().into_iter().next().expect("an alarm");
        assert!(message.contains("entries.jsonl") && message.contains(&blob), "{message}");
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
    let nodes = Nodes::in_folder();
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
    for nodes in Nodes::each() {
        let alone = at(&nodes.root("a"), &nodes.root("a")).shelf(KB).expect("there");
        alone.publish(None, &|_, _, _| ()).expect("published");
        let error = nodes.shelf("b").open_current(None).err().expect("not here").to_string();
        assert!(error.contains("is missing"), "{error}");
        let put = nodes.store("b").put_releases(Which::All, Compared::Lengths).expect("looked");
        assert!(put[0].fault.is_some(), "not from where it is not");
        let put = nodes.store("a").put_releases(Which::Served, Compared::Manifest).expect("put");
        assert!(put[0].kept.is_some());
        assert_eq!(nodes.answer("b"), "支持货到付款");
    }
}

#[test]
fn only_what_nobody_needs_goes_and_only_when_it_is_old() {
    for nodes in Nodes::each() {
        for answer in ["一", "二", "三"] {
            nodes.save(&[("cod", answer)]);
            nodes.publish();
        }
        let other = Name { tenant: "default".into(), kb: "别处".into(), number: 7 };
        let elsewhere = nodes.depot.put(&nodes.shelf("a").release_folder(1), &other).expect("put").digest;
        nodes.shelf("a").collect(1, false).expect("collected");
        assert_eq!(nodes.count("names"), 2, "the last one's, and the one that nobody here knows");
        let store = nodes.store("a");
        let young = store.collect_depot(HOUR, false, false).expect("collected");
        assert_eq!(young.files.removed, 0, "{young:?}");
        assert!(young.files.young > 0);
        assert!(store.collect_depot(Duration::from_secs(60), false, false).is_err(), "too short a grace");
        nodes.age(HOUR * 2);
        let dry = store.collect_depot(HOUR, false, true).expect("looked");
        let before = nodes.count("blobs");
        let done = store.collect_depot(HOUR, false, false).expect("collected");
        assert_eq!(dry.files, done.files);
        assert!(done.files.removed > 0);
        assert_eq!(nodes.count("blobs"), before - done.files.removed);
        assert_eq!(done.unknown, ["release 7 of 别处"]);
        assert!(nodes.depot.check(&elsewhere, true).expect("read").is_empty(), "what others need stays");
        assert_eq!(nodes.answer("b"), "三");
        // A publication that needs an old file writes it anew, whatever goes on meanwhile.
        nodes.age(HOUR * 2);
        nodes.publish();
        assert!(nodes.age_of(&nodes.digest(4, "entries.jsonl")) < HOUR);
        nodes.age(HOUR * 2);
        let unknown = store.collect_depot(HOUR, true, false).expect("collected");
        assert_eq!(unknown.unknown.len(), 1);
        assert!(!nodes.depot.holds(&elsewhere).expect("known"));
        nodes.shelf("a").delete().expect("deleted");
        assert!(nodes.count("names") == 0, "a deleted knowledge base leaves no name");
        nodes.age(HOUR * 2);
        nodes.leave_half();
        store.collect_depot(HOUR, false, false).expect("collected");
        assert_eq!(nodes.count(""), 0);
    }
}

#[test]
fn a_kill_half_way_leaves_nothing_half() {
    let nodes = Nodes::commanded();
    let path = nodes.root("kb.jsonl");
    fs::write(&path, SMALL_KB).expect("written");
    nodes.sound("a", &["kb", "import", "--kb", KB, &path.display().to_string()]);
    nodes.sound("a", &["kb", "publish", "--kb", KB]);
    let ask = ["ask", "--kb", KB, "--json", "怎么开电子发票"];
    let wanted = nodes.sound("b", &ask);
    let mut cut_short = 0;
    // Twelve times, and on a busy machine, where few are met on the way, until some were.
    for round in 0.. {
        if round >= 12 && cut_short > 3 {
            break;
        }
        assert!(round < 80, "only {cut_short} of {} were killed on the way", 2 * round);
        let before = nodes.shelf("a").current().expect("known").expect("published");
        let (blobs, names) = (nodes.count("blobs"), nodes.count("names"));
        let mut child = nodes
            .command("a", &["kb", "publish", "--kb", KB])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        // Its name is there, or some of its files.
        while child.try_wait().expect("known").is_none() {
            let begun = nodes.count("names") > names;
            if begun && nodes.count("blobs") >= blobs + round % 12 / 3 {
                let _ = child.kill();
            }
        }
        let killed = child.wait().expect("ended").code().is_none();
        let after = nodes.shelf("a").current().expect("known").expect("published");
        // The number of a folder that one killed before it has left is not given again.
        assert!(after >= before, "{before}, then {after}");
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
    let nodes = Nodes::commanded();
    nodes.publish();
    if !nodes.is_in_records {
        let alone = |more: &[&str]| {
            let mut command = zhida();
            command.args(["depot", "check"]).args(more).arg("--data").arg(nodes.root("a"));
            let output = command.output().expect("starts");
            assert!(!output.status.success());
            stderr(&output)
        };
        let told = alone(&[]);
        assert!(told.contains("with --releases or"), "{told}");
        let told = alone(&["--releases", "database"]);
        assert!(told.contains("--database postgres://"), "{told}");
    }
    let wrong =
        zhida().args(["depot", "check", "--releases", "http://x", "--data"]).arg(nodes.root("a")).output();
    let wrong = wrong.expect("starts");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("s3://BUCKET/PREFIX"), "{}", stderr(&wrong));
    nodes.harm(&nodes.digest(1, "entries.jsonl"), Harm::Removed);
    let output = nodes.command("b", &["depot", "check"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("entries.jsonl"), "{}", stdout(&output));
    nodes.sound("a", &["depot", "put"]);
    nodes.sound("b", &["depot", "check", "--read"]);
    let versions = nodes.sound("b", &["kb", "versions", "--kb", KB]);
    assert!(versions.contains("1 entries"), "a release that is not here is described: {versions}");
}
