//! `docs/oci.md` is worth what its tables say.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_page_names_exists() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(project.join("docs/oci.md")).expect("read the page");
    let sources: String = fs::read_dir(project.join("tests/system/oci"))
        .expect("list the tests")
        .map(|entry| fs::read_to_string(entry.expect("a test").path()).expect("read a test"))
        .collect();
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [case, holds, test] = cells[..] else {
            continue;
        };
        if !["yes", "partly"].contains(&holds) {
            continue;
        }
        let quoted: Vec<_> = test
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains('_'))
            .collect();
        assert!(!quoted.is_empty(), "no test stands for {case}");
        for name in quoted {
            assert!(
                sources.contains(&format!("fn {name}(")),
                "there is no test {name}"
            );
            named += 1;
        }
    }
    assert!(named > 45, "only {named} tests are named");
}
