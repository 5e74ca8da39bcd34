//! Releases: what stops a publication, what goes, and how fast one goes back.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::Running;
use crate::store::Desk;
use crate::support::{SMALL_KB, stderr, stdout};

/// The phrasings of [`SMALL_KB`], labelled.
fn queries() -> String {
    SMALL_KB
        .lines()
        .flat_map(|line| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let id = entry["id"].clone();
            let similar = entry["similar"].as_array().expect("a list").clone();
            let line = move |text: Value| json!({"text": text, "expect": id}).to_string() + "\n";
            std::iter::once(entry["question"].clone()).chain(similar).map(line).collect::<Vec<_>>()
        })
        .collect()
}

fn published() -> Desk {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    desk.sound(&["kb", "publish", "--kb", "t"]);
    desk
}

#[test]
fn a_publication_that_answers_worse_is_refused() {
    let desk = published();
    let path = desk.file("q.jsonl", &queries());
    let output = desk.run(&["kb", "queries", "--kb", "t", &path]);
    assert!(output.status.success() && stderr(&output).contains("11"), "{}", stderr(&output));
    assert_eq!(desk.sound(&["kb", "queries", "--kb", "t"]).lines().count(), 11);
    // The same again is no regression.
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "2\n");

    // All phrasings are lost but one.
    let worse: String = SMALL_KB
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let mut entry: Value = serde_json::from_str(line).expect("JSON");
            if number > 0 {
                entry["question"] = json!(format!("完全不相干的事情之{number}"));
                entry["similar"] = json!([]);
                entry["rules"] = json!([]);
            }
            entry.to_string() + "\n"
        })
        .collect();
    let path = desk.file("worse.jsonl", &worse);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    let refused = desk.run(&["kb", "publish", "--kb", "t"]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), String::new()));
    let said = stderr(&refused);
    assert!(
        said.contains("right_to_") && said.contains("能不能收到货再给钱") && said.contains("--force"),
        "{said}"
    );
    assert!(
        said.contains(
            "t answers fewer of the labelled questions, beyond chance, and not more of them wrongly"
        ) && !said.contains("0 errors"),
        "{said}"
    );
    let shelf = desk.store().shelf("t").expect("there");
    assert_eq!(
        (shelf.current().expect("readable"), shelf.versions().expect("readable")),
        (Some(2), vec![1, 2])
    );
    let left = std::fs::read_dir(desk.data().join("kbs/t/releases")).expect("there").count();
    assert_eq!(left, 2, "what was refused is gone");

    let forced = desk.run(&["kb", "publish", "--kb", "t", "--force", "--reason", "换了业务"]);
    assert_eq!(stdout(&forced), "3\n", "{}", stderr(&forced));
    let versions = desk.json(&["kb", "versions", "--kb", "t", "--json"]);
    let last = &versions[2];
    assert_eq!((&last["forced"], &last["reason"]), (&json!(true), &json!("换了业务")));
    assert_eq!(last["findings"]["comparison"]["regressed"], true);

    // The same by hand, for two releases.
    let diff = desk.json(&["kb", "diff", "--kb", "t", "--json", "2", "3"]);
    let compared = &diff["queries"];
    assert_eq!(
        (&compared["from"], &compared["to"], &compared["queries"]),
        (&json!("2"), &json!("3"), &json!(11))
    );
    let change = &compared["generations"]["1"];
    assert_eq!((&change["right"]["before"], &change["regressed"]), (&json!(11), &json!(true)));
    assert!(compared["flips"].as_array().is_some_and(|flips| flips.len() >= 6), "{compared}");
    assert_eq!(desk.json(&["kb", "diff", "--kb", "t", "--json", "3", "draft"])["queries"], Value::Null);

    let faulty = desk.file("faulty.jsonl", "{\"text\":\"怎么退\",\"expect\":\"nobody\"}");
    let output = desk.run(&["kb", "queries", "--kb", "t", &faulty]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("nobody"), "{}", stderr(&output));
    assert!(desk.run(&["kb", "queries", "--kb", "t", "--remove"]).status.success());
    assert_eq!(desk.sound(&["kb", "queries", "--kb", "t"]), "");
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "4\n");
}

#[test]
fn old_releases_go_and_the_one_in_use_stays() {
    let desk = published();
    for number in 2..=5 {
        assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), format!("{number}\n"));
    }
    desk.sound(&["kb", "rollback", "--kb", "t", "2"]);
    let folder = |number: u32| desk.data().join(format!("kbs/t/releases/{number}"));
    let would = desk.run(&["kb", "gc", "--kb", "t", "--keep", "1", "--dry-run"]);
    assert_eq!(stdout(&would), "1\n3\n4\n", "{}", stderr(&would));
    assert!(folder(1).exists());

    // Somebody has release 3 open.
    let shelf = crate::support::store(desk.data()).shelf("t").expect("there");
    let held = shelf.open_release(3, None).expect("sound");
    let output = desk.run(&["kb", "gc", "--kb", "t", "--keep", "1"]);
    assert_eq!(stdout(&output), "1\n4\n");
    assert!(stderr(&output).contains("release 3 is in use"), "{}", stderr(&output));
    assert!(!folder(1).exists() && folder(2).exists() && folder(3).exists() && folder(5).exists());
    drop(held);
    assert_eq!(desk.sound(&["kb", "gc", "--kb", "t", "--keep", "1"]), "3\n");
    let gone = desk.run(&["kb", "rollback", "--kb", "t", "3"]);
    assert!(gone.status.code() == Some(1) && stderr(&gone).contains("known: 2, 5"), "{}", stderr(&gone));
    assert_eq!(desk.run(&["kb", "gc", "--kb", "t", "--keep", "0"]).status.code(), Some(2));

    // As a policy; numbers are never used again.
    desk.sound(&["kb", "gc", "--kb", "t", "--keep", "2", "--always"]);
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "6\n");
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "7\n");
    assert_eq!(desk.store().shelf("t").expect("there").versions().expect("readable"), [6, 7]);
    assert!(!folder(5).exists() && !folder(2).exists());

    // What a collection that was killed has left goes with the next publication.
    std::fs::create_dir_all(folder(5)).expect("a folder");
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "8\n");
    assert!(!folder(5).exists());
}

#[cfg(unix)]
#[test]
fn a_server_keeps_the_release_that_it_serves() {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "demo", &path]);
    desk.sound(&["kb", "publish", "--kb", "demo"]);
    let server = Running::start(&desk.data());
    let start = Instant::now();
    desk.sound(&["kb", "publish", "--kb", "demo"]);
    while server.ask("转人工")["release"] != "2" {
        assert!(start.elapsed().as_secs() < 20, "the release did not arrive");
        std::thread::yield_now();
    }
    // A release that is rolled back to is one that still exists.
    desk.sound(&["kb", "rollback", "--kb", "demo", "1"]);
    while server.ask("转人工")["release"] != "1" {
        assert!(start.elapsed().as_secs() < 40, "the release did not arrive");
        std::thread::yield_now();
    }
    assert_eq!(desk.sound(&["kb", "gc", "--kb", "demo", "--keep", "1"]), "");
    assert_eq!(server.ask("怎么开电子发票")["decision"], "answer");
}

/// Ctrl-C while the draft is being published.
#[cfg(unix)]
#[test]
fn an_interrupted_publication_leaves_nothing() {
    let desk = published();
    let shop = std::fs::read_to_string(crate::support::repository("corpora/shop.kb.jsonl")).expect("there");
    let path = desk.file("shop.jsonl", &shop);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    let releases = desk.data().join("kbs/t/releases");
    let names = || -> Vec<String> {
        let items = std::fs::read_dir(&releases).expect("there");
        items.filter_map(|item| item.ok()?.file_name().into_string().ok()).collect()
    };
    let mut command = desk.command(&["kb", "publish", "--kb", "t"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    // As soon as it has begun to write.
    let start = Instant::now();
    while !names().iter().any(|name| name.starts_with('.')) && child.try_wait().expect("known").is_none() {
        assert!(start.elapsed().as_secs() < 20, "it never began");
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), stdout(&output)), (Some(130), String::new()), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing was published"), "{}", stderr(&output));
    assert_eq!(names(), ["1"], "nothing half made is left");
    assert_eq!(desk.store().shelf("t").expect("there").current().expect("readable"), Some(1));
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "2\n");
}
