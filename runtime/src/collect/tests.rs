use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;

const PLENTY: Bounds = Bounds {
    bytes: 1 << 30,
    size: 1 << 30,
    files: 1_000,
};

fn listed(root: &Path, below: &[&str]) -> Vec<(String, FoundKind)> {
    let below: Vec<Vec<u8>> = below.iter().map(|path| path.as_bytes().to_vec()).collect();
    let mut out = Vec::new();
    list(
        File::open(root).unwrap().as_fd(),
        Of::Tree,
        &joined(&below),
        &mut out,
    )
    .unwrap();
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
    let bounds = |bytes, files| Bounds {
        bytes,
        size: bytes,
        files,
    };
    let error = packed(root, &["hole"], bounds(1 << 20, 9)).unwrap_err();
    assert_eq!(error, "more than 1048576 bytes");
    let mut noise = vec![0; 200_000];
    rustix::rand::getrandom(&mut noise[..], rustix::rand::GetRandomFlags::empty()).unwrap();
    fs::write(root.join("noise"), noise).unwrap();
    let error = packed(root, &["noise"], bounds(200_000, 9)).unwrap_err();
    assert_eq!(error, "more than 200000 bytes", "headers count as well");
    // What is in it and what it is are two things.
    fs::write(root.join("zeros"), vec![0; 200_000]).unwrap();
    let small = Bounds {
        bytes: 200_000,
        size: 10_000,
        files: 9,
    };
    assert_eq!(packed(root, &["zeros"], small).unwrap().0.bytes, 200_000);
    let error = packed(root, &["noise"], small).unwrap_err();
    assert_eq!(error, "more than 10000 bytes");
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

fn saved(
    workspace: &Path,
    home: &Path,
    forbidden: &[&str],
) -> Result<(Collected, Vec<u8>), String> {
    let part = |below: &[&str], is_tree| Part {
        name: String::new(),
        below: below.iter().map(|path| (*path).to_owned()).collect(),
        is_tree,
    };
    let roots = [workspace, home].map(|path| File::open(path).unwrap());
    let parts = [
        (
            roots[0].as_fd(),
            part(&["target", "target/deep", "no"], true),
        ),
        (roots[1].as_fd(), part(&[""], false)),
    ];
    let texts: Vec<Vec<u8>> = forbidden
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    let forbidden = Forbidden::read(&Forbidden::joined(&texts));
    let mut out = Vec::new();
    save(&parts, PLENTY, forbidden, &mut out)
        .map(|collected| (collected, out))
        .map_err(|error| error.to_string())
}

#[test]
fn of_directories_with_nothing_in_them_nothing_is_saved() {
    let (tree, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (collected, _) = saved(tree.path(), home.path(), &[]).unwrap();
    assert_eq!(collected.files, 0);
    fs::write(home.path().join("x"), "x").unwrap();
    let (collected, _) = saved(tree.path(), home.path(), &[]).unwrap();
    assert_eq!(
        collected.files, 2,
        "the directory, whose mode counts, and the file"
    );
}

#[test]
fn what_is_saved_is_put_back_as_it_was() {
    use crate::layer::{Into, Limits, restore};
    use std::io::{Seek as _, Write as _};
    use std::os::unix::fs::MetadataExt as _;

    let (tree, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tree, home) = (tree.path(), home.path());
    fs::create_dir_all(tree.join("target/deep")).unwrap();
    fs::write(tree.join("target/deep/app"), "binary").unwrap();
    fs::hard_link(tree.join("target/deep/app"), tree.join("target/copy")).unwrap();
    symlink("nowhere", tree.join("target/link")).unwrap();
    fs::write(tree.join("other"), "other").unwrap();
    fs::create_dir(home.join(".git")).unwrap();
    fs::write(home.join(".git/config"), "of a tool that is a clone").unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o750)).unwrap();
    let (collected, bytes) = saved(tree, home, &["hunter22"]).unwrap();
    assert_eq!(collected.size, bytes.len() as u64);
    assert_eq!(
        saved(tree, home, &[]).unwrap().1,
        bytes,
        "the same each time"
    );

    let mut archive = tempfile::tempfile().unwrap();
    archive.write_all(&bytes).unwrap();
    archive.rewind().unwrap();
    let (tree_again, home_again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let roots = [tree_again.path(), home_again.path()].map(|path| File::open(path).unwrap());
    let into = [
        Into {
            root: roots[0].as_fd(),
            below: vec![b"target".to_vec()],
        },
        Into {
            root: roots[1].as_fd(),
            below: vec![Vec::new()],
        },
    ];
    let restored = restore(archive, &into, &Limits::default(), std::time::Duration::MAX).unwrap();
    assert_eq!(restored.files, collected.files);
    for path in ["target/deep/app", "target/copy"] {
        let [before, after] =
            [tree, tree_again.path()].map(|root| root.join(path).metadata().unwrap());
        assert_eq!(
            (before.mtime(), before.mtime_nsec()),
            (after.mtime(), after.mtime_nsec())
        );
        assert_eq!(after.nlink(), 2);
    }
    let link = fs::read_link(tree_again.path().join("target/link")).unwrap();
    assert_eq!(link, Path::new("nowhere"));
    assert!(!tree_again.path().join("other").exists());
    assert!(home_again.path().join(".git/config").exists());
    let mode = home_again.path().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let again = saved(tree_again.path(), home_again.path(), &[]).unwrap().1;
    assert_eq!(again, bytes, "and from then on");
}

#[test]
fn nothing_is_saved_that_holds_a_secret() {
    let (tree, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tree, home) = (tree.path(), home.path());
    fs::create_dir(tree.join("target")).unwrap();
    // Over the cut between two pieces of a file.
    let mut large = vec![b'x'; (256 << 10) - 4];
    large.extend_from_slice(b"hunter22");
    fs::write(tree.join("target/large"), large).unwrap();
    let refused = |word| saved(tree, home, &["elsewhere", word]).unwrap_err();
    assert_eq!(
        refused("hunter22"),
        "`target/large` holds the value of a secret"
    );
    symlink("/run/correct-horse", home.join("link")).unwrap();
    assert_eq!(
        refused("correct-horse"),
        "`link` holds the value of a secret"
    );
    fs::write(home.join("battery-staple"), "").unwrap();
    assert_eq!(
        refused("battery-staple"),
        "`battery-staple` holds the value of a secret"
    );
    saved(tree, home, &["nobody"]).unwrap();
}
