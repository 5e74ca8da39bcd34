//! How does a sound input become one that nobody has thought of?
//!
//! Blocks are doubled, dropped, moved and cut, characters and numbers become
//! extreme ones, words of the format are put where they do not belong, two inputs
//! are spliced. What a generator of random bytes makes is refused at the first
//! byte; this gets as far as its sound rest carries it.

/// A generator of numbers that gives the same ones for the same seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("small")
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// What is extreme in any format.
const EXTREME: [&str; 44] = [
    "",
    "\0",
    "0",
    "-1",
    "1e999",
    "-1e999",
    "4294967296",
    "18446744073709551616",
    "9223372036854775808",
    "0.1e-400",
    "NaN",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u{feff}",
    "\u{200b}",
    "\u{2028}",
    "\u{10ffff}",
    "\u{301}",
    "𠮷",
    "👨‍👩‍👧‍👦",
    "ﷺ",
    "İ",
    "ß",
    "۱۲",
    "①",
    "<",
    ">",
    "&",
    "../",
    "%ff",
];

/// The longest that a mutated input gets: what is long must not be slow, and what
/// is longer is refused by its size.
const LONGEST: usize = 200_000;

/// An input made from sound ones; `words` are the format's own.
pub fn mutated(dice: &mut Dice, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        once(dice, &mut bytes, seeds, words);
        if bytes.len() > LONGEST {
            bytes.truncate(LONGEST);
        }
    }
    bytes
}

fn range(dice: &mut Dice, bytes: &[u8], most: usize) -> std::ops::Range<usize> {
    let from = dice.below(bytes.len() + 1);
    let length = dice.below(most.min(bytes.len() - from) + 1);
    from..from + length
}

fn once(dice: &mut Dice, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    match dice.below(11) {
        0 => {
            let cut = range(dice, bytes, 64);
            bytes.drain(cut);
        }
        1 => {
            let block = range(dice, bytes, 256);
            let copy = bytes[block.clone()].to_vec();
            let most = if dice.below(20) == 0 { 2_000 } else { 4 };
            let times = 1 + dice.below(most);
            bytes.splice(block.end..block.end, copy.repeat(times));
        }
        2 if !bytes.is_empty() => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        3 | 4 => {
            let place = range(dice, bytes, 8);
            let word = dice.one_of(&EXTREME);
            bytes.splice(place, word.bytes());
        }
        5 | 6 if !words.is_empty() => {
            let place = range(dice, bytes, 12);
            let word = dice.one_of(words);
            bytes.splice(place, word.bytes());
        }
        7 => number(dice, bytes),
        8 => {
            let other = &seeds[dice.below(seeds.len())];
            let taken = other[range(dice, other, 512)].to_vec();
            let place = range(dice, bytes, 64);
            bytes.splice(place, taken);
        }
        9 => bytes.truncate(dice.below(bytes.len() + 1)),
        _ => {
            let (one, two) = (range(dice, bytes, 64), range(dice, bytes, 64));
            let moved = bytes[one].to_vec();
            bytes.splice(two, moved);
        }
    }
}

/// Puts another number in the place of one.
fn number(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    if starts.is_empty() {
        return;
    }
    let from = starts[dice.below(starts.len())];
    let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let numbers = [
        "0",
        "1",
        "-1",
        "255",
        "65536",
        "99999999",
        "2147483648",
        "4294967295",
        "18446744073709551615",
        "1e308",
        "00",
    ];
    let other = dice.one_of(&numbers);
    bytes.splice(from..from + length, other.bytes());
}
