//! A commit's tree is written down whatever is in it, and nothing is written anywhere else.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use repository::{Commit, Error, Limits, Remote, Unwatched, Want};
use support::{Git, Place, Server};

fn check_out(
    place: &Place,
    commit: Commit,
    limits: &Limits,
) -> Result<(PathBuf, repository::CheckedOut), Error> {
    check_out_of(place, &place.upstream.remote(), commit, limits)
}

fn check_out_of(
    place: &Place,
    remote: &Remote,
    commit: Commit,
    limits: &Limits,
) -> Result<(PathBuf, repository::CheckedOut), Error> {
    let (mirror, commit) = place
        .mirrors
        .fetch(remote, &Want::commit(commit), &Unwatched)?;
    let directory = place.path(&format!("tree-{commit}"));
    let _ = fs::remove_dir_all(&directory);
    let done = mirror.check_out(commit, &directory, limits, &Unwatched)?;
    Ok((directory, done))
}

fn hostile(place: &Place, commit: Commit, limits: &Limits) -> String {
    match check_out(place, commit, limits).unwrap_err() {
        Error::Hostile { path, what, .. } => format!("{path}: {what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_links_and_modes_are_as_they_were_committed() {
    let place = Place::new();
    let git = &place.upstream;
    git.write("a", "text\r\n")
        .write("dir/deep/x", [0, 255, 10])
        .write("run", "#!/bin/sh\n");
    git.write(".gitattributes", "* text eol=lf\n*.y filter=evil\n")
        .write("b.y", "as it is\n");
    fs::set_permissions(git.path.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("dir/deep", git.path.join("link")).unwrap();
    git.run(&["config", "core.autocrlf", "false"]);
    git.run(
        &["add", "-A", "--no-renormalize"].map(|a| if a == "--no-renormalize" { "." } else { a }),
    );
    let commit = git.commit("first");
    let (tree, done) = check_out(&place, commit, &Limits::default()).unwrap();
    assert_eq!(fs::read(tree.join("dir/deep/x")).unwrap(), [0, 255, 10]);
    assert_eq!(fs::read(tree.join("b.y")).unwrap(), b"as it is\n");
    assert_eq!(
        fs::read_link(tree.join("link")).unwrap().to_str(),
        Some("dir/deep")
    );
    let mode = |path: &str| fs::metadata(tree.join(path)).unwrap().permissions().mode() & 0o111;
    assert_eq!((mode("run"), mode("a")), (0o111, 0));
    assert_eq!(done.entries, 8);
    assert_eq!(done.lfs, 0);
    assert!(!tree.join(".git").exists());
}

#[test]
fn a_link_that_leads_out_is_a_link_and_nothing_is_written_through_it() {
    let place = Place::new();
    let git = &place.upstream;
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    let target = git.blob(outside.to_str().unwrap().as_bytes());
    let file = git.blob(b"pwned");
    let below = git.tree(&[("100644", b"file", &file)]);
    // Alone it is kept as it is.
    let tree = git.tree(&[("120000", b"a", &target)]);
    let (directory, _) =
        check_out(&place, git.commit_tree(&tree, "link"), &Limits::default()).unwrap();
    assert_eq!(fs::read_link(directory.join("a")).unwrap(), outside);
    // The attack: a link and a directory of one name; the directory's files go where the link leads.
    let tree = git.tree(&[("120000", b"a", &target), ("40000", b"a", &below)]);
    let commit = git.commit_tree(&tree, "twice");
    assert_eq!(
        hostile(&place, commit, &Limits::default()),
        "a: two entries of one name"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn names_that_lead_out_or_mean_git_are_refused() {
    let place = Place::new();
    let git = &place.upstream;
    let file = git.blob(b"[core]\n\tfsmonitor = id\n");
    let config = git.tree(&[("100644", b"config", &file)]);
    for (number, name) in [
        b"..".as_slice(),
        b".",
        b"a/../../x",
        b"/etc",
        b".git",
        b".GIT",
        b".git ",
        b".git.",
        b"git~1",
        b".git::$INDEX_ALLOCATION",
        ".g\u{200c}it".as_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        for (mode, id) in [("40000", &config), ("100644", &file), ("120000", &file)] {
            let tree = git.tree(&[(mode, name, id)]);
            let inside = git.tree(&[("40000", b"dir", &tree)]);
            for (at, tree) in [("top", &tree), ("in", &inside)] {
                let commit = git.commit_tree(tree, &format!("n{number}-{mode}-{at}"));
                let error = check_out(&place, commit, &Limits::default()).unwrap_err();
                assert!(
                    matches!(error, Error::Hostile { .. } | Error::Damaged { .. }),
                    "{}: {error}",
                    String::from_utf8_lossy(name)
                );
            }
        }
    }
    assert!(!place.directory.path().join("x").exists());
}

#[test]
fn a_link_in_place_of_gitmodules_and_odd_modes_are_refused() {
    let place = Place::new();
    let git = &place.upstream;
    let target = git.blob(b"/etc/passwd");
    let commit = git.commit_tree(&git.tree(&[("120000", b".gitmodules", &target)]), "m");
    assert_eq!(
        hostile(&place, commit, &Limits::default()),
        ".gitmodules: `.gitmodules` is a link"
    );
    // A device, were modes trusted.
    let commit = git.commit_tree(&git.tree(&[("60000", b"sda", &target)]), "d");
    let error = check_out(&place, commit, &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("neither file, link, directory nor submodule"),
        "{error}"
    );
    // Set-user-id is not a bit that git has.
    let commit = git.commit_tree(&git.tree(&[("104755", b"su", &target)]), "s");
    if let Ok((tree, _)) = check_out(&place, commit, &Limits::default()) {
        let mode = fs::metadata(tree.join("su")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0);
    }
}

#[test]
fn trees_that_explode_end_at_their_limits() {
    let place = Place::new();
    let git = &place.upstream;
    // Ten names a level, all the same tree: ten to the power of eight files in ten objects.
    let mut id = git.blob(b"boom");
    let mut mode = "100644";
    for _ in 0..8 {
        let names: Vec<String> = (0..10).map(|name| format!("d{name}")).collect();
        let entries: Vec<(&str, &[u8], &str)> = names
            .iter()
            .map(|name| (mode, name.as_bytes(), id.as_str()))
            .collect();
        id = git.tree(&entries);
        mode = "40000";
    }
    let commit = git.commit_tree(&id, "bomb");
    let few = Limits {
        entries: 1000,
        ..Limits::default()
    };
    assert!(hostile(&place, commit, &few).ends_with("there are more files than may be"));
    let small = Limits {
        bytes: 100,
        ..Limits::default()
    };
    assert!(hostile(&place, commit, &small).ends_with("the files are larger than they may be"));
    let mut id = git.tree(&[("100644", b"f", &git.blob(b"x"))]);
    for _ in 0..300 {
        id = git.tree(&[("40000", b"d", &id)]);
    }
    let commit = git.commit_tree(&id, "deep");
    assert!(
        hostile(&place, commit, &Limits::default()).ends_with("directories are nested too deeply")
    );
    let commit = git.write("large", vec![0; 2000]).commit("large");
    let limits = Limits {
        file_bytes: 1000,
        ..Limits::default()
    };
    assert!(hostile(&place, commit, &limits).contains("2000 bytes, more than 1000"));
}

#[test]
fn lfs_pointers_are_counted_and_named() {
    let place = Place::new();
    let git = &place.upstream;
    for number in 0..12 {
        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{number:064}\nsize 3\n"
        );
        git.write(&format!("art/{number:02}.png"), pointer);
    }
    git.write(
        "readme",
        "version https://git-lfs.github.com/spec/v1\nis what a pointer begins with\n",
    );
    let (_, done) = check_out(&place, git.commit("x"), &Limits::default()).unwrap();
    assert_eq!((done.lfs, done.lfs_examples.len()), (12, 10));
    assert_eq!(done.lfs_examples[0], "art/00.png");
}

#[test]
fn submodules_are_written_relative_ones_and_those_in_submodules() {
    let place = Place::new();
    let inner = Git::init(&place.path("inner"));
    inner.write("i", "inner").commit("i");
    let lib = Git::init(&place.path("lib"));
    lib.write("l", "lib").commit("l");
    lib.run(&["submodule", "add", "-q", "../inner", "deps/inner"]);
    lib.commit("with inner");
    place.upstream.run(&[
        "submodule",
        "add",
        "-q",
        place.path("lib").to_str().unwrap(),
        "third/lib",
    ]);
    let commit = place.upstream.commit("with lib");
    let (tree, done) = check_out(&place, commit, &Limits::default()).unwrap();
    assert_eq!(fs::read_to_string(tree.join("third/lib/l")).unwrap(), "lib");
    assert_eq!(
        fs::read_to_string(tree.join("third/lib/deps/inner/i")).unwrap(),
        "inner"
    );
    assert_eq!(done.submodules, ["third/lib", "third/lib/deps/inner"]);
    let without = Limits {
        follow_submodules: false,
        ..Limits::default()
    };
    let (tree, done) = check_out(&place, commit, &without).unwrap();
    assert_eq!(fs::read_dir(tree.join("third/lib")).unwrap().count(), 0);
    assert!(done.submodules.is_empty());
}

#[test]
fn a_submodule_cannot_reach_this_machines_files_or_run_anything() {
    let place = Place::new();
    let secret = Git::init(&place.path("secret"));
    let wanted = secret.write("s", "secret").commit("s");
    let git = &place.upstream;
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    let local = place.path("secret");
    for (number, (url, why)) in [
        (
            local.to_str().unwrap(),
            "a directory of the machine is not allowed",
        ),
        ("file:///etc", "a directory of the machine is not allowed"),
        (
            "ext::sh -c 'touch /tmp/pwned'",
            "space, a control character",
        ),
        ("ext::sh", "scheme `ext`"),
        ("--upload-pack=id", "begin with `-`"),
        ("ssh://-oProxyCommand=id/x", "begin with `-`"),
        ("../../../../../x", "leads out of its host"),
        ("http://192.0.2.1/x", "without encryption"),
    ]
    .into_iter()
    .enumerate()
    {
        let modules = format!("[submodule \"x\"]\n\tpath = x\n\turl = \"{url}\"\n\tupdate = !id\n");
        let tree = git.tree(&[
            ("100644", b".gitmodules", &git.blob(modules.as_bytes())),
            ("160000", b"x", &wanted.to_string()),
        ]);
        let commit = git.commit_tree(&tree, &format!("s{number}"));
        let error = check_out_of(&place, &remote, commit, &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::Submodule { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{url}: {error}");
    }
    // The path of `.gitmodules` is only looked up, never gone to.
    let modules = "[submodule \"x\"]\n\tpath = ../../outside\n\turl = ../secret/.git\n";
    let tree = git.tree(&[
        ("100644", b".gitmodules", &git.blob(modules.as_bytes())),
        ("160000", b"x", &wanted.to_string()),
    ]);
    let (tree, done) =
        check_out(&place, git.commit_tree(&tree, "path"), &Limits::default()).unwrap();
    assert!(done.submodules.is_empty());
    assert_eq!(fs::read_dir(tree.join("x")).unwrap().count(), 0);
}

#[test]
fn a_repository_that_is_its_own_submodule_ends() {
    let place = Place::new();
    let git = &place.upstream;
    let first = git.write("a", "1").commit("first");
    let mut inner = first;
    for number in 0..12 {
        let modules = "[submodule \"x\"]\n\tpath = x\n\turl = ./\n";
        let tree = git.tree(&[
            ("100644", b".gitmodules", &git.blob(modules.as_bytes())),
            ("160000", b"x", &inner.to_string()),
        ]);
        inner = git.commit_tree(&tree, &format!("r{number}"));
    }
    let error = check_out(&place, inner, &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}
