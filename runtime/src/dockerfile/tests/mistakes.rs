//! What people are told.

use super::*;

fn told(text: &str) -> String {
    let problems = parse(text.as_bytes()).unwrap_err();
    let shown = problems.iter().map(|p| p.render("Dockerfile", text));
    shown.collect()
}

#[test]
fn every_mistake_has_its_place() {
    let text = "\
FROM busybox AS 7up
RUNN make
COPY --form=x a b
RUN --mount=type=cache,target=/x make
HEALTHCHECK --interval=5 CMD true
SHELL bash
COPY onlyone
EXPOSE
ONBUILD FROM x
RUN --network=wan make
";
    insta::assert_snapshot!(told(text), @r#"
    error: `7up` cannot be the name of a stage
      --> Dockerfile:1:6
       |
    1  | FROM busybox AS 7up
       |      ^^^^^^^
       = help: it begins with a letter; letters, digits, `-`, `_` and `.` follow
    error: there is no instruction `RUNN`
      --> Dockerfile:2:1
       |
    2  | RUNN make
       | ^^^^
       = help: did you mean `RUN`?
    error: `COPY` has no flag `--form`
      --> Dockerfile:3:6
       |
    3  | COPY --form=x a b
       |      ^^^^^^^^
    error: `RUN --mount` of type `cache` is not supported
      --> Dockerfile:4:5
       |
    4  | RUN --mount=type=cache,target=/x make
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: without it the command runs the same, and downloads anew what it needs
    error: `5` is no time
      --> Dockerfile:5:13
       |
    5  | HEALTHCHECK --interval=5 CMD true
       |             ^^^^^^^^^^^^
       = help: such as `30s`, `1m30s` or `500ms`
    error: `SHELL` takes a list
      --> Dockerfile:6:7
       |
    6  | SHELL bash
       |       ^^^^
       = help: SHELL ["/bin/bash", "-o", "pipefail", "-c"]
    error: `COPY` takes what to copy, and where to
      --> Dockerfile:7:6
       |
    7  | COPY onlyone
       |      ^^^^^^^
       = help: COPY FROM.. TO
    error: `EXPOSE` says nothing: it needs at least one word
      --> Dockerfile:8:1
       |
    8  | EXPOSE
       | ^^^^^^
    error: `FROM` cannot be a trigger
      --> Dockerfile:9:9
       |
    9  | ONBUILD FROM x
       |         ^^^^
    error: there is no network `wan`
       --> Dockerfile:10:5
        |
    10  | RUN --network=wan make
        |     ^^^^^^^^^^^^^
        = help: default, none or host
    "#);
}

#[test]
fn a_mistake_in_a_continued_line_is_shown_where_it_stands() {
    insta::assert_snapshot!(told("FROM x\nRUN \\\n  # a comment\n  --mount=type=secret,id=x \\\n  make\n"), @r"
    error: `RUN --mount` of type `secret` is not supported
      --> Dockerfile:4:3
       |
    4  |   --mount=type=secret,id=x \
       |   ^^^^^^^^^^^^^^^^^^^^^^^^
       = help: fetch what needs it in a step, and `COPY` what came of it
    ");
}

#[test]
fn what_is_no_dockerfile_is_refused() {
    insta::assert_snapshot!(told("RUN make\n"), @"
    error: there is no stage yet: only `ARG` may stand above `FROM`
      --> Dockerfile:1:1
       |
    1  | RUN make
       | ^^^
    ");
    insta::assert_snapshot!(told("FROM x\nENV A\n"), @"
    error: `ENV A` has no value
      --> Dockerfile:2:5
       |
    2  | ENV A
       |     ^
    ");
    insta::assert_snapshot!(told("# escape=x\nFROM x\n"), @r"
    error: `x` cannot be the escape character
      --> Dockerfile:1:1
       |
    1  | # escape=x
       | ^
       = help: it is `\` or a backtick
    ");
    insta::assert_snapshot!(told("# escape=`\n# escape=`\nFROM x\n"), @"
    error: the directive `escape` is given twice
      --> Dockerfile:2:1
       |
    2  | # escape=`
       | ^
    ");
    insta::assert_snapshot!(told("ARG x\n"), @"
    error: the file has no `FROM`
      --> Dockerfile:1:1
       |
    1  | ARG x
       | ^^^
    ");
    insta::assert_snapshot!(told("FROM x\nRUN <<EOF\nmake\n"), @"
    error: the heredoc `EOF` has no end
      --> Dockerfile:2:5
       |
    2  | RUN <<EOF
       |     ^^^^^
       = help: a line with nothing but `EOF` ends it
    ");
    insta::assert_snapshot!(told("FROM x\nRUN [\"a\\u0000b\"]\n"), @r#"
    error: there is a NUL in it
      --> Dockerfile:2:5
       |
    2  | RUN ["a\u0000b"]
       |     ^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(told("FROM x\nONBUILD ONBUILD RUN x\n"), @"
    error: a trigger cannot be `ONBUILD` itself
      --> Dockerfile:2:9
       |
    2  | ONBUILD ONBUILD RUN x
       |         ^^^^^^^
    ");
    let bytes = b"FROM x\nRUN \xff\n";
    insta::assert_snapshot!(parse(bytes).unwrap_err()[0].to_string(), @"2:5: the file is not UTF-8");
}

#[test]
fn a_file_beyond_a_bound_is_refused() {
    let first = |text: &str| parse(text.as_bytes()).unwrap_err()[0].to_string();
    insta::assert_snapshot!(first(&"#".repeat(MAX_FILE + 1)), @"1:1: the file has 1048577 bytes; at most 1048576 are read");
    insta::assert_snapshot!(first(&"FROM x\n".repeat(MAX_STAGES + 1)), @"129:1: the file has more than 128 stages");
    insta::assert_snapshot!(first(&"ARG x\n".repeat(MAX_INSTRUCTIONS + 1)), @"4097:1: the file has more than 4096 instructions");
}

#[test]
fn stages_are_found_by_name_and_number_among_those_before() {
    let file = parse(b"FROM a AS One\nFROM b AS two\nFROM c AS one\nFROM d\n").unwrap();
    assert_eq!(file.stage("ONE", 3), Some(2));
    assert_eq!(file.stage("one", 2), Some(0));
    assert_eq!(file.stage("1", 3), Some(1));
    assert_eq!(file.stage("3", 3), None);
    assert_eq!(file.stage("none", 3), None);
}
