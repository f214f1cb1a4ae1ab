//! Moments on the wire: RFC 3339 in UTC with milliseconds, as JavaScript writes them.

use chrono::SecondsFormat;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use wharf_domain::Timestamp;

/// A moment in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WireTimestamp(pub(crate) Timestamp);

impl Serialize for WireTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl PartialSchema for WireTimestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for WireTimestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_three_digits_of_a_second() {
        let moment = Timestamp::from_timestamp_micros(1_234_567).expect("in range");
        assert_eq!(
            serde_json::json!(WireTimestamp(moment)),
            "1970-01-01T00:00:01.234Z"
        );
    }
}
