//! The house rules that a program can check. One module per rule; each shows itself failing in its tests.

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::{self, Source};

mod hosts;
mod layering;
mod lines;
mod markers;
mod migrations;
mod routes;
mod rust_source;
mod sql;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    /// Counts from 1.
    line: usize,
    message: String,
}

impl Finding {
    fn new(source: &Source, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: source.path.clone(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

type Rule = fn(&[Source]) -> Vec<Finding>;

const RULES: [Rule; 7] = [
    hosts::check,
    layering::check,
    lines::check,
    markers::check,
    migrations::check,
    routes::check,
    sql::check,
];

/// Checks the whole repository and prints what is wrong with it.
pub fn run() -> Result<()> {
    let sources = workspace::sources()?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&sources)).collect();
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing found", sources.len());
            Ok(())
        }
        1 => bail!("tidy found one thing to put right"),
        count => bail!("tidy found {count} things to put right"),
    }
}

#[cfg(test)]
fn sample(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

/// What a rule says of the given files, as it would be printed.
#[cfg(test)]
fn printed(rule: Rule, samples: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = samples.iter().map(|(path, text)| sample(path, text)).collect();
    rule(&sources).iter().map(ToString::to_string).collect()
}
