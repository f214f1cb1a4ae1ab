//! Who goes first when the whole machine runs out of memory.

/// Chromium itself raises this for its renderers, to 300: those go before the browser.
const SCORE: &str = "200";

/// Makes the kernel end this process, and what it starts from now on, before its worker and the database. `process` is an
/// id, or `self`. Raising the score needs no right; where it fails nothing is lost but the order.
///
/// Not between fork and exec: a process that has just changed its user may not write there.
pub(crate) fn come_first(process: &str) {
    let _ = std::fs::write(format!("/proc/{process}/oom_score_adj"), SCORE);
}
