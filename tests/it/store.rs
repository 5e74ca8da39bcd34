//! The data directory: history, modes of importing, several processes at
//! once, and directories of the first layout.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use zhida::kb::{EntryId, KnowledgeBase, formats};
use zhida::store::{Action, Signature, Store};
use zhida::text::AuthoredLexicon;

use crate::support::{SMALL_KB, run, stderr, stdout, zhida};

/// A data directory and the commands on it, without a model.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = zhida();
        command.args(args).arg("--data").arg(self.data());
        command.env("ZHIDA_MODEL", "none").env("ZHIDA_AUTHOR", "tester");
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    #[track_caller]
    pub fn sound(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.sound(args)).expect("JSON")
    }

    pub fn store(&self) -> Store {
        crate::support::store(self.data())
    }
}

fn base(text: &str) -> KnowledgeBase {
    formats::read_jsonl("test", text.as_bytes()).expect("sound entries")
}

#[test]
fn every_change_says_who_when_what_and_why() {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "t", "--author", "王芳", "--reason", "第一版", &path]);
    let edited = SMALL_KB
        .replace("1 到 3 个工作日", "1 到 5 个工作日")
        .replace(r#""keywords":["发票"]"#, r#""keywords":["发票"],"enabled":false"#);
    let edited: Vec<&str> = edited.lines().filter(|line| !line.contains("\"cod\"")).collect();
    let path = desk.file("b.jsonl", &edited.join("\n"));
    let printed = desk.sound(&["kb", "import", "--kb", "t", &path]);
    assert!(
        printed.contains("- [cod]") && printed.contains("~ [refund-time]") && printed.contains("5 个"),
        "{printed}"
    );

    let report = desk.json(&["kb", "history", "--kb", "t", "--json"]);
    let seen: Vec<(&str, &str, &str)> = report["revisions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|r| {
            let text = |name: &str| r[name].as_str().unwrap_or_default();
            (text("entry"), text("action"), text("author"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("cod", "remove", "tester"),
            ("invoice", "disable", "tester"),
            ("refund-time", "change", "tester"),
            ("cod", "add", "王芳"),
            ("invoice", "add", "王芳"),
            ("address-change", "add", "王芳"),
            ("refund-time", "add", "王芳"),
        ]
    );
    let newest = &report["revisions"][0];
    assert_eq!((&newest["after"], &newest["before"]["question"]), (&Value::Null, &"支持货到付款吗".into()));
    assert_eq!(report["revisions"][6]["reason"], "第一版");
    let at = newest["at"].as_str().expect("a moment");
    assert!(
        time::OffsetDateTime::parse(at, &time::format_description::well_known::Rfc3339)
            .is_ok_and(|at| { (time::OffsetDateTime::now_utc() - at).abs() < time::Duration::minutes(10) }),
        "{at}"
    );
    let one = desk.sound(&["kb", "history", "--kb", "t", "--entry", "refund-time"]);
    assert!(one.lines().count() == 3 && one.contains("answer:"), "{one}");
    let unknown = desk.run(&["kb", "history", "--kb", "t", "--entry", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("nobody"));

    // Switching on again, and a state that is the same, which is no change.
    let shelf = desk.store().shelf("t").expect("there").signed(Signature::of("库"));
    let again = edited.join("\n").replace(",\"enabled\":false", "");
    shelf.save_draft(&base(&again)).expect("saved");
    shelf.save_draft(&base(&again)).expect("saved");
    let history = shelf.history(None, None, 2).expect("readable");
    assert_eq!((history[0].action, history[0].number, &*history[0].author), (Action::Enable, 8, "库"));
    assert_eq!(shelf.history(None, Some(8), 1).expect("readable")[0].number, 7);
}

#[test]
fn a_release_remembers_its_author_and_reason() {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", r#"{"id":"a","question":"怎么退款","answer":"。。。"}"#);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    desk.sound(&["kb", "publish", "--kb", "t", "--force", "--reason", "领导要求", "--author", "李雷"]);
    let versions = desk.json(&["kb", "versions", "--kb", "t", "--json"]);
    let one = &versions[0];
    assert_eq!(
        (&one["author"], &one["reason"], &one["forced"]),
        (&"李雷".into(), &"领导要求".into(), &true.into())
    );
    assert_eq!(one["findings"]["errors"][0]["code"], "empty_answer");
    assert_eq!(one["findings"]["errors"][0]["entries"][0], "a");
    desk.sound(&["kb", "rollback", "--kb", "t", "1", "--reason", "试一下"]);
    let report = desk.json(&["kb", "history", "--kb", "t", "--json"]);
    let acts: Vec<_> =
        report["releases"].as_array().expect("a list").iter().map(|r| r["action"].as_str()).collect();
    assert_eq!(acts, [Some("rollback"), Some("publish")]);
    assert_eq!(report["releases"][0]["reason"], "试一下");
}

#[test]
fn a_file_adds_updates_or_replaces() {
    let desk = Desk::new();
    let all = desk.file("all.jsonl", SMALL_KB);
    let some = desk.file(
        "some.jsonl",
        concat!(
            r#"{"id":"cod","question":"能货到付款么","answer":"可以。请在下单时选择。"}"#,
            "\n",
            r#"{"id":"hours","question":"几点上班","answer":"早上九点到晚上六点。"}"#
        ),
    );
    desk.sound(&["kb", "import", "--kb", "t", &all]);
    let import = |mode: &str, dry: bool| {
        let mut args = vec!["kb", "import", "--kb", "t", "--json", "--mode", mode, &some];
        if dry {
            args.push("--dry-run");
        }
        let report = desk.json(&args);
        ["added", "changed", "removed"].map(|kind| report["diff"][kind].as_array().expect("a list").len())
    };
    let before = desk.store().shelf("t").expect("there").draft().expect("readable");
    assert_eq!(import("replace", true), [1, 1, 3]);
    assert_eq!(import("update", true), [1, 1, 0]);
    assert_eq!(import("add", true), [1, 0, 0]);
    let shelf = desk.store().shelf("t").expect("there");
    assert_eq!(shelf.draft().expect("readable"), before, "a dry run writes nothing");
    assert_eq!(import("add", false), [1, 0, 0]);
    assert_eq!(import("update", false), [0, 1, 0]);
    let ids: Vec<String> =
        shelf.draft().expect("readable").entries().iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(ids, ["refund-time", "address-change", "invoice", "cod", "hours"]);

    // A question cannot move away from an entry that stays.
    let clash =
        desk.file("clash.jsonl", r#"{"id":"x","question":"怎么开电子发票","answer":"在这里可以开。"}"#);
    let output = desk.run(&["kb", "import", "--kb", "t", "--mode", "update", &clash]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("clash.jsonl") && said.contains("question") && said.contains("invoice"), "{said}");
    assert_eq!(shelf.draft().expect("readable").entries().len(), 5);
    assert_eq!(desk.run(&["kb", "import", "--kb", "t", "--mode", "mix", &clash]).status.code(), Some(2));
    assert_eq!(import("replace", false), [0, 0, 3]);
}

#[test]
fn writers_at_once_lose_nothing() {
    let desk = Desk::new();
    // Also the making of the database itself happens to all of them at once.
    let children: Vec<_> = (0..6)
        .map(|number| {
            let line = format!(
                r#"{{"id":"e{number}","question":"第{number}个问题怎么办","answer":"这样办就可以。"}}"#
            );
            let path = desk.file(&format!("{number}.jsonl"), &line);
            let mut command = desk.command(&["kb", "import", "--kb", "t", "--mode", "add", &path]);
            crate::support::ground(&mut command)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("starts")
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let shelf = desk.store().shelf("t").expect("there");
    let mut ids: Vec<String> =
        shelf.draft().expect("readable").entries().iter().map(|entry| entry.id.to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["e0", "e1", "e2", "e3", "e4", "e5"]);
    let numbers: Vec<i64> =
        shelf.history(None, None, 100).expect("readable").iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [6, 5, 4, 3, 2, 1]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for item in std::fs::read_dir(from).expect("there") {
        let path = item.expect("readable").path();
        let place = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(&path, &place).expect("copied");
        }
    }
}

/// A data directory as zhida wrote it before there was a database.
fn first_layout(desk: &Desk, releases: u32, current: u32) {
    let maker = Desk::new();
    for number in 1..=releases {
        let path = maker.file("a.jsonl", &SMALL_KB.replace("1 到 3", &format!("1 到 {}", number + 3)));
        maker.sound(&["kb", "import", "--kb", "t", &path]);
        maker.sound(&["kb", "publish", "--kb", "t"]);
    }
    let folder = desk.data().join("kbs/t");
    copy(&maker.data().join("kbs/t/releases"), &folder.join("releases"));
    std::fs::write(folder.join("draft.jsonl"), SMALL_KB).expect("written");
    std::fs::write(folder.join("current"), format!("{current}\n")).expect("written");
}

#[test]
fn a_directory_of_the_first_layout_moves_in_whole() {
    let desk = Desk::new();
    first_layout(&desk, 3, 2);
    let words = desk.data().join("kbs/t/lexicon.jsonl");
    std::fs::write(&words, "{\"stop\":\"麻烦\"}\n").expect("written");
    assert_eq!(desk.sound(&["kb", "list"]), "t\trelease 2\n");
    let shelf = desk.store().shelf("t").expect("there");
    let lexicon = AuthoredLexicon::read("w", "{\"stop\":\"麻烦\"}".as_bytes()).expect("sound");
    assert_eq!(shelf.draft().expect("readable"), base(SMALL_KB).with_lexicon(lexicon));
    assert_eq!(shelf.versions().expect("readable"), [1, 2, 3]);
    assert_eq!(shelf.current().expect("readable"), Some(2));
    assert_eq!(shelf.history(Some(&EntryId("cod".into())), None, 9).expect("readable").len(), 1);
    // What was there is still there, under names that nobody reads.
    let folder = desk.data().join("kbs/t");
    assert_eq!(std::fs::read_to_string(folder.join("draft.jsonl.moved")).expect("kept"), SMALL_KB);
    assert!(!folder.join("draft.jsonl").exists() && folder.join("current.moved").exists());
    assert_eq!(desk.sound(&["kb", "lexicon", "--kb", "t"]), "停用词 麻烦\n");
    assert!(!words.exists());
    // A file that comes later has nothing to say: the database holds the words.
    std::fs::write(&words, "{\"stop\":\"劳驾\"}\n").expect("written");
    assert_eq!(desk.sound(&["kb", "lexicon", "--kb", "t"]), "停用词 麻烦\n");
    let reply = desk.json(&["ask", "--kb", "t", "--json", "退款多久到账"]);
    assert!(reply["answer"]["text"].as_str().is_some_and(|text| text.contains("1 到 5")), "{reply}");
    desk.sound(&["kb", "rollback", "--kb", "t", "3"]);
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "4\n");
}

#[test]
fn a_damaged_directory_of_the_first_layout_is_left_as_it_is() {
    let desk = Desk::new();
    first_layout(&desk, 1, 1);
    let draft = desk.data().join("kbs/t/draft.jsonl");
    std::fs::write(&draft, "{\"question\":").expect("written");
    let output = desk.run(&["kb", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("draft.jsonl:1"), "{}", stderr(&output));
    std::fs::write(&draft, SMALL_KB).expect("written");
    assert_eq!(desk.sound(&["kb", "list"]), "t\trelease 1\n");
}

#[test]
fn a_release_without_a_record_keeps_its_number() {
    let desk = Desk::new();
    let path = desk.file("a.jsonl", SMALL_KB);
    desk.sound(&["kb", "import", "--kb", "t", &path]);
    desk.sound(&["kb", "publish", "--kb", "t"]);
    // Its publisher died between the folder and the record.
    copy(&desk.data().join("kbs/t/releases/1"), &desk.data().join("kbs/t/releases/2"));
    assert_eq!(desk.sound(&["kb", "publish", "--kb", "t"]), "3\n");
    assert_eq!(desk.store().shelf("t").expect("there").versions().expect("readable"), [1, 2, 3]);
}

#[test]
fn looking_creates_nothing() {
    let desk = Desk::new();
    assert_eq!(desk.sound(&["kb", "list"]), "");
    assert_eq!(desk.run(&["kb", "versions", "--kb", "t"]).status.code(), Some(1));
    // A name that is mistyped is no installation without keys, channels and questions.
    for words in [
        &["key", "list"] as &[&str],
        &["person", "list"],
        &["tenant", "list"],
        &["channel", "list"],
        &["usage"],
        &["events", "keep", "--text", "none"],
        &["events", "compact"],
        &["forget", "--customer", "x"],
        &["key", "revoke", "k_1"],
        &["audit", "show"],
    ] {
        let output = desk.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(stderr(&output).contains("there is no installation in"), "{words:?}: {}", stderr(&output));
    }
    assert!(!desk.data().exists());
}
