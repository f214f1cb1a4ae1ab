//! Limits as people write them: `2GiB`, `1.5`, `2048`.

use super::{CpuLimit, MemoryLimit, ProcessLimit};
use std::fmt;
use std::str::FromStr;

const MEBIBYTE: u64 = 1 << 20;
const UNITS: [(&str, u64); 5] = [
    ("GiB", MEBIBYTE << 10),
    ("MiB", MEBIBYTE),
    ("KiB", MEBIBYTE >> 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
];

/// What is no limit, and what would be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// Of memory.
    #[error("memory is expected as in 2GiB or 768MiB, 256MiB at least")]
    Memory,
    /// Of CPU.
    #[error("a number of cores is expected as in 1 or 0.5, 0.1 at least")]
    Cpu,
    /// Of processes.
    #[error("a number of processes and threads is expected, 256 at least")]
    Processes,
}

impl FromStr for MemoryLimit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<MemoryLimit, InvalidLimit> {
        let split = UNITS
            .iter()
            .find_map(|&(unit, size)| Some((text.strip_suffix(unit)?.trim_end(), size)));
        let (number, unit) = split.ok_or(InvalidLimit::Memory)?;
        let number: u64 = number.parse().map_err(|_| InvalidLimit::Memory)?;
        MemoryLimit::of_bytes(number.checked_mul(unit).ok_or(InvalidLimit::Memory)?)
    }
}

impl FromStr for CpuLimit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<CpuLimit, InvalidLimit> {
        // By its digits: what is written is what holds, to a hundredth.
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(InvalidLimit::Cpu);
        }
        let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| InvalidLimit::Cpu)?;
        let percent = whole.parse::<u32>().ok().and_then(|cores| cores.checked_mul(100));
        let percent = percent.and_then(|percent| percent.checked_add(hundredths));
        CpuLimit::of_percent(percent.ok_or(InvalidLimit::Cpu)?)
    }
}

impl FromStr for ProcessLimit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<ProcessLimit, InvalidLimit> {
        ProcessLimit::of(text.parse().map_err(|_| InvalidLimit::Processes)?)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} MiB", self.bytes() / MEBIBYTE)
    }
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.percent() / 100, self.percent() % 100) {
            (cores, 0) => write!(formatter, "{cores}"),
            (cores, part) => write!(formatter, "{cores}.{part:02}"),
        }
    }
}

impl fmt::Display for ProcessLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number())
    }
}
