//! What callers store beside a session, and how they find it again.

mod parser;
mod query;

use serde::Serialize;
use serde_json::{Map, Value};

pub use query::{MetadataQuery, QueryError};

/// A caller's own JSON object, kept with the session and never changed afterwards.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UserMetadata(Map<String, Value>);

/// An object that is too large, or that Postgres cannot store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserMetadataError {
    /// The object's JSON text has 512 characters or more.
    #[error("must be shorter than {limit} characters as JSON, not {0}", limit = UserMetadata::LIMIT)]
    TooLong(usize),
    /// A string holds U+0000, which Postgres' jsonb does not take.
    #[error("must not contain the character U+0000")]
    NulCharacter,
}

impl UserMetadata {
    /// The JSON text must be shorter than this, counted as JavaScript counts: in UTF-16 units of `JSON.stringify`.
    pub const LIMIT: usize = 512;

    /// The object itself.
    pub const fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl TryFrom<Map<String, Value>> for UserMetadata {
    type Error = UserMetadataError;

    fn try_from(object: Map<String, Value>) -> Result<Self, UserMetadataError> {
        let value = Value::Object(object);
        let length = value.to_string().encode_utf16().count();
        if length >= Self::LIMIT {
            return Err(UserMetadataError::TooLong(length));
        }
        match value {
            value if has_nul(&value) => Err(UserMetadataError::NulCharacter),
            Value::Object(object) => Ok(Self(object)),
            _ => unreachable!("the value was made from an object"),
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: Value) -> Result<UserMetadata, UserMetadataError> {
        let Value::Object(object) = value else {
            panic!("not an object: {value}")
        };
        UserMetadata::try_from(object)
    }

    #[test]
    fn the_limit_is_511_characters_of_json() {
        let frame = r#"{"a":""}"#.len();
        assert!(metadata(json!({ "a": "x".repeat(511 - frame) })).is_ok());
        assert_eq!(
            metadata(json!({ "a": "x".repeat(512 - frame) })),
            Err(UserMetadataError::TooLong(512))
        );
    }

    #[test]
    fn characters_are_counted_as_javascript_counts_them() {
        let frame = r#"{"a":""}"#.len();
        assert!(metadata(json!({ "a": "é".repeat(511 - frame) })).is_ok());
        assert!(metadata(json!({ "a": "😀".repeat(256) })).is_err());
    }

    #[test]
    fn a_nul_character_is_refused_and_its_spelling_is_not() {
        assert_eq!(
            metadata(json!({ "a": ["\0"] })),
            Err(UserMetadataError::NulCharacter)
        );
        assert_eq!(metadata(json!({ "\0": 1 })), Err(UserMetadataError::NulCharacter));
        assert!(metadata(json!({ "a": "\\u0000" })).is_ok());
    }
}
