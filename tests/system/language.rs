//! The language as it is carried out: what runs, in which order, and what is said about the rest.

use harness::{TestEnvironment, for_everyone, for_one_user};

use crate::support::{git, run_local};

for_everyone!(a_pipeline_of_many_keys_is_carried_out);

for_one_user!(
    a_matrix_can_be_narrowed_on_the_command_line,
    filters_count_when_an_event_is_named,
    inputs_are_checked_and_put_in,
    a_key_that_cannot_be_carried_out_is_refused_and_only_warned_of_by_lint,
    a_silent_step_is_ended,
    a_steps_network_is_its_own_unless_the_command_line_decides,
    what_the_tree_includes_is_merged_below_the_pipeline,
    what_a_pinned_commit_holds_is_included_and_kept,
    files_can_be_hashed_and_changes_can_be_asked_for,
);

fn a_pipeline_of_many_keys_is_carried_out(env: &TestEnvironment) {
    env.pipeline(
        r#"
image: host
env: { FLAVOUR: "${{ event }}" }
jobs:
  test:
    matrix:
      n: [1, 2]
      exclude: [{ n: 2 }]
      include: [{ n: 3, extra: "yes" }]
    env: { N: "${{ matrix.n }}" }
    steps:
      - { name: flaky, run: "echo try >> tries; test $(wc -l < tries) = 2", retry: { max: 2, on: [1] } }
      - { name: show, run: "echo n=$N of ${{ matrix.n }} $FLAVOUR" }
      - { name: other, if: 'event == "push"', run: exit 1 }
      - { name: beside, needs: [flaky], run: echo beside }
  fails:
    allow_failure: true
    steps:
      - { name: broken, run: exit 3 }
      - { name: never, run: echo never }
      - { name: told, if: failure(), run: "echo told of ${{ steps.broken.conclusion }}" }
    after:
      - { name: collect, run: echo collected; exit 1 }
  last:
    needs: [test, fails]
    steps: [{ run: 'echo "fails was ${{ needs.fails.conclusion }}"' }]
"#,
    );
    let _ = run_local(env, &[])
        .expect(0)
        .says("n=1 of 1 manual")
        .says("n=3 of 3 manual")
        .says("attempt 2 of 3")
        .says("skipped, if: event == \"push\" is false: event is \"manual\"")
        .says("told of failure")
        .says("collected")
        .says("fails was failure")
        .says("run: ok");
}

fn a_matrix_can_be_narrowed_on_the_command_line(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  t:\n    matrix: { rust: [stable, beta] }\n    steps: [{ run: 'echo is-${{ matrix.rust }}' }]\n",
    );
    let _ = run_local(env, &["--matrix", "rust=beta"])
        .expect(0)
        .says("is-beta")
        .does_not_say("is-stable");
    let _ = run_local(env, &["--matrix", "rust=bta"])
        .expect(2)
        .says("no matrix has a cell with `rust=bta`, did you mean `beta`?");
}

fn filters_count_when_an_event_is_named(env: &TestEnvironment) {
    env.pipeline("on: { push: { branches: [main] } }\nimage: host\nsteps: [{ run: echo ran }]\n");
    let _ = run_local(env, &[]).expect(0).says("ran");
    let _ = run_local(env, &["--event", "push", "--branch", "main"])
        .expect(0)
        .says("ran");
    let _ = run_local(env, &["--event", "push", "--branch", "dev"])
        .expect(0)
        .says("Nothing runs: `on.push.branches` is [main], and this is \"dev\".");
}

fn inputs_are_checked_and_put_in(env: &TestEnvironment) {
    env.pipeline(
        "on: { manual: { inputs: { level: { options: [patch, minor] } } } }\nimage: host\nsteps: [{ run: 'echo got $L', env: { L: '${{ inputs.level }}' } }]\n",
    );
    let _ = run_local(env, &["--input", "level=minor"])
        .expect(0)
        .says("got minor");
    let _ = run_local(env, &["--input", "level=major"])
        .expect(65)
        .says("`major` is none of `patch`, `minor`");
}

fn a_key_that_cannot_be_carried_out_is_refused_and_only_warned_of_by_lint(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  t:\n    reports: { junit: \"a.xml\" }\n    steps: [{ run: echo ran }]\n",
    );
    let _ = run_local(env, &[])
        .expect(65)
        .says("error[not-yet]: `reports` of a job is not supported yet");
    let _ = env
        .agent(["lint"])
        .run()
        .expect(0)
        .says("warning[not-yet]: `reports` of a job is not supported yet");
}

fn a_silent_step_is_ended(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps: [{ name: hang, silence_timeout: 200ms, run: 'echo start; sleep 60' }]\n");
    let _ = run_local(env, &[])
        .expect(1)
        .says("start")
        .says("failed, wrote nothing for 200ms");
}

fn a_steps_network_is_its_own_unless_the_command_line_decides(env: &TestEnvironment) {
    env.write("config.yml", "network: { host: true }\n");
    // Where a step has a network of its own, the loopback interface is all there is.
    env.pipeline(
        "image: host\nnetwork: none\nsteps:\n  - { name: alone, run: ls /sys/class/net }\n  - { name: machine, network: host, run: ls /sys/class/net }\n",
    );
    let interfaces = |options: &[&str], step: &str| {
        let done = run_local(env, &[&["--json"], options].concat()).expect(0);
        done.log(step)
    };
    let machine = interfaces(&[], "machine");
    assert_eq!(interfaces(&[], "alone"), "lo\n");
    assert_eq!(interfaces(&["--network", "host"], "alone"), machine);
    assert_eq!(interfaces(&["--network", "none"], "machine"), "lo\n");
    assert_ne!(machine, "lo\n", "this machine has no network to tell apart");
    let _ = run_local(env, &[]).says("network: of each step's own kind");
}

fn what_the_tree_includes_is_merged_below_the_pipeline(env: &TestEnvironment) {
    env.write(
        "project/ci/defaults.yml",
        "image: host\nenv: { A: below, B: below }\njobs:\n  check:\n    steps: [{ run: 'echo $A $B from ci' }]\n",
    );
    env.pipeline("include: [{ path: ci/defaults.yml }]\nenv: { B: above }\n");
    let _ = run_local(env, &[]).expect(0).says("below above from ci");
    env.write(
        "project/ci/defaults.yml",
        "image: host\nsteps: [{ rum: x }]\n",
    );
    let _ = run_local(env, &[]).expect(65).says("ci/defaults.yml:2:11");
    let _ = env
        .agent(["lint"])
        .run()
        .expect(65)
        .says("ci/defaults.yml:2:11");
    env.pipeline("include: [{ path: ci/none.yml }]\nimage: host\nsteps: [{ run: x }]\n");
    let _ = run_local(env, &[])
        .expect(65)
        .says("error[bad-include]: `ci/none.yml` cannot be included: there is no such file");
}

fn what_a_pinned_commit_holds_is_included_and_kept(env: &TestEnvironment) {
    env.write(
        "upstream/shared.yml",
        "include: [{ path: image.yml }]\nsteps: [{ run: echo from upstream }]\n",
    );
    env.write("upstream/image.yml", "image: host\n");
    let upstream = env.root().join("upstream");
    let git = |arguments: &[&str]| git(env, &upstream, arguments);
    let _ = git(&["init", "-q"]);
    let _ = git(&["add", "."]);
    let _ = git(&["commit", "-qm", "one"]);
    let commit = git(&["rev-parse", "HEAD"]);
    env.pipeline(&format!(
        "include: [{{ git: 'file://{}', ref: {}, path: shared.yml }}]\n",
        upstream.display(),
        commit.trim()
    ));
    let _ = run_local(env, &[]).expect(0).says("from upstream");
    // What was fetched once is not asked for again.
    std::fs::remove_dir_all(&upstream).expect("remove the upstream");
    let _ = run_local(env, &[]).expect(0).says("from upstream");
    env.pipeline("include: [{ git: 'file:///nowhere', ref: main, path: shared.yml }]\n");
    let _ = run_local(env, &[])
        .expect(65)
        .says("`main` is not a commit's whole name")
        .says("git rev-parse");
}

fn files_can_be_hashed_and_changes_can_be_asked_for(env: &TestEnvironment) {
    env.write("project/Cargo.lock", "one");
    env.write("project/docs/x", "x");
    env.write("project/.gitignore", ".pipeline.yml\nslipway-test-*\n");
    let project = env.project();
    let git = |arguments: &[&str]| git(env, &project, arguments);
    let _ = git(&["init", "-q", "-b", "main"]);
    let _ = git(&["add", "."]);
    let _ = git(&["commit", "-qm", "one"]);
    let _ = git(&["checkout", "-qb", "topic"]);
    env.write("project/src/x", "new");
    env.pipeline(
        r#"
image: host
env: { KEY: 'cargo-${{ hash_files("Cargo.lock") }}', NONE: '${{ hash_files("*.toml") }}', LATE: '${{ env.KEY + hash_files("docs/**") }}' }
steps:
  - { name: key, run: 'echo key=$KEY none=$NONE; echo two > Cargo.lock' }
  - name: again
    run: echo "key=${{ hash_files("Cargo.lock") }}"
  - { name: source, if: 'changed("src/**")', run: echo source }
  - { name: docs, if: 'changed("docs/**")', run: echo docs }
"#,
    );
    let all = run_local(env, &["--json"]).expect(0);
    let key = all.log("key");
    assert_eq!(key.len(), "key=cargo- none=\n".len() + 64, "{key}");
    assert_eq!(
        all.log("again"),
        key.replace("cargo-", "").replace(" none=", "")
    );
    assert_eq!(
        (all.log("source"), all.log("docs")),
        ("source\n".to_owned(), "docs\n".to_owned())
    );
    let _ = run_local(env, &["--event", "pull_request", "--base", "main"])
        .expect(0)
        .says("source")
        .says("skipped, if: changed(\"docs/**\") is false");
    let _ = run_local(env, &["--base", "nowhere"])
        .expect(0)
        .says("What has changed since `nowhere` is not known, so everything counts as changed");
}
