//! `wharf doctor` says what is so.

use std::os::unix::fs::PermissionsExt;

use tokio::process::Command;

use crate::WHARF;

#[tokio::test]
async fn the_doctor_finds_every_wall_of_a_jail_and_misses_them_without() -> anyhow::Result<()> {
    for (isolation, healthy) in [("jail", true), ("process", false)] {
        let output = Command::new(WHARF)
            .args(["doctor", "--isolation", isolation])
            .output()
            .await?;
        let (told, error) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        assert_eq!(output.status.success(), healthy, "{told}{error}");
        assert!(told.starts_with("ok  browser       Chrome/"), "{told}");
        assert!(told.contains("\nok  limits        memory "), "{told}");
        assert_eq!(
            told.contains("\nok  network       interfaces: lo\n"),
            healthy,
            "{told}"
        );
        assert_eq!(error.contains("walls do not stand"), !healthy, "{error}");
    }
    Ok(())
}

/// A machine that lets nobody build a jail, as it looks to us: by what bubblewrap says.
#[tokio::test]
async fn where_no_jail_can_stand_nothing_starts_and_it_is_said_what_to_do() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let refuses = folder.path().join("bwrap");
    std::fs::write(
        &refuses,
        "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n",
    )?;
    for path in [folder.path(), &refuses] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755))?;
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH")?);
    let data = folder.path().join("data");
    let data = [
        "--data-dir",
        data.to_str().unwrap_or_default(),
        "--listen",
        "127.0.0.1:0",
    ];
    for arguments in [["doctor"].as_slice(), &[&["up"], data.as_slice()].concat()] {
        let output = Command::new(WHARF)
            .args(arguments)
            .env("PATH", &path)
            .output()
            .await?;
        let told = String::from_utf8(output.stdout)?;
        let error = String::from_utf8(output.stderr)?;
        assert!(
            !output.status.success() && !told.contains("ready"),
            "{arguments:?}: {told}{error}"
        );
        for part in [
            "setting up uid map",
            "unprivileged_userns_clone=1",
            "--isolation process",
        ] {
            assert!(
                told.contains(part) || error.contains(part),
                "{arguments:?}: {part} in {told}{error}"
            );
        }
    }
    Ok(())
}
