//! `wharf openapi`.

use anyhow::Context;
use clap::Args;

/// Print the OpenAPI document.
#[derive(Debug, Args)]
pub(crate) struct Openapi {}

impl Openapi {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let document = wharf_api::openapi()
            .to_pretty_json()
            .context("the OpenAPI document is not JSON")?;
        #[expect(clippy::print_stdout, reason = "this command's answer")]
        {
            println!("{document}");
        }
        Ok(())
    }
}
