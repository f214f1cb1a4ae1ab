//! Nothing half done is committed: no notes to self, no debugging macros, no skipped tests, no silenced lint.

use super::Finding;
use super::rust_source::RustSource;
use crate::workspace::Source;

/// Joined at run time where this file would find itself.
const NOTES: [[&str; 2]; 3] = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]];

const CODE: [(&str, &str); 6] = [
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("dbg!", "use tracing"),
    ("#[ignore", "a test that does not run tests nothing"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#![allow(", "use #![expect(.., reason = \"..\")]"),
];

const EXTENSIONS: [&str; 11] = [
    "ts", "svelte", "py", "mjs", "js", "sh", "sql", "toml", "yaml", "yml", "css",
];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        if source.extension() == "rs" {
            let rust = RustSource::parse(&source.text);
            find_notes(source, &rust.comments, &mut findings);
            find_code(source, &rust.code, &mut findings);
        } else if EXTENSIONS.contains(&source.extension()) || source.is_script() || source.path == "Makefile"
        {
            find_notes(source, &source.text, &mut findings);
        }
    }
    findings
}

fn find_notes(source: &Source, text: &str, findings: &mut Vec<Finding>) {
    let notes = NOTES.map(|halves| halves.concat());
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split(|character: char| !character.is_alphanumeric() && character != '_');
        if let Some(note) = words.find(|word| notes.iter().any(|note| note == word)) {
            findings.push(Finding::new(
                source,
                index + 1,
                format!("{note}: do it now, or open an issue"),
            ));
        }
    }
}

fn find_code(source: &Source, code: &str, findings: &mut Vec<Finding>) {
    for (index, line) in code.lines().enumerate() {
        for (pattern, instead) in CODE {
            if line.contains(pattern) {
                findings.push(Finding::new(source, index + 1, format!("{pattern}: {instead}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn notes_are_found_in_comments_and_scripts() {
        let note = NOTES[0].concat();
        let rust = format!("fn a() {{}} // {note}: later\nconst WORD: &str = \"{note}\";\n");
        let script = format!("#!/bin/sh\nmktemp /tmp/a.XXXXXX # {}\n", NOTES[2].concat());
        assert_eq!(
            printed(check, &[("a.rs", &rust), ("scripts/b", &script)]),
            [
                format!("a.rs:1: {note}: do it now, or open an issue"),
                format!("scripts/b:2: {}: do it now, or open an issue", NOTES[2].concat()),
            ]
        );
    }

    #[test]
    fn each_construct_is_found_in_code_and_only_there() {
        for (pattern, instead) in CODE {
            let code = format!("// {pattern}\nconst A: &str = \"{pattern}\";\n{pattern} )]\n");
            assert_eq!(
                printed(check, &[("a.rs", &code)]),
                [format!("a.rs:3: {pattern}: {instead}")]
            );
        }
    }
}
