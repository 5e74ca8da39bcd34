//! What is counted or measured here?

use std::collections::HashMap;
use std::sync::LazyLock;

/// What amounts can be compared in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::text) enum Kind {
    /// Money, and numbers without a unit.
    Plain,
    /// In seconds.
    Duration,
    /// Durations in months, which are no certain number of days.
    Months,
    /// A calendar year; small numbers are those around this one.
    Year,
    /// A month of the year.
    Month,
    /// A day of the month.
    Day,
    /// A time of day, in minutes.
    Clock,
    /// In years.
    Age,
    /// In degrees.
    Temperature,
    /// In megabytes, or megabits a second.
    Data,
    /// In grams.
    Weight,
    /// In millimetres.
    Length,
    /// In millilitres.
    Volume,
    /// In hundredths of a percent.
    Ratio,
    /// Things of one sort, by their row.
    Things(u8),
}

impl Kind {
    /// Whether there can be less than nothing of it.
    pub(in crate::text) fn may_be_negative(self) -> bool {
        matches!(self, Self::Plain | Self::Temperature | Self::Ratio | Self::Things(FLOOR))
    }
}

/// A unit as it stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// The one name of all that mean the same.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// How many of the kind's measure it is.
    pub(super) factor: i64,
}

const fn unit(name: &'static str, kind: Kind, factor: i64) -> Unit {
    Unit { name, kind, factor }
}

pub(super) const MONEY: Unit = unit("元", Kind::Plain, 1);
pub(super) const METRES: Unit = unit("米", Kind::Length, 1_000);
pub(super) const DISCOUNT: Unit = things("折", 2);
pub(super) const TERA: Unit = unit("t", Kind::Data, 1_000_000);
pub(super) const MONTHS: Unit = unit("个月", Kind::Months, 1);
pub(super) const YEARS: Unit = unit("年", Kind::Months, 12);
pub(super) const YEAR: Unit = unit("年", Kind::Year, 1);
pub(super) const DAY_OF_MONTH: Unit = unit("号", Kind::Day, 1);
pub(super) const CLOCK: Unit = unit("点", Kind::Clock, 60);
pub(super) const PERCENT: Unit = unit("%", Kind::Ratio, 100);
pub(super) const PER_MILLE: Unit = unit("‰", Kind::Ratio, 10);
pub(super) const MEGA: Unit = unit("m", Kind::Data, 1);
pub(super) const PIECES: Unit = things("个", OTHER);

/// Units with all the names that they have, and the characters that behind a
/// name make another word of it.
const MEASURES: [(Unit, &[&str], &str); 41] = [
    (MONEY, &["元", "块", "块钱", "元钱", "圆", "rmb", "人民币"], "宝"),
    (unit("秒", Kind::Duration, 1), &["秒", "秒钟"], "杀"),
    (unit("分钟", Kind::Duration, 60), &["分钟", "min", "mins"], ""),
    (unit("刻钟", Kind::Duration, 900), &["刻钟"], ""),
    (unit("小时", Kind::Duration, 3_600), &["小时", "个小时", "钟头", "个钟头", "h", "hour", "hours"], "工"),
    (unit("天", Kind::Duration, 86_400), &["天", "自然日", "个自然日", "day", "days"], "猫气津河然花桥空"),
    (unit("天", Kind::Duration, 86_400), &["日"], "本常期元语用志"),
    (WORKDAYS, &["工作日", "个工作日"], ""),
    (
        unit("周", Kind::Duration, 604_800),
        &["周", "个星期", "星期", "个礼拜", "礼拜", "week", "weeks"],
        "年边围末",
    ),
    (MONTHS, &["个月"], "饼"),
    (unit("季度", Kind::Months, 3), &["季度", "个季度"], ""),
    (YEARS, &["年"], "级纪龄轻糕画底末初"),
    (unit("月", Kind::Month, 1), &["月", "月份"], "饼亮光嫂"),
    (DAY_OF_MONTH, &["号"], "码"),
    (CLOCK, &["点", "点钟"], "击评餐赞"),
    (unit("岁", Kind::Age, 1), &["岁", "周岁"], "月"),
    (unit("度", Kind::Temperature, 1), &["度", "°c", "°", "摄氏度"], "假"),
    (MEGA, &["兆", "m", "mb"], ""),
    (unit("g", Kind::Data, 1_000), &["g", "gb"], ""),
    (TERA, &["t", "tb"], ""),
    (unit("g", Kind::Weight, 1), &["克"], "拉"),
    (unit("kg", Kind::Weight, 1_000), &["公斤", "千克", "kg"], ""),
    (unit("斤", Kind::Weight, 500), &["斤"], ""),
    (unit("吨", Kind::Weight, 1_000_000), &["吨"], ""),
    (unit("mm", Kind::Length, 1), &["毫米", "mm"], ""),
    (unit("cm", Kind::Length, 10), &["厘米", "cm", "公分"], ""),
    (METRES, &["米"], "饭粉线色"),
    (unit("km", Kind::Length, 1_000_000), &["公里", "千米", "km"], ""),
    (unit("ml", Kind::Volume, 1), &["毫升", "ml"], ""),
    (unit("升", Kind::Volume, 1_000), &["升"], "级"),
    (PERCENT, &["%", "个点", "个百分点"], ""),
    (PER_MILLE, &["‰"], ""),
    (unit("‱", Kind::Ratio, 1), &["‱"], ""),
    (unit("成", Kind::Ratio, 1_000), &["成"], "功年本交人都为立员绩色果分长套熟"),
    (things("英寸", 0), &["寸", "英寸", "吋"], ""),
    (things("码", 1), &["码"], "头"),
    (DISCOUNT, &["折"], "扣叠"),
    (things("倍", 3), &["倍"], ""),
    (things("期", 4), &["期"], "间待限末货"),
    (things("人", 5), &["人", "个人", "位"], "民工员物置数"),
    // Where 个 begins one of the names above, that one is longer.
    (PIECES, &["个"], ""),
];

/// A working day is compared as a day and is another one all the same.
pub(super) const WORKDAYS: Unit = unit("工作日", Kind::Duration, 86_400);

/// What 一 mostly means any one of.
const COUNTED: [(&str, &str); 13] = [
    ("件", ""),
    ("张", ""),
    ("台", "湾式风"),
    ("部", "分门队"),
    ("次", "日"),
    ("间", "接隔"),
    ("晚", ""),
    ("楼", "梯"),
    ("级", "别"),
    ("集", "团"),
    ("季", ""),
    ("关", "于闭"),
    ("课时", ""),
];

/// Other names of those.
const ALSO_COUNTED: [(&str, &str); 4] = [("层", "楼"), ("夜", "晚"), ("章", "关"), ("趟", "次")];

/// What is counted and says nothing of a matter: only their writing counts.
const PIECEWISE: &str = "单条套瓶盒箱包份双辆页颗只种款家门笔本字枚根副片杯袋罐桶串";

/// The rows of [`COUNTED`] among all things.
const FIRST_COUNTED: u8 = 16;

/// The row of 楼.
const FLOOR: u8 = FIRST_COUNTED + 7;

/// The row of [`PIECEWISE`] and of 个.
const OTHER: u8 = 255;

const fn things(name: &'static str, row: u8) -> Unit {
    unit(name, Kind::Things(row), 1)
}

impl Unit {
    /// Whether a number of them tells one matter from another.
    pub(super) fn tells_apart(self) -> bool {
        self.kind != Kind::Things(OTHER)
    }

    /// Whether one of them is mostly any one of them.
    pub(super) fn may_be_any(self) -> bool {
        matches!(self.kind, Kind::Things(row) if row >= FIRST_COUNTED && row != FLOOR)
    }
}

/// A name of a unit, and what must not follow it.
struct Name {
    text: Vec<char>,
    unit: Unit,
    not_before: &'static str,
}

/// Every name by its first character, the longest ones first.
static NAMES: LazyLock<HashMap<char, Vec<Name>>> = LazyLock::new(|| {
    let mut names: HashMap<char, Vec<Name>> = HashMap::new();
    let mut add = |text: &str, unit: Unit, not_before: &'static str| {
        let text: Vec<char> = text.chars().collect();
        names.entry(text[0]).or_default().push(Name { text, unit, not_before });
    };
    for (unit, all, not_before) in MEASURES {
        all.iter().for_each(|name| add(name, unit, not_before));
    }
    for (row, (name, not_before)) in (FIRST_COUNTED..).zip(COUNTED) {
        add(name, things(name, row), not_before);
        for (also, _) in ALSO_COUNTED.iter().filter(|(_, of)| *of == name) {
            add(also, things(name, row), "");
        }
    }
    for (at, c) in PIECEWISE.char_indices() {
        let name = &PIECEWISE[at..at + c.len_utf8()];
        add(name, things(name, OTHER), "");
    }
    names.values_mut().for_each(|names| names.sort_by_key(|name| std::cmp::Reverse(name.text.len())));
    names
});

/// The unit that begins at a place, and the place behind it.
pub(super) fn read(chars: &[char], at: usize) -> Option<(Unit, usize)> {
    NAMES.get(chars.get(at)?)?.iter().find_map(|name| {
        let end = at + name.text.len();
        let next = chars.get(end).copied();
        let latin = |c: char| c.is_ascii_alphanumeric();
        let ends = !(name.text.last().copied().is_some_and(latin) && next.is_some_and(latin));
        let fits = chars.get(at..end) == Some(&name.text[..])
            && ends
            && !next.is_some_and(|next| name.not_before.contains(next));
        fits.then_some((name.unit, end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(&'static str, usize)> {
        read(&text.chars().collect::<Vec<_>>(), 0).map(|(unit, end)| (unit.name, end))
    }

    #[test]
    fn the_longest_name_that_is_no_part_of_a_word() {
        assert_eq!(of("个小时内"), Some(("小时", 3)));
        assert_eq!(of("个工作日"), Some(("工作日", 4)));
        assert_eq!(of("个"), Some(("个", 1)));
        assert_eq!(of("天猫"), None);
        assert_eq!(of("gb版"), Some(("g", 2)));
        assert_eq!(of("gps"), None);
        assert_eq!(of("人民币"), Some(("元", 3)));
        assert_eq!(of("层"), Some(("楼", 1)));
        assert_eq!(of("周年"), None);
        assert_eq!(of(""), None);
        assert!(read(&['楼'], 0).unwrap().0.kind.may_be_negative());
    }

    #[test]
    fn every_name_has_one_unit() {
        for (first, names) in NAMES.iter() {
            let mut texts: Vec<_> = names.iter().map(|name| &name.text).collect();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), names.len(), "two units of one name begin with {first}");
        }
    }
}
