//! What jobs leave for others: kept by `run-local` and by a server, whole and nothing but what they left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{TestEnvironment, for_everyone, for_one_user};
use rustix::process::Signal;
use serde_json::Value;

use crate::agents::drain;
use crate::service::{Ci, repository, wait_for_state};
use crate::support::{clean, run_local};

for_everyone!(
    files_that_a_job_leaves_are_kept_and_the_tree_is_not_touched,
    links_lead_nowhere_and_what_is_no_file_is_left_out,
);

for_one_user!(
    the_example_leaves_what_it_says,
    when_and_the_cells_of_a_matrix_decide_what_is_kept,
    what_is_too_large_fails_the_job_and_what_is_not_there_does_not,
    an_artifact_arrives_whole_whoever_dies_on_the_way,
    a_server_says_what_it_has_and_for_how_long,
);

/// What everybody's tar makes of an archive: contents, or where links lead, by name.
fn unpacked(env: &TestEnvironment, archive: &Path) -> BTreeMap<String, String> {
    let into = env.root().join("unpacked");
    let _ = fs::remove_dir_all(&into);
    fs::create_dir(&into).expect("a directory");
    let tar = Command::new("tar")
        .args(["--no-same-owner", "-xzf"])
        .arg(archive)
        .arg("-C")
        .arg(&into)
        .status()
        .expect("tar");
    assert!(tar.success(), "{} is no archive", archive.display());
    let mut all = BTreeMap::new();
    let mut open = vec![into.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("a kind");
            let name = path
                .strip_prefix(&into)
                .expect("below")
                .display()
                .to_string();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() {
                let link = fs::read_link(&path).expect("a link");
                all.insert(name, format!("-> {}", link.display()));
            } else {
                let bytes = fs::read(&path).expect("a file");
                all.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    all
}

/// The one event about an artifact.
fn kept(events: &[Value], artifact: &str) -> Value {
    let mut of = events
        .iter()
        .filter(|event| event["type"] == "artifact_kept" && event["artifact"] == artifact);
    let event = of.next().unwrap_or_else(|| panic!("{events:#?}"));
    assert!(of.next().is_none(), "{events:#?}");
    event.clone()
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("sha256sum");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn files_that_a_job_leaves_are_kept_and_the_tree_is_not_touched(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  build:\n    artifacts: [{ name: dist, paths: [dist, README, '!**/*.map'] }]\n    steps:\n      \
         - run: mkdir -p dist/js; echo app > dist/js/app.js; echo map > dist/js/app.js.map; ln dist/js/app.js dist/again\n",
    );
    env.write("project/README", "read me\n");
    let before: Vec<_> = names(&env.project());
    let done = run_local(env, &["--json"]).expect(0);
    let event = kept(&done.events(), "dist");
    let path = PathBuf::from(event["path"].as_str().expect("a path"));
    assert!(path.starts_with(env.data()), "{event}");
    assert_eq!(event["sha256"], sha256(&path).as_str());
    assert_eq!(
        names(&env.project()),
        before,
        "the working tree was written to"
    );
    let expected = [
        ("README", "read me\n"),
        ("dist/again", "app\n"),
        ("dist/js/app.js", "app\n"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(unpacked(env, &path), BTreeMap::from(expected));

    let out = env.root().join("out");
    let done = run_local(env, &["--artifacts", out.to_str().expect("text")]).expect(0);
    let _ = done
        .says("=== build / artifact dist: 5 files, ")
        .says(&format!(", in {}", out.join("build/dist.tar.gz").display()));
    assert_eq!(names(&out.join("build")), ["dist.tar.gz"]);
    assert_eq!(env.owner(out.join("build/dist.tar.gz")), env.caller());
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn links_lead_nowhere_and_what_is_no_file_is_left_out(env: &TestEnvironment) {
    env.write("secret", "precious");
    let secret = env.root().join("secret");
    let root = env.root();
    let script = format!(
        "mkdir -p dist/deep && cd dist && ln -s {secret} secret && ln -s {root} root && ln -s ../../../.. up && \
         ln -s deep door && echo x > deep/x && mkfifo pipe && chmod 0 deep/x && chmod 0111 deep && \
         printf 'y' > \"$(printf 'na\\377me')\" && i=0 && while [ $i -lt 300 ]; do mkdir d && cd d && i=$((i+1)); done && echo far > far",
        secret = secret.display(),
        root = root.display()
    );
    let script = serde_json::to_string(&script).expect("text");
    env.pipeline(&format!(
        "image: host\njobs:\n  build:\n    artifacts:\n      - {{ name: dist, paths: [dist], when: always }}\n      \
         - {{ name: through, paths: [dist/root/secret, dist/door/x, dist/up/**] }}\n    steps: [{{ run: {script} }}]\n",
    ));
    let done = clean(run_local(env, &["--json"]).expect(0));
    let events = done.events();
    let event = kept(&events, "dist");
    let path = PathBuf::from(event["path"].as_str().expect("a path"));
    let files = unpacked(env, &path);
    assert_eq!(files["dist/secret"], format!("-> {}", secret.display()));
    assert_eq!(files["dist/root"], format!("-> {}", root.display()));
    assert_eq!(files["dist/up"], "-> ../../../..");
    assert_eq!(files["dist/door"], "-> deep");
    assert_eq!(files["dist/deep/x"], "x\n");
    assert!(files.values().any(|text| text == "far\n"));
    assert!(files.values().all(|text| !text.contains("precious")));
    assert!(!files.contains_key("dist/pipe"));
    let warnings: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "warning")
        .filter_map(|event| event["message"].as_str())
        .collect();
    let said = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(
        said("1 devices, pipes or sockets are left out"),
        "{warnings:?}"
    );
    assert!(
        said("Artifact `through` of job `build` is not kept: no file"),
        "{warnings:?}"
    );
}

fn when_and_the_cells_of_a_matrix_decide_what_is_kept(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  t:\n    matrix: { n: [1, 2], fail_fast: false }\n    artifacts:\n      \
         - { name: 'good-${{ matrix.n }}', paths: [f] }\n      - { name: bad, paths: [f], when: failure }\n      \
         - { name: all, paths: [f, g], when: always }\n    steps: [{ run: 'echo $N > f; [ $N = 1 ]', env: { N: '${{ matrix.n }}' } }]\n    \
         after: [{ run: echo after > g }]\n",
    );
    let out = env.root().join("out");
    let _ = run_local(env, &["--artifacts", out.to_str().expect("text")]).expect(1);
    let jobs = names(&out);
    let [one, two] = &jobs[..] else {
        panic!("a directory a cell: {jobs:?}");
    };
    assert_eq!(names(&out.join(one)), ["all.tar.gz", "good-1.tar.gz"]);
    assert_eq!(names(&out.join(two)), ["all.tar.gz", "bad.tar.gz"]);
    let all = unpacked(env, &out.join(two).join("all.tar.gz"));
    assert_eq!((all["f"].as_str(), all["g"].as_str()), ("2\n", "after\n"));
}

fn what_is_too_large_fails_the_job_and_what_is_not_there_does_not(env: &TestEnvironment) {
    env.write("config.yml", "limits: { artifact: 1MiB }\n");
    let of = |path: &str| {
        format!(
            "image: host\njobs:\n  t:\n    artifacts: [{{ name: app, paths: [{path}] }}]\n    steps: [{{ run: truncate -s 1T hole }}]\n"
        )
    };
    env.pipeline(&of("hole"));
    let out = env.root().join("out");
    let arguments = ["--artifacts", out.to_str().expect("text")];
    let _ = run_local(env, &arguments)
        .expect(1)
        .says("<== t: failed, artifact `app` cannot be kept: more than 1048576 bytes");
    assert_eq!(names(&out.join("t")), [""; 0], "nothing of it stays");
    env.pipeline(&of("target"));
    let _ = run_local(env, &arguments)
        .expect(0)
        .says("warning: Artifact `app` of job `t` is not kept: no file of the workspace");
}

/// A pipeline whose job waits for a file `go` of the machine before it makes what it leaves.
fn waiting(env: &TestEnvironment, script: &str, artifacts: &str) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\njobs:\n  t:\n    artifacts: {artifacts}\n    steps:\n      - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; {script}\n",
            shared.display()
        ),
    );
}

fn allow(env: &TestEnvironment) {
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            env.root().join("shared").display()
        ),
    );
}

/// Ends a server as a power cut would, and starts it again where it was.
fn restart<'e>(env: &'e TestEnvironment, mut ci: Ci<'e>) -> Ci<'e> {
    ci.server.signal(Signal::KILL);
    ci.server.wait_for_end();
    let address = ci.url.trim_start_matches("http://").to_owned();
    let token = ci.token.clone();
    drop(ci);
    let mut ci = Ci::start_at(env, &address);
    ci.token = token;
    ci
}

fn an_artifact_arrives_whole_whoever_dies_on_the_way(env: &TestEnvironment) {
    waiting(
        env,
        "head -c 60000000 /dev/urandom > app; sha256sum app",
        "[{ name: app, paths: [app] }]",
    );
    let ci = Ci::start(env);
    allow(env);
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    env.write("shared/go", "");
    // Some of it has come.
    let stream = env.root().join("server/logs/0/1-1/artifact-app");
    let length = || fs::metadata(&stream).map_or(0, |file| file.len());
    let begun = harness::wait::until(harness::wait::PATIENCE, || (length() > 0).then_some(()));
    assert!(begun.is_some(), "nothing of the artifact comes");
    let ci = restart(env, ci);
    // The job is over, also for its agent.
    let spool = env.root().join("data/jobs/1-1");
    let is_over = || (!spool.exists() || spool.join("finished.json").exists()).then_some(());
    let over = harness::wait::until(harness::wait::PATIENCE, is_over);
    assert!(over.is_some(), "the job does not end");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    let ci = restart(env, ci);
    let agent = ci.agent("data", &[]);
    let done = following.finish().expect(0);
    let job = wait_for_state(&ci, "1", "finished");
    // Nothing has run twice.
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "{job:#}");
    let file = env.root().join("app.tar.gz");
    let to = file.to_str().expect("text");
    let _ = ci
        .user(&["artifacts", "1", "app", "-o", to])
        .run()
        .expect(0);
    let listed = ci.json(&["artifacts", "1", "--json"]);
    assert_eq!(listed["artifacts"][0]["sha256"], sha256(&file).as_str());
    let _ = unpacked(env, &file);
    let app = env.root().join("unpacked/app");
    assert!(done.output().contains(&sha256(&app)), "another file came");
    let piped = ci
        .user(&["artifacts", "1", "app", "-o", "-"])
        .run()
        .expect(0);
    assert!(piped.stdout() == fs::read(&file).expect("the archive"));
    let _ = drain(agent);
    ci.stop();
}

fn a_server_says_what_it_has_and_for_how_long(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  t:\n    artifacts: [{ name: log, paths: [log], when: always, expire: 2d }]\n    steps: [{ run: echo x > log; exit 1 }]\n",
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let _ = ci
        .submit(&[])
        .expect(1)
        .says("=== t / artifact log: 1 file, ");
    let _ = ci
        .user(&["artifacts", "1"])
        .run()
        .expect(0)
        .says("NAME  ATTEMPT")
        .says("47h more");
    let _ = ci
        .user(&["artifacts", "1", "logs"])
        .run()
        .expect(1)
        .says("error: job 1 has no artifact `logs`")
        .says("help: it has `log`");
    let _ = ci
        .user(&["artifacts", "1", "log"])
        .directory(env.root())
        .run()
        .expect(0);
    let files = unpacked(env, &env.root().join("log.tar.gz"));
    assert_eq!(files["log"], "x\n");
    let _ = drain(agent);
    ci.stop();
}

fn the_example_leaves_what_it_says(env: &TestEnvironment) {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/artifacts");
    env.copy_into_project(example.as_ref());
    let out = env.root().join("out");
    let _ = run_local(env, &["--artifacts", out.to_str().expect("text")]).expect(0);
    let build = out.join("build");
    assert_eq!(names(&build), ["hello.tar.gz", "logs.tar.gz"]);
    let files = unpacked(env, &build.join("logs.tar.gz"));
    assert_eq!(files["test.log"], "hello from an artifact\n");
}
