//! What is said of a channel when it is added?
//!
//! Every secret can be given as a flag, in the environment, or as `@FILE`: the content of
//! a file, which nobody sees in a list of processes.

use serde_json::{Map, Value, json};

use crate::channels::{Kind, People};
use crate::desk::web;
use crate::error::{Error, Result};

/// The largest file with a secret, in bytes.
const SECRET_BYTES: u64 = 4_096;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The platform's address: Chatwoot's own, or where replies of a generic channel go; for
    /// `web` that of this server as browsers see it; for the others where their API is
    /// [default: the official host].
    #[arg(long, value_name = "URL", required_if_eq_any = [("kind", "chatwoot"), ("kind", "generic")])]
    pub(super) url: Option<String>,
    /// Chatwoot: the access token of the agent bot. WeChat, WeCom, DingTalk's events: what
    /// requests are signed with (Token). Feishu: the Verification Token. `@FILE` reads it
    /// from a file, as with every secret.
    #[arg(long, value_name = "TOKEN", env = "ZHIDA_CHANNEL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Chatwoot, generic: what requests are signed with; a generic channel gets a new one without it.
    #[arg(long, value_name = "SECRET", env = "ZHIDA_CHANNEL_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// WeChat's AppID, WeCom's CorpID, DingTalk's AppKey, Feishu's App ID.
    #[arg(long, value_name = "ID")]
    app_id: Option<String>,
    /// The secret that belongs to it. With it people and menus can write in WeChat and WeCom.
    #[arg(long, value_name = "SECRET", env = "ZHIDA_CHANNEL_APP_SECRET", hide_env_values = true)]
    app_secret: Option<String>,
    /// WeChat, WeCom, DingTalk's events: the EncodingAESKey. With it only encrypted requests are taken.
    #[arg(long, value_name = "KEY", env = "ZHIDA_CHANNEL_AES_KEY", hide_env_values = true)]
    aes_key: Option<String>,
    /// The EncodingAESKey before, while the platform may still use it.
    #[arg(long, value_name = "KEY", env = "ZHIDA_CHANNEL_PREVIOUS_AES_KEY", hide_env_values = true)]
    previous_aes_key: Option<String>,
    /// Feishu: the Encrypt Key.
    #[arg(long, value_name = "KEY", env = "ZHIDA_CHANNEL_ENCRYPT_KEY", hide_env_values = true)]
    encrypt_key: Option<String>,
    /// Feishu: the Encrypt Key before.
    #[arg(long, value_name = "KEY", env = "ZHIDA_CHANNEL_PREVIOUS_ENCRYPT_KEY", hide_env_values = true)]
    previous_encrypt_key: Option<String>,
    /// WeCom: the app's AgentId.
    #[arg(long, value_name = "N")]
    agent_id: Option<i64>,
    /// DingTalk's events: the CorpId that they are encrypted for, where it is not the AppKey.
    #[arg(long, value_name = "ID")]
    receiver: Option<String>,
    /// DingTalk: another host that replies may go to, such as a proxy; may be repeated.
    #[arg(long, value_name = "HOST")]
    reply_host: Vec<String>,
    /// WeChat: show questions to choose from as menus of customer-service messages.
    #[arg(long)]
    menus: bool,
    /// Whose people take over: `ours`, the queue here, or `platform`, WeChat's or WeCom's own desk.
    #[arg(long, value_name = "WHOSE", value_parser = ["ours", "platform"])]
    people: Option<String>,
    /// What whoever comes in reads; empty for nothing [default: the knowledge base's greeting].
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// What is replied to pictures and the like; empty for nothing.
    #[arg(long, value_name = "TEXT")]
    not_text: Option<String>,
    /// The channel that entries have answers for [default: the kind].
    #[arg(long, value_name = "NAME")]
    answers_of: Option<String>,
    /// A label that a conversation of Chatwoot's gets when it goes to people; may be repeated.
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// The number of the team of Chatwoot's that conversations go to.
    #[arg(long, value_name = "ID")]
    team: Option<i64>,
    /// The platform is on an address inside the house.
    #[arg(long)]
    private: bool,
}

impl Args {
    /// What a desk's or site's requests are signed with, if it was given.
    ///
    /// # Errors
    /// When its file cannot be read.
    fn secret(&self) -> Result<Option<String>> {
        self.secret.as_deref().map(|text| read("--secret", text)).transpose()
    }

    /// The settings of a kind, by their names; what is not given is not there.
    ///
    /// # Errors
    /// When a flag is missing, or belongs to another kind.
    pub(super) fn settings(&self, kind: &str) -> Result<Map<String, Value>> {
        match Kind::named(kind) {
            Some(kind) => self.of_platform(kind),
            None if kind == web::KIND => Ok(self.secret()?.map(secret_alone).unwrap_or_default()),
            None => self.of_desk(kind),
        }
    }

    /// What a mailbox has of these.
    pub(super) fn of_mail(&self) -> Map<String, Value> {
        let answers = self.answers_of.as_ref().map(|name| ("channel".to_owned(), json!(name)));
        answers.into_iter().chain([("private".to_owned(), json!(self.private))]).collect()
    }

    fn of_desk(&self, kind: &str) -> Result<Map<String, Value>> {
        let given = [
            ("--app-id", self.app_id.is_some()),
            ("--menus", self.menus),
            ("--people", self.people.is_some()),
            ("--greeting", self.greeting.is_some()),
            ("--agent-id", self.agent_id.is_some()),
            ("--reply-host", !self.reply_host.is_empty()),
        ];
        refuse(kind, &given)?;
        let url = self.url.clone().ok_or_else(|| {
            Error::Refused(format!("--url is missing: where a {kind} channel calls the platform"))
        })?;
        let mut all = Map::new();
        all.insert("url".to_owned(), url.into());
        all.insert("private".to_owned(), self.private.into());
        all.extend(self.secret()?.map(|secret| ("secret".to_owned(), secret.into())));
        if kind == "chatwoot" {
            let token = self.token.as_deref().ok_or_else(|| {
                Error::Refused("--token is missing: the access token of Chatwoot's agent bot".to_owned())
            })?;
            all.insert("token".to_owned(), read("--token", token)?.into());
            all.insert("labels".to_owned(), self.label.clone().into());
            all.extend(self.team.map(|team| ("team".to_owned(), team.into())));
        }
        Ok(all)
    }

    fn of_platform(&self, kind: Kind) -> Result<Map<String, Value>> {
        let given = [
            ("--secret (the platform's own is --app-secret)", self.secret.is_some()),
            ("--label", !self.label.is_empty()),
            ("--team", self.team.is_some()),
        ];
        refuse(kind.name(), &given)?;
        let app_id = self.app_id.clone().ok_or_else(|| {
            let (id, _) = crate::channels::names(kind);
            Error::Refused(format!("--app-id is missing: {id}"))
        })?;
        let mut all = Map::new();
        all.insert("app_id".to_owned(), app_id.into());
        for (name, flag, text) in [
            ("app_secret", "--app-secret", &self.app_secret),
            ("token", "--token", &self.token),
            ("aes_key", "--aes-key", &self.aes_key),
            ("previous_aes_key", "--previous-aes-key", &self.previous_aes_key),
            ("encrypt_key", "--encrypt-key", &self.encrypt_key),
            ("previous_encrypt_key", "--previous-encrypt-key", &self.previous_encrypt_key),
        ] {
            if let Some(text) = text {
                all.insert(name.to_owned(), read(flag, text)?.into());
            }
        }
        for (name, text) in [
            ("url", &self.url),
            ("receiver", &self.receiver),
            ("greeting", &self.greeting),
            ("not_text", &self.not_text),
            ("channel", &self.answers_of),
        ] {
            all.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        all.extend(self.agent_id.map(|id| ("agent_id".to_owned(), json!(id))));
        let people = if self.people.as_deref() == Some("platform") { People::Platform } else { People::Ours };
        all.insert("people".to_owned(), json!(people));
        all.insert("menus".to_owned(), json!(self.menus));
        all.insert("private".to_owned(), json!(self.private));
        all.insert("reply_hosts".to_owned(), json!(self.reply_host));
        Ok(all)
    }
}

fn secret_alone(secret: String) -> Map<String, Value> {
    Map::from_iter([("secret".to_owned(), secret.into())])
}

fn refuse(kind: &str, given: &[(&str, bool)]) -> Result<()> {
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Error::Refused(format!("a {kind} channel has no {flag}"))),
        None => Ok(()),
    }
}

/// A secret as it was given, or from the file behind an `@`.
pub(super) fn read(flag: &str, given: &str) -> Result<String> {
    use std::io::Read as _;
    let Some(path) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    let failed = |e| Error::io("read", path, e);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(SECRET_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    let text = text.trim();
    if text.is_empty() || text.len() as u64 > SECRET_BYTES || text.contains('\n') {
        return Err(Error::Refused(format!("{flag} @{path}: the file holds no secret; it is one line")));
    }
    Ok(text.to_owned())
}
