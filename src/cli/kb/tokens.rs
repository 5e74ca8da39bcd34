//! `zhida kb tokens`: how is a sentence cut, and why?

use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::kb::KnowledgeBase;
use crate::release::hear_in;
use crate::text::anatomy::{Anatomy, Word};
use crate::text::lexicon::WordSource;

pub(super) fn run(base: &KnowledgeBase, text: &str, as_json: bool) -> Result<ExitCode> {
    let analyzer = base.analyzer();
    let anatomy = Anatomy::of(&analyzer, text, hear_in(base, &analyzer, text))?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&anatomy).map_err(|e| Error::internal("tokens", e))?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("原文      {}", anatomy.text);
    for step in &anatomy.steps {
        let lossy = if step.lossy {
            "（会丢掉一些字，只影响打分，不影响完全相同的比较）"
        } else {
            ""
        };
        say!("  {} → {}{lossy}", step_in_words(step.step), step.text);
    }
    say!("比较用    {}", anatomy.exact);
    say!("切词用    {}", anatomy.core);
    for word in &anatomy.words {
        say!("  {}", in_words(word));
    }
    Ok(ExitCode::SUCCESS)
}

fn step_in_words(step: &str) -> &str {
    match step {
        "nfkc" => "统一字符形式",
        "lower_case" => "转小写",
        "simplified" => "繁体转简体",
        "blanks" => "去空白",
        "punctuation" => "去标点",
        "emoji" => "去表情",
        "numeral_words" => "还原词里的数字",
        "numbers" => "统一数字写法（只用于比较）",
        "list_number" => "去序号",
        "repeats" => "去重复字",
        "fillers" => "去客套话",
        "heard" => "按读音、词表和数字写法还原",
        other => other,
    }
}

fn in_words(word: &Word) -> String {
    let source = match word.source {
        WordSource::Protected => "保护词",
        WordSource::UserDictionary => "用户词",
        WordSource::Keyword => "条目的关键词",
        WordSource::Shipped => "内置词表",
        WordSource::Dictionary => "通用词典",
        WordSource::Letters => "字母或数字",
        WordSource::SingleCharacter => "单字",
    };
    let mut text = format!("{}  [{source}]", word.text);
    if word.canonical != word.text {
        let whose = if word.own_group { "自定义" } else { "内置" };
        text.push_str(&format!(" → {}（{whose}同义词组：{}）", word.canonical, word.group.join(" ")));
    }
    if word.stop {
        let whose = if word.own_stop { "自定义" } else { "内置" };
        text.push_str(&format!("  {whose}停用词，不参与按词匹配"));
    }
    text
}
