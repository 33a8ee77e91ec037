//! Names, commits and files come from repositories as the git command makes and serves them.

mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use repository::{Allowed, Error, Keep, Remote, Unwatched, Url, Want, Watch};
use support::{Git, Place, Server, file, walk};

#[test]
fn names_become_commits() {
    let place = Place::new();
    let git = &place.upstream;
    let first = git.write("a", "1").commit("first");
    git.run(&["tag", "-a", "v1", "-m", "annotated"]);
    git.run(&["branch", "v1-branch"]);
    git.run(&["update-ref", "refs/pull/7/merge", &first.to_string()]);
    let second = git.write("a", "2").commit("second");
    // A name that is no text, which is not to harm the others.
    let odd = std::ffi::OsStr::from_bytes(b"upstream/.git/refs/heads/gr\xf6sse");
    std::fs::write(place.directory.path().join(odd), format!("{first}\n")).unwrap();
    let resolve = |name: &str| place.mirrors.resolve(&git.remote(), name, &Unwatched);
    for (name, commit, full) in [
        ("main", second, "refs/heads/main"),
        ("HEAD", second, "refs/heads/main"),
        ("v1", first, "refs/tags/v1"),
        ("v1-branch", first, "refs/heads/v1-branch"),
        ("refs/pull/7/merge", first, "refs/pull/7/merge"),
    ] {
        let resolved = resolve(name).unwrap();
        assert_eq!(resolved.commit, commit, "{name}");
        assert_eq!(resolved.reference.as_deref(), Some(full), "{name}");
    }
    assert_eq!(resolve(&first.to_string()).unwrap().commit, first);
    let error = resolve("gone").unwrap_err().to_string();
    assert!(
        error.ends_with("has no branch, tag or commit `gone`"),
        "{error}"
    );
    for name in ["-x", "a..b", "a b", "*", "refs/heads/*", "a\nb", ""] {
        let error = resolve(name).unwrap_err();
        assert!(
            matches!(error, Error::InvalidReference(_)),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn one_file_of_a_commit_is_read() {
    let place = Place::new();
    let git = &place.upstream;
    git.write(".pipeline.yml", "image: host\n")
        .write("dir/x", "12345");
    std::os::unix::fs::symlink("/etc/passwd", git.path.join("link")).unwrap();
    let commit = git.commit("first");
    let (mirror, fetched) = place
        .mirrors
        .fetch(&git.remote(), &Want::commit(commit), &Unwatched)
        .unwrap();
    assert_eq!(fetched, commit);
    let read = |path: &str, most| mirror.read_file(commit, path, most);
    assert_eq!(
        read(".pipeline.yml", 100).unwrap().as_deref(),
        Some(&b"image: host\n"[..])
    );
    assert_eq!(read("dir/x", 5).unwrap().as_deref(), Some(&b"12345"[..]));
    for path in ["none", "dir/none", ".pipeline.yml/x", "../x", "", "/dir/x"] {
        assert_eq!(read(path, 5).unwrap(), None, "{path}");
    }
    let error = |path: &str, most| read(path, most).unwrap_err().to_string();
    assert!(error("dir/x", 4).ends_with("is 5 bytes large, more than 4"));
    assert!(error("link", 100).ends_with("is a symbolic link"));
    assert!(error("dir", 100).ends_with("is a directory"));
    assert_eq!(
        mirror.describe(commit).unwrap(),
        ("first".to_owned(), "A".to_owned())
    );
}

#[test]
fn changed_paths_are_told_up_to_a_limit() {
    let place = Place::new();
    let git = &place.upstream;
    let old = git.write("a", "1").write("b", "1").commit("first");
    std::fs::remove_file(git.path.join("b")).unwrap();
    let new = git.write("d/c", "1").commit("second");
    let want = Want {
        depth: None,
        ..Want::commit(new)
    };
    let (mirror, _) = place
        .mirrors
        .fetch(&git.remote(), &want, &Unwatched)
        .unwrap();
    let paths = mirror.changed_paths(old, new, 10).unwrap().unwrap();
    assert_eq!(paths, ["b", "d/c"]);
    assert_eq!(mirror.changed_paths(old, new, 1).unwrap(), None);
}

/// A hundred kilobytes that do not compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(100_000)
    .collect()
}

#[test]
fn a_second_commit_costs_only_what_is_new_and_a_known_one_nothing() {
    let place = Place::new();
    let git = &place.upstream;
    for file in 0..20 {
        git.write(&format!("big/{file}"), noise(file));
    }
    git.commit("old");
    let first = git.write("a", "1").commit("first");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    git.run(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    let fetch = |commit| {
        place
            .mirrors
            .fetch(&remote, &Want::commit(commit), &Unwatched)
            .unwrap()
    };
    let (mirror, _) = fetch(first);
    let whole = server.sent.load(Ordering::SeqCst);
    assert!(whole > 2_000_000, "{whole}");
    // Shallow: its parent is not here.
    assert!(mirror.has(first));
    let requests = server.requests.load(Ordering::SeqCst);
    fetch(first);
    assert_eq!(
        server.requests.load(Ordering::SeqCst),
        requests,
        "a known commit was asked for"
    );
    for number in 2..6 {
        let next = git.write("a", number.to_string()).commit("next");
        let before = server.sent.load(Ordering::SeqCst);
        let (mirror, _) = fetch(next);
        let new = server.sent.load(Ordering::SeqCst) - before;
        assert!(new < 10_000, "{new} bytes for one small file");
        assert_eq!(
            mirror.read_file(next, "a", 10).unwrap().unwrap(),
            number.to_string().as_bytes()
        );
        assert_eq!(
            mirror.read_file(next, "big/3", 1 << 20).unwrap().unwrap(),
            noise(3)
        );
    }
}

#[test]
fn a_name_that_is_asked_for_again_costs_only_what_is_new() {
    let place = Place::new();
    let git = &place.upstream;
    for file in 0..20 {
        git.write(&format!("big/{file}"), noise(file));
    }
    git.commit("old");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    let sent = |name: &str| {
        let before = server.sent.load(Ordering::SeqCst);
        let resolved = place.mirrors.resolve(&remote, name, &Unwatched).unwrap();
        assert_eq!(resolved.commit, git.head());
        server.sent.load(Ordering::SeqCst) - before
    };
    assert!(sent("main") > 2_000_000);
    for name in ["main", "HEAD"] {
        let again = sent(name);
        assert!(again < 10_000, "{again} bytes for nothing new at {name}");
    }
    git.write("a", "1").commit("new");
    let new = sent("main");
    assert!(new < 10_000, "{new} bytes for one small file");
    git.run(&["checkout", "-q", "-b", "topic"]);
    git.write("b", "1").commit("newer");
    let other = sent("topic");
    assert!(
        other < 10_000,
        "{other} bytes for one small file of another branch"
    );
}

#[test]
fn a_host_that_hands_out_no_commits_by_id_is_asked_by_name() {
    let place = Place::new();
    let git = &place.upstream;
    let first = git.write("a", "1").commit("first");
    let second = git.write("a", "2").commit("second");
    git.run(&["update-ref", "refs/pull/7/merge", &second.to_string()]);
    git.run(&["checkout", "-q", "-b", "side", &first.to_string()]);
    let side = git.write("b", "1").commit("side");
    git.run(&["config", "uploadpack.hideRefs", "refs/pull"]);
    git.run(&["config", "--unset", "uploadpack.hideRefs"]);
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    // Behind the tip: found because the whole branch is fetched then.
    for (want, commit) in [
        (
            Want::commit(first).seen_at(Some("refs/heads/main".to_owned())),
            first,
        ),
        (
            Want::commit(second).seen_at(Some("refs/pull/7/merge".to_owned())),
            second,
        ),
        (Want::commit(side), side),
    ] {
        let (mirror, got) = place.mirrors.fetch(&remote, &want, &Unwatched).unwrap();
        assert_eq!(got, commit);
        assert!(mirror.read_file(commit, "a", 10).unwrap().is_some());
    }
    let never = "1234567890123456789012345678901234567890".parse().unwrap();
    for remote in [remote, place.upstream.remote()] {
        let want = Want::commit(never);
        let error = place.mirrors.fetch(&remote, &want, &Unwatched);
        let error = error.unwrap_err();
        assert!(matches!(error, Error::NoCommit { .. }), "{error}");
    }
}

#[test]
fn of_two_that_want_the_same_at_once_one_fetches() {
    let place = Place::new();
    let git = &place.upstream;
    for file in 0..20 {
        git.write(&format!("{file}"), noise(file));
    }
    let commit = git.commit("first");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                place
                    .mirrors
                    .fetch(&remote, &Want::commit(commit), &Unwatched)
                    .unwrap()
            });
        }
    });
    let sent = server.sent.load(Ordering::SeqCst);
    assert!(sent < 3_000_000, "{sent} bytes for two megabytes of files");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let place = Place::new();
    place.upstream.write("a", "1").commit("first");
    let server = Server::start(place.directory.path(), None);
    let resolve = |url: Url| {
        place
            .mirrors
            .resolve(&Remote::public(url), "main", &Unwatched)
            .unwrap_err()
    };
    let error = resolve(server.url("nothing/.git"));
    assert!(matches!(error, Error::NoRepository { .. }), "{error:?}");
    let closed = Url::parse("http://127.0.0.1:1/x", Allowed::default()).unwrap();
    let error = resolve(closed);
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.is_worth_another_attempt(),
        "{error:?}"
    );
    let nowhere = file(&place.path("nowhere"));
    let error = place
        .mirrors
        .resolve(&nowhere, "main", &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error:?}");
    let empty = Git::init(&place.path("empty"));
    let error = place
        .mirrors
        .resolve(&empty.remote(), "main", &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::NoReference { .. }), "{error:?}");
}

struct Impatient;

impl Watch for Impatient {
    fn goes_on(&self) -> bool {
        false
    }
}

#[test]
fn a_transfer_ends_when_its_watch_says_so_and_leaves_nothing_half() {
    let place = Place::new();
    let commit = place.upstream.write("a", noise(1)).commit("first");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    let error = place
        .mirrors
        .fetch(&remote, &Want::commit(commit), &Impatient)
        .unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error:?}");
    assert!(!place.mirrors.mirror(&remote).unwrap().has(commit));
    place
        .mirrors
        .fetch(&remote, &Want::commit(commit), &Unwatched)
        .unwrap();
}

#[test]
fn a_damaged_mirror_is_fetched_anew() {
    let place = Place::new();
    let git = &place.upstream;
    let first = git.write("a", noise(1)).commit("first");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    place
        .mirrors
        .fetch(&remote, &Want::commit(first), &Unwatched)
        .unwrap();
    for entry in walk(&place.path("mirrors")) {
        if entry.extension().is_some_and(|suffix| suffix == "pack") {
            let length = std::fs::metadata(&entry).unwrap().len();
            std::fs::remove_file(&entry).unwrap();
            std::fs::write(&entry, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    let second = git.write("a", noise(2)).commit("second");
    let (mirror, _) = place
        .mirrors
        .fetch(&remote, &Want::commit(second), &Unwatched)
        .unwrap();
    assert_eq!(
        mirror.read_file(second, "a", 1 << 20).unwrap().unwrap(),
        noise(2)
    );
}

#[test]
fn mirrors_that_nobody_uses_go_and_are_fetched_again_when_somebody_does() {
    let place = Place::new();
    let upstreams = ["a", "b", "c"].map(|name| {
        let git = Git::init(&place.path(name));
        for file in 0..10 {
            git.write(&file.to_string(), noise(file));
        }
        let commit = git.commit("first");
        (git, commit)
    });
    let fetch = |number: usize| {
        let (git, commit) = &upstreams[number];
        let fetched = place
            .mirrors
            .fetch(&git.remote(), &Want::commit(*commit), &Unwatched);
        fetched.unwrap().0
    };
    for number in 0..3 {
        fetch(number);
    }
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let unused_for = |name: &str, idle: Duration| {
        let entries = std::fs::read_dir(place.path("mirrors")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let lock = paths.filter(|path| path.extension().is_some_and(|it| it == "lock"));
        let of_name = |path: &std::path::PathBuf| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.starts_with(&format!("{name}-"))
        };
        let lock = lock.into_iter().find(of_name).unwrap();
        let file = std::fs::File::open(lock).unwrap();
        file.set_modified(SystemTime::now() - idle).unwrap();
    };
    let here = || {
        let packs = walk(&place.path("mirrors"));
        let packs = packs.iter().map(|path| path.to_string_lossy().into_owned());
        packs.filter(|path| path.ends_with(".pack")).count()
    };
    let keep = Keep {
        unused_for: hours(100),
        bytes: u64::MAX,
    };
    unused_for("a", hours(99));
    unused_for("b", hours(50));
    unused_for("c", hours(1));
    assert_eq!((place.mirrors.prune(&keep), here()), (0, 3));
    unused_for("a", hours(101));
    assert_eq!((place.mirrors.prune(&keep), here()), (1, 2));
    // Of too much the longest unused goes, and nothing of what is in use.
    let little = Keep {
        bytes: 2_500_000,
        ..keep
    };
    fetch(0);
    assert_eq!((place.mirrors.prune(&little), here()), (1, 2));
    fetch(1);
    let nothing = Keep { bytes: 0, ..keep };
    assert_eq!((place.mirrors.prune(&nothing), here()), (1, 2));
    assert!(fetch(2).has(upstreams[2].1));
}
