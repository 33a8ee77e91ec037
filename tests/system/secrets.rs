//! Secrets reach the steps that ask for them, and nothing that is shown or kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user};

use crate::support::run_local;

for_everyone!(
    a_secret_is_masked_wherever_output_goes,
    what_a_step_asks_to_mask_is_masked_at_once,
);

for_one_user!(
    only_steps_that_ask_for_a_secret_get_it,
    a_missing_secret_is_named_with_its_step_before_anything_runs,
    a_value_on_the_command_line_is_refused,
);

const SECRET: &str = "s3cr?t-Värde/0123456789+abc";

/// Every form that must not be seen; each of the parts is shown by itself in no other way.
const FORMS: [&str; 4] = [
    SECRET,
    "s3cr%3Ft-V%C3%A4rde%2F0123456789%2Babc",
    "czNjcj90LVbDpHJkZS8wMTIzNDU2Nzg5K2Fi",
    "czNjcj90LVbDpHJkZS8wMTIzNDU2Nzg5K2FiYw",
];

fn secret_file(env: &TestEnvironment, content: &str) {
    env.write("secrets.env", content);
    let path = env.root().join("secrets.env");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("keep the secrets");
}

fn with_secrets(env: &TestEnvironment, options: &[&str]) -> Finished {
    let file = env.root().join("secrets.env").display().to_string();
    run_local(env, &[&["--secret-file", &file], options].concat())
}

/// Everything below the data directory that a run has left, as text.
fn kept(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("list the runs") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            kept(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).expect("a log")));
        }
    }
}

fn a_secret_is_masked_wherever_output_goes(env: &TestEnvironment) {
    secret_file(
        env,
        &format!("TOKEN={SECRET}\nKEY<<END\nfirst key line\nsecond key line\nEND\n"),
    );
    env.pipeline(
        r#"
image: host
secrets_: &s [TOKEN, KEY]
jobs:
  main:
    secrets: [TOKEN, KEY]
    steps:
      - name: whole
        run: |
          echo "<$TOKEN>"
          printf %s "$TOKEN" | base64; printf 'user:%s' "$TOKEN" | base64
          echo "$KEY"; echo "second key line"
      - name: pieces
        run: |
          printf %s "$TOKEN" | while IFS= read -r -n 1 c; do printf %s "$c"; done; echo
          printf 's3cr?t-V'; echo rather
        shell: [bash, -e]
      - name: fails
        run: echo "url s3cr%3Ft-V%C3%A4rde%2F0123456789%2Babc"; exit 3
"#
        .replace("secrets_: &s [TOKEN, KEY]\n", "")
        .as_str(),
    );
    for options in [&[][..], &["--json"], &["--quiet"]] {
        let done = with_secrets(env, options).expect(1);
        for form in FORMS {
            let _ = done_without(&done, form);
        }
        let _ = done_without(&done, "key line");
        if options == ["--json"] {
            assert!(done.log("whole").starts_with("<***>\n"), "{done}");
            assert!(done.log("whole").ends_with("***\n***\n***\n"), "{done}");
            // Nothing else is touched, and what only looks like a secret comes out.
            assert_eq!(done.log("pieces"), "***\ns3cr?t-Vrather\n");
            assert_eq!(done.log("fails"), "url ***\n");
        }
    }
    let mut text = String::new();
    kept(&env.data().join("runs"), &mut text);
    assert!(text.contains("<***>"), "{text}");
    assert!(FORMS.iter().all(|form| !text.contains(form)), "{text}");
}

#[track_caller]
fn done_without(done: &Finished, text: &str) -> bool {
    assert!(!done.to_string().contains(text), "`{text}` is in:\n{done}");
    true
}

fn what_a_step_asks_to_mask_is_masked_at_once(env: &TestEnvironment) {
    env.pipeline(
        r#"
image: host
steps:
  - name: makes
    run: |
      fresh=token-$((41 * 1000 + 977))
      echo "$fresh" >> "$SLIPWAY_MASK"
      echo "made $fresh"
      echo "token=$fresh" >> "$SLIPWAY_OUTPUT"
  - name: uses
    env: { TOKEN: "${{ steps.makes.outputs.token }}" }
    run: echo "used $TOKEN"
  - name: as somebody
    user: "1:1"
    if: event == "push"
    run: echo other-value >> "$SLIPWAY_MASK"
"#,
    );
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(done.log("makes"), "made ***\n");
    assert_eq!(done.log("uses"), "used ***\n");
    let _ = done.does_not_say("token-41977");
}

fn only_steps_that_ask_for_a_secret_get_it(env: &TestEnvironment) {
    secret_file(env, &format!("TOKEN={SECRET}\n"));
    env.pipeline(
        "image: host\nsteps:\n  - { name: asks, secrets: [TOKEN], run: 'echo ${#TOKEN}' }\n  - { name: other, run: 'echo ${TOKEN-none}; env | grep -c TOKEN || true' }\n",
    );
    let done = with_secrets(env, &["--json"]).expect(0);
    assert_eq!(done.log("asks"), format!("{}\n", SECRET.len()));
    assert_eq!(done.log("other"), "none\n0\n");
    let done = env
        .agent(["run-local", "--json", "--secret", "TOKEN"])
        .variable("TOKEN", "from-the-environment")
        .run()
        .expect(0);
    assert_eq!(done.log("asks"), "20\n");
}

fn a_missing_secret_is_named_with_its_step_before_anything_runs(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  first: { steps: [{ run: echo started }] }\n  deploy:\n    needs: [first]\n    steps:\n      - { name: push, secrets: [TOKEN], run: x }\n  never:\n    if: event == \"tag\"\n    steps: [{ secrets: [OTHER], run: x }]\n",
    );
    let _ = run_local(env, &[])
        .expect(2)
        .says(".pipeline.yml:7: step `push` of job `deploy` needs the secret TOKEN, which was not given")
        .says("--secret TOKEN")
        .does_not_say("started");
    // What is not selected needs nothing.
    let _ = run_local(env, &["--job", "first"])
        .expect(0)
        .says("started");
    secret_file(env, "TOKEN=abc\n");
    let _ = with_secrets(env, &[]).expect(2).says("fewer than 4 bytes");
    env.write("secrets.env", "TOKEN\n");
    let _ = with_secrets(env, &[])
        .expect(2)
        .says("line 1: it is neither `NAME=value` nor `NAME<<END`");
}

fn a_value_on_the_command_line_is_refused(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps: [{ run: echo x }]\n");
    let _ = run_local(env, &["--secret", "TOKEN=x"])
        .expect(2)
        .says("give the name alone");
    env.write("secrets.env", "TOKEN=value\n");
    let path = env.root().join("secrets.env");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("show the secrets");
    let _ = with_secrets(env, &[]).expect(0).says("chmod 600");
}
