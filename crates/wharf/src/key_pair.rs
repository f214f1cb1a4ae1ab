//! `wharf key-pair`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::{key_files, table};

const PRIVATE_FOLDER: u32 = 0o700;

/// Make the key pair of a fleet, or show the public half of one. The api signs with `signing.key`; workers and gateways
/// check with `verifying.key`.
#[derive(Debug, Args)]
pub(crate) struct KeyPair {
    /// Where the two files are, or are to be. A pair that is there is kept.
    folder: PathBuf,
}

impl KeyPair {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_FOLDER)
            .create(&self.folder)
            .with_context(|| format!("the folder {} cannot be made", self.folder.display()))?;
        let key = key_files::pair_in(&self.folder)?;
        let row = [
            self.folder.join(key_files::SIGNING_KEY).display().to_string(),
            self.folder.join(key_files::VERIFYING_KEY).display().to_string(),
            key.verifying_key().to_text(),
        ];
        table::print(["SIGNING KEY", "VERIFYING KEY", "PUBLIC HALF"], &[row]);
        Ok(())
    }
}
