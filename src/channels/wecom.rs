//! How does an app in WeCom (企业微信) speak?
//!
//! Like an Official Account in safe mode, for a company's own people: every request is
//! encrypted, the address check too, and what is replied in time goes back the same
//! way. What is said later is a message of the app.
//!
//! Shapes: developer.work.weixin.qq.com/document/path/90968, 96466, 90236.

use serde_json::json;

use super::cards::articles;
use super::envelope::is_signed;
use super::{Answer, Arrival, Call, Cards, Fault, Kind, Limits, Meaning, Request, Saying, Settings, wechat};

/// The official host.
pub(super) const API: &str = "https://qyapi.weixin.qq.com";

/// What fits into a message.
pub(super) fn limits(settings: &Settings) -> Limits {
    let speaks = settings.app_secret.is_some() && settings.agent_id.is_some();
    Limits {
        text: 2_048,
        choices: 0,
        choice: 0,
        head: 0,
        links: true,
        images: false,
        cards: if speaks { Cards::of(Kind::WeCom) } else { Cards::Lines },
        quota: None,
    }
}

/// Verifies a request, and says what it is.
pub(super) fn arrive(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let Some(body) = request.body else { return checked(settings, request) };
    let (fields, envelope) = wechat::opened(settings, request, body)?;
    if let (Some(expected), Some(given)) = (settings.agent_id, fields.get("AgentID"))
        && given != expected.to_string()
    {
        let why = format!("it is for app {given}, and this channel is app {expected}");
        return Err(Fault::Malformed(why));
    }
    let event = wechat::event(&fields).map_err(Fault::Malformed)?;
    Ok(match event {
        Some(event) => Arrival::Now(event, envelope),
        None => Arrival::Nothing(envelope.nothing()),
    })
}

/// Answers the address check, whose text is encrypted.
pub(super) fn checked(settings: &Settings, request: &Request<'_>) -> Result<Arrival, Fault> {
    let (stamp, nonce) = (request.need("timestamp")?, request.need("nonce")?);
    // A plus that was not written as %2B arrives as a blank.
    let sealed = request.need("echostr")?.replace(' ', "+");
    if !is_signed(&request.need("msg_signature")?, &[settings.signing(), &stamp, &nonce, &sealed]) {
        return Err(Fault::Unsigned("the signature is not made with this channel's token".to_owned()));
    }
    let (plain, _) = wechat::unsealed(&settings.keys(), &sealed, &settings.app_id)?;
    let plain = String::from_utf8(plain)
        .map_err(|_| Fault::Malformed("the encrypted text is not UTF-8".to_owned()))?;
    Ok(Arrival::Nothing(Answer::text(plain)))
}

/// Asks for an access token.
pub(super) fn token_call(settings: &Settings) -> Option<Call> {
    let secret = settings.app_secret.as_ref()?;
    let url = format!(
        "{}/cgi-bin/gettoken?corpid={}&corpsecret={secret}",
        settings.api(Kind::WeCom),
        settings.app_id
    );
    Some(Call { method: "GET", url, headers: Vec::new(), body: None })
}

/// Says something as the app. The platform knows no name of a message and drops what says the
/// same as one before, so it is asked to only where that may be the same message, sent again.
pub(super) fn say(settings: &Settings, saying: &Saying<'_>) -> Result<Call, String> {
    let Some(agent) = settings.agent_id.filter(|_| settings.app_secret.is_some()) else {
        return Err("this app can only reply: the channel has no `app_secret` and `agent_id`".to_owned());
    };
    let to = saying.address.get("to").and_then(|to| to.as_str()).ok_or("the member's UserId is not known")?;
    let url = format!("{}/cgi-bin/message/send?access_token={}", settings.api(Kind::WeCom), saying.token);
    let mut body = json!({"touser": to, "agentid": agent});
    if saying.is_again {
        body["enable_duplicate_check"] = json!(1);
        body["duplicate_check_interval"] = json!(SAME_AGAIN);
    }
    let part = saying.part;
    if part.cards.is_empty() {
        body["msgtype"] = json!("text");
        body["text"] = json!({"content": part.text});
    } else {
        body["msgtype"] = json!("news");
        body["news"] = json!({"articles": articles(&part.cards)});
    }
    Ok(Call::post(url, body))
}

/// For so many seconds what is sent again may be the same message.
const SAME_AGAIN: i64 = 600;

pub(super) fn meaning(code: i64) -> Meaning {
    match code {
        40014 | 41001 | 42001 => Meaning::Token,
        -1 | 45009 | 45033 | 6000 => Meaning::Busy,
        40001 => Meaning::Never("the Secret (`app_secret`) is wrong"),
        40013 => Meaning::Never("the CorpID (`app_id`) is wrong"),
        60020 => Meaning::Never("this machine's address is not among the app's trusted IP addresses"),
        48002 | 60011 | 301002 => {
            Meaning::Never("the app may not call this; grant it the interface in the console")
        }
        40056 | 301025 => Meaning::Never("the AgentId (`agent_id`) is not this app's"),
        40003 | 40031 | 81013 => Meaning::Never("the receiver is not visible to the app, or is gone"),
        95001 => Meaning::Never("five messages were sent since the customer wrote last"),
        95002 => Meaning::Never("the customer has not written for 48 hours"),
        95013 | 95016 | 95018 => {
            Meaning::Never("the session is with a person or has ended; the customer must write first")
        }
        95007 => Meaning::Never("the callback's token is not good any more"),
        95000 | 95004 => Meaning::Never("the customer-service account or customer is not known"),
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::channels::{Part, Platform, What};

    fn channel() -> Platform {
        let settings: Value = json!({
            "app_id": "wx5823bf96d3bd56c7", "token": "QDG6eK", "agent_id": 218, "app_secret": "s",
            "aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
        });
        Platform::of(Kind::WeCom, &settings).expect("sound")
    }

    #[test]
    fn wecoms_own_examples() {
        let get = |query: &'static [(&str, &str)]| {
            move |name: &str| {
                query.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
        };
        let query = get(&[
            ("msg_signature", "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"),
            ("timestamp", "1409659589"),
            ("nonce", "263014780"),
            (
                "echostr",
                "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp 4RPcs8TgAE7OaBO FZXvnaqQ==",
            ),
        ]);
        let request =
            Request { query: &query, header: &|_| None, body: None, now: 1_409_659_589_000, random: [0; 16] };
        let Ok(Arrival::Nothing(answer)) = channel().arrive(&request) else { panic!("it is sound") };
        assert_eq!(answer.body, "1616140317555161061");

        let body = "<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName><Encrypt><![CDATA[RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==]]></Encrypt></xml>";
        let query = get(&[
            ("msg_signature", "477715d11cdb4164915debcba66cb864d751f3e6"),
            ("timestamp", "1409659813"),
            ("nonce", "1372623149"),
        ]);
        let request =
            |now| Request { query: &query, header: &|_| None, body: Some(body), now, random: [0; 16] };
        let Ok(Arrival::Now(event, _)) = channel().arrive(&request(1_409_659_813_000)) else {
            panic!("it is a message")
        };
        assert_eq!((event.id.as_str(), event.customer.as_str()), ("4561255354251345929", "mycreate"));
        assert!(
            matches!(&event.what, What::Said { text, choice: None } if text.contains("hello")),
            "{event:?}"
        );
        assert!(channel().arrive(&request(1_500_000_000_000)).is_err(), "years later");
        let other = Platform { settings: Settings { agent_id: Some(7), ..channel().settings }, ..channel() };
        assert!(matches!(other.arrive(&request(1_409_659_813_000)), Err(Fault::Malformed(_))));
    }

    #[test]
    fn the_app_says_things_of_its_own() {
        let address = json!({"to": "lisi"});
        let part = Part { text: "好".to_owned(), ..Part::default() };
        let call = channel().say(&Saying {
            address: &address,
            part: &part,
            id: "x",
            token: "T",
            now: 0,
            is_again: true,
        });
        let call = call.expect("said");
        assert_eq!(call.url, "https://qyapi.weixin.qq.com/cgi-bin/message/send?access_token=T");
        assert_eq!(call.body.expect("a body")["agentid"], 218);
    }
}
