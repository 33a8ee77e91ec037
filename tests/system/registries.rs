//! Images from a registry: Debian's docker-registry, filled with skopeo.

use harness::{PASSWORD, Registry, TestEnvironment, USER, for_everyone, for_one_user, images};

use crate::support::{output_of, run_script};

for_everyone!(an_image_is_pulled_from_a_registry);

for_one_user!(
    a_registry_that_asks_for_a_password_gets_the_one_in_config_json,
    a_mirror_stands_in_for_docker_hub,
    an_image_may_be_named_by_digest,
    a_pulled_image_runs_when_the_registry_is_gone,
);

const SCRIPT: &str = "echo $WRITTEN_BY";

fn an_image_is_pulled_from_a_registry(env: &TestEnvironment) {
    let registry = Registry::start();
    let reference = registry.push(&images::busybox(), "team/busybox");
    assert_eq!(output_of(env, &reference, SCRIPT), "umoci\n");
    assert_eq!(
        output_of(env, &format!("docker://{reference}"), SCRIPT),
        "umoci\n"
    );
}

fn a_registry_that_asks_for_a_password_gets_the_one_in_config_json(env: &TestEnvironment) {
    let registry = Registry::start_with_authentication();
    let reference = registry.push(&images::busybox(), "private");
    let refused = run_script(env, &reference, SCRIPT, &[])
        .expect(1)
        .says(&registry.address());
    assert!(!refused.errors().contains("panicked"), "{refused}");

    env.write("home/.docker/config.json", registry.docker_config());
    let done = run_script(env, &reference, SCRIPT, &[])
        .expect(0)
        .says("umoci");
    let _ = done.does_not_say(PASSWORD).does_not_say(USER);

    env.write(
        "home/.docker/config.json",
        registry
            .docker_config()
            .replace("cm9ib3Q6c2VzYW1l", "cm9ib3Q6d3Jvbmc="),
    );
    std::fs::remove_dir_all(env.data()).expect("forget the image");
    let _ = run_script(env, &reference, SCRIPT, &[])
        .expect(1)
        .does_not_say("wrong\"");
}

fn a_mirror_stands_in_for_docker_hub(env: &TestEnvironment) {
    let registry = Registry::start();
    let _ = registry.push(&images::busybox(), "library/box");
    env.write(
        "config.yml",
        format!(
            "registries: {{ mirrors: {{ docker.io: [\"http://{}\"] }} }}\n",
            registry.address()
        ),
    );
    assert_eq!(output_of(env, "box", SCRIPT), "umoci\n");
}

fn an_image_may_be_named_by_digest(env: &TestEnvironment) {
    let registry = Registry::start();
    let reference = registry.push(&images::busybox(), "pinned");
    let done = run_script(env, &reference, SCRIPT, &["--json"]).expect(0);
    let ready = done
        .events()
        .into_iter()
        .find(|event| event["type"] == "image_ready");
    let digest = ready
        .and_then(|event| event["digest"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let name = reference.trim_end_matches(":latest");
    assert_eq!(
        output_of(env, &format!("{name}@{digest}"), SCRIPT),
        "umoci\n"
    );
}

fn a_pulled_image_runs_when_the_registry_is_gone(env: &TestEnvironment) {
    let registry = Registry::start();
    let reference = registry.push(&images::busybox(), "gone");
    let _ = run_script(env, &reference, SCRIPT, &[]).expect(0);
    drop(registry);
    let _ = run_script(env, &reference, SCRIPT, &[])
        .expect(0)
        .says("umoci")
        .says("warning");
}
