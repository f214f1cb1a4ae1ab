//! The repository's own checks and generators: `cargo xtask <command>`.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool speaks on standard output"
)]

use std::process::ExitCode;

use clap::Parser;

mod database;
mod lint;
mod openapi;
mod processes;
mod sqlx_prepare;
mod steps;
mod test;
mod tidy;
mod workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The repository's own checks and generators")]
enum Command {
    /// Check the house rules: layering, file size, where SQL lives, routes, migrations
    Tidy,
    /// Format, clippy, licences and bans, tidy
    Lint,
    /// Look up known vulnerabilities in our dependencies; needs the network
    Audit,
    /// Write .sqlx from the queries and the migrations, on a throwaway Postgres
    SqlxPrepare {
        /// Change nothing; fail with the list of files that differ
        #[arg(long)]
        check: bool,
    },
    /// Write openapi/wharf.json from the handlers
    Openapi {
        /// Change nothing; fail when the committed file differs
        #[arg(long)]
        check: bool,
        /// Ask this wharf binary instead of building one
        #[arg(long)]
        binary: Option<std::path::PathBuf>,
    },
    /// Everything: lint, unit, integration with Postgres and Chromium, the official clients, a fleet under faults
    Test {
        /// Leave out the fleet under faults, which takes three minutes. Refused where CI is set
        #[arg(long)]
        no_chaos: bool,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Tidy => tidy::run(),
        Command::Lint => lint::run().await,
        Command::Audit => lint::audit().await,
        Command::SqlxPrepare { check } => sqlx_prepare::run(check).await,
        Command::Openapi { check, binary } => openapi::run(check, binary.as_deref()),
        Command::Test { no_chaos } => test::run(no_chaos).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
