//! The least that a create can be: a handler that runs its two transactions, and nothing else. No browser, no worker, no
//! key, no check. A process of its own on a Postgres of its own, because Wharf is one too and has one.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;
use wharf_domain::{ApiKeyId, ProjectId, Region, SessionId, SystemClock, SystemEntropy};
use wharf_postgres::Options;
use wharf_store::sessions::{self, NewSession};
use wharf_store::{Store, StoreOptions};
use wharf_testkit::Tenant;

/// As many as a run can create.
const PLENTY: i32 = 1_000_000;
/// Nobody speaks for the worker of these sessions; it counts as alive for as long as a run may take.
const SILENT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What `wharf up` has.
const CONNECTIONS: u32 = 30;

/// What the handler works with.
#[derive(Clone)]
struct Creates {
    store: Store,
    project: ProjectId,
    key: ApiKeyId,
}

/// Answers creates from a new Postgres in `folder` until standard input ends: with the parent, however that ended.
pub async fn serve(folder: &Path) -> anyhow::Result<()> {
    let options = Options::new(folder.join("postgres"), wharf_postgres::find_binaries(None)?);
    let server = wharf_postgres::start(options).await?;
    let url = server.url_for("wharf", "wharf");
    Store::create_database(&server.url(), &url).await?;
    let options = StoreOptions {
        url,
        max_connections: CONNECTIONS,
    };
    let store = Store::connect(&options).await?;
    store.migrate().await?;
    let tenant = Tenant::create(&store, "bench", PLENTY.into(), PLENTY.into()).await?;
    Tenant::worker(&store, "bench", PLENTY).await?;
    let creates = Creates {
        store: store.clone(),
        project: tenant.project,
        key: ApiKeyId::mint(&SystemClock, &SystemEntropy),
    };
    let router = Router::new()
        .route("/v1/sessions", post(create))
        .with_state(creates);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(listener.local_addr()?);
    let parent_gone = spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        failed = async { axum::serve(listener, router).await } => failed?,
        gone = parent_gone => drop(gone??),
    }
    store.close().await;
    Ok(server.stop().await?)
}

#[expect(clippy::print_stdout, reason = "the parent reads the address from here")]
fn announce(address: SocketAddr) {
    println!("{address}");
}

async fn create(
    State(creates): State<Creates>,
    Json(_): Json<Value>,
) -> Result<(StatusCode, Json<Value>), (StatusCode, String)> {
    let created = creates.create().await;
    created
        .map(|id| (StatusCode::CREATED, Json(json!({ "id": id }))))
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

impl Creates {
    /// What Wharf stores of a create, by the functions with which it does.
    async fn create(&self) -> anyhow::Result<SessionId> {
        let id = SessionId::mint(&SystemClock, &SystemEntropy);
        let new = NewSession {
            id,
            api_key: self.key,
            region: Region::UsWest2,
            timeout: None,
            keep_alive: false,
            user_metadata: None,
            options: json!({}),
            silent_after: SILENT_AFTER,
            wait_within: Duration::from_secs(10),
            lost_after: SILENT_AFTER,
        };
        let mut transaction = self.store.admission(self.project).await?;
        let admission = sessions::create(&mut transaction, &new).await?;
        let stored = admission.and_then(|admission| admission.stored);
        transaction.commit().await?;
        let generation = stored.context("it was not stored")?.generation;
        let mut transaction = self.store.tenant(self.project).await?;
        let started = sessions::start(&mut transaction, id, generation).await?;
        transaction.commit().await?;
        started.context("it was not started")?;
        Ok(id)
    }
}

/// The running process.
#[derive(Debug)]
pub struct BareCreate {
    process: Child,
    url: String,
    http: reqwest::Client,
}

impl BareCreate {
    /// Starts it with a Postgres in `folder`, which may not be there yet.
    pub async fn start(folder: &Path) -> anyhow::Result<BareCreate> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("bare-create")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the bare create did not start")?;
        let stdout = process.stdout.take().context("standard output is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let address: SocketAddr = line.trim().parse().context("the bare create said no address")?;
        Ok(BareCreate {
            process,
            url: format!("http://{address}/v1/sessions"),
            http: reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?,
        })
    }

    /// The time from sending the request until the answer is read.
    pub async fn create(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let answer = self.http.post(&self.url).json(&json!({})).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        let took = started.elapsed();
        ensure!(
            status == StatusCode::CREATED,
            "a bare create failed: {status} {body}"
        );
        Ok(took)
    }

    /// Ends it, and waits until it is gone.
    pub async fn end(mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}
