//! What the figures were measured on. A figure without its machine says nothing.

use std::fs::read_to_string;
use std::num::NonZero;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

/// Long enough for the kernel's clock ticks of 10 ms to add up.
const WATCHED: Duration = Duration::from_millis(500);

/// The machine, as it was before the first measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The processor's name.
    pub model: String,
    /// The kernel's release.
    pub kernel: String,
    /// Memory in bytes.
    pub memory: u64,
    /// How much of the processors others used, in per cent.
    pub busy_percent: f64,
}

/// Others' load, in per cent, from which on figures scatter by more than the targets leave room for.
const BUSY: f64 = 20.0;

impl Machine {
    /// Whether others use so much of it that the figures are not to be trusted.
    pub fn is_busy(&self) -> bool {
        self.busy_percent >= BUSY
    }

    /// Looks at the machine, for half a second.
    pub async fn look() -> anyhow::Result<Machine> {
        let before = CpuTime::read()?;
        tokio::time::sleep(WATCHED).await;
        let busy = CpuTime::read()?.busy_since(before);
        Ok(Machine {
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            model: field(&read_to_string("/proc/cpuinfo")?, "model name")
                .unwrap_or("unknown")
                .to_owned(),
            kernel: read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            memory: memory(&read_to_string("/proc/meminfo")?).context("/proc/meminfo tells no MemTotal")?,
            busy_percent: busy * 100.0,
        })
    }
}

/// Ticks of all processors since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTime {
    idle: u64,
    total: u64,
}

impl CpuTime {
    fn read() -> anyhow::Result<CpuTime> {
        CpuTime::parse(&read_to_string("/proc/stat")?).context("/proc/stat is not as expected")
    }

    fn parse(stat: &str) -> Option<CpuTime> {
        let mut words = stat.lines().next()?.split_ascii_whitespace();
        if words.next() != Some("cpu") {
            return None;
        }
        // user, nice, system, idle, iowait, irq, softirq, steal; the guests' time after them is in user already.
        let ticks: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let [_, _, _, idle, waiting, ..] = ticks[..] else {
            return None;
        };
        Some(CpuTime {
            idle: idle + waiting,
            total: ticks.iter().sum(),
        })
    }

    fn busy_since(self, before: CpuTime) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1);
        let idle = self.idle.saturating_sub(before.idle).min(total);
        (total - idle) as f64 / total as f64
    }
}

/// The value of the first line of this name, as in `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn memory(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = field(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 49\nmodel name\t: A Processor\nmodel name\t: Another\n";
        assert_eq!(field(text, "model name"), Some("A Processor"));
        assert_eq!(field(text, "name"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn waiting_for_a_disk_is_not_busy_and_guests_count_once() {
        let before = CpuTime::parse("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 1 1 1 1\n").unwrap();
        let after = CpuTime::parse("cpu  20 0 5 50 25 0 0 0 20 0\n").unwrap();
        assert!((after.busy_since(before) - 0.25).abs() < 1e-9);
        assert_eq!(CpuTime::parse("intr 1 2 3 4 5 6 7 8"), None);
    }

    #[tokio::test]
    async fn this_machine_can_be_described() {
        let machine = Machine::look().await.unwrap();
        assert!(machine.cores >= 1 && machine.memory > 0 && !machine.kernel.is_empty());
        assert!((0.0..=100.0).contains(&machine.busy_percent));
    }
}
