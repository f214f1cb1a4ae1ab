//! The query's grammar, by recursive descent over characters.
//!
//! ```text
//! query     = condition { "AND" condition }
//! condition = "user_metadata" key { key } ":" value
//! key       = "[" string "]"
//! value     = string | number | "true" | "false"
//! string    = "'" { any character but a quote, or two quotes for one } "'"
//! ```

use serde_json::Value;

use super::QueryError;

/// Keys of one path, and conditions of one query. Metadata is shorter than 512 characters, so nothing that is stored goes
/// deeper; without a limit, a query could nest an object deeper than a stack is long.
const LIMIT: usize = 64;

/// One condition: the value at `path` equals `value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    /// The keys from the metadata object down; at least one.
    pub(super) path: Vec<String>,
    /// A string, number or boolean.
    pub(super) value: Value,
}

/// The rest of a query, and how far into it that is.
pub(super) struct Parser<'query> {
    rest: &'query str,
    column: usize,
}

impl<'query> Parser<'query> {
    pub(super) const fn new(text: &'query str) -> Self {
        Self {
            rest: text,
            column: 1,
        }
    }

    pub(super) fn conditions(mut self) -> Result<Vec<Condition>, QueryError> {
        let mut conditions = vec![self.condition()?];
        loop {
            self.skip_spaces();
            if self.rest.is_empty() {
                return Ok(conditions);
            }
            if conditions.len() == LIMIT {
                return Err(self.error("the end, after 64 conditions,"));
            }
            self.expect("AND", "AND or the end")?;
            conditions.push(self.condition()?);
        }
    }

    fn condition(&mut self) -> Result<Condition, QueryError> {
        self.skip_spaces();
        self.expect("user_metadata", "user_metadata")?;
        let mut path = vec![self.key()?];
        while self.rest.starts_with('[') {
            if path.len() == LIMIT {
                return Err(self.error(": after 64 keys"));
            }
            path.push(self.key()?);
        }
        self.expect(":", "[ or :")?;
        Ok(Condition {
            path,
            value: self.value()?,
        })
    }

    fn key(&mut self) -> Result<String, QueryError> {
        self.expect("[", "[")?;
        let key = self.string("a key in single quotes")?;
        self.expect("]", "]")?;
        Ok(key)
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        const EXPECTED: &str = "a string in single quotes, a number, true or false";
        if self.rest.starts_with('\'') {
            return self.string(EXPECTED).map(Value::from);
        }
        let literal =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.');
        let end = self
            .rest
            .find(|character| !literal(character))
            .unwrap_or(self.rest.len());
        // JSON's own grammar decides what a number is; `null` is the one literal that equality cannot be asked of.
        match serde_json::from_str(&self.rest[..end]) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => {
                self.advance(end);
                Ok(value)
            }
            _ => Err(self.error(EXPECTED)),
        }
    }

    fn string(&mut self, expected: &'static str) -> Result<String, QueryError> {
        self.expect("'", expected)?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(['\'', '\0']).unwrap_or(self.rest.len());
            text.push_str(&self.rest[..end]);
            self.advance(end);
            if self.rest.starts_with("''") {
                text.push('\'');
                self.advance(2);
            } else {
                self.expect("'", "a closing quote")?;
                return Ok(text);
            }
        }
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), QueryError> {
        if !self.rest.starts_with(token) {
            return Err(self.error(expected));
        }
        self.advance(token.len());
        Ok(())
    }

    fn skip_spaces(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start_matches(' ').len());
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.column += passed.chars().count();
        self.rest = rest;
    }

    const fn error(&self, expected: &'static str) -> QueryError {
        QueryError {
            column: self.column,
            expected,
        }
    }
}
