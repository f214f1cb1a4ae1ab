//! The control plane's calls, as a router gets them.

use tower::ServiceExt;
use wharf_domain::{Clock, EndReason, Generation, SeededEntropy, SessionId};
use wharf_protocol::{CallSigner, SigningKey};

use super::*;
use crate::agent::testing::{Staged, request, soon};
use crate::browser::testing::FakeBrowsers;

struct Served {
    staged: Staged,
    router: Router,
    signer: CallSigner,
    worker: WorkerId,
}

impl Served {
    fn new() -> Self {
        let staged = Staged::new(FakeBrowsers::new(), 1);
        let key = SigningKey::generate();
        let worker = WorkerId::mint(&*staged.clock as &dyn Clock, &SeededEntropy::new(1));
        let verifier = CallVerifier::new(key.verifying_key());
        let router = router(Calls {
            agent: Arc::clone(&staged.agent),
            verifier,
            worker,
        });
        Self {
            staged,
            router,
            signer: CallSigner::new(&key),
            worker,
        }
    }

    /// Posts a body with the signature of a body and a path.
    async fn post(&self, path: &str, body: &[u8], signed: (&str, &[u8])) -> (StatusCode, serde_json::Value) {
        let signature = self
            .signer
            .sign(self.worker, signed.0, signed.1, &*self.staged.clock);
        let request = Request::post(path).header(CALL_SIGNATURE_HEADER, signature);
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = soon(self.router.clone().oneshot(request)).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn call(&self, path: &str, body: &impl serde::Serialize) -> (StatusCode, serde_json::Value) {
        let body = serde_json::to_vec(body).unwrap();
        self.post(path, &body, (path, &body)).await
    }
}

#[tokio::test]
async fn a_signed_launch_and_release_are_obeyed() {
    let served = Served::new();
    let (status, reply) = served.call(LAUNCH_PATH, &request(1)).await;
    assert_eq!(
        (status, &reply["browserVersion"]),
        (StatusCode::OK, &"Fake/1.0".into())
    );

    let LaunchRequest {
        session, generation, ..
    } = request(1);
    let release = ReleaseRequest {
        session,
        generation,
        reason: EndReason::Released,
    };
    assert_eq!(served.call(RELEASE_PATH, &release).await.0, StatusCode::OK);
    assert_eq!(soon(served.staged.end_of(&request(1))).await, EndReason::Released);

    let unknown = SessionId::mint(&*served.staged.clock as &dyn Clock, &SeededEntropy::new(77));
    let release = ReleaseRequest {
        session: unknown,
        ..release
    };
    assert_eq!(served.call(RELEASE_PATH, &release).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_unsigned_call_is_refused_whatever_it_says() {
    let served = Served::new();
    let body = serde_json::to_vec(&request(1)).unwrap();
    for signed in [(RELEASE_PATH, &*body), (LAUNCH_PATH, b"{}")] {
        let (status, reply) = served.post(LAUNCH_PATH, &body, signed).await;
        assert_eq!(
            (status, &reply["statusCode"]),
            (StatusCode::UNAUTHORIZED, &401.into())
        );
    }
    let unsigned = Request::post(LAUNCH_PATH).body(Body::from(body)).unwrap();
    let response = served.router.clone().oneshot(unsigned).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(served.staged.browsers.launched(), 0);
}

#[tokio::test]
async fn what_does_not_parse_or_is_too_large_is_told_so_in_json() {
    let served = Served::new();
    let (status, reply) = served
        .call(LAUNCH_PATH, &serde_json::json!({ "session": 5 }))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        reply["message"].as_str().unwrap().contains("does not parse"),
        "{reply}"
    );

    let large = vec![b' '; MOST_BODY_BYTES + 1];
    let (status, reply) = served.post(LAUNCH_PATH, &large, (LAUNCH_PATH, &large)).await;
    assert_eq!(
        (status, &reply["statusCode"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &413.into())
    );
}

#[tokio::test(start_paused = true)]
async fn each_failed_launch_has_its_status() {
    let served = Served::new();
    served.call(LAUNCH_PATH, &request(1)).await;
    let (status, reply) = served.call(LAUNCH_PATH, &request(2)).await;
    assert_eq!(
        (status, &reply["error"]),
        (StatusCode::SERVICE_UNAVAILABLE, &REFUSED_FULL.into())
    );

    let earlier = LaunchRequest {
        generation: Generation(0),
        ..request(1)
    };
    assert_eq!(served.call(LAUNCH_PATH, &earlier).await.0, StatusCode::CONFLICT);

    served.staged.release(&request(1));
    served.staged.end_of(&request(1)).await;
    served.staged.browsers.break_with("no usable sandbox");
    let (status, reply) = served.call(LAUNCH_PATH, &request(3)).await;
    assert_eq!(
        (status, &reply["message"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &"no usable sandbox".into())
    );
}

#[tokio::test]
async fn a_worker_says_that_it_is_healthy() {
    let served = Served::new();
    let request = Request::get(HEALTH_PATH).body(Body::empty()).unwrap();
    assert_eq!(
        served.router.oneshot(request).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_draining_worker_refuses_launches_and_obeys_releases() {
    let served = Served::new();
    served.call(LAUNCH_PATH, &request(1)).await;
    served
        .staged
        .agent
        .registry
        .set_draining(|draining| draining.own = true);
    let (status, reply) = served.call(LAUNCH_PATH, &request(2)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply["message"], "the worker is draining; use another");
    assert_ne!(reply["error"], REFUSED_FULL);

    let LaunchRequest {
        session, generation, ..
    } = request(1);
    let release = ReleaseRequest {
        session,
        generation,
        reason: EndReason::Released,
    };
    assert_eq!(served.call(RELEASE_PATH, &release).await.0, StatusCode::OK);
    assert_eq!(soon(served.staged.end_of(&request(1))).await, EndReason::Released);
}
