//! What the benchmarks of this crate measure with: processor time of single threads, and one form for every figure.
#![allow(dead_code, reason = "each benchmark uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::time::Duration;

/// The threads that this process has now, by their number; none where the system does not tell.
pub(crate) fn threads() -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| task.ok()?.file_name().into_string().ok())
        .collect()
}

/// Processor time that these threads have used so far, `None` where the system does not tell. What a thread that is
/// running now has used since the last tick of the kernel (4 ms at most) is not in it.
pub(crate) fn cpu_of(threads: &[String]) -> Option<Duration> {
    let of_one = |thread: &String| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    };
    if threads.is_empty() {
        return None;
    }
    threads.iter().map(of_one).sum()
}

/// How much more memory, in MB, this process held at most while it did something; `None` where the system does not tell.
#[allow(dead_code, reason = "not every benchmark asks")]
pub(crate) fn held_meanwhile<T>(work: impl FnOnce() -> T) -> Option<f64> {
    let read = |name: &str| {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    };
    // Forgets the peak of before.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = read("VmRSS:")?;
    work();
    Some(read("VmHWM:")? - before)
}

/// What a figure is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within its limit.
    Met,
    /// Not within its limit.
    NotMet,
    /// The simulator was late itself: the run says nothing.
    Void,
    /// No limit.
    Report,
}

impl Verdict {
    pub(crate) fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::NotMet }
    }
}

/// Prints one figure with its limit beside it. No figure ends the program.
#[expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
pub(crate) fn figure(name: &str, value: &str, limit: &str, verdict: Verdict) {
    let word = match verdict {
        Verdict::Met => "met",
        Verdict::NotMet => "NOT MET",
        Verdict::Void => "VOID",
        Verdict::Report => "report",
    };
    println!("{name:<62} {value:>14}  {limit:<10} {word}");
}

/// Prints a line that explains figures.
#[expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The middle one.
pub(crate) fn median<T: Copy + PartialOrd>(values: &mut [T]) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values[values.len() / 2]
}
