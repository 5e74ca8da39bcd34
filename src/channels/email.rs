//! What is a letter to us, and how does one of ours look?
//!
//! [`reading`] makes what a customer says of the bytes of a mail, or says why nobody
//! answers it; [`stripping`] takes away what was quoted and signed; [`writing`] makes the
//! reply. All of it is pure: who fetches, keeps and sends stands above (`desk`).
//!
//! A conversation is a thread. Its key stands in the Message-ID of everything that we
//! send, signed together with the customer's address: who guesses a key, or has seen
//! somebody else's mail, does not get into another one's conversation. A mail that answers
//! none of ours belongs to its sender's thread of the same subject.

pub mod reading;
pub mod stripping;
pub mod writing;

pub use reading::{Letter, Unanswered, read};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use super::envelope::{hex, same};

/// The kind's name, and that of the customers' channel.
pub const KIND: &str = "email";

/// Characters of a thread's key.
const KEY: usize = 24;

/// Characters of its signature.
const SIGNATURE: usize = 32;

/// The longest text of a setting, in characters.
const TEXT: usize = 500;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// From its first byte on.
    #[default]
    Tls,
    /// After a greeting in plain text; without it nothing is said.
    Starttls,
    /// Not at all: inside the house only.
    Plain,
}

/// The settings of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that customers write to and replies come from.
    pub address: String,
    /// The name beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who signs in, to both servers; the address without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With which password (授权码).
    pub password: String,
    /// Where mail is fetched.
    pub imap_host: String,
    /// At which port; 993, or 143 without TLS from the first byte on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imap_port: Option<u16>,
    /// How that connection is protected.
    #[serde(default)]
    pub imap_security: Security,
    /// Where mail is sent.
    pub smtp_host: String,
    /// At which port; 465, 587 with STARTTLS, or 25 in plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_port: Option<u16>,
    /// How that connection is protected.
    #[serde(default)]
    pub smtp_security: Security,
    /// The folder that is looked into.
    #[serde(default = "inbox")]
    pub folder: String,
    /// Whether what was taken is marked as read.
    #[serde(default = "yes")]
    pub mark_seen: bool,
    /// The folder that it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_to: Option<String>,
    /// Whether the servers are inside the house.
    #[serde(default)]
    pub private: bool,
    /// The certificate of the authority that has signed theirs, as PEM, where that is none
    /// that the world knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Whether a question that may mean several things is asked back with a list; else it
    /// goes to people.
    #[serde(default = "yes")]
    pub choices: bool,
    /// The most that the robot says to one address in an hour.
    #[serde(default = "most")]
    pub most_per_hour: u16,
    /// What is told whose mail goes to people; `{number}` is the number of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<String>,
    /// The name that entries have answers for, where it is not the kind's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What keys of threads are made and signed with.
    pub secret: String,
}

fn inbox() -> String {
    "INBOX".to_owned()
}

fn yes() -> bool {
    true
}

fn most() -> u16 {
    20
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(settings: &Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(settings.clone()).map_err(|e| e.to_string())?;
        for (name, text) in [
            ("address", &settings.address),
            ("password", &settings.password),
            ("imap_host", &settings.imap_host),
            ("smtp_host", &settings.smtp_host),
            ("folder", &settings.folder),
        ] {
            if text.trim().is_empty() {
                return Err(format!("`{name}` is empty"));
            }
            if text.chars().count() > TEXT || text.chars().any(char::is_control) {
                return Err(format!("`{name}` is longer than {TEXT} characters or holds a line break"));
            }
        }
        for (name, text) in
            [("name", &settings.name), ("user", &settings.user), ("move_to", &settings.move_to)]
        {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().count() > TEXT || text.chars().any(char::is_control) {
                return Err(format!("`{name}` is longer than {TEXT} characters or holds a line break"));
            }
        }
        if settings.address.parse::<lettre::Address>().is_err() {
            return Err("`address` is no e-mail address, such as service@shop.example".to_owned());
        }
        for (name, security) in
            [("imap_security", settings.imap_security), ("smtp_security", settings.smtp_security)]
        {
            if security == Security::Plain && !settings.private {
                return Err(format!(
                    "`{name}` is plain, which shows the password to everybody on the way; it needs `private`, for servers inside the house"
                ));
            }
        }
        if settings.secret.len() < 16 {
            return Err("`secret` is shorter than 16 characters".to_owned());
        }
        if settings.most_per_hour == 0 {
            return Err("`most_per_hour` is 0; at least one reply must be allowed".to_owned());
        }
        if settings.authority.as_deref().is_some_and(|pem| !pem.contains("BEGIN CERTIFICATE")) {
            return Err("`authority` is no certificate as PEM (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        Ok(settings)
    }

    /// Who signs in.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(&self.address)
    }

    /// At which port mail is fetched.
    pub fn imap_port(&self) -> u16 {
        self.imap_port.unwrap_or(if self.imap_security == Security::Tls { 993 } else { 143 })
    }

    /// At which port mail is sent.
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port.unwrap_or(match self.smtp_security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::Plain => 25,
        })
    }

    /// What Message-IDs of ours end with.
    fn host(&self) -> &str {
        self.address.rsplit_once('@').map_or("localhost", |(_, host)| host)
    }

    fn tag(&self, parts: &[&str], length: usize) -> String {
        // Any length of key is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else {
            return String::new();
        };
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        let mut tag = hex(&mac.finalize().into_bytes());
        tag.truncate(length);
        tag
    }

    /// The thread that a letter belongs to: that of ours which it answers, or its
    /// sender's of the same subject.
    pub fn thread(&self, letter: &Letter) -> String {
        let answered = letter.references.iter().rev().find_map(|id| self.thread_of(id, &letter.from));
        answered.unwrap_or_else(|| {
            self.tag(&["thread", &letter.from, &reading::bare_subject(&letter.subject)], KEY)
        })
    }

    /// The Message-ID of something that is said to a customer; the same for the same job.
    pub fn message_id(&self, thread: &str, customer: &str, job: &str) -> String {
        let own = self.tag(&["message", job], 16);
        let signed = self.tag(&["id", thread, &own, customer], SIGNATURE);
        format!("zhida.{thread}.{own}.{signed}@{}", self.host())
    }

    /// The thread of a Message-ID of ours, if it was sent to this customer.
    pub fn thread_of(&self, id: &str, customer: &str) -> Option<String> {
        let local = id.trim().trim_matches(['<', '>']).rsplit_once('@')?.0;
        let mut parts = local.split('.');
        let (Some("zhida"), Some(thread), Some(own), Some(signed), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let expected = self.tag(&["id", thread, own, customer], SIGNATURE);
        (thread.len() == KEY && same(signed.as_bytes(), expected.as_bytes())).then(|| thread.to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn settings() -> Settings {
        Settings::of(
            &json!({"address": "kefu@shop.example", "password": "p", "imap_host": "mail.shop.example",
            "smtp_host": "mail.shop.example", "secret": "0123456789abcdef0123"}),
        )
        .expect("sound")
    }

    fn letter(from: &str, subject: &str, references: &[&str]) -> Letter {
        Letter {
            id: "x".to_owned(),
            from: from.to_owned(),
            name: None,
            subject: subject.to_owned(),
            text: String::new(),
            references: references.iter().map(|id| (*id).to_owned()).collect(),
            message_id: None,
            attachments: Vec::new(),
            at: None,
        }
    }

    #[test]
    fn a_thread_is_joined_by_what_we_sent_and_by_nobody_else() {
        let settings = settings();
        let first = settings.thread(&letter("a@b.example", "退货", &[]));
        assert_eq!(first, settings.thread(&letter("a@b.example", "Re: 回复：退货", &[])), "the same subject");
        assert_ne!(first, settings.thread(&letter("a@b.example", "发票", &[])));
        assert_ne!(first, settings.thread(&letter("c@b.example", "退货", &[])));
        let id = settings.message_id(&first, "a@b.example", "job-1");
        assert_eq!(id, settings.message_id(&first, "a@b.example", "job-1"), "stays over attempts");
        assert_ne!(id, settings.message_id(&first, "a@b.example", "job-2"));
        let other = "unknown@b.example";
        assert_eq!(first, settings.thread(&letter("a@b.example", "另一个主题", &[other, &id, other])));
        // Another sender does not come in by an id that they have seen.
        assert_ne!(first, settings.thread(&letter("c@b.example", "退货", &[&id])));
        for wrong in [
            id.replacen(&first, &"0".repeat(KEY), 1),
            id.replace("zhida.", "zhidb."),
            format!("zhida.{first}.x.{}@shop.example", "0".repeat(SIGNATURE)),
            format!("zhida.{first}"),
            String::new(),
        ] {
            assert_eq!(settings.thread_of(&wrong, "a@b.example"), None, "{wrong}");
        }
    }

    #[test]
    fn settings_say_what_is_wrong() {
        let sound = json!({"address": "k@s.example", "password": "p", "imap_host": "i", "smtp_host": "s", "secret": "0123456789abcdef"});
        for (change, word) in [
            (json!({"address": "nobody"}), "`address`"),
            (json!({"password": ""}), "`password`"),
            (json!({"imap_host": "a\nb"}), "`imap_host`"),
            (json!({"imap_security": "plain"}), "`imap_security`"),
            (json!({"smtp_security": "plain"}), "`smtp_security`"),
            (json!({"most_per_hour": 0}), "`most_per_hour`"),
            (json!({"authority": "x"}), "`authority`"),
            (json!({"secret": "short"}), "`secret`"),
            (json!({"more": 1}), "`more`"),
        ] {
            let mut all = sound.clone();
            for (name, value) in change.as_object().expect("an object") {
                all[name] = value.clone();
            }
            let why = Settings::of(&all).expect_err("a fault");
            assert!(why.contains(word), "{why}");
        }
        let settings = Settings::of(&sound).expect("sound");
        assert_eq!((settings.imap_port(), settings.smtp_port(), settings.user()), (993, 465, "k@s.example"));
    }
}
