//! Images from a registry: Debian's docker-registry, filled with skopeo.

use harness::{
    Cut, FaultServer, PASSWORD, Registry, ServedImage, TestEnvironment, USER, for_everyone,
    for_one_user, for_root, images,
};

use crate::support::{output_of, run_script, single_step};

for_everyone!(
    an_image_is_pulled_from_a_registry,
    an_image_is_pulled_by_itself,
);

for_one_user!(
    a_registry_that_asks_for_a_password_gets_the_one_in_config_json,
    a_mirror_stands_in_for_docker_hub,
    an_image_may_be_named_by_digest,
    a_pulled_image_runs_when_the_registry_is_gone,
    a_pull_at_a_terminal_shows_its_layers_and_leaves_the_digest,
    a_pull_at_a_terminal_shows_how_far_it_is,
    a_blocked_registry_is_not_asked,
);

for_root!(
    a_registry_of_a_private_authority_is_refused_until_that_is_named,
    a_registry_without_tls_is_refused_by_any_name_but_loopback,
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

fn an_image_is_pulled_by_itself(env: &TestEnvironment) {
    let registry = Registry::start();
    let reference = registry.push(&images::busybox(), "team/busybox");
    let pull = |image: &str| env.agent(["pull", image]).run();
    let first = pull(&reference).expect(0);
    let told = first.errors();
    assert!(told.starts_with(&format!("pulling {reference}, ")) && told.ends_with(" MiB\n"));
    let digest = first.output();
    assert!(
        digest.starts_with("sha256:") && digest.len() == 72,
        "{digest}"
    );
    // All of it is here; its source is asked all the same.
    let second = pull(&reference).expect(0);
    assert_eq!(
        (second.output(), second.errors()),
        (digest.clone(), String::new())
    );
    let json = env.agent(["pull", "--format", "json", &reference]).run();
    let json: serde_json::Value = serde_json::from_str(&json.expect(0).output()).expect("JSON");
    assert_eq!(json["digest"], digest.trim());
    assert_eq!(json["bytes"], 0);
    let _ = pull(&format!("{}/none:1", registry.address()))
        .expect(1)
        .says("none");
    let _ = pull("no image")
        .expect(2)
        .says("`no image` is not an image");
    drop(registry);
    // What is here counts, with a warning.
    let third = pull(&reference).expect(0).says("warning: ");
    assert_eq!(third.output(), digest);
    let _ = env
        .agent(["run", "--entrypoint", "echo", &reference, "it runs"])
        .run()
        .expect(0)
        .says("it runs");
    let _ = pull(&reference.replace("busybox", "other")).expect(69);
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

fn a_pull_at_a_terminal_shows_its_layers_and_leaves_the_digest(env: &TestEnvironment) {
    let registry = Registry::start();
    let tree = format!("oci:{}", images::path("tree:latest").display());
    let reference = registry.push(&tree, "shown");
    let done = env
        .agent(["pull", &reference])
        .on_terminal()
        .run()
        .expect(0);
    // A line a layer while it runs.
    assert!(done.output().contains(" unpacked, "), "{done}");
    let screen = done.screen();
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    assert!(
        lines.len() == 1 && lines[0].starts_with("sha256:"),
        "{screen}"
    );
    let quiet = env.agent(["pull", "-q", &reference]).on_terminal().run();
    assert_eq!(quiet.expect(0).screen().trim_end(), lines[0]);
}

fn a_pull_at_a_terminal_shows_how_far_it_is(env: &TestEnvironment) {
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let server = FaultServer::start(move |request| {
        let answer = image.answer(request);
        match image.is_layer(request) {
            true => answer.cut(Cut::Stall(image.layer().len() / 2)),
            false => answer,
        }
    });
    let reference = format!("{}/some/image:tag", server.address());
    let mut running = env.agent(["pull", &reference]).on_terminal().spawn();
    // Bytes of how many, how fast, and how long it will take.
    let screen = running.wait_for_last_line(|line| {
        line.contains("[===")
            && line.contains("[SIZE] / [SIZE]")
            && line.contains("[SIZE]/s")
            && line.trim_end().ends_with("[TIME]")
    });
    assert_eq!(screen.trim_end().lines().count(), 1, "{screen}");
    running.press_ctrl_c();
    let _ = running.finish().expect(130);
    // Who runs something sweeps.
    let _ = env.agent(["run", &images::plain(), "true"]).run().expect(0);
}

fn a_blocked_registry_is_not_asked(env: &TestEnvironment) {
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let server = FaultServer::start(move |request| image.answer(request));
    let reference = format!("{}/some/image:tag", server.address());
    let config = format!(
        "registries: {{ blocked: [\"{}/some\"] }}\n",
        server.address()
    );
    env.write("config.yml", config);
    let _ = env
        .agent(["pull", &reference])
        .run()
        .expect(1)
        .says(&format!("`{reference}` is blocked on this machine, by `"));
    assert_eq!(server.requests(), []);
    env.write("config.yml", "registries: { blocked: [docker.io] }\n");
    let _ = env.agent(["pull", &reference]).run().expect(0);
}

/// What makes names of this machine, for the agent alone.
fn hosts(env: &TestEnvironment, names: &str) -> String {
    env.write("hosts", format!("127.0.0.1 localhost {names}\n"));
    format!("mount --bind {}/hosts /etc/hosts", env.root().display())
}

fn a_registry_of_a_private_authority_is_refused_until_that_is_named(env: &TestEnvironment) {
    let registry = Registry::start_with_tls("registry.test");
    let _ = registry.push(&images::busybox(), "private");
    env.write("authority.pem", registry.authority());
    let hosts = hosts(env, "registry.test other.test");
    let pull = |host: &str| {
        let reference = format!("{host}:{}/private", registry.port());
        env.pipeline(&single_step(&reference, SCRIPT));
        env.agent(["run-local"]).after(&hosts)
    };
    let trusting =
        |host: &str| pull(host).variable("SSL_CERT_FILE", env.root().join("authority.pem"));

    let _ = pull("registry.test")
        .run()
        .expect(69)
        .says("its certificate is of an authority that this machine does not trust")
        .says("SSL_CERT_FILE")
        .says("registry.test:")
        .does_not_say("error sending request")
        .does_not_say("umoci");
    let _ = trusting("registry.test").run().expect(0).says("umoci");
    let _ = trusting("other.test")
        .run()
        .expect(69)
        .says("certificate not valid for name \"other.test\"")
        .does_not_say("umoci");
    let _ = pull("registry.test")
        .variable("SSL_CERT_FILE", "/nowhere.pem")
        .run()
        .expect(70)
        .says("failed to read SSL_CERT_FILE /nowhere.pem: No such file or directory");
}

fn a_registry_without_tls_is_refused_by_any_name_but_loopback(env: &TestEnvironment) {
    let registry = Registry::start();
    let _ = registry.push(&images::busybox(), "open");
    let hosts = hosts(env, "registry.test");
    let reference = format!("registry.test:{}/open", registry.port());
    env.pipeline(&single_step(&reference, SCRIPT));
    let _ = env
        .agent(["run-local"])
        .after(&hosts)
        .run()
        .expect(69)
        .says("it does not speak TLS")
        .says("registries.insecure")
        .does_not_say("umoci");
    env.write("config.yml", "registries: { insecure: [registry.test] }\n");
    let done = env.agent(["run-local"]).after(&hosts).run();
    let _ = done.expect(0).says("umoci");
}
