//! What of a text tells who somebody is?
//!
//! Numbers that lead to a person, what stands on a door, and names behind the
//! words that announce them. It is done by rules alone: what they find is
//! measured on `corpora/masking.jsonl`, and what they cannot know (a name that
//! nothing announces) stays.
//!
//! Rules see a folded text: full-width characters as their narrow twins, one
//! character for one, so that a place in the folded text is the place in the
//! real one.

mod digits;
mod names;
mod places;

use std::ops::Range;

/// What a masked piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A mobile, landline or 400 number.
    Phone,
    /// A Chinese identity card's number.
    IdCard,
    /// A bank card's number.
    BankCard,
    /// An e-mail address.
    Email,
    /// A vehicle's licence plate.
    Plate,
    /// House, building, unit and room numbers.
    Address,
    /// A person's name.
    Name,
    /// An order's or a parcel's number; only on request.
    Order,
}

impl Sort {
    /// Every sort.
    pub const ALL: [Self; 8] = [
        Self::Phone,
        Self::IdCard,
        Self::BankCard,
        Self::Email,
        Self::Plate,
        Self::Address,
        Self::Name,
        Self::Order,
    ];

    /// The word in the labelled set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::IdCard => "id_card",
            Self::BankCard => "bank_card",
            Self::Email => "email",
            Self::Plate => "plate",
            Self::Address => "address",
            Self::Name => "name",
            Self::Order => "order",
        }
    }

    /// What stands in its place.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Phone => "[电话]",
            Self::IdCard => "[身份证]",
            Self::BankCard => "[银行卡]",
            Self::Email => "[邮箱]",
            Self::Plate => "[车牌]",
            Self::Address => "[门牌]",
            Self::Name => "[姓名]",
            Self::Order => "[单号]",
        }
    }
}

/// A piece of a text that tells who somebody is; places count characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub at: Range<usize>,
    /// What it is.
    pub sort: Sort,
}

/// The text with every such piece replaced by its tag.
pub fn mask(text: &str, orders: bool) -> String {
    masked(text, orders).unwrap_or_else(|| text.to_owned())
}

/// The same; `None` where there is no such piece.
pub fn masked(text: &str, orders: bool) -> Option<String> {
    let found = spans(text, orders);
    if found.is_empty() {
        return None;
    }
    let mut masked = String::with_capacity(text.len());
    let mut found = found.into_iter().peekable();
    for (at, c) in text.chars().enumerate() {
        while found.next_if(|span| span.at.end <= at).is_some() {}
        match found.peek() {
            Some(span) if span.at.start == at => masked.push_str(span.sort.tag()),
            Some(span) if span.at.contains(&at) => {}
            _ => masked.push(c),
        }
    }
    Some(masked)
}

/// Those pieces, in the order of the text.
pub fn spans(text: &str, orders: bool) -> Vec<Span> {
    let folded = Folded::of(text);
    let mut found = Found::new(folded.chars.len());
    // Most texts lack what most rules need, and a reply waits for all of them.
    let digits = folded.chars.iter().filter(|c| c.is_ascii_digit()).count();
    let counts = digits > 0 || folded.has(places::is_numeral);
    if folded.has(|c| c == '@') {
        places::emails(&folded, &mut found);
    }
    if digits > 0 && folded.has(digits::is_of_an_order) {
        digits::orders(&folded, &mut found);
    }
    if counts {
        digits::numbers(&folded, &mut found);
    }
    if digits > 1 && folded.has(places::is_of_a_plate) {
        places::plates(&folded, &mut found);
    }
    if counts && folded.has(places::is_of_an_address) {
        places::addresses(&folded, &mut found);
    }
    names::names(&folded, &mut found);
    let mut spans = found.spans;
    spans.retain(|span| orders || span.sort != Sort::Order);
    spans.sort_by_key(|span| span.at.start);
    spans
}

/// A text with the wide forms of characters narrowed, one for one.
struct Folded {
    chars: Vec<char>,
    text: String,
    /// Where each character begins in `text`, and its end.
    starts: Vec<usize>,
}

impl Folded {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().map(fold).collect();
        let folded: String = chars.iter().collect();
        let mut starts: Vec<usize> = folded.char_indices().map(|(at, _)| at).collect();
        starts.push(folded.len());
        Self { chars, text: folded, starts }
    }

    /// Whether one of its characters is a clue to something.
    fn has(&self, is_clue: impl Fn(char) -> bool) -> bool {
        self.chars.iter().any(|c| is_clue(*c))
    }

    /// The characters of a range of bytes.
    fn chars_of(&self, bytes: Range<usize>) -> Range<usize> {
        let at = |byte| self.starts.partition_point(|start| *start < byte);
        at(bytes.start)..at(bytes.end)
    }

    /// Up to so many characters before a place.
    fn before(&self, at: usize, count: usize) -> &str {
        &self.text[self.starts[at.saturating_sub(count)]..self.starts[at]]
    }

    /// Up to so many characters from a place on.
    fn after(&self, at: usize, count: usize) -> &str {
        let last = self.chars.len();
        &self.text[self.starts[at.min(last)]..self.starts[(at + count).min(last)]]
    }
}

/// The narrow twin of a character.
fn fold(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' | '\u{00A0}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

/// What was found; the first to claim a character has it.
struct Found {
    taken: Vec<bool>,
    spans: Vec<Span>,
}

impl Found {
    fn new(length: usize) -> Self {
        Self { taken: vec![false; length], spans: Vec::new() }
    }

    fn claim(&mut self, at: Range<usize>, sort: Sort) {
        if at.is_empty() || self.taken[at.clone()].iter().any(|taken| *taken) {
            return;
        }
        self.taken[at.clone()].fill(true);
        self.spans.push(Span { at, sort });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use regex::Regex;

    use super::*;

    #[track_caller]
    fn check(text: &str, masked: &str) {
        assert_eq!(mask(text, false), masked);
        // What stands in the place of something is nothing to be masked.
        assert_eq!(mask(masked, false), masked);
    }

    /// Whether a character is one that a rule finds nothing without.
    type Clue = fn(char) -> bool;

    /// A rule that is passed over for want of a character would have found nothing.
    #[test]
    fn clues_miss_nothing() {
        let rules: [(&Regex, Clue); 6] = [
            (&digits::ORDER, digits::is_of_an_order),
            (&places::PLATE, places::is_of_a_plate),
            (&places::CHAIN, places::is_of_an_address),
            (&places::SHORT, places::is_of_an_address),
            (&names::STRONG, names::is_of_a_strong_word),
            (&names::WEAK, names::is_of_a_weak_word),
        ];
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
        let mut hits = [0; 6];
        for corpus in ["masking", "requests", "shop.queries", "bank.queries", "hospital.queries"] {
            let texts = std::fs::read_to_string(corpora.join(format!("{corpus}.jsonl"))).expect("a corpus");
            for text in texts.lines() {
                let folded = Folded::of(text);
                for ((rule, clue), hits) in rules.iter().zip(&mut hits) {
                    if rule.is_match(&folded.text) {
                        assert!(folded.has(clue), "{rule}: {text}");
                        *hits += 1;
                    }
                }
            }
        }
        assert!(hits.iter().all(|hits| *hits > 2), "{hits:?}");
    }

    #[test]
    fn telephones() {
        check("我的手机号是13812345678，请回电", "我的手机号是[电话]，请回电");
        check("打１３８－１２３４－５６７８给我", "打[电话]给我");
        check("+86 138 1234 5678", "[电话]");
        check("号码幺三八幺二三四五六七八", "号码[电话]");
        check("座机0571-88886666转801", "座机[电话]");
        check("（010）62345678", "[电话]");
        check("13812345678vx同号", "[电话]vx同号");
        check("+86-755-88888888和+86 10 62345678", "[电话]和[电话]");
        check("打400-820-8820没人接", "打[电话]没人接");
        check("满400减50，4000积分够吗", "满400减50，4000积分够吗");
        check("400-500-1000元的有吗", "400-500-1000元的有吗");
        check("1599 1299 399哪个好", "1599 1299 399哪个好");
        check("型号SM13912345678A", "型号SM13912345678A");
    }

    #[test]
    fn cards() {
        check("身份证11010519491231002X行吗", "身份证[身份证]行吗");
        check("110105 1949 1231 002x", "[身份证]");
        check("卡号6222 0212 3456 7890 128", "卡号[银行卡]");
        check("订单4929123456789012348到哪了", "订单4929123456789012348到哪了");
        check("身份证要带原件吗", "身份证要带原件吗");
    }

    #[test]
    fn places_and_plates() {
        check("寄到人民路88号3栋2单元501室", "寄到人民路[门牌]");
        check("三室一厅，3室2厅多少钱", "三室一厅，3室2厅多少钱");
        check("2号线到3号出口，5号发货", "2号线到3号出口，5号发货");
        check("车牌粤B·D12345能停吗", "车牌[车牌]能停吗");
        check("新Y300GT有货吗", "新Y300GT有货吗");
        check("发到zhang.san@qq.com", "发到[邮箱]");
    }

    #[test]
    fn names_behind_the_words_that_announce_them() {
        check("我叫李小明，昨天买的", "我叫[姓名]，昨天买的");
        check("收件人张伟电话13812345678", "收件人[姓名]电话[电话]");
        check("姓名：欧阳娜娜", "姓名：[姓名]");
        check("我是黄金会员", "我是黄金会员");
        check("联系人方式怎么改", "联系人方式怎么改");
        check("我是想问一下", "我是想问一下");
        for text in ["投保人和被保人可以是同一个人吗", "户名和卡号不符", "旅客应当提前多久到", "我是车主"]
        {
            check(text, text);
        }
        check("收件人：和珅", "收件人：[姓名]");
    }
}
