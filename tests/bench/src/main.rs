//! `wharf-bench`: what Wharf costs on top of what the machine cannot avoid, both measured in one run.

mod bare_create;
mod cdp;
mod figure;
mod launch;
mod machine;
mod report;
mod run;
mod samples;
mod tunnel;
mod warm;
mod wharf;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::{Form, Outcome};

/// Measure Wharf against a bare browser and a raw tunnel, on this machine and in one run.
#[derive(Debug, Parser)]
#[command(name = "wharf-bench", version)]
struct Command {
    /// The quick form, under a minute; its figures scatter more.
    #[arg(long)]
    short: bool,
    /// Exit with 1 when a target is missed.
    #[arg(long)]
    check: bool,
    /// Where to write the result as JSON.
    #[arg(long, value_name = "PATH", default_value = "target/bench/latest.json")]
    json: PathBuf,
    /// The wharf to measure; the one next to this program without.
    #[arg(long, env = "WHARF_BIN", value_name = "PATH")]
    wharf: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The raw tunnel that Wharf is compared with. It ends when its standard input does.
    #[command(hide = true)]
    Tunnel {
        /// Where the bytes go.
        to: SocketAddr,
    },
    /// The create that Wharf's is compared with. It ends when its standard input does.
    #[command(hide = true)]
    BareCreate {
        /// Where its Postgres may lie.
        folder: PathBuf,
    },
}

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// Neither met nor missed: nothing was measured.
const FAILED: u8 = 2;

// One thread: a wake-up that crosses threads would be added to every round trip that is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = Command::parse();
    let ended = match command.role {
        Some(Role::Tunnel { to }) => tunnel::serve(to).await.map(|()| Outcome::Met),
        Some(Role::BareCreate { folder }) => bare_create::serve(&folder).await.map(|()| Outcome::Met),
        None => {
            let form = if command.short { Form::Short } else { Form::Full };
            run::run(form, command.wharf, &command.json).await
        }
    };
    match ended {
        Ok(Outcome::Missed) if command.check => ExitCode::FAILURE,
        Ok(Outcome::Met | Outcome::Missed) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one message of a program that failed")]
            {
                eprintln!("wharf-bench: {error:#}");
            }
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }
}
