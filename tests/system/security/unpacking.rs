//! Layers that mean harm when they are unpacked. What single archives can do is in the runtime's own tests, `layer::unpack`.

use harness::{TestEnvironment, for_everyone};

use super::Attack;
use super::attack::{Victim, image_with};

for_everyone!(
    a_layer_is_unpacked_below_itself_alone,
    the_modes_of_others_directories_are_not_changed,
);

/// Twice: paths are resolved with the layer as their root, and the worker has given all others up.
fn a_layer_is_unpacked_below_itself_alone(env: &TestEnvironment) {
    let victim = Victim::new(env);
    let link = format!("ln -s {} escape", victim.path());
    let image = image_with(
        env,
        "escape",
        &[&link, "mkdir escape; echo x > escape/written"],
    );
    let attack = Attack::by("true").in_image(image);
    let hurt = |_: &harness::Finished| victim.is_hurt();
    attack.is_stopped_without_if(env, &["UnpackInRoot"], hurt);
    attack.is_stopped_without_if(env, &["WorkerSandbox"], hurt);
    attack.is_stopped_by_if(env, &["UnpackInRoot", "WorkerSandbox"], hurt);
}

/// CVE-2026-33056, RUSTSEC-2026-0113: a directory behind a link of its name.
fn the_modes_of_others_directories_are_not_changed(env: &TestEnvironment) {
    use std::os::unix::fs::PermissionsExt as _;
    let victim = Victim::new(env);
    let link = format!("ln -s {} escape", victim.path());
    let image = image_with(env, "modes", &[&link, "mkdir -m 700 escape"]);
    let done = Attack::by("stat -c %F:%a /escape").in_image(image).run(env);
    let _ = done.expect(0).says("directory:700");
    let mode = std::fs::metadata(victim.path().to_string()).expect("look at the victim");
    assert_eq!(mode.permissions().mode() & 0o777, 0o777);
}
