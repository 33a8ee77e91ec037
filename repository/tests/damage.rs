//! A mirror that is damaged, however, is fetched anew: once, and with the files that were asked for.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use repository::{Commit, Limits, Remote, Unwatched, Want};
use support::{Git, Place, walk};

/// Files of a mirror whose path has this in it.
fn files(place: &Place, part: &str) -> Vec<PathBuf> {
    let mut all = walk(&place.path("mirrors"));
    all.retain(|path| path.to_string_lossy().contains(part));
    assert!(!all.is_empty(), "no {part}");
    for path in &all {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    all
}

fn truncate(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Overwrites the middle, where the content of files is.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 64] {
        *byte ^= 0x55;
    }
    fs::write(path, bytes).unwrap();
}

/// Files that do not compress, so that most of a pack is content.
fn content(seed: u32) -> Vec<u8> {
    let step = |number: u32| (number ^ seed).wrapping_mul(0x9E37_79B9).rotate_left(7);
    (0..5000_u32)
        .flat_map(|number| step(step(number)).to_le_bytes())
        .collect()
}

fn check_out(place: &Place, remote: &Remote, commit: Commit) -> PathBuf {
    let tree = place.path("tree");
    let _ = fs::remove_dir_all(&tree);
    let want = Want::commit(commit);
    place
        .mirrors
        .check_out(remote, &want, &tree, &Limits::default(), &Unwatched)
        .unwrap();
    tree
}

/// A way to damage a mirror, and what it is called.
type Damage = (&'static str, fn(&Place));

fn damages() -> Vec<Damage> {
    vec![
        ("a pack that is gone", |place| {
            for path in files(place, ".pack") {
                fs::remove_file(path).unwrap();
            }
        }),
        ("an index that is gone", |place| {
            for path in files(place, ".idx") {
                fs::remove_file(path).unwrap();
            }
        }),
        ("a truncated pack", |place| {
            files(place, ".pack").iter().for_each(|path| truncate(path));
        }),
        ("a truncated index", |place| {
            files(place, ".idx").iter().for_each(|path| truncate(path));
        }),
        ("a spoiled pack", |place| {
            files(place, ".pack").iter().for_each(|path| spoil(path));
        }),
        ("references of no sense", |place| {
            for path in files(place, "/refs/slipway/") {
                fs::write(path, "nonsense\n").unwrap();
            }
        }),
        ("references to what is not here", |place| {
            for path in files(place, "/refs/slipway/") {
                fs::write(path, format!("{}\n", "1".repeat(40))).unwrap();
            }
        }),
        ("an empty HEAD", |place| {
            fs::write(&files(place, "/HEAD")[0], "").unwrap();
        }),
        ("a configuration of no sense", |place| {
            fs::write(&files(place, "/config")[0], "[[[\n").unwrap();
        }),
        ("no objects", |place| {
            let entries = fs::read_dir(place.path("mirrors")).unwrap().flatten();
            for path in entries.map(|entry| entry.path().join("objects")) {
                if path.exists() {
                    fs::remove_dir_all(path).unwrap();
                }
            }
        }),
    ]
}

#[test]
fn a_known_commit_is_checked_out_whatever_has_happened_to_its_mirror() {
    for (name, damage) in damages() {
        let place = Place::new();
        let git = &place.upstream;
        let commit = git
            .write("a", content(1))
            .write("dir/b", content(2))
            .commit("first");
        let remote = git.remote();
        check_out(&place, &remote, commit);
        damage(&place);
        let tree = check_out(&place, &remote, commit);
        assert!(fs::read(tree.join("a")).unwrap() == content(1), "{name}");
        assert!(
            fs::read(tree.join("dir/b")).unwrap() == content(2),
            "{name}"
        );
    }
}

#[test]
fn a_new_commit_is_found_and_fetched_whatever_has_happened_to_the_mirror() {
    for (name, damage) in damages() {
        let place = Place::new();
        let git = &place.upstream;
        let first = git.write("a", content(1)).commit("first");
        let remote = git.remote();
        place
            .mirrors
            .resolve(&remote, "main", &Unwatched)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        check_out(&place, &remote, first);
        damage(&place);
        let second = git.write("b", content(2)).commit("second");
        let resolved = place.mirrors.resolve(&remote, "main", &Unwatched);
        let resolved = resolved.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(resolved.commit, second, "{name}");
        let tree = check_out(&place, &remote, second);
        assert!(fs::read(tree.join("a")).unwrap() == content(1), "{name}");
    }
}

#[test]
fn a_damaged_mirror_of_a_submodule_is_fetched_anew_as_well() {
    let place = Place::new();
    let library = Git::init(&place.path("library"));
    library.write("l", content(3)).commit("library");
    let git = &place.upstream;
    let url = library.path.join(".git");
    git.run(&["submodule", "add", "-q", url.to_str().unwrap(), "sub"]);
    let commit = git.write("a", "1").commit("first");
    check_out(&place, &git.remote(), commit);
    for path in files(&place, ".pack") {
        spoil(&path);
    }
    let tree = check_out(&place, &git.remote(), commit);
    assert!(fs::read(tree.join("sub/l")).unwrap() == content(3));
}

#[test]
fn whoever_reads_damage_has_the_next_one_fetch_anew() {
    let place = Place::new();
    let git = &place.upstream;
    let commit = git.write("a", content(1)).commit("first");
    let fetch = || {
        place
            .mirrors
            .fetch(&git.remote(), &Want::commit(commit), &Unwatched)
            .unwrap()
            .0
    };
    let old = fetch();
    for path in files(&place, ".pack") {
        spoil(&path);
    }
    let error = old.read_file(commit, "a", 1 << 20).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    drop(old);
    let new = fetch();
    assert!(new.read_file(commit, "a", 1 << 20).unwrap() == Some(content(1)));
    let pack = &files(&place, ".pack")[0];
    let before = fs::metadata(pack).unwrap();
    fetch();
    let after = fs::metadata(pack).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}
