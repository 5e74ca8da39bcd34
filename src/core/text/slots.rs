//! What does a fragment put in the place of something?
//!
//! "那信用卡的呢" after "储蓄卡丢了怎么办" means 信用卡 in the place of 储蓄卡. Two words
//! can change places when both cannot be meant at the same time: words of
//! `data/contrasts.txt` and of the knowledge base's own contrasts, amounts,
//! names of models, places on a map.

use std::ops::Range;

use super::codes::Codes;
use super::details::{ALL, Contrasts, alike_of};
use super::segment::Analyzer;
use super::{number, spelling};

/// A question with what a fragment names in the place of its own; `None` when
/// nothing in the fragment is of the kind of something in the question. Both
/// are given by their cores.
pub fn exchanged(analyzer: &Analyzer, question: &str, fragment: &str) -> Option<String> {
    contrasted(analyzer.lexicon().contrasts(), &spelling(question), &spelling(fragment))
        .or_else(|| contrasted(&ALL, question, fragment))
        .or_else(|| amount(question, fragment))
        .or_else(|| only(question, &Codes::of(question).places(), fragment, &Codes::of(fragment).places()))
        .or_else(|| only(question, &analyzer.geography(question), fragment, &analyzer.geography(fragment)))
}

/// The words that stand on one side of a shipped contrast with a word, such as
/// 借记卡 with 储蓄卡.
pub fn alike(word: &str) -> Vec<&'static str> {
    alike_of(word)
}

fn contrasted(contrasts: &Contrasts, question: &str, fragment: &str) -> Option<String> {
    let own: Vec<_> = contrasts.places_in(question).collect();
    if own.is_empty() {
        return None;
    }
    contrasts.places_in(fragment).find_map(|(word, group, side)| {
        // What the question names too is no exchange.
        let named = own.iter().any(|(_, of, at)| *of == group && *at == side);
        let (place, ..) = own.iter().find(|(_, of, at)| *of == group && *at != side).filter(|_| !named)?;
        Some(put(question, place, &fragment[word]))
    })
}

fn amount(question: &str, fragment: &str) -> Option<String> {
    let asked = number::read(fragment);
    let chars: Vec<char> = question.chars().collect();
    let written: Vec<char> = fragment.chars().collect();
    number::read(question).into_iter().find_map(|own| {
        let new = asked.iter().find(|new| new.amount.excludes(&own.amount))?;
        let parts = [&chars[..own.start], &written[new.start..new.end], &chars[own.end..]];
        Some(parts.concat().into_iter().collect())
    })
}

/// The only thing of a kind in the place of the only one in the question.
fn only(question: &str, own: &[Range<usize>], fragment: &str, asked: &[Range<usize>]) -> Option<String> {
    let ([place], [new]) = (own, asked) else { return None };
    let new = &fragment[new.clone()];
    (question[place.clone()] != *new).then(|| put(question, place, new))
}

fn put(question: &str, place: &Range<usize>, word: &str) -> String {
    format!("{}{word}{}", &question[..place.start], &question[place.end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{AuthoredLexicon, Lexicon};

    #[test]
    fn what_is_of_one_kind_changes_places() {
        let analyzer = Analyzer::new(Lexicon::shipped());
        for (question, fragment, exchanged) in [
            ("储蓄卡丢了怎么办", "信用卡的", Some("信用卡丢了怎么办")),
            ("怎么申请七天无理由退货", "换货", Some("怎么申请七天无理由换货")),
            ("怎么开通来电显示", "取消", Some("怎么取消来电显示")),
            ("七天内可以退吗", "十五天", Some("十五天可以退吗")),
            ("去北京的票怎么买", "上海", Some("去上海的票怎么买")),
            ("怎么开发票", "运费", None),
            ("信用卡和借记卡有什么区别", "信用卡", None),
        ] {
            assert_eq!(super::exchanged(&analyzer, question, fragment).as_deref(), exchanged, "{fragment}");
        }
    }

    #[test]
    fn contrasts_of_the_knowledge_base_count() {
        let lines = "{\"contrast\":[\"金卡\",\"白金卡\"]}";
        let authored = AuthoredLexicon::read("words", lines.as_bytes()).unwrap();
        let analyzer = Analyzer::new(Lexicon::of(&authored, []));
        let exchanged = super::exchanged(&analyzer, "金卡年费多少", "白金卡");
        assert_eq!(exchanged.as_deref(), Some("白金卡年费多少"));
    }
}
