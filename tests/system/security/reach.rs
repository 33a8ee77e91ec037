//! What a step reaches of the machine, of the agent and of its neighbours.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use harness::{TestEnvironment, for_everyone, for_one_user};

use super::Attack;

for_everyone!(abstract_sockets_of_the_machine_are_out_of_reach);
for_one_user!(
    what_a_step_makes_of_its_exchange_files_hurts_nobody,
    clean_up_follows_no_link,
    secrets_are_in_nobodys_command_line,
);

/// CVE-2020-15257. On the machine's network they are in the same namespace.
fn abstract_sockets_of_the_machine_are_out_of_reach(env: &TestEnvironment) {
    let name = format!("{}-socket", env.root().display());
    let address = SocketAddr::from_abstract_name(&name).expect("name a socket");
    let _listening = UnixListener::bind_addr(&address).expect("listen");
    env.write("config.yml", "network: { host: true }\n");
    let script = format!("/workspace/attack abstract {name}");
    let on_machine = Attack::by(script.clone()).with(&["--network", "host"]);
    on_machine.is_stopped_by(env, &["LandlockDomain"]);
    let private = Attack::by(script.clone());
    private.is_stopped_without(env, &["LandlockDomain"]);
    let alone = Attack::by(script).with(&["--network", "none"]);
    alone.is_stopped_without(env, &["LandlockDomain"]);
}

fn what_a_step_makes_of_its_exchange_files_hurts_nobody(env: &TestEnvironment) {
    for (script, code, said) in [
        (
            "rm $SLIPWAY_OUTPUT $SLIPWAY_ENV $SLIPWAY_MASK; mkfifo $SLIPWAY_OUTPUT; ln -s /dev/zero $SLIPWAY_ENV",
            0,
            "",
        ),
        (
            "dd if=/dev/zero of=/dev/null count=0; dd if=/dev/null bs=1 seek=1000000000000 of=$SLIPWAY_OUTPUT",
            1,
            "it has more than 1048576 bytes",
        ),
        ("chmod 0 $SLIPWAY_OUTPUT; chown 1:1 $SLIPWAY_ENV", 0, ""),
        ("mv $SLIPWAY_OUTPUT /tmp/x; echo a=b > /tmp/x", 0, ""),
    ] {
        let _ = Attack::by(script).run(env).expect(code).says(said);
    }
}

/// CVE-2024-23652: what a step has left is removed, and nothing that its links point to.
fn clean_up_follows_no_link(env: &TestEnvironment) {
    env.write("precious/file", "kept\n");
    let precious = env.root().join("precious");
    let script = format!(
        "ln -s {0} /workspace/link; mkdir /workspace/d; ln -s {0}/file /workspace/d/f; mkdir /workspace/closed; touch /workspace/closed/x; chmod 0 /workspace/closed",
        precious.display()
    );
    let _ = Attack::by(script).run(env).expect(0);
    assert_eq!(env.read("precious/file"), "kept\n");
    env.assert_nothing_left();
}

/// Everybody on the machine can read command lines.
fn secrets_are_in_nobodys_command_line(env: &TestEnvironment) {
    const SECRET: &str = "token-71c5e0f2";
    env.write("secrets.env", format!("TOKEN={SECRET}\n"));
    let file = env.root().join("secrets.env");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, closed).expect("keep the secret");
    env.pipeline(
        "image: host\nsteps: [{ name: step, secrets: [TOKEN], run: \"echo ${#TOKEN} ready; until test -e go; do sleep 0.05; done\" }]\n",
    );
    let file = file.display().to_string();
    let agent = env.agent(["run-local", "--in-place", "--secret-file", &file]);
    let mut running = agent.spawn();
    running.wait_for("14 ready");
    for process in std::fs::read_dir("/proc").expect("list the processes") {
        let path = process.expect("a process").path().join("cmdline");
        let line = std::fs::read(path).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(SECRET), "a secret is in `{line}`");
    }
    env.write("project/go", "");
    let _ = running.finish().expect(0);
}
