//! JSON bodies, as clients really send them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::ApiError;

/// The largest body, in bytes. Metadata is at most 512 characters, so a megabyte is generous.
const LIMIT: usize = 1 << 20;

/// A JSON body. An empty one counts as `{}`, whatever its content type says: generated clients announce JSON and send
/// nothing. Unknown fields are ignored: old clients send fields that are gone.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        parse(&read(request).await?).map(Self).map_err(ApiError::invalid)
    }
}

/// The body's bytes.
pub(super) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let body = Limited::new(request.into_body(), LIMIT)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                ApiError::invalid(format!("body must not be larger than {LIMIT} bytes"))
            } else {
                ApiError::invalid("body broke off before its end")
            }
        })?;
    Ok(body.to_bytes())
}

/// Reads a body; an error names the field, as `body/browserSettings/viewport/width`.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let bytes = match bytes.trim_ascii() {
        [] => b"{}",
        object @ [b'{', ..] => object,
        // serde would take an array for a struct, field by field.
        other => {
            let valid = serde_json::from_slice::<serde::de::IgnoredAny>(other);
            return Err(valid.map_or_else(
                |reason| format!("body is not valid JSON: {reason}"),
                |_| "body must be an object".to_owned(),
            ));
        }
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = field(error.path());
        let reason = error.into_inner();
        match reason.classify() {
            Category::Data => format!("{path} {}", without_position(&reason)),
            _ => format!("body is not valid JSON: {reason}"),
        }
    })?;
    json.end()
        .map_err(|reason| format!("body is not valid JSON: {reason}"))?;
    Ok(value)
}

fn field(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = "body".to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => text += &format!("/{index}"),
            Segment::Map { key } => text += &format!("/{key}"),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// serde's message, in the words of JSON, and without a position that the field's name makes superfluous.
fn without_position(reason: &serde_json::Error) -> String {
    let message = reason.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(message, _)| message);
    if message.starts_with("UUID parsing failed") {
        return "must be a UUID".to_owned();
    }
    let Some(mismatch) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
    else {
        return message.to_owned();
    };
    let (found, expected) = mismatch
        .split_once(", expected ")
        .unwrap_or((mismatch, "something else"));
    let expected = match expected {
        "i64" | "i32" | "u32" | "u16" => "an integer",
        "a map" => "an object",
        "a sequence" => "an array",
        "a UUID string" => "a UUID",
        other => other,
    };
    format!("must be {expected}, not {found}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use wharf_domain::SessionTimeout;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Body {
        timeout: Option<SessionTimeout>,
        inner: Option<Inner>,
        id: Option<uuid::Uuid>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        width: u32,
    }

    fn refusal(body: &str) -> String {
        parse::<Body>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn nothing_counts_as_an_empty_object() {
        for body in ["", "  \r\n", "{}", r#"{"unknown": [1]}"#, r#"{"timeout": null}"#] {
            assert_eq!(
                parse::<Body>(body.as_bytes()),
                Ok(Body {
                    timeout: None,
                    inner: None,
                    id: None
                }),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert_eq!(
            refusal(r#"{"timeout": 59}"#),
            "body/timeout must be between 60 and 21600 seconds, not 59"
        );
        assert_eq!(
            refusal(r#"{"timeout": "60"}"#),
            r#"body/timeout must be an integer, not string "60""#
        );
        assert_eq!(
            refusal(r#"{"inner": {"width": -1}}"#),
            "body/inner/width must be an integer, not integer `-1`"
        );
        assert_eq!(refusal(r#"{"id": "x"}"#), "body/id must be a UUID");
        assert_eq!(refusal(r#"{"inner": {}}"#), "body/inner missing field `width`");
    }

    #[test]
    fn what_is_not_json_is_told_where() {
        assert!(
            refusal("{").starts_with("body is not valid JSON: EOF"),
            "{}",
            refusal("{")
        );
        assert!(
            refusal("{} x").starts_with("body is not valid JSON: trailing"),
            "{}",
            refusal("{} x")
        );
        assert!(
            parse::<Body>(b"\xff\xfe")
                .unwrap_err()
                .starts_with("body is not valid JSON")
        );
        assert_eq!(refusal("[60]"), "body must be an object");
        assert_eq!(refusal("null"), "body must be an object");
    }
}
