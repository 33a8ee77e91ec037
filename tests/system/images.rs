//! Images of every transport and of everybody who writes images run.

use harness::{TestEnvironment, for_everyone, for_one_user, images};

use crate::door_containers::agent;
use crate::support::{output_of, run_local, run_script};

for_everyone!(images_of_every_writer_and_transport_run,);

for_one_user!(
    a_root_file_system_may_be_packed_in_every_way,
    the_images_configuration_is_honoured,
    a_user_that_the_image_has_not_is_named,
    a_step_without_a_command_runs_the_images_own,
    the_second_run_unpacks_nothing,
    an_image_on_the_command_line_replaces_the_pipelines,
);

fn images_of_every_writer_and_transport_run(env: &TestEnvironment) {
    for (writer, reference) in images::references() {
        let done = run_script(
            env,
            &reference,
            "busybox | head -n 1 | cut -d' ' -f1; ls /",
            &["--json"],
        );
        assert_eq!(done.code(), 0, "{writer}, {reference}: {done}");
        assert!(
            done.log("step").starts_with("BusyBox\n"),
            "{writer}, {reference}: {done}"
        );
    }
}

fn a_root_file_system_may_be_packed_in_every_way(env: &TestEnvironment) {
    for packing in [
        "busybox.tar",
        "busybox.tar.gz",
        "busybox.tar.xz",
        "busybox.tar.zst",
    ] {
        let reference = format!("tar:{}", images::path(packing).display());
        assert_eq!(
            output_of(env, &reference, "stat -c %a /tmp; id -u"),
            "1777\n0\n",
            "{packing}"
        );
    }
}

fn the_images_configuration_is_honoured(env: &TestEnvironment) {
    let script = "echo $WRITTEN_BY; echo $GREETING; id -un; id -gn; echo $HOME";
    for writer in ["umoci", "skopeo", "buildah"] {
        let reference = format!("oci:{}:latest", images::path(writer).display());
        let by = if writer == "skopeo" { "umoci" } else { writer };
        assert_eq!(
            output_of(env, &reference, script),
            format!("{by}\ntwo words\napp\napp\n/home/app\n"),
            "{writer}"
        );
    }
}

fn a_user_that_the_image_has_not_is_named(env: &TestEnvironment) {
    for (user, why) in [
        ("nobody-here", "there is no user `nobody-here` in the image"),
        (
            "1:nobody-here",
            "there is no group `nobody-here` in the image",
        ),
    ] {
        let done = agent(env, &["run", "--user", user, &images::plain(), "true"]);
        let _ = done.expect(125).says(why);
    }
}

fn a_step_without_a_command_runs_the_images_own(env: &TestEnvironment) {
    for writer in ["umoci", "buildah"] {
        let reference = format!("oci:{}:latest", images::path(writer).display());
        env.pipeline(&format!(
            "steps:\n  - name: step\n    image: \"{reference}\"\n"
        ));
        let log = run_local(env, &["--json"]).expect(0).log("step");
        assert!(
            log.starts_with(&format!("entrypoint of {writer} as app in ")),
            "{log}"
        );
    }
}

fn the_second_run_unpacks_nothing(env: &TestEnvironment) {
    let pulled = || {
        let done = run_script(env, &images::busybox(), "true", &["--json"]).expect(0);
        let ready = done
            .events()
            .into_iter()
            .find(|event| event["type"] == "image_ready");
        ready.and_then(|event| event["pulled_bytes"].as_u64())
    };
    assert!(pulled() > Some(0));
    assert_eq!(pulled(), Some(0));
}

fn an_image_on_the_command_line_replaces_the_pipelines(env: &TestEnvironment) {
    let done = run_script(
        env,
        "does-not.exist/at-all",
        "busybox | head -n 1",
        &["--image", &images::busybox()],
    );
    let _ = done.expect(0).says("BusyBox");
}
