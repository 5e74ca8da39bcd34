//! What fits into a message of a platform?
//!
//! Limits are data of the kinds; here words are made to fit: split at the end of a
//! sentence where one is near, at a character otherwise, never inside of one.

use serde_json::Value;

use super::cards::{Card, Cards};
use crate::kb::{Image, Link};

/// What fits into a message, and what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a text.
    pub text: usize,
    /// Questions that can be pressed in a message; 0 where none can, and they are numbered.
    pub choices: usize,
    /// Bytes of such a question.
    pub choice: usize,
    /// Bytes of the words above them.
    pub head: usize,
    /// Whether an address in a text can be opened.
    pub links: bool,
    /// Whether a text may hold pictures.
    pub images: bool,
    /// How pictures and links beside the words are shown.
    pub cards: Cards,
    /// Messages at most without the customer saying anything.
    pub quota: Option<Quota>,
}

/// How much may be said after the customer did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// So many messages …
    pub messages: i32,
    /// … within so many milliseconds.
    pub millis: i64,
}

/// A question to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its entry.
    pub entry: String,
    /// Its words.
    pub question: String,
}

impl Choice {
    /// The name that a platform gives back when it is pressed, which may have some
    /// bytes; longer ones are told by their words.
    pub fn id(&self, number: usize) -> String {
        let fits = self.entry.len() <= 64 && !self.entry.starts_with('#') && !self.entry.is_empty();
        if fits { self.entry.clone() } else { format!("#{number}") }
    }

    /// The entry of such a name.
    pub fn entry_of(id: &str) -> Option<String> {
        (!id.is_empty() && !id.starts_with('#')).then(|| id.to_owned())
    }
}

/// What a robot or a person says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The words.
    pub text: String,
    /// The questions to choose from.
    pub choices: Vec<Choice>,
    /// The pictures and links beside the words.
    pub cards: Vec<Card>,
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The words.
    pub text: String,
    /// The questions to press below them; numbered ones are in the words.
    pub choices: Vec<Choice>,
    /// The cards, which have a message without words.
    pub cards: Vec<Card>,
}

impl Part {
    fn of_words(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    fn of_cards(cards: &[Card]) -> Self {
        Self { cards: cards.to_vec(), ..Self::default() }
    }
}

impl Spoken {
    /// Reads `{"text", "suggestions":[{"entry","question"}], "images":[…], "links":[…]}`.
    pub fn of(said: &Value) -> Self {
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let choices = said.get("suggestions").and_then(Value::as_array).into_iter().flatten();
        let choices =
            choices.map(|one| Choice { entry: text(one, "entry"), question: text(one, "question") });
        let images: Vec<Image> = items(said, "images");
        let links: Vec<Link> = items(said, "links");
        Self { text: text(said, "text"), choices: choices.collect(), cards: Card::all(&images, &links) }
    }

    /// The words with the questions below them, numbered.
    pub fn numbered(&self) -> String {
        let mut all = self.text.clone();
        for (number, choice) in (1..).zip(&self.choices) {
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&format!("{number}. {}", choice.question));
        }
        all
    }

    /// The messages that this takes; none when there is nothing to say.
    pub fn parts(&self, limits: &Limits) -> Vec<Part> {
        let room = limits.cards.most().min(self.cards.len());
        let (cards, lines) = self.cards.split_at(room);
        let mut words = Self { cards: Vec::new(), ..self.clone() };
        for card in lines {
            if !words.text.is_empty() {
                words.text.push('\n');
            }
            words.text.push_str(&card.line());
        }
        let mut parts = words.spelled(limits);
        match limits.cards {
            Cards::Each(_) => parts.extend(cards.chunks(1).map(Part::of_cards)),
            _ if cards.is_empty() => {}
            _ => parts.push(Part::of_cards(cards)),
        }
        parts
    }

    /// The messages that the words and the questions take.
    fn spelled(&self, limits: &Limits) -> Vec<Part> {
        let plain = |text: &str| if limits.images { text.to_owned() } else { plain(text) };
        let pressed = limits.choices >= self.choices.len()
            && !self.choices.is_empty()
            && self.choices.iter().all(|choice| choice.question.len() <= limits.choice);
        if !pressed {
            let all = split(&plain(&self.numbered()), limits.text);
            return all.into_iter().map(Part::of_words).collect();
        }
        let text = plain(&self.text);
        // What stands above questions may be shorter than a text alone.
        let mut parts: Vec<Part> = if text.len() <= limits.head {
            vec![Part::of_words(text)]
        } else {
            let all = split(&text, limits.text).into_iter();
            all.chain([String::new()]).map(Part::of_words).collect()
        };
        if let Some(last) = parts.last_mut() {
            last.choices.clone_from(&self.choices);
        }
        parts
    }
}

/// The items of a list that are what they should be.
fn items<T: serde::de::DeserializeOwned>(said: &Value, name: &str) -> Vec<T> {
    let list = said.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|item| serde_json::from_value(item.clone()).ok()).collect()
}

/// Pieces of a text that have at most so many bytes.
pub fn split(text: &str, bytes: usize) -> Vec<String> {
    let mut rest = text.trim();
    let mut pieces = Vec::new();
    while rest.len() > bytes {
        let mut end = bytes;
        while end > 0 && !rest.is_char_boundary(end) {
            end -= 1;
        }
        // A sentence's end in the second half is better than the last character.
        let sentence = rest[..end].char_indices().rev().find(|(_, c)| "\n。！？；.!?;".contains(*c));
        let at = match sentence {
            Some((at, c)) if at * 2 >= end => at + c.len_utf8(),
            _ => end.max(rest.chars().next().map_or(1, char::len_utf8)),
        };
        pieces.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// What stands in the place of words that do not fit.
const MORE: &str = "……";

/// The beginning of a text that fits into so many bytes.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let first = split(text, bytes.saturating_sub(MORE.len())).into_iter().next().unwrap_or_default();
    format!("{first}{MORE}")
}

/// A text without Markdown's pictures and links: their addresses stand beside their words.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        let link = from.find("](").and_then(|middle| {
            let end = middle + from[middle..].find(')')?;
            let (words, address) = (&from[1..middle], &from[middle + 2..end]);
            let sound = !words.contains(['\n', '[']) && !address.contains(char::is_whitespace);
            let sound = sound && (address.starts_with("http://") || address.starts_with("https://"));
            sound.then_some((words, address, end + 1))
        });
        match link {
            Some((words, address, end)) => {
                out.push_str(before.strip_suffix('!').unwrap_or(before));
                out.push_str(words);
                out.push_str(if words.is_empty() { "" } else { " " });
                out.push_str(address);
                rest = &from[end..];
                if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                    // An address ends where a blank is.
                    out.push(' ');
                }
            }
            None => {
                out.push_str(before);
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits {
        text: 60,
        choices: 2,
        choice: 30,
        head: 30,
        links: true,
        images: false,
        cards: Cards::Lines,
        quota: None,
    };

    fn spoken(text: &str, questions: &[&str]) -> Spoken {
        let choices = questions
            .iter()
            .map(|question| Choice { entry: "e".to_owned(), question: (*question).to_owned() });
        Spoken { text: text.to_owned(), choices: choices.collect(), cards: Vec::new() }
    }

    #[test]
    fn texts_are_split_between_characters_and_lose_nothing() {
        let text = "退款一到三天到账。".repeat(40);
        for bytes in [1, 2, 3, 4, 10, 27, 28, 100, 2_000] {
            let pieces = split(&text, bytes);
            assert_eq!(pieces.concat(), text, "{bytes}");
            assert!(pieces.iter().all(|piece| piece.len() <= bytes.max(3) && !piece.is_empty()), "{bytes}");
        }
        assert_eq!(split("短句。第二句很长很长", 12), ["短句。", "第二句很", "长很长"]);
        assert_eq!(split("  ", 5), Vec::<String>::new());
        assert_eq!(cut("一二三四五六", 12), "一二……");
        assert_eq!(cut("一二", 12), "一二");
    }

    #[test]
    fn questions_are_pressed_where_they_fit_and_numbered_else() {
        let one = spoken("哪一个？", &["退货", "换货"]).parts(&LIMITS);
        assert_eq!((one.len(), one[0].choices.len(), one[0].text.as_str()), (1, 2, "哪一个？"));
        let many = spoken("哪一个？", &["退货", "换货", "发票"]).parts(&LIMITS);
        assert_eq!(many[0].text, "哪一个？\n1. 退货\n2. 换货\n3. 发票");
        assert!(many[0].choices.is_empty());
        let long = spoken(&"字".repeat(15), &["退货"]).parts(&LIMITS);
        assert_eq!((long.len(), long[1].choices.len()), (2, 1));
        assert_eq!(spoken("", &[]).parts(&LIMITS), Vec::new());
    }

    #[test]
    fn cards_follow_the_words_and_what_has_no_room_is_a_line() {
        let link = |title: &str| json!({"title": title, "url": "https://a.example/"});
        let said = json!({"text": "好。", "images": [{"url": "https://a.example/x.png", "alt": "图"}],
            "links": [link("甲"), link("乙"), {"title": 3}]});
        let spoken = Spoken::of(&said);
        let parts = |cards: Cards| spoken.parts(&Limits { text: 200, cards, ..LIMITS });
        let lines = "好。\n图：https://a.example/x.png\n甲：https://a.example/\n乙：https://a.example/";
        assert_eq!(parts(Cards::Lines), [Part::of_words(lines.to_owned())]);
        let each = parts(Cards::Each(2));
        assert_eq!(each[0].text, "好。\n乙：https://a.example/");
        assert_eq!(
            each[1..].iter().map(|part| part.cards[0].title.as_str()).collect::<Vec<_>>(),
            ["图", "甲"]
        );
        let together = parts(Cards::Together(8));
        assert_eq!((together.len(), together[0].text.as_str(), together[1].cards.len()), (2, "好。", 3));
        let bare = Spoken::of(&json!({"text": "好。"}));
        assert_eq!(bare.parts(&LIMITS), [Part::of_words("好。".to_owned())]);
    }

    #[test]
    fn links_and_pictures_become_addresses() {
        assert_eq!(plain("看[这里](https://a.example/x)，好"), "看这里 https://a.example/x ，好");
        assert_eq!(plain("![图](http://a/b.png)"), "图 http://a/b.png");
        for same in ["[1](2)", "[a", "a](b)", "[a](javascript:x)", "数组[0]"] {
            assert_eq!(plain(same), same);
        }
    }

    #[test]
    fn names_of_choices_come_back() {
        let choice = Choice { entry: "refund".to_owned(), question: "怎么退款".to_owned() };
        assert_eq!(Choice::entry_of(&choice.id(1)).as_deref(), Some("refund"));
        let long = Choice { entry: "长".repeat(40), ..choice };
        assert_eq!((long.id(2).as_str(), Choice::entry_of("#2")), ("#2", None));
    }
}
