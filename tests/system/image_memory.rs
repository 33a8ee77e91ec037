//! What is done with an image takes memory by what is at hand of it, not by what there is.

use std::fs;
use std::process::Command;

use harness::{TestEnvironment, for_one_user};

use crate::support::{must, peak_of};

for_one_user!(a_large_image_takes_little_memory);

/// Of all processes of a command together, KiB.
const MOST: u64 = 150 << 10;

fn a_large_image_takes_little_memory(env: &TestEnvironment) {
    // One file of 256 MiB that no compressor makes small in memory, and 20,000 small ones.
    let script = "mkdir tree && for d in $(seq 200); do mkdir tree/$d; for f in $(seq 100); do echo $f >tree/$d/$f; done; done\n\
                  head -c 268435456 /dev/urandom >tree/large && tar -C tree -cf large.tar . && rm -r tree";
    must(
        Command::new("bash")
            .args(["-ec", script])
            .current_dir(env.project()),
    );
    let saved = env.root().join("saved.tar").display().to_string();
    let mut peaks = Vec::new();
    for words in [
        &["pull", "tar:large.tar"][..],
        &["image", "verify", "tar:large.tar"],
        &["image", "tag", "tar:large.tar", "large:1"],
        &["image", "save", "-o", &saved, "large:1"],
        &["image", "prune", "--all"],
        &["image", "load", "-i", &saved],
        &["image", "rm", "large:1"],
    ] {
        let (done, peak) = peak_of(env.agent(words).spawn());
        let _ = done.expect(0);
        peaks.push((words.join(" "), peak));
    }
    let _ = fs::remove_file(saved);
    assert!(
        peaks.iter().all(|(_, peak)| *peak < MOST),
        "KiB: {peaks:#?}"
    );
    // It has looked.
    assert!(peaks[0].1 > 4 << 10, "KiB: {peaks:#?}");
}
