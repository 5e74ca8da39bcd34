//! What does the process itself take?
//!
//! Under the names that every Prometheus client uses. Linux tells it in
//! `/proc/self`; where that is not, nothing is told.

use std::fs;
use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Registered;

/// Ticks a second in `/proc/self/stat`: Linux shows programs this many on every machine.
const TICKS: f64 = 100.0;

/// What is the case now.
pub(super) fn gathered() -> Registered {
    let mut registered = Registered::with_prefix("process");
    let mut gauge = |name: &str, help: &str, value: Option<i64>| {
        if let Some(value) = value {
            let gauge: Gauge = Gauge::default();
            gauge.set(value);
            registered.register(name, help, gauge);
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    gauge("resident_memory_bytes", "Memory that is in use", kilobytes(&status, "VmRSS:"));
    gauge("virtual_memory_bytes", "Memory that is addressed", kilobytes(&status, "VmSize:"));
    gauge("threads", "Threads", field(&status, "Threads:"));
    let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    // The folder itself is open while it is counted.
    gauge(
        "open_fds",
        "Files and connections that are open",
        open.map(|count| whole(count.saturating_sub(1))),
    );
    gauge("max_fds", "Files and connections that may be open", most_files());
    gauge("start_time_seconds", "When the process began, in seconds since 1970", begun());
    if let Some(seconds) = cpu_seconds() {
        let counter: Counter<f64, std::sync::atomic::AtomicU64> = Counter::default();
        counter.inc_by(seconds);
        registered.register("cpu_seconds", "Time that all its threads have worked", counter);
    }
    registered
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number behind its name.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kilobytes(text: &str, name: &str) -> Option<i64> {
    field(text, name).map(|kilobytes| kilobytes.saturating_mul(1024))
}

/// How many files and connections may be open.
pub(in crate::server) fn most_files() -> Option<i64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    field(&limits, "Max open files")
}

/// The fields of `/proc/self/stat` behind the name, which may hold spaces itself.
fn stat() -> Option<Vec<String>> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn cpu_seconds() -> Option<f64> {
    let stat = stat()?;
    let ticks = |at: usize| stat.get(at)?.parse::<f64>().ok();
    // utime and stime are the fields 14 and 15, counted with those before the name's end.
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

fn begun() -> Option<i64> {
    static BEGUN: OnceLock<Option<i64>> = OnceLock::new();
    *BEGUN.get_or_init(|| {
        let boot = field(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
        let ticks: f64 = stat()?.get(19)?.parse().ok()?;
        Some(boot + (ticks / TICKS) as i64)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_what_the_process_takes() {
        let status = fs::read_to_string("/proc/self/status").expect("readable");
        assert!(kilobytes(&status, "VmRSS:").is_some_and(|bytes| bytes > 1 << 20));
        assert!(most_files().is_some_and(|most| most >= 64));
        assert!(cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
        assert!(begun().is_some_and(|begun| begun > 1_600_000_000));
        assert_eq!(field("VmRSS: x", "VmRSS:"), None);
    }
}
