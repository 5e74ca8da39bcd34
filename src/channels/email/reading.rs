//! What does somebody say in a mail, and who is never answered?
//!
//! Machines answer machines for ever if nobody stops; so whatever says of itself that it
//! was sent by one, or goes to many, is left alone (RFC 3834 and what programs do beside it).

use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders as _};
use serde::{Deserialize, Serialize};

use super::stripping::{own_words, tidy};
use crate::channels::envelope::signature;

/// The longest subject, in characters.
const SUBJECT: usize = 300;

/// The longest text, in characters.
const TEXT: usize = 20_000;

/// The most ids of mails before.
const REFERENCES: usize = 50;

/// The longest id, in bytes.
const ID: usize = 500;

/// The most attachments that are named.
const ATTACHMENTS: usize = 20;

/// A mail of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What names it here: what comes again has the same.
    pub id: String,
    /// Its sender's address in lower case.
    pub from: String,
    /// The name beside it.
    pub name: Option<String>,
    /// The subject.
    pub subject: String,
    /// What is new in it, without what was quoted and signed.
    pub text: String,
    /// The mails that it follows, the latest last.
    pub references: Vec<String>,
    /// Its own id.
    pub message_id: Option<String>,
    /// The names of attachments.
    pub attachments: Vec<String>,
    /// When it says that it was written, in milliseconds since 1970 (UTC).
    pub at: Option<i64>,
}

impl Letter {
    /// What is asked: the text, or the subject where that says nothing by itself.
    pub fn question(&self) -> String {
        let said = self.text.lines().filter(|line| !is_polite(line)).count();
        let subject = bare_subject(&self.subject);
        if said == 0 && !subject.is_empty() { subject } else { self.text.clone() }
    }
}

/// Why nobody answers a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It is no mail.
    Unreadable,
    /// It has no sender whom one could write to.
    Nobody,
    /// A machine has sent it.
    Automatic,
    /// It goes to many.
    List,
    /// It tells of a mail that did not arrive.
    Bounce,
    /// We have sent it ourselves.
    Own,
    /// Nothing stands in it.
    Empty,
}

impl Unanswered {
    /// In words, for the log.
    pub fn told(self) -> &'static str {
        match self {
            Self::Unreadable => "it cannot be read",
            Self::Nobody => "it has no sender",
            Self::Automatic => "a machine has sent it",
            Self::List => "it goes to many",
            Self::Bounce => "it tells of a mail that did not arrive",
            Self::Own => "we have sent it",
            Self::Empty => "nothing stands in it",
        }
    }
}

/// A line that is polite and says nothing.
fn is_polite(line: &str) -> bool {
    const WORDS: [&str; 36] = [
        "您好",
        "你好",
        "尊敬的客服",
        "客服您好",
        "客服你好",
        "亲",
        "在吗",
        "如题",
        "如主题",
        "谢谢",
        "多谢",
        "感谢",
        "谢谢您",
        "祝好",
        "顺祝商祺",
        "此致",
        "敬礼",
        "麻烦了",
        "请问",
        "请回复",
        "盼复",
        "hi",
        "hello",
        "dear sir",
        "dear sir or madam",
        "dear team",
        "dear sirs",
        "thanks",
        "thank you",
        "best regards",
        "kind regards",
        "regards",
        "best",
        "cheers",
        "see subject",
        "hi there",
    ];
    let bare: String = line.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
    let bare = bare.trim();
    bare.is_empty() || WORDS.contains(&bare)
}

/// A subject without what programs put before it, in lower case.
pub fn bare_subject(subject: &str) -> String {
    const BEFORE: [&str; 13] =
        ["re", "fw", "fwd", "aw", "sv", "回复", "回覆", "答复", "答覆", "转发", "轉寄", "轉發", "回信"];
    let mut rest = subject.trim();
    loop {
        let end = rest.find([':', '：']);
        let Some((word, behind)) = end.and_then(|at| {
            let (word, behind) = rest.split_at(at);
            Some((word, behind.strip_prefix([':', '：'])?))
        }) else {
            break;
        };
        // "Re[2]:" and "Re(2):".
        let word = word.trim().split(['[', '(']).next().unwrap_or_default().to_lowercase();
        if !BEFORE.contains(&word.trim()) {
            break;
        }
        rest = behind.trim_start();
    }
    rest.trim().to_lowercase()
}

/// The parts of a mail. The parser counts below zero in some that were made for that (a quoted
/// part of nothing but a soft line break): such a mail is as good as unreadable.
fn parsed(bytes: &[u8]) -> Option<Message<'_>> {
    std::panic::catch_unwind(|| MessageParser::default().parse(bytes)).ok().flatten()
}

/// Reads a mail. `own` are the addresses that are ours.
///
/// # Errors
/// Why nobody answers it.
pub fn read(bytes: &[u8], own: &[&str]) -> Result<Letter, Unanswered> {
    let mail = parsed(bytes).ok_or(Unanswered::Unreadable)?;
    let (from, name) = sender(&mail).ok_or(Unanswered::Nobody)?;
    refuse(&mail, &from, own)?;
    let subject = cut(&tidy(mail.subject().unwrap_or_default()).replace('\n', " "), SUBJECT);
    if is_automatic_subject(&subject) {
        return Err(Unanswered::Automatic);
    }
    let (text, attachments) = (cut(&text(&mail), TEXT), attachments(&mail));
    if text.is_empty() && attachments.is_empty() && bare_subject(&subject).is_empty() {
        return Err(Unanswered::Empty);
    }
    let message_id = mail.message_id().map(str::to_owned).filter(|id| is_id(id));
    let id = match &message_id {
        // With its sender: nobody hides somebody else's mail behind its id.
        Some(id) => signature(&["id", id, &from]),
        None => signature(&["bytes", &from, &String::from_utf8_lossy(bytes)]),
    };
    let mut references: Vec<String> = ids(mail.references());
    references.extend(ids(mail.in_reply_to()));
    let first = references.len().saturating_sub(REFERENCES);
    references.drain(..first);
    let at = mail.date().filter(|date| date.is_valid()).map(|date| date.to_timestamp().saturating_mul(1000));
    Ok(Letter { id, from, name, subject, text, references, message_id, attachments, at })
}

/// Whom a reply goes to: the sender, never whom else the mail names to be answered, for
/// that would let anybody have us write to anybody.
fn sender(mail: &Message<'_>) -> Option<(String, Option<String>)> {
    let one = mail.from().and_then(Address::first)?;
    let address = one.address.as_deref()?.trim().to_lowercase();
    address.parse::<lettre::Address>().ok()?;
    let name = one.name.as_deref().map(|name| cut(&tidy(name).replace('\n', " "), 100));
    Some((address, name.filter(|name| !name.is_empty())))
}

fn header(mail: &Message<'_>, name: &'static str) -> Option<String> {
    mail.header_raw(name).map(|value| value.trim().to_lowercase())
}

/// Refuses what must not be answered.
fn refuse(mail: &Message<'_>, from: &str, own: &[&str]) -> Result<(), Unanswered> {
    if own.iter().any(|own| own.eq_ignore_ascii_case(from)) {
        return Err(Unanswered::Own);
    }
    if header(mail, "Return-Path").is_some_and(|path| path == "<>" || path.is_empty()) {
        return Err(Unanswered::Bounce);
    }
    let reported = |kind: &str, sub: &str| {
        mail.content_type().is_some_and(|found| {
            found.ctype().eq_ignore_ascii_case(kind)
                && found.subtype().is_some_and(|found| found.eq_ignore_ascii_case(sub))
        })
    };
    if reported("multipart", "report") {
        return Err(Unanswered::Bounce);
    }
    let local = from.split('@').next().unwrap_or_default();
    let plain: String = local.chars().filter(|c| c.is_alphanumeric()).collect();
    if ["mailerdaemon", "postmaster"].contains(&plain.as_str()) {
        return Err(Unanswered::Bounce);
    }
    if plain.starts_with("noreply") || plain.starts_with("donotreply") || plain.ends_with("noreply") {
        return Err(Unanswered::Automatic);
    }
    if header(mail, "Auto-Submitted").is_some_and(|value| !value.is_empty() && !value.starts_with("no")) {
        return Err(Unanswered::Automatic);
    }
    for name in ["X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"] {
        if header(mail, name).is_some_and(|value| !value.is_empty() && value != "no" && value != "none") {
            return Err(Unanswered::Automatic);
        }
    }
    let many = ["bulk", "list", "junk", "auto_reply"];
    if header(mail, "Precedence").is_some_and(|value| many.contains(&value.as_str())) {
        return Err(Unanswered::List);
    }
    if ["List-Id", "List-Unsubscribe", "List-Post"].into_iter().any(|name| header(mail, name).is_some()) {
        return Err(Unanswered::List);
    }
    Ok(())
}

/// Whether a subject is one that programs write when somebody is away.
fn is_automatic_subject(subject: &str) -> bool {
    const BEGINNINGS: [&str; 15] = [
        "自动回复",
        "自動回覆",
        "自動回復",
        "自动答复",
        "自動答覆",
        "系统退信",
        "退信通知",
        "auto reply",
        "auto-reply",
        "autoreply",
        "automatic reply",
        "out of office",
        "out of the office",
        "undelivered mail",
        "delivery status notification",
    ];
    let bare = bare_subject(subject);
    let bare = bare.trim_start_matches(['[', '【', '(', '（', '<']);
    // 自动回复怎么设置 is a question, and nobody asks about undelivered mail in such words.
    let is_plain = |beginning: &str| {
        !beginning.contains("回") && !beginning.starts_with("auto") && !beginning.contains("答")
    };
    let ends = |rest: &str| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with([':', '：', ']', '】', ')', '）', '>', '-', '—'])
    };
    BEGINNINGS
        .iter()
        .any(|beginning| bare.strip_prefix(beginning).is_some_and(|rest| is_plain(beginning) || ends(rest)))
}

/// What is said, as plain text without what was said before.
fn text(mail: &Message<'_>) -> String {
    let plain = mail.text_part(0).filter(|part| part.is_text() && !part.is_text_html());
    let whole = match plain.and_then(|part| part.text_contents()) {
        Some(text) if !text.trim().is_empty() => text.to_owned(),
        _ => match mail.body_html(0) {
            Some(html) => mail_parser::decoders::html::html_to_text(&without_quotes(&html)),
            None => String::new(),
        },
    };
    own_words(&whole)
}

/// HTML up to where programs put what they quote: plain text would not show where it begins.
fn without_quotes(html: &str) -> String {
    const MARKS: [&str; 9] = [
        "<blockquote",
        "class=\"gmail_quote",
        "id=\"divrplyfwdmsg",
        "id=divrplyfwdmsg",
        "id=\"isreplycontent",
        "class=\"ntes-mailmaster-quote",
        "id=\"original-content",
        "class=\"foxmailquote",
        "id=\"appendonsend",
    ];
    // Lower case of ASCII only: places stay where they are.
    let lower = html.to_ascii_lowercase();
    let end = MARKS.iter().filter_map(|mark| lower.find(mark)).min();
    let end = end.map_or(html.len(), |at| {
        if lower[at..].starts_with('<') { at } else { lower[..at].rfind('<').unwrap_or(at) }
    });
    // A mail that is nothing but a quotation is read as it is.
    let kept = &html[..end];
    if mail_parser::decoders::html::html_to_text(kept).trim().is_empty() {
        html.to_owned()
    } else {
        kept.to_owned()
    }
}

fn attachments(mail: &Message<'_>) -> Vec<String> {
    let name = |part: &mail_parser::MessagePart<'_>| {
        let name = part.attachment_name().map(|name| cut(&tidy(name).replace('\n', " "), 200));
        let kind = part.content_type().map_or("", |kind| kind.ctype());
        name.filter(|name| !name.is_empty())
            .unwrap_or_else(|| if kind == "image" { "图片" } else { "附件" }.to_owned())
    };
    mail.attachments().take(ATTACHMENTS).map(name).collect()
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= ID
        && id.is_ascii()
        && !id.chars().any(|c| c.is_whitespace() || c.is_control() || c == '<' || c == '>')
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    let all: Vec<&str> = match value {
        HeaderValue::Text(one) => vec![one],
        HeaderValue::TextList(many) => many.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    all.into_iter().filter(|id| is_id(id)).map(str::to_owned).collect()
}

fn cut(text: &str, most: usize) -> String {
    text.trim().chars().take(most).collect()
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
