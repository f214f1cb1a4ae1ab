//! `wharf doctor`: starts a browser as `up` and `worker` would, and says which walls stand around it.

use anyhow::bail;
use clap::Args;

use crate::browsers::BrowserArguments;

/// Start a browser as it would be started, and look at what stands between it and this machine.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    browsers: BrowserArguments,
}

impl Doctor {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let binary = self.browsers.find()?;
        let profiles = std::env::temp_dir().join(format!("wharf-doctor-{}", std::process::id()));
        let examined = self.browsers.examine(binary.clone(), &profiles).await;
        // Made for browsers without a jail, and empty again.
        let _ = std::fs::remove_dir_all(&profiles);
        let (version, walls, held) = examined?;
        #[expect(clippy::print_stdout, reason = "what the command is asked for")]
        {
            println!("ok  browser       {version}, {}", binary.path().display());
            for wall in &walls {
                let verdict = if wall.stands { "ok" } else { "NO" };
                println!("{verdict}  {:<13} {}", wall.name, wall.seen);
            }
            println!("ok  limits        {held}");
            for missing in held.missing() {
                println!("NO                {missing}");
            }
            if let Some(reason) = held.why_watched() {
                println!("--                the kernel does not hold them: {reason}");
            }
        }
        let missing = walls.iter().filter(|wall| !wall.stands).count();
        if missing > 0 {
            bail!(
                "{missing} walls do not stand; with --isolation jail, the default, all of them do where they can"
            );
        }
        Ok(())
    }
}
