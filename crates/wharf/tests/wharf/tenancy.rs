//! Two tenants: every operation of the OpenAPI document is called without a key, with bad keys, and with the other
//! tenant's. The document is generated from the handlers, so a new operation cannot escape this test: it fails until the
//! operation says whose it is.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use wharf_domain::{ApiKey, SystemEntropy};
use wharf_testkit::{Answer, Tenant, TestDatabase, Wharf};

use crate::WHARF;

/// Operations that need no key: none of them knows anything of a tenant.
const PUBLIC: &str = include_str!("public_operations.txt");

const CERTIFICATE: &str = include_str!("../../../egress/tests/fixtures/upstream.pem");

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    id: String,
    security: Option<String>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("a document has paths");
    let mut found = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            let security = operation["security"][0]
                .as_object()
                .and_then(|schemes| schemes.keys().next().cloned());
            found.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                id: operation["operationId"]
                    .as_str()
                    .expect("an operation has an id")
                    .to_owned(),
                security,
            });
        }
    }
    found
}

/// What the victim owns.
struct Victim {
    project: String,
    session: String,
    certificate: String,
}

impl Victim {
    /// The operation's path with the victim's own ids in it, so that only the key can be what refuses the call.
    fn path(&self, operation: &Operation) -> String {
        let id = match operation.path.as_str() {
            path if path.starts_with("/v1/sessions/{id}") => &self.session,
            path if path.starts_with("/v1/projects/{id}") => &self.project,
            path if path.starts_with("/v1/certificates/{id}") => &self.certificate,
            path if !path.contains('{') => return path.to_owned(),
            path => panic!("{path} has an id: say here whose, so that its refusal can be tested"),
        };
        operation.path.replace("{id}", id)
    }

    /// A body that would do harm if it were obeyed.
    fn body(&self, operation: &Operation) -> Option<Value> {
        match operation.id.as_str() {
            "sessions_create" => Some(json!({ "projectId": self.project })),
            // It names nobody: it ends the caller's own sessions, of which the stranger has none.
            "sessions_release" => None,
            // Likewise: what is uploaded is the caller's own.
            "certificates_create" => None,
            "sessions_update" => Some(json!({ "status": "REQUEST_RELEASE" })),
            _ if operation.method == Method::GET => None,
            _ => Some(json!({})),
        }
    }
}

fn assert_refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{why}: {}", answer.body);
    assert_eq!(answer.body["statusCode"], status, "{why}");
    assert!(
        answer.body["error"].is_string() && !answer.message().is_empty(),
        "{why}: {}",
        answer.body
    );
}

#[tokio::test]
async fn every_operation_refuses_whoever_has_no_right_to_it() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let stranger = Tenant::create(&database.store, "stranger", 10, 10).await?;
    let created = wharf.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let uploaded = wharf
        .upload(Some(wharf.api_key()), "/v1/certificates", CERTIFICATE)
        .await?;
    assert_eq!(uploaded.status, 200, "{}", uploaded.body);
    let victim = Victim {
        project: wharf.project_id().to_owned(),
        certificate: uploaded.body["id"].as_str().expect("an id").to_owned(),
        session: created.body["id"].as_str().expect("an id").to_owned(),
    };
    let document = wharf
        .call_as(None, Method::GET, "/openapi.json", None)
        .await?
        .body;
    let mut public = BTreeSet::new();
    let mut checked = 0;
    for operation in operations(&document) {
        match operation.security.as_deref() {
            None => {
                public.insert(format!("{} {}", operation.method, operation.path));
            }
            Some("apiKey") => refuses_strangers(&wharf, &victim, &operation, &stranger).await?,
            Some("worker") => refuses_tenants(&wharf, &victim, &operation).await?,
            Some(other) => panic!("{}: say here how {other} is refused", operation.id),
        }
        checked += 1;
    }
    assert!(
        checked >= 16,
        "the document has fewer operations than it had: {checked}"
    );
    assert_eq!(
        public,
        PUBLIC.lines().map(str::to_owned).collect(),
        "public_operations.txt lists what needs no key"
    );
    let session = wharf
        .call(Method::GET, &format!("/v1/sessions/{}", victim.session), None)
        .await?;
    assert_eq!(session.body["status"], "RUNNING", "an attack had an effect");
    let certificate = format!("/v1/certificates/{}", victim.certificate);
    let certificate = wharf.call(Method::GET, &certificate, None).await?;
    assert_eq!(certificate.status, 200, "an attack had an effect");
    wharf.stop().await?;
    database.close().await
}

async fn refuses_strangers(
    wharf: &Wharf,
    victim: &Victim,
    operation: &Operation,
    stranger: &Tenant,
) -> anyhow::Result<()> {
    let (path, body) = (victim.path(operation), victim.body(operation));
    let unknown = ApiKey::mint(&SystemEntropy);
    for key in [None, Some(""), Some("bb_live_not-a-key"), Some(unknown.expose())] {
        let answer = wharf
            .call_as(key, operation.method.clone(), &path, body.as_ref())
            .await?;
        assert_refused(&answer, 401, &format!("{} with key {key:?}", operation.id));
    }
    let answer = wharf
        .call_as(
            Some(stranger.key.expose()),
            operation.method.clone(),
            &path,
            body.as_ref(),
        )
        .await?;
    if operation.id == "certificates_create" {
        // No file came with it.
        assert_refused(&answer, 415, &operation.id);
    } else if operation.path.contains('{') || body.is_some() {
        assert_refused(&answer, 404, &format!("{} by another tenant", operation.id));
    } else {
        assert_eq!(
            answer.status, 200,
            "{} by another tenant: {}",
            operation.id, answer.body
        );
        let text = answer.body.to_string();
        assert!(
            [&victim.session, &victim.project, &victim.certificate]
                .iter()
                .all(|id| !text.contains(*id)),
            "{}: {text}",
            operation.id
        );
    }
    Ok(())
}

async fn refuses_tenants(wharf: &Wharf, victim: &Victim, operation: &Operation) -> anyhow::Result<()> {
    let body = victim.body(operation);
    for key in [None, Some(wharf.api_key())] {
        let answer = wharf
            .call_as(key, operation.method.clone(), &operation.path, body.as_ref())
            .await?;
        assert_refused(&answer, 401, &operation.id);
    }
    Ok(())
}
