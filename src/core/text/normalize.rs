//! Which differences in writing do not matter?
//!
//! The steps are one list, [`Step::ALL`]. The lossless ones come first and
//! change only how a thing is written; the exact matcher compares their result
//! ([`exact_key`]). The last of them, [`Step::Numbers`], is for the exact
//! matcher alone: words, rules and the matchers that score see numbers as they
//! were written. The lossy steps drop something that was said, and only the
//! matchers that score see their result.
//!
//! A lexicon's protected terms pass through all of them as they are, but for
//! width, case and blanks, which customers cannot see on their keyboards, and
//! for what programs write ([`super::wrapping`]).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::lexicon::fillers;
use super::number;
use super::protect::{Protected, Span, is_mask, unmask};
use super::recent::form_of;
use super::{habits, signs, wrapping};

/// One step of the normalisation, in the order in which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// HTML tags go, entities become the characters that they stand for.
    Markup,
    /// Unicode NFKC: full and half width, ligatures; raised and circled numbers
    /// stay apart from their neighbours.
    Compatibility,
    /// Lower case.
    Case,
    /// What programs write around the words goes: names of pictures (`[微笑]`),
    /// signatures of phones, quoted messages, whom it is for.
    Wrapping,
    /// Traditional to simplified characters (OpenCC tables, words before characters).
    Simplify,
    /// Control and zero-width characters go, white space becomes one space,
    /// and none stays beside a Chinese character.
    Blanks,
    /// Punctuation goes, except what is part of a number or code (`1.5`, `a-20`,
    /// `-5℃`, `3~5天`, `<18岁`), and that is written in one way.
    Punctuation,
    /// Words that are written with numerals get them back: 1起 is 一起.
    Words,
    /// Amounts are written in one way: 一周 is 7天, 20w is 200000.
    Numbers,
    /// Emoji and other pictographs go.
    Emoji,
    /// Three or more of the same character in a row become one; Latin letters
    /// and digits do not, which nobody lengthens: xxxl, aaa级, 10000.
    Repeats,
    /// The number of an item in a list goes from the front.
    ListNumber,
    /// Numbers of orders and phones go behind their names.
    References,
    /// Sounds and words of hesitation inside the sentence go.
    Hesitation,
    /// Greetings, politeness and particles at both ends go.
    Fillers,
    /// A question that is said several times counts once.
    Echo,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 16] = [
        Self::Markup,
        Self::Compatibility,
        Self::Case,
        Self::Wrapping,
        Self::Simplify,
        Self::Blanks,
        Self::Punctuation,
        Self::Words,
        Self::Numbers,
        Self::Emoji,
        Self::Repeats,
        Self::ListNumber,
        Self::References,
        Self::Hesitation,
        Self::Fillers,
        Self::Echo,
    ];

    /// Whether the step drops something that was said.
    pub fn is_lossy(self) -> bool {
        matches!(
            self,
            Self::Emoji
                | Self::Repeats
                | Self::ListNumber
                | Self::References
                | Self::Hesitation
                | Self::Fillers
                | Self::Echo
        )
    }

    /// Whether what stands in a text is still as it was written: all lossless
    /// steps but the one for the exact matcher.
    fn keeps_writing(self) -> bool {
        !self.is_lossy() && self != Self::Numbers
    }

    /// The name that `--explain` shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markup => "markup",
            Self::Compatibility => "nfkc",
            Self::Case => "lower_case",
            Self::Wrapping => "wrapping",
            Self::Simplify => "simplified",
            Self::Blanks => "blanks",
            Self::Punctuation => "punctuation",
            Self::Words => "numeral_words",
            Self::Numbers => "numbers",
            Self::Emoji => "emoji",
            Self::Repeats => "repeats",
            Self::ListNumber => "list_number",
            Self::References => "references",
            Self::Hesitation => "hesitation",
            Self::Fillers => "fillers",
            Self::Echo => "echo",
        }
    }

    fn apply(self, text: &str) -> String {
        match self {
            Self::Markup => wrapping::markup(text),
            Self::Compatibility => signs::written_out(text).nfkc().collect(),
            Self::Case => text.to_lowercase(),
            Self::Wrapping => wrapping::wrapping(text),
            Self::Simplify => simplify(text),
            Self::Blanks => blanks(text),
            Self::Punctuation => signs::punctuation(text),
            Self::Words => number::restore(text),
            Self::Numbers => number::canonical(text),
            Self::Emoji => EMOJI.replace_all(text, "").into_owned(),
            Self::Repeats => repeats(text),
            Self::ListNumber => list_number(text).to_owned(),
            Self::References => habits::references(text),
            Self::Hesitation => habits::hesitation(text),
            Self::Fillers => strip_fillers(text).to_owned(),
            Self::Echo => habits::echo(text),
        }
    }
}

/// A form that texts are brought into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// [`Normalized::written`].
    Written,
    /// [`Normalized::exact`], from what is written.
    Exact,
    /// [`Normalized::core`], from what is written.
    Core,
    /// [`encoder_text`].
    Encoder,
}

impl Form {
    /// Whether a step belongs to it.
    fn has(self, step: Step) -> bool {
        match self {
            Self::Written => step.keeps_writing(),
            Self::Exact => !step.is_lossy(),
            Self::Core => step.is_lossy(),
            Self::Encoder => step.keeps_writing() && step != Step::Punctuation,
        }
    }
}

/// What one step made of the text, for `--explain`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct StepTrace {
    /// [`Step::name`].
    pub step: &'static str,
    /// [`Step::is_lossy`].
    pub lossy: bool,
    /// The text after the step.
    pub text: String,
}

impl StepTrace {
    /// What was heard in a text, after all other steps.
    pub fn heard(text: String) -> Self {
        Self { step: "heard", lossy: true, text }
    }

    /// What may have been meant as well.
    pub fn heard_too(text: String) -> Self {
        Self { step: "heard_too", lossy: true, text }
    }
}

/// A text in both its normal forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalized {
    /// After all lossless steps: what the exact matcher compares.
    pub exact: String,
    /// The same with its numbers as they were written: what rules look through.
    pub written: String,
    /// After all steps: what the scoring matchers see. Empty when the text
    /// holds nothing but emoji and punctuation.
    pub core: String,
}

impl Normalized {
    /// Normalises a text; nothing is protected.
    pub fn new(text: &str) -> Self {
        Normalizer::default().normalize(text)
    }

    /// The core with its amounts in the one way to write them: equal cores of
    /// one entry are one question.
    pub fn core_key(&self) -> String {
        number::canonical(&self.core)
    }
}

/// Normalises texts and leaves protected terms alone.
#[derive(Debug, Clone, Default)]
pub struct Normalizer {
    protected: Protected,
}

impl Normalizer {
    pub(super) fn new(protected: Protected) -> Self {
        Self { protected }
    }

    /// Both normal forms of a text.
    pub fn normalize(&self, text: &str) -> Normalized {
        let written = self.written(text);
        let exact = self.key_of_written(&written);
        let core = settle(&self.protected, &written, Form::Core);
        Normalized { exact, written, core }
    }

    /// The form in which two spellings of the same question are equal: all
    /// lossless steps. Idempotent.
    pub fn exact_key(&self, text: &str) -> String {
        self.key_of_written(&self.written(text))
    }

    /// The exact key of what [`Self::written`] gave, or of a core.
    pub fn key_of_written(&self, written: &str) -> String {
        settle(&self.protected, written, Form::Exact)
    }

    /// The text after the lossless steps, with its numbers as they were written:
    /// what words and rules are looked for in. Idempotent.
    pub fn written(&self, text: &str) -> String {
        settle(&self.protected, text, Form::Written)
    }

    /// Where protected terms stand in a text that is normal already.
    pub(super) fn protected(&self, normal: &str) -> Vec<Span> {
        self.protected.spans(normal)
    }

    /// Every step's result, for people.
    pub fn trace(&self, text: &str) -> Vec<StepTrace> {
        let mut current = text.to_owned();
        let mut terms = None;
        Step::ALL
            .iter()
            .map(|step| {
                hide(&self.protected, *step, &mut current, &mut terms);
                let after = step.apply(&current);
                let text = unmask(&after, terms.as_deref().unwrap_or_default());
                if *step != Step::Numbers {
                    current = after;
                }
                StepTrace { step: step.name(), lossy: step.is_lossy(), text }
            })
            .collect()
    }
}

/// Puts protected terms behind masks before the first step that could harm them.
fn hide(protected: &Protected, step: Step, text: &mut String, terms: &mut Option<Vec<String>>) {
    let before = matches!(step, Step::Markup | Step::Compatibility | Step::Case | Step::Wrapping);
    if terms.is_some() || protected.is_empty() || before {
        return;
    }
    let (masked, found) = protected.mask(&blanks(text));
    *text = masked;
    *terms = Some(found);
}

/// The form in which protected terms are looked for.
pub(super) fn protected_form(term: &str) -> String {
    blanks(&Step::Case.apply(&Step::Compatibility.apply(term)))
}

/// [`Normalizer::exact_key`] with nothing protected.
pub fn exact_key(text: &str) -> String {
    Normalizer::default().exact_key(text)
}

/// [`Normalizer::written`] with nothing protected.
pub fn written(text: &str) -> String {
    Normalizer::default().written(text)
}

/// The form that encoders read: like [`written`] but with its punctuation,
/// which models have seen in training. Nothing is protected: a release's
/// vectors do not depend on its lexicon.
pub fn encoder_text(text: &str) -> String {
    settle(&Protected::default(), text, Form::Encoder)
}

/// A text as it was typed, without what programs wrote around it.
pub fn said(text: &str) -> String {
    wrapping::wrapping(&wrapping::markup(text))
}

/// [`said`] in simplified characters of one width and case, in which its signs and line
/// breaks still stand: what is cut into clauses.
pub(super) fn unwrapped(text: &str) -> String {
    [Step::Markup, Step::Compatibility, Step::Case, Step::Wrapping, Step::Simplify]
        .into_iter()
        .fold(text.to_owned(), |text, step| step.apply(&text))
}

/// A form of a text.
fn settle(protected: &Protected, text: &str, form: Form) -> String {
    if protected.is_empty() {
        return form_of(form, text, || settled(protected, text, form));
    }
    settled(protected, text, form)
}

/// Runs the steps of a form until nothing changes. One round is nearly always
/// enough; a second one is needed where a later step makes work for an earlier
/// one (a conversion table may produce a word that has an entry of its own),
/// and idempotence is a law that indexing relies on.
fn settled(protected: &Protected, text: &str, form: Form) -> String {
    const ROUNDS: usize = 4;
    // What is written and has no number is that form already.
    if form == Form::Exact && number::read(text).is_empty() {
        return text.to_owned();
    }
    let mut current = text.to_owned();
    for _ in 0..ROUNDS {
        let mut next = current.clone();
        let mut terms = None;
        for step in Step::ALL.into_iter().filter(|&step| form.has(step)) {
            hide(protected, step, &mut next, &mut terms);
            next = step.apply(&next);
        }
        if let Some(terms) = terms {
            next = unmask(&next, &terms);
        }
        if next == current {
            break;
        }
        current = next;
    }
    current
}

static CONVERTER: LazyLock<Option<ferrous_opencc::OpenCC>> = LazyLock::new(|| {
    // The tables are compiled in; they can only fail to load if the crate
    // itself is broken, and then simplified text must still work.
    ferrous_opencc::OpenCC::from_config(ferrous_opencc::config::BuiltinConfig::T2s).ok()
});

pub(super) fn simplify(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    CONVERTER.as_ref().map_or_else(|| text.to_owned(), |converter| converter.convert(text))
}

/// A letter of full width as one of half width.
pub(super) fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// Whether a character is written without spaces around it.
pub fn is_han(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}' | '\u{3005}' | '\u{3007}')
}

fn is_invisible(c: char) -> bool {
    c.is_control() && !c.is_whitespace()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}' | '\u{FFFD}')
}

pub(super) fn blanks(text: &str) -> String {
    let visible = text.chars().filter(|&c| !is_invisible(c));
    let mut out = String::with_capacity(text.len());
    let mut pending = false;
    for c in visible {
        if c.is_whitespace() {
            pending = true;
            continue;
        }
        if pending {
            // A space separates two words of an alphabet and nothing else;
            // "iphone 15" and "iphone15" are the same thing.
            let before = out.chars().next_back();
            if before.is_some_and(|b| needs_space(b, c)) {
                out.push(' ');
            }
            pending = false;
        }
        out.push(c);
    }
    out
}

fn needs_space(before: char, after: char) -> bool {
    (before.is_alphabetic() && after.is_alphabetic() && !is_han(before) && !is_han(after))
        || (before.is_numeric() && after.is_numeric())
}

static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
    // Digits, # and * are "emoji" in Unicode's sense, pictographs are not.
    regex(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u{20E3}]+")
});

fn repeats(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let run = chars[at..].iter().take_while(|&&other| other == c).count();
        // 10000 and 九九九 are numbers, xxxl is a size, and A+++ is a class.
        let means_more = c.is_alphanumeric() && !is_han(c) || number::is_numeral(c) || c == '+';
        let kept = if run >= 3 && !means_more { 1 } else { run };
        out.extend(std::iter::repeat_n(c, kept));
        at += run;
    }
    out
}

/// Strips the number of an item in a list, as long as something is left.
fn list_number(text: &str) -> &str {
    let rest = text.trim_start_matches(number::begins);
    match rest.strip_prefix('.') {
        Some(item) if rest.len() < text.len() && !item.is_empty() && !item.starts_with(number::begins) => {
            item
        }
        _ => text,
    }
}

/// Strips greetings and particles from both ends, as long as something is left.
fn strip_fillers(text: &str) -> &str {
    const LEFT_AT_LEAST: usize = 2;
    let long_enough = |rest: &str| rest.chars().count() >= LEFT_AT_LEAST || rest.trim().chars().any(is_mask);
    let mut rest = text;
    while let Some(shorter) = fillers().leading(rest).filter(|r| long_enough(r)) {
        rest = shorter;
    }
    while let Some(shorter) = fillers().trailing(rest).filter(|r| long_enough(r)) {
        rest = shorter;
    }
    rest.trim()
}

/// Compiles a pattern that stands in this source.
#[expect(clippy::expect_used, reason = "the patterns are constants that every test run compiles")]
pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// Borrowed when a text is already normal; used where most texts are.
pub(super) fn key_of(text: &str) -> Cow<'_, str> {
    let key = written(text);
    if key == text { Cow::Borrowed(text) } else { Cow::Owned(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_begin_or_end_like_a_filler_stay_whole() {
        for text in ["订单能加急", "客户很着急", "请教练上门", "喂养说明", "喂奶要多久"]
        {
            assert_eq!(strip_fillers(text), text);
        }
        assert_eq!(strip_fillers("喂你们几点下班急"), "你们几点下班");
        assert_eq!(strip_fillers("请教怎么退货"), "怎么退货");
    }

    #[test]
    fn width_case_script_and_punctuation_do_not_matter() {
        let key = exact_key("iphone15怎么退货");
        for same in ["ｉＰｈｏｎｅ １５ 怎么退货？", "iPhone15怎麼退貨!!", " iphone15，怎么\u{200B}退货。 "]
        {
            assert_eq!(exact_key(same), key, "{same}");
        }
    }

    #[test]
    fn punctuation_inside_codes_and_numbers_stays() {
        assert_eq!(exact_key("1.5 元和 15 元"), "1.5元和15元");
        assert_eq!(exact_key("型号 A-20/B?"), "型号a-20/b");
        assert_eq!(exact_key("1.5版怎么升级"), "1.5版怎么升级");
        assert_eq!(exact_key("打5折,还是 50%"), "打5折还是50%");
    }

    #[test]
    fn lossy_steps_drop_greetings_emoji_and_shouting() {
        let core = |text| Normalized::new(text).core;
        assert_eq!(core("你好，请问怎么退货呀😊谢谢"), "怎么退货");
        assert_eq!(core("快快快快发货啊啊啊啊"), "快发货");
        assert_eq!(core("充了10000元"), "充了10000元");
        for kept in ["xxxl码", "aaa级会员", "www怎么打不开", "mmm的衣服", "a+++级"] {
            assert_eq!(core(kept), kept);
        }
        assert_eq!(core("一、怎么退货"), "怎么退货");
        assert_eq!(core("1. 怎么退货"), "怎么退货");
        assert_eq!(core("1.5折怎么用"), "1.5折怎么用");
        assert_eq!(core("你好"), "你好", "a greeting alone is kept");
        assert_eq!(core("😊👍🏻"), "");
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in [
            "你好你好請問一下，乾隆後面的皇后裏發財",
            "ﬁ①②㎡ＡＢＣ",
            "……！！",
            "啊啊啊哈哈哈哈哈呢呢呢",
            "İstanbul ẞ",
            "a . b . 1 . 2",
            "①②③退货，10²，1½小时，－5℃，<18岁，<b>5</b>",
            "零下5度不超过三个半小时，七八天，十七、八万，千兆，负3天",
            "1、2、3.4，1起，4舍5入，满300-50，95566-1",
            "一年半以内，12点半，两千五，二〇二四年，百分之三点五，第一、二期",
        ] {
            let once = Normalized::new(text);
            assert_eq!(exact_key(&once.exact), once.exact, "{text}");
            assert_eq!(Normalized::new(&once.core).core, once.core, "{text}");
        }
    }
}
