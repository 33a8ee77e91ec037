//! What single instructions of a Dockerfile make.

use std::process::Command;

use harness::{TestEnvironment, for_everyone, for_one_user};
use serde_json::Value;

use crate::build::{BASE, base, before, build, config, inside, steps, write};
use crate::door_containers::agent;
use crate::support::must;

for_everyone!(owners_and_modes_are_what_copy_says,);

for_one_user!(
    the_configuration_says_what_the_dockerfile_says,
    archives_are_unpacked_and_addresses_are_refused,
    an_image_from_nothing_has_what_is_copied,
    triggers_of_an_image_run_in_who_builds_on_it,
    a_command_without_a_network_has_none,
    a_directory_in_memory_is_none_of_the_image,
);

fn owners_and_modes_are_what_copy_says(env: &TestEnvironment) {
    base(env);
    write(env, "file", "x\n");
    write(env, "tree/below", "x\n");
    let dockerfile = format!(
        "FROM {BASE}
RUN echo worker:x:1234:2345::/:/bin/sh >> /etc/passwd && echo team:x:3456: >> /etc/group
COPY file /plain
COPY --chown=worker --chmod=0640 file /named
COPY --chown=7:team file /both
COPY --chown=9 tree /new/tree
"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    let _ = agent(env, &["save", "-o", "built.tar", "localhost/built"]).expect(0);
    // As the archive has them: what a user without ids cannot own is kept beside the file.
    let script = "mkdir x && cd x && tar xf ../built.tar && for layer in blobs/sha256/*; do \
                  tar tvf $layer --numeric-owner 2>/dev/null; done; true";
    let listing = must(
        Command::new("sh")
            .args(["-c", script])
            .current_dir(env.project()),
    );
    for (path, mode, owner) in [
        ("plain", "-rw-r--r--", "0/0"),
        ("named", "-rw-r-----", "1234/2345"),
        ("both", "-rw-r--r--", "7/3456"),
        ("new/", "drwxr-xr-x", "9/9"),
        ("new/tree/below", "-rw-r--r--", "9/9"),
    ] {
        let line = listing
            .lines()
            .find(|line| line.ends_with(&format!(" {path}")))
            .unwrap_or_else(|| panic!("no {path} in {listing}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[0], words[1]), (mode, owner), "{line}");
    }
    let _ = build(
        env,
        &format!("FROM {BASE}\nCOPY --chown=nobody-here file /\n"),
        &[],
    )
    .expect(1)
    .says("there is no user `nobody-here` in the image");
    let _ = build(env, &format!("FROM {BASE}\nCOPY --chmod=u+x file /\n"), &[])
        .expect(65)
        .says("Dockerfile:2:6");
}

fn the_configuration_says_what_the_dockerfile_says(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM {BASE}
MAINTAINER somebody
ARG PORT=80
ENV A=1 B=\"two words\"
ENV C=${{A}}${{B:+-b}}
LABEL x=y \"with space\"=$A
EXPOSE $PORT 90-91/udp
VOLUME [\"/data\", \"/more\"]
STOPSIGNAL SIGINT
SHELL [\"/bin/sh\", \"-ec\"]
HEALTHCHECK --interval=5s --retries=2 CMD wget -q localhost
WORKDIR /a
WORKDIR b
USER 1000:1000
CMD serve
"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    let made = config(env);
    let config = &made["config"];
    insta::assert_snapshot!(serde_json::to_string_pretty(&config["config"]).expect("JSON"), @r#"
    {
      "Cmd": [
        "/bin/sh",
        "-ec",
        "serve"
      ],
      "Env": [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "A=1",
        "B=two words",
        "C=1-b"
      ],
      "ExposedPorts": {
        "80/tcp": {},
        "90/udp": {},
        "91/udp": {}
      },
      "Healthcheck": {
        "Interval": 5000000000,
        "Retries": 2,
        "Test": [
          "CMD-SHELL",
          "wget -q localhost"
        ]
      },
      "Labels": {
        "with space": "1",
        "x": "y"
      },
      "Shell": [
        "/bin/sh",
        "-ec"
      ],
      "StopSignal": "SIGINT",
      "User": "1000:1000",
      "Volumes": {
        "/data": {},
        "/more": {}
      },
      "WorkingDir": "/a/b"
    }
    "#);
    assert_eq!(config["author"], "somebody");
    let empty = |line: &&Value| line["empty_layer"] == true;
    let history = config["history"].as_array().expect("a history");
    let layers = config["rootfs"]["diff_ids"].as_array().expect("layers");
    assert_eq!(
        history.iter().filter(|line| !empty(line)).count(),
        layers.len()
    );
    // An entrypoint of its own makes nothing of the image's command.
    let _ = agent(env, &["tag", "localhost/built", "localhost/below"]).expect(0);
    let _ = build(env, "FROM localhost/below\nENTRYPOINT [\"x\"]\n", &[]).expect(0);
    let made = crate::build::config(env);
    assert_eq!(made["config"]["config"]["Cmd"], Value::Null);
}

fn archives_are_unpacked_and_addresses_are_refused(env: &TestEnvironment) {
    base(env);
    write(env, "tree/inner", "in\n");
    write(env, "plain.txt", "text\n");
    must(
        Command::new("tar")
            .args(["-czf", "tree.tar.gz", "tree"])
            .current_dir(env.project()),
    );
    env.own(&env.project().join("tree.tar.gz"));
    let dockerfile = format!(
        "FROM {BASE}\nADD tree.tar.gz plain.txt /to/\nADD --unpack=false tree.tar.gz /kept/\nCOPY tree.tar.gz /copied\n"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(
        inside(
            env,
            "cat /to/tree/inner /to/plain.txt; ls /kept; ls -d /copied"
        ),
        "in\ntext\ntree.tar.gz\n/copied\n"
    );
    let done = build(
        env,
        &format!("FROM {BASE}\nADD https://example.invalid/x /x\n"),
        &[],
    );
    insta::assert_snapshot!(done.expect(65).errors(), @"
    [1/2] FROM localhost/busybox
    [2/2] ADD https://example.invalid/x /x
    error: `ADD` does not fetch `https://example.invalid/x`
      --> Dockerfile:2:5
       |
    2  | ADD https://example.invalid/x /x
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^
       = help: fetch it with `RUN`, which has the build's network
    ");
}

fn an_image_from_nothing_has_what_is_copied(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM scratch\nCOPY --from={BASE} /bin /bin\nCOPY <<one <<two /texts/\n1\none\n2\ntwo\nRUN [\"/bin/busybox\", \"touch\", \"/made\"]\n"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    let said = agent(
        env,
        &[
            "run",
            "--rm",
            "localhost/built",
            "/bin/busybox",
            "sh",
            "-c",
            "/bin/busybox ls /made /texts; /bin/busybox cat /texts/one /texts/two; /bin/busybox ls /etc",
        ],
    );
    assert_eq!(
        said.expect(0).output(),
        "/made\n\n/texts:\none\ntwo\n1\n2\nhostname\nhosts\nresolv.conf\n"
    );
    // What the runtime puts into a container is none of the image's.
    let _ = agent(env, &["save", "-o", "built.tar", "localhost/built"]).expect(0);
    let script = "mkdir x && cd x && tar xf ../built.tar && for layer in blobs/sha256/*; do \
                  tar tf $layer 2>/dev/null; done | grep -E '^(dev|proc|sys|etc)' || true";
    let listing = must(
        Command::new("sh")
            .args(["-c", script])
            .current_dir(env.project()),
    );
    assert_eq!(listing, "");
    let _ = build(env, "FROM scratch\nRUN true\n", &[])
        .expect(65)
        .says("there is nothing to run");
}

fn triggers_of_an_image_run_in_who_builds_on_it(env: &TestEnvironment) {
    base(env);
    write(env, "file", "x\n");
    let dockerfile =
        format!("FROM {BASE}\nONBUILD COPY file /copied\nONBUILD RUN echo ran > /ran\n");
    let _ = build(env, &dockerfile, &[]).expect(0);
    let _ = agent(env, &["tag", "localhost/built", "localhost/trigger"]).expect(0);
    let done = build(env, "FROM localhost/trigger\nRUN cat /ran /copied\n", &[]).expect(0);
    let texts: Vec<String> = steps(&done).into_iter().map(|step| step.0).collect();
    assert_eq!(
        texts,
        [
            "FROM localhost/trigger",
            "COPY file /copied",
            "RUN echo ran > /ran",
            "RUN cat /ran /copied"
        ]
    );
    assert_eq!(config(env)["config"]["config"]["OnBuild"], Value::Null);
}

fn a_directory_in_memory_is_none_of_the_image(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM {BASE}\nRUN --mount=type=tmpfs,target=/fast,size=1m dd if=/dev/zero of=/fast/x bs=1k count=2000; \\\n    test -e /fast/x && du -k /fast/x | cut -f1 > /size\n"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(inside(env, "ls -d /fast; cat /size"), "1024\n");
}

fn a_command_without_a_network_has_none(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!(
        "FROM {BASE}\nRUN --network=none ls /sys/class/net > /none\nRUN ls /sys/class/net > /some\n"
    );
    let _ = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(inside(env, "cat /none"), "lo\n");
    assert_eq!(inside(env, "wc -l < /some").trim(), "2");
    // What was made on another network, or by way of a proxy, is not taken.
    let without = build(env, &dockerfile, &["--network", "none"]).expect(0);
    assert_eq!(before(&without), [false, true, false]);
    assert_eq!(inside(env, "cat /some"), "lo\n");
    let proxy = ["--build-arg", "http_proxy=http://127.0.0.1:1"];
    let by_proxy = build(env, &dockerfile, &proxy).expect(0);
    assert_eq!(before(&by_proxy), [false, true, false]);
    let again = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&again), [false, true, true]);
}
