//! Log-ins: checked with the registry, kept where Docker keeps them, shown nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use harness::{
    Answer, FaultServer, Finished, PASSWORD, Registry, ServedImage, TestEnvironment, USER,
    for_one_user, images,
};

use serde_json::{Value, json};

use crate::door_containers::agent;

for_one_user!(
    a_log_in_is_checked_and_kept_for_its_owner,
    a_wrong_password_changes_nothing,
    a_credential_helper_keeps_the_log_in,
    a_log_in_is_asked_for_on_a_terminal,
    a_log_in_that_is_given_up_leaves_the_terminal_as_it_was,
    what_is_missing_is_said,
    a_log_in_is_told_to_nobody_else,
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
    let removed = agent(env, &["logout", "--format", "json", &registry.address()]).expect(0);
    let removed: Value = serde_json::from_slice(removed.stdout()).expect("JSON");
    assert_eq!(
        removed,
        json!({ "registry": registry.address(), "removed": true })
    );
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
    let done = with(&[&words[..], &["--format", "json"]].concat(), PASSWORD).expect(0);
    assert_eq!(done.errors(), "");
    let kept: Value = serde_json::from_slice(done.stdout()).expect("JSON");
    assert_eq!(kept["registry"], address);
    assert!(kept["kept_in"].is_string(), "{kept}");
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

const SECRET: &str = "open-sesame-42";
const TOKEN: &str = "bearer-of-all-42";

/// Neither a log that tells all, nor an error, nor a process list, nor a file of the agent's has the password or the token.
fn a_log_in_is_told_to_nobody_else(env: &TestEnvironment) {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("robot:{SECRET}"));
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let expected = format!("Basic {basic}");
    let server = FaultServer::start(move |request| {
        let header = |name: &str| request.headers.iter().find(|(found, _)| found == name);
        let given = header("authorization").map(|(_, value)| value.as_str());
        if request.path.starts_with("/token") {
            return match given == Some(&*expected) {
                true => Answer::new(200, format!(r#"{{"token":"{TOKEN}"}}"#)),
                false => Answer::new(401, "{}"),
            };
        }
        let host = header("host")
            .map(|(_, value)| value.as_str())
            .unwrap_or_default();
        let realm = format!(r#"Bearer realm="http://{host}/token",service="tests""#);
        match given {
            Some(given) if given == format!("Bearer {TOKEN}") => match () {
                () if request.path.contains("/refused/") => Answer::new(403, "{}"),
                () if request.path.contains("/broken/") => {
                    Answer::new(500, format!("{given} is no good"))
                }
                () => image.answer(request),
            },
            _ => Answer::new(401, "{}").header("WWW-Authenticate", realm),
        }
    });
    let login = format!(
        r#"{{"auths":{{"{}":{{"auth":"{basic}"}}}}}}"#,
        server.address()
    );
    env.write("docker/config.json", login);
    let secrets = [SECRET, TOKEN, &*basic];
    for (repository, code) in [("team/app", 0), ("refused/app", 1), ("broken/app", 69)] {
        let reference = format!("{}/{repository}:1", server.address());
        let running = env
            .agent(["pull", &reference])
            .variable("SLIPWAY_LOG", "trace")
            .variable("DOCKER_CONFIG", env.root().join("docker"))
            .spawn();
        while !running.is_over() {
            for process in fs::read_dir("/proc").expect("list processes").flatten() {
                let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line);
                assert!(
                    !secrets.iter().any(|secret| line.contains(secret)),
                    "{line}"
                );
            }
        }
        let done = running.finish().expect(code);
        // It did tell something.
        assert!(done.errors().lines().count() > 3, "{done}");
        for secret in secrets {
            assert!(
                !done.errors().contains(secret) && !done.output().contains(secret),
                "{secret}: {done}"
            );
        }
    }
    let asked = server.requests();
    assert!(
        asked
            .iter()
            .any(|request| request.path.starts_with("/token")),
        "{asked:#?}"
    );
    for secret in secrets {
        let found = Command::new("grep")
            .args(["-rlaF", "-e", secret])
            .arg(env.data())
            .output();
        let found = found.expect("search the data directory");
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{secret}");
    }
}
