//! `wharf doctor` says what is so.

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
