//! Migrations are numbered without a gap, and no tenant's table is born without row level security.

use super::Finding;
use crate::workspace::Source;

const FOLDER: &str = "migrations/";

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut expected = 1;
    // The sources come sorted by path, so by number.
    for source in sources
        .iter()
        .filter(|source| source.path.starts_with(FOLDER) && source.extension() == "sql")
    {
        match number(&source.path[FOLDER.len()..]) {
            None => findings.push(Finding::new(source, 1, "the name is not NNNN_words.sql")),
            Some(found) => {
                if found != expected {
                    let message = format!("number {found:04}, where {expected:04} comes next");
                    findings.push(Finding::new(source, 1, message));
                }
                expected = found + 1;
            }
        }
        check_tenancy(source, &mut findings);
    }
    findings
}

fn number(name: &str) -> Option<u32> {
    let (digits, words) = name.strip_suffix(".sql")?.split_once('_')?;
    let is_word =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
    (digits.len() == 4 && !words.is_empty() && words.chars().all(is_word)).then(|| digits.parse().ok())?
}

struct Statement {
    line: usize,
    /// Lower case, one space between words.
    text: String,
}

fn check_tenancy(source: &Source, findings: &mut Vec<Finding>) {
    let statements = statements(&source.text);
    for statement in &statements {
        let Some(table) = tenant_table(&statement.text) else {
            continue;
        };
        let altered = |what: &str| {
            statements.iter().any(|other| {
                table_after(&other.text, "alter table") == Some(table) && other.text.contains(what)
            })
        };
        let has_policy = statements.iter().any(|other| {
            other.text.starts_with("create policy")
                && other
                    .text
                    .split_once(" on ")
                    .is_some_and(|(_, rest)| first_name(rest) == Some(table))
        });
        for (stands, wall) in [
            (altered("enable row level security"), "ENABLE ROW LEVEL SECURITY"),
            (altered("force row level security"), "FORCE ROW LEVEL SECURITY"),
            (has_policy, "CREATE POLICY"),
        ] {
            if !stands {
                let message = format!("{table} has a project_id, so this file needs {wall} for it");
                findings.push(Finding::new(source, statement.line, message));
            }
        }
    }
}

/// The table that the statement makes a tenant's, by creating it or by adding the column.
fn tenant_table(statement: &str) -> Option<&str> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    if !statement
        .split(|character| !is_name(character))
        .any(|word| word == "project_id")
    {
        return None;
    }
    if statement.starts_with("alter table") {
        return statement
            .contains("add column")
            .then(|| table_after(statement, "alter table"))?;
    }
    table_after(statement, "create table")
}

fn table_after<'a>(statement: &'a str, verb: &str) -> Option<&'a str> {
    let mut rest = statement.strip_prefix(verb)?.trim_start();
    for noise in ["if not exists ", "if exists ", "only "] {
        rest = rest.strip_prefix(noise).unwrap_or(rest);
    }
    first_name(rest)
}

fn first_name(text: &str) -> Option<&str> {
    text.split([' ', '(']).next().filter(|name| !name.is_empty())
}

/// Splits at semicolons outside of strings and $$ bodies, without comments.
fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut current = Statement {
        line: 1,
        text: String::new(),
    };
    let (mut in_string, mut in_body) = (false, false);
    for (index, line) in text.lines().enumerate() {
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match (character, characters.peek()) {
                ('-', Some('-')) if !in_string => break,
                ('\'', _) => in_string = !in_string,
                ('$', Some('$')) if !in_string => in_body = !in_body,
                (';', _) if !in_string && !in_body => {
                    found.push(std::mem::replace(
                        &mut current,
                        Statement {
                            line: 0,
                            text: String::new(),
                        },
                    ));
                    continue;
                }
                _ => {}
            }
            if current.text.trim().is_empty() {
                current.line = index + 1;
            }
            current.text.extend(character.to_lowercase());
        }
        current.text.push(' ');
    }
    found.push(current);
    for statement in &mut found {
        statement.text = statement.text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    const TABLE: &str = "-- a; comment\nCREATE TABLE IF NOT EXISTS notes(\n  project_id uuid -- whose\n);\n";
    const WALLS: &str = "ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n\
        CREATE POLICY tenant ON notes USING (project_id = 'a;b');";

    #[test]
    fn a_table_without_walls_is_found() {
        assert_eq!(
            printed(check, &[("migrations/0001_notes.sql", TABLE)]),
            [
                "ENABLE ROW LEVEL SECURITY",
                "FORCE ROW LEVEL SECURITY",
                "CREATE POLICY"
            ]
            .map(|wall| format!(
                "migrations/0001_notes.sql:2: notes has a project_id, so this file needs {wall} for it"
            ))
        );
        assert_eq!(
            printed(
                check,
                &[("migrations/0001_notes.sql", &format!("{TABLE}{WALLS}"))]
            ),
            [""; 0]
        );
    }

    #[test]
    fn the_walls_of_another_table_do_not_count() {
        let other = WALLS.replace("notes", "notes_of_others");
        assert_eq!(
            printed(
                check,
                &[("migrations/0001_notes.sql", &format!("{TABLE}{other}"))]
            )
            .len(),
            3
        );
    }

    #[test]
    fn a_column_added_later_counts_as_a_tenants() {
        let added = "ALTER TABLE ONLY events ADD COLUMN project_id uuid;";
        assert_eq!(printed(check, &[("migrations/0001_events.sql", added)]).len(), 3);
        let read = "CREATE INDEX a ON notes (project_id); CREATE TABLE b (projects_id int);";
        assert_eq!(printed(check, &[("migrations/0001_events.sql", read)]), [""; 0]);
    }

    #[test]
    fn semicolons_inside_a_body_end_nothing() {
        let body = "CREATE FUNCTION f() AS $$ a; CREATE TABLE x (project_id uuid); $$;\nSELECT 1;";
        assert_eq!(
            statements(body)
                .iter()
                .map(|statement| statement.line)
                .collect::<Vec<_>>(),
            [1, 2, 0]
        );
        assert_eq!(printed(check, &[("migrations/0001_f.sql", body)]), [""; 0]);
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(
            printed(
                check,
                &[
                    ("migrations/0001_a.sql", ""),
                    ("migrations/0003_c.sql", ""),
                    ("migrations/0004_d.sql", ""),
                    ("migrations/05_e.sql", ""),
                ]
            ),
            [
                "migrations/0003_c.sql:1: number 0003, where 0002 comes next",
                "migrations/05_e.sql:1: the name is not NNNN_words.sql",
            ]
        );
    }
}
