//! Every route of the API is in its OpenAPI document. `routes!` adds a handler to the router and to the document
//! at once; the router's own methods would add it to the router alone.

use super::Finding;
use super::rust_source::RustSource;
use crate::workspace::Source;

const UNDOCUMENTED: [&str; 4] = [
    ".route(",
    ".route_service(",
    ".nest_service(",
    ".fallback_service(",
];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of_the_api = sources
        .iter()
        .filter(|source| source.path.starts_with("crates/api/") && source.extension() == "rs");
    for source in of_the_api {
        for (index, line) in RustSource::parse(&source.text).code.lines().enumerate() {
            if let Some(call) = UNDOCUMENTED.iter().find(|call| line.contains(*call)) {
                let message =
                    format!("{call}..) leaves the route out of the OpenAPI; use .routes(routes!(..))");
                findings.push(Finding::new(source, index + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn a_route_outside_the_document_is_found() {
        let router = "OpenApiRouter::new()\n    .routes(routes!(list))\n    .route(\"/v1/x\", get(list))";
        assert_eq!(
            printed(check, &[("crates/api/src/router.rs", router)]),
            [
                "crates/api/src/router.rs:3: .route(..) leaves the route out of the OpenAPI; use .routes(routes!(..))"
            ]
        );
    }

    #[test]
    fn other_servers_and_comments_are_free() {
        let router = "Router::new().route(\"/launch\", post(launch))";
        let comment = "// no .route( here";
        assert_eq!(
            printed(
                check,
                &[
                    ("crates/worker/src/http.rs", router),
                    ("crates/api/src/lib.rs", comment)
                ]
            ),
            [""; 0]
        );
    }
}
