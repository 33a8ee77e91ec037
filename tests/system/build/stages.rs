//! Stages: what is built, and what they copy from each other.

use harness::{TestEnvironment, for_everyone, for_one_user};

use super::{BASE, base, build, inside, steps, write};
use crate::door_containers::agent;

for_everyone!(stages_become_an_image_that_runs);

for_one_user!(
    only_what_the_target_needs_is_built,
    a_stage_that_only_a_variable_names_is_not_taken_for_an_empty_one,
    copies_between_stages_end_as_buildah_wants_them
);

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

/// Each looks at what came of it itself.
fn copies_between_stages_end_as_buildah_wants_them(env: &TestEnvironment) {
    base(env);
    let cases = include_str!("../buildah/copies.txt");
    let mut count = 0;
    for case in cases.split("\n=== ").skip(1) {
        let (name, text) = case.split_once('\n').unwrap_or((case, ""));
        let done = build(env, &text.replace("mirror.gcr.io/busybox", BASE), &[]);
        assert_eq!(done.code(), 0, "{name}: {done}");
        count += 1;
    }
    assert_eq!(count, 15);
}
