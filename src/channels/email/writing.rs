//! How does a mail of ours look?
//!
//! Plain text and the same as simple HTML, the question quoted below, and headers that
//! keep it in its thread and away from machines that would answer it.

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::{Address, address::Envelope};
use serde::{Deserialize, Serialize};

use super::super::cards::Card;
use super::Settings;
use super::reading::Letter;

/// What is quoted of the customer's mail, in characters.
const QUOTED: usize = 1_500;

/// The most ids that a mail of ours follows.
const FOLLOWED: usize = 20;

/// Where a reply goes, as a conversation keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The customer's address.
    pub to: String,
    /// Their thread.
    pub thread: String,
    /// The subject of their last mail.
    pub subject: String,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// What it follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// What it said, as far as it is quoted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub quoted: String,
}

impl Place {
    /// Where a letter is answered.
    pub fn of(letter: &Letter, thread: String) -> Self {
        let mut references = letter.references.clone();
        references.dedup();
        let first = references.len().saturating_sub(FOLLOWED);
        references.drain(..first);
        Self {
            to: letter.from.clone(),
            thread,
            subject: letter.subject.clone(),
            message_id: letter.message_id.clone(),
            references,
            quoted: letter.text.chars().take(QUOTED).collect(),
        }
    }
}

/// A mail that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Ready {
    /// From whom to whom.
    pub envelope: Envelope,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Its id.
    pub id: String,
}

/// The questions to choose from, as lines below some words.
pub fn choices(text: &str, questions: &[String]) -> String {
    let mut all = text.trim_end().to_owned();
    for (number, question) in (1..).zip(questions) {
        all.push_str(&format!("\n{number}. {question}"));
    }
    if !questions.is_empty() {
        all.push_str("\n\n请直接回复这封邮件，写上数字（例如 1）或者换个说法再问一次。");
    }
    all
}

/// Writes a mail: `text` to the customer at a place, with pictures and links below. The same job has the same id always.
/// What a machine says is marked as such; what a person says is not.
///
/// # Errors
/// Why it cannot be written, ever.
pub fn write(
    settings: &Settings,
    place: &Place,
    text: &str,
    cards: &[Card],
    job: &str,
    by_person: bool,
) -> Result<Ready, String> {
    let own: Address = settings.address.parse().map_err(|e| format!("our own address: {e}"))?;
    let to: Address = place.to.parse().map_err(|e| format!("the customer's address {:?}: {e}", place.to))?;
    let id = settings.message_id(&place.thread, &place.to, job);
    let subject = one_line(&place.subject);
    let subject = match super::reading::bare_subject(&subject).as_str() {
        "" => "Re: 您的来信".to_owned(),
        bare if bare == subject.trim().to_lowercase() => format!("Re: {subject}"),
        _ => subject,
    };
    let mut builder = Message::builder()
        .from(Mailbox::new(settings.name.as_deref().map(one_line), own.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(subject)
        .message_id(Some(format!("<{id}>")));
    if let Some(theirs) = &place.message_id {
        let mut followed: Vec<String> = place.references.iter().map(|id| format!("<{id}>")).collect();
        followed.retain(|id| id != &format!("<{theirs}>"));
        followed.push(format!("<{theirs}>"));
        builder = builder.in_reply_to(format!("<{theirs}>")).references(followed.join(" "));
    }
    if !by_person {
        for (name, value) in [("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All")] {
            builder =
                builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
        }
    }
    let text = text.trim();
    let mut plain = text.to_owned();
    let mut html = format!("<!doctype html><html><body><div>{}</div>", marked_up(text));
    for card in cards {
        plain.push_str(&format!("\n{}", card.line()));
        html.push_str(&shown(card));
    }
    if !place.quoted.trim().is_empty() {
        let quoted: Vec<String> = place.quoted.lines().map(|line| format!("> {line}")).collect();
        plain.push_str(&format!("\n\n您的来信写道：\n{}\n", quoted.join("\n")));
        html.push_str(&format!("<p>您的来信写道：</p><blockquote>{}</blockquote>", marked_up(&place.quoted)));
    }
    html.push_str("</body></html>");
    let message =
        builder.multipart(MultiPart::alternative_plain_html(plain, html)).map_err(|e| e.to_string())?;
    let envelope = Envelope::new(Some(own), vec![to]).map_err(|e| e.to_string())?;
    Ok(Ready { envelope, bytes: message.formatted(), id })
}

/// A picture or a link as HTML. Many programs show pictures only when asked to, so each
/// can be pressed too.
fn shown(card: &Card) -> String {
    let link = format!("<a href=\"{}\">{}</a>", escaped(&card.url), escaped(&card.title));
    let picture = match card.image.as_str() {
        "" => String::new(),
        image => format!(
            "<br>\n<img src=\"{}\" alt=\"{}\" style=\"max-width:100%\">",
            escaped(image),
            escaped(&card.title)
        ),
    };
    let text = if card.text.is_empty() { String::new() } else { format!("<br>\n{}", escaped(&card.text)) };
    format!("<p>{link}{text}{picture}</p>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Text as HTML: line ends, and addresses that can be pressed.
fn marked_up(text: &str) -> String {
    let link = |line: &str| {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = ["https://", "http://"].iter().filter_map(|begin| rest.find(begin)).min() {
            out.push_str(&escaped(&rest[..at]));
            let is_end = |c: char| !c.is_ascii() || c.is_whitespace() || "<>\"'()[]{}".contains(c);
            let end = rest[at..].find(is_end).map_or(rest.len(), |length| at + length);
            let url = rest[at..end].trim_end_matches(['.', ',', ';', ':', '!', '?']);
            out.push_str(&format!("<a href=\"{0}\">{0}</a>", escaped(url)));
            rest = &rest[at + url.len()..];
        }
        out.push_str(&escaped(rest));
        out
    };
    text.lines().map(link).collect::<Vec<_>>().join("<br>\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;
    use crate::channels::email::{Unanswered, read};

    fn place() -> Place {
        Place {
            to: "a@b.example".to_owned(),
            thread: "0".repeat(24),
            subject: "怎么退货".to_owned(),
            message_id: Some("m2@b.example".to_owned()),
            references: vec!["m1@b.example".to_owned()],
            quoted: "你好\n怎么退货<b>".to_owned(),
        }
    }

    #[test]
    fn a_reply_stays_in_its_thread_and_is_not_answered() {
        let ready = write(
            &settings(),
            &place(),
            "七天内可退：https://s.example/r?a=1&b=2。\n<谢谢>",
            &[],
            "job",
            false,
        )
        .expect("written");
        let mail = mail_parser::MessageParser::default().parse(&ready.bytes).expect("a mail");
        assert_eq!(mail.subject(), Some("Re: 怎么退货"));
        assert_eq!(mail.message_id(), Some(ready.id.as_str()));
        assert_eq!(mail.in_reply_to().as_text(), Some("m2@b.example"));
        assert_eq!(mail.references().as_text_list().map(<[_]>::len), Some(2));
        let text = mail.body_text(0).expect("text").replace("\r\n", "\n");
        assert!(
            text.starts_with(
                "七天内可退：https://s.example/r?a=1&b=2。\n<谢谢>\n\n您的来信写道：\n> 你好\n> 怎么退货<b>"
            ),
            "{text}"
        );
        let html = mail.body_html(0).expect("html");
        assert!(html.contains("<a href=\"https://s.example/r?a=1&amp;b=2\">"), "{html}");
        assert!(html.contains("&lt;谢谢&gt;") && !html.contains("<b>"), "{html}");
        assert_eq!(
            read(&ready.bytes, &[]),
            Err(Unanswered::Automatic),
            "another robot of ours leaves it alone"
        );
        assert_eq!(read(&ready.bytes, &["kefu@shop.example"]), Err(Unanswered::Own));
        let person = write(&settings(), &place(), "我来帮您", &[], "job", true).expect("written");
        assert!(read(&person.bytes, &[]).is_ok(), "what people write is no machine's");
    }

    #[test]
    fn pictures_and_links_stand_below_the_words() {
        let cards = [Card {
            title: "<b>入口".to_owned(),
            text: "\"七天\"".to_owned(),
            url: "https://s.example/r?a=1&b=2".to_owned(),
            image: "https://s.example/r.png".to_owned(),
            is_picture: false,
        }];
        let ready = write(&settings(), &place(), "好", &cards, "job", false).expect("written");
        let mail = mail_parser::MessageParser::default().parse(&ready.bytes).expect("a mail");
        let text = mail.body_text(0).expect("text").replace("\r\n", "\n");
        assert!(text.starts_with("好\n<b>入口（\"七天\"）：https://s.example/r?a=1&b=2\n"), "{text}");
        let html = mail.body_html(0).expect("html");
        assert!(html.contains("<a href=\"https://s.example/r?a=1&amp;b=2\">&lt;b&gt;入口</a>"), "{html}");
        assert!(html.contains("<img src=\"https://s.example/r.png\" alt=\"&lt;b&gt;入口\""), "{html}");
    }

    #[test]
    fn nothing_from_outside_gets_into_a_header() {
        let mut place = place();
        place.subject = "a\r\nBcc: x@y.example\r\n\r\nbody".to_owned();
        let ready = write(&settings(), &place, "好", &[], "job", false).expect("written");
        let mail = mail_parser::MessageParser::default().parse(&ready.bytes).expect("a mail");
        assert!(mail.bcc().is_none() && mail.subject().is_some_and(|subject| subject.contains("Bcc")));
        place.to = "a@b.example\r\nRCPT TO:<x@y>".to_owned();
        assert!(write(&settings(), &place, "好", &[], "job", false).is_err());
    }

    #[test]
    fn choices_are_numbered() {
        let text = choices("您想问的是：", &["退货".to_owned(), "换货".to_owned()]);
        assert!(text.starts_with("您想问的是：\n1. 退货\n2. 换货\n\n请直接回复"), "{text}");
        assert_eq!(choices("好", &[]), "好");
    }
}
