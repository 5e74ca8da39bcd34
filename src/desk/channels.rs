//! How is a channel set up, changed and shown?
//!
//! `zhida channel`, the API and the console come here, so that they take and refuse the
//! same. What the settings of a kind are, [`settings_fault`] decides; here a new channel
//! gets the secrets that are ours to make, a change keeps those that are not named, and
//! what is shown has none.

use serde_json::{Map, Value};

use super::platforms::{KINDS, settings_fault};
use super::webhooks::new_secret;
use super::{Desk, Reach, generic, reach_fault, web};
use crate::channels::{Kind, email};
use crate::error::{Error, Result};
use crate::store::{Channel, SEALED, Store, is_secret};

/// The longest name of a channel.
const NAME: usize = 64;

/// Settings that are made here and never changed.
const OURS: [&str; 2] = ["site", "salt"];

/// Settings that say which machines are called.
const CALLED: [&str; 4] = ["url", "imap_host", "smtp_host", "reply_hosts"];

/// Settings that are shown to the machines that are called: whoever may change these
/// must know those.
const SENT: [(Option<&str>, &str); 3] =
    [(None, "app_secret"), (Some(email::KIND), "password"), (Some(super::chatwoot::KIND), "token")];

/// Whether a setting says which machine is called, or at which of its doors.
fn is_called(name: &str) -> bool {
    CALLED.contains(&name) || name.ends_with("_port")
}

/// What a new channel is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name, part of an address.
    pub name: String,
    /// How the platform speaks.
    pub kind: String,
    /// The knowledge base that answers.
    pub kb: String,
    /// By the kind's own rules; `null` is what is not given.
    pub settings: Map<String, Value>,
}

/// A channel that was made, and the secret that was made with it, to be shown once.
#[derive(Debug, Clone)]
pub struct Made {
    /// The channel.
    pub channel: Channel,
    /// The secret.
    pub secret: Option<String>,
}

/// Why a channel cannot be as it is wanted.
#[derive(Debug)]
pub enum Unfit {
    /// Something that was said of it.
    Field {
        /// Which: `name`, `kind` or a setting, where it is known.
        field: Option<String>,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Something else.
    Failed(Error),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Unfit {
    fn field(field: &str, why: impl Into<String>) -> Self {
        Self::Field { field: Some(field.to_owned()), why: why.into() }
    }

    /// Of the settings: the first name in backticks is the one to blame.
    fn of_settings(why: String) -> Self {
        let named = why.split('`').nth(1).filter(|name| !name.is_empty()).map(str::to_owned);
        Self::Field { field: named, why }
    }

    /// As an error of a command.
    pub fn of_channel(self, name: &str) -> Error {
        match self {
            Self::Field { field: Some(field), why } if field == "name" => Error::Refused(why),
            Self::Field { why, .. } => Error::Refused(format!("channel {name}: {why}")),
            Self::Failed(error) => error,
        }
    }
}

/// Makes a channel; nothing is kept yet.
///
/// # Errors
/// When its name or settings are not sound.
pub fn made(wanted: Wanted, now: i64) -> std::result::Result<Made, Unfit> {
    let Wanted { name, kind, kb, mut settings } = wanted;
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME || !name.chars().all(sound) {
        let why = format!(
            "channel name {name:?}: use 1 to {NAME} letters, digits, '-' or '_'; it is part of an address"
        );
        return Err(Unfit::field("name", why));
    }
    if !KINDS.contains(&kind.as_str()) {
        let why = format!("the kind {kind:?} is unknown; known: {}", KINDS.join(", "));
        return Err(Unfit::field("kind", why));
    }
    settings.retain(|_, value| !value.is_null());
    let secret = complete(&kind, &mut settings)?;
    check(&kind, &settings)?;
    reachable(&settings)?;
    let channel =
        Channel { id: name, kind, kb, settings: Value::Object(settings).to_string(), created_at: now };
    Ok(Made { channel, secret })
}

/// Adds what is ours to make; gives back a secret that was made.
fn complete(kind: &str, settings: &mut Map<String, Value>) -> std::result::Result<Option<String>, Unfit> {
    if settings.contains_key("secret") {
        if kind == web::KIND {
            sited(settings)?;
        }
        return Ok(None);
    }
    Ok(match kind {
        web::KIND => {
            sited(settings)?;
            settings.get("secret").and_then(Value::as_str).map(str::to_owned)
        }
        // It never leaves this house.
        email::KIND => {
            settings.insert("secret".to_owned(), new_secret()?.into());
            None
        }
        generic::KIND => {
            let secret = new_secret()?;
            settings.insert("secret".to_owned(), secret.clone().into());
            Some(secret)
        }
        _ => None,
    })
}

/// Gives a site its name in pages, and the secrets that it lacks.
fn sited(settings: &mut Map<String, Value>) -> std::result::Result<(), Unfit> {
    unchanged(settings)?;
    let new = web::Settings::new(Vec::new(), None)?;
    let new = serde_json::to_value(&new).map_err(|e| Error::internal("channel", e))?;
    for (name, value) in new.as_object().into_iter().flatten() {
        settings.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(())
}

fn unchanged(settings: &Map<String, Value>) -> std::result::Result<(), Unfit> {
    match OURS.into_iter().find(|name| settings.contains_key(*name)) {
        Some(name) => Err(Unfit::field(name, format!("`{name}` is made here and stays as it is"))),
        None => Ok(()),
    }
}

fn check(kind: &str, settings: &Map<String, Value>) -> std::result::Result<(), Unfit> {
    // What looks sealed would be kept as it is, and never open.
    let sealed = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(SEALED));
    if let Some((name, _)) = settings.iter().find(|(_, value)| sealed(value)) {
        let why = format!("`{name}` is a sealed secret out of a database; give the secret itself");
        return Err(Unfit::field(name, why));
    }
    settings_fault(kind, &Value::Object(settings.clone())).map_or(Ok(()), |why| Err(Unfit::of_settings(why)))
}

/// Whether the machines that are called may be, as far as that shows now.
fn reachable(settings: &Map<String, Value>) -> std::result::Result<(), Unfit> {
    let private = settings.get("private").and_then(Value::as_bool).unwrap_or(false);
    let reach = if private { Reach::Private } else { Reach::Public };
    for name in CALLED {
        let value = settings.get(name);
        let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
        for place in value.iter().copied().chain(&list).filter_map(Value::as_str) {
            // Mail servers and hosts for replies are names without more.
            let url = match place {
                url if url.contains("://") => url.to_owned(),
                six if six.parse::<std::net::Ipv6Addr>().is_ok() => format!("https://[{six}]/"),
                host => format!("https://{host}/"),
            };
            if let Some(fault) = reach_fault(&url, reach) {
                return Err(Unfit::field(name, format!("`{name}`: {fault}")));
            }
        }
    }
    Ok(())
}

/// The channel with other settings: those that are named change, `null` takes one away,
/// and secrets that are not named stay.
///
/// # Errors
/// When it would not be sound.
pub fn changed(
    known: &Channel,
    kb: Option<&str>,
    settings: Map<String, Value>,
) -> std::result::Result<Channel, Unfit> {
    if known.kind == web::KIND {
        unchanged(&settings)?;
    }
    let mut all = of(known);
    // What is called elsewhere is looked at when that changes, and nothing else waits for it.
    let is_moved = settings.keys().any(|name| name == "private" || is_called(name));
    known_again(known, &all, &settings)?;
    for (name, value) in settings {
        if value.is_null() {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
    }
    check(&known.kind, &all)?;
    if is_moved {
        reachable(&all)?;
    }
    Ok(Channel {
        kb: kb.unwrap_or(&known.kb).to_owned(),
        settings: Value::Object(all).to_string(),
        ..known.clone()
    })
}

/// Refuses to send elsewhere a secret that whoever changes the channel has not given: what
/// is kept here is shown to nobody.
fn known_again(
    known: &Channel,
    before: &Map<String, Value>,
    settings: &Map<String, Value>,
) -> std::result::Result<(), Unfit> {
    // Nothing is said in several ways.
    let said = |value: Option<&Value>| {
        let is_nothing = value.is_none_or(|value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        });
        value.filter(|_| !is_nothing).cloned()
    };
    let is_other = |name: &&String| is_called(name) && said(before.get(*name)) != said(settings.get(*name));
    let Some(moved) = settings.keys().find(is_other) else { return Ok(()) };
    let is_kept = |(kind, name): &&(Option<&str>, &str)| {
        kind.is_none_or(|kind| kind == known.kind)
            && before.contains_key(*name)
            && !settings.contains_key(*name)
    };
    match SENT.iter().find(is_kept) {
        Some((_, name)) => {
            let why = format!("`{name}` is sent to where `{moved}` leads: give it again with that");
            Err(Unfit::field(name, why))
        }
        None => Ok(()),
    }
}

/// Whether some settings lead a channel that may call this house, or let it do so.
pub fn leads_inside(known: &Channel, settings: &Map<String, Value>) -> bool {
    let is_private = |settings: &Map<String, Value>| {
        settings.get("private").map(|private| !matches!(private, Value::Null | Value::Bool(false)))
    };
    is_private(settings).unwrap_or_else(|| is_private(&of(known)).unwrap_or(false))
        && settings.keys().any(|name| name == "private" || is_called(name))
}

fn of(channel: &Channel) -> Map<String, Value> {
    serde_json::from_str(&channel.settings).unwrap_or_default()
}

/// The settings that anybody who keeps channels may read, and the names of the secrets
/// that are set.
pub fn shown(channel: &Channel) -> (Map<String, Value>, Vec<String>) {
    let is_hidden = |name: &str| is_secret(name) || (channel.kind == web::KIND && name == "salt");
    let (mut open, mut secrets) = (Map::new(), Vec::new());
    for (name, value) in of(channel) {
        if is_hidden(&name) {
            secrets.push(name);
        } else {
            open.insert(name, value);
        }
    }
    secrets.sort();
    (open, secrets)
}

/// The site of a widget as pages name it; `tenant` unless it is the first one.
pub fn site(channel: &Channel, tenant: Option<&str>) -> Option<String> {
    let settings = of(channel);
    let site = settings.get("site").and_then(Value::as_str).filter(|_| channel.kind == web::KIND)?;
    Some(web::key(site, tenant))
}

/// The path that the platform sends to, or under which the widget's panel is; `None`
/// where nobody sends anything.
pub fn path(channel: &Channel, tenant: Option<&str>) -> Option<String> {
    let is_called = matches!(channel.kind.as_str(), super::chatwoot::KIND | generic::KIND)
        || Kind::named(&channel.kind).is_some();
    match site(channel, tenant) {
        Some(site) => Some(format!("/widget/{site}")),
        None if is_called => {
            let tenant = tenant.map(|tenant| format!("{tenant}~")).unwrap_or_default();
            Some(format!("/channels/{}/{tenant}{}", channel.kind, channel.id))
        }
        None => None,
    }
}

/// Whether a channel works, in words: its platform lets us in, and something answers.
///
/// # Errors
/// What is wrong, in words.
pub fn tested(desk: &Desk, store: &Store, channel: &Channel) -> std::result::Result<String, String> {
    let told = desk.test_channel(channel)?;
    let published = store.shelf(&channel.kb).and_then(|shelf| shelf.current_number());
    match published {
        Ok(_) => Ok(told),
        // A widget is nothing but its answers.
        Err(why) if channel.kind == web::KIND => Err(why.to_string()),
        Err(why) => Ok(format!("{told}; but nothing is answered yet: {why}")),
    }
}

/// Keeps a new channel.
///
/// # Errors
/// [`Error::Conflict`] when there is one of the name, and when there is no such
/// knowledge base.
pub fn add(store: &Store, made: &Made) -> Result<()> {
    store.shelf(&made.channel.kb)?;
    store.conversations().add_channel(&made.channel)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(kind: &str, settings: &Value) -> Wanted {
        Wanted {
            name: "shop".to_owned(),
            kind: kind.to_owned(),
            kb: "demo".to_owned(),
            settings: settings.as_object().cloned().unwrap_or_default(),
        }
    }

    fn fault(unfit: Unfit) -> (Option<String>, String) {
        match unfit {
            Unfit::Field { field, why } => (field, why),
            Unfit::Failed(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_form_that_says_nothing_of_the_address_moves_nothing() {
        let made = made(wanted("wechat", &json!({"app_id": "wx1", "token": "t", "app_secret": "s"})), 1);
        let channel = made.expect("sound").channel;
        let change =
            |settings: Value| changed(&channel, None, settings.as_object().cloned().unwrap_or_default());
        let form = json!({"url": null, "reply_hosts": [], "greeting": "您好"});
        assert!(change(form).is_ok());
        let (field, why) = fault(change(json!({"url": "https://evil.example"})).unwrap_err());
        assert_eq!((field.as_deref(), why.contains("give it again")), (Some("app_secret"), true));
        let both = json!({"url": "https://proxy.example", "app_secret": "s2"});
        assert!(change(both).is_ok());
    }

    #[test]
    fn a_channel_gets_its_secrets_and_shows_none() {
        let Made { channel, secret } =
            made(wanted("generic", &json!({"url": "https://a.example/in", "private": null})), 1)
                .expect("sound");
        let secret = secret.expect("one is made");
        assert!(channel.settings.contains(&secret));
        let (open, secrets) = shown(&channel);
        assert_eq!(
            (Value::Object(open), secrets),
            (json!({"url": "https://a.example/in"}), vec!["secret".to_owned()])
        );
        assert_eq!(path(&channel, Some("acme")).as_deref(), Some("/channels/generic/acme~shop"));

        let Made { channel, secret } =
            made(wanted("web", &json!({"origins": ["https://shop.example"]})), 1).expect("sound");
        assert!(secret.is_some_and(|secret| channel.settings.contains(&secret)));
        let (open, secrets) = shown(&channel);
        assert!(!open.contains_key("salt") && open.contains_key("site"), "{open:?}");
        assert_eq!(secrets, ["salt", "secret"]);
        assert!(path(&channel, None).is_some_and(|path| path.starts_with("/widget/zw_")));
        let own = json!({"origins": ["https://shop.example"], "secret": "x".repeat(40)});
        let Made { channel, secret } = made(wanted("web", &own), 1).expect("sound");
        assert!(secret.is_none() && web::Settings::of(&Value::Object(of(&channel))).is_ok());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let known = made(wanted("wechat", &json!({"app_id": "wx1", "token": "t", "greeting": "您好"})), 1);
        let known = known.expect("sound").channel;
        let change = json!({"app_id": "wx2", "greeting": null}).as_object().cloned().unwrap_or_default();
        let now = changed(&known, Some("other"), change).expect("sound");
        let all = Value::Object(of(&now));
        assert_eq!((all["app_id"].as_str(), all["token"].as_str()), (Some("wx2"), Some("t")));
        assert_eq!((all.get("greeting"), now.kb.as_str()), (None, "other"));
        let change = json!({"token": null}).as_object().cloned().unwrap_or_default();
        let (field, why) = fault(changed(&known, None, change).expect_err("it is needed"));
        assert_eq!((field.as_deref(), why.contains("is missing")), (Some("token"), true));
        let site = made(wanted("web", &json!({"origins": ["https://a.example"]})), 1).expect("sound").channel;
        let change = json!({"site": "zw_other"}).as_object().cloned().unwrap_or_default();
        assert_eq!(fault(changed(&site, None, change).expect_err("it stays")).0.as_deref(), Some("site"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (kind, settings, field) in [
            ("fax", json!({}), "kind"),
            ("wechat", json!({"app_id": "w"}), "token"),
            ("feishu", json!({"app_id": "w", "app_secret": "s", "encrypt_key": "k", "tokn": "x"}), "tokn"),
            ("generic", json!({"url": "gopher://a/"}), "url"),
            ("web", json!({}), "origins"),
            ("web", json!({"origins": ["https://a.example"], "salt": "x"}), "salt"),
            ("chatwoot", json!({"url": "https://a.example"}), "token"),
            ("wechat", json!({"app_id": "w", "token": "sealed:1:AAAA"}), "token"),
        ] {
            let (found, why) = fault(made(wanted(kind, &settings), 1).expect_err("a fault"));
            assert_eq!(found.as_deref(), Some(field), "{kind}: {why}");
        }
        let bad = Wanted { name: "a/b".to_owned(), ..wanted("generic", &json!({})) };
        assert_eq!(fault(made(bad, 1).expect_err("a fault")).0.as_deref(), Some("name"));
    }
}
