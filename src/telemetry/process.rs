//! What the operating system says about this process, from `/proc`. On other systems than Linux: nothing.

use std::fs;

/// The kernel reports times to programs in hundredths of a second on every architecture that Rust builds for by default.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes.
pub fn resident_bytes() -> Option<u64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// CPU time spent so far, user and system, in seconds.
pub(super) fn cpu_seconds() -> Option<f64> {
    cpu(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu(stat: &str) -> Option<f64> {
    // The program's name stands in parentheses and may hold anything, spaces and parentheses too. The fields after it
    // begin with the third; utime and stime are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_strange_name_is_read_all_the_same() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 4 0 100 1000 10 18446744073709551615";
        assert_eq!(cpu(stat), Some(4.0));
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t4\n"), Some(2_097_152));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
