//! `agent run`: one command in a container, as a Docker user's fingers expect it.

use std::fs;
use std::os::unix::fs::symlink;

use harness::{Agent, Finished, TestEnvironment, for_everyone, for_one_user, images};

for_everyone!(
    a_container_ends_as_its_command_does,
    streams_are_apart_and_exact,
    a_volume_shows_and_keeps_what_is_written_to_it,
    a_root_that_is_read_only_takes_nothing,
);

for_one_user!(
    what_the_agent_itself_fails_at_is_125,
    variables_come_from_files_and_options,
    an_image_says_what_the_command_line_does_not,
    a_reader_that_has_seen_enough_ends_the_command,
    signals_are_passed_on,
    a_trace_says_where_the_time_of_the_start_went,
);

/// `agent run` with these words behind it.
fn agent<'a>(env: &'a TestEnvironment, words: &[&str]) -> Agent<'a> {
    env.agent(["run"].iter().chain(words))
}

fn run(env: &TestEnvironment, words: &[&str]) -> Finished {
    agent(env, words).run()
}

fn a_container_ends_as_its_command_does(env: &TestEnvironment) {
    let code = |words: &[&str]| run(env, words).code();
    assert_eq!(code(&["host", "true"]), 0);
    assert_eq!(code(&["host", "sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["host", "sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(code(&["host", "sh", "-c", "kill -TERM $$"]), 143);
    let missing = run(env, &["host", "no-such-program"]).expect(127);
    assert_eq!(
        missing.errors(),
        "error: failed to start the container: there is no `no-such-program` in the image
"
    );
    let _ = run(env, &["host", "/etc/passwd"])
        .expect(126)
        .says("cannot execute `/etc/passwd`");
}

fn what_the_agent_itself_fails_at_is_125(env: &TestEnvironment) {
    let told = |words: &[&str]| {
        let errors = run(env, words).expect(125).errors();
        errors.replace(&*env.project().to_string_lossy(), "HERE")
    };
    insta::assert_snapshot!(told(&["-v", "cache:/c", "host", "true"]), @r#"error: --volume "cache:/c": there are no volumes with names; a directory beside you is ./cache"#);
    insta::assert_snapshot!(told(&["-u", "nobody-here", "host", "true"]), @"error: failed to start the container: there is no user `nobody-here` in the image");
    insta::assert_snapshot!(told(&["-w", "/etc/passwd", "host", "true"]), @"error: failed to start the container: the working directory /etc/passwd cannot be entered: Not a directory (os error 20)");
    insta::assert_snapshot!(told(&["tar:gone.tar", "true"]), @"error: failed to load tar:HERE/gone.tar: failed to read HERE/gone.tar: No such file or directory (os error 2)");
    insta::assert_snapshot!(told(&["-v", "./gone:/x", "host", "true"]), @"error: failed to mount the volume HERE/gone: No such file or directory (os error 2)");
    assert!(told(&[&images::plain()]).contains("neither an entrypoint nor a command"));
    assert!(told(&["--privileged", "host", "true"]).contains("unexpected argument '--privileged'"));
}

fn streams_are_apart_and_exact(env: &TestEnvironment) {
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| n.wrapping_mul(167).to_le_bytes()[1])
        .collect();
    let done = agent(env, &["-i", "host", "sh", "-c", "cat; echo apart >&2"])
        .stdin(bytes.clone())
        .run()
        .expect(0);
    assert!(
        done.stdout() == bytes,
        "{} bytes came back",
        done.stdout().len()
    );
    assert_eq!(done.errors(), "apart\n");
    // Without -i there is nothing to read, whatever the agent could read.
    let done = agent(env, &["host", "cat"]).stdin("secret").run().expect(0);
    assert_eq!(done.output(), "");
}

fn a_volume_shows_and_keeps_what_is_written_to_it(env: &TestEnvironment) {
    env.write("shared/in", "from outside\n");
    env.write("one-file", "a file\n");
    let shared = env.root().join("shared");
    let file = env.root().join("one-file");
    let volumes = [
        format!("{}:/deep/er/shared", shared.display()),
        format!("{}:/deep/read:ro", shared.display()),
        format!("{}:/etc/one:ro", file.display()),
    ];
    let script = "cat /deep/er/shared/in /etc/one; echo kept > /deep/er/shared/out; \
        touch /deep/read/x 2>/dev/null || echo read only; echo x 2>/dev/null > /etc/one || echo so is the file";
    let [a, b, c] = volumes.each_ref().map(String::as_str);
    let image = images::plain();
    let done = run(
        env,
        &["-v", a, "-v", b, "-v", c, &image, "sh", "-c", script],
    )
    .expect(0);
    assert_eq!(
        done.output(),
        "from outside\na file\nread only\nso is the file\n"
    );
    assert_eq!(
        fs::read_to_string(shared.join("out")).expect("read what was kept"),
        "kept\n"
    );
    assert_eq!(env.owner("shared/out"), env.caller());
    // A link is followed when the container starts, as it is for any program the user runs.
    symlink("shared", env.root().join("link")).expect("link the directory");
    let link = format!("{}:/x", env.root().join("link").display());
    assert_eq!(
        run(env, &["-v", &link, &image, "cat", "/x/in"]).output(),
        "from outside\n"
    );
}

fn a_root_that_is_read_only_takes_nothing(env: &TestEnvironment) {
    let script = "touch /x /etc/x /run/x 2>/dev/null || echo refused; touch /scratch/x /dev/shm/x && pwd; \
        df -k /scratch | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
    let words = [
        "--read-only",
        "--tmpfs",
        "/scratch:size=1m",
        "-w",
        "/made/for/it",
    ];
    let image = images::plain();
    let done = run(env, &[&words[..], &[&image, "sh", "-c", script]].concat()).expect(0);
    assert_eq!(done.output(), "refused\n/made/for/it\n1024\n");
}

fn variables_come_from_files_and_options(env: &TestEnvironment) {
    env.write(
        "project/vars",
        "# a comment\nA=file\nB=two words\nGIVEN\nNOT_GIVEN\n",
    );
    let words = [
        "--env-file",
        "vars",
        "-e",
        "A=option",
        "-e",
        "HOME=/h",
        "--hostname",
        "db-1",
    ];
    let script = "echo $A,$B,$GIVEN,${NOT_GIVEN-unset},$HOME; hostname";
    let done = agent(env, &[&words[..], &["host", "sh", "-c", script]].concat())
        .variable("GIVEN", "outer")
        .run()
        .expect(0);
    assert_eq!(done.output(), "option,two words,outer,unset,/h\ndb-1\n");
}

fn an_image_says_what_the_command_line_does_not(env: &TestEnvironment) {
    let image = images::busybox();
    let output = |words: &[&str]| run(env, words).expect(0).output();
    assert_eq!(
        output(&[&image]),
        "entrypoint of umoci as app in /srv/work\n"
    );
    assert_eq!(output(&[&image, "id -u; pwd"]), "1000\n/srv/work\n");
    let words = [
        "-u",
        "0:0",
        "-w",
        "/tmp",
        "--entrypoint",
        "sh",
        &image,
        "-c",
        "id -u; pwd; echo $GREETING",
    ];
    assert_eq!(output(&words), "0\n/tmp\ntwo words\n");
}

fn a_reader_that_has_seen_enough_ends_the_command(env: &TestEnvironment) {
    let mut running = agent(env, &["host", "yes"]).spawn();
    running.wait_for("y\n");
    running.close_output();
    // SIGPIPE, as without a container in between.
    let _ = running.finish().expect(141);
}

fn a_trace_says_where_the_time_of_the_start_went(env: &TestEnvironment) {
    let done = run(
        env,
        &["--trace", "--network", "none", "host", "echo", "hello"],
    )
    .expect(0);
    assert_eq!(done.output(), "hello\n");
    let text = done.errors();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"where the time of the start went:"));
    let named: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| Some(line.strip_suffix(" ms")?.trim().rsplit_once(' ')?.0.trim()))
        .collect();
    insta::assert_snapshot!(named.join("\n"), @r"
    start the zygote
    open the store, claim the name
    get the image, make the network
    mount volumes, make streams
    reach the zygote
    clone into new namespaces
    read the specification, host name, loopback
    mount the overlay
    make /dev
    mount /proc and /sys
    mask and protect parts of them
    mount what is shared
    write files
    pivot into the root
    fork the command
    find user, directory and streams
    drop privileges
    filter system calls, execute
    tell the agent
    in all
    ");
}

/// With bash: dash loses a signal that comes while it starts a program, since both share their memory then (vfork(2)).
fn signals_are_passed_on(env: &TestEnvironment) {
    let script = "trap 'echo usr1; exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let mut running = agent(env, &["host", "bash", "-c", script]).spawn();
    running.wait_for("ready");
    running.signal(rustix::process::Signal::USR1);
    let _ = running.finish().expect(5).says("usr1");
    let mut running = agent(env, &["host", "bash", "-c", "echo ready; exec sleep 1000"]).spawn();
    running.wait_for("ready");
    running.interrupt();
    let _ = running.finish().expect(130);
    // Whoever asks three times is not asking any more.
    let script = "trap 'echo no' INT TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = agent(env, &["host", "bash", "-c", script]).spawn();
    running.wait_for("ready");
    for heard in ["no\n", "no\nno\n"] {
        running.interrupt();
        running.wait_for(heard);
    }
    running.interrupt();
    let _ = running.finish().expect(137);
}
