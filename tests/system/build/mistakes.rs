//! Mistakes of a Dockerfile are told with their places.

use harness::{TestEnvironment, for_one_user};

use super::{BASE, base, build};
use crate::door_containers::agent;

for_one_user!(what_fails_is_told_with_its_place);

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
