//! The workspace: what steps see of the working tree, and what they leave in it.

use std::process::Command;

use harness::{TestEnvironment, for_everyone, for_one_user};

use crate::support::{must, run_local, run_script};

for_everyone!(
    an_overlay_leaves_the_tree_alone_and_is_shared_by_the_steps_of_a_job,
    in_place_writes_belong_to_the_caller,
);

for_one_user!(
    uncommitted_changes_are_seen_and_git_facts_are_there,
    a_pipeline_is_found_in_a_parent,
    jobs_do_not_see_each_others_workspace,
    what_is_written_outside_the_workspace_is_gone_in_the_next_step,
);

fn an_overlay_leaves_the_tree_alone_and_is_shared_by_the_steps_of_a_job(env: &TestEnvironment) {
    env.write("project/kept", "kept\n");
    env.write("project/changed", "old\n");
    env.write("project/removed", "still there\n");
    env.pipeline(
        "image: host\nsteps:\n  - run: echo new > changed; rm removed; mkdir made; echo x > made/file\n  \
         - run: test \"$PWD\" = /workspace; test \"$(cat kept changed made/file)\" = \"$(printf 'kept\\nnew\\nx')\"; test ! -e removed\n",
    );
    let _ = run_local(env, &[]).expect(0);
    assert_eq!(env.read("project/changed"), "old\n");
    assert_eq!(env.read("project/removed"), "still there\n");
    assert!(!env.project().join("made").exists());
}

fn in_place_writes_belong_to_the_caller(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - run: mkdir made; echo x > made/file; ln -s file made/link; chmod 600 .pipeline.yml\n");
    let _ = run_local(env, &["--in-place"])
        .expect(0)
        .says("the working tree itself");
    for path in ["project/made", "project/made/file", "project/made/link"] {
        assert_eq!(env.owner(path), env.caller(), "{path}");
    }
    assert_eq!(env.read("project/made/file"), "x\n");
}

fn uncommitted_changes_are_seen_and_git_facts_are_there(env: &TestEnvironment) {
    env.write("project/file", "committed\n");
    env.pipeline("image: host\nsteps:\n  - name: step\n    run: cat file new; echo $CI_BRANCH; echo ${#CI_COMMIT}\n");
    let git = |arguments: &[&str]| {
        let id = env.uid().to_string();
        must(
            Command::new("setpriv")
                .args(["--reuid", &id, "--regid", &id, "--clear-groups", "git"])
                .args([
                    "-c",
                    "user.name=t",
                    "-c",
                    "user.email=t@example.org",
                    "-c",
                    "init.defaultBranch=trunk",
                ])
                .args(arguments)
                .env("HOME", env.home())
                .current_dir(env.project()),
        );
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    env.write("project/file", "changed\n");
    env.write("project/new", "untracked\n");
    let log = run_local(env, &["--json"]).expect(0).log("step");
    assert_eq!(log, "changed\nuntracked\ntrunk\n40\n");
}

fn a_pipeline_is_found_in_a_parent(env: &TestEnvironment) {
    env.write("project/marker", "here\n");
    env.write("project/deep/down/file", "");
    env.pipeline("image: host\nsteps: [{ run: cat marker }]\n");
    let _ = env
        .agent(["run-local"])
        .directory(env.project().join("deep/down"))
        .run()
        .expect(0)
        .says("here");
    let _ = env
        .agent(["run-local", "project/deep"])
        .directory(env.root())
        .run()
        .expect(0)
        .says("here");
}

fn jobs_do_not_see_each_others_workspace(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  a:\n    steps: [{ run: touch made }]\n  b:\n    needs: [a]\n    steps: [{ run: test ! -e made }]\n",
    );
    let _ = run_local(env, &[]).expect(0);
}

fn what_is_written_outside_the_workspace_is_gone_in_the_next_step(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - run: touch /tmp/a /etc/b /root/c\n  - run: test ! -e /tmp/a; test ! -e /etc/b; test ! -e /root/c\n");
    let _ = run_local(env, &[]).expect(0);
    let _ = run_script(env, "host", "touch /usr/nothing", &[])
        .expect(1)
        .says("Read-only file system");
}
