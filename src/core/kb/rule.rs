//! When does an entry claim a question outright?

use serde::{Deserialize, Serialize};

/// A condition under which an entry is the answer, whatever the matchers say.
///
/// All texts are compared after [`crate::text::exact_key`], so width, case,
/// traditional characters, punctuation and the writing of numbers do not
/// matter. Regular expressions run on the same text with its numbers as they
/// were written ([`crate::text::written`]) and are linear-time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Rule {
    /// The whole question reads like this.
    Exact {
        /// The text it must equal.
        exact: String,
    },
    /// Every one of `contains` occurs, none of `without` does.
    Contains {
        /// Texts that must all occur.
        contains: Vec<String>,
        /// Negative keywords: the rule is silent when one occurs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
    /// The pattern matches somewhere, none of `without` occurs.
    Regex {
        /// A pattern in the syntax of the `regex` crate.
        regex: String,
        /// Negative keywords: the rule is silent when one occurs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        without: Vec<String>,
    },
}

/// How large an author's pattern may become when it is compiled, in bytes. The
/// knowledge base keeps all of them in memory; one of a few words takes some
/// kilobytes, and `[\p{L}]{200}` sixteen megabytes.
const COMPILED: usize = 2 << 20;

/// Texts that have nothing in common: what matches all of them says nothing.
const UNRELATED: [&str; 6] = ["怎么退货", "iphone 15", "7", "苹果手机多少钱？", "你好", "abc"];

/// A pattern that keeps the budget of an author's rule. What was published before
/// there was one is still opened ([`Rule::pattern`]).
fn modest(regex: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(regex).case_insensitive(true).size_limit(COMPILED).build()
}

impl Rule {
    /// The compiled pattern of a `regex` rule. It runs on normalised text,
    /// which is in lower case, so capitals in it must not matter.
    pub fn pattern(regex: &str) -> Result<regex::Regex, regex::Error> {
        regex::RegexBuilder::new(regex).case_insensitive(true).build()
    }

    /// The negative keywords.
    pub fn without(&self) -> &[String] {
        match self {
            Self::Exact { .. } => &[],
            Self::Contains { without, .. } | Self::Regex { without, .. } => without,
        }
    }

    /// Says in Chinese what an author must change, if anything.
    pub fn check(&self) -> Result<(), String> {
        let blank = |text: &String| crate::text::exact_key(text).is_empty();
        if let Self::Contains { without, .. } | Self::Regex { without, .. } = self
            && without.iter().any(blank)
        {
            return Err("规则 without 里有空白或纯标点的词，请删除".to_owned());
        }
        match self {
            Self::Exact { exact } if blank(exact) => Err("规则 exact 是空的".to_owned()),
            Self::Contains { contains, .. } if contains.is_empty() || contains.iter().any(blank) => {
                Err("规则 contains 至少要有一个词，而且不能是空白或纯标点".to_owned())
            }
            Self::Regex { regex, .. } => match modest(regex) {
                Ok(pattern) if pattern.is_match("") => {
                    Err(format!("规则 regex“{regex}”连空白也匹配，会抢走所有问题"))
                }
                Ok(pattern) if UNRELATED.iter().all(|text| pattern.is_match(text)) => {
                    Err(format!("规则 regex“{regex}”几乎什么问题都匹配，会抢走所有问题，请写得具体一些"))
                }
                Ok(_) => Ok(()),
                Err(regex::Error::CompiledTooBig(_)) => {
                    Err(format!("规则 regex“{regex}”展开后太大，请减少重复的次数，或改用更小的字符范围"))
                }
                Err(e) => Err(format!("规则 regex“{regex}”不是有效的正则表达式：{e}")),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(regex: &str) -> Result<(), String> {
        Rule::Regex { regex: regex.to_owned(), without: Vec::new() }.check()
    }

    #[test]
    fn patterns_that_say_nothing_or_grow_too_large_are_refused() {
        for nothing in [".", r"\b", r"[\s\S]", r"\w", ".{1,100}", r"[^。]", "()", "(?:.|退)"] {
            let told = check(nothing).expect_err(nothing);
            assert!(told.contains("抢走所有问题"), "{nothing}: {told}");
        }
        for large in [r"[\p{L}]{200}x", r"(?:\w{10}){20}退"] {
            let told = check(large).expect_err(large);
            assert!(told.contains("太大"), "{large}: {told}");
        }
        for sound in [
            "退(款|货).{0,5}(多久|几天)",
            r"^\d{4}年",
            r"\p{Han}{2,4}卡",
            "iphone ?1[0-9]",
            r"\d+$",
            "[a-z]+",
        ] {
            assert_eq!(check(sound), Ok(()), "{sound}");
        }
    }
}
