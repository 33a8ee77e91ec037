use super::*;
use crate::{Overrides, Source, compile};

fn compiled(text: &str) -> (Source, Vec<crate::Diagnostic>) {
    let source = Source::new(".pipeline.yml", text);
    let diagnostics = compile(&source, &Overrides::default()).diagnostics;
    (source, diagnostics)
}

#[test]
fn a_machine_gets_lines_columns_and_related_places() {
    let (source, diagnostics) = compiled("image: host\nsteps: [{ run: x }]\n'é': 1\nimage: b");
    insta::assert_snapshot!(serde_json::to_string_pretty(&machine(&source, &diagnostics)).unwrap(), @r#"
    [
      {
        "code": "unknown-key",
        "severity": "error",
        "message": "a pipeline has no key `é`",
        "help": "the keys of a pipeline are `name`, `on`, `include`, `concurrency`, `image`, `env`, `shell`, `workdir`, `user`, `timeout`, `silence_timeout`, `retry`, `resources`, `network`, `jobs`, `steps`",
        "file": ".pipeline.yml",
        "start": {
          "line": 3,
          "column": 1
        },
        "end": {
          "line": 3,
          "column": 4
        }
      },
      {
        "code": "duplicate-key",
        "severity": "error",
        "message": "the key `image` is there twice",
        "file": ".pipeline.yml",
        "start": {
          "line": 4,
          "column": 1
        },
        "end": {
          "line": 4,
          "column": 6
        },
        "related": [
          {
            "message": "the first one is here",
            "file": ".pipeline.yml",
            "start": {
              "line": 1,
              "column": 1
            },
            "end": {
              "line": 1,
              "column": 6
            }
          }
        ]
      }
    ]
    "#);
}

#[test]
fn nothing_to_say_is_nothing() {
    let (source, diagnostics) = compiled("image: host\nsteps: [{ run: x }]");
    assert_eq!(human(&source, &diagnostics, true), "");
}

#[test]
fn escape_sequences_of_the_file_never_reach_the_terminal() {
    let (source, diagnostics) =
        compiled("image: host\nsteps: [{ run: x, \"\\e[31m\": y, 'a\u{202e}b': z }]\n\u{1b}[0m");
    assert!(!human(&source, &diagnostics, false).contains(['\u{1b}', '\u{202e}']));
    let (source, diagnostics) =
        compiled("image: host\nsteps: [{ run: x, \"\\e[31m\": y, 'a\u{202e}b': z }]\n");
    let plain = human(&source, &diagnostics, false);
    assert!(
        plain.contains("has no key") && !plain.contains(['\u{1b}', '\u{202e}']),
        "{plain}"
    );
    assert!(human(&source, &diagnostics, true).contains('\u{1b}'));
}

#[test]
fn places_in_very_long_lines_keep_their_column() {
    let text = format!(
        "image: host\nsteps: [{{ run: \"{}\", rum: y, run: \"{}\" }}]",
        "é".repeat(20_000),
        "z".repeat(20_000)
    );
    let (source, diagnostics) = compiled(&text);
    insta::assert_snapshot!(human(&source, &diagnostics, false), @r#"
    error[unknown-key]: a step has no key `rum`
     --> .pipeline.yml:2:20020
      |
     ::: 
    2 | ...éééééééééééééééééééééééééééééééééééééééééééééééééé", rum: y, run: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                                                         ^^^ did you mean `run`?

    error[duplicate-key]: the key `run` is there twice
     --> .pipeline.yml:2:20028
      |
     ::: 
    2 | ...éééééééééééééééééééééééééééééééééééééééééééééééééééé", rum: y, run: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...
      |                                                                   ^^^
      |
     ::: .pipeline.yml:2:11
      |
    2 | steps: [{ run: "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé...
      |           --- the first one is here
    "#);
}

#[test]
fn only_the_first_hundred_are_shown_to_a_person() {
    let (source, diagnostics) = compiled(&format!("image: host\nsteps:\n{}", "- x\n".repeat(150)));
    let rendered = human(&source, &diagnostics, false);
    assert_eq!(rendered.matches("error[").count(), 100);
    assert!(rendered.ends_with("\n\n.. and 50 more\n"));
    let (source, diagnostics) =
        compiled(&format!("image: host\nenv:\n{}", "  1: x\n".repeat(5_000)));
    assert!(human(&source, &diagnostics, false).ends_with(".. and at least 900 more\n"));
}

#[test]
fn a_name_with_escape_sequences_is_shown_without_them() {
    let source = Source::new("\u{1b}[31m\n.yml", "image: host");
    let diagnostics = compile(&source, &Overrides::default()).diagnostics;
    let rendered = human(&source, &diagnostics, false);
    assert!(
        !rendered.contains('\u{1b}') && rendered.contains(" --> "),
        "{rendered}"
    );
}
