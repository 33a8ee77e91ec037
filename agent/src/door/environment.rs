//! Variables as they are given on a command line: set, or taken from the agent's own environment.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

/// Largest file of variables that is read, bytes.
const LIMIT: u64 = 1 << 20;

/// Why variables cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// An option makes no sense.
    #[error("--env {text:?}: {problem}")]
    Option {
        /// As given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of a file makes no sense. It may hold a secret, so that it is not quoted.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The variables of files and then of options, the later ones stronger; `own` is the agent's environment.
pub(super) fn gather(
    files: &[PathBuf],
    options: &[String],
    own: impl Fn(&str) -> Option<String>,
) -> Result<IndexMap<String, String>, EnvironmentError> {
    let mut all = IndexMap::new();
    for path in files {
        let text = read(path).map_err(|source| EnvironmentError::Read {
            path: path.clone(),
            source,
        })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let found = variable(line, &own).map_err(|problem| EnvironmentError::Line {
                path: path.clone(),
                line: index + 1,
                problem,
            })?;
            all.extend(found);
        }
    }
    for text in options {
        let found = variable(text, &own).map_err(|problem| EnvironmentError::Option {
            text: text.split('=').next().unwrap_or_default().to_owned(),
            problem,
        })?;
        all.extend(found);
    }
    Ok(all)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(LIMIT + 1)
        .read_to_string(&mut text)?;
    if read as u64 > LIMIT {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    Ok(text)
}

/// `NAME=VALUE`, or `NAME` for the agent's own; nothing when that is not set.
fn variable(
    text: &str,
    own: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, String)>, &'static str> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, own(text)),
    };
    if name.is_empty() {
        return Err("a variable needs a name in front of `=`");
    }
    if name.contains(char::is_whitespace) {
        return Err("the name of a variable holds no spaces");
    }
    if text.contains('\0') {
        return Err("it contains a NUL character");
    }
    Ok(value.map(|value| (name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str) -> Option<String> {
        (name == "MINE").then(|| "own".to_owned())
    }

    fn given(files: &[&str], options: &[&str]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..)
            .zip(files)
            .map(|(number, text)| {
                let path = directory.path().join(number.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let options: Vec<_> = options.iter().map(|text| (*text).to_owned()).collect();
        let all = gather(&paths, &options, own).map_err(|error| {
            let path = format!("{}/", directory.path().display());
            error.to_string().replace(&path, "")
        })?;
        let lines: Vec<_> = all
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(lines.join(" "))
    }

    #[test]
    fn options_win_over_files_and_a_bare_name_is_the_agents_own() {
        let text = "# a comment\n\nA=1\n  B=two words # all of it\nMINE\nNOT_SET\n";
        assert_eq!(
            given(&[text], &["A=", "C=x=y", "MINE=other"]).unwrap(),
            "A= B=two words # all of it MINE=other C=x=y"
        );
        assert_eq!(given(&[], &["MINE", "NOT_SET"]).unwrap(), "MINE=own");
    }

    #[test]
    fn mistakes_have_a_place_and_no_value() {
        insta::assert_snapshot!(given(&["A=1\nTWO WORDS=secret\n"], &[]).unwrap_err(), @"0:2: the name of a variable holds no spaces");
        insta::assert_snapshot!(given(&[], &["=secret"]).unwrap_err(), @r#"--env "": a variable needs a name in front of `=`"#);
        let gone = gather(&[PathBuf::from("/nonexistent")], &[], own).unwrap_err();
        insta::assert_snapshot!(gone, @"failed to read /nonexistent: No such file or directory (os error 2)");
    }
}
