//! How busy the machine is.

use std::fs::read_to_string;
use std::time::Duration;

use wharf_domain::Bytes;

/// What the pool asks of the machine. `None` where the machine does not tell.
pub(crate) trait Machine: Send + Sync + 'static {
    /// For how long, since the machine's start, some task was ready to run and had no CPU.
    fn cpu_stalled(&self) -> Option<Duration>;
    /// Memory that can be had without swapping.
    fn memory_available(&self) -> Option<Bytes>;
}

/// The machine that we run on. A read takes some 20 µs and waits for no disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel;

impl Machine for Kernel {
    fn cpu_stalled(&self) -> Option<Duration> {
        stalled(&read_to_string("/proc/pressure/cpu").ok()?)
    }

    fn memory_available(&self) -> Option<Bytes> {
        available(&read_to_string("/proc/meminfo").ok()?)
    }
}

/// From a line as in `some avg10=0.00 avg60=0.16 avg300=8.18 total=212566520`, in microseconds.
fn stalled(pressure: &str) -> Option<Duration> {
    let line = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("total="))?;
    Some(Duration::from_micros(total.parse().ok()?))
}

fn available(meminfo: &str) -> Option<Bytes> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024).map(Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_some_is_read_and_not_that_of_full() {
        let text = "some avg10=0.00 avg60=0.16 avg300=8.18 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(stalled(text), Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "MemTotal:  4096 kB\nMemAvailable:       2048 kB\n";
        assert_eq!(available(text), Some(Bytes(2 << 20)));
    }

    #[test]
    fn what_is_not_as_expected_is_not_known() {
        for text in [
            "",
            "some",
            "some total=",
            "some total=x",
            "full total=1",
            "MemAvailable: 1",
            "MemAvailable: x kB",
        ] {
            assert_eq!((stalled(text), available(text)), (None, None), "{text}");
        }
    }
}
