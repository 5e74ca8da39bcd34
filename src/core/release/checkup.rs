//! What does a release find when its own authors' questions are asked?
//!
//! The part of the health check (知识体检) that needs the matchers; what the
//! entries show by themselves is in [`crate::kb::check`]. The thresholds here
//! only choose what an author gets to see. No answer to a customer depends on
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{Progress, Release};
use crate::decide::evidence::{CANDIDATES, Lists, Yardstick, rank};
use crate::error::{Error, Result};
use crate::kb::check::{Finding, Severity, sort};
use crate::kb::{Entry, EntryId};
use crate::retrieve::exact::Exact;
use crate::retrieve::{Candidate, Except, Phrasing};
use crate::text::{Normalizer, Query, exact_key, grams};

/// Phrasings of two entries are worth a look from this cosine on: five pairs
/// of the three shipped knowledge bases are, none of them a duplicate.
const ALIKE_COSINE: f32 = 0.96;

/// … or when they share this much of their characters and pairs, by idf. The
/// shipped pair with the most has 0.77 (“怎么开通…”, “怎么关闭…”), the next 0.65.
const ALIKE_SHARE: f32 = 0.75;

/// Phrasings that are alike say the same when their words, synonyms counted as
/// one and stop words left out, agree in this much of their weight, and …
const SAME_WORDS_SHARE: f32 = 0.85;

/// … the model puts them this near. Without this, one word that turns the
/// matter round (“支付密码”, “登录密码”) would pass for nothing.
const SAME_COSINE: f32 = 0.97;

/// How many of the nearest entries are compared word by word.
const COMPARED: usize = 5;

/// A phrasing is lost to another entry that comes first by at least this much,
/// in the exponents of the common order …
const LOST_BY: f32 = 5.5;

/// … and one alone is worth a finding from this much on: several that are lost
/// to the same entry show a border that customers cross, one shows it only
/// when it is far across. In the shipped knowledge bases about one entry in
/// ten has such a neighbour.
const LOST_FAR: f32 = 6.7;

/// An entry is scattered when all its phrasings are lost by at least this.
const SCATTERED_BY: f32 = 3.0;

/// Without a model, a phrasing that shares less than this with the winner's
/// says only that the words differ, not that the entries are confused.
const SAME_WORDS: f32 = 0.4;

/// Words of questions that are about nothing yet.
const ASKING_WORDS: [&str; 20] = [
    "怎么",
    "怎么办",
    "怎样",
    "咋办",
    "咋",
    "如何",
    "什么",
    "为什么",
    "多少",
    "哪里",
    "哪儿",
    "可以",
    "能",
    "吗",
    "弄",
    "办",
    "问题",
    "咨询",
    "帮忙",
    "问",
];

/// What asking one phrasing showed.
struct Asked {
    phrasing: usize,
    /// With the phrasing hidden: the entry that came first, by how much, when it is not its own.
    lost_to: Option<(usize, f32)>,
    /// Whether its own entry was still found, when it has other phrasings.
    had_others: bool,
    /// The entry that comes first although nothing is hidden.
    taken_by: Option<usize>,
    /// Phrasings of other entries that are alike.
    alike: Vec<Alike>,
    /// Whether every word is a stop word or an asking one.
    general: bool,
}

/// Two phrasings of different entries that are alike.
#[derive(Clone)]
struct Alike {
    other: usize,
    /// The higher one of cosine and share.
    score: f32,
    /// Words that only this phrasing has, and only the other one.
    apart: [Vec<String>; 2],
    /// Whether they say the same.
    same: bool,
}

/// Asks a release its own questions and says what an author should look at,
/// worst first.
///
/// # Errors
/// When a search fails, which is a defect of the release.
pub fn checkup(release: &Release, progress: Progress<'_>) -> Result<Vec<Finding>> {
    checkup_of(release, &vec![true; release.entries().len()], progress)
}

/// The same for some of the entries, those that `chosen` holds `true` for:
/// only their phrasings are asked, of all entries.
///
/// # Errors
/// Like [`checkup`].
pub fn checkup_of(release: &Release, chosen: &[bool], progress: Progress<'_>) -> Result<Vec<Finding>> {
    let phrasings = release.phrasings();
    let indices: Vec<usize> = (0..phrasings.len()).filter(|&index| chosen[phrasings[index].entry]).collect();
    let done = AtomicUsize::new(0);
    let asked: Vec<Asked> = indices
        .par_iter()
        .map(|&index| {
            let asked = ask(release, index);
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(64) || count == indices.len() {
                progress("checkup", count, indices.len());
            }
            asked
        })
        .collect::<Result<_>>()?;
    let normalizer = release.analyzer().lexicon().normalizer();
    let view = View { entries: release.entries(), chosen, phrasings, normalizer };
    let mut findings = Vec::new();
    view.not_found(&asked, &mut findings);
    view.confusable(&asked, &mut findings);
    view.near_duplicates(&asked, &mut findings);
    view.general(&asked, &mut findings);
    view.rules(&mut findings)?;
    sort(&mut findings);
    Ok(findings)
}

fn ask(release: &Release, index: usize) -> Result<Asked> {
    let phrasings = release.phrasings();
    let Phrasing { entry: own, text, normalized } = &phrasings[index];
    let query = release.analyzer().analyze(text, normalized.clone());
    let vector = release.semantic().map(|semantic| semantic.vectors().row(index));
    let first = |except| -> Result<_> {
        let lexical = release.lexical().search(&query, CANDIDATES, except);
        let scan =
            release.semantic().zip(vector.as_ref()).map(|(semantic, vector)| semantic.scan(vector, except));
        let scale = release.calibrations().two.as_ref().map(|two| &two.scale);
        let lists =
            Lists { query: &query, lexical: &lexical, semantic: scan.as_ref().zip(scale), encoder: None };
        let ranked = rank(&lists, &Yardstick::new(release.known(), &query, except));
        Ok((lexical, scan, ranked))
    };
    let (_, _, whole) = first(Except::Nothing)?;
    let taken_by = whole.first().map(|item| item.entry).filter(|entry| entry != own);

    let (lexical, scan, ranked) = first(Except::Phrasing(index))?;
    let had_others = phrasings.iter().filter(|phrasing| phrasing.entry == *own).count() > 1;
    let mine = grams(&normalized.core);
    let visible = release.lexical().statistics().without(std::iter::empty());
    let idf = |gram: &String| visible.idf(gram);
    let weight: f32 = mine.iter().map(idf).sum();
    let share = |other: usize| {
        let theirs = grams(&phrasings[other].normalized.core);
        let common: f32 = mine.iter().filter(|gram| theirs.contains(gram)).map(idf).sum();
        let all = weight + theirs.iter().map(idf).sum::<f32>();
        if all > 0.0 { 2.0 * common / all } else { 0.0 }
    };
    let telling =
        |phrasing: Option<usize>| scan.is_some() || phrasing.is_some_and(|other| share(other) >= SAME_WORDS);
    let lost_to =
        ranked.first().filter(|item| had_others && item.entry != *own && telling(item.worded)).map(|best| {
            let own_score: f32 = ranked.iter().find(|item| item.entry == *own).map_or(0.0, |item| item.score);
            (best.entry, best.score - own_score)
        });

    // By meaning and by characters, the nearest of both.
    let mut others: BTreeMap<usize, Option<f32>> = BTreeMap::new();
    let foreign = |candidate: &Candidate| candidate.entry != *own;
    if let Some(scan) = &scan {
        let nearest = scan.top(COMPARED + 1);
        others.extend(nearest.iter().filter(|c| foreign(c)).map(|c| (c.phrasing, Some(c.score))));
    }
    for found in lexical.iter().filter(|found| foreign(&found.best)).take(COMPARED) {
        others.entry(found.best.phrasing).or_insert(None);
    }
    let words = words_of(&query);
    let mut alike = Vec::new();
    for (other, cosine) in others {
        let cosine = cosine.or_else(|| {
            let vectors = release.semantic()?.vectors();
            let (one, other) = (vector.as_ref()?.as_slice(), vectors.row(other));
            Some(one.iter().zip(other.as_slice()).map(|(a, b)| a * b).sum())
        });
        let phrasing = &phrasings[other];
        let theirs = words_of(&release.analyzer().analyze(&phrasing.text, phrasing.normalized.clone()));
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        let apart = [only(&words, &theirs), only(&theirs, &words)];
        let weight = |words: &mut dyn Iterator<Item = &String>| -> f32 {
            words.map(|word| grams(word).iter().map(idf).sum::<f32>()).sum()
        };
        let common = weight(&mut words.intersection(&theirs));
        let agreement = common / weight(&mut words.union(&theirs)).max(f32::MIN_POSITIVE);
        let same_words = !words.is_empty() && letters_of(&words) == letters_of(&theirs);
        let near = cosine.is_some_and(|cosine| cosine >= SAME_COSINE) && agreement >= SAME_WORDS_SHARE;
        let share = share(other);
        let score = cosine.unwrap_or(0.0).max(share);
        if same_words || near || share >= ALIKE_SHARE || cosine.is_some_and(|cosine| cosine >= ALIKE_COSINE) {
            alike.push(Alike { other, score, apart, same: same_words || near });
        }
    }
    let general = !query.tokens.is_empty()
        && query.tokens.iter().all(|token| token.stop || ASKING_WORDS.contains(&token.text.as_str()));
    Ok(Asked { phrasing: index, lost_to, had_others, taken_by, alike, general })
}

/// The words of a question, those that stand for their groups, without stop words.
fn words_of(query: &Query) -> BTreeSet<String> {
    query.tokens.iter().filter(|token| !token.stop).map(|token| token.canonical.clone()).collect()
}

/// The characters of some words. The same ones may be cut in another way when
/// they stand in another order (“开发票”, “发票怎么开”).
fn letters_of(words: &BTreeSet<String>) -> Vec<char> {
    let mut letters: Vec<char> = words.iter().flat_map(|word| word.chars()).collect();
    letters.sort_unstable();
    letters
}

/// What findings are made from.
struct View<'a> {
    entries: &'a [Entry],
    /// Which of them are looked at.
    chosen: &'a [bool],
    phrasings: &'a [Phrasing],
    normalizer: &'a Normalizer,
}

impl View<'_> {
    fn id(&self, entry: usize) -> EntryId {
        self.entries[entry].id.clone()
    }

    fn text(&self, phrasing: usize) -> String {
        self.phrasings[phrasing].text.clone()
    }

    fn entry_of(&self, asked: &Asked) -> usize {
        self.phrasings[asked.phrasing].entry
    }

    /// Entries that do not find themselves.
    fn not_found(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        for one in asked {
            let Some(other) = one.taken_by else { continue };
            let (own, other, text) = (self.id(self.entry_of(one)), self.id(other), self.text(one.phrasing));
            findings.push(Finding {
                severity: Severity::Warning,
                code: "not_found",
                message: format!("拿问法“{text}”去检索，排在第一的是“{other}”，不是“{own}”自己"),
                fix: format!("把这个问法写得更具体，或检查“{other}”里是否有几乎相同的问法"),
                entries: vec![own, other],
                texts: vec![text],
                score: None,
            });
        }
        let mut of_entry: HashMap<usize, (usize, usize)> = HashMap::new();
        for one in asked.iter().filter(|one| one.had_others) {
            let (all, lost) = of_entry.entry(self.entry_of(one)).or_default();
            *all += 1;
            *lost += usize::from(one.lost_to.is_some_and(|(_, lead)| lead >= SCATTERED_BY));
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(&(all, lost)) = of_entry.get(&index) else { continue };
            if lost == all {
                findings.push(Finding {
                    severity: Severity::Info,
                    code: "scattered",
                    entries: vec![entry.id.clone()],
                    texts: Vec::new(),
                    score: None,
                    message: format!("{all} 个问法互相都找不到：去掉任何一个，其余的都不能把它带回这个条目"),
                    fix: "这些问法说法差别太大或太少：补充 3～5 个顾客常用的说法，或拆成几个条目".to_owned(),
                });
            }
        }
    }

    /// Phrasings that retrieve another entry first, by the two entries.
    fn confusable(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        let mut borders: BTreeMap<(usize, usize), Vec<(f32, usize)>> = BTreeMap::new();
        for one in asked {
            if let Some((other, lead)) = one.lost_to.filter(|(_, lead)| *lead >= LOST_BY) {
                borders.entry((self.entry_of(one), other)).or_default().push((lead, one.phrasing));
            }
        }
        let mut found = Vec::new();
        for ((own, other), mut lost) in borders {
            lost.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let lead = lost.first().map_or(0.0, |(lead, _)| *lead);
            if lost.len() < 2 && lead < LOST_FAR {
                continue;
            }
            let (own, other) = (self.id(own), self.id(other));
            let texts: Vec<String> = lost.iter().map(|(_, phrasing)| self.text(*phrasing)).collect();
            let quoted = texts.iter().map(|text| format!("“{text}”")).collect::<Vec<_>>().join("、");
            found.push(Finding {
                severity: Severity::Info,
                code: "confusable",
                message: format!("顾客用{quoted}这样的说法提问时，很可能先找到“{other}”而不是“{own}”"),
                fix: format!("给“{own}”补充与这些问法相近的说法；其实是在问“{other}”的，请移过去"),
                entries: vec![own, other],
                texts,
                score: Some(lead),
            });
        }
        found.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)));
        findings.extend(found);
    }

    /// Phrasings of different entries that say the same, or nearly: the
    /// nearest pair of every two entries.
    fn near_duplicates(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        let mut pairs: BTreeMap<(usize, usize), (usize, Alike)> = BTreeMap::new();
        for one in asked {
            for alike in &one.alike {
                let (own, other) = (self.entry_of(one), self.phrasings[alike.other].entry);
                // Both phrasings may have found each other: once is enough.
                let (key, mut pair) = ((own.min(other), own.max(other)), (one.phrasing, alike.clone()));
                if own > other {
                    pair.1.apart.reverse();
                    (pair.0, pair.1.other) = (alike.other, one.phrasing);
                }
                let rank = |pair: &(usize, Alike)| (pair.1.same, pair.1.score);
                match pairs.get_mut(&key) {
                    Some(known) if rank(known) >= rank(&pair) => {}
                    Some(known) => *known = pair,
                    None => {
                        pairs.insert(key, pair);
                    }
                }
            }
        }
        for ((first, second), (phrasing, alike)) in pairs {
            let plain = |entry: usize| exact_key(&self.entries[entry].answer);
            let same_answer = plain(first) == plain(second);
            let (first, second) = (self.id(first), self.id(second));
            let (one, other) = (self.text(phrasing), self.text(alike.other));
            let both = format!("“{one}”（{first}）与“{other}”（{second}）");
            let (severity, code, message, fix) = match (alike.same, same_answer) {
                (true, true) => (
                    Severity::Warning,
                    "near_duplicate",
                    format!("{both}是同一个问题，答案也一样"),
                    format!("把“{second}”的问法并入“{first}”，删除“{second}”"),
                ),
                (true, false) => (
                    Severity::Warning,
                    "conflict",
                    format!("{both}是同一个问题，答案却不同"),
                    "如果是同一个问题，合并并统一答案；如果不是，在问法里写明区别在哪里".to_owned(),
                ),
                (false, _) => (
                    Severity::Info,
                    "alike",
                    format!("{both}很像，{}", difference(&alike.apart)),
                    "自测时分得开，照常回答。如果这点区别顾客说得出来，可以不管；如果说不出来，请合并"
                        .to_owned(),
                ),
            };
            findings.push(Finding {
                severity,
                code,
                entries: vec![first, second],
                texts: vec![one, other],
                score: Some(alike.score),
                message,
                fix,
            });
        }
    }

    /// Phrasings that any entry could have.
    fn general(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        for one in asked.iter().filter(|one| one.general) {
            let text = self.text(one.phrasing);
            findings.push(Finding {
                severity: Severity::Warning,
                code: "general_phrasing",
                entries: vec![self.id(self.entry_of(one))],
                message: format!("问法“{text}”太笼统，没有说是什么事"),
                texts: vec![text],
                score: None,
                fix: "写明是哪件事，或删除这个问法".to_owned(),
            });
        }
    }

    /// Rules that fire on another entry's phrasing. A phrasing itself is safe,
    /// the very question comes before rules, but its variants are not.
    fn rules(&self, findings: &mut Vec<Finding>) -> Result<()> {
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.rules.is_empty()) {
            let mut named = HashSet::new();
            for rule in &entry.rules {
                let only = Entry { keywords: Vec::new(), rules: vec![rule.clone()], ..entry.clone() };
                let matcher =
                    Exact::new(&[only], &[], self.normalizer).map_err(|e| Error::internal("rules", e))?;
                let concerns = |entry: usize| entry != index && (self.chosen[index] || self.chosen[entry]);
                for phrasing in self.phrasings.iter().filter(|phrasing| concerns(phrasing.entry)) {
                    if matcher.find(&phrasing.normalized, |_| true).is_none()
                        || !named.insert(phrasing.text.as_str())
                    {
                        continue;
                    }
                    let (own, other, text) =
                        (entry.id.clone(), self.id(phrasing.entry), phrasing.text.clone());
                    findings.push(Finding {
                        severity: Severity::Warning,
                        code: "rule_takes_other",
                        message: format!(
                            "“{own}”的规则也会抓住“{other}”的问法“{text}”；顾客稍换说法就会得到“{own}”的答案"
                        ),
                        fix: "给规则加上 without（不含）词，或写得更具体".to_owned(),
                        entries: vec![own, other],
                        texts: vec![text],
                        score: None,
                    });
                }
            }
        }
        Ok(())
    }
}

/// In which words two phrasings differ.
fn difference(apart: &[Vec<String>; 2]) -> String {
    let [ours, theirs] = apart.each_ref().map(|words| words.join("、"));
    match (ours.is_empty(), theirs.is_empty()) {
        (false, false) => format!("区别在“{ours}”和“{theirs}”"),
        (false, true) => format!("区别只在前者多了“{ours}”"),
        (true, false) => format!("区别只在后者多了“{theirs}”"),
        (true, true) => "用词相同".to_owned(),
    }
}
