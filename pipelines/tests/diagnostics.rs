//! Every `fixtures/*.yml` beside the diagnostics it is answered with (`*.snap`, written by insta).

use std::{fs, path::Path};

use pipelines::{Overrides, Source, compile, render};

#[test]
fn every_fixture_is_answered_with_its_diagnostics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut fixtures = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        fixtures += 1;
        let source = Source::new(".pipeline.yml", fs::read(&path).unwrap());
        let compilation = compile(&source, &Overrides::default());
        let rendered = render::human(&source, &compilation.diagnostics, false);
        let end = if compilation.plan.is_some() {
            "a plan"
        } else {
            "no plan"
        };
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, format!("{rendered}=> {end}")));
    }
    assert!(fixtures > 20, "the fixtures are gone");
}
