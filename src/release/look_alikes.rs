//! Which pairs of entries are not answered because nothing tells them apart?

use std::collections::HashMap;

use super::Calibrations;
use crate::decide::apart::Cost;
use crate::kb::check::{Finding, Severity};
use crate::kb::{Entry, EntryId};

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
        None => "在词表里用 contrast 写明它们的区别".to_owned(),
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
/// where one of them has nothing there, or hardly anything is the same.
fn difference<'a>(one: &'a str, other: &'a str) -> Option<[&'a str; 2]> {
    let common = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| -> usize {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let start = common(&mut one.chars(), &mut other.chars());
    let (one, other) = (&one[start..], &other[start..]);
    let end = common(&mut one.chars().rev(), &mut other.chars().rev());
    let parts = [&one[..one.len() - end], &other[..other.len() - end]].map(str::trim);
    let is_word = |part: &&str| !part.is_empty() && part.chars().count() <= start.max(end);
    parts.iter().all(is_word).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_make_the_difference_are_named() {
        assert_eq!(difference("北京门店几点开门", "上海门店几点开门"), Some(["北京", "上海"]));
        assert_eq!(difference("iPhone 15 多少钱", "iPhone 15 Pro Max 多少钱"), None, "nothing on one side");
        assert_eq!(difference("怎么退货", "发票在哪"), None);
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
