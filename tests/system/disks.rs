//! A disk that is full or cannot be written: named, and nobody else's work is lost by it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use harness::wait::{PATIENCE, until};
use harness::{TestEnvironment, for_root, images};
use rustix::process::Signal;

use crate::support::{clean, output_of, single_step};

for_root!(
    a_full_disk_is_named,
    a_full_disk_under_the_agents_own_output_is_named,
    a_read_only_file_system_is_named,
    a_server_whose_disk_is_full_is_not_ready_until_there_is_room,
);

fn a_full_disk_is_named(env: &TestEnvironment) {
    let data = env.data();
    let mount = |size: &str| {
        format!(
            "mkdir -p {0} && mount -t tmpfs -o size={size} tmpfs {0}",
            data.display()
        )
    };
    // Too small for the image's layer.
    env.pipeline(&single_step(&images::busybox(), "echo ran"));
    let done = clean(env.agent(["run-local"]).after(&mount("600k")).run());
    let _ = done
        .expect(70)
        .says("No space left")
        .does_not_say("\nran\n");
    // Large enough to start, too small for what the step writes to its log.
    env.pipeline(&single_step(
        "host",
        "head -c 20000000 /dev/zero | tr '\\0' x; echo ran",
    ));
    let done = clean(
        env.agent(["run-local", "--quiet"])
            .after(&mount("4m"))
            .run(),
    );
    let _ = done.expect(70).says("No space left");
    // What is too much for the workspace is the step's own to notice, and to mend.
    let script = "head -c 20000000 /dev/zero 2>/dev/null >big || { rm big; echo no room; exit 3; }";
    env.pipeline(&single_step("host", script));
    let done = clean(env.agent(["run-local"]).after(&mount("4m")).run());
    let _ = done.expect(1).says("\nno room\n").says("exit status 3");
    // The test's own mounts went with the agent; it works again.
    assert_eq!(output_of(env, "host", "echo fine"), "fine\n");
}

fn a_full_disk_under_the_agents_own_output_is_named(env: &TestEnvironment) {
    env.pipeline(&single_step("host", "echo ran; sleep 1000"));
    for options in [&[][..], &["--json"]] {
        // What `agent run-local > log` is on a disk that is full. (A reader that goes away is no fault: see `stopping`.)
        let done = clean(
            env.agent(["run-local"].iter().chain(options))
                .after("exec >/dev/full")
                .run(),
        );
        let _ = done
            .expect(70)
            .says("failed to write to standard output: No space left on device");
    }
}

fn a_read_only_file_system_is_named(env: &TestEnvironment) {
    env.pipeline(&single_step("host", "echo ran"));
    let data = env.data().display().to_string();
    let mount = format!("mkdir -p {data} && mount -t tmpfs -o ro tmpfs {data}");
    let _ = clean(env.agent(["run-local"]).after(&mount).run())
        .expect(70)
        .says(&data)
        .says("Read-only file system")
        .does_not_say("\nran\n");
    let doctor = env.agent(["doctor"]).after(&mount).run();
    let _ = clean(doctor).says(&data).says("SLIPWAY_DATA");
    // A working tree that cannot be written is no obstacle: what steps write is kept aside.
    let tree = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0}",
        env.project().display()
    );
    let done = env.agent(["run-local"]).after(&tree).run();
    let _ = clean(done).expect(0).says("\nran\n");
}

/// The status of an answer.
fn status(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1)?.parse().ok()
}

fn a_server_whose_disk_is_full_is_not_ready_until_there_is_room(env: &TestEnvironment) {
    let data = env.root().join("server");
    let data = data.to_str().expect("a path of text");
    let mount = format!("mkdir -p {data} && mount -t tmpfs -o size=4m tmpfs {data}");
    let arguments = ["server", "--listen", "127.0.0.1:0", "--data", data];
    let mut server = env.agent(arguments).after(&mount).spawn();
    let said = server.wait_for_complaint("the first administrator's token is in ");
    let mut lines = said.lines();
    let url = lines.find_map(|line| line.strip_prefix("listening on "));
    let url = url.expect("an address");
    let address = url.trim_start_matches("http://");
    // The mount is the server's own.
    let there = format!("/proc/{}/root{data}", server.id());
    let token = fs::read_to_string(format!("{there}/admin-token")).expect("a first token");
    let user = |name: &str| {
        let user = env.agent(["tokens", "create", name]);
        let user = user.variable("SLIPWAY_SERVER", url);
        user.variable("SLIPWAY_TOKEN", token.trim()).run()
    };
    let _ = user("fits").expect(0);
    assert_eq!(status(address, "/readyz"), Some(200));
    let fill = format!("{there}/fill");
    let mut file = fs::File::create(&fill).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
    // The database has room in its own files for some.
    let refused = (0..200).find_map(|_| {
        let done = user("does-not-fit");
        (done.code() != 0).then_some(done)
    });
    let _ = refused
        .expect("a disk that is full")
        .expect(69)
        .says("the database is not available");
    for _ in 0..3 {
        assert_eq!(status(address, "/readyz"), Some(503));
    }
    assert_eq!(status(address, "/metrics"), Some(200));
    drop(file);
    fs::remove_file(fill).expect("remove what fills the disk");
    let ready = until(PATIENCE, || {
        (status(address, "/readyz") == Some(200)).then_some(())
    });
    ready.expect("to be ready again");
    let _ = user("fits again").expect(0);
    server.signal(Signal::TERM);
    let _ = server.finish().expect(0);
}
