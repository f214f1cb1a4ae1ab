//! The certificates that one browser trusts beside those that everybody does.
//!
//! Chromium on Linux finds them in a database of NSS in its home. `certutil` makes it, outside of the jail and as the
//! browser's user: what it reads comes from a tenant. The database then goes into the browser's folder before it starts.

use crate::account::Account;
use crate::profile::{ProfileFolder, ProfileRoot};
use crate::program;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

const CERTUTIL: &str = "certutil";
/// Where NSS looks, below the browser's home.
pub(crate) const FOLDER: &str = ".pki/nssdb";
/// What it finds there.
const FILES: [&str; 3] = ["cert9.db", "key4.db", "pkcs11.txt"];
/// Fifty certificates make some 150 KB.
const FILE_SIZE: u64 = 4 << 20;
/// Fifty certificates take it a tenth of a second.
const LIMIT: Duration = Duration::from_secs(10);
const END: &str = "-----END CERTIFICATE-----";

/// A browser cannot be given certificates to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The tool is not installed.
    #[error(
        "no {CERTUTIL} in PATH, which makes a browser trust a certificate: install it (\"apt install libnss3-tools\")"
    )]
    NoCertutil,
    /// The tool did not take them, in its own words.
    #[error("{CERTUTIL} refused the certificates: {0}")]
    Refused(String),
    /// The tool took too long.
    #[error("{CERTUTIL} did not end within {0:?}")]
    TimedOut(Duration),
    /// The tool could not be run, or what it made could not be read.
    #[error("cannot {0}")]
    Io(&'static str, #[source] std::io::Error),
}

/// One file of a database.
#[derive(Debug)]
pub(crate) struct TrustFile {
    /// Below the browser's home.
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
}

/// Makes databases.
#[derive(Debug)]
pub(crate) struct Certutil(Option<PathBuf>);

impl Certutil {
    /// The machine's, if it has one.
    pub(crate) fn find() -> Certutil {
        Certutil(program::in_path(CERTUTIL))
    }

    /// # Errors
    /// It is not installed.
    pub(crate) fn path(&self) -> Result<&Path, TrustError> {
        self.0.as_deref().ok_or(TrustError::NoCertutil)
    }

    /// The files of a database of these certificates, in PEM, `within` this time. Works in a folder of its own, which is
    /// gone afterwards.
    pub(crate) async fn database(
        &self,
        pems: Vec<String>,
        profiles: Arc<ProfileRoot>,
        name: &str,
        account: Account,
        within: Duration,
    ) -> Result<Vec<TrustFile>, crate::LaunchError> {
        let certutil = self.path()?.to_owned();
        let (name, user) = (format!("{name}-trust"), account.clone());
        let folder = blocking(move || -> Result<ProfileFolder, crate::LaunchError> {
            let folder = profiles.create(&name)?;
            write(&folder, &pems).map_err(|source| TrustError::Io("write certificates down", source))?;
            folder.hand_over(&user)?;
            Ok(folder)
        })
        .await??;
        run(&certutil, folder.path(), &account, within.min(LIMIT)).await?;
        let files = blocking(move || read(&folder, &account)).await?;
        Ok(files.map_err(|source| TrustError::Io("read a database of certificates", source))?)
    }
}

/// For what waits for a disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrustError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| TrustError::Io("work with files", std::io::Error::other(error)))
}

/// Each certificate in a file of its own, since of several in one only the first is taken, and what to do with them: one
/// process does it all, in a tenth of the time.
fn write(folder: &ProfileFolder, pems: &[String]) -> std::io::Result<()> {
    let certificates: BTreeSet<_> = pems.iter().flat_map(|pem| blocks(pem)).collect();
    let mut commands = String::new();
    for (number, certificate) in certificates.iter().enumerate() {
        // Only an authority's word counts, not the certificate itself as a server's.
        let _ = writeln!(commands, "-A -d sql:. -n {number} -t C,, -i {number}.pem");
        readable(&folder.path().join(format!("{number}.pem")), certificate)?;
    }
    readable(&folder.path().join("commands"), &commands)
}

fn readable(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644))
}

fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    pem.split_inclusive(END)
        .map(str::trim)
        .filter(|block| block.ends_with(END))
}

async fn run(certutil: &Path, folder: &Path, account: &Account, within: Duration) -> Result<(), TrustError> {
    let mut command = Command::new(certutil);
    command
        .args(["-B", "-i", "commands", "-d", "sql:."])
        .current_dir(folder);
    command.env_clear().env("HOME", folder).kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Account::Other { user, group } = *account {
        command.gid(group).uid(user);
    }
    let started = command
        .spawn()
        .map_err(|source| TrustError::Io("start certutil", source))?;
    let ended = tokio::time::timeout(within, started.wait_with_output()).await;
    let output = ended
        .map_err(|_| TrustError::TimedOut(within))?
        .map_err(|source| TrustError::Io("wait for certutil", source))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr);
            Err(TrustError::Refused(
                words.lines().last().unwrap_or("it said nothing").to_owned(),
            ))
        }
    }
}

/// What lies there may be a tenant's making: the tool has read its certificates.
fn read(folder: &ProfileFolder, account: &Account) -> std::io::Result<Vec<TrustFile>> {
    let file = |name: &str| {
        Ok(TrustFile {
            path: Path::new(FOLDER).join(name),
            content: folder.take(name, FILE_SIZE, account)?,
        })
    };
    FILES.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

    #[test]
    fn a_text_of_several_certificates_is_taken_apart() {
        let two = ONE.replace("AAAA", "BBBB");
        assert_eq!(
            blocks(&format!("{ONE}\n{two}\n")).collect::<Vec<_>>(),
            [ONE, two.as_str()]
        );
        assert_eq!(blocks(&format!("{ONE}\nand more")).collect::<Vec<_>>(), [ONE]);
        assert_eq!(blocks("").count(), 0);
    }

    #[tokio::test]
    async fn what_the_tool_cannot_read_is_told_in_its_words_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let profiles = Arc::new(ProfileRoot::at(root.path()).unwrap());
        let certutil = Certutil::find();
        let made = certutil.database(vec![ONE.to_owned()], profiles, "bad", Account::Own, LIMIT);
        let told = made.await.unwrap_err().to_string();
        assert!(
            told.contains("certutil refused the certificates: certutil: "),
            "{told}"
        );
        let entries = std::fs::read_dir(root.path()).unwrap().flatten();
        for entry in entries {
            assert_eq!(std::fs::read_dir(entry.path()).unwrap().count(), 0, "{entry:?}");
        }
    }

    #[tokio::test]
    async fn a_machine_without_the_tool_is_told_which_package_has_it() {
        let root = tempfile::tempdir().unwrap();
        let profiles = Arc::new(ProfileRoot::at(root.path()).unwrap());
        let certutil = Certutil(None);
        let made = certutil.database(vec![ONE.to_owned()], profiles, "none", Account::Own, LIMIT);
        assert!(
            made.await
                .unwrap_err()
                .to_string()
                .contains("apt install libnss3-tools")
        );
    }
}
