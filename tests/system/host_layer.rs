//! The layer around the machine's own programs: kept from run to run, and never older than the machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::{TestEnvironment, for_everyone, for_root};

use crate::support::run_script;

/// One of these tests changes the machine's `/etc`, and the others count on its staying as it is.
static ETC: Mutex<()> = Mutex::new(());

for_everyone!(the_machines_layer_is_made_once);
for_root!(a_change_of_the_machine_is_seen_by_the_next_run);

fn the_machines_layer_is_made_once(env: &TestEnvironment) {
    let _etc = etc();
    let _ = run_script(env, "host", "echo changed >/etc/slipway-test", &[]).expect(0);
    let first = layers(env);
    assert_eq!(first.len(), 1, "{first:?}");
    // What a step wrote there is gone, and nothing was made again.
    let _ = run_script(env, "host", "test ! -e /etc/slipway-test", &[]).expect(0);
    assert_eq!(layers(env), first);
}

fn a_change_of_the_machine_is_seen_by_the_next_run(env: &TestEnvironment) {
    let _etc = etc();
    let setting = Setting::new("one");
    let show = format!("cat {}", setting.path.display());
    let _ = run_script(env, "host", &show, &[]).expect(0).says("one");
    let before = layers(env);
    setting.write("two");
    let _ = run_script(env, "host", &show, &[]).expect(0).says("two");
    // Nobody uses the first one any more when the third run begins.
    let _ = run_script(env, "host", &show, &[]).expect(0).says("two");
    let after = layers(env);
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after, before);
}

fn etc() -> MutexGuard<'static, ()> {
    ETC.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept, with the inode of each.
fn layers(env: &TestEnvironment) -> Vec<(PathBuf, u64)> {
    let maps = fs::read_dir(env.data().join("rootfs")).expect("the run made its directories");
    let mut layers = Vec::new();
    for map in maps.map(|map| map.expect("it can be listed").path()) {
        for layer in fs::read_dir(map.join("host")).expect("the run made a layer") {
            let layer = layer.expect("it can be listed");
            let inode = layer.metadata().expect("it is there").ino();
            layers.push((layer.path(), inode));
        }
    }
    layers
}

/// A file of its own in the machine's `/etc`.
struct Setting {
    path: PathBuf,
}

impl Setting {
    fn new(text: &str) -> Self {
        let name = format!("slipway-test-{}", std::process::id());
        let setting = Self {
            path: Path::new("/etc").join(name),
        };
        setting.write(text);
        setting
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).expect("root writes to /etc");
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
