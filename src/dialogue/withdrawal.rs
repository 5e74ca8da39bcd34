//! Does somebody who waits for a person wait no longer?
//!
//! Only a whole message that says nothing else does it: "不等了" leaves the queue,
//! "不等了，怎么退款" asks, and "怎么取消排队" asks too. Whoever is thrown out of the
//! queue by mistake waits twice, so what is not clear stays with the people.

use std::sync::LazyLock;

use regex::Regex;

use super::Turn;
use super::context::Context;
use super::reading::Reading;
use crate::decide::{Decision, Reason};
use crate::engine::Outcome;

/// A longer message says something else as well.
const LONGEST: usize = 24;

/// What stands before, between and behind and says nothing.
const OPENING: &str = r"(?:那个?|哦|噢|嗯|额|呃|啊|哎|唉|好吧?|好的|行|行吧|可以了|你好|您好|不好意思|抱歉|谢谢|麻烦|请|帮我|给我|我|先|还是|就|暂时|现在)*";
const CLOSING: &str = r"(?:吧|啊|呀|哈|了|啦|哦|呢|呗|谢谢[你您]?|多谢|谢了|感谢|[麻打][烦扰][你您]?了|辛苦了|再见|拜拜|我?自己(?:来|解决|处理|搞定|弄|看看?)|(?:我|问题|已经?)*(?:解决|搞定|弄好|找到)了?)*";

/// The person who is waited for.
const PERSON: &str = r"(?:(?:在线)?人工(?:客服|服务|坐席|座席)?|真人(?:客服)?|客服|坐席|座席)";

static WITHDRAWN: LazyLock<Regex> = LazyLock::new(|| {
    let denied = r"(?:不|别|甭)(?:用|要|必|想|想要|需要)?(?:再)?(?:帮我|给我)?";
    let each = [
        // 不用人工了, 不转人工, 别找客服了
        format!(r"{denied}(?:转接?|接|找|叫|要|等|排|排队等?|联系)?(?:到|给|成)?{PERSON}了?"),
        // 不转了, 不用等了, 不排队了
        format!(r"{denied}(?:转接?|接|等|等待|等候|排|排队|转人)了"),
        // 取消排队, 取消转人工, 退出人工排队
        format!(
            r"(?:取消|撤销|停止|退出|放弃|结束)(?:一下)?(?:(?:转接?|接|等)?{PERSON}(?:的)?(?:排队|等待|请求|申请|转接)?|(?:当前|这次|正在)?(?:的)?(?:排队|转接|等待|等候|转人工的?(?:请求|申请)))"
        ),
    ]
    .join("|");
    whole(&format!(
        "{OPENING}(?:(?:{BARE}|{each}){CLOSING}{OPENING})*(?:{each}){CLOSING}(?:(?:{BARE}){CLOSING})*"
    ))
});

/// What refuses whatever it was that was offered last.
const BARE: &str = r"(?:算了|算啦|不用了|不需要了|不必了|没事了|不麻烦了?|不用麻烦了?)";

static REFUSED: LazyLock<Regex> = LazyLock::new(|| whole(&format!("{OPENING}(?:{BARE}{CLOSING})+")));

#[expect(clippy::expect_used, reason = "the patterns are right or no test passes")]
fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of a list")
}

/// Whether a message takes back the wish for a person, in a conversation that waits for
/// one; `written` is its form in which spellings are equal.
pub fn is_one(written: &str, context: &Context) -> bool {
    let text: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    if text.chars().count() > LONGEST {
        return false;
    }
    // "不用了" to a list refuses the list.
    WITHDRAWN.is_match(&text) || !context.asked_back && REFUSED.is_match(&text)
}

/// The robot's turn when somebody waits no longer: it has the conversation again, and
/// what went wrong before counts no more.
pub fn turn(context: &Context) -> Turn {
    Turn {
        outcome: Outcome::bare(Decision::Answer, Reason::Withdrawn),
        trace: None,
        reading: Reading::Withdrawn,
        related: Vec::new(),
        light: None,
        context: Context {
            turns: context.turns.saturating_add(1),
            misses: 0,
            repeats: 0,
            ended: false,
            ..context.clone()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn is_one(text: &str) -> bool {
        super::is_one(&text::written(text), &Context::default())
    }

    #[test]
    fn a_whole_message_takes_it_back() {
        for text in [
            "算了，不用人工了",
            "不用人工了谢谢",
            "不用人工了",
            "不用轉人工了",
            "取消排队",
            "取消转人工",
            "取消人工",
            "退出排队吧",
            "不等了",
            "不想等了",
            "不转了",
            "不排了",
            "不排队了，谢谢",
            "算了不用了",
            "算了",
            "不用了，谢谢",
            "别转了",
            "不要转人工",
            "不需要人工客服了",
            "好的，不用客服了，我自己看看",
            "不用等人工了，问题解决了",
            "我不等了，算了",
            "先不转人工了",
        ] {
            assert!(is_one(text), "{text}");
        }
    }

    #[test]
    fn what_says_anything_else_does_not() {
        for text in [
            "怎么取消排队",
            "可以取消排队吗",
            "不等了怎么退款",
            "不用人工了吗",
            "不转人工能处理吗",
            "取消订单",
            "取消服务",
            "不要了",
            "不用机器人，转人工",
            "我不要机器人",
            "等不了了快点",
            "还要等多久",
            "人工呢",
            "不是要客服",
            "客服不用来了，帮我把订单取消",
            "算了一下金额不对",
            "不用密码了怎么设置",
            "转人工",
            "不接电话",
            "好的",
            "好的谢谢",
            "谢谢",
            "",
        ] {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn a_bare_refusal_refuses_the_list_that_was_shown() {
        let listed = Context { asked_back: true, ..Context::default() };
        assert!(!super::is_one(&text::written("不用了"), &listed));
        assert!(super::is_one(&text::written("不用人工了"), &listed));
        let turn = turn(&Context { misses: 3, turns: 4, ..Context::default() });
        assert_eq!((turn.context.misses, turn.context.turns), (0, 5));
        assert_eq!(turn.outcome.reason, Reason::Withdrawn);
    }
}
