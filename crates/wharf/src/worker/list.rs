//! `wharf worker list`.

use std::time::Duration;

use clap::Args;
use wharf_control::workers;

use crate::connect::Database;
use crate::table;

/// List the workers.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
}

impl List {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        let rows: Vec<_> = workers::list(&control)
            .await?
            .into_iter()
            .map(|worker| {
                [
                    worker.id.to_string(),
                    worker.name,
                    worker.address,
                    worker.regions.join(","),
                    format!("{} of {}", worker.used_slots, worker.slots),
                    worker.silent_for.map_or_else(|| "never".to_owned(), ago),
                    if worker.draining { "draining" } else { "serving" }.to_owned(),
                ]
            })
            .collect();
        table::print(
            [
                "ID",
                "NAME",
                "ADDRESS",
                "REGIONS",
                "SESSIONS",
                "LAST SEEN",
                "STATE",
            ],
            &rows,
        );
        Ok(())
    }
}

/// In the largest unit that leaves a number above one.
fn ago(silent: Duration) -> String {
    match silent.as_secs() {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7_200 => format!("{} min ago", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_in_a_unit_that_fits() {
        let told = [3, 119, 120, 7_200, 200_000].map(|seconds| ago(Duration::from_secs(seconds)));
        assert_eq!(told, ["3 s ago", "119 s ago", "2 min ago", "2 h ago", "2 d ago"]);
    }
}
