//! Can two amounts be meant at the same time?

use super::unit::Kind;

const SECONDS_A_DAY: i64 = 86_400;

/// On which side of a number lies what is meant?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::text) enum Bound {
    /// The number itself.
    #[default]
    At,
    /// Below it, or up to it: 七天内, 不满18岁.
    Low,
    /// Above it, or from it on: 超过七天, 18岁以上.
    High,
}

/// A number with what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::text) struct Amount {
    pub(in crate::text) kind: Kind,
    /// In millionths of the kind's measure.
    pub(in crate::text) low: i64,
    /// Above `low` where from one number to another is said.
    pub(in crate::text) high: i64,
    pub(in crate::text) bound: Bound,
    /// Whether the number itself is excluded by a sign: `<18岁`.
    pub(in crate::text) strict: bool,
    /// Whether it says no number exactly: 三十几.
    pub(in crate::text) vague: bool,
    /// Whether it is a place in an order: 第8天.
    pub(in crate::text) ordinal: bool,
}

impl Amount {
    /// An exact number.
    pub(super) fn new(kind: Kind, low: i64, high: i64) -> Self {
        Self { kind, low, high, bound: Bound::At, strict: false, vague: false, ordinal: false }
    }

    /// Whether the two are of one kind, so that one can stand in the other's place.
    pub(in crate::text) fn is_comparable(&self, other: &Self) -> bool {
        let measures = on_one_scale(self, other).is_some();
        let place_and_limit = self.ordinal != other.ordinal;
        let limit = if self.ordinal { other.bound } else { self.bound };
        measures && (!place_and_limit || self.is_time() && limit != Bound::At)
    }

    /// Whether both cannot be meant; `false` for what is not comparable.
    pub(in crate::text) fn excludes(&self, other: &Self) -> bool {
        if !self.is_comparable(other) {
            return false;
        }
        let Some((a, b)) = on_one_scale(self, other) else { return false };
        if self.ordinal != other.ordinal {
            let (place, limit, bound) = if self.ordinal { (a, b, other.bound) } else { (b, a, self.bound) };
            return match bound {
                Bound::Low => place.0 > limit.1,
                Bound::High => place.1 <= limit.0,
                Bound::At => false,
            };
        }
        let same = a.0 <= b.1 && b.0 <= a.1;
        match (self.bound, other.bound) {
            (Bound::Low, Bound::High) | (Bound::High, Bound::Low) => true,
            _ if self.vague || other.vague => a != b || self.vague != other.vague,
            (Bound::At, Bound::At) if self.is_span() && other.is_span() => a != b,
            (Bound::At, Bound::At) => !same,
            (Bound::At, _) | (_, Bound::At) => !same || self.strict || other.strict,
            _ => !same,
        }
    }

    fn is_span(&self) -> bool {
        self.low < self.high
    }

    fn is_time(&self) -> bool {
        matches!(self.kind, Kind::Duration | Kind::Months)
    }
}

/// Both amounts on one scale, each from its lowest to its highest value.
fn on_one_scale(a: &Amount, b: &Amount) -> Option<((i64, i64), (i64, i64))> {
    let plain = |amount: &Amount| (amount.low, amount.high);
    // A month is 28 to 31 days.
    let days = |amount: &Amount| {
        let day = |months: i64, days: i64| months.saturating_mul(days).saturating_mul(SECONDS_A_DAY);
        (day(amount.low, 28), day(amount.high, 31))
    };
    // 500g are 500克 or half a GB: a thousandth.
    let part = |amount: &Amount| (amount.low / 1_000, amount.high / 1_000);
    match (a.kind, b.kind) {
        (Kind::Duration, Kind::Months) => Some((plain(a), days(b))),
        (Kind::Months, Kind::Duration) => Some((days(a), plain(b))),
        (Kind::Data, Kind::Weight) => Some((part(a), plain(b))),
        (Kind::Weight, Kind::Data) => Some((plain(a), part(b))),
        // 100m are 100米 or 100 MB.
        (Kind::Data, Kind::Length) => Some((plain(a), part(b))),
        (Kind::Length, Kind::Data) => Some((part(a), plain(b))),
        (one, other) => (one == other).then(|| (plain(a), plain(b))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn one(text: &str) -> Amount {
        let found = read(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0].amount
    }

    #[test]
    fn amounts_that_agree() {
        for (a, b) in [
            ("7天", "一周"),
            ("24小时", "1天"),
            ("90分钟", "一个半小时"),
            ("半年", "6个月"),
            ("1年", "12个月"),
            ("一个月", "30天"),
            ("半个月", "15天"),
            ("一年", "365天"),
            ("七天内", "7天"),
            ("三天没到", "超过三天"),
            ("第5天", "七天内"),
            ("第8天", "超过七天"),
            ("17万", "十七八万"),
            ("4天", "3-5天"),
            ("3%", "百分之三"),
            ("1000兆", "千兆"),
            ("500g", "500克"),
            ("100m", "100米"),
            ("100m", "100兆"),
            ("2斤", "1kg"),
        ] {
            let (x, y) = (one(a), one(b));
            assert!(!x.excludes(&y) && !y.excludes(&x), "{a} {b}: {x:?} {y:?}");
        }
    }

    #[test]
    fn amounts_that_do_not() {
        for (a, b) in [
            ("8天", "一周"),
            ("一个月内", "七天内"),
            ("半个月内", "七天内"),
            ("24小时内", "七天内"),
            ("一年内", "七天内"),
            ("超过七天", "七天内"),
            ("七天外", "七天内"),
            ("第8天", "七天内"),
            ("三十几天", "七天内"),
            ("三十几天", "35天"),
            ("<18岁", "18岁"),
            ("<18岁", ">18岁"),
            ("不满18岁", "18岁以上"),
            ("-5度", "5度"),
            ("36岁", "3-6岁"),
            ("3-5天", "3-6天"),
            ("5‰", "5%"),
            ("1t", "256g"),
            ("20亿", "20万"),
            ("5x8小时", "58小时"),
            ("2023年", "去年"),
        ] {
            let (x, y) = (one(a), one(b));
            assert!(x.excludes(&y) && y.excludes(&x), "{a} {b}: {x:?} {y:?}");
        }
    }

    #[test]
    fn what_is_not_of_one_kind_does_not_meet() {
        for (a, b) in [("3天", "3次"), ("3天", "第5天"), ("3个月", "3月"), ("5元", "5折")] {
            assert!(!one(a).is_comparable(&one(b)), "{a} {b}");
        }
    }
}
