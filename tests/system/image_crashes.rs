//! `kill -9` of what saves, loads and removes images, at any moment: the store is whole, and the command works again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Agent, TestEnvironment, for_one_user, images};
use rustix::process::Signal;

use crate::door_containers::agent;
use crate::support::Moments;

for_one_user!(
    a_save_that_is_killed_leaves_no_archive,
    a_load_that_is_killed_leaves_a_store_that_is_whole,
    a_removal_that_is_killed_leaves_a_store_that_is_whole,
);

const NAME: &str = "localhost/tree:whiteouts";
const MOMENTS: u32 = 30;

/// An archive of the image of many layers, which is in the store.
fn archive(env: &TestEnvironment) -> PathBuf {
    let reference = format!("oci:{}", images::path("tree:latest").display());
    let _ = agent(env, &["pull", &reference]).expect(0);
    let _ = agent(env, &["image", "tag", &reference, NAME]).expect(0);
    let path = env.root().join("whole.tar");
    let words = ["image", "save", "-o", &path.display().to_string(), NAME];
    let _ = agent(env, &words).expect(0);
    path
}

/// Kills the command at many moments from its first instruction to a little behind its last; `before` has it something to
/// do, `after` looks at what it has left. The command runs to its end first, and last.
fn killed_at_many_moments<'a>(
    env: &TestEnvironment,
    command: impl Fn() -> Agent<'a>,
    before: impl Fn(),
    after: impl Fn(),
) {
    let once = || {
        before();
        let from = Instant::now();
        let _ = command().run().expect(0);
        from.elapsed()
    };
    let mut whole = once();
    let mut moments = Moments::new(std::process::id());
    let mut killed = 0;
    for _ in 0..MOMENTS {
        before();
        let running = command().spawn();
        let moment: Duration = whole.mul_f64(moments.next() * 1.1);
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        match running.finish().code() {
            137 => killed += 1,
            0 => whole = whole.min(moment),
            code => panic!("it ended with {code}, seed {}", moments.seed),
        }
        env.assert_nothing_survives();
        after();
    }
    assert!(killed > MOMENTS / 4, "only {killed} were still there");
    let _ = once();
    after();
}

fn verify(env: &TestEnvironment) {
    let _ = agent(env, &["image", "verify"])
        .expect(0)
        .does_not_say("damaged");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("list a directory");
    entries.flatten().map(|entry| entry.path()).collect()
}

fn a_save_that_is_killed_leaves_no_archive(env: &TestEnvironment) {
    let whole = fs::read(archive(env)).expect("read the archive");
    let directory = env.project().join("saved");
    let saved = directory.join("saved.tar");
    env.write("project/saved/.keep", "");
    let path = saved.display().to_string();
    killed_at_many_moments(
        env,
        || env.agent(["image", "save", "-o", &path, NAME]),
        || drop(fs::remove_file(&saved)),
        || {
            // All of it under its name, or nothing under any.
            if let Ok(found) = fs::read(&saved) {
                assert!(found == whole, "{} bytes of {}", found.len(), whole.len());
            }
            let others = files(&directory).len() - usize::from(saved.exists());
            assert_eq!(others, 1, "{:?}", files(&directory));
        },
    );
    verify(env);
    // Who runs something sweeps.
    runs(env);
}

fn a_load_that_is_killed_leaves_a_store_that_is_whole(env: &TestEnvironment) {
    let archive = archive(env).display().to_string();
    let empty = || drop(agent(env, &["image", "prune", "--all"]).expect(0));
    killed_at_many_moments(
        env,
        || env.agent(["image", "load", "-i", &archive]),
        empty,
        || verify(env),
    );
    runs(env);
}

fn a_removal_that_is_killed_leaves_a_store_that_is_whole(env: &TestEnvironment) {
    let archive = archive(env).display().to_string();
    for words in [&["image", "prune", "--all"][..], &["image", "rm", NAME]] {
        let _ = agent(env, &["image", "prune", "--all"]).expect(0);
        killed_at_many_moments(
            env,
            || env.agent(words),
            || drop(agent(env, &["image", "load", "-q", "-i", &archive]).expect(0)),
            || verify(env),
        );
        let _ = agent(env, &["df"]).expect(0).does_not_say("remains");
    }
    let _ = agent(env, &["image", "load", "-i", &archive]).expect(0);
    runs(env);
}

/// What was loaded is what podman showed.
fn runs(env: &TestEnvironment) {
    let listing = fs::read_to_string(images::path("list-tree")).expect("read the listing's script");
    let found = agent(env, &["run", NAME, "sh", "-c", &listing]).expect(0);
    let expected = fs::read_to_string(images::path("tree.podman")).expect("read podman's listing");
    assert!(found.output() == expected, "{found}");
}
