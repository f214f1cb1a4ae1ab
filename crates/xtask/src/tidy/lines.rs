//! A file is read whole, so it has at most 400 lines; tests count.

use super::Finding;
use crate::workspace::Source;

const MOST_LINES: usize = 400;
const EXTENSIONS: [&str; 6] = ["rs", "ts", "svelte", "py", "mjs", "sh"];

/// Paths that may be longer. The list may only shrink.
const EXEMPT: [&str; 0] = [];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .filter(|source| EXTENSIONS.contains(&source.extension()) || source.is_script())
        .filter(|source| !EXEMPT.contains(&source.path.as_str()))
        .filter_map(|source| {
            let count = source.text.lines().count();
            (count > MOST_LINES).then(|| {
                Finding::new(
                    source,
                    count,
                    format!("{count} lines, {MOST_LINES} at most; split it by operation"),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn the_line_after_the_last_allowed_one_is_found() {
        let longest = "//\n".repeat(MOST_LINES);
        let too_long = "//\n".repeat(MOST_LINES + 1);
        assert_eq!(
            printed(
                check,
                &[("a.rs", &longest), ("b.rs", &too_long), ("c.json", &too_long)]
            ),
            ["b.rs:401: 401 lines, 400 at most; split it by operation"]
        );
    }

    #[test]
    fn a_script_without_an_extension_counts() {
        let script = format!("#!/usr/bin/env bash\n{}", "true\n".repeat(MOST_LINES));
        assert_eq!(
            printed(check, &[("scripts/setup", &script)]),
            ["scripts/setup:401: 401 lines, 400 at most; split it by operation"]
        );
    }
}
