//! What is a group of open questions about, and what is to be done?
//!
//! The present release is asked about the group's wordings; what customers and
//! agents said counts more than what it thinks. Either an entry is meant, and
//! gets a phrasing; or none is, and there should be one; or the one that answers
//! now helps others and not these; or it is no matter of the business at all.

use std::collections::{BTreeMap, HashMap};

use super::entries::owner;
use super::{Group, Kind, Near, Suggestion, Trial};
use crate::decide::Decision;
use crate::engine::{Engine, Options};
use crate::error::{Error, Result};
use crate::events::{Day, Days};
use crate::kb::EntryId;
use crate::learn::asked::{Asked, Votes};
use crate::learn::groups::Grouped;
use crate::text::{exact_key, grams};

/// From this mean probability on an entry is suggested as the right one; below,
/// the author is asked.
const CLEAR: f64 = 0.5;

/// Below this it is likelier that nothing in the knowledge base is meant.
const NOTHING: f64 = 0.3;

/// Wordings of a group that the engine is asked about.
const ASKED: usize = 5;

/// Examples, and near entries, that are shown.
pub(super) const SHOWN: usize = 5;

/// What is only a keyword has no more characters than these.
const KEYWORD_CHARS: usize = 6;

/// Customers who say that an entry does not help, and others who say that it does,
/// before it is suspected to be two.
const SPLIT: u64 = 3;

/// Small talk has no more characters than these.
const TALK_CHARS: usize = 10;

/// Characters that say nothing of a matter, whatever knows them.
const PARTICLES: &str = "了吗呢吧啊呀的地得是我你您他她它这那有在不没也都就还和很太";

/// Whom small talk is addressed to.
const ADDRESSED: [&str; 7] = ["你", "您", "妳", "机器人", "客服", "小姐姐", "亲"];

/// What the engine says of a group.
pub(super) struct Look {
    nearest: Vec<Near>,
    /// By member that was asked: the entry that it is answered with now.
    answers: HashMap<usize, Option<String>>,
    /// What was said for entries.
    votes: BTreeMap<String, Votes>,
}

impl Look {
    pub(super) fn of(engine: &Engine, group: &Grouped, asked: &[&Asked]) -> Result<Self> {
        let entries = engine.release().entries();
        let mut sums: HashMap<usize, f64> = HashMap::new();
        let mut answers = HashMap::new();
        let mut total = 0.0;
        for &at in group.members.iter().take(ASKED) {
            let outcome = match engine.answer(&asked[at].text, Options::default()) {
                Ok(outcome) => outcome,
                Err(Error::Question(_)) => continue,
                Err(e) => return Err(e),
            };
            let count = asked[at].count as f64;
            total += count;
            for scored in &outcome.candidates {
                *sums.entry(scored.entry).or_default() += count * scored.confidence.value();
            }
            let answer = outcome.best().filter(|_| outcome.decision == Decision::Answer);
            answers.insert(at, answer.map(|best| entries[best.entry].id.0.clone()));
        }
        let mut nearest: Vec<(usize, f64)> =
            sums.into_iter().map(|(entry, sum)| (entry, sum / total)).collect();
        nearest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        nearest.truncate(SHOWN);
        let nearest = nearest
            .into_iter()
            .map(|(entry, confidence)| Near {
                entry: entries[entry].id.0.clone(),
                question: entries[entry].question.clone(),
                confidence,
            })
            .collect();
        let mut votes: BTreeMap<String, Votes> = BTreeMap::new();
        for (entry, own) in group.members.iter().flat_map(|&at| &asked[at].votes) {
            let sum = votes.entry(entry.clone()).or_default();
            sum.clicked += own.clicked;
            sum.agents += own.agents;
            sum.solved += own.solved;
            sum.unsolved += own.unsolved;
        }
        Ok(Self { nearest, answers, votes })
    }

    /// Whether everything that was asked is answered now, and nobody complained.
    fn is_answered(&self) -> bool {
        let complained = self.votes.values().any(|votes| votes.unsolved > votes.solved);
        !complained && !self.answers.is_empty() && self.answers.values().all(Option::is_some)
    }

    /// Whether customers said that an entry does not help.
    fn is_refuted(&self, entry: &str) -> bool {
        self.votes.get(entry).is_some_and(|votes| votes.weight() < 0.0)
    }

    /// The entry that most say does not help here.
    fn refuted(&self) -> Option<(&str, Votes)> {
        let refuted = self.votes.iter().filter(|(_, votes)| votes.weight() < 0.0);
        refuted.max_by_key(|(_, votes)| votes.unsolved).map(|(id, votes)| (id.as_str(), *votes))
    }

    /// What to do; `passed_over` says whether customers were shown what comes nearest
    /// and took nothing.
    fn proposal(&self, passed_over: bool) -> &'static str {
        let best = self.nearest.first().map_or(0.0, |near| near.confidence);
        let is_taken = self.votes.values().any(|votes| votes.clicked + votes.agents > 0);
        match best {
            _ if self.is_answered() => "answered",
            best if best >= CLEAR && (is_taken || !passed_over) => "similar",
            best if best >= NOTHING => "ask",
            _ => "entry",
        }
    }
}

/// A group for authors.
pub(super) fn told(engine: &Engine, group: &Grouped, look: &Look, asked: &[&Asked], today: Day) -> Group {
    let members = || group.members.iter().map(|&at| asked[at]);
    let sum = |of: fn(&Asked) -> u64| members().map(of).sum::<u64>();
    let between = |from: i64, to: i64| {
        Days::new(today.plus(from), today.plus(to))
            .map_or(0, |days| members().map(|asked| asked.between(days)).sum())
    };
    Group {
        id: group.id.clone(),
        title: members().next().map(|asked| asked.text.clone()).unwrap_or_default(),
        count: sum(|asked| asked.count),
        trend: [between(-6, 0), between(-13, -7)],
        questions: group.members.len(),
        unanswered: sum(|asked| asked.unanswered),
        asked_back: sum(|asked| asked.asked_back),
        disliked: sum(|asked| asked.disliked),
        last: members().map(|asked| asked.last).max().unwrap_or_default(),
        examples: members().take(SHOWN).map(|asked| asked.text.clone()).collect(),
        nearest: look.nearest.clone(),
        proposal: match look.proposal(sum(|asked| asked.asked_back) > 0) {
            "similar" | "ask" | "entry" if members().all(|asked| owner(engine, &asked.text).is_some()) => {
                "outdated"
            }
            proposal => proposal,
        },
    }
}

/// What to do about a group.
pub(super) fn of_group(
    engine: &Engine,
    group: &Grouped,
    look: &Look,
    asked: &[&Asked],
    said: &BTreeMap<&str, Votes>,
) -> Option<Suggestion> {
    let release = engine.release();
    let all = Asked { votes: look.votes.clone(), ..Asked::default() };
    let confirmed =
        all.confirmed().filter(|(entry, _)| release.position(&EntryId((*entry).to_owned())).is_some());
    if confirmed.is_none() && look.is_answered() {
        return None;
    }
    let nearest = look.nearest.iter().find(|near| !look.is_refuted(&near.entry));
    let target = match confirmed {
        Some((entry, _)) => Some(entry.to_owned()),
        None => nearest.filter(|near| near.confidence >= NOTHING).map(|near| near.entry.clone()),
    };
    // The wording that is not answered with it yet; one that was not asked about
    // is taken to be none.
    let missing = |at: &&usize| {
        let answer = look.answers.get(*at).cloned().flatten();
        answer.is_none() || answer != target
    };
    // What is stored belongs to its entry, and what it lacks is a better answer.
    let stored = |text: &str| owner(engine, text);
    let is_new = |at: &&usize| stored(&asked[**at].text).is_none();
    let lacking = || group.members.iter().filter(missing);
    let place = *lacking().find(is_new).or_else(|| lacking().next())?;
    let text = asked[place].text.clone();
    let members = || group.members.iter().map(|&at| asked[at]);
    let sum = |of: fn(&Asked) -> u64| members().map(of).sum::<u64>();
    let count = sum(|asked| asked.count);
    let mut why = format!("问了 {count} 次，{} 种问法", group.members.len());
    for (number, what) in [
        (sum(|asked| asked.unanswered), "次没有答案"),
        (sum(|asked| asked.asked_back), "次反问后没有选"),
        (sum(|asked| asked.disliked), "次回答后没有解决"),
    ] {
        if number > 0 {
            why.push_str(&format!("；{number} {what}"));
        }
    }
    if let Some((_, votes)) = confirmed {
        for (number, what) in [(votes.clicked, "次客户选了它"), (votes.agents, "次坐席发了它")] {
            if number > 0 {
                why.push_str(&format!("；{number} {what}"));
            }
        }
    }
    // Who was asked back has seen what comes nearest, and has not taken it.
    let is_passed_over = confirmed.is_none() && sum(|asked| asked.asked_back) > 0;
    let sure = confirmed.is_some() || !is_passed_over && nearest.is_some_and(|near| near.confidence >= CLEAR);
    if is_passed_over && target.is_some() {
        why.push_str("；没有人选过这个条目，请先看是不是它");
    }
    let core = release.analyzer().normalize(&text).core;
    let words = release.analyzer().segment(&core).into_iter().filter(|token| !token.stop).count();
    // Whom these were answered with, who helps others.
    let of = look.refuted().filter(|(id, here)| {
        let helped = said.get(id).map_or(0, |all| all.solved - all.solved.min(here.solved));
        here.unsolved >= SPLIT && helped >= SPLIT
    });
    let kind = match &target {
        None if is_talk(engine, members()) => Kind::SmallTalk,
        None if of.is_some() => Kind::Split,
        None => Kind::Entry,
        Some(_) if sure && words == 1 && core.chars().count() <= KEYWORD_CHARS => Kind::Keyword,
        Some(_) => Kind::Similar,
    };
    let of = of.filter(|_| kind == Kind::Split);
    // An entry keeps its own question, whoever is not helped by it.
    let text = match of.and_then(|(id, _)| release.entry(&EntryId(id.to_owned()))) {
        None => text,
        Some(entry) => {
            let own = exact_key(&entry.question);
            let goes = |asked: &&Asked| {
                exact_key(&asked.text) != own && stored(&asked.text).is_none_or(|owner| owner.id == entry.id)
            };
            members().find(goes)?.text.clone()
        }
    };
    if kind != Kind::Split && stored(&text).is_some() {
        return None;
    }
    let (mut for_it, mut against) = (0, 0);
    for (entry, votes) in &look.votes {
        if target.as_ref() == Some(entry) {
            for_it += votes.clicked + votes.agents;
            against += votes.unsolved;
        } else {
            against += votes.clicked + votes.agents + votes.solved;
        }
    }
    let of = of.map(|(id, here)| {
        why.push_str(&format!("；“{id}”帮到了别的问法，{} 次没有帮到这些", here.unsolved));
        id.to_owned()
    });
    let target = target.or(of);
    let draft =
        matches!(kind, Kind::Entry | Kind::Split | Kind::SmallTalk).then(|| draft(members())).flatten();
    Some(Suggestion {
        id: Suggestion::id_of(kind, target.as_deref(), &text),
        kind,
        other: None,
        examples: members()
            .filter(|asked| {
                // A split takes what the entry has; no other one can.
                let of = target.as_ref().filter(|_| kind == Kind::Split);
                asked.text != text && stored(&asked.text).is_none_or(|owner| of == Some(&owner.id.0))
            })
            .take(SHOWN)
            .map(|asked| asked.text.clone())
            .collect(),
        entry: target,
        text,
        count,
        gain: 0,
        harm: 0,
        sure,
        confirmed: for_it,
        against,
        why,
        draft,
        halves: None,
        nearest: look.nearest.clone(),
        group: Some(group.id.clone()),
        trial: Trial::default(),
    })
}

/// What agents answered: the reply that they gave most, then the longest.
pub(super) fn draft<'a>(asked: impl Iterator<Item = &'a Asked>) -> Option<String> {
    let mut replies: BTreeMap<&str, usize> = BTreeMap::new();
    asked.flat_map(|asked| &asked.replies).for_each(|reply| *replies.entry(reply).or_default() += 1);
    let best = replies.into_iter().max_by_key(|(reply, count)| (*count, reply.chars().count()));
    best.map(|(reply, _)| reply.to_owned())
}

/// Whether questions are no matter of the business: short, with no word that the
/// knowledge base knows, and said to whoever answers or to nobody.
fn is_talk<'a>(engine: &Engine, asked: impl Iterator<Item = &'a Asked>) -> bool {
    let (analyzer, statistics) = (engine.release().analyzer(), engine.release().lexical().statistics());
    let visible = statistics.without(std::iter::empty());
    // A character says little; of longer words a pair of them must be there.
    let knows = |word: &str| {
        let least = word.chars().count().min(2);
        grams(word).iter().any(|gram| gram.chars().count() >= least && visible.knows(gram))
    };
    let (mut talk, mut all) = (0, 0);
    for asked in asked {
        let core = analyzer.normalize(&asked.text).core;
        let words = analyzer.segment(&core).into_iter().filter(|token| !token.stop);
        let strange = words
            .map(|token| token.canonical)
            .filter(|word| !word.chars().all(|c| PARTICLES.contains(c)))
            .all(|word| !knows(&word));
        let addressed = ADDRESSED.iter().any(|whom| asked.text.contains(whom));
        let bare = analyzer.segment(&core).iter().all(|token| token.stop);
        all += 1;
        talk += usize::from(core.chars().count() <= TALK_CHARS && strange && (addressed || bare));
    }
    // Three in four of the wordings.
    4 * talk >= 3 * all && all > 0
}
