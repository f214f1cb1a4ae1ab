//! Many clients at once, each with a life of its own: create, connect, count, leave, come back, release, list.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wharf_testkit::{ApiClient, Cdp, Tenant};

use crate::dice::Dice;
use crate::load_log::{LoadLog, Seen};
use crate::stage::{self, Created, FAKE, REAL, Stage};

/// Deadlines are short, so that a run can see all of them pass.
const TIMEOUT_SECONDS: (u64, u64) = (60, 90);
const CONNECT_TRIES: usize = 6;
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Clients that live until they are stopped.
#[derive(Debug)]
pub struct Load {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

struct Client {
    index: usize,
    tenant: Tenant,
    apis: Vec<ApiClient>,
    region: &'static str,
    dice: Dice,
    log: LoadLog,
    creates: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Load {
    /// Starts so many clients with fake browsers and so many with real ones, spread over the tenants.
    pub fn start(
        stage: &Stage,
        tenants: &[Tenant],
        (fakes, reals): (usize, usize),
        seed: u64,
        log: &LoadLog,
    ) -> anyhow::Result<Self> {
        let (stop, creates) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for index in 0..fakes + reals {
            let tenant = tenants[index % tenants.len()].clone();
            let apis = stage
                .links
                .apis
                .iter()
                .map(|link| ApiClient::new(&link.url(), tenant.key.expose()))
                .collect::<anyhow::Result<_>>()?;
            let client = Client {
                index,
                tenant,
                apis,
                region: if index < reals { REAL } else { FAKE },
                dice: Dice::new(seed, 2_000 + index as u64),
                log: log.clone(),
                creates: Arc::clone(&creates),
                stop: stop.clone(),
            };
            tasks.spawn(client.live());
        }
        Ok(Self { tasks, stop })
    }

    /// Lets every client finish what it does.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Client {
    async fn live(self) {
        while !self.stop.is_cancelled() {
            self.one_session().await;
            self.pause(20, 400).await;
        }
    }

    async fn one_session(&self) {
        let number = self.creates.fetch_add(1, Ordering::Relaxed);
        let keep_alive = self.dice.percent(50);
        let Some(created) = self.create(number, keep_alive).await else {
            return;
        };
        let rounds = match (keep_alive, self.dice.below(10)) {
            (_, 0) => 0,
            (true, _) => 1 + self.dice.below(4),
            (false, _) => 1,
        };
        let mut known = 0;
        for _ in 0..rounds {
            if self.stop.is_cancelled() || !self.drive(&created, &mut known).await {
                break;
            }
            self.pause(50, 1_000).await;
        }
        // The others end because their client has left, or at their deadline.
        if rounds == 0 || (keep_alive && self.dice.percent(70)) {
            self.release(&created).await;
        }
        if self.dice.percent(20) {
            self.list().await;
        }
    }

    async fn create(&self, number: usize, keep_alive: bool) -> Option<Created> {
        let (least, most) = TIMEOUT_SECONDS;
        let body = json!({
            "region": self.region,
            "keepAlive": keep_alive,
            "timeout": least + self.dice.below(usize::try_from(most - least).unwrap_or(0)) as u64,
            "userMetadata": { "create": number, "by": "load" },
        });
        self.log.add(self.index, Seen::Asked { create: number });
        let api = self.dice.pick(&self.apis);
        match api.call(Method::POST, "/v1/sessions", Some(&body)).await {
            Ok(answer) if answer.status == 201 => {
                let session = answer.text("id").to_owned();
                self.log.add(
                    self.index,
                    Seen::Acknowledged {
                        create: number,
                        session: session.clone(),
                        project: self.tenant.project.to_string(),
                    },
                );
                Some(Created {
                    id: session,
                    connect_url: answer.text("connectUrl").to_owned(),
                })
            }
            Ok(answer) => {
                let (create, status) = (number, answer.status);
                self.log.add(self.index, Seen::Refused { create, status });
                self.pause(200, 1_000).await;
                None
            }
            Err(error) => {
                let (create, error) = (number, format!("{error:#}"));
                self.log.add(self.index, Seen::Unanswered { create, error });
                self.pause(200, 1_000).await;
                None
            }
        }
    }

    /// Connects, counts a few times and leaves; whether it is worth coming back.
    async fn drive(&self, created: &Created, known: &mut u64) -> bool {
        let mut tries = 0;
        let mut client = loop {
            tries += 1;
            match Cdp::connect(&created.connect_url).await {
                Ok(client) => break client,
                Err(error) => {
                    self.lost(created, &error);
                    if tries == CONNECT_TRIES || self.stop.is_cancelled() || is_over(&error) {
                        return false;
                    }
                    sleep(TRY_AGAIN).await;
                }
            }
        };
        for _ in 0..1 + self.dice.below(5) {
            match client.count_up().await {
                Ok(count) => {
                    let session = created.id.clone();
                    if count <= *known {
                        self.log.violation(format!(
                            "session {session}: its browser counted {known} and then {count}: it is another one"
                        ));
                    }
                    *known = count;
                    self.log.add(self.index, Seen::Drove { session, count });
                }
                Err(error) => {
                    self.lost(created, &error);
                    return true;
                }
            }
            self.pause(20, 300).await;
        }
        // Half of all clients say goodbye.
        if self.dice.percent(50) {
            let _ = client.close().await;
        }
        true
    }

    async fn release(&self, created: &Created) {
        let api = self.dice.pick(&self.apis);
        if let Ok(status) = stage::release(api, &created.id).await {
            let session = created.id.clone();
            self.log.add(self.index, Seen::Released { session, status });
        }
    }

    async fn list(&self) {
        let api = self.dice.pick(&self.apis);
        let Ok(answer) = api.call(Method::GET, "/v1/sessions?status=RUNNING", None).await else {
            return;
        };
        let own = self.tenant.project.to_string();
        for session in answer.body.as_array().into_iter().flatten() {
            if session["projectId"] != own.as_str() {
                self.log.violation(format!("project {own} was shown {session}"));
            }
        }
    }

    fn lost(&self, created: &Created, error: &anyhow::Error) {
        let (session, error) = (created.id.clone(), format!("{error:#}"));
        self.log.add(self.index, Seen::Lost { session, error });
    }

    async fn pause(&self, least: u64, most: u64) {
        let pause = self
            .dice
            .between(Duration::from_millis(least), Duration::from_millis(most));
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Refused for good: the session has ended.
fn is_over(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("410") || text.contains("404")
}
