//! Who goes first when the whole machine runs out of memory.

/// By how much a browser goes before its worker. Chromium itself gives its renderers 300: those go before the browser.
const BEFORE_US: i32 = 200;
/// The kernel knows no higher.
const HIGHEST: i32 = 1000;

/// A browser's score: above our own, which whoever runs us may have set.
pub(crate) fn score() -> i32 {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    above(own.trim().parse().unwrap_or_default())
}

fn above(own: i32) -> i32 {
    own.saturating_add(BEFORE_US).min(HIGHEST)
}

/// Makes the kernel end this process, and what it starts from now on, before its worker and the database. `process` is an
/// id, or `self`. Raising the score needs no right; where it fails nothing is lost but the order.
///
/// Not between fork and exec: a process that has just changed its user may not write there.
pub(crate) fn come_first(process: &str, score: i32) {
    let _ = std::fs::write(format!("/proc/{process}/oom_score_adj"), score.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_goes_before_its_worker_whatever_that_ones_score_is() {
        for (own, browser) in [
            (0, 200),
            (-900, -700),
            (500, 700),
            (900, 1000),
            (1000, 1000),
            (i32::MAX, 1000),
        ] {
            assert_eq!(above(own), browser, "{own}");
        }
    }
}
