//! What happened on other nodes, whose events lie in folders of their own?
//!
//! Every node stores what it decides in its own data directory. Figures and the loop of
//! learning are about all of them, so whoever reads a [`Log`](super::Log) that was told of
//! [`Others`] reads theirs beside its own, in the order in which things happened. A node
//! that cannot be asked, or breaks off, is named in [`Read::missing`]: figures say what
//! they lack. What is looked at again and again is asked for as sums ([`Sums`]).

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::vec::IntoIter;

use super::day::{Day, Days};
use super::drift::ByBase;
use super::folder;
use super::record::Event;
use super::wanted::{Read, Wanted};
use crate::error::Result;

/// Nodes whose events belong to the same figures.
pub trait Others: Send + Sync {
    /// Begins to read what each of them has, but for those who read the same folder: its
    /// name is that of [`Log::name`](super::Log::name).
    fn read(&self, folder: Option<&str>, wanted: &Wanted<'_>) -> Vec<Theirs>;

    /// The decision that a trace id names, if one of them has made it.
    fn find(&self, trace_id: &str) -> Option<Event>;

    /// What the days of a span add up to at each of them, from the day on that `from` says
    /// of a node; those who cannot be asked are named too.
    fn sums(&self, span: Days, from: &dyn Fn(&str) -> Day) -> Vec<Summed>;

    /// A number that is another one when somebody has come or gone since.
    fn turns(&self) -> u64;

    /// How this one is called among them.
    fn name(&self) -> &str;
}

/// What one of them has told of its sums.
#[derive(Debug)]
pub struct Summed {
    /// How it is called.
    pub node: String,
    /// What it has told; `None` when it could not be asked.
    pub told: Option<Sums>,
}

/// What questions add up to.
#[derive(Debug)]
pub struct Sums {
    /// The folder that they lie in, as [`Log::name`](super::Log::name) calls it; `None`
    /// where nothing has happened.
    pub folder: Option<String>,
    /// By knowledge base and day.
    pub sums: ByBase,
    /// Whether whoever tells them looks at them too, and tells its operator.
    pub watches: bool,
}

/// What one of them has.
pub struct Theirs {
    /// How it is called.
    pub node: String,
    /// What it tells, as it comes; [`Told::End`] when that is all.
    pub told: Box<dyn Iterator<Item = Told> + Send>,
}

/// What a node tells at a time.
pub enum Told {
    /// Some events, in the order of its files.
    Events(Vec<Event>),
    /// That there are no more, and how many lines it had to pass over.
    End {
        /// Torn or damaged lines.
        damaged: u64,
    },
}

/// Events that go from one thread to the other at a time, and how often they may wait.
const BATCH: usize = 1_024;
const BATCHES: usize = 4;

/// Hands events to another thread, many at a time.
struct Batches {
    batch: Vec<Event>,
    out: SyncSender<Vec<Event>>,
}

impl Batches {
    fn push(&mut self, event: Event) {
        self.batch.push(event);
        if self.batch.len() == BATCH {
            self.hand_on();
        }
    }

    fn hand_on(&mut self) {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        // Nobody listens any more only when whoever asked is gone.
        let _ = self.out.send(batch);
    }
}

/// Reads in a thread of its own, while this one gives each event to `each`.
pub(super) fn beside(
    read: impl FnOnce(&mut dyn FnMut(Event)) -> Result<Read> + Send,
    each: impl FnOnce(&mut dyn Iterator<Item = Vec<Event>>),
) -> Result<Read> {
    std::thread::scope(|scope| {
        let (out, batches) = sync_channel(BATCHES);
        let reading = scope.spawn(move || {
            let mut batches = Batches { batch: Vec::with_capacity(BATCH), out };
            let told = read(&mut |event| batches.push(event));
            batches.hand_on();
            told
        });
        each(&mut batches.into_iter());
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What one node tells, event by event.
struct Stream<'a> {
    node: Option<String>,
    batch: IntoIter<Event>,
    more: Box<dyn Iterator<Item = Told> + 'a>,
    /// Lines that were passed over; `None` until it has told all.
    damaged: Option<u64>,
    head: Option<Event>,
}

impl<'a> Stream<'a> {
    fn new(node: Option<String>, more: Box<dyn Iterator<Item = Told> + 'a>) -> Self {
        let mut stream = Self { node, batch: Vec::new().into_iter(), more, damaged: None, head: None };
        stream.go_on();
        stream
    }

    fn go_on(&mut self) {
        self.head = loop {
            if let Some(event) = self.batch.next() {
                break Some(event);
            }
            match self.more.next() {
                Some(Told::Events(batch)) => self.batch = batch.into_iter(),
                Some(Told::End { damaged }) => {
                    self.damaged = Some(damaged);
                    break None;
                }
                None => break None,
            }
        };
    }

    fn take(&mut self) -> Option<Event> {
        let head = self.head.take();
        self.go_on();
        head
    }
}

/// Gives each wanted event to `each`, those of a folder and those of other nodes.
pub(super) fn read(
    events: &Path,
    wanted: &Wanted<'_>,
    theirs: Vec<Theirs>,
    each: &mut dyn FnMut(Event),
) -> Result<Read> {
    let (mut count, mut damaged, mut missing) = (0, 0, Vec::new());
    let mut told = beside(
        |out| folder::read(events, wanted, out),
        |own| {
            let own = Stream::new(None, Box::new(own.map(Told::Events)));
            let mut streams = vec![own];
            streams.extend(theirs.into_iter().map(|one| Stream::new(Some(one.node), one.told)));
            // Each one's files are nearly in order, so what comes out is.
            while let Some(next) = streams
                .iter_mut()
                .filter(|stream| stream.head.is_some())
                .min_by_key(|stream| stream.head.as_ref().map(|event| event.at))
            {
                let is_own = next.node.is_none();
                if let Some(event) = next.take().filter(|event| is_own || wanted.takes(event)) {
                    count += u64::from(!is_own);
                    each(event);
                }
            }
            for stream in streams {
                match (stream.node, stream.damaged) {
                    (Some(node), None) => missing.push(node),
                    (_, passed) => damaged += passed.unwrap_or(0),
                }
            }
        },
    )?;
    told.events += count;
    told.damaged += damaged;
    told.missing.append(&mut missing);
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Kind, Log};
    use super::*;

    fn event(at: i64) -> Event {
        Event { at, trace_id: Some(format!("{at:032x}")), ..Event::now(Kind::Decision, "demo") }
    }

    /// What two others have, of whom the second breaks off when it is asked to.
    struct Two {
        breaks_off: bool,
    }

    impl Others for Two {
        fn read(&self, _: Option<&str>, _: &Wanted<'_>) -> Vec<Theirs> {
            let start = Day::today().start();
            let events =
                |from: i64| Told::Events((0..3).map(|step| event(start + from + 10 * step)).collect());
            let other = Told::Events(vec![Event { kb: "another".to_owned(), ..event(start) }]);
            let mut second = vec![events(2), Told::End { damaged: 5 }];
            if self.breaks_off {
                second.pop();
            }
            let first = vec![events(1), other, Told::End { damaged: 1 }];
            vec![
                Theirs { node: "a".to_owned(), told: Box::new(first.into_iter()) },
                Theirs { node: "b".to_owned(), told: Box::new(second.into_iter()) },
            ]
        }

        fn find(&self, trace_id: &str) -> Option<Event> {
            let at = i64::from_str_radix(trace_id, 16).ok()?;
            (at == 7).then(|| event(at))
        }

        fn sums(&self, _: Days, _: &dyn Fn(&str) -> Day) -> Vec<Summed> {
            Vec::new()
        }

        fn turns(&self) -> u64 {
            0
        }

        fn name(&self) -> &str {
            "this one"
        }
    }

    #[test]
    fn what_happened_elsewhere_is_read_in_between_and_who_breaks_off_is_named() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        let start = Day::today().start();
        for at in [0, 11, 30] {
            log.append(event(start + at)).expect("stored");
        }
        let days = Days::new(Day::today(), Day::today()).expect("in order");
        let wanted = Wanted { kb: Some("demo"), ..Wanted::all(days) };
        for breaks_off in [false, true] {
            let log = Log::open(data.path());
            log.join(Arc::new(Two { breaks_off }));
            let mut seen = Vec::new();
            let told = log.read(&wanted, |event| seen.push(event.at - start)).expect("readable");
            // Two things at one moment come in either order.
            assert_eq!(seen.len(), 9);
            assert!(seen.is_sorted(), "{seen:?}");
            assert_eq!(told.events, 9, "what was not asked for is left out");
            let missing: &[&str] = if breaks_off { &["b"] } else { &[] };
            assert_eq!(
                (told.missing, told.damaged),
                (missing.iter().map(|one| (*one).to_owned()).collect(), if breaks_off { 1 } else { 6 })
            );
        }
    }

    #[test]
    fn a_decision_of_another_node_is_found() {
        let data = tempfile::tempdir().expect("a folder");
        let log = Log::open(data.path());
        let name = format!("{:032x}", 7);
        assert_eq!(log.find(&name).expect("readable"), None);
        log.join(Arc::new(Two { breaks_off: false }));
        assert_eq!(log.find(&name).expect("readable").map(|event| event.at), Some(7));
        assert_eq!(log.find("no trace").expect("readable"), None);
    }
}
