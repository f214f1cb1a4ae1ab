use super::*;

/// A folder with programs that claim a version. A shell writes them: a file that this process had open for
/// writing may still be open in a child that another test forks just then, and would not run ("text file busy").
fn installation(parent: &Path, name: &str, version: &str) -> PathBuf {
    let folder = parent.join(name);
    fs::create_dir_all(&folder).unwrap();
    let write =
        r#"printf '#!/bin/sh\necho "postgres (PostgreSQL) %s"\n' "$0" | tee initdb > postgres; chmod 755 *"#;
    let status = Command::new("sh")
        .args(["-c", write, version])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(status.success());
    folder
}

#[test]
fn reads_the_major_version() {
    assert_eq!(
        parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
        Some(15)
    );
    assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
    assert_eq!(parse_version("postgres (PostgreSQL) devel\n"), None);
    assert_eq!(parse_version(""), None);
}

#[test]
fn finds_this_machines_postgres() {
    let binaries = find_binaries(None).unwrap();
    assert!(binaries.major() >= OLDEST_MAJOR);
    assert!(binaries.folder().join("initdb").is_file());
}

#[test]
fn newest_package_comes_first() {
    let parent = tempfile::tempdir().unwrap();
    for version in ["9", "16", "15", "17"] {
        installation(
            parent.path(),
            &format!("pgsql-{version}/bin"),
            &format!("{version}.1"),
        );
    }
    let folders = package_folders(&(parent.path().to_str().unwrap(), "pgsql-", "bin"));
    let binaries = choose(folders, Vec::new()).unwrap();
    assert_eq!(binaries.major(), 17);
    assert_eq!(binaries.majors(), "15, 16, 17");
    assert_eq!(
        binaries.folder_for(15),
        Some(parent.path().join("pgsql-15/bin").as_path())
    );
    assert_eq!(binaries.folder_for(9), None);
}

#[test]
fn says_what_to_install_when_there_is_none() {
    let empty = tempfile::tempdir().unwrap();
    let message = find_binaries(Some(empty.path())).unwrap_err().to_string();
    assert!(message.contains("apt install postgresql"), "{message}");
    assert!(message.contains("--database-url"), "{message}");
    assert!(message.contains(&empty.path().display().to_string()), "{message}");
}

#[test]
fn says_that_an_old_version_was_found() {
    let parent = tempfile::tempdir().unwrap();
    let folder = installation(parent.path(), "bin", "14.9");
    let message = find_binaries(Some(&folder)).unwrap_err().to_string();
    assert!(message.contains("is version 14"), "{message}");
}

#[test]
fn a_server_without_initdb_is_no_installation() {
    let parent = tempfile::tempdir().unwrap();
    let folder = installation(parent.path(), "bin", "15.1");
    fs::remove_file(folder.join("initdb")).unwrap();
    assert!(find_binaries(Some(&folder)).is_err());
}
