//! Which refusals are recorded, when somebody is refused again and again?
//!
//! Every attempt to sign in that has to wait is in the record of changes, and none can
//! fill it: the first of a minute is told at once, the others with their number when the
//! minute is over. So is whoever tries more names than one can keep apart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long refusals are gathered.
const MINUTE: Duration = Duration::from_secs(60);

/// Names that are kept apart; the refusals of all further ones are told together.
const MOST: usize = 32;

/// Who was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The tenant.
    pub tenant: String,
    /// Whose door it was, in the words of the record; empty for many.
    pub object: String,
}

/// Refusals of the same kind, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who was refused.
    pub whom: Refused,
    /// From which address; `None` for several.
    pub from: Option<IpAddr>,
    /// How often.
    pub times: u64,
}

/// Who was refused in the last minute.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Refused, Gathered>>);

#[derive(Debug)]
struct Gathered {
    began: Instant,
    from: Option<IpAddr>,
    times: u64,
}

impl Refusals {
    /// Notes a refusal. The first one of a minute is to be recorded at once.
    pub fn note(&self, whom: Refused, from: IpAddr, now: Instant) -> Option<Refusal> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let whom = if known.len() < MOST || known.contains_key(&whom) {
            whom
        } else {
            Refused { object: String::new(), ..whom }
        };
        if let Some(gathered) = known.get_mut(&whom) {
            gathered.from = match gathered.from {
                // The first one was recorded with its own address.
                _ if gathered.times == 0 => Some(from),
                known => known.filter(|known| *known == from),
            };
            gathered.times += 1;
            return None;
        }
        known.insert(whom.clone(), Gathered { began: now, from: None, times: 0 });
        Some(Refusal { whom, from: Some(from), times: 1 })
    }

    /// What is to be recorded now of minutes that are over; of all, when the process ends.
    pub fn due(&self, now: Instant, is_end: bool) -> Vec<Refusal> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = known
            .extract_if(|_, gathered| is_end || now.saturating_duration_since(gathered.began) >= MINUTE)
            .filter(|(_, gathered)| gathered.times > 0)
            .map(|(whom, Gathered { from, times, .. })| Refusal { whom, from, times });
        over.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let refusals = Refusals::default();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let whom = |name: &str| Refused { tenant: "default".to_owned(), object: format!("person {name}") };
        let start = Instant::now();
        let told = refusals.note(whom("王芳"), here, start).expect("the first");
        assert_eq!(told, Refusal { whom: whom("王芳"), from: Some(here), times: 1 });
        assert!((0..7).all(|_| refusals.note(whom("王芳"), here, start).is_none()));
        assert_eq!(refusals.note(whom("李雷"), here, start).expect("another name").times, 1);
        assert_eq!(refusals.due(start, false), []);
        let later = start + MINUTE;
        assert_eq!(refusals.due(later, false), [Refusal { whom: whom("王芳"), from: Some(here), times: 7 }]);
        assert_eq!(refusals.note(whom("王芳"), here, later).expect("a new minute").times, 1);
        assert!(refusals.note(whom("王芳"), here, later).is_none());
        assert!(refusals.note(whom("王芳"), there, later).is_none());
        assert_eq!(refusals.due(later, true), [Refusal { whom: whom("王芳"), from: None, times: 2 }]);
    }

    #[test]
    fn many_names_fill_nothing() {
        let refusals = Refusals::default();
        let (start, from) = (Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let whom = |object: String| Refused { tenant: "default".to_owned(), object };
        let told =
            (0..10_000).filter_map(|number| refusals.note(whom(format!("person {number}")), from, start));
        assert_eq!(told.count(), MOST + 1);
        let rest = refusals.due(start, true);
        let all: Vec<(&str, u64)> = rest.iter().map(|one| (one.whom.object.as_str(), one.times)).collect();
        assert_eq!(all, [("", 10_000 - MOST as u64 - 1)]);
    }
}
