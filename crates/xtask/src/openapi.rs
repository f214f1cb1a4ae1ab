//! The committed OpenAPI document is what the handlers say, byte for byte.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

const DOCUMENT: &str = "openapi/wharf.json";

/// Writes the document, or with `check` compares it. `binary` is a wharf to ask instead of building one.
pub fn run(check: bool, binary: Option<&Path>) -> Result<()> {
    let generated = generate(binary)?;
    let path = workspace::root().join(DOCUMENT);
    let committed = fs::read(&path).unwrap_or_default();
    if committed == generated {
        println!("openapi: {DOCUMENT} is current");
        return Ok(());
    }
    if check {
        let line = first_difference(&committed, &generated);
        bail!(
            "{DOCUMENT} differs from the handlers from line {line} on; run `cargo xtask openapi` and commit it"
        );
    }
    fs::write(&path, generated).with_context(|| format!("{DOCUMENT} could not be written"))?;
    println!("openapi: {DOCUMENT} written");
    Ok(())
}

fn generate(binary: Option<&Path>) -> Result<Vec<u8>> {
    let mut command = match binary {
        Some(path) => Command::new(path),
        None => workspace::cargo(["run", "--quiet", "--locked", "--package", "wharf", "--"]),
    };
    let output = command
        .arg("openapi")
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("{} could not be started", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "`wharf openapi` failed: {}",
        output.status
    );
    ensure!(!output.stdout.is_empty(), "`wharf openapi` printed nothing");
    Ok(output.stdout)
}

/// Counts from 1.
fn first_difference(committed: &[u8], generated: &[u8]) -> usize {
    let same = |(a, b): &(&[u8], &[u8])| a == b;
    let newline = |byte: &u8| *byte == b'\n';
    committed
        .split(newline)
        .zip(generated.split(newline))
        .take_while(same)
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_line_that_differs() {
        assert_eq!(first_difference(b"a\nb\nc", b"a\nB\nc"), 2);
        assert_eq!(first_difference(b"", b"a\n"), 1);
        assert_eq!(first_difference(b"a\n", b"a\nb\n"), 2);
    }
}
