//! The table of contents: every route, and nothing else. A handler that is not in the OpenAPI document cannot be added
//! here, since `routes!` takes path and method from its documentation.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::browserbase::{certificates, projects, sessions};
use crate::openapi::with_description;
use crate::{fallback, layers, service, state::Api, upcall};

/// Every operation with its documentation.
pub(crate) fn operations() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(sessions::create::handler, sessions::list::handler))
        .routes(routes!(sessions::release::handler))
        .routes(routes!(sessions::get::handler, sessions::update::handler))
        .routes(routes!(sessions::events::handler))
        .routes(routes!(
            certificates::create::handler,
            certificates::list::handler
        ))
        .routes(routes!(certificates::get::handler, certificates::delete::handler))
        .routes(routes!(projects::list::handler))
        .routes(routes!(projects::get::handler))
        .routes(routes!(projects::usage::handler))
        .routes(routes!(upcall::register::handler))
        .routes(routes!(upcall::heartbeat::handler))
        .routes(routes!(service::healthz::handler))
        .routes(routes!(service::readyz::handler))
        .routes(routes!(service::metrics::handler))
}

/// The whole HTTP surface. `gateway` holds the routes of a gateway in the same process, if there is one: they get the same
/// request ids and the same answers to what is not there.
pub fn router(api: Api, gateway: Router) -> Router {
    let (operations, document) = operations().split_for_parts();
    operations
        .merge(SwaggerUi::new("/docs").url("/openapi.json", with_description(document)))
        .with_state(api.clone())
        .merge(gateway)
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(api.clone(), layers::detach))
        .layer(from_fn_with_state(api, layers::observe))
}
