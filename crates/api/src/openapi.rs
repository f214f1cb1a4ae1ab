//! The OpenAPI document: generated from the handlers, committed as `openapi/wharf.json`.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ErrorBody;
use crate::router::operations;

/// The document of every operation.
pub fn openapi() -> OpenApi {
    with_description(operations().into_openapi())
}

/// Adds what belongs to no single operation.
pub(crate) fn with_description(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Wharf")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Browser sessions on your own machines. The /v1 operations are those of Browserbase's API; what Wharf adds \
             is marked as such. A project's key goes into the header X-BB-API-Key.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    let components = document.components.get_or_insert_default();
    let body: RefOr<Schema> = ErrorBody::schema();
    components.schemas.insert(ErrorBody::name().into_owned(), body);
    components.add_security_scheme(
        "apiKey",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-BB-API-Key"))),
    );
    components.add_security_scheme(
        "worker",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    document
}
