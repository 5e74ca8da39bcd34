//! How long do a million events take: to store, to count, to compact?
//!
//! usage: `cargo bench --bench events [-- N]`; N events over thirty days, 1,000,000 unless told.
//! Prints times, sizes and the largest resident memory of the process so far.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::path::Path;
use std::time::Instant;

use zhida::events::compact::maintain;
use zhida::events::stats::{Asked, By, stats};
use zhida::events::{Candidate, Day, Days, Event, Feedback, Kind, Log, Usage, tallied};

const DAYS: i64 = 30;

/// Numbers that are the same in every run and still all over the place.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn event(number: u64, count: u64, first: Day, dice: &mut Dice) -> Event {
    let day = first.plus(i64::try_from(number).unwrap_or(0) * DAYS / i64::try_from(count).unwrap_or(1));
    let at = day.start() + i64::try_from(dice.below(86_000_000)).unwrap_or(0);
    let entry = dice.below(5_000).min(dice.below(5_000));
    let (decision, reason) = match dice.below(10) {
        0..=5 => ("answer", "confident"),
        6..=7 => ("clarify", "ambiguous"),
        _ => ("handoff", "no_match"),
    };
    let text = format!("我上周买的第{}号商品想退，多久能到账", dice.below(40_000));
    Event {
        kind: Kind::Decision,
        at,
        // As it would have been made at that moment.
        trace_id: Some(format!("{at:012x}7{:03x}{:016x}", number % 4096, number)),
        kb: "shop".to_owned(),
        release: Some("12".to_owned()),
        conversation: Some(format!("c{:x}", number / 4)),
        channel: Some(["web", "wechat", "app"][usize::try_from(number % 3).unwrap_or(0)].to_owned()),
        normalized: Some(text.clone()),
        text: Some(text),
        decision: Some(decision.to_owned()),
        reason: Some(reason.to_owned()),
        entry: Some(format!("entry-{entry}")),
        topic: Some(format!("topic-{}", entry % 40)),
        confidence: Some(0.01 * dice.below(100) as f64),
        candidates: (0..5)
            .map(|at| Candidate { entry: format!("entry-{}", entry + at), confidence: 0.1 })
            .collect(),
        offered: Some(3),
        generation: Some(2),
        micros: Some(i64::try_from(500 + dice.below(3_000)).unwrap_or(0)),
        ..Event::default()
    }
}

fn bytes(folder: &Path) -> u64 {
    let items = std::fs::read_dir(folder).into_iter().flatten().flatten();
    items
        .map(|item| {
            let path = item.path();
            if path.is_dir() { bytes(&path) } else { path.metadata().map_or(0, |data| data.len()) }
        })
        .sum()
}

/// The largest resident memory so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn told<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    println!("{what:<40}{:>9.2} s   peak {:>5} MiB", start.elapsed().as_secs_f64(), peak());
    done
}

fn main() {
    let count: u64 = std::env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(1_000_000);
    let data = tempfile::tempdir().expect("a folder");
    let first = Day::today().plus(-DAYS - 1);
    let days = Days::new(first, first.plus(DAYS - 1)).expect("in order");
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let log = Log::open(data.path());
    told(&format!("store {count} events"), || {
        for number in 0..count {
            let event = event(number, count, first, &mut dice);
            let word = Feedback { solved: Some(number % 40 == 0), ..Feedback::default() };
            let later = Event { at: event.at + 60_000, ..Event::feedback(&event, word) };
            log.append(event).expect("stored");
            if number % 20 == 0 {
                log.append(later).expect("stored");
            }
        }
    });
    drop(log);
    let size = |what: &str| println!("{what:<40}{:>9} MiB", bytes(data.path()) >> 20);
    size("segments");
    let log = Log::open(data.path());
    let asked = Asked { kb: "shop", days, by: Some(By::Day), entries: &[] };
    let segments = told("figures by day, from segments", || stats(&log, asked).expect("figures"));
    let made = told("compaction of all days", || maintain(data.path(), false).expect("compacted"));
    println!("{:<40}{:>9}", "days, events in them", format!("{}, {}", made.compacted.len(), made.events));
    size("Parquet files");
    let files = told("figures by day, from Parquet files", || stats(&log, asked).expect("figures"));
    assert_eq!(segments, files, "the same figures from both");
    let week = Days::new(days.to.plus(-6), days.to).expect("in order");
    told("figures of a week", || stats(&log, Asked { days: week, ..asked }).expect("figures"));
    let usage = told("usage", || Usage::of(days, &tallied(&log, days, None).expect("usage"), Vec::new()));
    assert_eq!(usage.questions, count);
}
