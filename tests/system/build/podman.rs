//! What podman makes of a built image.

use std::path::PathBuf;
use std::process::Command;

use harness::{TestEnvironment, for_everyone};

use super::{BASE, base, build, config, write};
use crate::door_containers::agent;
use crate::support::must;

for_everyone!(a_built_image_is_the_same_to_podman);

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
