//! Attacks that change a directory while something is mounted in it.

use std::fs;

use harness::{Finished, TestEnvironment, for_everyone, images};

use super::attack::{breached, program};

for_everyone!(a_mount_lands_in_its_root_whatever_is_swapped_meanwhile);

/// Starts of a container under attack: the twin needs a few of them.
const STARTS: usize = 60;

/// CVE-2021-30465, CVE-2025-31133, CVE-2025-52565: one container swaps a directory of a volume and a link to a directory of
/// the machine, over and over, while others start that have the volume and a mount in this directory.
fn a_mount_lands_in_its_root_whatever_is_swapped_meanwhile(env: &TestEnvironment) {
    for place in ["volume/directory/made", "elsewhere/made", "source"] {
        env.write(format!("{place}/file"), "");
    }
    env.copy_program(program(), "volume/attack");
    let path = |name: &str| env.root().join(name).display().to_string();
    let link = env.root().join("volume/link");
    std::os::unix::fs::symlink(path("elsewhere"), &link).expect("make a link");
    env.own(&link);
    let image = images::plain();
    let volume = format!("{}:/volume", path("volume"));
    let swap = [
        "/volume/attack",
        "swap",
        "/volume/directory",
        "/volume/link",
    ];
    let attacker = ["run", "-d", "--name", "attacker", "-v", &volume, &image];
    let _ = env.agent([&attacker[..], &swap].concat()).run().expect(0);
    let mount = format!("{}:/volume/directory/made", path("source"));
    // Its names may have been swapped again, the mount stays where it was made.
    let look = "grep -q '/made ' /proc/self/mountinfo && echo inside || echo breached";
    let words = [
        "run", "--rm", "-v", &volume, "-v", &mount, &image, "sh", "-c", look,
    ];
    let starts = || (0..STARTS).map(|_| env.agent(words).run());
    let (mut inside, mut refused) = (0, 0);
    for done in starts() {
        assert!(!breached(&done), "{done}");
        match done.code() {
            0 => inside += usize::from(done.output() == "inside\n"),
            _ => {
                refused += 1;
                let _ =
                    done.says("the image's /volume/directory/made is not usable as a directory");
            }
        }
    }
    // Both were met, and nothing else.
    assert!(inside > 0 && refused > 0, "{inside} {refused}");
    assert_eq!(inside + refused, STARTS);
    let weakened = || env.agent(words).weakened(&["OpenedTargets"]).run();
    let hit = (0..5 * STARTS).map(|_| weakened()).find(breached);
    let _ = env.agent(["rm", "-f", "attacker"]).run().expect(0);
    let _: Finished = hit.expect("without the defence the mount lands elsewhere");
    for place in ["elsewhere/made", "volume/directory/made"] {
        let files = fs::read_dir(env.root().join(place)).expect("list a directory");
        assert_eq!(files.count(), 1, "{place}");
    }
}
