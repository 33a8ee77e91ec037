//! What a command line may change about a pipeline before it becomes a plan.

use indexmap::IndexMap;

use crate::{
    plan::Network,
    syntax::text::{env_name_problem, is_image},
};

/// Values from outside the file that win over everything in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Replaces the image of every step, and serves steps without one.
    pub image: Option<String>,
    /// The strongest layer of `env`: over step, job and pipeline.
    pub env: IndexMap<String, String>,
    /// Replaces the network of every step.
    pub network: Option<Network>,
}

/// An override that no pipeline could have said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The image is empty or contains white space or control characters.
    #[error("image reference {image:?} is empty or contains white space or control characters")]
    Image {
        /// As it was given.
        image: String,
    },
    /// The name of a variable cannot be used.
    #[error("environment variable name {name:?} {problem}")]
    EnvName {
        /// As it was given.
        name: String,
        /// What is wrong with it, behind the name.
        problem: &'static str,
    },
    /// The value of a variable contains a NUL character.
    #[error("value of environment variable {name:?} contains a NUL character")]
    EnvValue {
        /// The variable's name.
        name: String,
    },
}

impl Overrides {
    /// Checks the overrides by the rules of the language. [`crate::compile`] takes them as they are, because a wrong
    /// one is no mistake in the file: it has no line to show.
    ///
    /// # Errors
    /// The first override that the language does not allow.
    pub fn check(&self) -> Result<(), OverrideError> {
        if let Some(image) = &self.image
            && !is_image(image)
        {
            return Err(OverrideError::Image {
                image: image.clone(),
            });
        }
        for (name, value) in &self.env {
            if let Some(problem) = env_name_problem(name) {
                return Err(OverrideError::EnvName {
                    name: name.clone(),
                    problem,
                });
            }
            if value.contains('\0') {
                return Err(OverrideError::EnvValue { name: name.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_env(name: &str, value: &str) -> Overrides {
        Overrides {
            env: IndexMap::from([(name.to_owned(), value.to_owned())]),
            ..Overrides::default()
        }
    }

    #[test]
    fn overrides_follow_the_rules_of_the_file() {
        assert_eq!(with_env("A_1", "x\ny").check(), Ok(()));
        assert_eq!(
            with_env("1A", "x").check().unwrap_err().to_string(),
            "environment variable name \"1A\" starts with a digit"
        );
        assert!(matches!(
            with_env("A", "x\0").check(),
            Err(OverrideError::EnvValue { .. })
        ));
        let image = Overrides {
            image: Some("a b".to_owned()),
            ..Overrides::default()
        };
        assert!(matches!(image.check(), Err(OverrideError::Image { .. })));
    }
}
