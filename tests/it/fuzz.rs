//! Does every parser that faces the outside bear whatever it is given?
//!
//! Each target takes sound inputs, has them mutated (`mutate`) and gives them to
//! the parser as it is called in earnest. It must come back within [`PATIENCE`],
//! without a panic; over HTTP it must say what is wrong, and never that it is the
//! server's fault. What fell out once lies in `tests/fuzz/found/TARGET/` and is
//! tried first.
//!
//! Without `ZHIDA_FUZZ_SECONDS` every target runs for a moment and with the same
//! seed; with it for so many seconds and with another seed each time, which is
//! told (`ZHIDA_FUZZ_SEED` repeats it). `tests/fuzz/run` says how.

mod bodies;
mod channels;
mod files;
mod mutate;
mod stores;

use std::io::{Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use mutate::Dice;
use mutate::mutated;

use crate::support::repository;

/// How long one input may take, and how much of the processor. In earnest it is a few
/// milliseconds; others work on the same machine, and whoever waits for them is not slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take whatever it does meanwhile.
const END_OF_PATIENCE: Duration = Duration::from_secs(120);

/// How long a target runs without being told.
const MOMENT: Duration = Duration::from_millis(1_200);

/// Gives mutated inputs to a parser; `say` tells what is wrong with what it does.
pub fn fuzz(
    target: &str,
    seeds: &[Vec<u8>],
    words: &[&str],
    mut parse: impl FnMut(&[u8]) -> Result<(), String>,
) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let long = number("ZHIDA_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("ZHIDA_FUZZ_SEED").unwrap_or_else(|| match long {
        None => 1,
        Some(_) => {
            u64::from(std::process::id()) ^ time::OffsetDateTime::now_utc().unix_timestamp().unsigned_abs()
        }
    });
    // What ends the process itself cannot be caught; then the input is found here.
    let last = long.map(|_| {
        let path = folder(target).join("last");
        (std::fs::File::create(&path).expect("a file"), path)
    });
    let mut tried = |bytes: &[u8], from: &str| {
        if let Some((file, _)) = &last {
            let mut file: &std::fs::File = file;
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(bytes)).expect("kept");
        }
        let mut fault = None;
        // Others work on the same machine: what is slow is slow each time.
        for _ in 0..3 {
            let (start, worked) = (Instant::now(), worked());
            fault = match catch_unwind(AssertUnwindSafe(|| parse(bytes))) {
                Err(_) => Some("it panicked".to_owned()),
                Ok(Err(told)) => Some(told),
                Ok(Ok(())) if !is_slow(start.elapsed(), worked) => return,
                Ok(Ok(())) => continue,
            };
            break;
        }
        let fault = fault.unwrap_or_else(|| format!("it took longer than {PATIENCE:?}, each time"));
        let kept = kept(target, bytes);
        panic!("{target}, {from}: {fault}; the input ({} bytes) is in {}", bytes.len(), kept.display());
    };
    for seed in seeds {
        tried(seed, "a sound input");
    }
    let found = repository("tests/fuzz/found").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(found).into_iter().flatten().flatten().map(|item| item.path()).collect();
    files.sort();
    for file in &files {
        tried(&std::fs::read(file).expect("readable"), &file.display().to_string());
    }
    let mut dice = Dice::new(seed);
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < long.unwrap_or(MOMENT) {
        tried(&mutated(&mut dice, seeds, words), &format!("seed {seed}, input {count}"));
        count += 1;
    }
    if let Some((_, path)) = last {
        std::fs::remove_file(path).expect("removed");
    }
    println!("{target}: {count} inputs from seed {seed}");
}

/// Whether something has taken too long that began when so much had been worked.
fn is_slow(took: Duration, worked_before: Option<Duration>) -> bool {
    let worked = worked().zip(worked_before).map(|(now, before)| now.saturating_sub(before));
    took > END_OF_PATIENCE || took > PATIENCE && worked.is_none_or(|worked| worked > PATIENCE)
}

/// How long this process has had a processor, as far as that is told here.
fn worked() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything: user and system time, in hundredths of a second.
    let fields: Vec<&str> = told.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

/// Where inputs of a target are kept that broke something.
fn folder(target: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target);
    std::fs::create_dir_all(&folder).expect("writable");
    folder
}

/// Keeps one, under a name that its content gives.
fn kept(target: &str, bytes: &[u8]) -> PathBuf {
    let name = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let path = folder(target).join(format!("{name:016x}"));
    std::fs::write(&path, bytes).expect("writable");
    path
}
