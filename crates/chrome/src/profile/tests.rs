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
    let folder = root.create("session-1").unwrap();
    assert_eq!(
        folder.path().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    std::fs::write(folder.path().join("Cookies"), "secret").unwrap();
    assert!(matches!(root.create("session-1"), Err(ProfileError::Io { .. })));
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
    let folder = living.create("session-2").unwrap();

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
    let folder = living.create("session-2").unwrap();
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
    let folder = root.create("session-1").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    drop(folder);
    assert_eq!(entries(outside.path()), ["precious"]);
}

#[test]
fn a_file_is_put_where_no_link_has_been_planted() {
    use std::os::unix::fs::symlink;
    let (parent, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = ProfileRoot::at(parent.path()).unwrap();
    let folder = root.create("session-1").unwrap();
    let below = |path: &str| folder.path().join(path);
    folder.put(Path::new("a/b/one"), b"first", &Account::Own).unwrap();
    folder
        .put(Path::new("a/b/two"), b"second", &Account::Own)
        .unwrap();
    assert_eq!(std::fs::read(below("a/b/two")).unwrap(), b"second");
    assert_eq!(below("a").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(
        below("a/b/one").metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );

    std::fs::write(outside.path().join("precious"), "kept").unwrap();
    symlink(outside.path(), below("link")).unwrap();
    symlink(outside.path().join("precious"), below("a/file")).unwrap();
    symlink(outside.path().join("none"), below("a/dangling")).unwrap();
    for planted in ["link/new", "a/file", "a/dangling", "a/b/one"] {
        let put = folder.put(Path::new(planted), b"ours", &Account::Own);
        assert!(put.is_err(), "{planted}");
    }
    assert_eq!(entries(outside.path()), ["precious"]);
    assert_eq!(std::fs::read(outside.path().join("precious")).unwrap(), b"kept");
    assert_eq!(std::fs::read(below("a/b/one")).unwrap(), b"first");
}

#[test]
fn only_a_plain_small_file_of_the_user_is_taken() {
    let parent = tempfile::tempdir().unwrap();
    let root = ProfileRoot::at(parent.path()).unwrap();
    let folder = root.create("session-1").unwrap();
    let below = |path: &str| folder.path().join(path);
    std::fs::write(below("file"), "12345").unwrap();
    std::os::unix::fs::symlink(below("file"), below("link")).unwrap();
    std::fs::create_dir(below("folder")).unwrap();
    // Without a writer, whoever opens it for reading waits.
    rustix::fs::mknodat(
        CWD,
        below("pipe"),
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    assert_eq!(folder.take("file", 5, &Account::Own).unwrap(), b"12345");
    for (name, most) in [
        ("file", 4),
        ("link", 5),
        ("folder", 5),
        ("pipe", 5),
        ("missing", 5),
    ] {
        assert!(folder.take(name, most, &Account::Own).is_err(), "{name}");
    }
    let other = Account::Other {
        user: Account::Own.user() + 1,
        group: 0,
    };
    assert!(folder.take("file", 5, &other).is_err(), "somebody else's");
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
