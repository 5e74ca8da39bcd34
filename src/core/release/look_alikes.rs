//! Which pairs of entries are not answered because nothing tells them apart?

use std::collections::HashMap;

use super::Calibrations;
use crate::decide::apart::Cost;
use crate::kb::check::{Finding, Severity};
use crate::kb::{Entry, EntryId};
use crate::text::is_han;

/// Longer pieces are no word, in characters.
const LONGEST_WORD: usize = 4;

/// What a release's authors should know of its look-alike entries under a
/// goal, the dearest pair first.
pub fn look_alikes<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    calibrations: &Calibrations,
    max_wrong: f64,
) -> Vec<Finding> {
    let costs = calibrations.rankings().costs(max_wrong);
    if costs.is_empty() {
        return Vec::new();
    }
    let question: HashMap<&EntryId, &str> =
        entries.map(|entry| (&entry.id, entry.question.as_str())).collect();
    costs.into_iter().map(|cost| finding(cost, |id| question.get(id).copied().unwrap_or_default())).collect()
}

fn finding<'a>(cost: Cost, question: impl Fn(&EntryId) -> &'a str) -> Finding {
    let Cost { entries, asked, confused, silenced } = cost;
    let [one, other] = entries.each_ref().map(&question);
    let [first, second] = &entries;
    let mut message = format!(
        "“{one}”（{first}）与“{other}”（{second}）分不开：自测 {asked} 次，有 {confused} 次很有把握地找到了另一条。因此顾客的话与库里的问法不完全一样时，这两条多半不再直接回答，而是反问"
    );
    if silenced > 0 {
        message.push_str(&format!("（本来答对的 {silenced} 次也改为反问）"));
    }
    message.push_str("；其他条目不受影响");
    let contrast = match difference(one, other) {
        Some([ours, theirs]) => format!("在词表里加一行 {{\"contrast\":[\"{ours}\",\"{theirs}\"]}}"),
        None => {
            "在词表里用 contrast 写明它们的区别（要写完整的词，如 {\"contrast\":[\"手动挡\",\"自动挡\"]}）"
                .to_owned()
        }
    };
    Finding {
        severity: Severity::Warning,
        code: "look_alike",
        texts: vec![one.to_owned(), other.to_owned()],
        entries: entries.to_vec(),
        score: None,
        message,
        fix: format!("其实是同一件事的，合并成一条；不是的，{contrast}，或改写问法，让区别更明显"),
    }
}

/// What stands in one question in place of what stands in the other; `None`
/// where one of them has nothing there, hardly anything is the same, or the pieces are
/// no words: 年 and 月 of 年卡 and 月卡 would contradict each other everywhere.
fn difference<'a>(one: &'a str, other: &'a str) -> Option<[&'a str; 2]> {
    let common = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| -> usize {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let start = common(&mut one.chars(), &mut other.chars());
    let before = one[..start].chars().next_back();
    let (one, other) = (&one[start..], &other[start..]);
    let end = common(&mut one.chars().rev(), &mut other.chars().rev());
    let parts = [&one[..one.len() - end], &other[..other.len() - end]].map(str::trim);
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    // A piece of "C1" is none of its own.
    let is_cut = |part: &&str, text: &str| {
        latin(before) && latin(part.chars().next())
            || latin(part.chars().next_back()) && latin(text[text.len() - end..].chars().next())
    };
    let is_word = |part: &&str| {
        let (han, chars) = (part.chars().filter(|&c| is_han(c)).count(), part.chars().count());
        (chars <= start.max(end))
            && (han == chars && (2..=LONGEST_WORD).contains(&chars) || han == 0 && chars > 0)
    };
    let whole = parts.iter().zip([one, other]).all(|(part, text)| is_word(part) && !is_cut(part, text));
    whole.then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_make_the_difference_are_named() {
        assert_eq!(difference("北京门店几点开门", "上海门店几点开门"), Some(["北京", "上海"]));
        assert_eq!(difference("iPhone 15 多少钱", "iPhone 15 Pro Max 多少钱"), None, "nothing on one side");
        assert_eq!(difference("怎么退货", "发票在哪"), None);
        assert_eq!(difference("年卡多少钱", "月卡多少钱"), None, "no words");
        assert_eq!(difference("C1手动挡多少钱", "C2自动挡多少钱"), None, "cut through words");
        assert_eq!(difference("科目一多少分合格", "科目四考什么"), None);
        let cost = Cost {
            entries: ["bj", "sh"].map(|id| EntryId(id.to_owned())),
            asked: 6,
            confused: 4,
            silenced: 1,
        };
        let told =
            finding(cost, |id| if id.0 == "bj" { "北京门店几点开门" } else { "上海门店几点开门" });
        assert!(told.message.contains("“北京门店几点开门”（bj）") && told.message.contains("6 次，有 4 次"));
        assert!(told.fix.contains("{\"contrast\":[\"北京\",\"上海\"]}"), "{}", told.fix);
    }
}
