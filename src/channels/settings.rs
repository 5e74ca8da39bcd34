//! What must be known of a channel on a platform?

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::Key;
use super::{Kind, dingtalk, feishu, wechat, wecom};

/// Whose people get a conversation that the robot gives up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum People {
    /// Those of our own queue; what they say goes through the channel.
    #[default]
    Ours,
    /// The platform's own desk takes over, and the robot is silent.
    Platform,
}

/// The longest text of a setting in characters.
const TEXT: usize = 500;

/// The settings of a channel. Which of them a kind needs, [`Settings::of`] checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who we are there: WeChat's AppID, WeCom's CorpID, DingTalk's AppKey, Feishu's App ID.
    pub app_id: String,
    /// What access tokens are fetched with, and what DingTalk signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<String>,
    /// What the platform signs its requests with; Feishu's Verification Token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The EncodingAESKey: 43 characters. With it only encrypted requests are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aes_key: Option<String>,
    /// The one before, as long as messages come that are encrypted with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_aes_key: Option<String>,
    /// Feishu's Encrypt Key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt_key: Option<String>,
    /// The one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_encrypt_key: Option<String>,
    /// The number of an app in WeCom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<i64>,
    /// Who else is called the same for whom messages are sealed, where that is not `app_id`:
    /// DingTalk's CorpId or AppKey for its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// Where the platform's API is; the official host without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Other hosts that replies may be sent to, beside the platform's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply_hosts: Vec<String>,
    /// Whether these are inside the house.
    #[serde(default)]
    pub private: bool,
    /// Whether questions to choose from can be pressed: WeChat's customer-service menus,
    /// which count as messages of the quota. WeCom's customer service always has them.
    #[serde(default)]
    pub menus: bool,
    /// Whose people take over.
    #[serde(default)]
    pub people: People,
    /// What whoever comes in reads; the knowledge base's greeting without it, nothing when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// What is replied to pictures and the like.
    #[serde(default = "not_text")]
    pub not_text: String,
    /// The name that entries have answers for, where it is not the kind's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

fn not_text() -> String {
    "我暂时只能看懂文字，请用文字描述一下您的问题。".to_owned()
}

impl Settings {
    /// Reads the settings of a kind.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(kind: Kind, settings: &Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(settings.clone()).map_err(|e| e.to_string())?;
        let blank = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().is_empty();
        if settings.app_id.trim().is_empty() {
            return Err(format!("`app_id` is empty; it is {}", names(kind).0));
        }
        let needed: &[(&str, bool)] = match kind {
            Kind::WeChat => &[("token", blank(&settings.token))],
            Kind::WeCom => &[("token", blank(&settings.token)), ("aes_key", blank(&settings.aes_key))],
            Kind::WeComKf => &[
                ("token", blank(&settings.token)),
                ("aes_key", blank(&settings.aes_key)),
                ("app_secret", blank(&settings.app_secret)),
            ],
            Kind::DingTalk => &[("app_secret", blank(&settings.app_secret))],
            Kind::Feishu => {
                &[("app_secret", blank(&settings.app_secret)), ("encrypt_key", blank(&settings.encrypt_key))]
            }
        };
        if let Some((name, _)) = needed.iter().find(|(_, missing)| *missing) {
            return Err(format!("`{name}` is missing; a channel of kind {} needs it", kind.name()));
        }
        for (name, key) in [("aes_key", &settings.aes_key), ("previous_aes_key", &settings.previous_aes_key)]
        {
            if let Some(key) = key {
                Key::read(key).map_err(|why| format!("`{name}` {why}"))?;
            }
        }
        if kind == Kind::WeCom && settings.app_secret.is_some() && settings.agent_id.is_none() {
            return Err(
                "`agent_id` is missing: the AgentId that messages of the app are sent under".to_owned()
            );
        }
        if settings.people == People::Platform && !matches!(kind, Kind::WeChat | Kind::WeComKf) {
            return Err(format!("`people`: {} has no desk of its own that could take over", kind.name()));
        }
        if settings.menus && (kind != Kind::WeChat || settings.app_secret.is_none()) {
            return Err(
                "`menus` is for WeChat accounts with customer-service messages; they need `app_secret`"
                    .to_owned(),
            );
        }
        for (name, text) in
            [("greeting", settings.greeting.as_deref()), ("not_text", Some(settings.not_text.as_str()))]
        {
            if text.is_some_and(|text| text.chars().count() > TEXT) {
                return Err(format!("`{name}` has more than {TEXT} characters"));
            }
        }
        Ok(settings)
    }

    /// The beginning of the API's addresses, without a slash at the end.
    pub fn api(&self, kind: Kind) -> &str {
        let official = match kind {
            Kind::WeChat => wechat::API,
            Kind::WeCom | Kind::WeComKf => wecom::API,
            Kind::DingTalk => dingtalk::API,
            Kind::Feishu => feishu::API,
        };
        self.url.as_deref().unwrap_or(official).trim_end_matches('/')
    }

    /// What requests are signed with.
    pub(super) fn signing(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The keys that messages may be sealed with, the present one first.
    pub(super) fn keys(&self) -> Vec<Key> {
        let all = [&self.aes_key, &self.previous_aes_key];
        all.into_iter().flatten().filter_map(|text| Key::read(text).ok()).collect()
    }
}

/// What a platform's console calls the id and the secret.
pub fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::WeChat => ("the account's AppID", "AppSecret"),
        Kind::WeCom => ("the company's CorpID", "the app's Secret"),
        Kind::WeComKf => ("the company's CorpID", "the Secret of 微信客服"),
        Kind::DingTalk => ("the robot's AppKey (Client ID)", "AppSecret (Client Secret)"),
        Kind::Feishu => ("the app's App ID", "App Secret"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_says_what_it_needs() {
        let key = "A".repeat(43);
        let fault = |kind, settings: Value| Settings::of(kind, &settings).err().unwrap_or_default();
        assert!(fault(Kind::WeChat, json!({"app_id": "wx1"})).contains("`token` is missing"));
        assert!(fault(Kind::WeChat, json!({"app_id": " ", "token": "t"})).contains("AppID"));
        assert!(
            fault(Kind::WeChat, json!({"app_id": "w", "token": "t", "aes_key": "A"})).contains("has 1 char")
        );
        assert!(fault(Kind::WeCom, json!({"app_id": "w", "token": "t"})).contains("`aes_key`"));
        assert!(
            fault(Kind::WeCom, json!({"app_id": "w", "token": "t", "aes_key": key, "app_secret": "s"}))
                .contains("`agent_id`")
        );
        assert!(
            fault(Kind::WeComKf, json!({"app_id": "w", "token": "t", "aes_key": key}))
                .contains("`app_secret`")
        );
        assert!(fault(Kind::DingTalk, json!({"app_id": "d"})).contains("`app_secret`"));
        assert!(fault(Kind::Feishu, json!({"app_id": "f", "app_secret": "s"})).contains("`encrypt_key`"));
        assert!(
            fault(Kind::DingTalk, json!({"app_id": "d", "app_secret": "s", "people": "platform"}))
                .contains("`people`")
        );
        assert!(fault(Kind::WeChat, json!({"app_id": "w", "token": "t", "menus": true})).contains("`menus`"));
        assert!(fault(Kind::WeChat, json!({"app_id": "w", "token": "t", "tokn": "x"})).contains("tokn"));
        assert_eq!(fault(Kind::WeChat, json!({"app_id": "w", "token": "t"})), "");
        let own = Settings::of(Kind::WeChat, &json!({"app_id": "w", "token": "t", "url": "http://a/"}));
        assert_eq!(own.map(|own| own.api(Kind::WeChat).to_owned()), Ok("http://a".to_owned()));
    }
}
