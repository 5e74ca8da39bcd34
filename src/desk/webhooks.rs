//! How does a receiver know that an event is ours?
//!
//! By the Standard Webhooks signature: `webhook-id` stays the same over all
//! attempts, so a receiver can tell a second delivery from a second event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::Webhook as Signer;

use super::addresses::Reach;
use super::client::{Call, Client, Failed, Replied};
use crate::error::{Error, Result};
use crate::store::{Taken, Webhook};

/// The events that there are.
pub const EVENTS: [&str; 14] = [
    "handoff.created",
    "handoff.claimed",
    "handoff.answered",
    "handoff.waiting",
    "handoff.closed",
    "handoff.returned",
    "handoff.expired",
    "handoff.withdrawn",
    "message.sent",
    "message.received",
    "message.undelivered",
    "ticket.created",
    "ticket.updated",
    "webhook.test",
];

/// The bytes of a secret.
const SECRET: usize = 32;

/// How long both secrets sign after a rotation, in milliseconds: a day, as the
/// standard advises.
pub const ROTATION: i64 = 24 * 60 * 60 * 1000;

/// A new secret.
///
/// # Errors
/// When the system has no randomness.
pub fn new_secret() -> Result<String> {
    let mut bytes = [0; SECRET];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal("secret", e))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// Whether a text is a secret that signatures can be made with.
pub fn is_secret(text: &str) -> bool {
    text.strip_prefix("whsec_")
        .is_some_and(|rest| STANDARD.decode(rest).is_ok_and(|bytes| (24..=64).contains(&bytes.len())))
}

/// The value of `webhook-signature` under some secrets.
pub(super) fn signature(secrets: &[&str], id: &str, seconds: i64, body: &str) -> Result<String> {
    let signed: std::result::Result<Vec<String>, _> =
        secrets.iter().map(|secret| Signer::new(secret)?.sign(id, seconds, body.as_bytes())).collect();
    Ok(signed.map_err(|e| Error::internal("signature", e))?.join(" "))
}

/// The headers that make a body ours.
pub(super) fn headers(
    secrets: &[&str],
    id: &str,
    seconds: i64,
    body: &str,
) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature(secrets, id, seconds, body)?),
    ])
}

/// Tells a webhook of an event.
pub(super) fn deliver(
    client: &Client,
    webhook: &Webhook,
    taken: &Taken,
    now: i64,
) -> std::result::Result<Replied, Failed> {
    let mut secrets = vec![webhook.secret.as_str()];
    if let (Some(previous), Some(until)) = (&webhook.previous, webhook.previous_until)
        && now < until
    {
        secrets.push(previous);
    }
    let headers =
        headers(&secrets, &taken.id, now / 1000, &taken.body).map_err(|e| Failed::Refused(e.to_string()))?;
    let reach = if webhook.private { Reach::Private } else { Reach::Public };
    let call = Call { method: "POST", url: &webhook.url, headers, body: Some(taken.body.clone()) };
    client.call(reach, &call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_own_example() {
        let signed = signature(
            &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signed.ok().as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let (old, new) = (new_secret().unwrap_or_default(), new_secret().unwrap_or_default());
        assert!(is_secret(&old) && is_secret(&new) && old != new);
        assert!(!is_secret("whsec_") && !is_secret("secret") && !is_secret("whsec_MfKQ"));
        let both = signature(&[&new, &old], "m", 1, "{}").unwrap_or_default();
        let one = |secret: &str| signature(&[secret], "m", 1, "{}").unwrap_or_default();
        assert_eq!(both, format!("{} {}", one(&new), one(&old)));
    }
}
