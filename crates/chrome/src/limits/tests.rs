//! Control groups, against a directory tree that stands for the kernel's, and against the kernel where it has any.

use super::cgroup::ControlGroup;
use super::*;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A service's group on a machine as systemd makes it.
const SERVICE: &str = "system.slice/wharf.service";
const WHOLE: &str = "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new(own: &str, mount: &str, controllers: &str) -> Tree {
        let tree = Tree {
            folder: tempfile::tempdir().unwrap(),
        };
        let others = "20 1 0:18 / /proc rw - proc proc rw\n30 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        tree.write("proc/self/mountinfo", &format!("{others}\n{mount}\n"));
        tree.write("proc/self/cgroup", &format!("4:memory:/other\n0::{own}\n"));
        let base = format!("sys/fs/cgroup/{SERVICE}");
        tree.write(&format!("{base}/cgroup.controllers"), controllers);
        tree.write(&format!("{base}/cgroup.subtree_control"), "");
        tree
    }

    fn service(controllers: &str) -> Tree {
        Tree::new(&format!("/{SERVICE}"), WHOLE, controllers)
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("sys/fs/cgroup").join(SERVICE)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What the kernel answers once it was asked for these.
    fn enable(&self, controllers: &str) {
        let file = format!("sys/fs/cgroup/{SERVICE}/cgroup.subtree_control");
        self.write(&file, controllers);
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.base().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn prepare(&self, limits: Limits) -> Result<ControlGroups, NoControlGroups> {
        let own = rustix::process::getpid();
        Machine::at(self.folder.path().to_owned(), vec![own]).control_groups(limits)
    }
}

fn limits() -> Limits {
    Limits {
        memory: MemoryLimit::of_bytes(1 << 30).ok(),
        cpu: CpuLimit::of_percent(150).ok(),
        processes: ProcessLimit::of(512).unwrap(),
    }
}

/// The kernel removes the files of a group with it.
fn remove_files(group: &Path) {
    for file in fs::read_dir(group).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
}

fn browsers(tree: &Tree) -> Vec<PathBuf> {
    let entries = fs::read_dir(tree.base())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("browser-")
        })
        .collect()
}

#[test]
fn a_delegated_group_gets_a_leaf_for_us_and_limits_for_each_browser() {
    let tree = Tree::service("cpuset cpu io memory pids\n");
    tree.enable("cpu memory pids");
    let groups = tree.prepare(limits()).unwrap();
    let own = rustix::process::getpid().to_string();
    assert_eq!(tree.read("wharf/cgroup.procs"), own);
    assert!(groups.limit_cpu());

    let group = groups.create().unwrap();
    let [folder] = &browsers(&tree)[..] else {
        panic!("{:?}", browsers(&tree))
    };
    for (file, value) in [
        ("memory.max", "1073741824"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "512"),
        ("cpu.max", "150000 100000"),
    ] {
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), value, "{file}");
    }
    // Two at once have groups of their own.
    let other = groups.create().unwrap();
    assert_eq!(browsers(&tree).len(), 2);
    group.kill();
    assert_eq!(fs::read_to_string(folder.join("cgroup.kill")).unwrap(), "1");
    remove_files(folder);
    assert!(group.remove() && group.remove());
    assert_eq!(browsers(&tree).len(), 1);
    remove_files(&browsers(&tree)[0]);
    // Nothing to kill is written to a group that has gone.
    fs::remove_dir(&browsers(&tree)[0]).unwrap();
    drop(other);
}

#[test]
fn want_of_memory_is_told_from_other_ends() {
    let tree = Tree::service("memory pids");
    let group = tree.prepare(limits()).unwrap().create().unwrap();
    let folder = &browsers(&tree)[0];
    for (events, dead) in [
        ("", false),
        (
            "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n",
            false,
        ),
        (
            "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n",
            true,
        ),
        // The whole machine had none left.
        (
            "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\noom_group_kill 1\n",
            false,
        ),
        ("oom 1\noom_kill x\noom_group_kill\n", false),
    ] {
        fs::write(folder.join("memory.events"), events).unwrap();
        assert_eq!(group.ran_out_of_memory(), dead, "{events:?}");
        let unlimited = std::mem::ManuallyDrop::new(ControlGroup::at(folder.clone()));
        assert!(!unlimited.ran_out_of_memory(), "it has no limit");
    }
    remove_files(folder);
    group.remove();
}

/// The tree keeps what was written last.
#[test]
fn controllers_that_are_needed_do_not_fall_with_the_one_that_is_wanted() {
    let tree = Tree::service("io memory pids");
    assert!(!tree.prepare(limits()).unwrap().limit_cpu());
    assert_eq!(tree.read("cgroup.subtree_control"), "+memory +pids");

    let tree = Tree::service("cpuset cpu io memory pids");
    tree.enable("memory pids");
    let groups = tree.prepare(limits()).unwrap();
    assert_eq!(tree.read("cgroup.subtree_control"), "+cpu");
    // The kernel has not done it.
    assert!(!groups.limit_cpu());
    let group = groups.create().unwrap();
    let folder = &browsers(&tree)[0];
    assert!(folder.join("memory.max").exists());
    assert!(!folder.join("cpu.max").exists());
    remove_files(folder);
    group.remove();
}

#[test]
fn who_has_moved_down_before_stays_there() {
    let tree = Tree::new(&format!("/{SERVICE}/wharf"), WHOLE, "memory pids cpu");
    tree.write(
        &format!("sys/fs/cgroup/{SERVICE}/cgroup.subtree_control"),
        "cpu memory pids",
    );
    tree.write(&format!("sys/fs/cgroup/{SERVICE}/wharf/cgroup.procs"), "");
    tree.prepare(limits()).unwrap();
    assert_eq!(tree.read("wharf/cgroup.procs"), "", "nobody has moved");
    assert!(!tree.base().join("wharf/wharf").exists());
}

#[test]
fn a_container_sees_its_own_part_of_the_hierarchy() {
    let mount = format!("25 1 0:22 /{SERVICE} /sys/fs/cgroup/{SERVICE} rw - cgroup2 cgroup2 rw");
    Tree::new(&format!("/{SERVICE}"), &mount, "memory pids")
        .prepare(limits())
        .unwrap();
    // Outside of what is mounted there is nothing to look for.
    let outside = Tree::new("/elsewhere", &mount, "memory pids").prepare(limits());
    assert_eq!(outside.err(), Some(NoControlGroups::NotMounted));
    let above = Tree::new("/../host", WHOLE, "memory pids").prepare(limits());
    assert_eq!(above.err(), Some(NoControlGroups::NotMounted));
}

#[test]
fn what_a_killed_worker_left_goes() {
    let tree = Tree::service("memory pids");
    let procs = |group: &str, processes: &str| {
        tree.write(
            &format!("sys/fs/cgroup/{SERVICE}/{group}/cgroup.procs"),
            processes,
        );
    };
    fs::create_dir(tree.base().join("browser-1-7")).unwrap();
    procs("browser-2-7", "77\n");
    // Its worker lives.
    tree.write("proc/3/stat", "");
    procs("browser-3-7", "78\n");
    // Its worker may live where we cannot look.
    procs("browser-4-7", "0\n0\n");
    for other in ["somebody-elses", "browser-", "browser-5", "browser-x-1"] {
        fs::create_dir(tree.base().join(other)).unwrap();
    }
    tree.prepare(limits()).unwrap();
    assert!(!tree.base().join("browser-1-7").exists());
    // The tree keeps its files, and so the folder.
    assert_eq!(tree.read("browser-2-7/cgroup.kill"), "1");
    for living in ["browser-3-7", "browser-4-7"] {
        assert!(!tree.base().join(living).join("cgroup.kill").exists(), "{living}");
    }
    for other in ["somebody-elses", "browser-", "browser-5", "browser-x-1"] {
        assert!(tree.base().join(other).exists(), "{other}");
    }
}

#[test]
fn a_group_of_our_own_number_is_left_to_whom_it_was() {
    let tree = Tree::service("memory pids");
    let groups = tree.prepare(limits()).unwrap();
    let taken = tree.base().join(format!("browser-{}-1", std::process::id()));
    fs::create_dir(&taken).unwrap();
    let group = groups.create().unwrap();
    assert_eq!(browsers(&tree).len(), 2);
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 0);
    for folder in browsers(&tree) {
        remove_files(&folder);
        fs::remove_dir(folder).unwrap();
    }
    drop(group);
}

#[test]
fn a_machine_without_says_what_is_missing() {
    let old = Tree::service("memory pids");
    old.write(
        "proc/self/mountinfo",
        "30 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    );
    assert_eq!(old.prepare(limits()).err(), Some(NoControlGroups::NotMounted));
    for (offered, missing) in [("", "memory"), ("pids cpu", "memory"), ("memory cpu", "pids")] {
        let error = Tree::service(offered).prepare(limits()).err();
        assert_eq!(error, Some(NoControlGroups::NoController(missing)), "{offered:?}");
    }
    let blocked = Tree::service("memory pids");
    blocked.write(&format!("sys/fs/cgroup/{SERVICE}/wharf"), "a file");
    assert!(matches!(
        blocked.prepare(limits()),
        Err(NoControlGroups::NotDelegated(base, _)) if base == blocked.base()
    ));
    let unasked = Tree::service("memory pids");
    assert_eq!(
        unasked.prepare(Limits::default()).err(),
        Some(NoControlGroups::NotAsked)
    );
    assert!(!unasked.base().join("wharf").exists(), "nobody has moved");
}

#[test]
fn a_cpu_controller_above_us_is_seen() {
    let tree = Tree::service("memory pids");
    let shares = || Machine::at(tree.folder.path().to_owned(), Vec::new()).shares_between_sessions();
    assert!(!shares(), "the kernel does not say");
    tree.write("proc/sys/kernel/sched_autogroup_enabled", "1\n");
    assert!(shares());
    tree.write("proc/self/cgroup", "3:cpu,cpuacct:/\n");
    assert!(shares());
    tree.write("proc/self/cgroup", "3:cpu,cpuacct:/docker/1\n");
    assert!(!shares());
    tree.write("proc/self/cgroup", &format!("0::/{SERVICE}\n"));
    assert!(shares());
    let slice = tree.base().parent().unwrap().join("cpu.max");
    for file in [tree.base().join("cpu.max"), slice] {
        fs::write(&file, "max 100000").unwrap();
        assert!(!shares(), "{file:?}");
        fs::remove_file(file).unwrap();
    }
    assert!(shares());
}

/// What the kernel itself does with a group, where this machine lets us make one; its controllers may be missing.
#[test]
fn the_kernel_ends_a_group_at_a_word_and_removes_it() {
    let Some(own) = Machine::own().own_group() else {
        return;
    };
    let folder = own.join(format!("wharf-test-{}", std::process::id()));
    if fs::create_dir(&folder).is_err() {
        return;
    }
    let group = ControlGroup::at(folder.clone());
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(folder.join("cgroup.procs"), child.id().to_string()).unwrap();
    assert!(group.door().is_ok());
    group.kill();
    // It may not have ended yet.
    assert!(group.remove());
    assert!(!folder.exists());
    assert_eq!(child.wait().unwrap().signal(), Some(9));

    // A limit that the kernel does not know leaves no group behind.
    let known = fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default();
    let made = ControlGroup::create(folder.clone(), &limits());
    assert_eq!(
        made.is_ok(),
        known.contains("memory") && known.contains("pids"),
        "{made:?}"
    );
    drop(made);
    assert!(!folder.exists());
}
