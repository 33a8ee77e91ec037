//! What jobs of a server keep for later ones: found again on any agent, by those that may have it, whatever dies or breaks on the way.

use std::fs;
use std::path::{Path, PathBuf};

use harness::wait::{PATIENCE, until};
use harness::{TestEnvironment, for_one_user};
use rustix::process::Signal;

use super::{Ci, repository, wait_for_state};
use crate::agents::drain;
use crate::caches::files;
use crate::support::git;

for_one_user!(
    jobs_of_a_server_find_what_earlier_ones_have_kept_on_any_agent,
    a_forks_job_starts_from_the_base_and_leaves_nothing_to_it,
    what_is_broken_on_the_server_gives_place_to_a_better_one,
    a_cache_is_there_whole_whoever_dies_on_the_way,
    a_cache_that_the_server_refuses_ends_no_job_another_way,
);

/// Those of directories in it as well.
fn all_files(directory: &Path) -> Vec<PathBuf> {
    let (directories, mut all): (Vec<_>, Vec<_>) =
        files(directory).into_iter().partition(|path| path.is_dir());
    all.extend(directories.iter().flat_map(|path| all_files(path)));
    all
}

fn jobs_of_a_server_find_what_earlier_ones_have_kept_on_any_agent(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  t:\n    cache: [{ key: \"k-${{ hash_files('lock') }}\", fallback: [k-], paths: [target, ~/.tool] }]\n    \
         steps: [{ name: s, run: 'cat target/x ~/.tool/y 2>/dev/null || true; mkdir -p target; echo built > target/x; echo tool > ~/.tool/y' }]\n",
    );
    let ci = Ci::start(env);
    let first = ci.agent("data", &[]);
    let done = ci.submit(&[]).expect(0);
    let _ = done
        .says(": there is none yet")
        .says(": saved: ")
        .does_not_say("built");
    let _ = ci
        .submit(&[])
        .expect(0)
        .says(": restored: ")
        .says("built\n");
    let _ = drain(first);
    // One that has it from the server.
    let second = ci.agent("other", &[]);
    let _ = ci.submit(&[]).expect(0).says(": restored: ").says("tool\n");
    assert_eq!(files(&env.root().join("other/caches/blobs")).len(), 1);
    // A pull request reads what the branch it goes to has, and nobody reads what it writes.
    env.write("project/lock", "other");
    let request = [
        "--event",
        "pull_request",
        "--branch",
        "trunk",
        "--base",
        "trunk",
    ];
    repository(env, &env.read("project/.pipeline.yml"));
    let request_commit = git(env, &env.project(), &["rev-parse", "HEAD"]);
    let request_commit = request_commit.trim();
    let _ = ci
        .submit(&request)
        .expect(0)
        .says(": restored from k-")
        .says(": saved: ");
    let _ = ci
        .submit(&[])
        .expect(0)
        .says(": restored from k-")
        .says(": saved: ");
    let listed = ci.json(&["caches", "list", "--json"]);
    let caches = listed["caches"].as_array().expect("a list");
    let request_scope = format!("pull-request:trunk -> trunk {request_commit}");
    let scopes: Vec<_> = caches.iter().map(|cache| cache["scope"].as_str()).collect();
    assert_eq!(
        scopes,
        [
            Some("branch:trunk"),
            Some("branch:trunk"),
            Some(request_scope.as_str())
        ],
        "{listed:#}"
    );
    for cache in caches {
        let id = cache["id"].to_string();
        let _ = ci.user(&["caches", "remove", &id]).run().expect(0);
    }
    let _ = ci
        .user(&["caches", "list"])
        .run()
        .expect(0)
        .does_not_say("trunk");
    let _ = ci.submit(&[]).expect(0).says(": there is none yet");
    let _ = drain(second);
    ci.stop();
}

fn a_forks_job_starts_from_the_base_and_leaves_nothing_to_it(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  t:\n    cache: [{ key: \"k-${{ hash_files('lock') }}\", fallback: [k-], paths: [target] }]\n    \
                    steps: [{ name: s, run: 'cat target/x 2>/dev/null || true; mkdir -p target; cat word > target/x' }]\n";
    env.write("project/lock", "base");
    env.write("project/word", "of the base\n");
    repository(env, pipeline);
    let (project, fork) = (env.project(), env.root().join("fork"));
    git(env, &project, &["branch", "-M", "trunk"]);
    // Nobody is asked: that a person is by default is another test.
    env.write("server/server.yml", "fork_approval: false\n");
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let push = ["--event", "push", "--branch", "trunk"];
    let _ = ci.submit(&push).expect(0).says(": saved: ");
    // A repository of somebody else's, whose pull request the base shows as a forge does: by a ref of its own.
    let to = fork.display().to_string();
    git(env, &project, &["clone", "-q", ".", &to]);
    env.write("fork/word", "of the fork\n");
    git(env, &fork, &["commit", "-q", "-a", "-m", "same lock"]);
    git(
        env,
        &project,
        &["fetch", "-q", &to, "HEAD:refs/pull/7/head"],
    );
    let request = |reference: &str| {
        let request = [
            "--event",
            "pull_request",
            "--fork",
            "--branch",
            "trunk",
            "--base",
            "trunk",
            "--ref",
            reference,
        ];
        ci.submit(&request).expect(0)
    };
    // The very key is there: it is read, and nothing is written.
    let done = request("refs/pull/7/head");
    let _ = done.says("of the base\n").does_not_say(": saved: ");
    // Another key: what it saves is found by nobody but itself.
    env.write("fork/lock", "fork");
    git(env, &fork, &["commit", "-q", "-a", "-m", "other lock"]);
    git(
        env,
        &project,
        &["fetch", "-q", &to, "+HEAD:refs/pull/7/head"],
    );
    let _ = request("refs/pull/7/head").says("of the base\n");
    let done = request("refs/pull/7/head");
    let _ = done.says("of the fork\n").does_not_say("of the base\n");
    git(
        env,
        &project,
        &["fetch", "-q", &to, "+HEAD:refs/pull/8/head"],
    );
    let done = request("refs/pull/8/head");
    let _ = done.says("of the base\n").does_not_say("of the fork\n");
    // Merged, the base has that key as well, and makes it itself.
    env.write("project/lock", "fork");
    repository(env, pipeline);
    let done = ci.submit(&push).expect(0);
    let _ = done
        .says(": restored from k-")
        .says("of the base\n")
        .says(": saved: ")
        .does_not_say("of the fork\n");
    let listed = ci.json(&["caches", "list", "--json"]);
    let caches = listed["caches"].as_array().expect("a list");
    let mut scopes: Vec<_> = caches
        .iter()
        .filter_map(|cache| cache["scope"].as_str())
        .collect();
    scopes.sort_unstable();
    assert_eq!(
        scopes,
        [
            "branch:trunk",
            "branch:trunk",
            "fork:refs/pull/7/head",
            "fork:refs/pull/8/head"
        ],
        "{listed:#}"
    );
    let _ = drain(agent);
    ci.stop();
}

fn what_is_broken_on_the_server_gives_place_to_a_better_one(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  t:\n    cache: [{ key: a, paths: [target] }]\n    \
         steps: [{ name: s, run: 'cat target/x 2>/dev/null || mkdir target; echo built > target/x' }]\n",
    );
    let ci = Ci::start(env);
    let first = ci.agent("data", &[]);
    let _ = ci.submit(&[]).expect(0).says(": saved: ");
    let _ = drain(first);
    let mut broken = 0;
    for file in all_files(&env.root().join("server/logs")) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("cache-0") {
            let mut bytes = std::fs::read(&file).expect("the archive");
            *bytes.last_mut().expect("a byte") ^= 1;
            std::fs::write(&file, bytes).expect("write to the archive");
            broken += 1;
        }
    }
    assert!(broken > 0, "no archive on the server");
    let second = ci.agent("second", &[]);
    let _ = ci
        .submit(&[])
        .expect(0)
        .says("it is not restored: its archive cannot be fetched: ")
        .says(": saved: ");
    let _ = drain(second);
    let third = ci.agent("third", &[]);
    let _ = ci
        .submit(&[])
        .expect(0)
        .says(": restored: ")
        .says("built\n");
    let _ = drain(third);
    ci.stop();
}

fn a_cache_is_there_whole_whoever_dies_on_the_way(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  t:\n    cache: [{ key: k, paths: [target] }]\n    steps:\n      \
         - run: mkdir -p target; [ -e target/x ] || head -c 60000000 /dev/urandom > target/x; sha256sum target/x\n",
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let following = ci.user(&["submit", "--follow"]).spawn();
    // Some of it has come.
    let stream = env.root().join("server/logs/0/1-1/cache-0");
    let length = || fs::metadata(&stream).map_or(0, |file| file.len());
    let begun = until(PATIENCE, || (length() > 0).then_some(()));
    assert!(begun.is_some(), "nothing of the cache comes");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    let agent = ci.agent("data", &[]);
    let first = following.finish().expect(0).log_line();
    let _ = wait_for_state(&ci, "1", "finished");
    let _ = drain(agent);
    // Another agent fetches it, is killed on the way, and gives the job back: the next attempt finds it all the same.
    let agent = ci.agent("other", &[]);
    let following = ci.user(&["submit", "--follow"]).spawn();
    let drafts = env.root().join("other/caches/tmp");
    let begun = until(PATIENCE, || (!files(&drafts).is_empty()).then_some(()));
    assert!(begun.is_some(), "nothing is fetched");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    let agent = ci.agent("other", &[]);
    let done = following.finish().expect(0);
    assert_eq!(done.log_line(), first, "another file came");
    assert_eq!(files(&env.root().join("other/caches/blobs")).len(), 1);
    let _ = drain(agent);
    ci.stop();
}

fn a_cache_that_the_server_refuses_ends_no_job_another_way(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\njobs:\n  t:\n    cache: [{{ key: k, paths: [target] }}]\n    steps:\n      \
             - run: mkdir target; head -c 5000 /dev/urandom > target/x; echo begin; while ! [ -e {}/go ]; do sleep 0.05; done\n",
            shared.display()
        ),
    );
    let mut ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    // The agent has heard of more than there is now.
    ci.server.signal(Signal::KILL);
    ci.server.wait_for_end();
    env.write("server/server.yml", "caches: { bytes: 1000 }\n");
    let address = ci.url.trim_start_matches("http://").to_owned();
    let token = ci.token.clone();
    drop(ci);
    let mut ci = Ci::start_at(env, &address);
    ci.token = token;
    env.write("shared/go", "");
    let _ = following
        .finish()
        .expect(0)
        .says("Cache `k` is not kept: ")
        .says("at most 1000 bytes");
    let job = ci.json(&["jobs", "1", "--json"]);
    assert_eq!(job["conclusion"], "success", "{job:#}");
    // One that knows of it does not begin.
    let _ = ci
        .submit(&[])
        .expect(0)
        .says("it is not saved: more than 1000 bytes");
    assert_eq!(
        ci.json(&["caches", "list", "--json"])["caches"],
        serde_json::json!([])
    );
    let _ = drain(agent);
    ci.stop();
}

/// What `sha256sum` has printed.
trait LogLine {
    fn log_line(&self) -> String;
}

impl LogLine for harness::Finished {
    fn log_line(&self) -> String {
        let text = self.output();
        // Of the last attempt: one whose agent was killed before its job was over does not count.
        let line = text.lines().rfind(|line| line.ends_with("  target/x"));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    }
}
