//! Enumerations in the OpenAPI document, with the names that `wharf-domain` has for them.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use wharf_domain::{EndReason, Region, SessionStatus};
use wharf_store::sessions::EventKind;

/// Every status.
pub(crate) fn status() -> RefOr<Schema> {
    one_of(SessionStatus::ALL.map(SessionStatus::name))
}

/// Every reason for an end.
pub(crate) fn end_reason() -> RefOr<Schema> {
    one_of(EndReason::ALL.map(EndReason::name))
}

/// Every kind of event.
pub(crate) fn event_kind() -> RefOr<Schema> {
    one_of(EventKind::ALL.map(EventKind::name))
}

/// Every region.
pub(crate) fn region() -> RefOr<Schema> {
    one_of(Region::ALL.map(Region::name))
}

fn one_of<const COUNT: usize>(names: [&'static str; COUNT]) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .into()
}
