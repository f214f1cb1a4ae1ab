use super::*;
use std::os::unix::fs::PermissionsExt;

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_is_private_and_goes_with_its_owner() {
    let parent = tempfile::tempdir().unwrap();
    let root = ProfileRoot::at(parent.path()).unwrap();
    let folder = root.create("session-1", &Account::Own).unwrap();
    assert_eq!(
        folder.path().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    std::fs::write(folder.path().join("Cookies"), "secret").unwrap();
    assert!(matches!(
        root.create("session-1", &Account::Own),
        Err(ProfileError::Io { .. })
    ));
    drop(folder);
    assert_eq!(entries(&root.disk.path), [] as [&str; 0]);
    drop(root);
    assert_eq!(entries(parent.path()), [] as [&str; 0]);
}

#[test]
fn a_killed_predecessors_folders_are_swept_and_a_living_ones_are_not() {
    let parent = tempfile::tempdir().unwrap();
    let abandoned = parent.path().join("wharf-1");
    std::fs::create_dir_all(abandoned.join("session-1/profile")).unwrap();
    std::fs::create_dir_all(parent.path().join("somebody-elses")).unwrap();
    let living = ProfileRoot::at(parent.path()).unwrap();
    assert!(!abandoned.exists());
    let folder = living.create("session-2", &Account::Own).unwrap();

    let second = ProfileRoot::at(parent.path()).unwrap();
    assert!(
        folder.path().exists(),
        "a second root took the first for abandoned"
    );
    assert_ne!(second.disk.path, living.disk.path);
    assert!(parent.path().join("somebody-elses").exists());
}

/// A process that works here, as a browser does in its folder.
fn working_in(folder: &Path) -> std::process::Child {
    let mut command = std::process::Command::new("sleep");
    command.arg("600").current_dir(folder).spawn().unwrap()
}

#[test]
fn a_browser_that_outlived_its_worker_is_killed_and_a_living_ones_is_not() {
    use std::os::unix::process::ExitStatusExt;
    let parent = tempfile::tempdir().unwrap();
    let living = ProfileRoot::at(parent.path()).unwrap();
    let folder = living.create("session-2", &Account::Own).unwrap();
    let abandoned = parent.path().join("wharf-1");
    std::fs::create_dir_all(abandoned.join("session-1/profile")).unwrap();
    let mut orphans = [
        working_in(&abandoned.join("session-1")),
        working_in(&abandoned.join("session-1/profile")),
    ];
    let mut others = [
        working_in(&abandoned),
        working_in(folder.path()),
        working_in(parent.path()),
    ];

    let _second = ProfileRoot::at(parent.path()).unwrap();
    assert!(!abandoned.exists());
    for orphan in &mut orphans {
        // Already ended: the sweep has waited for it.
        let status = orphan.try_wait().unwrap().expect("it still lives");
        assert_eq!(status.signal(), Some(9));
    }
    for other in &mut others {
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

#[test]
fn a_profile_link_to_elsewhere_is_not_followed() {
    let (parent, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("precious"), "").unwrap();
    let root = ProfileRoot::at(parent.path()).unwrap();
    let folder = root.create("session-1", &Account::Own).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    drop(folder);
    assert_eq!(entries(outside.path()), ["precious"]);
}

#[test]
fn names_that_leave_the_root_are_refused() {
    let root = Path::new("/dev/shm/wharf-1");
    for name in ["", ".", "..", "a/b", "a.b", "ä", "a b"] {
        assert!(
            matches!(fit_name(root, name), Err(ProfileError::Name(_))),
            "{name:?}"
        );
    }
}

#[test]
fn a_long_name_keeps_its_end_and_a_long_root_is_an_error() {
    let uuid = "0190f4b0-aaaa-7bbb-8ccc-0123456789ab-12";
    assert_eq!(fit_name(Path::new("/dev/shm/wharf-123456"), uuid).unwrap(), uuid);
    let disk = Path::new("/var/lib/wharf/profiles/wharf-1234567");
    let fitted = fit_name(disk, uuid).unwrap();
    assert!(uuid.ends_with(fitted) && fitted.len() >= NAME_MINIMUM, "{fitted}");
    assert_eq!(disk.join(fitted).as_os_str().len() + SOCKET_BELOW, SOCKET_ADDRESS);
    let long = PathBuf::from(format!("/{}", "x".repeat(60)));
    assert!(matches!(fit_name(&long, uuid), Err(ProfileError::PathTooLong(_))));
}

#[test]
fn shared_memory_on_this_machine_is_seen_as_memory() {
    let space = Space::of(Path::new("/dev/shm")).unwrap();
    assert!(space.total >= space.available);
    assert!(!Space::of(Path::new("/proc")).unwrap().tmpfs);
    assert!(Space::of(Path::new("/nonexistent")).is_none());
}
