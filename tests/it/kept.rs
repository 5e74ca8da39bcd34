//! What two do at the same time, and what a death between two steps leaves behind.

use std::collections::HashSet;

use serde_json::json;
use time::OffsetDateTime;
use zhida::access::Limits;
use zhida::events::Whose;
use zhida::kb::{EntryId, KnowledgeBase};
use zhida::store::{Decided, Edit, Expected, IgnoredColumns, Job, PlanState, Planned, Settled, Store};

use crate::http::publish;
use crate::support::{SMALL_KB, store};

fn house() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let store = store(folder.path());
    (folder, store)
}

#[test]
fn what_is_served_at_its_time_is_not_done_again_by_the_next() {
    let (_folder, store) = house();
    let shelf = store.shelf("demo").expect("there");
    let now = OffsetDateTime::now_utc();
    let set = shelf.schedule(Planned::Rollback(1), now, None).expect("set");
    assert_eq!(store.take_up_schedules(now).expect("taken").len(), 1);
    // Whoever has taken it up dies right after it is served.
    shelf.clone().for_schedule(set.number, "（晚了）".to_owned()).rollback(1).expect("served");
    let told = shelf.schedules(1).expect("read").remove(0);
    assert_eq!((told.state, told.outcome.as_deref()), (PlanState::Done, Some("版本 1（晚了）")));
    let later = now + time::Duration::hours(1);
    assert_eq!(store.take_up_schedules(later).expect("nothing").len(), 0);
    // What is told afterwards changes nothing.
    shelf.end_schedule(set.number, PlanState::Failed, "late").expect("told");
    assert_eq!(shelf.schedules(1).expect("read")[0].state, PlanState::Done);
}

#[test]
fn what_somebody_does_to_the_draft_has_a_beginning_and_an_end() {
    let (_folder, store) = house();
    let shelf = store.shelf("demo").expect("there");
    let head = || shelf.head().expect("read").expect("there").revision;
    let first = head();
    let without = |draft: KnowledgeBase| {
        let left = draft.entries().iter().skip(2).cloned().collect();
        Ok(KnowledgeBase::of_validated(left))
    };
    let (before, until) = shelf.change_draft(IgnoredColumns::default(), without).expect("changed");
    assert_eq!((before, until), (first, first + 2));
    // A colleague's edit is outside of it, and stays.
    let entry = shelf.draft().expect("read").entries()[0].clone();
    shelf.edit(&entry.id.clone(), Edit::Enable(false), &Expected::Anything, false).expect("edited");
    let back = shelf.rewind(before, until).expect("taken back");
    assert_eq!((back.diff.added.len(), back.kept), (2, Vec::<EntryId>::new()));
    assert!(!shelf.entry(&entry.id).expect("read").expect("there").entry.enabled);
    assert_eq!(shelf.draft().expect("read").entries().len(), SMALL_KB.lines().count());
}

#[test]
fn what_was_decided_while_suggestions_were_looked_for_stays_decided() {
    let (_folder, store) = house();
    let shelf = store.shelf("demo").expect("there");
    let decide = |id: &str, verdict: &str| {
        let (kind, text) = ("similar".to_owned(), "退货".to_owned());
        let (id, verdict) = (id.to_owned(), verdict.to_owned());
        let decided = Decided { id, kind, entry: None, text, count: 1, verdict, revision: None };
        shelf.decide_suggestion(&decided).expect("decided");
    };
    let all = ["s1", "s2", "s3"].map(|id| (id.to_owned(), format!("{{\"id\":\"{id}\"}}")));
    shelf.propose_suggestions(&all, &HashSet::new()).expect("proposed");
    decide("s1", "ignored");
    let known = HashSet::from([("s1", "ignored")]);
    // A look that knows of the first decision and not of the second.
    decide("s2", "never");
    shelf.propose_suggestions(&all, &known).expect("proposed");
    let open = shelf.open_suggestions().expect("read");
    assert_eq!(open, [all[0].1.clone(), all[2].1.clone()], "what was left is open again");
    let decided = shelf.decided_suggestions().expect("read");
    assert_eq!(decided.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s2"]);
}

fn job(id: &str, target: &str, lane: &str, body: &serde_json::Value) -> Job {
    let [id, target, lane] = [id, target, lane].map(str::to_owned);
    Job { id, target, lane, kind: "reply".to_owned(), body: body.to_string() }
}

#[test]
fn whoever_says_how_far_they_are_keeps_the_job() {
    let (_folder, store) = house();
    let talk = store.conversations();
    talk.put_jobs(&[job("j1", "channel:cw", "s1", &json!({}))], "demo", 0).expect("put");
    let mine = talk.take("channel:cw", "one", 0, 1_000).expect("taken").expect("a job");
    assert!(talk.note_progress(&mine, &json!({"sent": 1}), 900, 60_000).expect("noted"));
    assert_eq!(talk.take("channel:cw", "two", 30_000, 1_000).expect("asked"), None, "it goes on");
    let theirs = talk.take("channel:cw", "two", 90_000, 60_000).expect("taken").expect("it was left");
    assert!(theirs.body.contains("\"sent\":1"), "{}", theirs.body);
    assert!(!talk.note_progress(&mine, &json!({"sent": 2}), 90_001, 60_000).expect("asked"));
    talk.settle(&mine, &Settled::Done).expect("nothing");
    assert!(talk.note_progress(&theirs, &json!({"sent": 2}), 90_002, 60_000).expect("noted"));
}

#[test]
fn who_is_forgotten_is_forgotten_in_what_could_not_be_delivered() {
    let (_folder, store) = house();
    let talk = store.conversations();
    let body = json!({"conversation": "generic:shop:u-1", "text": "我的地址是解放路 8 号"});
    talk.put_jobs(
        &[
            job("j1", "channel:shop", "generic:shop:u-1", &body),
            job("j2", "webhook:w", "j2", &body),
            job("j3", "inbox:shop", "u-1", &json!({"text": "还没听到的话"})),
            job("j4", "webhook:w2", "j4", &json!({"conversation": "generic:shop:u-2"})),
        ],
        "demo",
        0,
    )
    .expect("put");
    for target in ["channel:shop", "webhook:w", "webhook:w2"] {
        let taken = talk.take(target, "one", 0, 1_000).expect("taken").expect("a job");
        talk.settle(&taken, &Settled::Dead { error: "410".to_owned() }).expect("settled");
    }
    talk.grant("shop", "generic:shop:u-1", 5, 60_000, 0).expect("granted");
    talk.grant("mail", "email:a@shop.invalid", 5, 60_000, 0).expect("granted");
    store.forget(Whose::Conversation("generic:shop:u-1".to_owned())).expect("forgotten");
    let dead: Vec<String> = talk.dead_jobs(None, 10).expect("read").into_iter().map(|job| job.id).collect();
    assert_eq!((dead, talk.due_jobs(None, 10).expect("read").len()), (vec!["j4".to_owned()], 0));
    let unknown =
        |channel: &str, who: &str| matches!(talk.spend(channel, who, 1), Ok(zhida::store::Spent::Unknown));
    assert!(unknown("shop", "generic:shop:u-1") && !unknown("mail", "email:a@shop.invalid"));
    store.forget(Whose::Customer("a@shop.invalid".to_owned())).expect("forgotten");
    assert!(unknown("mail", "email:a@shop.invalid"));
}

#[test]
fn a_tenant_that_was_deleted_leaves_nothing_on_any_machine() {
    let (folder, store) = house();
    let access = store.access();
    access.create_tenant("acme", &Limits::default()).expect("a tenant");
    let home = folder.path().join("tenants/acme");
    std::fs::create_dir_all(home.join("events")).expect("its files");
    access.delete_tenant("acme").expect("deleted");
    assert!(!home.exists());
    // As another node has them, or a death between the two steps leaves them.
    std::fs::create_dir_all(home.join("events")).expect("its files");
    access.sweep_deleted().expect("swept");
    assert!(!home.exists());
    std::fs::create_dir_all(home.join("events")).expect("its files");
    access.delete_tenant("acme").expect("the rest of it");
    assert!(!home.exists());
    assert!(access.delete_tenant("acme").is_err(), "there is nothing left");
}
