//! Which words lead to a letter box, a car or a door?

use std::sync::LazyLock;

use regex::Regex;

use super::digits::pattern;
use super::{Folded, Found, Sort};

/// Finds e-mail addresses.
pub(super) fn emails(folded: &Folded, found: &mut Found) {
    static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63} ?@ ?[A-Za-z0-9-]{1,63}(?: ?\. ?[A-Za-z0-9-]{2,63}){1,4}")
    });
    for email in EMAIL.find_iter(&folded.text) {
        found.claim(folded.chars_of(email.range()), Sort::Email);
    }
}

pub(super) static PLATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"([京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼])[A-HJ-Za-hj-z]([·•. -]?)((?:[A-HJ-NP-Za-hj-np-z0-9]{6}|[A-HJ-NP-Za-hj-np-z0-9]{5}|[A-HJ-NP-Za-hj-np-z0-9]{4}[挂学警港澳使领]))",
    )
});

/// Whether a character is one that [`plates`] finds nothing without: the short name of a province.
pub(super) fn is_of_a_plate(c: char) -> bool {
    "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼".contains(c)
}

/// Finds licence plates: of seven characters, of eight with a green one.
pub(super) fn plates(folded: &Folded, found: &mut Found) {
    static OF_CAR: LazyLock<Regex> =
        LazyLock::new(|| pattern("车牌|牌照|车号|号牌|停车|车辆|我的车|开车|违章"));
    for captured in PLATE.captures_iter(&folded.text) {
        let (Some(whole), Some(number)) = (captured.get(0), captured.get(3)) else { continue };
        let at = folded.chars_of(whole.range());
        let digits = number.as_str().bytes().filter(u8::is_ascii_digit).count();
        let goes_on =
            folded.after(at.end, 1).chars().all(|c| c.is_ascii_alphanumeric()) && at.end < folded.chars.len();
        // 新 is Xinjiang, and "new" before the name of a model.
        let doubtful = captured.get(1).is_some_and(|place| place.as_str() == "新")
            && captured.get(2).is_some_and(|point| !matches!(point.as_str(), "·" | "•"));
        if digits < 2 || goes_on || doubtful && !OF_CAR.is_match(folded.before(at.start, 10)) {
            continue;
        }
        found.claim(at, Sort::Plate);
    }
}

/// Whether a character may begin a number that is written in Chinese.
pub(super) fn is_numeral(c: char) -> bool {
    "〇零一二三四五六七八九十百两幺壹贰叁肆伍陆柒捌玖".contains(c)
}

/// A number as it stands on a door.
const NUMBER: &str = "[A-Za-z]?[0-9]{1,5}(?:-[0-9]{1,4})?|[一二三四五六七八九十百零〇两]{1,5}";

// Parts of an address that stand side by side are one.
pub(super) static CHAIN: LazyLock<Regex> = LazyLock::new(|| {
    let part = format!(
        "(?:(?:{NUMBER})(?:号楼|号院|栋|幢|弄|单元|号门|号房|室|楼|层|房|户|支弄|组团|组|区|期|号|座|门)|[A-Za-z]座|[东南西北]{{1,2}}门)"
    );
    pattern(&format!("{part}(?:[ ,，、-]?{part})*(?:[ -]?(?:[A-Za-z]?[0-9]{{2,5}}))?"))
});

// 幸福小区3-2-501, 门牌12-3.
pub(super) static SHORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:小区|花园|花苑|苑|公寓|家园|大厦|府|湾|庭|新村|门牌号?(?:是|为|:|：)?)[ :]?([0-9]{1,3}-[0-9]{1,4}(?:-[0-9]{1,4})?|(?:门牌号?)?[0-9]{3,4}(?:$|[,，。 ]))",
    )
});

/// Whether a character is one that [`addresses`] finds nothing without.
pub(super) fn is_of_an_address(c: char) -> bool {
    "号栋幢弄元室楼层房户团组区期座门园苑寓厦府湾庭村".contains(c)
}

/// Finds house, building, unit, floor and room numbers.
pub(super) fn addresses(folded: &Folded, found: &mut Found) {
    static STRONG: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            "(?:{NUMBER})(?:号楼|号院|栋|幢|单元|号门|号房)|(?:[0-9]{{3,5}}|[一二三四五六七八九零〇]{{3,4}})(?:室|房|户)|[A-Za-z]座[ -]?[0-9]{{2,5}}"
        ))
    });
    // Behind these a plain number is a house's.
    static STREET: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:路|街|大道|道|巷|胡同|弄|里|坊|村|屯|镇|庄|组|条|段|小区|花园|花苑|苑|公寓|家园|大厦|府|城|湾|庭|居|工业园|园区|新村|社区|门牌号?|楼号|门牌号是|门牌是)[ :,，]?$",
        )
    });
    static HOUSE: LazyLock<Regex> =
        LazyLock::new(|| pattern(&format!("^(?:{NUMBER})(?:号|弄|栋|幢|楼|座|区|期|门|组)")));
    // What is counted in the same words: rooms of a flat, seats of a car, lines of a metro.
    static NOT_A_DOOR: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            "^(?:[0-9一二三四五六七八九两]?(?:厅|卫|厨)|线|出口|口|色|球|电池|充电|链接|机|铺|位|衣|宝贝|楼梯|仓)",
        )
    });
    for part in CHAIN.find_iter(&folded.text) {
        let at = folded.chars_of(part.range());
        let text = part.as_str();
        let (before, after) = (folded.before(at.start, 5), folded.after(at.end, 3));
        if NOT_A_DOOR.is_match(after) || before.ends_with('第') || before.ends_with('月') {
            continue;
        }
        let behind_a_street = STREET.is_match(before) && HOUSE.is_match(text);
        if behind_a_street || STRONG.is_match(text) {
            found.claim(at, Sort::Address);
        }
    }
    for captured in SHORT.captures_iter(&folded.text) {
        let Some(number) = captured.get(1) else { continue };
        let bare = number.as_str().trim_end_matches([',', '，', '。', ' ']);
        found.claim(folded.chars_of(number.start()..number.start() + bare.len()), Sort::Address);
    }
}
