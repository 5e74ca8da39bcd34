//! In which encoding was a text file saved?
//!
//! UTF-8 and UTF-16 say so themselves; GB18030, Big5 and Shift-JIS do not, and
//! the bytes of one are often valid in another. A heading that everybody knows
//! settles it, and else what Firefox would guess.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

use super::headings::is_heading;
use super::ruined::twice_encoded;

/// Characters that show whether a file was encoded twice.
const SAMPLE: usize = 200;

/// The text of a file.
#[derive(Debug)]
pub(super) struct Decoded {
    pub text: String,
    /// What the author should know of it.
    pub note: Option<String>,
    /// Whether a damaged byte may have gone unnoticed.
    pub unsure: bool,
}

impl Decoded {
    fn sure(text: String) -> Self {
        Self { text, note: None, unsure: false }
    }
}

/// The text of a file; otherwise the offset of the first byte that is none.
pub(super) fn decoded(bytes: &[u8]) -> Result<Decoded, usize> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes)
        && (encoding == UTF_16LE || encoding == UTF_16BE)
    {
        let (text, wrong) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return if wrong { Err(0) } else { Ok(Decoded::sure(text.into_owned())) };
    }
    let marked = bytes.starts_with(b"\xEF\xBB\xBF");
    let (text, _) = UTF_8.decode_with_bom_removal(bytes);
    let Err(fault) = std::str::from_utf8(bytes) else {
        return Ok(once_encoded(text.into_owned()));
    };
    // Bytes in GB18030 form a valid UTF-8 character only by accident. A file
    // with many of those and few faults is UTF-8 that was damaged, and reading
    // it as GB18030 would turn all of it into nonsense.
    let faults = text.matches('\u{fffd}').count();
    let sound = text.chars().filter(|c| c.len_utf8() > 2 && *c != '\u{fffd}').count();
    if marked || sound > 4 * faults {
        return Err(fault.valid_up_to());
    }
    let read = |encoding: &'static Encoding| {
        encoding.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
    };
    let chinese = read(GB18030);
    if let Some(text) = chinese.as_ref().filter(|text| is_headed(text)) {
        return Ok(Decoded { text: text.clone(), note: None, unsure: true });
    }
    let foreign = |encoding: &'static Encoding, text: String| {
        let note = format!("文件是 {} 编码，已经按它读取；请核对文字", encoding.name());
        Decoded { text, note: Some(note), unsure: true }
    };
    for encoding in [BIG5, SHIFT_JIS] {
        if let Some(text) = read(encoding).filter(|text| is_headed(text)) {
            return Ok(foreign(encoding, text));
        }
    }
    if let Some(text) = read(SHIFT_JIS).filter(|text| is_japanese(text)) {
        return Ok(foreign(SHIFT_JIS, text));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    if [BIG5, SHIFT_JIS, EUC_JP, EUC_KR].contains(&guess)
        && let Some(text) = read(guess)
    {
        return Ok(foreign(guess, text));
    }
    if let Some(text) = chinese {
        return Ok(Decoded { text, note: None, unsure: true });
    }
    // A few bytes were lost of what is Chinese otherwise: the cells say where.
    let (damaged, _) = GB18030.decode_without_bom_handling(bytes);
    if is_headed(&damaged) {
        return Ok(Decoded { text: damaged.into_owned(), note: None, unsure: true });
    }
    Err(fault.valid_up_to())
}

/// Whether a text is written in the letters of Japan to a good part.
fn is_japanese(text: &str) -> bool {
    let beyond = text.chars().filter(|c| !c.is_ascii()).count();
    let kana = text.chars().filter(|c| ('\u{3041}'..='\u{30fa}').contains(c)).count();
    kana > 3 && 10 * kana > 3 * beyond
}

/// Whether the first line has a heading beyond ASCII that tables of questions have.
fn is_headed(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let cells = first.split([',', ';', '\t', '|', '，']).map(|cell| cell.trim_matches(['"', ' ']));
    cells.filter(|cell| !cell.is_ascii()).any(is_heading)
}

/// Undoes an encoding too many: UTF-8 that was taken for Latin letters or for
/// GBK, and saved as UTF-8 again.
fn once_encoded(text: String) -> Decoded {
    let head = text.trim_start_matches('\u{feff}');
    let note = || Some("文件的文字被重复编码过，已经还原；请核对文字".to_owned());
    if let Some(meant) = twice_encoded(head) {
        return Decoded { text: meant, note: note(), unsure: true };
    }
    // A few characters show whether it pays to look at all of them.
    let sample: String = head.chars().filter(|c| !c.is_ascii()).take(SAMPLE).collect();
    let as_gb = |text: &str| {
        let (bytes, _, lost) = GBK.encode(text);
        (bytes.into_owned(), lost)
    };
    // The last character of a sample may be cut in two.
    let is_utf8 =
        |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|e| e.error_len().is_none(), |_| true);
    if !sample.is_empty() && !is_headed(head) && is_utf8(&as_gb(&sample).0) {
        let (bytes, lost) = as_gb(head);
        if let (false, Ok(meant)) = (lost, std::str::from_utf8(&bytes)) {
            return Decoded { text: meant.to_owned(), note: note(), unsure: true };
        }
    }
    Decoded::sure(text)
}

/// Where a text that was read in a guessed encoding looks as if a byte had
/// been lost: signs that no service writes, and that GB18030 makes of a
/// character's second byte and what follows.
pub(super) fn is_shifted(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{3105}'..='\u{312f}' | '\u{e000}'..='\u{f8ff}' | '\u{2500}'..='\u{2573}' | '\u{80}'..='\u{9f}')
    })
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    fn bytes(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        encoding.encode(text).0.into_owned()
    }

    #[test]
    fn encodings_of_short_files() {
        for (encoding, text) in [
            (GB18030, "问题,答案\n可以带狗吗,不可以\n"),
            (GB18030, "question,answer\n可以带宠物进店吗,不可以带宠物入店，谢谢您的理解\n"),
            (GB18030, "question,answer\n怎么发货,运费谁出\n"),
            (BIG5, "問題,答案\n怎麼退貨,請在訂單頁申請\n"),
            (BIG5, "question,answer\n怎麼退貨,請在訂單頁申請退貨\n運費誰出,品質問題由我們負擔\n"),
            (
                SHIFT_JIS,
                "question,answer\nへんぴんはどうすればいいですか,ちゅうもんがめんから申請してください\n",
            ),
            (UTF_8, "问题,答案\n怎么退货,在订单页申请\n"),
            (UTF_8, "question,answer\n¿Cómo?,sí\n"),
        ] {
            assert_eq!(decoded(&bytes(encoding, text)).expect("text").text, text, "{}", encoding.name());
        }
    }

    #[test]
    fn text_that_was_encoded_twice_is_restored() {
        let text = "问题,答案\n怎么退货,在订单页申请\n";
        let latin = WINDOWS_1252.decode_without_bom_handling(text.as_bytes()).0.into_owned();
        let read = decoded(latin.as_bytes()).expect("text");
        assert_eq!((read.text.as_str(), read.note.is_some()), (text, true));
        let text = "question,answer\n怎么发货,运费谁出\n";
        let (chinese, wrong) = GB18030.decode_without_bom_handling(text.as_bytes());
        assert!(!wrong, "{chinese}");
        assert_eq!(decoded(chinese.as_bytes()).expect("text").text, text);
    }
}
