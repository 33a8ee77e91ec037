//! The reference keeps its word: the example of every key is run as it stands there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{TestEnvironment, for_one_user, for_root};
use serde_json::json;

use crate::support::{configured, git, run_local};

for_root!(the_example_of_every_key_that_is_carried_out_runs);

for_one_user!(
    the_example_of_every_key_is_right_and_a_refusal_names_the_key,
    the_schema_is_printed_for_editors,
);

/// An example that is not run, and why.
const NOT_RUN: &[(&str, &str, &str)] = &[(
    "a step",
    "args",
    "the machine's own files have no entrypoint; `images` runs one of an image",
)];

/// What the reference takes PostgreSQL for: it has a client that says so when it is ready, and a page that does.
const DATABASE: &str = "
set -e
mkdir /www
touch /www/health
printf '#!/bin/sh\\n' > /bin/pg_isready
chmod +x /bin/pg_isready
for port in 80 5432 8080; do httpd -p $port -h /www; done
echo database system is ready to accept connections
exec sleep 600";

/// What the reference builds a service of.
const SERVER: &str = "\
FROM localhost/busybox AS server
ARG VERSION
RUN echo version $VERSION
CMD [\"sleep\", \"600\"]
";

fn the_example_of_every_key_that_is_carried_out_runs(env: &TestEnvironment) {
    crate::build::base(env);
    let commit = upstream(env);
    for (path, text) in [
        ("project/Makefile", "all:\n\ntest:\n\ttrue\n"),
        ("project/ci/defaults.yml", "env: { A: b }\n"),
        ("project/ci/db/Dockerfile", SERVER),
        ("project/ci/db/Dockerfile.test", SERVER),
        ("project/crates/core/x", ""),
        ("project/docs/x", ""),
        ("project/collect.sh", "#!/bin/sh\n"),
        (
            "secrets",
            "TOKEN=a-token\nDEPLOY_KEY=a-deploy-key\nDB_PASSWORD=a-password\n",
        ),
    ] {
        env.write(path, text);
    }
    let script = env.project().join("collect.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("make it a program");
    let secrets = env.root().join("secrets");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).expect("make it private");
    let secrets = secrets.display().to_string();
    env.write("config.yml", "network: { host: true }\n");
    let database = configured(env, &json!({ "Entrypoint": ["sh", "-c", DATABASE] }));
    let (mut run, mut served) = (0, 0);
    for example in pipelines::schema::examples() {
        let (of, key) = (example.of, example.key);
        let is_left_out = NOT_RUN.iter().any(|not| (not.0, not.1) == (of, key));
        if !example.carried_out || is_left_out {
            continue;
        }
        let upstream = format!("file://{}", env.root().join("upstream").display());
        env.pipeline(
            &example
                .pipeline
                .replace("https://example.org/ci.git", &upstream)
                .replace("postgres:16", &database)
                .replace("0123456789abcdef0123456789abcdef01234567", &commit),
        );
        let mut options = vec!["--image", "host", "--secret-file", &secrets];
        if example.key == "required" {
            options.extend(["--input", "level=1"]);
        }
        let _ = run_local(env, &options).expect(0).says("run: ok");
        run += 1;
        served += usize::from(example.pipeline.contains("postgres:16"));
    }
    assert!(run > 70, "only {run} examples were run");
    assert!(served > 10, "only {served} of them have services");
}

/// A repository with the file that examples include. The answer is its commit.
fn upstream(env: &TestEnvironment) -> String {
    env.write("upstream/ci/defaults.yml", "env: { A: b }\n");
    let directory = env.root().join("upstream");
    let git = |arguments: &[&str]| git(env, &directory, arguments);
    let _ = git(&["init", "-q"]);
    let _ = git(&["add", "."]);
    let _ = git(&["commit", "-qm", "one"]);
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}

fn the_example_of_every_key_is_right_and_a_refusal_names_the_key(env: &TestEnvironment) {
    env.write("project/ci/defaults.yml", "env: { A: b }\n");
    for example in pipelines::schema::examples() {
        // No repository can be asked for these here; see above.
        if matches!(example.key, "git" | "ref") {
            continue;
        }
        env.pipeline(&example.pipeline);
        let linted = env.agent(["lint"]).run().expect(0);
        if example.carried_out {
            let _ = linted.does_not_say("warning").does_not_say("error");
        } else {
            let _ = linted.says("warning[not-yet]");
            let refused = run_local(env, &["--image", "host"]).expect(65);
            let _ = refused.says("error[not-yet]").says(" is not supported yet");
        }
    }
}

fn the_schema_is_printed_for_editors(env: &TestEnvironment) {
    let printed = env.agent(["schema"]).run().expect(0);
    let schema: serde_json::Value = serde_json::from_slice(printed.stdout()).expect("JSON");
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let steps = &schema["$defs"]["step"]["properties"];
    assert_eq!(steps["timeout"]["examples"][0], "90s");
}
