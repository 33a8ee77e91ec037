//! `agent build`: images from Dockerfiles, as a Docker user's fingers expect it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, images};
use serde_json::Value;

use crate::door_containers::agent;
use crate::support::must;

for_everyone!(
    stages_become_an_image_that_runs,
    what_was_made_before_is_taken_and_what_changed_is_made_anew,
    links_of_the_context_and_of_the_image_lead_nowhere_else,
    a_built_image_is_the_same_to_podman,
);

for_one_user!(
    only_what_the_target_needs_is_built,
    a_stage_that_only_a_variable_names_is_not_taken_for_an_empty_one,
    what_fails_is_told_with_its_place,
    copies_between_stages_end_as_buildah_wants_them,
    a_dockerfile_may_come_by_standard_input,
    what_is_made_stays_as_long_as_an_image_has_it,
    a_large_context_is_bounded_by_what_is_ignored,
);

pub(crate) const BASE: &str = "localhost/busybox";

/// The plain image under a name that a Dockerfile can say.
pub(crate) fn base(env: &TestEnvironment) {
    let plain = images::plain();
    let _ = agent(env, &["pull", "-q", &plain]).expect(0);
    let _ = agent(env, &["image", "tag", &plain, BASE]).expect(0);
}

/// A file of the project, which is the context.
pub(crate) fn write(env: &TestEnvironment, name: &str, content: &str) {
    env.write(env.project().join(name), content);
}

/// Builds the project's Dockerfile as `localhost/built`.
pub(crate) fn build(env: &TestEnvironment, dockerfile: &str, options: &[&str]) -> Finished {
    write(env, "Dockerfile", dockerfile);
    agent(
        env,
        &[&["build", "-t", "localhost/built"], options, &["."]].concat(),
    )
}

/// What a command prints in what was built.
#[track_caller]
pub(crate) fn inside(env: &TestEnvironment, script: &str) -> String {
    let words = [
        "run",
        "--rm",
        "--entrypoint",
        "/bin/sh",
        "localhost/built",
        "-c",
        script,
    ];
    agent(env, &words).expect(0).output()
}

pub(crate) fn config(env: &TestEnvironment) -> Value {
    let text = agent(env, &["image", "inspect", "localhost/built"]).expect(0);
    let list: Value = serde_json::from_str(&text.output()).expect("JSON");
    list[0].clone()
}

/// What each step was: its text, and whether it was made before.
pub(crate) fn steps(done: &Finished) -> Vec<(String, bool)> {
    let mut steps: Vec<(String, bool)> = Vec::new();
    for line in done.errors().lines() {
        if let Some((_, text)) = line.split_once("] ")
            && line.starts_with('[')
        {
            steps.push((text.to_owned(), false));
        } else if line == "  made before"
            && let Some(last) = steps.last_mut()
        {
            last.1 = true;
        }
    }
    steps
}

/// Which steps were made before.
pub(crate) fn before(done: &Finished) -> Vec<bool> {
    steps(done).iter().map(|step| step.1).collect()
}

fn stages_become_an_image_that_runs(env: &TestEnvironment) {
    base(env);
    write(env, "main.c", "text\n");
    write(env, "secret.key", "private\n");
    write(env, "deep/er/file.txt", "deep\n");
    write(
        env,
        ".dockerignore",
        "# not for images\n*.key\nDockerfile*\nslipway-test-*\n",
    );
    let dockerfile = "\
ARG BASE=nothing
FROM ${BASE} AS make
ARG WHO=nobody
ENV GREETING=\"hello ${WHO}\"
WORKDIR /src
COPY . .
RUN find . | sort > /list && echo \"$GREETING\" > /out
RUN <<EOF
set -e
cat main.c >> /out
echo changed >> /etc/hosts
EOF

FROM $BASE
COPY --from=make /out /list /app/
COPY --from=0 /src/deep /app/deep
RUN adduser -D -u 1234 worker 2>/dev/null || echo worker:x:1234:1234::/app:/bin/sh >> /etc/passwd
USER worker
WORKDIR /app
ENTRYPOINT [\"cat\"]
CMD [\"out\"]
";
    let options = [
        "--build-arg",
        &format!("BASE={BASE}"),
        "--build-arg",
        "WHO=you",
    ];
    let done = build(env, dockerfile, &options).expect(0);
    assert_eq!(done.output(), "localhost/built:latest\n");
    let said = |words: &[&str]| agent(env, words).expect(0).output();
    assert_eq!(
        said(&["run", "--rm", "localhost/built"]),
        "hello you\ntext\n"
    );
    assert_eq!(
        said(&["run", "--rm", "localhost/built", "list"]),
        ".\n./.dockerignore\n./deep\n./deep/er\n./deep/er/file.txt\n./main.c\n"
    );
    assert_eq!(
        inside(env, "id -u; pwd; cat deep/er/file.txt"),
        "1234\n/app\ndeep\n"
    );
    env.assert_nothing_left();
}

fn what_was_made_before_is_taken_and_what_changed_is_made_anew(env: &TestEnvironment) {
    base(env);
    write(env, "a", "1\n");
    write(env, "b", "1\n");
    let dockerfile = format!(
        "FROM {BASE}\nWORKDIR /w\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /random\nCOPY b /b\nRUN cat /b > /c\n"
    );
    let id = |env: &TestEnvironment| config(env)["id"].as_str().unwrap_or("").to_owned();
    let first = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&first), [false; 6]);
    let made = id(env);
    let second = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&second), [false, true, true, true, true, true]);
    assert_eq!(id(env), made);
    // A time alone changes nothing.
    write(env, "a", "1\n");
    let touched = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&touched), [false, true, true, true, true, true]);
    write(env, "b", "2\n");
    let changed = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&changed), [false, true, true, true, false, false]);
    assert_eq!(inside(env, "cat /c"), "2\n");
    let anew = build(env, &dockerfile, &["--no-cache"]).expect(0);
    assert_eq!(before(&anew), [false; 6]);
    // An argument that a command sees is what it was made from.
    let with = format!("FROM {BASE}\nARG X\nRUN echo $X > /x\n");
    let _ = build(env, &with, &["--build-arg", "X=1"]).expect(0);
    let _ = build(env, &with, &["--build-arg", "X=2"]).expect(0);
    assert_eq!(inside(env, "cat /x"), "2\n");
}

fn links_of_the_context_and_of_the_image_lead_nowhere_else(env: &TestEnvironment) {
    base(env);
    let outside = env.root().join("outside");
    fs::create_dir(&outside).expect("make a directory");
    env.own(&outside);
    env.write(outside.join("secret"), "private\n");
    let project = env.project();
    symlink(outside.join("secret"), project.join("absolute")).expect("link");
    symlink("../outside/secret", project.join("relative")).expect("link");
    symlink("../outside", project.join("directory")).expect("link");
    write(env, "file", "mine\n");
    for source in [
        "absolute",
        "relative",
        "directory/secret",
        "../outside/secret",
    ] {
        let dockerfile = format!("FROM {BASE}\nCOPY {source} /stolen\n");
        let done = build(env, &dockerfile, &[]).expect(1);
        let _ = done.says(&format!("there is no `{source}` in the context"));
    }
    // Inside of a directory they are links and nothing else. A container has none of this machine's `/var/tmp`.
    let place = tempfile::tempdir_in("/var/tmp").expect("make a directory");
    env.own(place.path());
    let beyond = place.path().display();
    let dockerfile = format!(
        "FROM {BASE}
COPY . /all
RUN ln -s {out} /link && ln -s {out}/new /dangling && ln -s ../../../../../../../../..{out} /up \\
 && ln -s /proc/1/root/{out} /magic
COPY file /link/copied
COPY file /dangling
COPY . /up/
COPY --from={BASE} /bin/busybox /link/
WORKDIR /link/made
RUN rm -rf /link/removed && cat {out}/copied {out}/new && test ! -e {out}/secret
",
        out = beyond
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(fs::read_dir(place.path()).expect("list").count(), 0);
    assert_eq!(fs::read_dir(&outside).expect("list").count(), 1);
    let script = format!("readlink /all/absolute; ls {beyond}");
    let said = inside(env, &script);
    assert!(
        said.starts_with(&format!("{}/secret\n", outside.display())),
        "{said}"
    );
    assert!(
        said.contains("copied\n") && said.contains("busybox\n"),
        "{said}"
    );
    // A link of another stage leads into that one.
    let dockerfile = format!(
        "FROM {BASE} AS other\nRUN ln -s {}/secret /secret\nFROM {BASE}\nCOPY --from=other /secret /x\n",
        outside.display()
    );
    let _ = build(env, &dockerfile, &[])
        .expect(1)
        .says("there is no `/secret` in what `--from` names");
}

/// podman with storage of the test's own.
fn podman(env: &TestEnvironment) -> Command {
    let storage = env.root().join("podman");
    let mut podman = Command::new("podman");
    podman
        .args(["--storage-driver", "vfs", "--root"])
        .arg(storage.join("root"))
        .arg("--runroot")
        .arg(storage.join("run"));
    podman
}

fn a_built_image_is_the_same_to_podman(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    base(env);
    write(env, "kept", "kept\n");
    let dockerfile = format!(
        "FROM {BASE}\nRUN mkdir /full && touch /full/a /full/b /gone\nRUN rm -r /full /gone && mkdir /full && echo new > /full/c\nCOPY --chown=5:6 kept /kept\nENV A=1\nCMD [\"/bin/true\"]\n"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    let saved: PathBuf = env.project().join("saved.tar");
    let _ = agent(env, &["save", "-o", "saved.tar", "localhost/built"]).expect(0);
    env.write(
        "policy.json",
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    );
    must(
        podman(env)
            .args(["load", "--quiet", "--signature-policy"])
            .arg(env.root().join("policy.json"))
            .arg("-i")
            .arg(&saved),
    );
    let theirs = must(podman(env).args([
        "image",
        "inspect",
        "--format",
        "{{.Id}} {{.Config.Env}} {{.Config.Cmd}}",
        "localhost/built",
    ]));
    let id = config(env)["id"]
        .as_str()
        .unwrap_or("")
        .replace("sha256:", "");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(theirs.trim(), format!("{id} [{path} A=1] [/bin/true]"));
    let root = must(podman(env).args(["image", "mount", "localhost/built"]));
    let script = "ls -ln /kept | cut -d' ' -f3-; ls /full /gone 2>&1; cat /kept /full/c";
    let said = must(
        Command::new("chroot")
            .args([root.trim(), "/bin/sh", "-c"])
            .arg(format!("export PATH=/bin:/usr/bin; {script}")),
    );
    assert!(said.contains("c\n") && !said.contains("a\nb\n"), "{said}");
    assert!(said.contains("/gone: No such file"), "{said}");
    assert!(said.ends_with("kept\nnew\n"), "{said}");
    let owner = must(
        Command::new("stat")
            .args(["-c", "%u:%g"])
            .arg(format!("{}/kept", root.trim())),
    );
    assert_eq!(owner, "5:6\n");
    must(podman(env).args(["image", "unmount", "localhost/built"]));
}

fn only_what_the_target_needs_is_built(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM {BASE} AS one\nRUN echo 1 > /1\nFROM nowhere.invalid/none AS broken\nRUN false\nFROM one AS two\nRUN echo 2 > /2\nFROM broken\n"
    );
    let done = build(env, &dockerfile, &["--target", "two"]).expect(0);
    assert_eq!(steps(&done).len(), 4);
    assert_eq!(inside(env, "cat /1 /2"), "1\n2\n");
    let done = build(env, &dockerfile, &["--target", "three"]).expect(65);
    insta::assert_snapshot!(done.errors(), @"
    error: there is no stage `three`
      --> Dockerfile:1:1
       |
    1  | FROM localhost/busybox AS one
       | ^^^^
       = help: there are one, broken, two
    ");
}

fn a_stage_that_only_a_variable_names_is_not_taken_for_an_empty_one(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM {BASE} AS one\nRUN echo 1 > /1\nFROM {BASE}\nARG S=one\nCOPY --from=$S / /all/\n"
    );
    let _ = build(env, &dockerfile, &[])
        .expect(65)
        .says("the stage `one` is not built")
        .says("Dockerfile:5:");
}

fn what_fails_is_told_with_its_place(env: &TestEnvironment) {
    base(env);
    let told = |dockerfile: &str, code| build(env, dockerfile, &[]).expect(code).errors();
    insta::assert_snapshot!(told(&format!("FROM {BASE}\n\nRUN echo out && \\\n  echo err >&2; exit 7\n"), 1), @r"
    [1/2] FROM localhost/busybox
    [2/2] RUN echo out &&   echo err >&2; exit 7
    out
    err
    error: `echo out &&   echo err >&2; exit 7` ended with exit code 7
      --> Dockerfile:3:5
       |
    3  | RUN echo out && \
       |     ^^^^
    ");
    insta::assert_snapshot!(told(&format!("FROM {BASE}\nRUN [\"/no/such\"]\n"), 1), @r#"
    [1/2] FROM localhost/busybox
    [2/2] RUN ["/no/such"]
    error: there is no `/no/such` in the image
      --> Dockerfile:2:5
       |
    2  | RUN ["/no/such"]
       |     ^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(told(&format!("FROM {BASE}\nUSER nobody-here\nRUN true\n"), 1), @"
    [1/3] FROM localhost/busybox
    [2/3] USER nobody-here
    [3/3] RUN true
    error: there is no user `nobody-here` in the image
      --> Dockerfile:3:5
       |
    3  | RUN true
       |     ^^^^
    ");
    insta::assert_snapshot!(told(&format!("FROM {BASE}\nCOPY gone* /x\n"), 1), @"
    [1/2] FROM localhost/busybox
    [2/2] COPY gone* /x
    error: there is no `gone*` in the context
      --> Dockerfile:2:6
       |
    2  | COPY gone* /x
       |      ^^^^^
       = help: paths are from the context, whatever directory the Dockerfile is in; `.dockerignore` hides files
    ");
    insta::assert_snapshot!(told(&format!("FROM {BASE}\nRUN --mount=type=ssh true\nENTRY x\n"), 65), @"
    error: `RUN --mount` of type `ssh` is not supported
      --> Dockerfile:2:5
       |
    2  | RUN --mount=type=ssh true
       |     ^^^^^^^^^^^^^^^^
       = help: fetch what needs it in a step, and `COPY` what came of it
    error: there is no instruction `ENTRY`
      --> Dockerfile:3:1
       |
    3  | ENTRY x
       | ^^^^^
    ");
    insta::assert_snapshot!(told("FROM host\n", 65), @"
    [1/1] FROM host
    error: `host` cannot be built on: only images with a registry's name can
      --> Dockerfile:1:6
       |
    1  | FROM host
       |      ^^^^
       = help: `agent image load --tag NAME` gives it one
    ");
    insta::assert_snapshot!(told("ARG X\nFROM $X\n", 65), @"
    error: `$X` is the name of no image: it is empty
      --> Dockerfile:2:6
       |
    2  | FROM $X
       |      ^^
       = help: give its `ARG` above the first `FROM` a value
    ");
    insta::assert_snapshot!(told(&format!("FROM --platform=plan9/mips {BASE}\n"), 65), @"
    error: `plan9/mips` is not this machine's platform, which is linux/amd64
      --> Dockerfile:1:6
       |
    1  | FROM --platform=plan9/mips localhost/busybox
       |      ^^^^^^^^^^^^^^^^^^^^^
    ");
    insta::assert_snapshot!(told(&format!("FROM {BASE}\nRUN --network=host true\n"), 65), @"
    [1/2] FROM localhost/busybox
    [2/2] RUN --network=host true
    error: `RUN --network=host` is not allowed: the build has another network
      --> Dockerfile:2:20
       |
    2  | RUN --network=host true
       |                    ^^^^
       = help: build it with `--network host`
    ");
    let missing = agent(env, &["build", "nowhere"]).expect(2);
    insta::assert_snapshot!(missing.errors(), @"error: failed to read nowhere: No such file or directory (os error 2)");
    env.assert_nothing_left();
}

/// Each looks at what came of it itself.
fn copies_between_stages_end_as_buildah_wants_them(env: &TestEnvironment) {
    base(env);
    let cases = include_str!("buildah/copies.txt");
    let mut count = 0;
    for case in cases.split("\n=== ").skip(1) {
        let (name, text) = case.split_once('\n').unwrap_or((case, ""));
        let done = build(env, &text.replace("mirror.gcr.io/busybox", BASE), &[]);
        assert_eq!(done.code(), 0, "{name}: {done}");
        count += 1;
    }
    assert_eq!(count, 15);
}

fn a_dockerfile_may_come_by_standard_input(env: &TestEnvironment) {
    base(env);
    let done = env
        .agent(["build", "-q", "-"])
        .stdin(format!("FROM {BASE}\nRUN echo hi > /hi\n"))
        .run()
        .expect(0);
    assert_eq!(done.errors(), "");
    let name = done.output();
    assert!(name.starts_with("localhost/build:"), "{name}");
    let said = agent(env, &["run", "--rm", name.trim(), "cat", "/hi"]).expect(0);
    assert_eq!(said.output(), "hi\n");
    write(env, "file", "x\n");
    let done = env
        .agent(["build", "-f", "-", "."])
        .stdin(format!("FROM {BASE}\nCOPY file /\nCOPY - /\n"))
        .run()
        .expect(1);
    let _ = done.says("--> standard input:3:6");
}

fn what_is_made_stays_as_long_as_an_image_has_it(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!("FROM {BASE}\nRUN echo x > /x\n");
    let _ = build(env, &dockerfile, &[]).expect(0);
    let _ = agent(env, &["image", "prune"]).expect(0);
    let again = build(env, &dockerfile, &[]).expect(0);
    assert!(steps(&again)[1].1);
    let _ = agent(env, &["rmi", "localhost/built"]).expect(0);
    let _ = agent(env, &["image", "prune"]).expect(0);
    let anew = build(env, &dockerfile, &[]).expect(0);
    assert!(!steps(&anew)[1].1);
    assert_eq!(inside(env, "cat /x"), "x\n");
    let _ = agent(env, &["image", "verify", "localhost/built"]).expect(0);
}

fn a_large_context_is_bounded_by_what_is_ignored(env: &TestEnvironment) {
    base(env);
    // Sparse: more than any image may have, and nothing on the disk.
    let large = env.project().join("large");
    fs::File::create(&large)
        .and_then(|file| file.set_len(40 << 30))
        .expect("make a file");
    env.own(&large);
    let dockerfile = format!("FROM {BASE}\nCOPY . /all\n");
    let done = build(env, &dockerfile, &[]).expect(1);
    let _ = done.says("it is more than 1048576 files, or 34359738368 bytes");
    write(
        env,
        ".dockerignore",
        "large\nslipway-test-*\n.dockerignore\n",
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(inside(env, "ls /all"), "Dockerfile\n");
}
