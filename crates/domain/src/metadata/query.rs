//! The metadata query `q`: `user_metadata['order']['status']:'shipped'`, and several of these joined by `AND`.
//!
//! The original knows one condition with a string value. Ours adds `AND`, numbers, booleans, and `''` for a quote
//! inside a string. A query becomes one JSON object that a session's metadata must contain, and travels to Postgres as
//! a parameter: nothing a caller sends is ever SQL text.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::parser::{Condition, Parser};

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataQuery {
    conditions: Vec<Condition>,
}

/// A query that does not parse: what was expected, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "is not a metadata query: {expected} expected at column {column}; a query looks like user_metadata['env']:'staging' AND user_metadata['try']:2"
)]
pub struct QueryError {
    /// Column of the first character that does not fit, counted in characters from 1.
    pub column: usize,
    /// What would have fitted.
    pub expected: &'static str,
}

impl FromStr for MetadataQuery {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Ok(Self {
            conditions: Parser::new(text).conditions()?,
        })
    }
}

impl MetadataQuery {
    /// The object that matching metadata contains, in the sense of Postgres' `@>`.
    ///
    /// `None` when no metadata can match, because two conditions want different values in one place.
    pub fn containment(&self) -> Option<Value> {
        let mut object = Map::new();
        for condition in &self.conditions {
            insert(&mut object, &condition.path, &condition.value)?;
        }
        Some(Value::Object(object))
    }
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: &Value) -> Option<()> {
    let (key, rest) = path.split_first()?;
    if rest.is_empty() {
        let present = object.entry(key).or_insert_with(|| value.clone());
        return (present == value).then_some(());
    }
    match object.entry(key).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(inner) => insert(inner, rest, value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn containment(text: &str) -> Option<Value> {
        text.parse::<MetadataQuery>()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .containment()
    }

    #[test]
    fn the_originals_examples_parse() {
        assert_eq!(
            containment("user_metadata['env']:'staging'"),
            Some(json!({ "env": "staging" }))
        );
        assert_eq!(
            containment("user_metadata['order']['status']:'shipped'"),
            Some(json!({ "order": { "status": "shipped" } }))
        );
    }

    #[test]
    fn conditions_numbers_booleans_and_quotes_are_ours() {
        assert_eq!(
            containment(
                "user_metadata['a']['b']:'it''s' AND user_metadata['a']['n']:-1.5e2 AND user_metadata['ok']:true"
            ),
            Some(json!({ "a": { "b": "it's", "n": -150.0 }, "ok": true }))
        );
    }

    #[test]
    fn conditions_that_exclude_each_other_match_nothing() {
        assert_eq!(
            containment("user_metadata['a']:'1' AND user_metadata['a']:1"),
            None
        );
        assert_eq!(
            containment("user_metadata['a']:'x' AND user_metadata['a']['b']:'y'"),
            None
        );
        assert_eq!(
            containment("user_metadata['a']['b']:'y' AND user_metadata['a']:'x'"),
            None
        );
        assert_eq!(
            containment("user_metadata['a']:1 AND user_metadata['a']:1"),
            Some(json!({ "a": 1 }))
        );
    }

    #[test]
    fn an_error_points_at_the_column() {
        for (text, column) in [
            ("", 1),
            ("metadata['a']:'b'", 1),
            ("user_metadata", 14),
            ("user_metadata['a]:'b'", 20),
            ("user_metadata[a]:'b'", 15),
            ("user_metadata['a']='b'", 19),
            ("user_metadata['a']:b", 20),
            ("user_metadata['a']:'b", 22),
            ("user_metadata['a']:'b' OR user_metadata['c']:'d'", 24),
            ("user_metadata['a']:'b' AND ", 28),
            ("user_metadata['é']:x", 20),
            ("user_metadata['a']:1.", 20),
            ("user_metadata['a']:01", 20),
            ("user_metadata['a']:1e999", 20),
            ("user_metadata['a']:'\0'", 21),
        ] {
            assert_eq!(
                text.parse::<MetadataQuery>().unwrap_err().column,
                column,
                "{text:?}"
            );
        }
    }

    #[test]
    fn depth_and_length_have_limits() {
        let deep = |keys: usize| format!("user_metadata{}:1", "['']".repeat(keys)).parse::<MetadataQuery>();
        assert!(deep(64).is_ok());
        assert_eq!(deep(65).unwrap_err().column, 14 + 64 * 4);
        let long = |conditions: usize| {
            vec!["user_metadata['a']:1"; conditions]
                .join(" AND ")
                .parse::<MetadataQuery>()
        };
        assert!(long(64).is_ok() && long(65).is_err());
    }

    fn keys() -> impl Strategy<Value = String> {
        "[^\0]{0,8}"
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[^\0]{0,12}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e300..1e300_f64).prop_map(Value::from),
        ]
    }

    fn write(path: &[String], value: &Value) -> String {
        let keys: String = path
            .iter()
            .map(|key| format!("['{}']", key.replace('\'', "''")))
            .collect();
        let value = value.as_str().map_or_else(
            || value.to_string(),
            |text| format!("'{}'", text.replace('\'', "''")),
        );
        format!("user_metadata{keys}:{value}")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            path in proptest::collection::vec(keys(), 1..4),
            value in values(),
        ) {
            let expected = path.iter().rev().fold(value.clone(), |inner, key| json!({ key: inner }));
            prop_assert_eq!(containment(&write(&path, &value)), Some(expected));
        }

        #[test]
        fn repeating_a_condition_changes_nothing(path in proptest::collection::vec(keys(), 1..4), value in values()) {
            let once = write(&path, &value);
            prop_assert_eq!(containment(&format!("{once} AND {once}")), containment(&once));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<MetadataQuery>();
            let _ = format!("user_metadata['a']:{text}").parse::<MetadataQuery>();
        }
    }
}
