//! The workspace: what steps see of the working tree, and what they leave in it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use harness::{TestEnvironment, Who, for_everyone, for_one_user, for_plain_users, images};

use crate::support::{git, run_local, run_script, single_step};

for_everyone!(
    an_overlay_leaves_the_tree_alone_and_is_shared_by_the_steps_of_a_job,
    in_place_writes_belong_to_the_caller,
    the_trees_path_may_be_long_and_of_any_bytes,
);

for_plain_users!(
    a_mount_below_the_tree_is_named_and_in_place_shows_it,
    the_callers_groups_count_for_container_root,
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

fn the_trees_path_may_be_long_and_of_any_bytes(env: &TestEnvironment) {
    // fsconfig(2) takes strings shorter than 256 bytes; a file name is bounded by 255.
    let long = Path::new("project").join("x".repeat(250)).join("tree");
    let odd = Path::new("project").join(OsStr::from_bytes(
        b"not\xff\xfeUTF-8,comma:colon\\backslash",
    ));
    for tree in [long, odd] {
        env.write(tree.join("file"), "here\n");
        env.write(
            tree.join(".pipeline.yml"),
            "image: host\nsteps: [{ name: step, run: \"cat file; echo x > made; cat /proc/self/mountinfo\" }]\n",
        );
        let run = |options: &[&str]| {
            let arguments = ["run-local", "--json"].iter().chain(options);
            let agent = env.agent(arguments).directory(env.root().join(&tree));
            agent.run().expect(0).log("step")
        };
        let log = run(&[]);
        assert!(log.starts_with("here\n"), "{log}");
        // A step does not learn where on the machine its overlay's tree is.
        assert!(!log.contains("/project/"), "{log}");
        assert!(!env.root().join(&tree).join("made").exists());
        let log = run(&["--in-place"]);
        assert!(log.starts_with("here\n"), "{log:?}");
        assert_eq!(env.owner(tree.join("made")), env.caller());
    }
}

fn a_mount_below_the_tree_is_named_and_in_place_shows_it(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    env.write("project/two words/file", "");
    env.pipeline("image: host\nsteps: [{ name: step, run: cat two*/file }]\n");
    let below = env.project().join("two words");
    let mount = format!(
        "mount -t tmpfs tmpfs '{0}' && echo mounted > '{0}/file'",
        below.display()
    );
    let run = |options: &[&str]| {
        let arguments = ["run-local", "--json"].iter().chain(options);
        env.agent(arguments).after(&mount).run()
    };
    let _ = run(&[])
        .expect(70)
        .says(&format!("{} is a mount point", below.display()))
        .says("--in-place");
    assert_eq!(run(&["--in-place"]).expect(0).log("step"), "mounted\n");
}

fn the_callers_groups_count_for_container_root(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    // A group of the caller's that no container has an id for.
    const GROUP: u32 = 3_000_000_000;
    for (file, owner) in [("others", 0), ("own", env.uid())] {
        let path = env.project().join(file);
        fs::write(&path, "read\n").expect("write a file");
        chown(&path, Some(owner), Some(GROUP)).expect("give the file to the group");
        fs::set_permissions(&path, Permissions::from_mode(0o660)).expect("close the file");
    }
    let run = |script: &str, options: &[&str]| {
        env.pipeline(&single_step("host", script));
        let arguments = ["run-local", "--json"].iter().chain(options);
        let done = env.agent(arguments).in_group(GROUP).run();
        done.expect(0).log("step")
    };
    assert_eq!(run("cat others own", &[]), "read\nread\n");
    // An overlay cannot copy a file of a group without an id.
    assert_eq!(
        run("(echo more >> own) || echo refused", &[])
            .lines()
            .last(),
        Some("refused")
    );
    let written = run("echo more >> others; cat others", &["--in-place"]);
    assert_eq!(written, "read\nmore\n");
    // A user of the image's is not the caller.
    env.pipeline(&format!(
        "image: \"{}\"\nsteps: [{{ name: step, run: cat others }}]\n",
        images::busybox()
    ));
    if env.who() == Who::Subordinate {
        let done = env.agent(["run-local"]).in_group(GROUP).run().expect(1);
        let _ = done.says("Permission denied");
    }
}

fn uncommitted_changes_are_seen_and_git_facts_are_there(env: &TestEnvironment) {
    env.write("project/file", "committed\n");
    env.pipeline("image: host\nsteps:\n  - name: step\n    run: cat file new; echo $CI_BRANCH; echo ${#CI_COMMIT}\n");
    let run_git = |arguments: &[&str]| {
        let _ = git(env, &env.project(), arguments);
    };
    run_git(&["init", "-q"]);
    run_git(&["add", "."]);
    run_git(&["commit", "-q", "-m", "first"]);
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
