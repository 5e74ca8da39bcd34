//! Which texts did a program ruin before they reached the author's file?
//!
//! A spreadsheet turns a long number into 1.38E+10, a wrong encoding turns
//! text into �; nobody can say what stood there, and nobody should be answered
//! with it.

use encoding_rs::WINDOWS_1252;

/// What is wrong with a cell, and what to do; `None` when nothing is.
pub(super) fn ruined(text: &str) -> Option<String> {
    // Most cells begin like none of these.
    if !text
        .trim_start()
        .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '#' | '=' | '_' | 'D'))
    {
        return lost_characters(text);
    }
    if let Some(error) = error_value(text) {
        return Some(format!("这一格是表格的错误值 {error}，请改正公式或填入文字"));
    }
    if is_scientific(text.trim()) {
        return Some(format!(
            "“{}”是表格把长数字改成的科学计数，后面的数字已经丢了：请把这一列设成文本格式，重新填写原来的号码",
            text.trim()
        ));
    }
    if text.trim_start_matches(['=', ' ']).trim_start_matches("_xlfn.").starts_with("DISPIMG(") {
        return Some("这一格是图片，问答里只能有文字：请写成文字，或填图片的网址".to_owned());
    }
    lost_characters(text)
}

/// What is wrong with a text of which characters were lost in an encoding.
pub(super) fn lost_characters(text: &str) -> Option<String> {
    if let Some(at) = text.find('\u{fffd}') {
        let place = text[..at].chars().count() + 1;
        return Some(format!("第 {place} 个字是乱码（�），原来的字已经丢了，请补上"));
    }
    if text.contains('锟') && text.contains("锟斤拷") || text.contains('烫') && text.contains("烫烫烫")
    {
        return Some("这一格里有编码转坏的乱码（如“锟斤拷”），原来的字已经丢了，请补上".to_owned());
    }
    twice_encoded(text).map(|meant| {
        format!(
            "这一格的文字被重复编码过，原来应是“{}”：请用 UTF-8 重新导出文件",
            super::cells::shortened(&meant)
        )
    })
}

/// Whether a text is what a spreadsheet makes of a long number: `1.38E+10`.
pub(super) fn is_scientific(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let Some((digits, power)) = text.split_once("E+") else { return false };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() == 1 && are_digits(whole) && are_digits(fraction) && are_digits(power)
}

/// The error value of a spreadsheet that a cell is.
fn error_value(text: &str) -> Option<&str> {
    const ERRORS: [&str; 8] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!"];
    let text = text.trim();
    let narrow = text.len() > 3 && text.bytes().all(|byte| byte == b'#');
    (narrow || ERRORS.contains(&text)).then_some(text)
}

/// Whether a text that is meant must be marked so that reading it does not
/// take it for ruined.
pub(super) fn looks_ruined(text: &str) -> bool {
    is_scientific(text.trim()) || error_value(text).is_some()
}

/// What was meant by UTF-8 that was taken for Windows' Latin letters and
/// encoded once more: `é€€è´§` for 退货.
pub(super) fn twice_encoded(text: &str) -> Option<String> {
    // Every Chinese character begins with one of these, and goes on with no letter.
    let begins = ['ã', 'ä', 'å', 'æ', 'ç', 'è', 'é', 'ï'];
    // All of them begin with this byte, and few other texts hold it.
    if !text.as_bytes().contains(&0xc3) || !text.contains(begins) {
        return None;
    }
    let (bytes, _, lost) = WINDOWS_1252.encode(text);
    if lost {
        return None;
    }
    let meant = std::str::from_utf8(&bytes).ok()?;
    let is_chinese =
        |c: char| ('\u{2e80}'..='\u{9fff}').contains(&c) || ('\u{ff00}'..='\u{ffef}').contains(&c);
    meant.chars().any(is_chinese).then(|| meant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_ruin() {
        for text in
            ["请在�页", "1.38E+10", " 6.22203E+18 ", "#N/A", "########", "é€€è´§æµ\u{81}ç¨‹", "锟斤拷"]
        {
            assert!(ruined(text).is_some(), "{text}");
        }
        for text in
            ["E+ 套餐怎么开", "1.5E", "café", "résumé è", "#号键怎么按", "##", "1E5", "iPhone 15E+10", "5G+"]
        {
            assert_eq!(ruined(text), None, "{text}");
        }
        assert_eq!(twice_encoded("é€€è´§").as_deref(), Some("退货"));
    }
}
