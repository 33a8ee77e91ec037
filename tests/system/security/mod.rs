//! Attacks from inside a container, mostly as root in it, and from inside an image.
//!
//! Each test shows that an attack fails, and has a twin in the same breath: the agent without the defence in question
//! (`Defence` of `runtime::security`), on which the same attack succeeds. `docs/security.md` names the test of each
//! promise.

mod attack;
mod calls;
mod descriptors;
mod images;
mod kernel_files;
mod networks;
mod privileges;
mod races;
mod reach;
mod unpacking;

use std::fs;
use std::path::Path;

use attack::Attack;
use harness::{binary, weakened_binary};

/// What switches defences off is in the tests' own build alone.
#[test]
fn the_released_program_has_no_switch_for_its_defences() {
    let holds = |path| {
        let program = std::fs::read(path).expect("read the agent");
        let name = b"SLIPWAY_WEAKEN";
        program.windows(name.len()).any(|part| part == name)
    };
    let Ok(agent) = binary() else {
        panic!("the agent is not built");
    };
    assert!(!holds(agent), "the released agent can be weakened");
    assert!(holds(weakened_binary()), "the weakened agent cannot be");
}

/// A table is worth what its last columns say.
#[test]
fn every_test_that_the_page_names_exists_and_no_cell_is_empty() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for room in [
        "tests/system",
        "runtime/src",
        "agent/src",
        "protocol/src",
        "repository",
        "server",
    ] {
        read_sources(&project.join(room), &mut sources);
    }
    let page = fs::read_to_string(project.join("docs/security.md")).expect("read the page");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut named = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(!cells.iter().any(|cell| cell.is_empty()), "{row}");
        let quoted = cells[2..]
            .iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2));
        for test in quoted.filter(|name| name.matches('_').count() > 2) {
            named += 1;
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
        }
    }
    assert!(named > 40, "only {named} tests are named");
}

fn read_sources(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).expect("list the sources") {
        let path = entry.expect("a source").path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("read a source"));
        }
    }
}
