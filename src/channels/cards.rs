//! How do pictures and links look on a platform?
//!
//! A picture is a card that leads to itself. Each platform has a form of its own for
//! cards, and what has no place in it stays a line of text: nothing is left out.

use serde_json::{Value, json};

use super::Kind;
use super::parts::cut;
use crate::kb::{Image, Link};

/// Bytes of a title that every platform takes, and of a text.
const TITLE: usize = 128;
const TEXT: usize = 512;

/// How a platform shows pictures and links beside words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cards {
    /// As lines below the words.
    Lines,
    /// Each in a message of its own, so many at most; the others as lines.
    Each(usize),
    /// All in one message, so many at most; the others as lines.
    Together(usize),
}

impl Cards {
    /// How a platform shows them where it can be spoken to. WeChat allows five messages,
    /// and each holds one article.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::WeChat => Self::Each(2),
            Kind::WeCom => Self::Together(8),
            Kind::WeComKf => Self::Together(10),
            Kind::DingTalk | Kind::Feishu => Self::Together(20),
        }
    }

    /// How many of them are more than lines.
    pub const fn most(self) -> usize {
        match self {
            Self::Lines => 0,
            Self::Each(most) | Self::Together(most) => most,
        }
    }
}

/// Something with a title that leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What is pressed.
    pub title: String,
    /// A sentence below it; may be empty.
    pub text: String,
    /// Where it leads.
    pub url: String,
    /// Its picture; may be empty.
    pub image: String,
    /// Whether it is nothing but a picture.
    pub is_picture: bool,
}

impl Card {
    /// The cards that pictures and links make, in their order.
    pub fn all(images: &[Image], links: &[Link]) -> Vec<Self> {
        let pictures = images.iter().map(|image| Self {
            title: image.name().to_owned(),
            text: String::new(),
            url: image.url.clone(),
            image: image.url.clone(),
            is_picture: true,
        });
        let links = links.iter().map(|link| Self {
            title: link.title.clone(),
            text: link.text.clone(),
            url: link.url.clone(),
            image: link.image.clone(),
            is_picture: false,
        });
        pictures.chain(links).collect()
    }

    /// The card as a line of text.
    pub fn line(&self) -> String {
        let Self { title, url, text, .. } = self;
        Link { title: title.clone(), url: url.clone(), text: text.clone(), image: String::new() }.line()
    }
}

/// 图文消息 of WeChat and WeCom.
pub(super) fn articles(cards: &[Card]) -> Value {
    let article = |card: &Card| {
        json!({"title": cut(&card.title, TITLE), "description": cut(&card.text, TEXT), "url": card.url,
            "picurl": card.image})
    };
    cards.iter().map(article).collect()
}

/// 菜单消息 of WeCom's customer service, whose lines open addresses.
pub(super) fn menu(cards: &[Card]) -> Value {
    let line = |card: &Card| {
        let words = if card.text.is_empty() {
            card.title.clone()
        } else {
            format!("{}（{}）", card.title, card.text)
        };
        json!({"type": "view", "view": {"url": card.url, "content": cut(&words, TEXT)}})
    };
    let list: Value = cards.iter().map(line).collect();
    json!({"head_content": "图片和链接：", "list": list})
}

/// Markdown with pictures, and below it the links as buttons, of DingTalk.
pub(super) fn dingtalk(cards: &[Card]) -> Value {
    let mut lines = Vec::new();
    for card in cards {
        if !card.image.is_empty() {
            lines.push(format!("![{}]({})", marked(&card.title), address(&card.image)));
        }
        if !card.text.is_empty() {
            lines.push(format!("{}：{}", marked(&card.title), marked(&card.text)));
        }
    }
    let buttons: Vec<Value> = cards
        .iter()
        .filter(|card| !card.is_picture)
        .map(|card| json!({"title": cut(&card.title, TITLE), "actionURL": card.url}))
        .collect();
    let title = cards.first().map(|card| cut(&card.title, TITLE)).unwrap_or_default();
    if buttons.is_empty() {
        return json!({"msgtype": "markdown", "markdown": {"title": title, "text": lines.join("\n\n")}});
    }
    let text = if lines.is_empty() { "相关链接".to_owned() } else { lines.join("\n\n") };
    json!({"msgtype": "actionCard",
        "actionCard": {"title": title, "text": text, "btnOrientation": "0", "btns": buttons}})
}

/// Words that stay words in Markdown.
fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An address that a bracket does not end.
fn address(url: &str) -> String {
    url.replace('(', "%28").replace(')', "%29")
}

/// 富文本 of Feishu, which shows only pictures that were brought to it before: here they
/// are links.
pub(super) fn post(cards: &[Card]) -> Value {
    let row = |card: &Card| {
        let mut row = vec![json!({"tag": "a", "text": card.title, "href": card.url})];
        if !card.text.is_empty() {
            row.push(json!({"tag": "text", "text": format!(" {}", card.text)}));
        }
        if !card.is_picture && !card.image.is_empty() {
            row.push(json!({"tag": "text", "text": " "}));
            row.push(json!({"tag": "a", "text": "图片", "href": card.image}));
        }
        Value::Array(row)
    };
    json!({"zh_cn": {"title": "", "content": cards.iter().map(row).collect::<Value>()}})
}

/// Cards of Chatwoot, each with what it is opened by.
pub fn chatwoot(cards: &[Card]) -> Value {
    let item = |card: &Card| {
        json!({"title": card.title, "description": card.text, "media_url": card.image,
            "actions": [{"type": "link", "text": if card.is_picture { "看大图" } else { "打开" }, "uri": card.url}]})
    };
    cards.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards() -> Vec<Card> {
        let image = Image { url: "https://a.example/x(1).png".into(), alt: "截图](javascript:x".into() };
        let link = Link {
            title: "退货入口".into(),
            url: "https://a.example/r".into(),
            text: "七天*内*".into(),
            image: "https://a.example/r.png".into(),
        };
        Card::all(&[image], &[link])
    }

    #[test]
    fn words_stay_words_in_markdown() {
        let message = dingtalk(&cards());
        let text = message["actionCard"]["text"].as_str().expect("a text");
        assert!(text.contains(r"![截图\]\(javascript\:x](https://a.example/x%281%29.png)"), "{text}");
        assert!(text.contains(r"七天\*内\*"), "{text}");
        let buttons = json!([{"title": "退货入口", "actionURL": "https://a.example/r"}]);
        assert_eq!(message["actionCard"]["btns"], buttons);
        assert_eq!(dingtalk(&cards()[..1])["msgtype"], "markdown");
    }

    #[test]
    fn each_platform_has_a_form_of_its_own() {
        let cards = cards();
        assert_eq!(articles(&cards)[1]["picurl"], "https://a.example/r.png");
        assert_eq!(menu(&cards)["list"][1]["view"]["content"], "退货入口（七天*内*）");
        let rows = post(&cards);
        assert_eq!(rows["zh_cn"]["content"][0][0]["href"], "https://a.example/x(1).png");
        assert_eq!(rows["zh_cn"]["content"][1].as_array().map(Vec::len), Some(4));
        assert_eq!(chatwoot(&cards)[0]["actions"][0]["uri"], "https://a.example/x(1).png");
        assert_eq!(cards[1].line(), "退货入口（七天*内*）：https://a.example/r");
    }
}
