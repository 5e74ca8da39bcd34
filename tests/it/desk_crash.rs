//! Killed at any moment: no message, handoff, claim, reply or ticket is lost that
//! was acknowledged, and what is delivered twice can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhida::store::Conversations;

use crate::http::{Running, publish};
use crate::receiver::{Receiver, webhook};
use crate::support::SMALL_KB;

/// Sends JSON; `None` when the server is gone before it answered.
fn send(address: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Messages by conversation.
    messages: Vec<(String, String)>,
    handoffs: BTreeSet<String>,
    claims: BTreeSet<String>,
    /// Replies by conversation.
    replies: Vec<(String, String)>,
    closed: BTreeSet<String>,
    tickets: BTreeSet<i64>,
}

/// A customer and a desk, until the server is gone.
fn live(address: &str, round: u32, known: &mut Acknowledged) -> Option<()> {
    for number in 0.. {
        let session = format!("u-{round}-{number}");
        let messages = format!("/v1/conversations/{session}/messages");
        for text in ["怎么开电子发票", "支持货到付款吗"] {
            let (status, _) = send(address, &messages, &json!({"text": text}))?;
            assert_eq!(status, 200);
            known.messages.push((session.clone(), text.to_owned()));
        }
        let (_, reply) = send(address, &messages, &json!({"text": "转人工"}))?;
        known.messages.push((session.clone(), "转人工".to_owned()));
        let id = reply["handoff"]["id"].as_str().expect("an id").to_owned();
        known.handoffs.insert(id.clone());
        let path = |what: &str| format!("/v1/handoffs/{id}/{what}");
        let (status, _) = send(address, &path("claim"), &json!({"agent": "小王"}))?;
        assert_eq!(status, 200);
        known.claims.insert(id.clone());
        let text = format!("您好 {session}");
        let said = json!({"agent": "小王", "text": text, "client_id": "r-1"});
        let (status, _) = send(address, &path("reply"), &said)?;
        assert_eq!(status, 200);
        known.replies.push((session.clone(), text));
        let (_, ticket) = send(
            address,
            "/v1/tickets",
            &json!({"session": session, "fields": {"contact": "13800001111", "text": "没有收到"}}),
        )?;
        known.tickets.insert(ticket["number"].as_i64().expect("a number"));
        let (status, _) = send(address, &path("close"), &json!({"agent": "小王"}))?;
        assert_eq!(status, 200);
        known.closed.insert(id);
    }
    None
}

/// Everything that was acknowledged is there, once.
fn check(talk: &Conversations, known: &Acknowledged) {
    let mut wanted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (session, text) in known.messages.iter().chain(&known.replies) {
        *wanted.entry((session, text)).or_default() += 1;
    }
    for ((session, text), count) in wanted {
        let conversation = talk.find("demo", session).expect("read").expect("acknowledged, and not there");
        let lines = talk.lines(conversation.key, 0, 1_000).expect("read");
        let found = lines.iter().filter(|line| line.text == text).count();
        // One more may have been on its way.
        assert!(found >= count, "{text} of {session}: {found} of {count}");
        let seqs: Vec<i64> = lines.iter().map(|line| line.seq).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    }
    for id in &known.handoffs {
        let handoff = talk.handoff(id).expect("read").expect("acknowledged, and not there");
        let owner = talk.by_key(handoff.key).expect("read").expect("there").owner;
        assert_eq!(owner, handoff.state.owner(), "the two agree");
        assert!(!known.claims.contains(id) || handoff.claimed_at.is_some());
        assert!(!known.closed.contains(id) || !handoff.state.is_open());
    }
    for number in &known.tickets {
        assert!(talk.ticket(*number).expect("read").is_some(), "ticket {number}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_of_a_conversation_that_was_acknowledged_is_lost() {
    const KILLS: u32 = 30;
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let receiver = Receiver::start();
    let talk = crate::support::store(folder.path()).conversations();
    talk.add_webhook(&webhook(&receiver.url)).expect("added");
    let mut known = Acknowledged::default();
    for round in 0..KILLS {
        let server = Running::start(folder.path());
        let address = server.address.clone();
        let moment = Duration::from_micros(u64::from(round) * 9_973 % 250_000);
        let (begun, start) = (std::mem::take(&mut known), Instant::now());
        let customer = std::thread::spawn(move || {
            let mut known = begun;
            let _ = live(&address, round, &mut known);
            known
        });
        while start.elapsed() < moment {
            std::thread::yield_now();
        }
        server.kill();
        known = customer.join().expect("no panic");
        check(&talk, &known);
    }
    for (count, what) in [
        (known.messages.len(), "messages"),
        (known.handoffs.len(), "handoffs"),
        (known.replies.len(), "replies"),
        (known.tickets.len(), "tickets"),
        (known.closed.len(), "ends"),
    ] {
        assert!(count > 0, "no {what} in {KILLS} rounds");
        eprintln!("{count} {what} acknowledged before {KILLS} kills");
    }
    // The last start tells what the others left, and a receiver can tell doubles.
    let server = Running::start(folder.path());
    let created = |calls: &[crate::receiver::Call]| -> BTreeMap<String, BTreeSet<String>> {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for call in calls {
            let body = call.json();
            if let (Some(kind), Some(id)) = (body["type"].as_str(), body["data"]["id"].as_str()) {
                told.entry(format!("{kind} {id}")).or_default().insert(call.header("webhook-id").to_owned());
            }
        }
        told
    };
    let calls = receiver.wait_for(|calls| {
        let told = created(calls);
        known.handoffs.iter().all(|id| told.contains_key(&format!("handoff.created {id}")))
            && known.closed.iter().all(|id| told.contains_key(&format!("handoff.closed {id}")))
    });
    for (event, ids) in created(&calls) {
        assert!(
            ids.len() == 1 || event.starts_with("handoff.claimed") || event.starts_with("handoff.waiting"),
            "{event}: {ids:?}"
        );
    }
    server.kill();
}
