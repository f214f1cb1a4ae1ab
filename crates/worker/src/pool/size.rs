//! How many browsers rest where nobody has said a number.

use std::num::NonZero;

use wharf_domain::Bytes;

use super::{Kernel, Machine};

/// A resting browser takes some 120 MB, and more as soon as it has a page.
const BROWSER: u64 = 256 << 20;
/// The part of the free memory that may rest: one in this many.
const SHARE: u64 = 8;
/// Starting one keeps a core busy for a third of a second, so more cores refill faster.
const FEW_CORES: u32 = 2;

/// The size of the pool that suits this machine: one browser a core, two at least, as far as an eighth of the memory
/// that is free now holds them at 256 MiB each. None where that is not known.
pub fn default_warm() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    suits(cores, Kernel.memory_available().unwrap_or_default())
}

fn suits(cores: u32, free: Bytes) -> u32 {
    let room = u32::try_from(free.0 / SHARE / BROWSER).unwrap_or(u32::MAX);
    cores.max(FEW_CORES).min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_memory_both_limit_it() {
        const GIB: u64 = 1 << 30;
        for (cores, free, expected) in [
            (1, 24 * GIB, 2),
            (2, 24 * GIB, 2),
            (2, 3 * GIB, 1),
            (2, GIB, 0),
            (16, 24 * GIB, 12),
            (16, 64 * GIB, 16),
            (2, 0, 0),
        ] {
            assert_eq!(suits(cores, Bytes(free)), expected, "{cores} cores, {free} bytes");
        }
    }
}
