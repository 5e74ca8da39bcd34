//! A conversation goes from one colleague to the next, is found again when it is over,
//! and becomes a ticket.

use std::path::Path;

use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use zhida::access::Role;

use crate::console_author::{Author, field};
use crate::http::publish;
use crate::support::SMALL_KB;

const NOTHING: [String; 0] = [];

struct Desk {
    wang: Author,
    li: Author,
}

impl Desk {
    fn at(root: &Path) -> Self {
        publish(root, "gym", SMALL_KB, None);
        let [wang, li] = ["wang", "li"].map(|name| Author::at(root, name, Role::Admin));
        Self { wang, li }
    }

    /// A customer who waits for a person; gives back the handoff's id.
    async fn customer(&self, session: &str, told: &Value, text: &str) -> String {
        for text in [text, "转人工"] {
            let asked = json!({"text": text, "session": session, "kb": "gym", "fields": told});
            let got = self.wang.send("POST", "/v1/answer", &asked).await;
            assert_eq!(got.status, StatusCode::OK, "{}", got.text());
        }
        let waiting = self.wang.get("/v1/handoffs?state=waiting").await.json();
        waiting["items"][0]["id"].as_str().expect("a handoff").to_owned()
    }
}

#[tokio::test]
async fn a_colleague_gets_a_conversation_with_what_they_must_know() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    let id = desk.customer("u-1", &json!({"vip": true}), "怎么开电子发票").await;
    let api = |what: &str| format!("/v1/handoffs/{id}/{what}");
    assert_eq!(desk.wang.send("POST", &api("claim"), &json!({})).await.status, StatusCode::OK);

    // Nobody is there to have it.
    let refused = desk.wang.send("POST", &api("transfer"), &json!({"to": "li"})).await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("to")));
    assert_eq!(desk.li.send("PUT", "/v1/presence", &json!({"state": "online"})).await.status, StatusCode::OK);
    let own = desk.wang.send("POST", &api("transfer"), &json!({"to": "wang"})).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", own.text());
    // What was written stays, and the field is called by its name.
    let fields = [("to", "wang"), ("note", "别弄丢")];
    let refused = desk.wang.post(&format!("/console/desk/{id}/transfer"), &fields).await;
    let page = refused.text();
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains("不能转交给 wang 自己") && page.contains("别弄丢</textarea>"), "{page}");
    assert!(!page.contains("结束日期"), "{page}");
    // It is not hers to give.
    let taken = desk.li.send("POST", &api("transfer"), &json!({})).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.text());

    let page = desk.wang.page(&format!("/console/desk/{id}")).await;
    assert!(page.contains("转交同事") && page.contains("<option value=\"li\">li"), "{page}");
    let fields = [("to", "li"), ("note", "顾客要的是专票，请按专票办")];
    let (at, page) = desk.wang.done(&format!("/console/desk/{id}/transfer"), &fields).await;
    assert!(at == "/console/desk" && page.contains("已转交给 li"), "{at}: {page}");
    let told = desk.li.get(&format!("/v1/handoffs/{id}")).await.json();
    assert_eq!((&told["state"], &told["agent"]), (&json!("claimed"), &json!("li")));
    let late = desk.wang.send("POST", &api("reply"), &json!({"text": "好的"})).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text());
    let record = desk.wang.page("/console/admin/audit?action=%E8%BD%AC%E4%BA%A4%E4%BC%9A%E8%AF%9D").await;
    assert!(record.contains("transfer_handoff") && !record.contains("claim_handoff</code>"), "{record}");
    let page = desk.li.page(&format!("/console/desk/{id}")).await;
    // Who only asked for a person is known by what they had asked before.
    assert!(page.contains("<h1>怎么开电子发票</h1>"), "{page}");
    assert!(page.contains("由您接待") && page.contains("请按专票办"), "{page}");
    // The customer has heard nothing of it.
    let said = desk.li.get("/v1/conversations/u-1/messages?kb=gym").await.text();
    assert!(!said.contains("专票"), "{said}");
    let replied = desk.li.send("POST", &api("reply"), &json!({"text": "专票今天寄出"})).await;
    assert_eq!(replied.status, StatusCode::OK, "{}", replied.text());

    // Back to whoever comes, and only once.
    let back = desk.li.send("POST", &api("transfer"), &json!({"note": "我下班了"})).await;
    assert_eq!((back.status, &back.json()["state"]), (StatusCode::OK, &json!("waiting")));
    let twice = desk.li.send("POST", &api("transfer"), &json!({"note": "我下班了"})).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.text());
    let notes = desk.wang.get(&api("notes")).await.json();
    assert_eq!(notes["items"].as_array().map(Vec::len), Some(2), "{notes}");
    // What waits may be given to somebody.
    let given = desk.wang.send("POST", &api("transfer"), &json!({"to": "li"})).await;
    assert_eq!((given.status, &given.json()["agent"]), (StatusCode::OK, &json!("li")));

    // The desks were told whose it is.
    let request = Request::get("/v1/handoffs/events?after=0");
    let news = desk.li.beginning(request, "event: transferred").await;
    assert!(news.contains("\"text\":\"li\""), "{news}");
}

#[tokio::test]
async fn one_who_may_not_see_a_knowledge_base_gets_none_of_its_conversations() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    publish(folder.path(), "pool", SMALL_KB, None);
    let id = desk.customer("u-1", &json!({}), "怎么开电子发票").await;
    let li = desk.wang.get("/v1/people").await.json();
    let li = li["items"].as_array().expect("people").iter().find(|one| one["name"] == "li").expect("li");
    let path = format!("/v1/people/{}", li["id"].as_str().expect("an id"));
    let limited = desk.wang.send("PATCH", &path, &json!({"kbs": ["pool"], "role": "agent"})).await;
    assert_eq!(limited.status, StatusCode::OK, "{}", limited.text());
    assert_eq!(desk.li.send("PUT", "/v1/presence", &json!({"state": "online"})).await.status, StatusCode::OK);
    let got = desk.wang.send("POST", &format!("/v1/handoffs/{id}/transfer"), &json!({"to": "li"})).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", got.text());
    assert!(got.text().contains("may not see"), "{}", got.text());
    let there =
        async |query: &str| desk.wang.get(&format!("/v1/presence{query}")).await.json()["items"].clone();
    assert_eq!(there("?kb=gym").await, json!([]));
    assert_eq!(there("").await[0]["agent"], "li");
}

#[tokio::test]
async fn who_waits_and_is_in_danger_is_seen_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    desk.customer("u-1", &json!({}), "怎么开电子发票").await;
    desk.customer("u-2", &json!({}), "怎么开电子发票").await;
    let asked = json!({"text": "有人昏迷了", "session": "u-2", "kb": "gym"});
    let reply = desk.wang.send("POST", "/v1/answer", &asked).await.json();
    assert!(reply["message"].as_str().expect("words").contains("120"), "{reply}");
    let waiting = desk.wang.get("/v1/handoffs?state=waiting").await.json();
    let told = |at: usize| (&waiting["items"][at]["conversation"], &waiting["items"][at]["reason"]);
    assert_eq!(told(0), (&json!("u-1"), &json!("requested")), "the queue keeps its order");
    assert_eq!(told(1), (&json!("u-2"), &json!("sensitive")));
    assert_eq!(waiting["items"][1]["question"], "有人昏迷了");
    let page = desk.wang.page("/console/desk").await;
    let (danger, other) = (page.find("有人昏迷了").expect("a row"), page.find("要求人工").expect("a row"));
    assert!(danger < other, "{page}");
}

#[tokio::test]
async fn what_is_over_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    let told = json!({"order": "A_77%", "name": "赵敏"});
    for (session, text, said) in
        [("u-1", "怎么开电子发票", "专票今天寄出"), ("u-2", "钱什么时候退回来", "已经退了")]
    {
        let id = desk.customer(session, if session == "u-1" { &told } else { &Value::Null }, text).await;
        let api = |what: &str| format!("/v1/handoffs/{id}/{what}");
        desk.wang.send("POST", &api("claim"), &json!({})).await;
        desk.wang.send("POST", &api("reply"), &json!({"text": said})).await;
        assert_eq!(desk.wang.get("/v1/handoffs/past").await.json()["items"].as_array().map(Vec::len), {
            Some(if session == "u-1" { 0 } else { 1 })
        });
        assert_eq!(desk.wang.send("POST", &api("close"), &json!({})).await.status, StatusCode::OK);
    }
    let found = async |query: &str| -> Vec<String> {
        let got = desk.li.get(&format!("/v1/handoffs/past?{query}")).await.json();
        let items = got["items"].as_array().expect("items").iter();
        items.map(|one| one["conversation"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(found("").await, ["u-2", "u-1"], "the latest first");
    assert_eq!(found("limit=1").await, ["u-2"]);
    // What the agent said, what is told of the customer, and the name of the conversation.
    assert_eq!(found("q=%E4%B8%93%E7%A5%A8").await, ["u-1"]);
    assert_eq!(found("q=a_77%25").await, ["u-1"]);
    assert_eq!(found("q=a%2577").await, NOTHING, "no sign is read as a pattern");
    assert_eq!(found("q=u-2").await, ["u-2"]);
    assert_eq!(found("agent=li").await, NOTHING);
    assert_eq!(found("agent=wang&to=2020-01-01").await, NOTHING);
    let wrong = desk.li.get("/v1/handoffs/past?from=yesterday").await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("from")));
    let page = desk.li.page("/console/desk/past?q=%E8%B5%B5%E6%95%8F").await;
    assert!(page.contains("转人工") && page.contains("wang") && page.contains("已关闭"), "{page}");
}

#[tokio::test]
async fn an_agent_makes_a_ticket_of_a_conversation() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    let id = desk.customer("u-1", &json!({"contact": "13800000000"}), "怎么开电子发票").await;
    let page = desk.wang.page(&format!("/console/desk/{id}")).await;
    let to = format!("/console/tickets/new?handoff={id}");
    assert!(page.contains(&to), "{page}");
    let form = desk.wang.page(&to).await;
    // What is known is filled in; an author's field may be called as one of the form's own.
    assert_eq!(field(&form, "field.contact"), "13800000000");
    assert!(form.contains("怎么开电子发票</textarea>"), "{form}");
    let mut fields = vec![("kb", "gym"), ("session", "u-1"), ("channel", "web"), ("client_id", "c-1")];
    let refused = desk.wang.post(&to, &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    fields.extend([("field.contact", "13800000000"), ("field.text", "寄丢了，请补寄")]);
    let (at, page) = desk.wang.done(&to, &fields).await;
    assert_eq!(at, "/console/tickets/1");
    assert!(page.contains("工单已建立") && page.contains("寄丢了，请补寄") && page.contains("u-1"), "{page}");
    // Pressed twice it is one.
    assert_eq!(desk.wang.done(&to, &fields).await.0, "/console/tickets/1");
    // Without a conversation too.
    assert!(desk.wang.page("/console/tickets/new").await.contains("name=\"field.text\""));
}
