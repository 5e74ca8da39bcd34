//! What does a release find when its own authors' questions are asked?
//!
//! The part of the health check (知识体检) that needs the matchers; what the
//! entries show by themselves is in [`crate::kb::check`]. The thresholds here
//! only choose what an author gets to see. No answer to a customer depends on
//! them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{Progress, Release};
use crate::decide::evidence::{CANDIDATES, Lists, rank};
use crate::error::{Error, Result};
use crate::kb::check::{Finding, Severity, sort};
use crate::kb::{Entry, EntryId};
use crate::retrieve::exact::Exact;
use crate::retrieve::{Except, Phrasing};
use crate::text::{Normalizer, grams};

/// Two phrasings are nearly the same from this cosine on. In the shipped
/// knowledge bases, which have no duplicates, the nearest pair of two entries
/// has 0.976, and the fourth 0.961: below that there are only alike trades.
const NEAR_COSINE: f32 = 0.96;

/// … or when they share this much of their characters and pairs, by idf. The
/// shipped pair with the most has 0.77 (“怎么开通…”, “怎么关闭…”), the next 0.65.
const NEAR_SHARE: f32 = 0.75;

/// A phrasing is confusable when another entry comes first by at least this
/// much, in the exponents of the common order.
/// In the shipped knowledge bases one phrasing in thirty is.
const CONFUSED_BY: f32 = 5.0;

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
    /// The nearest phrasings of other entries: cosine and share.
    near: Vec<(usize, Option<f32>, f32)>,
    /// Whether every word is a stop word or an asking one.
    general: bool,
}

/// Asks a release its own questions and says what an author should look at,
/// worst first.
///
/// # Errors
/// When a search fails, which is a defect of the release.
pub fn checkup(release: &Release, progress: Progress<'_>) -> Result<Vec<Finding>> {
    let phrasings = release.phrasings();
    let done = AtomicUsize::new(0);
    let asked: Vec<Asked> = (0..phrasings.len())
        .into_par_iter()
        .map(|index| {
            let asked = ask(release, index);
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(64) || count == phrasings.len() {
                progress("checkup", count, phrasings.len());
            }
            asked
        })
        .collect::<Result<_>>()?;
    let view =
        View { entries: release.entries(), phrasings, normalizer: release.analyzer().lexicon().normalizer() };
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
        let lexical = release.lexical().search(&query, CANDIDATES, except)?;
        let scan =
            release.semantic().zip(vector.as_ref()).map(|(semantic, vector)| semantic.scan(vector, except));
        let scale = release.calibrations().two.as_ref().map(|two| &two.scale);
        let ranked = rank(&Lists { query: &query, lexical: &lexical, semantic: scan.as_ref().zip(scale) });
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

    let mut near = Vec::new();
    if let Some(scan) = &scan {
        let others = scan.iter().flatten().map(|nearness| nearness.best);
        let others = others.filter(|candidate| candidate.entry != *own && candidate.score >= NEAR_COSINE);
        near.extend(
            others.map(|candidate| (candidate.phrasing, Some(candidate.score), share(candidate.phrasing))),
        );
    }
    for candidate in lexical.iter().filter(|candidate| candidate.entry != *own) {
        let share = share(candidate.phrasing);
        if share >= NEAR_SHARE && !near.iter().any(|(known, ..)| *known == candidate.phrasing) {
            near.push((candidate.phrasing, None, share));
        }
    }
    let general = !query.tokens.is_empty()
        && query.tokens.iter().all(|token| token.stop || ASKING_WORDS.contains(&token.text.as_str()));
    Ok(Asked { phrasing: index, lost_to, had_others, taken_by, near, general })
}

/// What findings are made from.
struct View<'a> {
    entries: &'a [Entry],
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

    /// Phrasings that retrieve another entry first.
    fn confusable(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        for one in asked {
            let Some((other, lead)) = one.lost_to.filter(|(_, lead)| *lead >= CONFUSED_BY) else { continue };
            let (own, other, text) = (self.id(self.entry_of(one)), self.id(other), self.text(one.phrasing));
            findings.push(Finding {
                severity: Severity::Info,
                code: "confusable",
                message: format!("顾客换个说法问“{text}”时，很可能先找到“{other}”而不是“{own}”"),
                fix: format!("给“{own}”补充与这个问法相近的说法；如果它其实是在问“{other}”，请移过去"),
                entries: vec![own, other],
                texts: vec![text],
                score: Some(lead),
            });
        }
    }

    /// Phrasings of different entries that are nearly the same: the nearest
    /// pair of every two entries.
    fn near_duplicates(&self, asked: &[Asked], findings: &mut Vec<Finding>) {
        let mut pairs: HashMap<(usize, usize), (f32, usize, usize)> = HashMap::new();
        for one in asked {
            for &(other, cosine, share) in &one.near {
                let score = cosine.unwrap_or(0.0).max(share);
                let (a, b) = (one.phrasing.min(other), one.phrasing.max(other));
                let key = (self.phrasings[a].entry, self.phrasings[b].entry);
                let best = pairs.entry(key).or_insert((score, a, b));
                if score > best.0 {
                    *best = (score, a, b);
                }
            }
        }
        let mut pairs: Vec<(f32, usize, usize)> = pairs.into_values().collect();
        pairs.sort_by_key(|&(_, a, b)| (a, b));
        for (score, a, b) in pairs {
            let (first, second) = (self.phrasings[a].entry, self.phrasings[b].entry);
            let same_answer = self.entries[first].answer.trim() == self.entries[second].answer.trim();
            let (first, second) = (self.id(first), self.id(second));
            let (one, other) = (self.text(a), self.text(b));
            let (code, message, fix) = if same_answer {
                (
                    "near_duplicate",
                    format!("“{one}”（{first}）与“{other}”（{second}）几乎是同一个问题，答案也一样"),
                    format!("把“{second}”的问法并入“{first}”，删除“{second}”"),
                )
            } else {
                (
                    "conflict",
                    format!("“{one}”（{first}）与“{other}”（{second}）几乎是同一个问题，答案却不同"),
                    "如果是同一个问题，合并并统一答案；如果不是，在问法里写明区别在哪里".to_owned(),
                )
            };
            findings.push(Finding {
                severity: Severity::Warning,
                code,
                entries: vec![first, second],
                texts: vec![one, other],
                score: Some(score),
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
                for phrasing in self.phrasings.iter().filter(|phrasing| phrasing.entry != index) {
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
