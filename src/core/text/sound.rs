//! Which Chinese does a customer mean who types its sound, or another word of
//! the same sound?
//!
//! Customers who are in a hurry, or whose keyboard is not set to Chinese,
//! type "zenme tuikuan" for 怎么退款 and "yhq怎么ling" for 优惠券怎么领: pinyin without
//! tones, or the first letters of the syllables. What they mean is read off
//! the words that the knowledge base itself uses, as an input method reads it
//! off a language: the most likely characters under a model of pairs of
//! neighbours (Viterbi 1967), counted in the phrasings, beside which keywords
//! and the authors' own words count a little. A word that the
//! knowledge base does not use is left as it was typed, for no entry could be
//! found by it.
//!
//! An input method also gives the wrong characters of the right sound: 头诉 for
//! 投诉. A character that is no part of a word, no common word by itself and
//! beside neighbours that it never has here gives way to one of its sound that
//! makes a word of the knowledge base with a neighbour.
//!
//! Everything here is a guess, so only the scoring matchers get to see it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use foldhash::{HashMap, HashSet};
use pinyin::{ToPinyin, ToPinyinMulti};

use super::lexicon::items;
use super::normalize::{is_han, narrow, simplify};
use super::segment::grams;
use super::standard;

const LATIN: &str = include_str!("data/latin.txt");

/// Latin words that are meant as they are.
static EVERYDAY: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| items(LATIN).flat_map(str::split_whitespace).collect());

/// Characters of which two readings are usual; of all others the first one in
/// the data is meant, and the rest are those of names and of old texts.
const TWO_READINGS: &str =
    "了还长行重都地着率便调乐觉降谁单传血称模弄露折没会系差参藏厦车弹角钥宿削落给卡校色拓番曾石";
/// Characters that ask and join: no word that is worth first letters has them.
const FUNCTION: &str = "几么怎吗呢吧啊了的得有没不是能可以在到和与就都也还要会多少什哪谁这那我你他她它";
/// The longest syllable (“zhuang”), in letters.
const SYLLABLE: usize = 6;
/// How many first letters are read as a word: more of them fit too many.
const LETTERS: std::ops::RangeInclusive<usize> = 2..=4;
/// First letters stand for characters that belong together: one of two
/// neighbours has the other one beside it at least this often.
const COHESION: f64 = 0.15;
/// The count at which a pair of neighbours says as much as the character alone.
const BACKOFF: f64 = 2.0;
/// Two characters make a word of the knowledge base when they are beside each
/// other in at least so many phrasings, …
const PAIRS: u32 = 2;
/// … and in this share of the rarer one's.
const WORD: f64 = 0.4;
/// The same where two letters stand for a word that no dictionary knows.
const SURE_WORD: f64 = 0.6;
/// Longer messages mean what they say: they hold enough words that are right,
/// and reading them takes time.
const LONGEST: usize = 200;
/// Letters in a row that may be pinyin.
const RUN: usize = 40;
/// Letters of a sentence that may be.
const SENTENCE: usize = 80;
/// Of the letters of a message without a Chinese character so many are read,
/// or it is of another language.
const READ: f64 = 0.7;
/// The log-probability of a syllable that no character of the knowledge base has.
const UNREAD: f64 = -25.0;
/// How many other readings of first letters are looked at.
const OTHERS: usize = 2;
/// Every syllable of the language, as it is typed.
static SYLLABLES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let han = ('\u{4E00}'..='\u{9FA5}').filter_map(|c| c.to_pinyin());
    let typed = han.map(|reading| reading.plain().replace('ü', "v"));
    typed.filter(|typed| typed.is_ascii() && (typed.len() > 1 || "aeo".contains(typed.as_str()))).collect()
});
/// Characters of a usual phrasing.
const LENGTH: f64 = 10.0;
/// Paths that are kept at every letter.
const BEAM: usize = 60;

/// The characters of a knowledge base by their sound.
#[derive(Debug, Clone, Default)]
pub struct Sounds {
    syllables: HashMap<String, Vec<char>>,
    initials: HashMap<char, Vec<char>>,
    known: HashSet<char>,
    /// How often the characters and pairs of keywords and of the authors' own
    /// words count beside the phrasings.
    taught: HashMap<String, u32>,
}

/// How a knowledge base writes.
#[derive(Clone, Copy)]
pub struct Usage<'a> {
    /// How many phrasings it has.
    pub phrasings: usize,
    /// In how many of them a character, a pair of neighbours or a Latin word
    /// stands.
    pub count: &'a dyn Fn(&str) -> u32,
    /// Whether some characters stand together in one of them. It may take a
    /// look at all.
    pub stands: &'a dyn Fn(&str) -> bool,
}

/// What was heard in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What it means.
    pub text: String,
    /// What it may mean as well: first letters fit several words.
    pub others: Vec<String>,
}

impl Usage<'_> {
    fn of(&self, c: char) -> u32 {
        (self.count)(c.encode_utf8(&mut [0; 4]))
    }

    fn of_pair(&self, a: char, b: char) -> u32 {
        (self.count)(&format!("{a}{b}"))
    }
}

/// The best way so far to read letters up to a place.
#[derive(Clone, Default)]
struct Path {
    score: f64,
    text: String,
    /// How many of its pairs of neighbours the knowledge base has.
    seen: usize,
    /// How many of its syllables stay as they were typed.
    unread: usize,
}

impl Sounds {
    /// Learns the characters of a text.
    pub fn learn(&mut self, text: &str) {
        for c in text.chars().filter(|&c| is_han(c)) {
            if !self.known.insert(c) {
                continue;
            }
            for syllable in readings(c) {
                let Some(initial) = syllable.chars().next() else { continue };
                add(self.initials.entry(initial).or_default(), c);
                add(self.syllables.entry(syllable).or_default(), c);
            }
        }
    }

    /// Learns a word that may stand in no phrasing: a keyword, or one of the
    /// authors' own.
    pub fn teach(&mut self, word: &str) {
        self.learn(word);
        for gram in grams(word) {
            // Often enough to be a word; not more often for each live edit of its entry.
            self.taught.entry(gram).or_insert(PAIRS + 1);
        }
    }

    /// What a message means; `None` when that is what it says. `is_word` says
    /// which words are known, Latin ones too, `doubtful` which characters of a
    /// text are neither part of a word nor a common word themselves.
    pub fn hear(
        &self,
        raw: &str,
        usage: Usage<'_>,
        is_word: &dyn Fn(&str) -> bool,
        doubtful: impl FnOnce(&str) -> Vec<bool>,
    ) -> Option<Heard> {
        if raw.chars().count() > LONGEST {
            return None;
        }
        let uses = |word: &str| {
            if word.is_ascii() {
                return word.split(' ').all(|word| (usage.count)(word) > 0);
            }
            grams(word).iter().all(|gram| (usage.count)(gram) > 0)
        };
        let said = standard::read(raw, &uses);
        let count = |text: &str| (usage.count)(text) + self.taught.get(text).copied().unwrap_or(0);
        let usage = Usage { count: &count, ..usage };
        let restored = self.restore(said.as_deref().unwrap_or(raw), usage, is_word);
        let heard = restored.or_else(|| said.map(|text| Heard { text, others: Vec::new() }));
        let text = heard.as_ref().map_or(raw, |heard| &heard.text);
        let corrected = self.correct(text, usage, doubtful);
        match (heard, corrected) {
            (heard, None) => heard,
            (heard, Some(text)) => Some(Heard { text, others: heard.map_or_else(Vec::new, |it| it.others) }),
        }
    }

    /// The text with its pinyin read as Chinese; `None` when there is none.
    fn restore(&self, raw: &str, usage: Usage<'_>, is_word: &dyn Fn(&str) -> bool) -> Option<Heard> {
        if !raw.chars().any(|c| narrow(c).is_ascii_alphabetic()) {
            return None;
        }
        let text = simplify(&raw.chars().map(narrow).collect::<String>());
        let has_chinese = text.chars().any(is_han);
        // What is read and what may be read instead, by its place in `out`.
        let (mut out, mut instead) = (String::new(), Vec::new());
        let (mut at, mut read, mut unread) = (0, 0, 0);
        let runs = runs(&text);
        let mut next = 0;
        while let Some(&(start, mut end)) = runs.get(next) {
            out.push_str(&text[at..start]);
            let before = out.trim_end().chars().next_back().filter(|&c| is_han(c));
            let after = |end: usize| text[end..].trim_start().chars().next().filter(|&c| is_han(c));
            let sentence = sentence(&text, &runs[next..], is_word);
            let of_sentence = (sentence > 1).then(|| {
                let words: Vec<String> = runs[next..next + sentence]
                    .iter()
                    .map(|&(a, b)| text[a..b].to_ascii_lowercase())
                    .collect();
                let end = runs[next + sentence - 1].1;
                self.syllables(&words, before, after(end), usage).map(|heard| (heard, end))
            });
            next += 1;
            let heard = if let Some((heard, last)) = of_sentence.flatten() {
                (next, end) = (next + sentence - 1, last);
                vec![heard]
            } else {
                self.word(&text, (start, end), [before, after(end)], usage, is_word)
            };
            let letters = end - start;
            match heard.first() {
                Some(_) => read += letters,
                // What is meant as it is counts for neither language.
                None if is_word(&text[start..end].to_ascii_lowercase()) => {}
                None => unread += letters,
            }
            let place = out.len();
            out.push_str(heard.first().map_or(&text[start..end], String::as_str));
            instead.extend(heard.into_iter().skip(1).map(|other| (place..out.len(), other)));
            at = end;
        }
        out.push_str(&text[at..]);
        if read == 0 || !has_chinese && (read as f64) < READ * (read + unread) as f64 {
            return None;
        }
        let other = |(place, word): (std::ops::Range<usize>, String)| {
            let mut other = out.clone();
            other.replace_range(place, &word);
            other
        };
        let others = instead.into_iter().take(OTHERS).map(other).collect();
        Some(Heard { text: out, others })
    }

    /// What one run of letters means, the likeliest first; nothing when it is
    /// meant as it is, or cannot be read. `beside` are the Chinese characters
    /// before and behind it.
    fn word(
        &self,
        text: &str,
        (start, end): (usize, usize),
        beside: [Option<char>; 2],
        usage: Usage<'_>,
        is_word: &dyn Fn(&str) -> bool,
    ) -> Vec<String> {
        let run = &text[start..end];
        let lower = run.to_ascii_lowercase();
        let [before, after] = beside;
        let is_first = text[..start].trim().is_empty();
        if !(2..=RUN).contains(&run.len()) || is_word(&lower) || is_code(text, (start, end)) || is_name(run) {
            return Vec::new();
        }
        let syllables = || self.syllables(std::slice::from_ref(&lower), before, after, usage);
        if EVERYDAY.contains(lower.as_str()) {
            // “怎么ban” is pinyin; “how can i” and “emo了” are not.
            let plain = run == lower && (before.is_some() || after.is_some());
            let one = |heard: &String| heard.chars().nth(1).is_none();
            return plain.then(syllables).flatten().filter(one).into_iter().collect();
        }
        if let Some(heard) = syllables() {
            return vec![heard];
        }
        // A capital letter begins a sentence, or a name, and so do two of them.
        let capitals = run.chars().filter(char::is_ascii_uppercase).count();
        let may_be_name = match capitals {
            0 => false,
            1 => !is_first,
            _ => capitals < run.len() || run.len() == 2,
        };
        if may_be_name { Vec::new() } else { self.letters(&lower, before, after, usage, is_word) }
    }

    /// The text with characters of the same sound put right; `None` when there
    /// is nothing to put right.
    fn correct(
        &self,
        text: &str,
        usage: Usage<'_>,
        doubtful: impl FnOnce(&str) -> Vec<bool>,
    ) -> Option<String> {
        let text = simplify(text);
        let doubtful = doubtful(&text);
        let mut chars: Vec<char> = text.chars().collect();
        let mut corrected = false;
        let pair = |a: Option<char>, b: Option<char>| a.zip(b).map_or(0, |(a, b)| usage.of_pair(a, b));
        for at in 0..chars.len() {
            let (before, after) = (at.checked_sub(1).map(|at| chars[at]), chars.get(at + 1).copied());
            let seen =
                |c: char| usize::from(pair(before, Some(c)) > 0) + usize::from(pair(Some(c), after) > 0);
            if !doubtful.get(at).copied().unwrap_or_default() || seen(chars[at]) > 0 {
                continue;
            }
            let makes_word = |a: Option<char>, b: Option<char>| match a.zip(b) {
                Some((a, b)) if pair(Some(a), Some(b)) >= PAIRS => cohesion(a, b, usage),
                _ => 0.0,
            };
            let likely = |&c: &char| {
                let tight = makes_word(before, Some(c)).max(makes_word(Some(c), after));
                (tight >= WORD).then(|| (seen(c), tight, c))
            };
            let alike = readings(chars[at]).filter_map(|syllable| self.syllables.get(&syllable)).flatten();
            let best = alike
                .filter(|&&c| usage.of(c) > 0)
                .filter_map(likely)
                .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
            if let Some((_, _, c)) = best {
                chars[at] = c;
                corrected = true;
            }
        }
        corrected.then(|| chars.into_iter().collect())
    }

    /// Reads words of letters as whole syllables.
    fn syllables(
        &self,
        words: &[String],
        before: Option<char>,
        after: Option<char>,
        usage: Usage<'_>,
    ) -> Option<String> {
        let letters = words.concat();
        let mut ends = Vec::with_capacity(letters.len());
        for word in words {
            ends.extend(std::iter::repeat_n(ends.len() + word.len(), word.len()));
        }
        let is_sentence = words.len() > 1;
        let edges = |at: usize| {
            let last = ends[at].min(at + SYLLABLE);
            let ends = (at + 1..=last).rev();
            let known =
                |end: usize| self.syllables.get(&letters[at..end]).map(|chars| (end, chars.as_slice()));
            // One syllable that is not heard must not lose the sentence.
            let unread = |end: usize| {
                let is_one = is_sentence && SYLLABLES.contains(&letters[at..end]);
                is_one.then_some((end, [].as_slice()))
            };
            ends.filter_map(|end| known(end).or_else(|| unread(end))).collect()
        };
        let path = self.decode(&letters, before, after, usage, &edges)?;
        // Characters that never stand beside each other here are no words of it.
        let heard = path.text.chars().filter(|&c| is_han(c)).count();
        let enough = !is_sentence || 3 * path.seen >= heard && 2 * path.unread <= heard;
        (path.seen > 0 && enough).then(|| path.text.trim().to_owned())
    }

    /// Reads letters as the first ones of the syllables of a word, the
    /// likeliest first. Words that stand together in the knowledge base go
    /// before those that only might.
    fn letters(
        &self,
        run: &str,
        before: Option<char>,
        after: Option<char>,
        usage: Usage<'_>,
        is_word: &dyn Fn(&str) -> bool,
    ) -> Vec<String> {
        if !LETTERS.contains(&run.len()) {
            return Vec::new();
        }
        let tight =
            |a: char, b: char, share: f64| usage.of_pair(a, b) >= PAIRS && cohesion(a, b, usage) >= share;
        let follows = |at: usize, last: char, c: char| {
            if run.len() == 4 && at == 2 {
                // Two words beside each other: 收货地址.
                return usage.of_pair(last, c) > 0;
            }
            if run.len() > 2 {
                return cohesion(last, c, usage) >= COHESION;
            }
            usage.of_pair(last, c) > 0 && is_word(&format!("{last}{c}")) || tight(last, c, SURE_WORD)
        };
        let mut paths = vec![(0.0, String::new(), before)];
        for (at, letter) in run.chars().enumerate() {
            let chars = self.initials.get(&letter).map(Vec::as_slice).unwrap_or_default();
            // A live edit may have taken the last phrasing with a character away.
            let used = |&&c: &&char| !FUNCTION.contains(c) && usage.of(c) > 0;
            let mut longer = Vec::new();
            for (score, text, last) in &paths {
                let fits = |&&c: &&char| at == 0 || last.is_some_and(|last| follows(at, last, c));
                longer.extend(
                    chars
                        .iter()
                        .filter(used)
                        .filter(fits)
                        .map(|&c| (score + step(*last, c, usage).0, format!("{text}{c}"), Some(c))),
                );
            }
            longer.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            longer.truncate(BEAM);
            paths = longer;
        }
        let is_term = |text: &str| {
            let chars: Vec<char> = text.chars().collect();
            let of_two = |pair: &[char]| is_word(&pair.iter().collect::<String>());
            run.len() == 2
                || is_word(text)
                || chars.len() == 4 && chars.chunks(2).all(of_two)
                || chars.windows(2).all(|pair| tight(pair[0], pair[1], WORD))
        };
        paths.retain(|(_, text, _)| is_term(text));
        if let Some(after) = after {
            for (score, _, last) in &mut paths {
                *score += step(*last, after, usage).0;
            }
            paths.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        }
        let mut words: Vec<String> = paths.into_iter().map(|(_, text, _)| text).collect();
        let stand: Vec<String> = words.iter().filter(|word| (usage.stands)(word)).cloned().collect();
        if !stand.is_empty() {
            words = stand;
        }
        words.truncate(1 + OTHERS);
        words
    }

    /// The likeliest characters for some letters; `edges` says which syllables
    /// may follow at a place: where each ends, and its characters, none for one
    /// that stays as it was typed.
    fn decode<'a>(
        &self,
        letters: &str,
        before: Option<char>,
        after: Option<char>,
        usage: Usage<'_>,
        edges: &dyn Fn(usize) -> Vec<(usize, &'a [char])>,
    ) -> Option<Path> {
        let mut paths: Vec<BTreeMap<Option<char>, Path>> = vec![BTreeMap::new(); letters.len() + 1];
        paths[0].insert(before, Path::default());
        for at in 0..letters.len() {
            let mut here: Vec<(Option<char>, Path)> = std::mem::take(&mut paths[at]).into_iter().collect();
            here.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
            let edges = if here.is_empty() { Vec::new() } else { edges(at) };
            for (last, path) in here.into_iter().take(BEAM) {
                for &(end, chars) in &edges {
                    let mut reach = |c: Option<char>, score: f64, seen: bool| {
                        let score = path.score + score;
                        let known = paths[end].get(&c);
                        if known.is_none_or(|known| score > known.score) {
                            let text = match c {
                                Some(c) => format!("{}{c}", path.text),
                                None => format!("{} {} ", path.text, &letters[at..end]),
                            };
                            let unread = path.unread + usize::from(c.is_none());
                            let next = Path { score, text, seen: path.seen + usize::from(seen), unread };
                            paths[end].insert(c, next);
                        }
                    };
                    if chars.is_empty() {
                        reach(None, UNREAD, false);
                    }
                    // A live edit may have taken the last phrasing with a character away.
                    for &c in chars.iter().filter(|&&c| usage.of(c) > 0) {
                        let (score, seen) = step(last, c, usage);
                        reach(Some(c), score, seen);
                    }
                }
            }
        }
        let finished = std::mem::take(&mut paths[letters.len()]).into_iter().map(|(last, mut path)| {
            if let (Some(after), Some(_)) = (after, last) {
                let (score, seen) = step(last, after, usage);
                path.score += score;
                path.seen += usize::from(seen);
            }
            path
        });
        finished.max_by(|a, b| a.score.total_cmp(&b.score))
    }
}

/// How many of some runs of letters are one sentence of pinyin: blanks between
/// them, and nothing that is no syllable. “how can i” is none.
fn sentence(text: &str, runs: &[(usize, usize)], is_word: &dyn Fn(&str) -> bool) -> usize {
    let (mut count, mut letters, mut everyday) = (0, 0, true);
    for (at, &(start, end)) in runs.iter().enumerate() {
        let lower = text[start..end].to_ascii_lowercase();
        let apart = at > 0 && !text[runs[at - 1].1..start].chars().all(|c| c == ' ');
        letters += lower.len();
        if apart
            || letters > SENTENCE
            || is_code(text, (start, end))
            || is_name(&text[start..end])
            || is_word(&lower)
            || !is_spelled(&lower)
        {
            break;
        }
        everyday &= EVERYDAY.contains(lower.as_str());
        count += 1;
    }
    if everyday { 0 } else { count }
}

/// Whether letters are nothing but syllables.
fn is_spelled(letters: &str) -> bool {
    let mut reached = vec![false; letters.len() + 1];
    reached[0] = true;
    for at in 0..letters.len() {
        for end in (at + 1..=letters.len().min(at + SYLLABLE)).filter(|_| reached[at]).collect::<Vec<_>>() {
            reached[end] |= SYLLABLES.contains(&letters[at..end]);
        }
    }
    reached[letters.len()]
}

/// Whether letters are a part of a code, an address or a formula.
fn is_code(text: &str, (start, end): (usize, usize)) -> bool {
    let touches =
        |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || "@._-/&;:{}()<>=\"'\\".contains(c));
    touches(text[..start].chars().next_back()) || touches(text[end..].chars().next())
}

/// Whether letters are written as only names are: iPhone, eSIM. “TUIKUAN” is
/// shouted, and “Tui Kuan” begins with capitals.
fn is_name(run: &str) -> bool {
    let rest = run.chars().skip(1).filter(char::is_ascii_uppercase).count();
    rest > 0 && run.chars().any(|c| c.is_ascii_lowercase())
}

/// The log-probability of a character after another one, and whether the
/// knowledge base has the two beside each other.
fn step(last: Option<char>, c: char, usage: Usage<'_>) -> (f64, bool) {
    let alone = (f64::from(usage.of(c)) + 0.01) / (LENGTH * usage.phrasings as f64 + 1.0);
    let Some(last) = last else { return (alone.ln(), false) };
    let (pair, of) = (f64::from(usage.of_pair(last, c)), f64::from(usage.of(last)));
    (((pair + BACKOFF * alone) / (of + BACKOFF)).ln(), pair > 0.0)
}

/// How tightly two neighbours belong together: the share of the rarer one's
/// occurrences that are beside the other.
fn cohesion(a: char, b: char, usage: Usage<'_>) -> f64 {
    let rarer = usage.of(a).min(usage.of(b));
    if rarer == 0 { 0.0 } else { f64::from(usage.of_pair(a, b)) / f64::from(rarer) }
}

/// How a character is read, as customers type it.
fn readings(c: char) -> impl Iterator<Item = String> {
    let readings = c.to_pinyin_multi().into_iter().flatten();
    let usual = if TWO_READINGS.contains(c) { 2 } else { 1 };
    readings.take(usual).map(|reading| reading.plain().replace('ü', "v"))
}

/// The letters in which a text sounds, without tones and blanks: 转人工, 专人工 and
/// "zhuan rengong" are all `zhuanrengong`. `None` where it holds anything but
/// Latin letters and characters that are read.
pub fn letters(text: &str) -> Option<String> {
    let mut letters = String::new();
    for c in text.chars().filter(|c| *c != ' ') {
        match c.is_ascii_alphabetic() {
            true => letters.push(c.to_ascii_lowercase()),
            false => letters.push_str(&readings(c).next()?),
        }
    }
    Some(letters)
}

fn add(chars: &mut Vec<char>, c: char) {
    if !chars.contains(&c) {
        chars.push(c);
    }
}

/// Where Latin letters stand together.
fn runs(text: &str) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
        match runs.last_mut() {
            Some((_, end)) if *end == at => *end = at + 1,
            _ => runs.push((at, at + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASINGS: [&str; 13] = [
        "怎么退款",
        "退款多久到账",
        "优惠券在哪里领取",
        "优惠券怎么领",
        "验证码收不到",
        "怎么开发票",
        "发票开错了怎么办",
        "转人工客服",
        "怎么取消订单",
        "app怎么升级",
        "女装尺码怎么选",
        "挂号费多少钱",
        "怎么修改收货地址",
    ];

    fn small() -> (Sounds, HashMap<String, u32>) {
        let mut counts: HashMap<String, u32> = HashMap::default();
        let mut sounds = Sounds::default();
        for phrasing in PHRASINGS {
            sounds.learn(phrasing);
            for gram in grams(phrasing).into_iter().collect::<HashSet<_>>() {
                *counts.entry(gram).or_default() += 1;
            }
        }
        (sounds, counts)
    }

    fn heard(text: &str) -> Option<String> {
        let (sounds, counts) = small();
        let count = |text: &str| counts.get(text).copied().unwrap_or(0);
        let analyzer = crate::text::Analyzer::new(crate::text::Lexicon::shipped());
        let is_word = |word: &str| word.is_ascii() && count(word) > 0 || analyzer.knows(word);
        let stands = |text: &str| PHRASINGS.iter().any(|phrasing| phrasing.contains(text));
        let usage = Usage { phrasings: PHRASINGS.len(), count: &count, stands: &stands };
        sounds.restore(text, usage, &is_word).map(|heard| heard.text)
    }

    #[test]
    fn pinyin_is_read_in_the_words_of_the_knowledge_base() {
        for (typed, meant) in [
            ("zenme tuikuan", "怎么退款"),
            ("Zenme tuikuan", "怎么退款"),
            ("zen me tui kuan", "怎么退款"),
            ("ZEN ME TUI KUAN", "怎么退款"),
            ("Zen Me Tui Kuan", "怎么退款"),
            ("TUIKUAN DUOJIU", "退款多久"),
            ("YHQ怎么领", "优惠券怎么领"),
            ("qing wen tui kuan duo jiu", "qing  wen 退款多久"),
            ("app zenme shengji", "app 怎么升级"),
            ("ｔｕｉｋｕａｎ多久到账", "退款多久到账"),
            ("yhq怎么ling", "优惠券怎么领"),
            ("yhq在哪ling啊", "优惠券在哪ling啊"),
            ("yzm收不到", "验证码收不到"),
            ("zhuan人工kf", "转人工客服"),
            ("怎么qx订单", "怎么取消订单"),
            ("shdz怎么改", "收货地址怎么改"),
            ("nvzhuang怎么選", "女装怎么选"),
            ("app怎么shengji", "app怎么升级"),
            ("怎么ban", "怎么办"),
        ] {
            assert_eq!(heard(typed).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn characters_of_the_same_sound_are_put_right() {
        let analyzer = crate::text::Analyzer::new(crate::text::Lexicon::shipped());
        let (sounds, counts) = small();
        let count = |text: &str| counts.get(text).copied().unwrap_or(0);
        let usage = Usage { phrasings: PHRASINGS.len(), count: &count, stands: &|_| false };
        for (typed, meant) in [
            ("怎么推款", Some("怎么退款")),
            ("优会券怎么领", Some("优惠券怎么领")),
            ("優会券怎么领", Some("优惠券怎么领")),
            ("怎么退款", None),
            // Words are what they are, and so are common characters.
            ("推荐一款手机", None),
            ("会不会打不开", None),
        ] {
            let heard = sounds.correct(typed, usage, |text| analyzer.doubtful(text));
            assert_eq!(heard.as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn what_is_no_pinyin_stays() {
        for text in [
            "怎么退款",
            "app打不开",
            "women can fan long",
            "man can die you know",
            "iPhone怎么Fan",
            "how can i return it",
            "tuikuan please help me out",
            "ETC扣错钱了",
            "卡bug了",
            "订单号tk12345",
            "yhq@qq.com",
            "HR说要盖章",
            "大写A",
            "qwertyuiop",
            "",
        ] {
            assert_eq!(heard(text), None, "{text}");
        }
    }
}
