//! Of which words are the names of models made?

use std::sync::LazyLock;

use foldhash::{HashMap, HashSet};

use super::super::lexicon::items;

const CODES: &str = include_str!("../data/codes.txt");

/// Shorter words are not looked for with a slip of the finger.
const LONG: usize = 5;

/// A Chinese name in a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chinese {
    /// A make, by the name that stands for it.
    Make(&'static str),
    /// An edition, by the suffix that it is; `None` for the plain one.
    Edition(Option<&'static str>),
}

/// The lines of `data/codes.txt`.
pub(super) struct Words {
    /// Every name of a make in Latin letters with the one that stands for it.
    makes: HashMap<&'static str, &'static str>,
    series: HashSet<&'static str>,
    suffixes: HashSet<&'static str>,
    /// Chinese names by their first character, the longest first.
    chinese: HashMap<char, Vec<(&'static str, Chinese)>>,
    joined: HashSet<(&'static str, &'static str)>,
    shorts: Vec<(&'static str, Vec<&'static str>)>,
    common: HashSet<&'static str>,
}

/// Read once.
pub(super) static WORDS: LazyLock<Words> = LazyLock::new(Words::read);

impl Words {
    fn read() -> Self {
        let mut words = Self {
            makes: HashMap::default(),
            series: HashSet::default(),
            suffixes: HashSet::default(),
            chinese: HashMap::default(),
            joined: HashSet::default(),
            shorts: Vec::new(),
            common: HashSet::default(),
        };
        for line in items(CODES) {
            let mut all = line.split_whitespace();
            let kind = all.next().unwrap_or_default();
            let rest: Vec<&'static str> = all.collect();
            let Some(&first) = rest.first() else { continue };
            match kind {
                "make" => {
                    for &name in &rest {
                        if name.is_ascii() {
                            words.makes.insert(name, first);
                        } else {
                            words.add_chinese(name, Chinese::Make(first));
                        }
                    }
                }
                "edition" => {
                    let suffix = (first != "-").then_some(first);
                    for name in rest.iter().filter(|name| !name.is_ascii()) {
                        words.add_chinese(name, Chinese::Edition(suffix));
                    }
                }
                "series" => words.series.extend(rest),
                "suffix" => words.suffixes.extend(rest),
                "joined" => words.joined.extend(rest.get(1).map(|&second| (first, second))),
                "short" => words.shorts.push((first, rest[1..].to_vec())),
                _ => words.common.extend(rest),
            }
        }
        for names in words.chinese.values_mut() {
            names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        }
        words
    }

    fn add_chinese(&mut self, name: &'static str, what: Chinese) {
        let first = name.chars().next().unwrap_or_default();
        self.chinese.entry(first).or_default().push((name, what));
    }

    /// The make that a Latin word names.
    pub(super) fn make(&self, word: &str) -> Option<&'static str> {
        self.makes.get(word).copied()
    }

    /// Whether a word names a series.
    pub(super) fn is_series(&self, word: &str) -> bool {
        self.series.contains(word)
    }

    /// Whether a word tells the models of a series apart.
    pub(super) fn is_suffix(&self, word: &str) -> bool {
        self.suffixes.contains(word)
    }

    /// The same for one that is no single letter, and says it wherever it stands.
    pub(super) fn is_long_suffix(&self, word: &str) -> bool {
        word.len() > 1 && self.is_suffix(word)
    }

    /// Whether a word names no model in any trade.
    pub(super) fn is_common(&self, word: &str) -> bool {
        self.common.contains(word)
    }

    fn is_name(&self, word: &str) -> bool {
        self.makes.contains_key(word) || self.series.contains(word)
    }

    /// Whether two words are one, cut by a blank or a hyphen.
    pub(super) fn are_joined(&self, first: &str, second: &str) -> bool {
        self.joined.iter().any(|pair| *pair == (first, second))
    }

    /// Whether a Chinese name may begin with a character.
    pub(super) fn begins_name(&self, c: char) -> bool {
        self.chinese.contains_key(&c)
    }

    /// The Chinese name with which a text begins.
    pub(super) fn chinese(&self, text: &str) -> Option<(&'static str, Chinese)> {
        let names = self.chinese.get(&text.chars().next()?)?;
        names.iter().find(|(name, _)| text.starts_with(name)).copied()
    }

    /// What a suffix may be short for.
    pub(super) fn long_forms(&self, short: &str) -> impl Iterator<Item = &[&'static str]> {
        self.shorts.iter().filter(move |(of, _)| *of == short).map(|(_, long)| long.as_slice())
    }

    /// The name that a word was meant to be, one slip of the finger away.
    pub(super) fn meant(&self, word: &str) -> Option<&'static str> {
        if word.len() < LONG || self.is_name(word) || self.is_suffix(word) || self.is_common(word) {
            return None;
        }
        let names = self.makes.keys().chain(&self.series).copied();
        // In the order of the alphabet, so that the same is found every time.
        names.filter(|name| name.len() >= LONG && one_slip(word, name)).min()
    }

    /// A run of letters cut into the words of which it is made: "promax",
    /// "galaxys", "typec"; uncut where it is not made of them.
    pub(super) fn pieces<'a>(&self, run: &'a str) -> Vec<&'a str> {
        let whole = |word: &str| self.is_name(word) || self.is_suffix(word) || self.is_common(word);
        if run.len() < 4 || whole(run) {
            return vec![run];
        }
        let mut pieces: Vec<&str> = Vec::new();
        let mut rest = run;
        while !rest.is_empty() {
            let long = (3..=rest.len()).rev().find(|&end| {
                rest.get(..end).is_some_and(|word| self.is_name(word) || self.is_long_suffix(word))
            });
            // Behind a name a letter begins a number or is one: galaxys23, typec. An
            // s is mostly that of several.
            let behind = pieces.last().copied().unwrap_or_default();
            let make = behind.len() > 3 && self.makes.contains_key(behind);
            let letter = (make || self.is_series(behind) && behind.len() > 2 && rest != "s")
                && (rest.len() == 1 || rest.len() == 2 && self.is_suffix(rest))
                && rest.is_ascii();
            let Some(end) = long.or(letter.then_some(rest.len())) else { return vec![run] };
            pieces.push(&rest[..end]);
            rest = &rest[end..];
        }
        pieces
    }
}

/// Whether one letter more, less, another one, or two in the other order make
/// one word of another.
fn one_slip(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    match (a, b) {
        ([], [_]) | ([_], []) | ([_], [_]) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_letters_are_cut_where_they_are_made_of_known_words() {
        for (run, pieces) in [
            ("promax", &["pro", "max"][..]),
            ("galaxys", &["galaxy", "s"]),
            ("typec", &["type", "c"]),
            ("iphonexs", &["iphone", "xs"]),
            ("iphone", &["iphone"]),
            ("airpods", &["airpods"]),
            ("svip", &["svip"]),
            ("javascript", &["javascript"]),
            ("promise", &["promise"]),
            ("product", &["product"]),
            ("notebook", &["note", "book"]),
            ("maximum", &["maximum"]),
            ("wine", &["wine"]),
            ("notes", &["notes"]),
            ("ems", &["ems"]),
        ] {
            assert_eq!(WORDS.pieces(run), pieces, "{run}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_the_name_that_was_meant() {
        for (typed, meant) in [
            ("ipone", Some("iphone")),
            ("iphnoe", Some("iphone")),
            ("iphoone", Some("iphone")),
            ("huwaei", Some("huawei")),
            ("iphone", None),
            ("phone", None),
            ("svip", None),
            ("ipads", None),
            ("kotlin", None),
        ] {
            assert_eq!(WORDS.meant(typed), meant, "{typed}");
        }
    }

    #[test]
    fn no_word_is_two_things() {
        let mut seen = HashSet::default();
        for line in items(CODES) {
            let mut words = line.split_whitespace();
            let kind = words.next().unwrap();
            assert!(
                ["make", "series", "suffix", "edition", "joined", "short", "common"].contains(&kind),
                "{line}"
            );
            if ["make", "series", "suffix"].contains(&kind) {
                words.for_each(|word| assert!(seen.insert(word), "{word} stands twice"));
            }
        }
    }
}
