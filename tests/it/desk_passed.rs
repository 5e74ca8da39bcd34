//! A conversation goes from one colleague to the next, is found again when it is over,
//! and becomes a ticket.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use zhida::access::Role;

use crate::console_author::{Author, field};
use crate::doors::key_of;
use crate::http::{publish, send};
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
    // The customer, the desk and the API are told the same place.
    assert_eq!(reply["handoff"]["position"], 1, "{reply}");
    let waiting = desk.wang.get("/v1/handoffs?state=waiting").await.json();
    let told = |at: usize| {
        let one = &waiting["items"][at];
        (&one["conversation"], &one["reason"], &one["position"])
    };
    assert_eq!(told(0), (&json!("u-2"), &json!("sensitive"), &json!(1)));
    assert_eq!(told(1), (&json!("u-1"), &json!("requested"), &json!(2)));
    assert_eq!(waiting["items"][0]["question"], "有人昏迷了");
    // One that begins so comes behind those that did before, and before all others.
    let asked = json!({"text": "有人昏迷了", "session": "u-3", "kb": "gym"});
    let reply = desk.wang.send("POST", "/v1/answer", &asked).await.json();
    assert_eq!((&reply["owner"], &reply["handoff"]["position"]), (&json!("queued"), &json!(2)), "{reply}");
    // Page by page it is the same order, with those that somebody has behind.
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.wang.get(&format!("/v1/handoffs?limit=1{after}")).await.json();
        let Some(one) = page["items"].as_array().and_then(|items| items.first()) else { break };
        seen.push(one["conversation"].as_str().expect("a name").to_owned());
        if page["next"].is_null() {
            break;
        }
        after = format!("&after={}", page["next"]);
    }
    assert_eq!(seen, ["u-2", "u-3", "u-1"]);
    let ids: Vec<&str> = waiting["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["id"].as_str().expect("an id"))
        .collect();
    // Who is with somebody waits no more, and the others move up.
    let taken = desk.wang.send("POST", &format!("/v1/handoffs/{}/claim", ids[0]), &json!({})).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.text());
    let other = desk.wang.get(&format!("/v1/handoffs/{}", ids[1])).await.json();
    assert_eq!(other["position"], 2, "{other}");
    let all = desk.wang.get("/v1/handoffs").await.json();
    let order: Vec<&str> = all["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|one| one["conversation"].as_str())
        .collect();
    assert_eq!(order, ["u-3", "u-1", "u-2"]);
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
        if session == "u-2" {
            let noted = desk.wang.send("POST", &api("notes"), &json!({"text": "已打电话核对卡号"})).await;
            assert_eq!(noted.status, StatusCode::CREATED, "{}", noted.text());
        }
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
    // What colleagues noted (卡号).
    assert_eq!(found("q=%E5%8D%A1%E5%8F%B7").await, ["u-2"]);
    assert_eq!(found("q=a%2577").await, NOTHING, "no sign is read as a pattern");
    assert_eq!(found("q=u-2").await, ["u-2"]);
    assert_eq!(found("agent=li").await, NOTHING);
    assert_eq!(found("agent=wang&to=2020-01-01").await, NOTHING);
    // Dates in the wrong order are no empty list.
    let wrong = desk.li.get("/v1/handoffs/past?from=2026-02-02&to=2026-02-01").await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("from")));
    for place in ["/console/desk/past", "/console/admin/audit"] {
        let got = desk.li.get(&format!("{place}?from=2026-02-02&to=2026-02-01")).await;
        let page = got.text();
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{place}: {page}");
        assert!(
            page.contains("“开始日期”要早于“结束日期”") && page.contains("value=\"2026-02-02\""),
            "{page}"
        );
        assert!(!page.contains("没有符合"), "{page}");
    }
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

#[tokio::test]
async fn own_conversations_are_found_behind_any_number_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    for number in 0..103 {
        let asked = json!({"text": "转人工", "session": format!("u-{number}"), "kb": "gym"});
        let got = desk.wang.send("POST", "/v1/answer", &asked).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    }
    let all = desk.wang.get("/v1/handoffs?limit=200&lines=0").await.json();
    let all = all["items"].as_array().expect("items");
    assert_eq!(all.len(), 103);
    assert!(all.iter().all(|one| one["transcript"] == json!([])), "none was asked for");
    let id = |at: usize| all[at]["id"].as_str().expect("an id").to_owned();
    for (who, at) in [(&desk.wang, 101), (&desk.wang, 102), (&desk.li, 100), (&desk.wang, 99)] {
        let got = who.send("POST", &format!("/v1/handoffs/{}/claim", id(at)), &json!({})).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    }
    // What she gave back is nobody's.
    let back = desk.wang.send("POST", &format!("/v1/handoffs/{}/transfer", id(99)), &json!({})).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text());
    let held = async |query: &str| -> Vec<String> {
        let got = desk.wang.get(&format!("/v1/handoffs?{query}")).await.json();
        let items = got["items"].as_array().expect("items").iter();
        items.map(|one| one["conversation"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(held("agent=wang").await, ["u-101", "u-102"]);
    assert_eq!(held("agent=wang&state=waiting").await, ["u-99"], "she had it last");
    assert_eq!(held("agent=nobody").await, NOTHING);
    let short = desk.wang.get("/v1/handoffs?agent=wang&lines=1").await.json();
    assert_eq!(short["items"][0]["transcript"].as_array().map(Vec::len), Some(1), "{short}");
    let wrong = desk.wang.get("/v1/handoffs?lines=51").await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("lines")));

    let page = desk.wang.page("/console/desk").await;
    assert!(page.contains("我的会话 (2)"), "{page}");
    assert!(page.contains(&format!("/console/desk/{}", id(102))), "{page}");
    let page = desk.wang.page(&format!("/console/desk/{}", id(102))).await;
    let others = page.split("我的其他会话").nth(1).expect("others");
    assert!(others.contains(&id(101)) && !others.contains(&id(100)), "{others}");
}

#[tokio::test]
async fn people_are_called_by_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    Author::at(folder.path(), "li2", Role::Author);
    let people = desk.wang.get("/v1/people").await.json();
    let call = async |login: &str, name: &str| {
        let all = people["items"].as_array().expect("people");
        let one = all.iter().find(|one| one["name"] == login).expect("somebody");
        let path = format!("/v1/people/{}", one["id"].as_str().expect("an id"));
        let got = desk.wang.send("PATCH", &path, &json!({"display_name": name})).await;
        assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    };
    call("li", "李娜").await;
    call("wang", "王芳").await;
    for one in [&desk.wang, &desk.li] {
        assert_eq!(one.send("PUT", "/v1/presence", &json!({"state": "online"})).await.status, StatusCode::OK);
    }
    let id = desk.customer("u-1", &json!({}), "怎么开电子发票").await;
    let at = format!("/console/desk/{id}");
    assert!(desk.wang.page("/console/desk").await.contains("李娜、王芳"));
    desk.wang.post(&format!("{at}/claim"), &[]).await;
    desk.wang.post(&format!("{at}/reply"), &[("text", "您好"), ("client_id", "c-1")]).await;
    let page = desk.wang.page(&at).await;
    assert!(page.contains(">李娜（li）</option>") && page.contains("<b>王芳</b>"), "{page}");
    let late = desk.li.done(&format!("{at}/claim"), &[]).await.1;
    assert!(late.contains("晚了一步：王芳 已经接待"), "{late}");
    let (_, page) = desk.wang.done(&format!("{at}/transfer"), &[("to", "li"), ("note", "请接着办")]).await;
    assert!(page.contains("已转交给 李娜"), "{page}");
    let page = desk.li.page(&at).await;
    let notes = page.split("内部备注").nth(1).expect("notes");
    assert!(notes.contains("<b>王芳</b>") && !notes.contains("wang"), "{notes}");
    // What programs read keeps what people sign in with.
    assert_eq!(desk.li.get(&format!("/v1/handoffs/{id}")).await.json()["agent"], "li");
    desk.li.post(&format!("{at}/end"), &[("how", "close"), ("sure", "1")]).await;
    let page = desk.li.page("/console/desk/past").await;
    assert!(page.contains("<td>李娜</td>"), "{page}");
    // Whom a page calls so is found by that.
    for (name, is_theirs) in [("李娜", true), ("李娜（li）", true), ("li", true), ("王芳", false)] {
        let agent: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let page = desk.li.page(&format!("/console/desk/past?agent={agent}")).await;
        assert_eq!(page.contains("<td>李娜</td>"), is_theirs, "{name}: {page}");
    }
    assert!(desk.wang.page("/console/admin/audit").await.contains("王芳（wang）"));
    // Two of one name are told apart.
    call("li2", "李娜").await;
    let page = desk.wang.page("/console/desk/past").await;
    assert!(page.contains("<td>李娜（li）</td>"), "{page}");
}

#[tokio::test]
async fn a_ticket_is_of_a_conversation_and_a_colleague_that_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::at(folder.path());
    publish(folder.path(), "pool", SMALL_KB, None);
    let li = Author::at(folder.path(), "zhao", Role::Agent);
    let fields = json!({"contact": "13800000000", "text": "请回电"});
    let lost = json!({"kb": "gym", "session": "nowhere", "fields": fields});
    let refused = desk.wang.send("POST", "/v1/tickets", &lost).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    assert_eq!(refused.json()["field"], "session");
    desk.customer("u-1", &json!({}), "怎么开电子发票").await;
    // That of another knowledge base is another one.
    let other = json!({"kb": "pool", "session": "u-1", "fields": fields});
    assert_eq!(desk.wang.send("POST", "/v1/tickets", &other).await.json()["field"], "session");
    for session in [json!("u-1"), Value::Null] {
        let made = json!({"kb": "gym", "session": session, "fields": fields});
        let made = desk.wang.send("POST", "/v1/tickets", &made).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }

    let people = desk.wang.get("/v1/people").await.json();
    let one = people["items"].as_array().expect("people").iter().find(|one| one["name"] == "zhao");
    let path = format!("/v1/people/{}", one.expect("zhao")["id"].as_str().expect("an id"));
    let limited = desk.wang.send("PATCH", &path, &json!({"kbs": ["pool"]})).await;
    assert_eq!(limited.status, StatusCode::OK, "{}", limited.text());
    let key = key_of(folder.path(), "default");
    let give = async |name: &str| {
        let request = Request::patch("/v1/tickets/1")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let body = Body::from(json!({"assignee": name}).to_string());
        send(&li.app, request.body(body).expect("a request")).await
    };
    // Here people work at the desk: a program names one of them, who may see it.
    for name in ["小明", "zhao"] {
        let refused = give(name).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {}", refused.text());
        assert_eq!(refused.json()["field"], "assignee");
    }
    for name in ["li", ""] {
        let given = give(name).await;
        assert_eq!(given.status, StatusCode::OK, "{name}: {}", given.text());
    }
    let (status, page) = {
        let got = desk.wang.post("/console/tickets/1", &[("state", "open"), ("assignee", "zhao")]).await;
        (got.status, got.text())
    };
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("zhao 无权查看知识库 gym"), "{page}");
}
