//! What does an answer show beside its words?
//!
//! Pictures, and links, which are cards where they have a text or a picture of their
//! own, in the author's order and for every channel. Addresses are whole and begin with
//! `https://` or `http://`: nothing of them is fetched or kept here, so what a customer
//! opens is what the author has seen. Where a channel cannot show them they are lines of
//! text.

use serde::{Deserialize, Serialize};

use super::Entry;

/// The most pictures of an answer.
pub const IMAGES: usize = 9;

/// The most links of an answer.
pub const LINKS: usize = 10;

/// The longest address, in bytes: what the strictest channel takes.
const ADDRESS: usize = 1_024;

/// The longest title of a link and description of a picture, in characters.
const TITLE: usize = 100;

/// The longest text of a card, in characters.
const TEXT: usize = 300;

/// A picture that an answer shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerImage)]
pub struct Image {
    /// Where it is: `https://…`.
    pub url: String,
    /// What it shows, for whoever does not see it.
    #[serde(default)]
    pub alt: String,
}

/// A link that an answer shows; a card, when it has a text or a picture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnswerLink)]
pub struct Link {
    /// What is pressed.
    pub title: String,
    /// Where it leads: `https://…`.
    pub url: String,
    /// A sentence below the title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Where its picture is: `https://…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
}

impl Image {
    /// What it shows, in words.
    pub fn name(&self) -> &str {
        if self.alt.trim().is_empty() { "图片" } else { &self.alt }
    }

    /// The picture as a line of text.
    pub fn line(&self) -> String {
        format!("{}：{}", self.name(), self.url)
    }
}

impl Link {
    /// The link as a line of text.
    pub fn line(&self) -> String {
        let Self { title, url, text, .. } = self;
        match (title == url, text.is_empty()) {
            (true, true) => url.clone(),
            (true, false) => format!("{text}：{url}"),
            (false, true) => format!("{title}：{url}"),
            (false, false) => format!("{title}（{text}）：{url}"),
        }
    }
}

/// Pictures and links as lines of text, in their order.
pub fn lines(images: &[Image], links: &[Link]) -> Vec<String> {
    images.iter().map(Image::line).chain(links.iter().map(Link::line)).collect()
}

/// Whether a text is an address that may be shown: whole, of the web, and without what
/// could make it look like another one.
pub fn is_address(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
        let at = lower.starts_with(scheme).then_some(scheme.len())?;
        text.get(at..)
    });
    let Some(rest) = rest else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Blanks and quotes have no place in an address, a name before the host hides it, and
    // browsers read a backslash as a slash.
    let strange = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`\\^{|}".contains(c);
    !host.is_empty() && !host.starts_with(':') && !host.contains('@') && !text.chars().any(strange)
}

/// What is wrong with an address, in Chinese.
fn fault(url: &str) -> Option<String> {
    let shown: String = url.chars().take(60).collect();
    if url.len() > ADDRESS {
        return Some(format!("“{shown}…”这个网址超过 {ADDRESS} 个字节，请缩短"));
    }
    (!is_address(url)).then(|| {
        format!("“{shown}”不是能用的网址：要写完整，以 https:// 或 http:// 开头，中间没有空格、引号和用户名")
    })
}

fn long(what: &str, text: &str, most: usize) -> Option<String> {
    let chars = text.chars().count();
    (chars > most).then(|| format!("{what}有 {chars} 个字，最多 {most} 个"))
}

/// What is wrong with the pictures and links of an entry: field and message, in Chinese.
pub(super) fn faults(entry: &Entry) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    if entry.images.len() > IMAGES {
        told.push(("images", format!("有 {} 张图片，最多 {IMAGES} 张", entry.images.len())));
    }
    for image in &entry.images {
        let wrong = [fault(&image.url), long("图片的说明", &image.alt, TITLE), broken(&image.alt)];
        told.extend(wrong.into_iter().flatten().map(|message| ("images", message)));
    }
    if entry.links.len() > LINKS {
        told.push(("links", format!("有 {} 个链接，最多 {LINKS} 个", entry.links.len())));
    }
    for link in &entry.links {
        let blank = link.title.trim().is_empty().then(|| format!("链接“{}”没有标题", link.url));
        let picture = if link.image.is_empty() { None } else { fault(&link.image) };
        let wrong = [
            fault(&link.url),
            blank,
            long("链接的标题", &link.title, TITLE),
            long("链接的说明", &link.text, TEXT),
            broken(&link.title),
            broken(&link.text),
            picture,
        ];
        told.extend(wrong.into_iter().flatten().map(|message| ("links", message)));
    }
    told
}

/// What stands in a line cannot have two.
fn broken(text: &str) -> Option<String> {
    text.contains(char::is_control).then(|| "图片和链接的文字里不能换行".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::EntryId;

    #[test]
    fn addresses_are_whole_and_of_the_web() {
        for sound in [
            "https://a.example/x.png",
            "http://10.0.0.1:8080/a?b=c#d",
            "HTTPS://A.example",
            "https://商城.中国/退货",
        ] {
            assert!(is_address(sound), "{sound}");
        }
        for wrong in [
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            " https://a.example",
            "data:text/html,x",
            "//a.example/x",
            "/v1/files/x",
            "https://",
            "https:///x",
            "https://:80/",
            "https://good.example@evil.example/",
            "https://evil.example\\@good.example/",
            "https://a.example/\"onerror=",
            "https://a.example/a b",
            "ftp://a.example/",
            "",
            "好",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let mut entry = Entry::of(EntryId("e".into()), "问".into(), "答".into());
        assert_eq!(faults(&entry), []);
        let sound = "https://a.example/";
        entry.images = vec![
            Image { url: "javascript:x".into(), alt: String::new() },
            Image { url: sound.into(), alt: "字".repeat(101) },
        ];
        entry.links =
            vec![Link { title: " ".into(), url: format!("{sound}{}", "x".repeat(2_000)), ..Link::default() }];
        let fields: Vec<&str> = faults(&entry).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["images", "images", "links", "links"]);
        entry.images = vec![Image { url: sound.into(), alt: String::new() }; IMAGES + 1];
        entry.links.clear();
        assert_eq!(faults(&entry).len(), 1);
    }

    #[test]
    fn lines_say_what_and_where() {
        let image = Image { url: "https://a.example/x.png".into(), alt: String::new() };
        let link = Link {
            title: "退货入口".into(),
            url: "https://a.example/r".into(),
            text: "七天内".into(),
            ..Link::default()
        };
        assert_eq!(
            lines(&[image], &[link]),
            ["图片：https://a.example/x.png", "退货入口（七天内）：https://a.example/r"]
        );
    }
}
