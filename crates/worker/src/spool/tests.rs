use std::time::Duration;

use wharf_domain::EndReason;
use wharf_protocol::ObservedStatus;

use super::*;
use crate::agent::testing::{Staged, request};
use crate::browser::testing::FakeBrowsers;

/// An agent whose state is spooled while `keeping` is polled.
struct Spooled {
    staged: Staged,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    replaced: CancellationToken,
}

impl Spooled {
    fn new() -> Self {
        Self {
            staged: Staged::new(FakeBrowsers::new(), 2),
            folder: tempfile::tempdir().unwrap(),
            stop: CancellationToken::new(),
            replaced: CancellationToken::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("made/spool.json")
    }

    fn keeping(&self) -> impl Future<Output = ()> + use<> {
        let stop = (self.stop.clone(), self.replaced.clone());
        Spool::at(self.path()).keep(Arc::clone(&self.staged.agent), stop)
    }

    /// What the worker's next process would read.
    fn statuses(&self) -> Vec<ObservedStatus> {
        read(&self.path())
            .into_iter()
            .map(|session| session.status)
            .collect()
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_what_ended_is_on_the_disk_until_it_is_acknowledged() {
    let spooled = Spooled::new();
    let life = async {
        spooled.staged.agent.launch(request(1)).await.unwrap();
        spooled.staged.browsers.use_up(70, 900);
        seconds(11).await;
        let seen = read(&spooled.path());
        assert_eq!(seen[0].status, ObservedStatus::Running);
        assert_eq!(seen[0].usage.cpu.0, 70);
        assert!(seen[0].usage.running.0 >= 5_000, "{seen:?}");

        spooled.staged.release(&request(1));
        spooled.staged.end_of(&request(1)).await;
        // Long before the next sample.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(spooled.statuses(), [ObservedStatus::Ended(EndReason::Released)]);

        spooled.staged.forget(&request(1));
        seconds(6).await;
        assert_eq!(spooled.statuses(), []);
        spooled.stop.cancel();
    };
    tokio::join!(spooled.keeping(), life);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let spooled = Spooled::new();
    let life = async {
        seconds(1).await;
        std::fs::remove_file(spooled.path()).unwrap();
        seconds(60).await;
        assert!(!spooled.path().exists());
        spooled.stop.cancel();
    };
    tokio::join!(spooled.keeping(), life);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_is_tried_again() {
    let spooled = Spooled::new();
    let in_the_way = spooled.folder.path().join("made");
    std::fs::write(&in_the_way, "").unwrap();
    let life = async {
        spooled.staged.agent.launch(request(1)).await.unwrap();
        seconds(12).await;
        std::fs::remove_file(&in_the_way).unwrap();
        seconds(6).await;
        assert_eq!(spooled.statuses(), [ObservedStatus::Running]);
        spooled.stop.cancel();
    };
    tokio::join!(spooled.keeping(), life);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_worker_writes_no_more() {
    let spooled = Spooled::new();
    let life = async {
        seconds(1).await;
        spooled.replaced.cancel();
        spooled.staged.agent.launch(request(1)).await.unwrap();
        spooled.stop.cancel();
    };
    tokio::join!(spooled.keeping(), life);
    assert_eq!(spooled.statuses(), []);
}

#[tokio::test]
async fn what_cannot_be_read_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.json");
    assert_eq!(Spool::at(path.clone()).read().await, []);
    for corrupt in ["", "[{\"session\":", "{}", "\0\0\0\0"] {
        std::fs::write(&path, corrupt).unwrap();
        assert_eq!(Spool::at(path.clone()).read().await, []);
        assert!(!path.exists());
        let aside = std::fs::read_to_string(folder.path().join("spool.json.corrupt"));
        assert_eq!(aside.unwrap(), corrupt);
    }
    std::fs::create_dir(&path).unwrap();
    assert_eq!(Spool::at(path).read().await, []);
}
