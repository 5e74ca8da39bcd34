//! How does a knowledge base write the amounts that a customer writes?
//!
//! The exact matcher compares amounts in their one writing. The matchers that
//! score compare what stands in the texts, so for them a customer's 20w is
//! written as the knowledge base writes it: 20万.

use std::collections::{HashMap, HashSet};

use super::{Found, read};
use crate::text::normalize::encoder_text;

/// The amounts of a knowledge base as they are written there.
#[derive(Debug, Clone, Default)]
pub struct Writings {
    /// By the one writing.
    known: HashMap<String, String>,
    all: HashSet<String>,
}

impl Writings {
    /// Learns the amounts of a normalised text.
    pub fn learn(&mut self, text: &str) {
        let found = read(text);
        if found.is_empty() {
            return;
        }
        let chars: Vec<char> = text.chars().collect();
        for one in found {
            let written: String = chars[one.inner.clone()].iter().collect();
            self.known.entry(key(&one, &written).to_owned()).or_insert_with(|| written.clone());
            self.all.insert(written);
        }
    }

    /// A message with its amounts as the knowledge base writes them; `None`
    /// when they are, or when it has no such amounts.
    pub fn adopt(&self, raw: &str) -> Option<String> {
        let text = encoder_text(raw);
        let found = read(&text);
        if found.is_empty() {
            return None;
        }
        let chars: Vec<char> = text.chars().collect();
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for one in found {
            let written: String = chars[one.inner.clone()].iter().collect();
            let Some(known) = self.known.get(key(&one, &written)).filter(|_| !self.all.contains(&written))
            else {
                continue;
            };
            out.extend(&chars[at..one.inner.start]);
            out.push_str(known);
            at = one.inner.end;
        }
        out.extend(&chars[at..]);
        (at > 0).then_some(out)
    }
}

/// What an amount is known by: its one writing. 24小时 is more often around the
/// clock than a day.
fn key<'a>(one: &'a Found, written: &'a str) -> &'a str {
    let around_the_clock = |plain: &&str| *plain == "1天" && !written.contains(['天', '日']);
    one.plain.as_deref().filter(|plain| !around_the_clock(plain)).unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_the_knowledge_base_does() {
        let mut writings = Writings::default();
        for text in ["存20万一年利息多少", "七天无理由退货", "1.5小时到不了能退吗", "每期还款日是5号"]
        {
            writings.learn(text);
        }
        let adopt = |text| writings.adopt(text);
        assert_eq!(adopt("存20W，利息多少？").as_deref(), Some("存20万,利息多少?"));
        assert_eq!(adopt("7天内能退吗").as_deref(), Some("七天内能退吗"));
        assert_eq!(adopt("一周内能退吗").as_deref(), Some("七天内能退吗"));
        assert_eq!(adopt("一个半小时没到").as_deref(), Some("1.5小时没到"));
        assert_eq!(adopt("七天内能退吗"), None, "it is written so");
        assert_eq!(adopt("八天内能退吗"), None, "another amount");
        assert_eq!(adopt("24小时客服电话"), None);
        assert_eq!(adopt("怎么退款"), None);
    }
}
