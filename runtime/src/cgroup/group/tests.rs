use super::*;
use crate::testing::directory_with;

/// A group of version 2 made of files, as the kernel would show it.
fn unified(files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
    let root = tempfile::tempdir().unwrap();
    let controllers = vec![
        Controller::Cpu,
        Controller::Memory,
        Controller::Pids,
        Controller::Io,
    ];
    let bases = [(controllers, root.path().to_owned())];
    let group = Group::create(Version::Two, &bases, "one").unwrap();
    for (file, text) in files {
        directory_with(root.path().join("one"), file, text);
    }
    (root, group)
}

fn written(root: &tempfile::TempDir, file: &str) -> String {
    fs::read_to_string(root.path().join("one").join(file)).unwrap()
}

const EVERYTHING: Resources = Resources {
    cpus: Some(1500),
    memory: Some(1 << 20),
    pids: Some(100),
    disk: None,
    nofile: None,
};

#[test]
fn limits_are_written_as_version_2_wants_them() {
    let empty = ["cpu.max", "memory.max", "memory.oom.group", "pids.max"];
    let (root, mut group) = unified(&empty.map(|file| (file, "")));
    // memory.swap.max is missing, as on a kernel without swap accounting.
    group.limit(&EVERYTHING).unwrap();
    assert_eq!(written(&root, "cpu.max"), "150000 100000");
    assert_eq!(written(&root, "memory.max"), "1048576");
    assert_eq!(written(&root, "memory.oom.group"), "1");
    // The container's first process counts.
    assert_eq!(written(&root, "pids.max"), "101");
}

#[test]
fn a_limit_that_cannot_be_written_is_named() {
    let (root, mut group) = unified(&[("cpu.max", ""), ("pids.max", "")]);
    let (path, error) = group.limit(&EVERYTHING).unwrap_err();
    assert_eq!(path, root.path().join("one/memory.max"));
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn use_is_read_as_version_2_tells_it() {
    let (_root, group) = unified(&[
        ("cpu.stat", "usage_usec 12\nuser_usec 7\nsystem_usec 5\n"),
        ("memory.peak", "4096\n"),
        (
            "memory.events",
            "low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 1\n",
        ),
        ("pids.peak", "4\n"),
        ("pids.events", "max 3\n"),
        (
            "io.stat",
            "8:0 rbytes=10 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n",
        ),
    ]);
    let expected = Reading {
        user_us: Some(7),
        system_us: Some(5),
        peak_memory: Some(4096),
        peak_pids: Some(3),
        read_bytes: Some(15),
        written_bytes: Some(3),
        oom_kills: 2,
        refused_forks: 3,
    };
    assert_eq!(group.read(), expected);
    let (_root, old) = unified(&[]);
    assert_eq!(old.read(), Reading::default());
}

#[test]
fn a_controller_that_is_missing_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let bases = [(vec![Controller::Pids], root.path().to_owned())];
    let mut group = Group::create(Version::Two, &bases, "one").unwrap();
    directory_with(root.path().join("one"), "pids.max", "");
    group.limit(&EVERYTHING).unwrap();
    assert_eq!(written(&root, "pids.max"), "101");
}

#[test]
fn version_1_has_a_directory_for_each_tree() {
    let root = tempfile::tempdir().unwrap();
    let bases = [
        (vec![Controller::Cpu, Controller::Cpuacct], "cpu"),
        (vec![Controller::Memory], "memory"),
        (vec![Controller::Io], "blkio"),
    ]
    .map(|(controllers, name)| (controllers, root.path().join(name)));
    for (_, base) in &bases {
        fs::create_dir(base).unwrap();
    }
    let mut group = Group::create(Version::One, &bases, "one").unwrap();
    for (file, text) in [
        ("cpu/one/cpu.cfs_period_us", ""),
        ("cpu/one/cpu.cfs_quota_us", ""),
        ("cpu/one/cpuacct.usage_user", "7000\n"),
        ("cpu/one/cpuacct.usage_sys", "5999\n"),
        ("memory/one/memory.limit_in_bytes", ""),
        ("memory/one/memory.max_usage_in_bytes", "4096\n"),
        (
            "memory/one/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        ),
        (
            "blkio/one/blkio.throttle.io_service_bytes",
            "8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\n8:16 Read 1\nTotal 4609\n",
        ),
    ] {
        fs::write(root.path().join(file), text).unwrap();
    }
    group.limit(&EVERYTHING).unwrap();
    let quota = fs::read_to_string(root.path().join("cpu/one/cpu.cfs_quota_us"));
    assert_eq!(quota.unwrap(), "150000");
    let reading = group.read();
    assert_eq!((reading.user_us, reading.system_us), (Some(7), Some(5)));
    assert_eq!(
        (reading.read_bytes, reading.written_bytes),
        (Some(4097), Some(512))
    );
    assert_eq!((reading.peak_memory, reading.oom_kills), (Some(4096), 1));
    // What is not empty stays, as a group with a process in it does.
    assert!(!group.remove());
    for (_, base) in &bases {
        fs::remove_dir_all(base.join("one")).unwrap();
    }
    assert!(group.remove());
}

/// A group of version 1 made of files, with what is in each written over by what is told to it.
fn divided() -> (tempfile::TempDir, Group) {
    let root = tempfile::tempdir().unwrap();
    let bases = [
        (vec![Controller::Cpu, Controller::Cpuacct], "cpu"),
        (vec![Controller::Memory], "memory"),
        (vec![Controller::Pids], "pids"),
    ]
    .map(|(controllers, name)| (controllers, root.path().join(name)));
    for (_, base) in &bases {
        fs::create_dir(base).unwrap();
    }
    let group = Group::create(Version::One, &bases, "one").unwrap();
    for (file, text) in [
        ("cpu/one/cpu.cfs_period_us", ""),
        ("cpu/one/cpu.cfs_quota_us", ""),
        ("memory/one/memory.limit_in_bytes", ""),
        ("memory/one/memory.memsw.limit_in_bytes", ""),
        ("memory/one/memory.usage_in_bytes", "1000000\n"),
        ("memory/one/memory.max_usage_in_bytes", "2000000\n"),
        ("memory/one/memory.oom_control", "oom_kill 0\n"),
        ("pids/one/pids.max", ""),
        ("pids/one/pids.current", "1\n"),
        ("pids/one/pids.peak", "3\n"),
        ("pids/one/pids.events", "max 0\n"),
    ] {
        fs::write(root.path().join(file), text).unwrap();
    }
    (root, group)
}

#[test]
fn a_group_of_version_1_is_told_what_changes() {
    let (root, mut group) = divided();
    let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
    group.limit(&EVERYTHING).unwrap();
    assert_eq!(read("memory/one/memory.memsw.limit_in_bytes"), "1048576");
    assert_eq!(read("pids/one/pids.max"), "102");
    let memory = ["memory.limit_in_bytes", "memory.max_usage_in_bytes"];
    for file in memory {
        // The kernel's files keep nothing of what was there before.
        fs::write(root.path().join("memory/one").join(file), "").unwrap();
    }
    assert!(group.is_left_to_helper() && group.renew("two", 7));
    assert_eq!(read("memory/one/memory.limit_in_bytes"), "-1");
    assert_eq!(read("memory/one/memory.max_usage_in_bytes"), "0");
    // What holds already is not said again.
    for file in ["cpu/one/cpu.cfs_quota_us", "pids/one/pids.max"] {
        fs::write(root.path().join(file), "as before").unwrap();
    }
    group.limit(&EVERYTHING).unwrap();
    assert_eq!(read("cpu/one/cpu.cfs_quota_us"), "as before");
    assert_eq!(read("pids/one/pids.max"), "as before");
    assert_eq!(read("memory/one/memory.limit_in_bytes"), "1048576");
    // What does not hold any more is.
    assert!(group.renew("two", 7));
    for file in ["cpu/one/cpu.cfs_quota_us", "pids/one/pids.max"] {
        fs::write(root.path().join(file), "").unwrap();
    }
    group.limit(&Resources::default()).unwrap();
    assert_eq!(read("cpu/one/cpu.cfs_quota_us"), "-1");
    assert_eq!(read("pids/one/pids.max"), "max");
}

#[test]
fn a_group_of_version_1_that_shows_its_last_container_is_not_used_again() {
    let spoilt = [
        ("memory/one/memory.usage_in_bytes", "100000000\n"),
        ("memory/one/memory.oom_control", "oom_kill 1\n"),
        // It cannot be told to forget its peak, and there is no other one to move to.
        ("pids/one/pids.peak", "9\n"),
    ];
    for (file, text) in spoilt {
        let (root, mut group) = divided();
        fs::write(root.path().join(file), text).unwrap();
        if file.starts_with("pids") {
            fs::create_dir(root.path().join("pids/two")).unwrap();
        }
        assert!(!group.renew("two", 7), "{file}");
    }
    // What could not be limited holds to nobody knows what.
    let (root, mut group) = divided();
    fs::remove_file(root.path().join("cpu/one/cpu.cfs_quota_us")).unwrap();
    assert!(group.limit(&EVERYTHING).is_err());
    assert!(!group.renew("two", 7));
}
