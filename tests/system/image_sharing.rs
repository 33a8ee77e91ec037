//! Several agents and several users, and the store of one of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use harness::{
    FaultServer, Registry, ServedImage, TestEnvironment, for_everyone, for_root, images,
};

use crate::door_containers::agent;

for_everyone!(
    ten_agents_that_pull_one_image_download_it_once,
    layers_of_another_id_map_are_named,
);

for_root!(
    another_users_agent_does_not_touch_a_store,
    users_have_stores_of_their_own,
);

fn ten_agents_that_pull_one_image_download_it_once(env: &TestEnvironment) {
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let layer = image.clone();
    let server = FaultServer::start(move |request| image.answer(request));
    let reference = format!("{}/some/image:tag", server.address());
    let all: Vec<_> = (0..10)
        .map(|_| env.agent(["pull", &reference]).spawn())
        .collect();
    for running in all {
        let _ = running.finish().expect(0).does_not_say("warning");
    }
    let requests = server.requests();
    let downloads = requests
        .iter()
        .filter(|request| layer.is_layer(request))
        .count();
    assert_eq!(downloads, 1, "{requests:#?}");
    let _ = agent(env, &["image", "verify"]).expect(0).says("ok: ");
    let run = ["run", "--entrypoint", "", &reference, "busybox", "true"];
    let _ = agent(env, &run).expect(0);
}

/// After a change of `/etc/subuid` the ids of the old layers are nobody's.
fn layers_of_another_id_map_are_named(env: &TestEnvironment) {
    let _ = agent(env, &["df"]).expect(0).does_not_say("id map");
    let layer = format!("data/rootfs/7x1/layers/{}/file", "0".repeat(64));
    env.write(&layer, "text");
    env.write("data/rootfs/8x1/.keep", "");
    let done = agent(env, &["df"]).expect(0);
    let _ = done
        .says("other id maps")
        .says("rootfs/7x1 has layers of another id map, which no agent uses: root can remove it")
        .does_not_say("8x1");
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    assert!(env.root().join(&layer).exists());
}

/// The agent as another user, with this environment's data directory or its own.
fn other(env: &TestEnvironment, data: &std::path::Path, words: &[&str]) -> Output {
    let user = "slipway-solo";
    Command::new("setpriv")
        .args(["--reuid", user, "--regid", user, "--clear-groups"])
        .arg(env.root().join("agent"))
        .args(words)
        .env("SLIPWAY_DATA", data)
        .env("SLIPWAY_CONFIG", "/dev/null")
        .env("HOME", data)
        .current_dir("/")
        .output()
        .expect("run the agent as another user")
}

/// Though somebody has opened the way to it.
fn another_users_agent_does_not_touch_a_store(env: &TestEnvironment) {
    let image = images::busybox();
    let _ = agent(env, &["pull", &image]).expect(0);
    let before = agent(env, &["images", "--format", "json"])
        .expect(0)
        .output();
    for path in [
        env.root().to_owned(),
        env.data(),
        env.data().join("images"),
        env.data().join("rootfs"),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("open the way");
    }
    for words in [
        &["pull", &image][..],
        &["images"],
        &["image", "prune", "--all"],
        &["image", "rm", &image],
        &["run", &image, "true"],
    ] {
        let done = other(env, &env.data(), words);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success(), "{words:?}: {done:?}");
        assert!(
            said.starts_with("error: ") && said.contains("help: "),
            "{words:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{words:?}: {said}");
    }
    let after = agent(env, &["images", "--format", "json"])
        .expect(0)
        .output();
    assert_eq!(after, before);
    let _ = agent(env, &["image", "verify"]).expect(0).says("ok: ");
}

fn users_have_stores_of_their_own(env: &TestEnvironment) {
    let registry = Registry::start();
    let image = registry.push(&images::busybox(), "team/app");
    let theirs = tempfile::tempdir().expect("make a directory");
    let owner = Command::new("chown")
        .arg("slipway-solo")
        .arg(theirs.path())
        .status();
    assert!(owner.is_ok_and(|status| status.success()));
    // Both at once, several times.
    for _ in 0..3 {
        let ours = env.agent(["pull", &image]).spawn();
        let done = other(env, theirs.path(), &["pull", &image]);
        assert!(done.status.success(), "{done:?}");
        let _ = ours.finish().expect(0);
        let pruned = other(env, theirs.path(), &["image", "prune", "--all"]);
        assert!(pruned.status.success(), "{pruned:?}");
        let _ = agent(env, &["image", "verify"]).expect(0).says("ok: ");
    }
}
