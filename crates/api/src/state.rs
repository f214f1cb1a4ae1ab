//! What every handler needs at hand.

use std::sync::Arc;

use axum::extract::FromRef;
use tokio_util::task::TaskTracker;
use url::Url;
use wharf_control::Control;

/// What the HTTP surface is made of.
pub struct ApiOptions {
    /// The use cases.
    pub control: Control,
    /// Where clients reach the gateway; without it, where they reached the api.
    pub connect_url: Option<Url>,
    /// Prints the process's metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The HTTP surface's state: cheap to clone, one per process.
#[derive(Clone)]
pub struct Api {
    pub(crate) control: Control,
    pub(crate) connect_url: Option<Arc<Url>>,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) tasks: TaskTracker,
}

impl Api {
    /// The state over these parts.
    pub fn new(options: ApiOptions) -> Self {
        Self {
            control: options.control,
            connect_url: options.connect_url.map(Arc::new),
            metrics: options.metrics,
            tasks: TaskTracker::new(),
        }
    }

    /// Waits for requests that are still worked on, whether or not their callers still listen.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl FromRef<Api> for Control {
    fn from_ref(api: &Api) -> Self {
        api.control.clone()
    }
}
