//! Images of every transport and of everybody who writes images run, with exactly the tree that podman shows.

use std::collections::BTreeMap;
use std::fs;

use harness::{TestEnvironment, Who, for_everyone, for_one_user, images};

use crate::support::{output_of, run_local, run_script};

for_everyone!(
    images_of_every_writer_and_transport_run,
    an_image_of_many_layers_has_the_tree_that_podman_shows,
);

for_one_user!(
    a_root_file_system_may_be_packed_in_every_way,
    the_images_configuration_is_honoured,
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

fn an_image_of_many_layers_has_the_tree_that_podman_shows(env: &TestEnvironment) {
    let listing = fs::read_to_string(images::path("list-tree")).expect("read the listing's script");
    let reference = format!("oci:{}", images::path("tree:latest").display());
    // The image has no user, so the listing is root's.
    let ours = entries(&output_of(env, &reference, &listing), env.who());
    let podmans = fs::read_to_string(images::path("tree.podman")).expect("read podman's listing");
    let podmans = entries(&podmans, env.who());
    let different: Vec<String> = podmans
        .keys()
        .chain(ours.keys().filter(|path| !podmans.contains_key(*path)))
        .filter(|path| ours.get(*path) != podmans.get(*path))
        .map(|path| {
            format!(
                "{path}\n  podman: {:?}\n  ours:   {:?}",
                podmans.get(path),
                ours.get(path)
            )
        })
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(podmans.len() > 100, "podman's listing is short");
}

/// Lines of `list-tree` by path. With one id there is one owner, whatever the image says.
fn entries(listing: &str, who: Who) -> BTreeMap<String, Vec<String>> {
    listing
        .lines()
        .filter_map(|line| {
            let (path, rest) = line.split_once(" | ")?;
            let mut fields: Vec<String> = rest.split(" | ").map(str::to_owned).collect();
            if who == Who::Solo {
                fields.retain(|field| !is_owner(field));
            }
            Some((path.to_owned(), fields))
        })
        .collect()
}

fn is_owner(field: &str) -> bool {
    field
        .split_once(':')
        .is_some_and(|(uid, gid)| [uid, gid].iter().all(|id| id.parse::<u32>().is_ok()))
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
