//! What platforms send: XML, JSON and what is sealed.

use serde_json::{Value, json};
use zhida::channels::email::reading;
use zhida::channels::envelope::{Key, open_feishu, seal_feishu};
use zhida::channels::fields::{Fields, xml};
use zhida::channels::{Arrival, Kind, Platform, Request, Spoken, wecom_kf};

use super::fuzz;

const WORDS: [&str; 16] = [
    "<xml>",
    "</xml>",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE x [",
    "<!ENTITY a \"b\">",
    "&a;",
    "&#x10FFFF;",
    "&#0;",
    "FromUserName",
    "MsgType",
    "Encrypt",
    "sessionWebhook",
    "https://oapi.dingtalk.com@",
    "\u{feff}",
    "\\ud800",
];

#[test]
fn messages_of_platforms() {
    let seeds = [
        xml(&[
            ("ToUserName", "gh"),
            ("FromUserName", "u"),
            ("MsgType", "text"),
            ("Content", "退货"),
            ("MsgId", "1"),
        ]),
        "<xml><MsgType>event</MsgType><Event>subscribe</Event><Info><A>&lt;</A></Info></xml>".to_owned(),
        json!({"FromUserName": "u", "MsgType": "text", "CreateTime": 1, "Content": "退货"}).to_string(),
    ]
    .map(String::into_bytes);
    fuzz("messages_of_platforms", &seeds, &WORDS, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        match Fields::read(text) {
            Err(why) if why.is_empty() => Err("refused without a word".to_owned()),
            Ok(fields) => {
                // What was read can be written, and is the same when it is read again.
                let content = fields.get("Content").unwrap_or_default();
                let again =
                    Fields::read(&xml(&[("Content", content)])).map_err(|e| format!("written: {e}"))?;
                let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
                let same = plain(again.get("Content").unwrap_or_default()).trim() == plain(content).trim();
                let odd = content.contains(['\u{fffe}', '\u{ffff}']);
                if same || odd { Ok(()) } else { Err(format!("{content:?} is another one")) }
            }
            Err(_) => Ok(()),
        }
    });
}

#[test]
fn sealed_messages() {
    let key = Key::read(&"k".repeat(43)).expect("a key");
    let seeds = [
        key.seal(b"<xml><MsgType>text</MsgType></xml>", "wx1", [1; 16]),
        key.seal(b"", "wx1", [2; 16]),
        seal_feishu(b"{\"type\":\"url_verification\"}", "word", [3; 16]),
    ]
    .map(String::into_bytes);
    fuzz("sealed_messages", &seeds, &["=", "+", "A", "AAAA"], |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        if let Ok(plain) = key.open(text, "wx1")
            && plain.len() > text.len()
        {
            return Err("more came out than went in".to_owned());
        }
        match open_feishu(text, "word") {
            Ok(plain) if plain.len() > text.len() => Err("more came out than went in".to_owned()),
            _ => Ok(()),
        }
    });
}

#[test]
fn requests_of_platforms() {
    let key = "k".repeat(43);
    let channels = [
        Platform::of(Kind::WeChat, &json!({"app_id": "wx1", "token": "t"})),
        Platform::of(Kind::WeCom, &json!({"app_id": "ww1", "token": "t", "aes_key": key})),
        Platform::of(
            Kind::WeComKf,
            &json!({"app_id": "ww1", "token": "t", "aes_key": key, "app_secret": "s"}),
        ),
        Platform::of(
            Kind::DingTalk,
            &json!({"app_id": "d", "app_secret": "s", "token": "t", "aes_key": key}),
        ),
        Platform::of(Kind::Feishu, &json!({"app_id": "f", "app_secret": "s", "encrypt_key": "word"})),
    ]
    .map(|channel| channel.expect("sound"));
    let page = json!({"next_cursor": "c", "has_more": 1, "msg_list": [{"msgid": "m", "open_kfid": "w",
        "external_userid": "u", "send_time": 1, "origin": 3, "msgtype": "text", "text": {"content": "x"}}]});
    let hook = json!({"msgtype": "text", "text": {"content": "x"}, "msgId": "m", "conversationId": "c",
        "senderStaffId": "u", "sessionWebhook": "https://oapi.dingtalk.com/x", "suggestions": [{"entry": "a"}]});
    let event = json!({"header": {"event_id": "e", "event_type": "im.message.receive_v1"}, "event": {
        "sender": {"sender_id": {"open_id": "o"}}, "message": {"message_id": "m", "chat_id": "c",
        "message_type": "text", "content": "{\"text\":\"x\"}"}}});
    let sealed = json!({"encrypt": seal_feishu(event.to_string().as_bytes(), "word", [3; 16])});
    let message = xml(&[("FromUserName", "u"), ("MsgType", "text"), ("Content", "x"), ("MsgId", "1")]);
    let seeds = [page.to_string(), hook.to_string(), sealed.to_string(), message].map(String::into_bytes);
    // The signature that is right for WeChat in plain text; for the others it is not.
    let signed = zhida::channels::envelope::signature(&["t", "1800000000", "n"]);
    let query = |name: &str| match name {
        "signature" | "msg_signature" => Some(signed.clone()),
        "timestamp" => Some("1800000000".to_owned()),
        "nonce" => Some("n".to_owned()),
        _ => None,
    };
    fuzz("requests_of_platforms", &seeds, &WORDS, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        wecom_kf::page_of(&value);
        for channel in &channels {
            Spoken::of(&value).parts(&channel.limits());
            channel.verdict(200, text);
            let request = Request {
                query: &query,
                header: &|_| None,
                body: Some(text),
                now: 1_800_000_000_000,
                random: [0; 16],
            };
            let believed = matches!(channel.arrive(&request), Ok(Arrival::Later(..) | Arrival::Now(..)));
            if believed && channel.kind != Kind::WeChat {
                return Err(format!("{} believes what nobody has signed", channel.kind.name()));
            }
        }
        Ok(())
    });
}

#[test]
fn letters() {
    let seeds = [
        "From: a@home.example\r\nTo: us@shop.example\r\nMessage-ID: <1@home.example>\r\nSubject: =?gb18030?B?zcu79Q==?=\r\nContent-Type: text/plain; charset=gb18030\r\n\r\nhow to return\r\n-- \r\na\r\n> before\r\n",
        "From: a@home.example\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>how &lt;\n--b\nContent-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\niVBORw0=\n--b--\n",
        "From: b@home.example\nAuto-Submitted: auto-replied\n\nI am away",
    ]
    .map(|seed| seed.as_bytes().to_vec());
    let words = [
        "Content-Type: multipart/mixed; boundary=b\n",
        "Content-Transfer-Encoding: quoted-printable\n",
        "=?utf-8?Q?=E9=80=80?=",
        "=\n",
        "--b\n",
        "--b--",
        "\r\n\r\n",
        "在 2026年3月1日，客服 写道：\n",
        "-----原始邮件-----\n",
        "References: <zhida.a.b.c@shop.example>\n",
        "charset=iso-2022-jp",
        "\u{feff}",
    ];
    fuzz("letters", &seeds, &words, |bytes| match reading::read(bytes, &["us@shop.example"]) {
        Err(why) if why.told().is_empty() => Err("refused without a word".to_owned()),
        Err(_) => Ok(()),
        Ok(letter) if letter.from.is_empty() => Err("from nobody".to_owned()),
        // Encodings make a character of three bytes at most out of one.
        Ok(letter) if letter.question().len() > bytes.len() * 4 + 1_000 => {
            Err(format!("{} bytes out of {}", letter.question().len(), bytes.len()))
        }
        Ok(letter) => letter
            .id
            .chars()
            .all(|c| !c.is_control())
            .then_some(())
            .ok_or_else(|| "a control character in the id".to_owned()),
    });
}
