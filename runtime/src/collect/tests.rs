use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;

const PLENTY: Bounds = Bounds {
    bytes: 1 << 30,
    files: 1_000,
};

fn listed(root: &Path, below: &[&str]) -> Vec<(String, FoundKind)> {
    let below: Vec<Vec<u8>> = below.iter().map(|path| path.as_bytes().to_vec()).collect();
    let mut out = Vec::new();
    list(File::open(root).unwrap().as_fd(), &joined(&below), &mut out).unwrap();
    let mut found = Found::read(&out);
    found.sort();
    let found = found.into_iter();
    found
        .map(|one| (String::from_utf8(one.path).unwrap(), one.kind))
        .collect()
}

fn packed(root: &Path, paths: &[&str], bounds: Bounds) -> Result<(Collected, Vec<u8>), String> {
    let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let mut out = Vec::new();
    let root = File::open(root).unwrap();
    pack(root.as_fd(), &joined(&paths), bounds, &mut out)
        .map(|collected| (collected, out))
        .map_err(|error| error.to_string())
}

/// What everybody's tar makes of an archive: names, with modes, and contents or where links lead.
fn read(archive: &[u8]) -> BTreeMap<String, (u32, String)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("archive.tar.gz");
    fs::write(&file, archive).unwrap();
    let into = directory.path().join("into");
    fs::create_dir(&into).unwrap();
    let tar = std::process::Command::new("tar")
        .args(["--no-same-owner", "-xpzf"])
        .arg(&file)
        .arg("-C")
        .arg(&into)
        .status();
    assert!(tar.unwrap().success());
    let mut all = BTreeMap::new();
    let mut open = vec![into.clone()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let text = if metadata.is_dir() {
                open.push(path.clone());
                "/".to_owned()
            } else if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                fs::read_to_string(&path).unwrap()
            };
            let name = path.strip_prefix(&into).unwrap().display().to_string();
            all.insert(name, (metadata.permissions().mode() & 0o7777, text));
        }
    }
    all
}

#[test]
fn what_is_listed_is_below_the_roots_and_behind_no_link() {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    fs::create_dir_all(root.join("dist/deep")).unwrap();
    fs::create_dir(root.join(".git")).unwrap();
    fs::write(root.join(".git/config"), "x").unwrap();
    fs::write(root.join("dist/deep/app"), "x").unwrap();
    fs::write(root.join("other"), "x").unwrap();
    symlink("/etc", root.join("dist/etc")).unwrap();
    symlink("dist", root.join("door")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        root.join("dist/pipe"),
        rustix::fs::Mode::RWXU,
    )
    .unwrap();
    let dist = [
        ("dist", FoundKind::Directory),
        ("dist/deep", FoundKind::Directory),
        ("dist/deep/app", FoundKind::File),
        ("dist/etc", FoundKind::Link),
        ("dist/pipe", FoundKind::Special),
    ]
    .map(|(path, kind)| (path.to_owned(), kind));
    assert_eq!(listed(root, &["dist"]), dist);
    assert_eq!(listed(root, &["dist/etc/passwd", "door/deep", "no"]), []);
    assert_eq!(listed(root, &["../", "dist/../..", "/etc"]), []);
    let all = listed(root, &[""]);
    assert_eq!(all.len(), 7, "{all:?}");
    assert!(!all.iter().any(|(path, _)| path.contains(".git")));
}

#[test]
fn an_archive_has_files_directories_and_links_and_is_the_same_each_time() {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    fs::create_dir(root.join("bin")).unwrap();
    fs::write(root.join("bin/app"), "binary").unwrap();
    fs::set_permissions(root.join("bin/app"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("bin/app"), root.join("bin/copy")).unwrap();
    symlink("/etc/shadow", root.join("bin/shadow")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        root.join("bin/pipe"),
        rustix::fs::Mode::RWXU,
    )
    .unwrap();
    let paths = ["bin", "bin/app", "bin/copy", "bin/pipe", "bin/shadow"];
    let (collected, bytes) = packed(root, &paths, PLENTY).unwrap();
    assert_eq!((collected.files, collected.bytes), (4, 6));
    assert_eq!(collected.size, bytes.len() as u64);
    let mut hasher = crate::image::Hasher::default();
    hasher.update(&bytes);
    assert_eq!(collected.digest, hasher.finish());
    let read = read(&bytes);
    let text = |name: &str| read[name].1.as_str();
    assert_eq!(read.len(), 4, "{read:?}");
    assert_eq!((text("bin/app"), text("bin/copy")), ("binary", "binary"));
    assert_eq!(text("bin/shadow"), "-> /etc/shadow");
    assert_eq!(read["bin/app"].0, 0o755, "no set-user-id bit");
    assert_eq!(packed(root, &paths, PLENTY).unwrap().1, bytes);
}

#[test]
fn nothing_is_read_through_a_link_nor_from_outside() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "hush").unwrap();
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    symlink(outside.path(), root.join("out")).unwrap();
    for path in ["out/secret", "../secret", "/etc/passwd"] {
        let error = packed(root, &[path], PLENTY).unwrap_err();
        assert!(error.starts_with("failed to open"), "{error}");
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    File::create(root.join("hole"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let bounds = |bytes, files| Bounds { bytes, files };
    let error = packed(root, &["hole"], bounds(1 << 20, 9)).unwrap_err();
    assert_eq!(error, "more than 1048576 bytes");
    let mut noise = vec![0; 200_000];
    rustix::rand::getrandom(&mut noise[..], rustix::rand::GetRandomFlags::empty()).unwrap();
    fs::write(root.join("noise"), noise).unwrap();
    let error = packed(root, &["noise"], bounds(200_000, 9)).unwrap_err();
    assert_eq!(error, "more than 200000 bytes", "headers count as well");
    fs::write(root.join("a"), "").unwrap();
    fs::write(root.join("b"), "").unwrap();
    let error = packed(root, &["a", "b"], bounds(1 << 20, 1)).unwrap_err();
    assert_eq!(error, "more than 1 files");
}

#[test]
fn what_is_deeper_than_a_path_can_say_is_left_out_and_told() {
    let tree = tempfile::tempdir().unwrap();
    let name = "d".repeat(250);
    let mut at: std::os::fd::OwnedFd = File::open(tree.path()).unwrap().into();
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::PATH;
        at = rustix::fs::openat(&at, &name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    let found = listed(tree.path(), &[""]);
    let unreadable = found
        .iter()
        .filter(|(_, kind)| *kind == FoundKind::Unreadable);
    assert_eq!(unreadable.count(), 1, "{}", found.len());
}
