//! Values that come from outside and must not be shown.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use pipelines::plan::{Condition, Place, Plan};
use protocol::service::{SecretText, Withheld};

use crate::assignments::{self, AssignmentError};
use crate::mask::SHORTEST;

/// The secrets of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: IndexMap<String, SecretText>,
    /// Why the server does not hand these out.
    withheld: IndexMap<String, Withheld>,
}

/// Why the secrets that were asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// `--secret` names a variable that is not set.
    #[error("failed to take the secret {name} from the environment: the variable is not set")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// A value is no text.
    #[error("the secret {name} is not UTF-8")]
    NotText {
        /// Its name.
        name: String,
    },
    /// A value is so short that masking it would mask everything.
    #[error("the secret {name} has fewer than {SHORTEST} bytes and could not be masked")]
    TooShort {
        /// Its name.
        name: String,
    },
    /// A file cannot be opened.
    #[error("failed to open the secret file {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file makes no sense.
    #[error("failed to read the secret file {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: AssignmentError,
    },
    /// A step or a service needs one that was not given.
    #[error("{}{of} needs the secret {name}, which {}", at(.place), why(*.withheld))]
    Missing {
        /// Where the step is written, or the service's job.
        place: Place,
        /// What needs it: the step or the service, and the job.
        of: String,
        /// The secret's name.
        name: String,
        /// What a server says about it.
        withheld: Option<Withheld>,
    },
}

fn why(withheld: Option<Withheld>) -> String {
    withheld.map_or_else(|| "was not given".to_owned(), |why| why.to_string())
}

/// A place in front of what is wrong there; nothing where it is not known.
pub(crate) fn at(place: &Place) -> String {
    match place.line {
        0 => String::new(),
        line => format!("{}:{line}: ", place.file),
    }
}

impl Secrets {
    /// Takes secrets from files, and then by name from the environment, which wins. The second half of the answer is what
    /// a person should hear.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn gather(
        names: &[String],
        files: &[PathBuf],
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(Self, Vec<String>), SecretError> {
        let mut secrets = Self::default();
        let mut warnings = Vec::new();
        for path in files {
            let file = File::open(path).map_err(|source| SecretError::Open {
                path: path.clone(),
                source,
            })?;
            warnings.extend(exposed(&file, path));
            let found = assignments::read(file).map_err(|source| SecretError::File {
                path: path.clone(),
                source,
            })?;
            for (name, value) in found {
                secrets.insert(name, SecretText::new(value))?;
            }
        }
        for name in names {
            let value = variable(name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
            let value = value
                .into_string()
                .map_err(|_| SecretError::NotText { name: name.clone() })?;
            secrets.insert(name.clone(), SecretText::new(value))?;
        }
        Ok((secrets, warnings))
    }

    /// Takes secrets that a server has sent, and why it has not sent others.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn given(
        values: IndexMap<String, SecretText>,
        withheld: IndexMap<String, Withheld>,
    ) -> Result<Self, SecretError> {
        let mut secrets = Self {
            withheld,
            ..Self::default()
        };
        for (name, value) in values {
            secrets.insert(name, value)?;
        }
        Ok(secrets)
    }

    fn insert(&mut self, name: String, value: SecretText) -> Result<(), SecretError> {
        if value.expose().trim().len() < SHORTEST {
            return Err(SecretError::TooShort { name });
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SecretText> {
        self.values.get(name)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.values
            .values()
            .map(|secret| secret.expose().as_bytes())
    }

    /// Sees to it that every step that may run has its secrets, and so every service.
    ///
    /// # Errors
    /// [`SecretError::Missing`] for the first that lacks one.
    pub fn check(&self, plan: &Plan) -> Result<(), SecretError> {
        let is_due = |condition: &Condition| !matches!(condition, Condition::Never { .. });
        for job in plan.jobs.iter().filter(|job| is_due(&job.condition)) {
            let lacks = |names: &[String]| {
                let lacks = names.iter().find(|name| self.get(name).is_none());
                lacks.cloned()
            };
            for service in &job.services {
                if let Some(name) = lacks(&service.secrets) {
                    return Err(SecretError::Missing {
                        place: job.place.clone(),
                        of: format!("service `{}` of job `{}`", service.name, job.id),
                        withheld: self.withheld.get(&name).copied(),
                        name,
                    });
                }
            }
            for step in job.steps.iter().chain(&job.after) {
                if let Some(name) = lacks(&step.secrets).filter(|_| is_due(&step.condition)) {
                    return Err(SecretError::Missing {
                        place: step.place.clone(),
                        of: format!("step `{}` of job `{}`", step.name, job.id),
                        withheld: self.withheld.get(&name).copied(),
                        name,
                    });
                }
            }
        }
        Ok(())
    }
}

/// A warning when others can read a file of secrets.
fn exposed(file: &File, path: &Path) -> Option<String> {
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.mode() & 0o077 != 0).then(|| {
        let path = path.display();
        format!("Others can read the secrets in {path}: `chmod 600 {path}` keeps them out.")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use pipelines::{Overrides, Source, compile};

    use super::{Secrets, Withheld};

    #[test]
    fn values_come_from_files_and_the_environment_and_are_not_printed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets");
        fs::write(
            &file,
            "# ours\nTOKEN=from-file\nKEY<<END\nline one\nline two\nEND\n",
        )
        .unwrap();
        let gather = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let names = ["TOKEN".to_owned()];
            let files = [file.clone()];
            Secrets::gather(&names, &files, |_| Some("from-environment".into())).unwrap()
        };
        let (secrets, warnings) = gather(0o600);
        assert_eq!(secrets.get("TOKEN").unwrap().expose(), "from-environment");
        assert_eq!(secrets.get("KEY").unwrap().expose(), "line one\nline two");
        assert_eq!(warnings, [""; 0]);
        assert_eq!(
            format!("{secrets:?}"),
            r#"Secrets { values: {"TOKEN": ***, "KEY": ***}, withheld: {} }"#
        );
        assert!(gather(0o644).1[0].contains("chmod 600"));
    }

    #[test]
    fn what_cannot_be_had_or_masked_is_refused() {
        let gather = |value: Option<&str>| {
            let value = value.map(Into::into);
            Secrets::gather(&["T".to_owned()], &[], |_| value.clone())
                .unwrap_err()
                .to_string()
        };
        assert!(gather(None).contains("the variable is not set"));
        assert!(gather(Some(" ab ")).contains("fewer than 4 bytes"));
    }

    #[test]
    fn a_service_whose_secret_is_missing_is_named() {
        let text = "image: host\njobs:\n  j:\n    services: { db: { image: x, secrets: [TOKEN] } }\n    steps: [{ run: x }]\n";
        let plan = compile(&Source::new("f.yml", text), &Overrides::default()).plan;
        let plan = plan.unwrap();
        let error = Secrets::default().check(&plan).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f.yml:3: service `db` of job `j` needs the secret TOKEN, which was not given"
        );
        let withheld = [("TOKEN".to_owned(), Withheld::Fork)];
        let secrets = Secrets::given([].into(), withheld.into()).unwrap();
        let error = secrets.check(&plan).unwrap_err().to_string();
        assert!(
            error.ends_with("the secret TOKEN, which a pull request of a fork does not get"),
            "{error}"
        );
    }
}
