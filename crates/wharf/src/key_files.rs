//! The key pair and the workers' credentials, as files.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use wharf_domain::WorkerCredential;
use wharf_protocol::{SigningKey, VerifyingKey};

use crate::private_file;

/// The private half, in a folder of ours.
pub(crate) const SIGNING_KEY: &str = "signing.key";
/// The public half beside it.
pub(crate) const VERIFYING_KEY: &str = "verifying.key";

/// Reads the private half.
pub(crate) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let text = present(path, "the signing key", "make one with `wharf key-pair FOLDER`")?;
    SigningKey::from_text(&text).map_err(|error| match VerifyingKey::from_text(&text) {
        Ok(_) => anyhow!(
            "{} holds the public half of a key pair; the api signs with the private one, {SIGNING_KEY}",
            path.display()
        ),
        Err(_) => anyhow!(error).context(format!("{} holds no key", path.display())),
    })
}

/// Reads the public half.
pub(crate) fn verifying_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    let text = present(
        path,
        "the verifying key",
        "copy it from where `wharf key-pair` or `wharf up` made it",
    )?;
    VerifyingKey::from_text(&text).map_err(|error| match SigningKey::from_text(&text) {
        Ok(_) => anyhow!(
            "{} holds the private half of a key pair, which belongs to the api alone; give {VERIFYING_KEY}",
            path.display()
        ),
        Err(_) => anyhow!(error).context(format!("{} holds no key", path.display())),
    })
}

/// Reads what a worker shows the control plane.
pub(crate) fn worker_credential(path: &Path) -> anyhow::Result<WorkerCredential> {
    let text = present(path, "the credential", "make one with `wharf worker enroll NAME`")?;
    text.trim().parse().map_err(|_| {
        anyhow!(
            "{} holds no worker's credential, or a mistyped one; make a new one with `wharf worker enroll NAME`",
            path.display()
        )
    })
}

/// Makes the pair in this folder, or reads the one that is there; writes the public half beside the private one.
pub(crate) fn pair_in(folder: &Path) -> anyhow::Result<SigningKey> {
    let path = folder.join(SIGNING_KEY);
    let key = match private_file::read(&path)? {
        Some(text) => SigningKey::from_text(&text).with_context(|| {
            format!(
                "{} is damaged; remove it to have a new one made, which ends all sessions",
                path.display()
            )
        })?,
        None => {
            let key = SigningKey::generate();
            private_file::write(&path, &format!("{}\n", key.expose()))?;
            key
        }
    };
    let public = format!("{}\n", key.verifying_key().to_text());
    private_file::write(&folder.join(VERIFYING_KEY), &public)?;
    Ok(key)
}

fn present(path: &Path, what: &str, advice: &str) -> anyhow::Result<String> {
    match private_file::read(path)? {
        Some(text) => Ok(text),
        None => bail!("{what} {} is not there; {advice}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_its_halves_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let made = pair_in(folder.path()).unwrap();
        assert_eq!(
            pair_in(folder.path()).unwrap().verifying_key(),
            made.verifying_key()
        );
        let (private, public) = (folder.path().join(SIGNING_KEY), folder.path().join(VERIFYING_KEY));
        assert_eq!(verifying_key(&public).unwrap(), *made.verifying_key());
        assert!(signing_key(&private).is_ok());
        let told = format!("{:#}", verifying_key(&private).unwrap_err());
        assert!(
            told.contains("private half") && told.contains(VERIFYING_KEY),
            "{told}"
        );
        let told = format!("{:#}", signing_key(&public).unwrap_err());
        assert!(told.contains("public half"), "{told}");
    }

    #[test]
    fn a_file_that_is_missing_or_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent");
        let name = path.display().to_string();
        for told in [
            signing_key(&path).map(drop).unwrap_err(),
            verifying_key(&path).map(drop).unwrap_err(),
            worker_credential(&path).map(drop).unwrap_err(),
        ] {
            let told = format!("{told:#}");
            assert!(told.contains(&name) && told.contains("wharf "), "{told}");
        }
        std::fs::write(&path, "not a key").unwrap();
        assert!(signing_key(&path).is_err() && verifying_key(&path).is_err());
        let told = format!("{:#}", worker_credential(&path).unwrap_err());
        assert!(told.contains(&name) && !told.contains("not a key"), "{told}");
    }
}
