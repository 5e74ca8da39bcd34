//! In which language does the command line speak?
//!
//! English, unless `--lang`, `ZHIDA_LANG` or the locale says Chinese. What authors must
//! mend is written in Chinese, as what it is about; what a run says of itself is in the
//! language of the run all the same, whatever it has found: who runs the same command
//! again, or another one, reads the same words.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;
use crate::explained;

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// One for the whole run, as there is one reader.
static CHINESE: AtomicBool = AtomicBool::new(false);

/// Begins a run in the language that was chosen, or else that of the locale.
pub(crate) fn choose(given: Option<Language>) {
    let chinese = match given {
        Some(language) => language == Language::Zh,
        None => of_locale(|name| std::env::var(name).ok()),
    };
    CHINESE.store(chinese, Ordering::Relaxed);
}

/// Whether messages are Chinese now.
pub(crate) fn is_chinese() -> bool {
    CHINESE.load(Ordering::Relaxed)
}

/// Whether the locale is Chinese; the first variable that is set counts.
fn of_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    set.is_some_and(|value| value.to_ascii_lowercase().starts_with("zh"))
}

/// A text in the language of this run: the English one, the Chinese one, and
/// what stands in them.
macro_rules! either {
    ($english:literal, $chinese:literal $(, $argument:expr)* $(,)?) => {
        if $crate::cli::language::is_chinese() {
            format!($chinese $(, $argument)*)
        } else {
            format!($english $(, $argument)*)
        }
    };
}

/// An error for whoever runs the command.
pub(crate) fn error(error: &Error) -> String {
    if !is_chinese() {
        return error.to_string();
    }
    match error {
        Error::Unknown { what, name, known } => {
            let what = match *what {
                "knowledge base" => "知识库",
                "release" => "版本",
                "model" => "模型",
                other => other,
            };
            let known = if known.is_empty() { "还没有".to_owned() } else { known.join("、") };
            format!("没有名为“{name}”的{what}；已有的：{known}")
        }
        Error::NoEntry { kb, entry } => format!("知识库 {kb} 里没有编号为“{entry}”的条目"),
        Error::Taken { entry, field, text, owner, question } => format!(
            "条目“{entry}”的 {field}：“{text}”已经属于条目“{owner}”（{question}）；请从其中一个里删除"
        ),
        Error::Stale { what, current: Some(revision) } => {
            format!("{what} 已是第 {revision} 次修改后的样子；请先看一下再改")
        }
        Error::Stale { what, current: None } => format!("{what} 不存在；请新建，或核对编号"),
        Error::Unconfirmed { kb, removed, entries } => {
            format!("这会从知识库 {kb} 的 {entries} 个条目里删除 {removed} 个；确实要这样，请加 --yes")
        }
        Error::Io { path, source, .. } => format!("{}：{source}", path.display()),
        other => {
            let told = other.to_string();
            if explained::is_chinese(&told) { None } else { explained::in_chinese(&told, |_| None) }
                .unwrap_or(told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_of_the_locale_counts() {
        let locale = |set: &'static [(&'static str, &'static str)]| {
            of_locale(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(locale(&[("LANG", "zh_CN.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LANG", "zh_TW")]));
        assert!(!locale(&[("LC_ALL", "C.UTF-8"), ("LANG", "zh_CN.UTF-8")]));
        assert!(!locale(&[]));
    }
}
