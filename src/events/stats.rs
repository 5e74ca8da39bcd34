//! How much was answered, and what came of it?
//!
//! Pure functions over events: [`Tally`] takes them in any order, and says at
//! the end what they add up to. The words of this trade mean different things
//! to different vendors; [`DEFINITIONS`] says what each one means here, word for
//! word, and the reports carry them along.
//!
//! A *question* is a message that asks something: neither small talk nor a
//! farewell, nor the choice among questions that were offered. A *session* is
//! the questions of one conversation with no pause of more than 24 hours
//! between them; it belongs to the day, channel, topic, entry and release of its
//! first question. Questions without a conversation are in no session. Days are
//! those of China (+08:00).

mod collect;
mod entries;
mod report;
mod sessions;
mod table;

pub use collect::{By, Tally};
pub use entries::{Known, OfEntry};
pub use report::{Comment, Counts, Figures, Group, Latency, Share, Stats, Unanswered};
pub use table::{Format, written};

use super::day::Days;
use super::drift;
use super::log::Log;
use super::record::{Event, Kind};
use super::wanted::Wanted;
use crate::error::Result;

/// What each share means, in English and in Chinese.
pub const DEFINITIONS: [(&str, &str, &str); 17] = [
    ("answer_rate", "questions answered / questions", "直接回答率：直接回答的问题数 ÷ 问题数"),
    (
        "clarify_rate",
        "questions asked back with a choice / questions",
        "反问率：以备选问题反问的问题数 ÷ 问题数",
    ),
    (
        "handoff_rate",
        "questions that the engine handed off (`decision` handoff), whatever the reason, whether or not a person was called / questions",
        "转人工率（按问题）：引擎没有回答、判为应转人工的问题数（不论原因，也不论有没有真的叫到人；真正转接的看按会话的转人工率）÷ 问题数",
    ),
    (
        "refused_rate",
        "questions with a word that only a person may answer / questions",
        "拒答率：含敏感词、不由机器人回答的问题数 ÷ 问题数",
    ),
    ("match_rate", "questions answered or asked back / questions", "匹配率：直接回答或反问的问题数 ÷ 问题数"),
    (
        "clarify_click_rate",
        "askings-back after which one of the offered questions was taken / askings-back",
        "备选点击率：反问之后客户选了其中一个的次数 ÷ 反问次数",
    ),
    (
        "none_of_these_rate",
        "askings-back after which the customer said that none was meant / askings-back",
        "“都不是”率：反问之后客户表示都不是的次数 ÷ 反问次数",
    ),
    (
        "repeat_rate",
        "questions of a session that repeat an earlier one of it (same normal form, or same best entry) / questions in sessions",
        "重复提问率：同一会话内与之前某个问题相同（规范形式相同，或最佳条目相同）的问题数 ÷ 会话内的问题数",
    ),
    (
        "independent_rate",
        "sessions with an answer and without any transfer / sessions",
        "独立接待率：有直接回答且没有转人工的会话数 ÷ 会话数",
    ),
    (
        "transfer_rate",
        "sessions in which a person was called or an agent acted, other than by a first message that asks for one; the act counts, successful or not / sessions",
        "转人工率（按会话）：叫了人工或坐席有动作的会话数（第一句就要求人工的除外；以动作为准，不论是否接通）÷ 会话数",
    ),
    (
        "requested_first_rate",
        "sessions whose first message asks for a person / sessions; not part of transfer_rate",
        "直接要求人工率：第一句就要求人工的会话数 ÷ 会话数；不计入转人工率",
    ),
    (
        "containment_rate",
        "sessions without any transfer / sessions; it hides wrong answers and silent leaving, so it is no headline",
        "拦截率：没有转人工的会话数 ÷ 会话数；它看不出答非所问和默默离开，不宜作为主要指标",
    ),
    (
        "solved_confirmed_rate",
        "sessions in which the customer says of the last decision that it helped / sessions",
        "确认解决率：客户对最后一次回复表示已解决的会话数 ÷ 会话数",
    ),
    (
        "solved_assumed_rate",
        "sessions that nobody confirmed or denied: answered last, no question repeated, and no transfer until 24 hours after / sessions; never added to the confirmed ones silently",
        "推定解决率：客户没有表态，最后一次是直接回答，没有重复提问，此后 24 小时内没有转人工的会话数 ÷ 会话数；不与确认解决悄悄相加",
    ),
    ("unsolved_rate", "sessions that are neither / sessions", "未解决率：以上两者都不是的会话数 ÷ 会话数"),
    (
        "first_answer_rate",
        "sessions whose first question was answered at once and that are solved, confirmed or assumed, without another question / sessions",
        "首答解决率：第一个问题即被直接回答、没有再提问、且确认或推定解决的会话数 ÷ 会话数",
    ),
    (
        "satisfied_rate",
        "decisions rated with 4 or 5 stars / decisions rated",
        "满意率：评 4 或 5 星的次数 ÷ 评星次数",
    ),
];

/// What groups of figures are told apart by, in Chinese and in English.
pub fn by_words(by: &str) -> (&'static str, &'static str) {
    match by {
        "hour" => ("时段", "hour"),
        "channel" => ("渠道", "channel"),
        "topic" => ("主题", "topic"),
        "entry" => ("条目", "entry"),
        "release" => ("版本", "release"),
        _ => ("日期", "day"),
    }
}

/// Why a question was handed off or asked back, in Chinese and in English; `None` for
/// what is called by its code alone.
pub fn reason_words(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "requested" => ("要求人工", "asked for a person"),
        "no_match" => ("没有匹配", "nothing matched"),
        "low_confidence" => ("把握不足", "not sure enough"),
        "ambiguous" => ("有歧义", "ambiguous"),
        "repeated_miss" => ("连续答不上", "missed several times"),
        "repeated_question" => ("重复提问", "asked again"),
        "sensitive" => ("敏感词", "sensitive words"),
        "angry" => ("情绪激动", "angry"),
        "handoff_rule" => ("转人工规则", "a rule"),
        "several_questions" => ("多个问题", "several questions"),
        "no_text" => ("没有文字", "no text"),
        "none_of_these" => ("都不是", "none of these"),
        "unclear_choice" => ("选择不明", "unclear choice"),
        _ => return None,
    })
}

/// Whether an event is a question of a customer.
pub(super) fn asks(event: &Event) -> bool {
    collect::asks(event)
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The knowledge base.
    pub kb: &'a str,
    /// The days.
    pub days: Days,
    /// What the figures are told apart by, beside those of all together.
    pub by: Option<By>,
    /// The entries that there are, so that cold ones can be named.
    pub entries: &'a [Known],
}

/// The figures of some days, and how they changed from as many days before.
///
/// # Errors
/// When a file cannot be read.
pub fn stats(log: &Log, asked: Asked<'_>) -> Result<Stats> {
    let before = asked.days.before();
    let (mut now, mut then) = (Tally::new(asked.days, asked.by), Tally::new(before, asked.by));
    // A session that began earlier is not of these days, and what happens within
    // a day after them still says how it ended.
    let around = Days { from: before.from.plus(-1), to: asked.days.to.plus(1) };
    let whole = Wanted { days: around, kb: Some(asked.kb), kinds: &[], texts: true, candidates: false };
    let mut sums = drift::ByDay::new();
    let mut read = log.read(&whole, |event| {
        drift::take(&mut sums, &event);
        now.take(&event);
        then.take(&event);
    })?;
    // Feedback may come much later.
    let later = Days { from: around.to.plus(1), to: around.to.plus(LATE_DAYS) };
    let late = log.read(&Wanted { days: later, kinds: &[Kind::Feedback], ..whole }, |event| {
        now.take(&event);
        then.take(&event);
    })?;
    read.missing.extend(late.missing);
    read.missing.sort();
    read.missing.dedup();
    // A day's band may need days that no figure does.
    let band = drift::around(asked.days);
    if band.from < around.from {
        let earlier = Days { to: around.from.plus(-1), ..band };
        sums.extend(drift::by_day(log, asked.kb, earlier)?);
    }
    let drift = drift::drift(&sums, asked.days);
    Ok(Stats::new(asked.kb, read, now.finish(asked.entries), then.finish(&[]), drift))
}

/// Feedback is waited for so many days.
const LATE_DAYS: i64 = 90;
