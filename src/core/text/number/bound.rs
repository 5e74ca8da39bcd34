//! Which words and signs say on which side of a number something lies?

use super::amount::Bound;

/// What stands before a number and says on which side of it, the longest first;
/// with the sign for it.
pub(super) const BEFORE: [(&str, Bound, &str); 35] = [
    ("小于等于", Bound::Low, "≤"),
    ("大于等于", Bound::High, "≥"),
    ("不超过", Bound::Low, "≤"),
    ("没超过", Bound::Low, "≤"),
    ("未超过", Bound::Low, "≤"),
    ("不大于", Bound::Low, "≤"),
    ("不高于", Bound::Low, "≤"),
    ("不多于", Bound::Low, "≤"),
    ("不少于", Bound::High, "≥"),
    ("不低于", Bound::High, "≥"),
    ("不小于", Bound::High, "≥"),
    ("最多", Bound::Low, "≤"),
    ("至多", Bound::Low, "≤"),
    ("最少", Bound::High, "≥"),
    ("至少", Bound::High, "≥"),
    ("不满", Bound::Low, "<"),
    ("未满", Bound::Low, "<"),
    ("没满", Bound::Low, "<"),
    ("不到", Bound::Low, "<"),
    ("未到", Bound::Low, "<"),
    ("没到", Bound::Low, "<"),
    ("不足", Bound::Low, "<"),
    ("小于", Bound::Low, "<"),
    ("少于", Bound::Low, "<"),
    ("低于", Bound::Low, "<"),
    ("超过", Bound::High, ">"),
    ("超出", Bound::High, ">"),
    ("大于", Bound::High, ">"),
    ("多于", Bound::High, ">"),
    ("高于", Bound::High, ">"),
    ("<", Bound::Low, "<"),
    (">", Bound::High, ">"),
    ("≤", Bound::Low, "≤"),
    ("≥", Bound::High, "≥"),
    ("超", Bound::High, ">"),
];

/// What stands behind a number and says the same, the longest first; with its
/// short form and the characters that make another word of it.
pub(super) const BEHIND: [(&str, Bound, &str, &str); 18] = [
    ("含以上", Bound::High, "以上", ""),
    ("含以下", Bound::Low, "以下", ""),
    ("及以上", Bound::High, "以上", ""),
    ("或以上", Bound::High, "以上", ""),
    ("及以下", Bound::Low, "以下", ""),
    ("或以下", Bound::Low, "以下", ""),
    ("以内", Bound::Low, "内", ""),
    ("之内", Bound::Low, "内", ""),
    ("以下", Bound::Low, "以下", ""),
    ("以上", Bound::High, "以上", ""),
    ("以外", Bound::High, "外", ""),
    ("之外", Bound::High, "外", ""),
    ("以后", Bound::High, "后", ""),
    ("之后", Bound::High, "后", ""),
    ("过后", Bound::High, "后", ""),
    ("内", Bound::Low, "内", "存衣容部裤蒙购测页置"),
    ("外", Bound::High, "外", "卖套壳地币观国包面"),
    ("后", Bound::High, "后", "台面付摄置门排"),
];
