//! Which messages go to a person unseen?

use std::sync::LazyLock;

use regex::Regex;

use super::Reason;

const RULES: &str = include_str!("data/handoff.txt");

static COMPILED: LazyLock<Vec<(Reason, Regex)>> = LazyLock::new(|| {
    RULES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(kind, pattern)| {
            let reason = match kind {
                "requested" => Reason::Requested,
                "sensitive" => Reason::Sensitive,
                _ => return None,
            };
            Regex::new(pattern).ok().map(|pattern| (reason, pattern))
        })
        .collect()
});

/// Why a normalised text goes to a person without a search, if it does.
pub fn before_search(core: &str) -> Option<Reason> {
    COMPILED.iter().find(|(_, pattern)| pattern.is_match(core)).map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        let lines = RULES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        assert_eq!(COMPILED.len(), lines);
    }

    #[test]
    fn asking_for_a_person_is_heard_and_only_that() {
        for text in ["转人工", "我要找人工客服", "帮我转接人工", "人工", "找个真人"] {
            assert_eq!(before_search(text), Some(Reason::Requested), "{text}");
        }
        for text in [
            "人工智能是什么",
            "人工费怎么算",
            "你们的年轻生活馆几点开门",
            "跳楼价是真的吗",
            "转账",
            "客服几点上班",
            "人工授精",
        ] {
            assert_eq!(before_search(text), None, "{text}");
        }
        assert_eq!(before_search("我真的不想活了"), Some(Reason::Sensitive));
    }
}
