use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What a container is made of and executes. `T` is [`Template`](crate::expression::Template) in a plan and `String`
/// once a run has put its values in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<T> {
    /// The image reference as it was written, the job's or the pipeline's default filled in.
    pub image: T,
    /// What the container executes.
    pub action: Action<T>,
    /// Pipeline, job and step `env`, merged in that order (later wins), in order of first appearance.
    #[serde(default = "IndexMap::new")]
    pub env: IndexMap<String, T>,
    /// As written: relative to the workspace, or absolute in the container.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub workdir: Option<T>,
    /// `user`, `uid`, `user:group` or `uid:gid`, as written; `None` leaves it to the image.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub user: Option<T>,
}

/// What a container executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action<T> {
    /// `run`: a script file, handed to a shell as its last argument.
    Script {
        /// The script's text; a list of commands joined by newlines.
        script: T,
        /// The shell's argument vector without the script, for example `["sh", "-e"]`. Never empty.
        shell: Vec<T>,
    },
    /// No `run`: the image's own entrypoint.
    Entrypoint {
        /// `args`, in place of the image's own command; empty leaves that as it is.
        #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
        args: Vec<T>,
    },
}

/// `Option::default` without asking `T` for a default.
pub(super) const fn none<T>() -> Option<T> {
    None
}

impl<T> Command<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Command<U> {
        Command {
            image: text(&self.image),
            action: match &self.action {
                Action::Script { script, shell } => Action::Script {
                    script: text(script),
                    shell: shell.iter().map(&mut *text).collect(),
                },
                Action::Entrypoint { args } => Action::Entrypoint {
                    args: args.iter().map(&mut *text).collect(),
                },
            },
            env: self
                .env
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            workdir: self.workdir.as_ref().map(&mut *text),
            user: self.user.as_ref().map(text),
        }
    }
}
