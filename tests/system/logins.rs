//! Log-ins: checked with the registry, kept where Docker keeps them, shown nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use harness::{Finished, PASSWORD, Registry, TestEnvironment, USER, for_one_user, images};

use crate::door_containers::agent;

for_one_user!(
    a_log_in_is_checked_and_kept_for_its_owner,
    a_wrong_password_changes_nothing,
    a_credential_helper_keeps_the_log_in,
    a_log_in_is_asked_for_on_a_terminal,
    a_log_in_that_is_given_up_leaves_the_terminal_as_it_was,
    what_is_missing_is_said,
);

const CONFIG: &str = "home/.docker/config.json";

fn log_in(env: &TestEnvironment, registry: &str, password: &str) -> Finished {
    env.agent(["login", "-u", USER, "--password-stdin", registry])
        .stdin(format!("{password}\n"))
        .run()
        .does_not_say(password)
}

fn a_log_in_is_checked_and_kept_for_its_owner(env: &TestEnvironment) {
    let registry = Registry::start_with_authentication();
    let image = registry.push(&images::busybox(), "private");
    let _ = agent(env, &["pull", &image]).expect(1).says("log in");
    let _ = log_in(env, &registry.address(), PASSWORD)
        .expect(0)
        .says("login succeeded")
        .says("config.json");
    let mode = fs::metadata(env.root().join(CONFIG)).map(|found| found.permissions().mode());
    assert_eq!(mode.map(|mode| mode & 0o777).ok(), Some(0o600));
    let text = env.read(CONFIG);
    assert_eq!(
        text.replace(['\n', '\t', ' '], ""),
        registry.docker_config().trim()
    );
    let _ = agent(env, &["pull", &image]).expect(0);
    let _ = agent(env, &["logout", &registry.address()])
        .expect(0)
        .says("removed");
    assert!(!env.read(CONFIG).contains("cm9ib3Q6c2VzYW1l"));
    let _ = agent(env, &["logout", &registry.address()])
        .expect(0)
        .says("there was no log-in");
    let _ = agent(env, &["pull", &image]).expect(1);
}

fn a_wrong_password_changes_nothing(env: &TestEnvironment) {
    let registry = Registry::start_with_authentication();
    env.write(CONFIG, "{\"auths\": {}, \"other\": 1}");
    let _ = log_in(env, &registry.address(), "wrong")
        .expect(1)
        .says("failed to log in: ")
        .says("401");
    assert_eq!(env.read(CONFIG), "{\"auths\": {}, \"other\": 1}");
    let address = registry.address();
    drop(registry);
    let _ = log_in(env, &address, PASSWORD).expect(69).says("refused");
}

fn a_credential_helper_keeps_the_log_in(env: &TestEnvironment) {
    let registry = Registry::start_with_authentication();
    let image = registry.push(&images::busybox(), "private");
    env.write(CONFIG, "{\"credsStore\": \"test\"}");
    // Keeps one log-in in a file, as the protocol has it.
    env.write(
        "bin/docker-credential-test",
        format!(
            "#!/bin/sh\nkept={}/kept\ncase $1 in\nstore) cat >$kept ;;\nget) cat $kept 2>/dev/null || {{ echo \
             credentials not found in native keychain; exit 1; }} ;;\nerase) rm $kept ;;\nesac\n",
            env.home().display()
        ),
    );
    let helper = env.root().join("bin/docker-credential-test");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("make it a program");
    let path = format!("{}:/usr/bin:/bin", env.root().join("bin").display());
    let with = |words: &[&str], input: &str| {
        env.agent(words)
            .variable("PATH", &path)
            .stdin(input)
            .run()
            .does_not_say(PASSWORD)
    };
    let address = registry.address();
    let words = ["login", "-u", USER, "--password-stdin", &address];
    let done = with(&words, PASSWORD).expect(0);
    assert_eq!(done.errors(), "");
    assert!(env.read("home/kept").contains(PASSWORD));
    assert!(!env.read(CONFIG).contains("cm9ib3Q6c2VzYW1l"));
    let _ = with(&["pull", &image], "").expect(0);
    let _ = with(&["logout", &address], "").expect(0).says("removed");
    assert!(!env.home().join("kept").exists());
    let _ = with(&["pull", &image], "").expect(1);
    // A helper that is not there.
    env.write(CONFIG, "{\"credsStore\": \"nowhere\"}");
    let _ = with(&words, PASSWORD)
        .expect(70)
        .says("docker-credential-nowhere did not run");
}

fn a_log_in_is_asked_for_on_a_terminal(env: &TestEnvironment) {
    let registry = Registry::start_with_authentication();
    let address = registry.address();
    let mut running = env.agent(["login", &address]).on_terminal().spawn();
    running.wait_for("user: ");
    running.press(&format!("{USER}\n"));
    running.wait_for("password: ");
    running.press(&format!("{PASSWORD}\n"));
    let done = running.finish().expect(0).says("login succeeded");
    // The terminal has shown nothing of what was typed.
    let _ = done.does_not_say(PASSWORD);
    assert!(env.read(CONFIG).contains("cm9ib3Q6c2VzYW1l"));
}

fn a_log_in_that_is_given_up_leaves_the_terminal_as_it_was(env: &TestEnvironment) {
    let shell = "trap : INT; \"$@\"; echo ended with $?; stty -a";
    let mut running = env
        .agent(["login", "-u", USER, "registry.example"])
        .executed_by(["bash", "-c", shell, "bash"])
        .on_terminal()
        .spawn();
    running.wait_for("password: ");
    running.press("half of it\u{3}");
    let _ = running
        .finish()
        .expect(0)
        .says("ended with 130")
        .says(" echo ")
        .does_not_say("half of it");
}

fn what_is_missing_is_said(env: &TestEnvironment) {
    let _ = agent(env, &["login", "-u", USER, "registry.example"])
        .expect(2)
        .says("there is no password")
        .says("--password-stdin");
    let _ = env
        .agent(["login", "--password-stdin"])
        .stdin("x")
        .run()
        .expect(2)
        .says("needs `--username`");
    let _ = agent(env, &["login", "-u", "a", "-p", "secret"]).expect(2);
    let _ = agent(env, &["logout", "https://a.example/team/image"])
        .expect(2)
        .says("is not a registry's name");
}
