//! SQL is written in crates/store and nowhere else.

use super::Finding;
use super::rust_source::RustSource;
use crate::workspace::Source;

/// testkit makes and drops databases; the samples of this rule are not statements that anybody runs.
const HOMES: [&str; 4] = [
    "crates/store/",
    "crates/testkit/",
    "crates/postgres/tests/",
    "crates/xtask/src/tidy/",
];

/// A module of tests beside the code of the crate that runs the server.
const POSTGRES_TESTS: (&str, &str) = ("crates/postgres/src/", "tests.rs");

const CALLS: [&str; 7] = [
    "sqlx::query",
    "sqlx::raw_sql",
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "query_as(",
    "query_scalar(",
];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .filter(|source| source.extension() == "rs" && !may_hold_sql(&source.path))
        .flat_map(find)
        .collect()
}

fn may_hold_sql(path: &str) -> bool {
    let (folder, file) = POSTGRES_TESTS;
    HOMES.iter().any(|home| path.starts_with(home)) || (path.starts_with(folder) && path.ends_with(file))
}

fn find(source: &Source) -> Vec<Finding> {
    let rust = RustSource::parse(&source.text);
    let mut findings = Vec::new();
    for (index, line) in rust.code.lines().enumerate() {
        if let Some(call) = CALLS.iter().find(|call| line.contains(*call)) {
            findings.push(Finding::new(
                source,
                index + 1,
                format!("{call}: queries belong in crates/store"),
            ));
        }
    }
    for literal in rust.literals.iter().filter(|literal| is_statement(&literal.text)) {
        findings.push(Finding::new(
            source,
            literal.line,
            "a string of SQL: statements belong in crates/store",
        ));
    }
    findings
}

/// Keywords count in capitals only, as the house writes them: "update the settings" is English.
fn is_statement(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["SELECT", rest @ ..] => rest.contains(&"FROM"),
        ["UPDATE", rest @ ..] => rest.contains(&"SET"),
        ["WITH", rest @ ..] => rest.contains(&"AS"),
        ["INSERT", "INTO", ..] | ["DELETE", "FROM", ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn statements_and_queries_outside_the_store_are_found() {
        let code = "let a = \"SELECT id\n  FROM sessions\";\nsqlx::query_as!(Row, X);\nlet b = r#\"DELETE FROM x\"#;";
        assert_eq!(
            printed(check, &[("crates/control/src/lib.rs", code)]),
            [
                "crates/control/src/lib.rs:3: sqlx::query: queries belong in crates/store",
                "crates/control/src/lib.rs:1: a string of SQL: statements belong in crates/store",
                "crates/control/src/lib.rs:4: a string of SQL: statements belong in crates/store",
            ]
        );
    }

    #[test]
    fn the_store_and_the_tests_of_the_server_may() {
        let code = "sqlx::query(\"UPDATE a SET b = 1\");";
        let homes = [
            "crates/store/src/a.rs",
            "crates/postgres/src/cluster/tests.rs",
            "crates/testkit/src/lib.rs",
        ];
        for home in homes {
            assert_eq!(printed(check, &[(home, code)]), [""; 0]);
        }
        assert_eq!(
            printed(check, &[("crates/postgres/src/cluster.rs", code)]).len(),
            2
        );
    }

    #[test]
    fn english_is_not_sql() {
        for text in [
            "Select a project from the list",
            "UPDATE needed",
            "select one from x",
            "WITHOUT",
        ] {
            assert!(!is_statement(text), "{text}");
        }
    }
}
