//! How do words get to a customer on a platform?
//!
//! With a token that all processes share, under the platform's quota, in as many
//! messages as they need. How many of them were sent is noted after each, so an attempt
//! that failed in the middle goes on there.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::channels::{Call, Platform, Saying, Spoken, Verdict, wecom_kf};
use crate::desk::Desk;
use crate::desk::addresses::Reach;
use crate::desk::client::{Call as Plain, Failed, Replied};
use crate::desk::delivery::CALLS;
use crate::desk::platforms::Told;
use crate::error::Error;
use crate::store::{Admission, Channel, Spent, Taken, Undelivered};

/// How long somebody waits who finds that another one fetches the token: so often …
const LOOKS: usize = 50;

/// … after so long.
const LOOK: Duration = Duration::from_millis(100);

/// From so many messages on that are left, the desk is told.
const FEW: i32 = 1;

/// Says something on a platform.
pub(in crate::desk) fn say(desk: &Desk, channel: &Channel, platform: &Platform, taken: &Taken) -> Told {
    let body: Value = serde_json::from_str(&taken.body).unwrap_or_default();
    let address = body.get("address").cloned().unwrap_or_default();
    match taken.kind.as_str() {
        "reply" => speak(desk, channel, platform, taken, body, &address),
        // Its code is good for some seconds and once, and all that is said later waits behind it.
        "greeting" => match speak(desk, channel, platform, taken, body, &address) {
            Told::Again(why, _) => {
                tracing::info!(channel = channel.id, why, "somebody could not be greeted in time");
                Told::Done
            }
            told => told,
        },
        "handoff" => {
            let call = |token: &str| {
                platform
                    .hand_over(&address, token)
                    .ok_or_else(|| "the customer's place is not known".to_owned())
            };
            match called(desk, channel, platform, &call) {
                Ok(_) => Told::Done,
                Err(told) => told,
            }
        }
        // It is our own matter, or the platform has told us.
        _ => Told::Done,
    }
}

fn speak(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    taken: &Taken,
    mut body: Value,
    address: &Value,
) -> Told {
    let parts = Spoken::of(&body).parts(&platform.limits());
    let sent = body.get("sent").and_then(Value::as_u64).and_then(|sent| usize::try_from(sent).ok());
    for (number, part) in parts.iter().enumerate().skip(sent.unwrap_or(0)) {
        let id = if number == 0 { taken.id.clone() } else { format!("{}-{number}", taken.id) };
        let left = match counted(desk, channel, platform, taken) {
            Ok(left) => left,
            Err(told) => return told,
        };
        let call = |token: &str| {
            let is_again = taken.attempts > 1;
            let saying = Saying { address, part, id: &id, is_again, token, now: desk.now() };
            match body.get("code").and_then(Value::as_str) {
                Some(code) if number == 0 => Ok(wecom_kf::greet(&platform.settings, code, &saying)),
                _ => platform.say(&saying),
            }
        };
        if let Err(told) = called(desk, channel, platform, &call) {
            if left.is_some()
                && let Err(error) = desk.talk().unspend(&channel.id, &taken.lane)
            {
                tracing::error!(%error, "cannot take back what was counted");
            }
            return told;
        }
        if let Some(left) = left.filter(|left| *left <= FEW)
            && body.get("author").is_some()
        {
            let told = Undelivered::Few { left };
            if let Err(error) = desk.talk().tell_undelivered(&channel.kb, &taken.lane, told, desk.now()) {
                tracing::error!(%error, "cannot tell a desk what is left of a quota");
            }
        }
        if parts.len() > 1 {
            body["sent"] = json!(number + 1);
            match desk.talk().note_progress(taken, &body, desk.now(), desk.lease(CALLS)) {
                Ok(true) => {}
                // It took so long that somebody else goes on with it.
                Ok(false) => return Told::Done,
                Err(error) => tracing::error!(%error, "cannot note how far a message came"),
            }
        }
    }
    Told::Done
}

/// Counts a message, where the platform counts too; how many more there may be.
fn counted(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    taken: &Taken,
) -> std::result::Result<Option<i32>, Told> {
    // A greeting goes by a code of its own.
    let Some(quota) = platform.limits().quota.filter(|_| taken.kind == "reply") else { return Ok(None) };
    let never = |why: String| Err(Told::Never(why));
    match desk.talk().spend(&channel.id, &taken.lane, desk.now()) {
        Ok(Spent::Left(left)) => Ok(Some(left)),
        // The platform knows better.
        Ok(Spent::Unknown) => Ok(None),
        Ok(Spent::UsedUp) => never(format!(
            "not sent: the platform takes {} messages after the customer's last one, and they are used up; it can be sent when the customer writes again",
            quota.messages
        )),
        Ok(Spent::Over) => never(
            "not sent: the customer has not written for too long; it can be sent when they write again"
                .to_owned(),
        ),
        Err(e) => Err(Told::Again(e.to_string(), None)),
    }
}

/// Calls a platform; a token that it refuses is fetched anew, once.
pub(super) fn called(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    call: &dyn Fn(&str) -> std::result::Result<Call, String>,
) -> std::result::Result<Value, Told> {
    let again = |e: Error| Told::Again(e.to_string(), None);
    let mut refused = String::new();
    for _ in 0..2 {
        let token = token(desk, channel, platform)?;
        let call = call(&token).map_err(Told::Never)?;
        let replied = plainly(desk, platform, &call).map_err(|failed| without(failed, &token))?;
        match platform.verdict(replied.status, &replied.body) {
            Verdict::Done(value) => return Ok(value),
            Verdict::Again(why) => return Err(Told::Again(why, replied.again)),
            Verdict::Never(why) => return Err(Told::Never(why)),
            Verdict::TokenGone(why) => {
                desk.talk().drop_token(&channel.id, &token).map_err(again)?;
                refused = why;
            }
        }
    }
    Err(Told::Again(refused, None))
}

/// Why a call did not come about; tokens stand in addresses, and are nobody's business.
fn without(failed: Failed, token: &str) -> Told {
    let hidden = |why: String| if token.is_empty() { why } else { why.replace(token, "…") };
    match failed {
        Failed::Refused(why) => Told::Never(hidden(why)),
        Failed::Unreached(why) => Told::Again(hidden(why), None),
    }
}

/// Makes a call as it stands.
pub(super) fn plainly(desk: &Desk, platform: &Platform, call: &Call) -> std::result::Result<Replied, Failed> {
    let reach = if platform.settings.private { Reach::Private } else { Reach::Public };
    let body = call.body.as_ref().map(Value::to_string);
    let plain = Plain { method: call.method, url: &call.url, headers: call.headers.clone(), body };
    desk.0.client.call(reach, &plain)
}

/// The token of a channel: the one that is kept, or a new one.
fn token(desk: &Desk, channel: &Channel, platform: &Platform) -> std::result::Result<String, Told> {
    let again = |e: Error| Told::Again(e.to_string(), None);
    if platform.token_call().is_none() {
        return Ok(String::new());
    }
    let worker = &format!("{}-{}", desk.0.worker, crate::desk::new_id());
    for _ in 0..LOOKS {
        match desk.talk().admission(&channel.id, worker, desk.now()).map_err(again)? {
            Admission::Token(token) => return Ok(token),
            Admission::Wait => thread::sleep(LOOK),
            Admission::Fetch { old } => {
                let fetched = fetch(desk, platform);
                let kept = fetched.as_ref().ok().map(|(token, seconds)| (token.as_str(), seconds * 1000));
                desk.talk().fetched(&channel.id, worker, kept, desk.now()).map_err(again)?;
                return match (fetched, old) {
                    (Ok((token, _)), _) => Ok(token),
                    // It is good for some minutes yet, and then this is tried again.
                    (Err(_), Some(old)) => Ok(old),
                    (Err(told), None) => Err(told),
                };
            }
        }
    }
    Err(Told::Again("another process fetches the access token".to_owned(), None))
}

/// Fetches a token; with it for how many seconds it is good.
pub(super) fn fetch(desk: &Desk, platform: &Platform) -> std::result::Result<(String, i64), Told> {
    let call = platform.token_call().ok_or_else(|| Told::Never("no access token is needed".to_owned()))?;
    let secret = platform.settings.app_secret.clone().unwrap_or_default();
    let replied = plainly(desk, platform, &call).map_err(|failed| without(failed, &secret))?;
    match platform.verdict(replied.status, &replied.body) {
        Verdict::Done(value) => platform
            .token_of(&value)
            .ok_or_else(|| Told::Again("the reply holds no access token".to_owned(), None)),
        // The secret may be mended, and what waits is said then.
        Verdict::TokenGone(why) | Verdict::Never(why) | Verdict::Again(why) => {
            Err(Told::Again(format!("no access token: {why}"), replied.again))
        }
    }
}
