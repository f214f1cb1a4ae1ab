//! What the control plane has not acknowledged, on the worker's disk. A killed worker loses what came after the last
//! write: five seconds of use at most. Its next process tells what the spool holds when it registers.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wharf_protocol::ObservedSession;

use crate::agent::Agent;

/// The file, and what it holds as far as we wrote it.
pub(crate) struct Spool {
    path: Arc<Path>,
    written: Option<Vec<ObservedSession>>,
    /// Whether the last write failed. Told once, not every few seconds.
    failing: bool,
}

impl Spool {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path: path.into(),
            written: None,
            failing: false,
        }
    }

    /// What the worker's earlier process has left. A file that cannot be read for what it is, is moved aside: no disk keeps
    /// a worker from starting.
    pub(crate) async fn read(&self) -> Vec<ObservedSession> {
        let path = Arc::clone(&self.path);
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.unwrap_or_default()
    }

    /// Writes whatever changed, every few seconds and whenever a session begins or ends; once more when the first token
    /// is cancelled. Stops at once when the second is: somebody else writes the file then.
    pub(crate) async fn keep(mut self, agent: Arc<Agent>, stop: (CancellationToken, CancellationToken)) {
        let (stop, replaced) = stop;
        let mut live = agent.registry.live();
        loop {
            self.write(agent.registry.observe()).await;
            tokio::select! {
                biased;
                () = replaced.cancelled() => return,
                () = stop.cancelled() => break,
                () = sleep(agent.rules.sample_every) => {}
                Ok(()) = live.changed() => {}
            }
        }
        self.write(agent.registry.observe()).await;
    }

    async fn write(&mut self, sessions: Vec<ObservedSession>) {
        if self.written.as_ref() == Some(&sessions) {
            return;
        }
        let path = Arc::clone(&self.path);
        let job = tokio::task::spawn_blocking(move || write(&path, &sessions).map(|()| sessions));
        match job.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(sessions) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(path = %self.path.display(), "the spool can be written again");
                }
                self.written = Some(sessions);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        path = %self.path.display(), %error,
                        "the spool cannot be written: what is not reported is lost if this worker is killed: {error}"
                    );
                }
                self.written = None;
            }
        }
    }
}

fn read(path: &Path) -> Vec<ObservedSession> {
    let sessions = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(error),
    };
    sessions.unwrap_or_else(|error| {
        let aside = beside(path, "corrupt");
        let moved = fs::rename(path, &aside);
        tracing::warn!(
            path = %path.display(), aside = %aside.display(), moved = moved.is_ok(), %error,
            "the spool of an earlier process cannot be read and is moved aside; what it held is not reported: {error}"
        );
        Vec::new()
    })
}

/// All of it or nothing: a reader never sees a half.
fn write(path: &Path, sessions: &[ObservedSession]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = beside(path, "draft");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(sessions)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
