//! What should a person know before they say the first word?
//!
//! One paragraph, put together by rule from what is known: nothing is invented,
//! and the customer's words stand in it as they were typed.

use std::fmt::Write as _;

use super::conversation::{Line, Role};

/// What a summary is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The reason code of the handoff.
    pub reason: &'a str,
    /// The channel.
    pub channel: Option<&'a str>,
    /// What was said, in order.
    pub lines: &'a [Line],
    /// The standard questions that were answered, in order.
    pub shown: &'a [String],
    /// The nearest entries with their probabilities, best first.
    pub candidates: &'a [(String, f64)],
    /// What is known of the customer, as names and values.
    pub customer: &'a [(String, String)],
}

/// Longer quotations are cut, in characters.
const QUOTED: usize = 60;

/// Messages of the customer that are quoted.
const MESSAGES: usize = 3;

/// Why the robot gave it away, for people.
fn because(reason: &str) -> String {
    match reason {
        "requested" => "主动要求人工服务",
        "sensitive" => "提到需要人工处理的敏感内容",
        "repeated_miss" => "连续提问没有得到解答",
        "repeated_question" => "重复问了同一个问题",
        "angry" | "anger" => "情绪不满",
        "entry" => "问到按规定由人工处理的问题",
        "no_match" => "问题在知识库里没有答案",
        "low_confidence" | "ambiguous" => "问题机器人没有把握",
        "button" => "点了“转人工”",
        "ticket" => "留下了问题",
        other => return format!("触发了转人工规则（{other}）"),
    }
    .to_owned()
}

fn quoted(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() { format!("“{short}……”") } else { format!("“{short}”") }
}

/// The paragraph.
pub fn summary(material: &Material<'_>) -> String {
    let mut text = String::from("客户");
    if let Some(channel) = material.channel {
        let _ = write!(text, "（渠道：{channel}）");
    }
    text.push_str(&because(material.reason));
    let said: Vec<&Line> = material.lines.iter().filter(|line| line.role == Role::Customer).collect();
    let skipped = said.len().saturating_sub(MESSAGES);
    match said.len() {
        0 => text.push('。'),
        count => {
            let words: Vec<String> = said.iter().skip(skipped).map(|line| quoted(&line.text)).collect();
            let last = if skipped > 0 { "，最近说的是" } else { "：" };
            let _ = write!(text, "。共发来 {count} 条消息{last}{}。", words.join("、"));
        }
    }
    if material.shown.is_empty() {
        text.push_str("机器人还没有给出过答案。");
    } else {
        let shown: Vec<String> = material.shown.iter().map(|question| quoted(question)).collect();
        let _ = write!(text, "机器人已经答过：{}。", shown.join("、"));
    }
    if let Some((question, confidence)) = material.candidates.first() {
        let _ = write!(text, "最接近的条目是{}（把握 {:.0}%）", quoted(question), confidence * 100.0);
        if let Some((second, _)) = material.candidates.get(1) {
            let _ = write!(text, "，其次是{}", quoted(second));
        }
        text.push('。');
    }
    if !material.customer.is_empty() {
        let known: Vec<String> =
            material.customer.iter().take(8).map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(text, "客户信息：{}。", known.join("，"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(role: Role, text: &str) -> Line {
        Line {
            seq: 1,
            role,
            text: text.to_owned(),
            at: 0,
            author: None,
            trace_id: None,
            decision: None,
            data: None,
            client_id: None,
        }
    }

    #[test]
    fn everything_that_is_known_stands_in_it() {
        let lines = [
            line(Role::Customer, "退款多久到账"),
            line(Role::Bot, "1 到 3 个工作日。"),
            line(Role::Customer, "都一周了还没到"),
            line(Role::Customer, "转人工"),
        ];
        let text = summary(&Material {
            reason: "requested",
            channel: Some("web"),
            lines: &lines,
            shown: &["退款多久到账".to_owned()],
            candidates: &[("退款没有收到怎么办".to_owned(), 0.42)],
            customer: &[("vip".to_owned(), "true".to_owned())],
        });
        assert_eq!(
            text,
            "客户（渠道：web）主动要求人工服务。共发来 3 条消息：“退款多久到账”、“都一周了还没到”、“转人工”。机器人已经答过：“退款多久到账”。最接近的条目是“退款没有收到怎么办”（把握 42%）。客户信息：vip=true。"
        );
    }

    #[test]
    fn little_is_known_of_who_says_little() {
        let text = summary(&Material {
            reason: "sensitive",
            channel: None,
            lines: &[line(Role::Customer, &"很".repeat(80))],
            shown: &[],
            candidates: &[],
            customer: &[],
        });
        assert!(text.starts_with("客户提到需要人工处理的敏感内容。共发来 1 条消息：“很很"), "{text}");
        assert!(text.contains("……”") && text.ends_with("机器人还没有给出过答案。"), "{text}");
    }
}
