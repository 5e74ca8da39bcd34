//! How does this platform speak?
//!
//! One file per platform: what comes in becomes an [`Event`], what goes out becomes a
//! [`Call`], and its limits are data. All of it is pure: who calls, keeps and decides
//! stands above (`desk`). [`envelope`] is what messages are sealed and signed with,
//! [`fields`] reads XML and JSON from outside, [`parts`] makes words fit, and [`cards`]
//! shows pictures and links.

pub mod cards;
pub mod dingtalk;
pub mod email;
pub mod envelope;
pub mod feishu;
pub mod fields;
pub mod parts;
mod settings;
pub mod wechat;
pub mod wecom;
pub mod wecom_kf;

pub use cards::{Card, Cards};
pub use parts::{Choice, Limits, Part, Quota, Spoken};
pub use settings::{People, Settings, names};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest distance between a request's time and ours, in seconds: DingTalk's own
/// rule, and generous for the others, which repeat nothing after a minute.
const SKEW: i64 = 3_600;

/// The platforms that are spoken to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A WeChat Official Account.
    WeChat,
    /// An app in WeCom, for its own people.
    WeCom,
    /// WeCom's customer service (微信客服).
    WeComKf,
    /// A robot in DingTalk.
    DingTalk,
    /// A robot in Feishu.
    Feishu,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::WeChat, Self::WeCom, Self::WeComKf, Self::DingTalk, Self::Feishu];

    /// The name in addresses and settings; entries have answers for channels of this name.
    pub fn name(self) -> &'static str {
        match self {
            Self::WeChat => "wechat",
            Self::WeCom => "wecom",
            Self::WeComKf => "wecom-kf",
            Self::DingTalk => "dingtalk",
            Self::Feishu => "feishu",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A request of a platform.
pub struct Request<'a> {
    /// A parameter of its address, decoded.
    pub query: &'a dyn Fn(&str) -> Option<String>,
    /// A header by its name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body as it came; `None` when the platform only asks whether the address is ours.
    pub body: Option<&'a str>,
    /// The moment, in milliseconds since 1970 (UTC).
    pub now: i64,
    /// What an answer may be sealed with: new for each request.
    pub random: [u8; 16],
}

impl Request<'_> {
    fn need(&self, name: &str) -> Result<String, Fault> {
        (self.query)(name).ok_or_else(|| Fault::Unsigned(format!("parameter `{name}` is missing")))
    }

    /// Refuses a time in seconds that is too far from ours.
    fn is_recent(&self, seconds: &str) -> Result<(), Fault> {
        let at: i64 =
            seconds.trim().parse().map_err(|_| Fault::Unsigned("the timestamp is no number".to_owned()))?;
        let away = at.abs_diff(self.now / 1000);
        if away > SKEW.unsigned_abs() {
            return Err(Fault::Unsigned(format!("the timestamp is {away} s away from this machine's clock")));
        }
        Ok(())
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not from the platform.
    Unsigned(String),
    /// It is not what the platform sends.
    Malformed(String),
}

impl From<envelope::Unopened> for Fault {
    fn from(why: envelope::Unopened) -> Self {
        Self::Unsigned(why.to_string())
    }
}

/// What a platform is replied to its request, with status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub body: String,
}

impl Answer {
    fn text(body: impl Into<String>) -> Self {
        Self { content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn json(body: &Value) -> Self {
        Self { content_type: "application/json", body: body.to_string() }
    }
}

/// What a request is.
#[derive(Debug)]
pub enum Arrival {
    /// Nothing happened; this is the answer.
    Nothing(Answer),
    /// Something happened that is to be kept before this is answered.
    Later(Event, Answer),
    /// Something happened, and what the robot says to it is the answer.
    Now(Event, wechat::Envelope),
}

/// Something that happened on a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The platform's name for it: what comes again has the same.
    pub id: String,
    /// The customer, or what stands for one: messages of one go one after the other.
    pub customer: String,
    /// Where what is said to the customer goes, by the platform's own rules.
    pub address: Value,
    /// When, in milliseconds since 1970 (UTC), where the platform says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// What the platform tells of the customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The customer said something, or pressed a question.
    Said {
        /// The words.
        text: String,
        /// The entry that was pressed.
        choice: Option<String>,
    },
    /// The customer sent something that is no text.
    Showed {
        /// What it is, in words for a person.
        text: String,
    },
    /// The customer came in.
    Came {
        /// What a greeting is sent with, where the platform wants that.
        code: Option<String>,
    },
    /// A person on the platform has taken the conversation.
    Taken {
        /// Who.
        agent: String,
    },
    /// A person on the platform said something.
    Answered {
        /// Who.
        agent: String,
        /// The words.
        text: String,
    },
    /// People on the platform are done with the conversation.
    Ended,
    /// Something that was said did not get there.
    Lost {
        /// Why.
        why: String,
    },
    /// There is something to be fetched.
    News {
        /// What it may be fetched with for some minutes.
        token: String,
        /// Whose it is.
        account: String,
    },
}

impl What {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Said { .. } => "message",
            Self::Showed { .. } => "other_message",
            Self::Came { .. } => "came",
            Self::Taken { .. } => "taken",
            Self::Answered { .. } => "person_message",
            Self::Ended => "ended",
            Self::Lost { .. } => "lost",
            Self::News { .. } => "news",
        }
    }
}

/// A call of a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Option<Value>,
}

impl Call {
    fn post(url: String, body: Value) -> Self {
        Self { method: "POST", url, headers: Vec::new(), body: Some(body) }
    }
}

/// What a reply of a platform means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is done; this is what it said.
    Done(Value),
    /// The access token is not good any more.
    TokenGone(String),
    /// It may be tried again.
    Again(String),
    /// It is of no use to try again.
    Never(String),
}

/// What somebody says to a customer.
#[derive(Debug, Clone, Copy)]
pub struct Saying<'a> {
    /// Where the customer is.
    pub address: &'a Value,
    /// The words.
    pub part: &'a Part,
    /// A name that stays the same over all attempts.
    pub id: &'a str,
    /// Whether it was tried before, and may be there already.
    pub is_again: bool,
    /// What the platform lets us in with.
    pub token: &'a str,
    /// The moment, in milliseconds since 1970 (UTC).
    pub now: i64,
}

/// A channel on one of the platforms.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    /// Which.
    pub kind: Kind,
    /// Its settings.
    pub settings: Settings,
}

impl Platform {
    /// A channel of a kind.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn of(kind: Kind, settings: &Value) -> Result<Self, String> {
        Ok(Self { kind, settings: Settings::of(kind, settings)? })
    }

    /// Verifies a request, and says what it is.
    ///
    /// # Errors
    /// When it is not the platform's, or not what it sends.
    pub fn arrive(&self, request: &Request<'_>) -> Result<Arrival, Fault> {
        let settings = &self.settings;
        match self.kind {
            Kind::WeChat => wechat::arrive(settings, request),
            Kind::WeCom => wecom::arrive(settings, request),
            Kind::WeComKf => wecom_kf::arrive(settings, request),
            Kind::DingTalk => dingtalk::arrive(settings, request),
            Kind::Feishu => feishu::arrive(settings, request),
        }
    }

    /// What fits into a message.
    pub fn limits(&self) -> Limits {
        match self.kind {
            Kind::WeChat => wechat::limits(&self.settings),
            Kind::WeCom => wecom::limits(&self.settings),
            Kind::WeComKf => wecom_kf::LIMITS,
            Kind::DingTalk => dingtalk::LIMITS,
            Kind::Feishu => feishu::LIMITS,
        }
    }

    /// How much may be said from now on because something happened.
    pub fn quota_after(&self, what: &What) -> Option<Quota> {
        match (self.kind, what) {
            (_, What::Said { .. } | What::Showed { .. }) => self.limits().quota,
            (Kind::WeChat, What::Came { .. }) => Some(wechat::AFTER_EVENT),
            _ => None,
        }
    }

    /// Whether the robot's reply is the answer to the request, as far as it fits.
    pub fn replies_at_once(&self) -> bool {
        matches!(self.kind, Kind::WeChat | Kind::WeCom)
    }

    /// Whether something can be said without being asked.
    pub fn can_speak(&self) -> bool {
        match self.kind {
            Kind::DingTalk => true,
            _ => self.settings.app_secret.is_some(),
        }
    }

    /// Asks for an access token; `None` where none is needed.
    pub fn token_call(&self) -> Option<Call> {
        match self.kind {
            Kind::WeChat => wechat::token_call(&self.settings),
            Kind::WeCom | Kind::WeComKf => wecom::token_call(&self.settings),
            Kind::DingTalk => None,
            Kind::Feishu => feishu::token_call(&self.settings),
        }
    }

    /// The token of such a reply, and for how many seconds it is good.
    pub fn token_of(&self, reply: &Value) -> Option<(String, i64)> {
        let field = if self.kind == Kind::Feishu { "tenant_access_token" } else { "access_token" };
        let seconds = if self.kind == Kind::Feishu { "expire" } else { "expires_in" };
        let token = reply.get(field)?.as_str()?.to_owned();
        Some((token, reply.get(seconds)?.as_i64()?))
    }

    /// Says something to a customer.
    ///
    /// # Errors
    /// Why it cannot be said, ever.
    pub fn say(&self, saying: &Saying<'_>) -> Result<Call, String> {
        match self.kind {
            Kind::WeChat => wechat::say(&self.settings, saying),
            Kind::WeCom => wecom::say(&self.settings, saying),
            Kind::WeComKf => wecom_kf::say(&self.settings, saying),
            Kind::DingTalk => dingtalk::say(&self.settings, saying),
            Kind::Feishu => feishu::say(&self.settings, saying),
        }
    }

    /// Gives a customer to the platform's people; `None` where that is no call.
    pub fn hand_over(&self, address: &Value, token: &str) -> Option<Call> {
        match self.kind {
            Kind::WeComKf if self.settings.people == People::Platform => {
                wecom_kf::state(&self.settings, address, token, wecom_kf::POOL)
            }
            _ => None,
        }
    }

    /// What a reply to a call means.
    pub fn verdict(&self, status: u16, body: &str) -> Verdict {
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        let (code, said) = match self.kind {
            Kind::Feishu => ("code", "msg"),
            _ => ("errcode", "errmsg"),
        };
        let shown: String = body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        let number = value.get(code).and_then(Value::as_i64);
        let message = value.get(said).and_then(Value::as_str).unwrap_or_default();
        match number {
            Some(0) => return Verdict::Done(value),
            // A token comes without a code where it is good.
            None if status == 200 && value.is_object() => return Verdict::Done(value),
            _ => {}
        }
        let Some(number) = number else {
            return Verdict::Again(format!("HTTP {status} {shown}").trim_end().to_owned());
        };
        let meaning = match self.kind {
            Kind::WeChat => wechat::meaning(number),
            Kind::WeCom | Kind::WeComKf => wecom::meaning(number),
            Kind::DingTalk => dingtalk::meaning(number),
            Kind::Feishu => feishu::meaning(number),
        };
        let told = |why: &str| format!("{code} {number} {message}: {why}");
        match meaning {
            Meaning::Token => Verdict::TokenGone(told("the access token is refused")),
            Meaning::Busy => Verdict::Again(told("too many calls, or the platform is busy")),
            Meaning::Never(why) => Verdict::Never(told(why)),
            Meaning::Unknown => Verdict::Again(format!("{code} {number} {message}")),
        }
    }
}

/// What a platform's error code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The token must be fetched anew.
    Token,
    /// It passes.
    Busy,
    /// It does not pass, and this is why.
    Never(&'static str),
    /// It is not listed here.
    Unknown,
}
