//! What is new in a mail?
//!
//! Programs put the mail before below a reply, each behind a line of its own, and people
//! sign. What is left when both are gone is what was said; where nothing is left, the mail
//! is taken as it is, for losing a question is worse than reading one twice.

use std::sync::LazyLock;

use regex::Regex;

/// Lines after which everything was said before: in one line …
static QUOTE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)^\s*(?:
            [-_—=\s]{2,}\s*(?:(?:回复|转发)的原邮件|原始邮件|原邮件|原始郵件|回复的邮件|回覆的郵件|转发的邮件|转发邮件信息|轉寄的郵件|original\s+message|forwarded\s+message|reply\s+message|begin\s+forwarded\s+message)\s*[-_—=\s]*
          | (?:在|于|於)\s*.{0,80}(?:\d{4}|\d{1,2}[-/月]).{0,160}(?:写道|写到|寫道|寫到|wrote)\s*[：:]?
          | \d{4}\s*(?:年|[-/.])\s*\d{1,2}.{0,200}(?:写道|写到|寫道|寫到|wrote)\s*[：:]?
          | .{0,100}<[^<>\s]+@[^<>\s]+>\s*(?:于|於|在)?.{0,100}(?:写道|写到|寫道|寫到|wrote)\s*[：:]
          | on\s.{4,200}\swrote\s*[：:]
          | le\s.{4,200}\sa\s.crit\s*[：:]
          | am\s.{4,200}\sschrieb.{0,100}[：:]
        )\s*$",
    )
    .ok()
});

/// … or a block of the headers of the mail before.
static HEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)^\s*[*>]*\s*(发件人|發件人|寄件者|from|发送时间|發送時間|寄件日期|发送日期|日期|時間|时间|sent|date|收件人|收件者|to|抄送|副本|cc|主题|主題|主旨|subject)\s*\*?\s*[：:]",
    )
    .ok()
});

/// Lines that programs sign with.
static SIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?xi)^\s*[（(\[]?\s*(?:
            (?:发自|發自|来自|來自|从|從)\s*(?:我的|我的\s)?\s*(?:iphone|ipad|mac|android|安卓|华为|華為|huawei|小米|xiaomi|oppo|vivo|荣耀|honor|三星|samsung|手机|手機|移动设备|qq\s*邮箱|qq\s*郵箱|网易|網易|foxmail|outlook|yahoo|微信|新浪|邮箱大师).{0,40}
          | (?:sent|get)\s+(?:from|using|via)?\s*(?:my\s+)?(?:iphone|ipad|mobile|android|samsung|huawei|xiaomi|outlook|mail\s+for|yahoo|mailmaster|foxmail).{0,60}
          | (?:使用|通过|由)?\s*(?:网易邮箱大师|qq邮箱(?:移动版|app)?|邮箱大师).{0,20}发送.{0,20}
          | 获取\s*outlook.{0,30}
        )\s*[）)\]]?\s*$",
    )
    .ok()
});

fn hits(pattern: &LazyLock<Option<Regex>>, line: &str) -> bool {
    // The longest lines of this sort are short; others are nobody's business.
    line.len() < 1_000 && pattern.as_ref().is_some_and(|pattern| pattern.is_match(line))
}

/// Text with plain line ends, without what cannot be seen and without rows of blank lines.
pub fn tidy(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    for line in text.split('\n') {
        let seen = |c: &char| {
            let is_hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
            (*c == '\t' || !c.is_control()) && !is_hidden
        };
        let line: String = line.chars().filter(seen).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect();
        let line = line.trim_end().to_owned();
        if !(line.is_empty() && lines.last().is_none_or(String::is_empty)) {
            lines.push(line);
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

/// What somebody said themselves.
pub fn own_words(whole: &str) -> String {
    let whole = tidy(whole);
    let lines: Vec<&str> = whole.lines().collect();
    let end = (0..lines.len()).find(|&at| begins_quote(&lines, at)).unwrap_or(lines.len());
    let mut own: Vec<&str> = lines[..end].iter().copied().filter(|line| !line.starts_with('>')).collect();
    if let Some(at) = own.iter().position(|line| is_delimiter(line)) {
        // A signature has few lines; what is longer was meant.
        if own[at..].len() <= 15 && own[..at].iter().any(|line| !line.trim().is_empty()) {
            own.truncate(at);
        }
    }
    own.retain(|line| !hits(&SIGNED, line));
    let text = tidy(own.join("\n").trim());
    if !text.is_empty() {
        return text;
    }
    // Answers between the quoted lines, or a forwarded mail.
    let plain: Vec<&str> = lines
        .iter()
        .filter(|line| {
            !line.starts_with('>') && !hits(&QUOTE, line) && !hits(&SIGNED, line) && !is_delimiter(line)
        })
        .copied()
        .collect();
    let rest = tidy(plain.join("\n").trim());
    // Below its own headers nothing but the mail before.
    if end == 0 || !rest.is_empty() { rest } else { String::new() }
}

/// `-- ` of the standard, and what programs make of it.
fn is_delimiter(line: &str) -> bool {
    let bare = line.trim();
    bare == "--"
        || bare == "—"
        || bare == "——"
        || bare == "---"
        || (bare.len() >= 8 && bare.chars().all(|c| c == '-' || c == '_'))
}

/// Whether the mail before begins at a line.
fn begins_quote(lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    if hits(&QUOTE, line) {
        return true;
    }
    // "On … wrote:" that was wrapped.
    if let Some(next) = lines.get(at + 1) {
        let begins = ["On ", "在 ", "在20", "于 ", "于20"].iter().any(|word| line.starts_with(word));
        let joined = format!("{} {}", line.trim_end(), next.trim_start());
        if begins && hits(&QUOTE, &joined) {
            return true;
        }
    }
    // Three headers in a row, beginning with who.
    let from = line.trim_start_matches([' ', '*', '>']).to_lowercase();
    let who = ["发件人", "發件人", "寄件者", "from"].iter().any(|word| from.starts_with(word));
    who && hits(&HEADER, line)
        && lines[at + 1..]
            .iter()
            .filter(|line| !line.trim().is_empty())
            .take(2)
            .filter(|line| hits(&HEADER, line))
            .count()
            == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_left() {
        let before = "我们支持七天无理由退货。";
        for (mail, new) in [
            (
                "怎么退货？\n\n在 2026年3月1日，客服<kefu@shop.example> 写道：\n> 您好".to_owned(),
                "怎么退货？",
            ),
            (
                format!("怎么退货？\n\n2026年3月1日 10:11，客服 <kefu@shop.example> 写道：\n\n{before}"),
                "怎么退货？",
            ),
            (
                format!(
                    "运费谁付\n\n------------------ 原始邮件 ------------------\n发件人: \"客服\" <k@s.example>;\n{before}"
                ),
                "运费谁付",
            ),
            (format!("运费谁付\n\n-----原始邮件-----\n发件人: 客服\n{before}"), "运费谁付"),
            (
                format!(
                    "运费谁付\n\n---- 回复的原邮件 ----\n发件人: 客服\n发送日期: 2026\n收件人: 我\n{before}"
                ),
                "运费谁付",
            ),
            (
                format!(
                    "好的\n\n发件人： 客服\n发送时间： 2026-03-01 10:00\n收件人： 我\n主题： 退货\n\n{before}"
                ),
                "好的",
            ),
            (format!("好的\n\n发件人： 客服\n\n发送时间： 2026-03-01\n\n收件人： 我\n\n{before}"), "好的"),
            (format!("OK\n\n*From:* Service\n*Sent:* Monday\n*To:* Me\n*Subject:* x\n\n{before}"), "OK"),
            (
                "How do I return it?\n\nOn Mon, 1 Mar 2026 at 10:00, Service <k@s.example> wrote:\n> hello"
                    .to_owned(),
                "How do I return it?",
            ),
            (
                "How?\n\nOn Mon, 1 Mar 2026 at 10:00, Service\n<k@s.example> wrote:\n> hello".to_owned(),
                "How?",
            ),
            ("How?\n\n-----Original Message-----\nFrom: x".to_owned(), "How?"),
            ("发票怎么开\n\n发自我的iPhone".to_owned(), "发票怎么开"),
            (
                "发票怎么开\n\n发自我的 iPhone\n\n> 在 2026年3月1日，下午3:00，客服 写道：\n> 您好"
                    .to_owned(),
                "发票怎么开",
            ),
            ("发票怎么开\n\nSent from my iPhone".to_owned(), "发票怎么开"),
            ("发票怎么开\n\nGet Outlook for iOS".to_owned(), "发票怎么开"),
            ("发票怎么开\n\n来自我的华为手机".to_owned(), "发票怎么开"),
            ("发票怎么开\n-- \n张三\n某某公司\n电话 1".to_owned(), "发票怎么开"),
            ("发票怎么开\n\n--\n张三".to_owned(), "发票怎么开"),
            ("> 您好，要退哪一件？\n\n红色的那件".to_owned(), "红色的那件"),
            ("第一行\n\n\n\n第二行\u{200b}".to_owned(), "第一行\n\n第二行"),
            ("退货地址写到哪里？".to_owned(), "退货地址写到哪里？"),
            ("我在2026年3月1日买的鞋坏了".to_owned(), "我在2026年3月1日买的鞋坏了"),
            ("From: 上海 To: 北京 运费多少".to_owned(), "From: 上海 To: 北京 运费多少"),
            ("发件人写错了怎么办\n收件人也错了".to_owned(), "发件人写错了怎么办\n收件人也错了"),
            ("在 2026年3月1日，客服 写道：\n> 您好\n\n可以退吗".to_owned(), "可以退吗"),
            (String::new(), ""),
            ("> 只有引用".to_owned(), ""),
        ] {
            assert_eq!(own_words(&mail), new, "{mail}");
        }
    }

    #[test]
    fn a_long_text_behind_a_line_is_no_signature() {
        let long = format!("前言\n--\n{}", "正文很长\n".repeat(30));
        assert!(own_words(&long).contains("正文很长"));
    }
}
