use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::*;
use crate::layer::testing::{Fields, Tar};

/// Puts an archive back: into `target` of the first directory, and anywhere in the second.
fn put(archive: &[u8], workspace: &Path, home: &Path) -> Result<Restored, UnpackError> {
    put_within(archive, workspace, home, Limits::default(), Duration::MAX)
}

fn put_within(
    archive: &[u8],
    workspace: &Path,
    home: &Path,
    limits: Limits,
    time: Duration,
) -> Result<Restored, UnpackError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(archive).unwrap();
    file.rewind().unwrap();
    let roots = [workspace, home].map(|path| File::open(path).unwrap());
    let below = [vec![b"target".to_vec()], vec![Vec::new()]];
    let into = roots.iter().zip(below).map(|(root, below)| Into {
        root: root.as_fd(),
        below,
    });
    let into: Vec<_> = into.collect();
    restore(file, &into, &limits, time)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_put_back_where_they_were_and_nothing_else_is_touched() {
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (workspace, home) = (workspace.path(), home.path());
    fs::create_dir(workspace.join("target")).unwrap();
    fs::write(workspace.join("target/own"), "own").unwrap();
    fs::write(workspace.join("target/old"), "old").unwrap();
    let archive = Tar::new()
        .directory("0/target/")
        .pax(&[("mtime", "1000000000.123456789")])
        .file("0/target/app", "binary")
        .hard_link("0/target/copy", "0/target/app")
        .symlink("0/target/link", "../../etc/passwd")
        .file("0/target/old", "new")
        .directory("1/")
        .header(&Fields {
            name: "1/registry",
            mode: 0o4755,
            size: 2,
            ..Fields::default()
        })
        .content(b"ok")
        .bytes();
    let restored = put(&archive, workspace, home).unwrap();
    assert_eq!((restored.files, restored.bytes), (7, 11));
    let text = |path: &str| fs::read_to_string(workspace.join(path)).unwrap();
    assert_eq!(
        (text("target/own"), text("target/old")),
        ("own".into(), "new".into())
    );
    let app = fs::metadata(workspace.join("target/app")).unwrap();
    let copy = fs::metadata(workspace.join("target/copy")).unwrap();
    assert_eq!((app.ino(), app.mtime_nsec()), (copy.ino(), 123_456_789));
    let link = fs::read_link(workspace.join("target/link")).unwrap();
    assert_eq!(
        link,
        Path::new("../../etc/passwd"),
        "as it was, and never followed"
    );
    let mode = fs::metadata(home.join("registry"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755, "no set-user-id bit");
}

#[test]
fn an_archive_reaches_nothing_but_its_own_paths() {
    for (name, why) in [
        ("0/src/main.rs", "it belongs somewhere else"),
        ("0/targets", "it belongs somewhere else"),
        ("0", "it belongs somewhere else"),
        ("2/x", "it belongs somewhere else"),
        ("x", "it belongs somewhere else"),
        ("+1/x", "it belongs somewhere else"),
        ("18446744073709551616/x", "it belongs somewhere else"),
        ("0/target/../src", "`..` in a path"),
        ("/etc/passwd", "it belongs somewhere else"),
    ] {
        let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let archive = Tar::new()
            .file("0/target/first", "x")
            .file(name, "x")
            .bytes();
        let error = put(&archive, workspace.path(), home.path()).unwrap_err();
        assert!(error.to_string().ends_with(why), "{name}: {error}");
        // What was there before the refusal is taken away again.
        assert_eq!(names(&workspace.path().join("target")), [""; 0], "{name}");
        assert_eq!(names(home.path()), [""; 0]);
    }
}

#[test]
fn links_lead_nowhere_whoever_has_made_them() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "precious").unwrap();
    let out = outside.path().to_str().unwrap();
    let hostile = [
        Tar::new()
            .symlink("1/door", out)
            .file("1/door/precious", "gone"),
        Tar::new().symlink("1/door", "..").file("1/door/x", "gone"),
        Tar::new()
            .symlink("0/target", "src")
            .file("0/target/main.rs", "gone"),
        Tar::new()
            .symlink("1/l", out)
            .hard_link("1/precious", "1/l/precious"),
        Tar::new().file("1/a", "x").hard_link("0/target", "1/a"),
        Tar::new().hard_link("0/target", "0/src/main.rs"),
    ];
    for (number, archive) in hostile.into_iter().enumerate() {
        let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(workspace.path().join("src")).unwrap();
        fs::write(workspace.path().join("src/main.rs"), "main").unwrap();
        put(&archive.bytes(), workspace.path(), home.path()).unwrap_err();
        let main = fs::read_to_string(workspace.path().join("src/main.rs")).unwrap();
        assert_eq!(main, "main", "{number}");
        assert_eq!(names(home.path()), [""; 0], "{number}");
        assert_eq!(names(workspace.path()), ["src"], "{number}");
    }
    // A link that the repository has in the way.
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), home.path().join("door")).unwrap();
    let archive = Tar::new().file("1/door/precious", "gone").bytes();
    put(&archive, workspace.path(), home.path()).unwrap_err();
    let precious = fs::read_to_string(outside.path().join("precious")).unwrap();
    assert_eq!(
        (precious.as_str(), names(outside.path()).len()),
        ("precious", 1)
    );
}

#[test]
fn devices_pipes_and_marks_of_layers_mean_nothing() {
    for kind in [b'3', b'4', b'6'] {
        let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let special = Fields {
            kind,
            name: "1/special",
            ..Fields::default()
        };
        let archive = Tar::new().header(&special).bytes();
        let error = put(&archive, workspace.path(), home.path()).unwrap_err();
        assert!(error.to_string().ends_with("a device or a pipe"), "{error}");
        assert_eq!(names(home.path()), [""; 0]);
    }
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(home.path().join("x"), "x").unwrap();
    let archive = Tar::new()
        .file("1/.wh.x", "")
        .file("1/.wh..wh..opq", "")
        .bytes();
    put(&archive, workspace.path(), home.path()).unwrap();
    assert_eq!(names(home.path()), [".wh..wh..opq", ".wh.x", "x"]);
}

#[test]
fn what_is_too_much_or_cut_short_leaves_nothing() {
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = Tar::new()
        .file("1/a", "x")
        .file("1/b", &"x".repeat(5000))
        .bytes();
    let limits = Limits {
        bytes: 4096,
        ..Limits::default()
    };
    put_within(
        &archive,
        workspace.path(),
        home.path(),
        limits,
        Duration::MAX,
    )
    .unwrap_err();
    assert_eq!(names(home.path()), [""; 0]);
    put(&archive[..3000], workspace.path(), home.path()).unwrap_err();
    assert_eq!(names(home.path()), [""; 0]);
    put(b"no archive at all", workspace.path(), home.path()).unwrap_err();
}

#[test]
fn of_a_file_that_breaks_off_no_half_stays() {
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (workspace, home) = (workspace.path(), home.path());
    fs::create_dir(workspace.join("target")).unwrap();
    for name in ["own", "old"] {
        fs::write(workspace.join("target").join(name), name).unwrap();
    }
    let content = "new".repeat(1 << 20);
    let archive = Tar::new().file("0/target/old", &content).bytes();
    put(&archive[..archive.len() / 2], workspace, home).unwrap_err();
    assert_eq!(names(&workspace.join("target")), ["own"]);
}

#[test]
fn what_takes_longer_than_it_may_leaves_nothing() {
    let (workspace, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = Tar::new().file("1/a", "x").bytes();
    let late = put_within(
        &archive,
        workspace.path(),
        home.path(),
        Limits::default(),
        Duration::ZERO,
    );
    assert_eq!(late.unwrap_err(), UnpackError::Late);
    assert_eq!(names(home.path()), [""; 0]);
}
