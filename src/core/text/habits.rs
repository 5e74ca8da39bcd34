//! What do people say on top of a question, whatever they ask?
//!
//! Hesitation in the middle of a sentence, the whole question once more, and
//! the number behind "订单号": lossy, and only for the matchers that score.

use std::sync::LazyLock;

use regex::Regex;

use super::normalize::{is_han, regex};

/// "信用卡的那个年费", "我那个话费", "怎么嗯退货".
static HESITATION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?<word>的|我|我们|然后|就是)(?:那个|就是那个|那个什么)(?<next>\p{Han})|(?<left>\p{Han})[嗯呃]+(?<right>\p{Han})",
    )
});

/// The text without the sounds and words that people think aloud with. What
/// stands at its ends is for the fillers.
pub(super) fn hesitation(text: &str) -> String {
    if !text.contains("那个") && !text.contains(['嗯', '呃']) {
        return text.to_owned();
    }
    HESITATION.replace_all(text, "$word$next$left$right").into_owned()
}

/// A number that its name stands before; 8 digits or more name one order, one
/// parcel or one person.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?<name>(?:订单|运单|快递|物流|退款|售后)?(?:单号|编号)|订单号?码?|(?:手机|电话|联系电话|会员|客户)(?:号码?)?)(?:是|为)?[:#]?[a-z]{0,3}[0-9]{8,}",
    )
});

/// The text without the numbers of orders, parcels and phones: they say whose
/// matter it is, not which.
pub(super) fn references(text: &str) -> String {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    NUMBER.replace_all(text, "$name").into_owned()
}

/// A question that is said over and over counts once.
pub(super) fn echo(text: &str) -> String {
    const SHORTEST: usize = 2;
    let chars: Vec<char> = text.chars().collect();
    let repeats = |unit: usize| {
        chars.len().is_multiple_of(unit) && (unit..chars.len()).all(|at| chars[at] == chars[at - unit])
    };
    // 1212 is a number and no question said twice.
    let worded = |unit: &[char]| unit.iter().copied().any(is_han) && !unit.iter().any(|c| c.is_numeric());
    let unit = (SHORTEST..=chars.len() / 2).find(|&unit| repeats(unit) && worded(&chars[..unit]));
    unit.map_or_else(|| text.to_owned(), |unit| chars[..unit].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hesitation_goes_and_things_that_are_pointed_at_stay() {
        for (said, left) in [
            ("信用卡的那个年费是多少", "信用卡的年费是多少"),
            ("我那个话费还剩多少", "我话费还剩多少"),
            ("怎么嗯退货", "怎么退货"),
            ("那个多少钱", "那个多少钱"),
            ("要那个", "要那个"),
            ("嗯", "嗯"),
        ] {
            assert_eq!(hesitation(said), left);
        }
    }

    #[test]
    fn an_echo_counts_once() {
        for (said, left) in [
            ("怎么退货怎么退货怎么退货", "怎么退货"),
            ("人工人工", "人工"),
            ("12121212", "12121212"),
            ("第12条第12条", "第12条第12条"),
            ("怎么退货怎么换货", "怎么退货怎么换货"),
            ("谢谢", "谢谢"),
        ] {
            assert_eq!(echo(said), left);
        }
    }

    #[test]
    fn numbers_go_behind_their_names_only() {
        for (said, left) in [
            ("订单号2024061812345678怎么还没发货", "订单号怎么还没发货"),
            ("手机13800000000怎么开发票", "手机怎么开发票"),
            ("订单10086怎么查", "订单10086怎么查"),
            ("12345678怎么读", "12345678怎么读"),
        ] {
            assert_eq!(references(said), left);
        }
    }
}
